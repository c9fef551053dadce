"""What can happen to anyone's training, as an error with advice."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from charter.errors import CharterError, Failure, Fault, InputError, Interrupted

if TYPE_CHECKING:
    from charter.trainers.progress import ProgressCallback
    from charter.trainers.work import WorkFolder

__all__ = ["is_unreadable", "mended"]

# No space, no quota, or a file longer than the system allows.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Writers of tensors are no Python: what the system said stands in their texts, or not even there.
_FULL_TEXTS = ("No space left", "os error 28", "os error 122", "os error 27", "File too large")
_TORCH_WRITER = ("PytorchStreamWriter failed", "inline_container")
_NO_FORM = "Model type should be one of"
_NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")


@contextmanager
def mended(callback: ProgressCallback, work: WorkFolder, where: str) -> Iterator[None]:
    """Turns errors of the libraries inside into ours.

    Args:
        callback: what counts the steps.
        work: where the training works.
        where: the path of its settings, for faults (`train.sft`).

    Raises:
        Interrupted: Ctrl-C.
        InputError: the chat template refuses a row, or a library the settings, before any step.
        Failure: memory ran out, the disk is full, or a checkpoint can't be gone on from.
    """
    from jinja2 import TemplateError

    try:
        yield
    except KeyboardInterrupt as error:
        what = f"stopped after {callback.done} of {callback.total} steps, no model was written"
        raise Interrupted(Fault("", "train", what, _how_on(work))) from error
    except TemplateError as error:
        what = f"the model's chat template refuses a row: {_one_line(error)}"
        fix = "choose another with --chat-template FILE|NAME"
        raise InputError(Fault("", "chat_template", what, fix)) from error
    except CharterError:
        raise
    except Exception as error:
        found = _failure(error, callback, work) or _refusal(error, callback, where)
        if found is None:
            raise
        raise found from error


def is_unreadable(error: Exception) -> bool:
    """Whether an error of loading a model says that it can't be read, or is not there."""
    if isinstance(error, OSError) and not _is_full(error):
        return True
    # safetensors has an error class of its own, which says only `Exception` above it.
    return type(error).__name__ == "SafetensorError" or "ignore_mismatched_sizes" in str(error)


def _refusal(error: Exception, callback: ProgressCallback, where: str) -> CharterError | None:
    """What a library says before the first step: of a checkpoint, else of the settings."""
    if isinstance(error, KeyError) and "metric_for_best_model" in str(error):
        # Which figures there are is seen when `test` is measured: after a step at the soonest.
        return InputError(Fault("", where, str(error.args[0]), "name one of those"))
    if callback.moved or _is_ours(error):
        return None
    said = _one_line(error)
    if not isinstance(error, ValueError | NotImplementedError | ImportError):
        said = f"{type(error).__name__}: {said}"
    fix = "change that field; --debug shows where it comes from"
    if isinstance(error, ImportError):
        fix = "install it, or change the field that wants it"
    elif callback.checkpoint is not None:
        what = f"its checkpoint can't be gone on from: {said}"
        fix = "remove that folder: the same command begins at the one before it, or anew"
        return Failure(Fault(callback.checkpoint, where, what, fix))
    elif _NO_FORM in said:
        # The names of all that have one follow, a hundred and more.
        said = said.partition(_NO_FORM)[0].rstrip()
        fix = "name another model with --model"
    elif isinstance(error, IndexError):
        fix = "lower max_length: a row may be longer than the model has positions"
    return InputError(Fault("", where, said, fix))


def _is_ours(error: Exception) -> bool:
    """Whether it was raised in Charter's own code: that is our fault, and not the user's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return str(module).startswith("charter.")


def _failure(error: Exception, callback: ProgressCallback, work: WorkFolder) -> Failure | None:
    import torch

    if _is_full(error):
        return _full(callback, work)
    text = str(error)
    short = any(said in text for said in _NO_MEMORY)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or short:
        fix = (
            "lower per_device_train_batch_size and raise gradient_accumulation_steps by as much, "
            "lower max_length, set gradient_checkpointing=true, or set lora=true"
        )
        return Failure(Fault(_at(callback), "train", "memory ran out", fix))
    return None


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    said = str(error)
    return any(text in said for text in (*_FULL_TEXTS, *_TORCH_WRITER))


def _full(callback: ProgressCallback, work: WorkFolder) -> Failure:
    place = str(work.out.parent)
    what = f"the disk is full at step {callback.done} of {callback.total}, no model was written"
    return Failure(Fault(place, "train", what, f"make room, then {_how_on(work)}"))


def _at(callback: ProgressCallback) -> str:
    return f"step {callback.done}" if callback.total else ""


def _how_on(work: WorkFolder) -> str:
    if work.checkpoint() is not None:
        return "give the same command again: it goes on from its last checkpoint"
    return (
        "give the same command again: it starts from the first step "
        "(no checkpoint was there yet; save_strategy=steps and save_steps=N leave them sooner)"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())

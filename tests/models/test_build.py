"""Each kind of model is built as its distilabel class, and says what it lacks."""

from __future__ import annotations

import pytest

from charter.errors import InputError
from charter.models.build import build_llm, identity, lineage, load_llm
from charter.models.checkpoint import EMBEDDED_NAME, EMBEDDED_REVISION
from charter.recipes.schema import ModelSettings, RunSettings

# Both are distilabel's own, at the construction of its classes.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:A custom validator is returning:UserWarning"
)

KINDS = ["openai", "anthropic", "inference-endpoints", "transformers", "vllm", "llama-cpp"]


@pytest.mark.parametrize("kind", [*KINDS, "litellm"])
def test_each_kind_is_built_with_its_sampling(kind, monkeypatch, tmp_path):
    for name in ("ANTHROPIC_API_KEY", "HF_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "secret-key")
    (tmp_path / "model.gguf").touch()  # llama.cpp wants a file
    name = str(tmp_path / "model.gguf") if kind == "llama-cpp" else "org/model"
    model = ModelSettings(llm=kind, model=name, temperature=0.5, max_tokens=33)
    llm = build_llm(model, RunSettings())
    assert "33" in repr(llm) and "0.5" in repr(llm) and "secret-key" not in repr(llm)
    assert "secret-key" not in repr(identity(model))


@pytest.mark.parametrize("kind", [*KINDS, "litellm"])
def test_stop_texts_reach_each_kind_or_are_refused(kind, tmp_path):
    (tmp_path / "model.gguf").touch()
    name = str(tmp_path / "model.gguf") if kind == "llama-cpp" else "org/model"
    model = ModelSettings(llm=kind, model=name, temperature=0.5, stop=("[END]",))
    if kind == "transformers":
        with pytest.raises(InputError, match="no stop texts"):
            build_llm(model, RunSettings())
    else:
        assert "[END]" in repr(build_llm(model, RunSettings()))


@pytest.mark.parametrize("kind", ["anthropic", "vllm", "litellm"])
def test_a_missing_package_is_a_fault_with_its_install(kind):
    llm = build_llm(ModelSettings(llm=kind, model="m", temperature=0.5), RunSettings())
    with pytest.raises(InputError, match=r"pip install \"distilabel\["):
        load_llm(llm, kind)


def test_options_a_class_does_not_take_are_a_fault():
    model = ModelSettings(llm="transformers", model="m", temperature=0.5, options={"colour": "red"})
    with pytest.raises(InputError, match="check model and options"):
        build_llm(model, RunSettings())


def test_how_servers_are_asked_reaches_their_llm(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-key")
    run = RunSettings(timeout=7.0, retries=3, in_flight=9)
    said = {"top_p": 0.5, "stop": ("x",), "api_key_env": "MY_KEY", "options": {"seed": None}}
    llm = build_llm(ModelSettings(llm="openai", model="m", temperature=0.0, **said), run)
    assert (llm.timeout, llm.retries, llm.in_flight) == (7.0, 3, 9)
    assert (llm.top_p, llm.stop, llm.api_key_env, llm.body) == tuple(said.values())
    llm = build_llm(ModelSettings(llm="anthropic", model="m", temperature=0.0), run)
    assert (llm.timeout, llm.max_retries) == (7.0, 3)


def test_a_local_model_is_told_by_its_weights_and_not_by_its_place(tmp_path):
    found = identity(ModelSettings(llm="local"))
    assert (found["model"], found["revision"]) == (EMBEDDED_NAME, EMBEDDED_REVISION)

    def saved(place, weights):
        folder = tmp_path / place / "mine"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(weights)
        return ModelSettings(llm="local", model=str(folder))

    one, moved, trained = saved("one", b"w"), saved("moved", b"w"), saved("trained", b"v")
    assert identity(one) == identity(moved) != identity(trained)
    assert lineage(one) == identity(one) | {"path": one.model}
    for pathless in (
        ModelSettings(llm="local"),
        ModelSettings(llm="openai", model="m", base_url="http://127.0.0.1:1/v1"),
    ):
        assert lineage(pathless) == identity(pathless)

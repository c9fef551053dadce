"""Each kind of model is built as its distilabel class, and says what it lacks."""

from __future__ import annotations

import pytest

from charter.errors import InputError
from charter.models.build import build_llm, identity, load_llm
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

"""What no version could be published with, whatever the models say: told before they are asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import polars as pl

from charter.errors import Fault, InputError
from charter.hub.columns import some
from charter.hub.contamination import EvaluationSet, Overlap
from charter.hub.gate import FIXES
from charter.hub.held import Retracted
from charter.hub.secrets import SecretCheck, find_in, masked
from charter.recipes import Loaded, PromptSet
from charter.recipes.prompts import Prompt
from charter.run.draft import policy_of

__all__ = ["check_ahead"]

_TOGETHER: Final = 1000  # prompts


def check_ahead(
    loaded: Loaded, prompts: PromptSet, sets: Sequence[EvaluationSet], retracted: Retracted
) -> None:
    """See that the recipe, the constitution and the prompts pass what is checked at the end.

    Args:
        loaded: the recipe.
        prompts: what it reads.
        sets: the evaluation sets that it names.
        retracted: what was taken out of its repo: no row is made of it.

    Raises:
        InputError: one of them holds a key, or what else `publish` does not allow.
    """
    place = str(loaded.path)
    faults = []
    files = SecretCheck(policy_of(loaded))
    files.look("constitution.yaml", loaded.constitution_yaml)
    files.look("recipe.yaml", loaded.recipe_yaml)
    fix = "take them out: both files are published as they stand"
    faults += [Fault(place, "publish.secrets", what, fix) for what in files.problems()]
    asked = _Asked(prompts, retracted)
    what = "".join(_with_secrets(loaded, asked).problems())
    if what:
        faults.append(Fault(place, "publish.secrets", what, FIXES["secrets"]))
    if loaded.recipe.publish.on_contamination == "fail" and sets:
        faults += [
            Fault(place, "publish.on_contamination", what, FIXES["contamination"])
            for what in _overlapping(sets, asked)
        ]
    if faults:
        raise InputError(faults)


class _Asked:
    """The prompts that rows are made of, some at a time: ids, and a text with each."""

    def __init__(self, prompts: PromptSet, retracted: Retracted) -> None:
        self._prompts = prompts.prompts
        self._named = retracted.named
        pairs = {pair.rpartition("#")[0] for pair in retracted.pairs}
        self._gone = {*retracted.sft, *pairs}

    def __iter__(self) -> Iterator[tuple[list[str], pl.Series]]:
        every = (prompt for prompt in self._prompts if not self._is_gone(prompt))
        while some_of := list(islice(every, _TOGETHER)):
            texts = [(p.id, text) for p in some_of for text in _texts(p)]
            yield [name for name, _ in texts], pl.Series([t for _, t in texts], dtype=pl.String)

    def _is_gone(self, prompt: Prompt) -> bool:
        names = {"id": "", "prompt_id": prompt.id, "source": prompt.source}
        return prompt.id in self._gone or self._named.why(names) is not None


def _texts(prompt: Prompt) -> Iterator[str]:
    yield prompt.source
    for message in prompt.messages:
        yield message["content"]


def _with_secrets(loaded: Loaded, asked: _Asked) -> SecretCheck:
    """The prompts that hold what stops a publication; what is to be masked or dropped does not."""
    policy = policy_of(loaded)
    stops = frozenset(kind for kind in policy.kinds if policy.action(kind) == "fail")
    check = SecretCheck(policy)
    if stops:
        for names, texts in asked:
            for at, found in find_in(texts, stops).items():
                check.add(f"prompt {masked(names[at])}", texts[at], found)
    return check


def _overlapping(sets: Sequence[EvaluationSet], asked: _Asked) -> Iterator[str]:
    overlap = Overlap(sets)
    hit: dict[str, dict[str, None]] = {each.name: {} for each in sets}
    for names, texts in asked:
        for each, (found, _) in zip(sets, overlap.of(texts), strict=True):
            hit[each.name].update((names[at], None) for at in found)
    for name, prompts in hit.items():
        if prompts:
            yield f"{len(prompts)} prompts overlap with {name}: {some(map(masked, prompts))}"

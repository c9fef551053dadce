"""The ways of judging that `judge.py` measures. Not run by itself.

The naive way is what a textbook shows: one comparison at a time, by transformers' own `generate`,
which writes its reasons and then the label. It runs on the same loaded model as the others, whose
linear layers are laid out for oneDNN: that makes it a little faster than a stock checkpoint.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness import HERE, BenchError

from charter.models.threads import wait_asleep

wait_asleep()

import torch  # noqa: E402  reads the environment when it is imported

from charter.constitutions import find_constitution, load_constitution  # noqa: E402
from charter.models.call import Answer, Call  # noqa: E402
from charter.models.chat import conversation_ids  # noqa: E402
from charter.models.labels import Sharing  # noqa: E402
from charter.models.local import LocalModel, load_local  # noqa: E402
from charter.models.prefill import common_prefix  # noqa: E402
from charter.rows import draw_int, normalised  # noqa: E402
from charter.steps.judge import JudgeAsk  # noqa: E402

PROMPTS = HERE.parent / "prompts" / "shipped.jsonl"
SEED = 7
CANDIDATES, CANDIDATE_TOKENS, LEAST_TOKENS = 4, 64, 24
JUDGE_TOKENS = 100
REASONS = (
    "First say in two or three sentences what speaks for each response. Then end with a line that "
    "says A, B or TIE."
)
NAIVE, BATCHED = "naive generation", "batched generation"
SHARED: Mapping[str, Sharing] = {
    "one pass, plain": "none",
    "common prefix once": "prefix",
    "branch by branch": "branches",
    "prefix tree": "tree",
}
WAYS = (NAIVE, BATCHED, *SHARED)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is judged.

    Attributes:
        rounds: each with prompts of its own.
        prompts: of a round; four candidates each make twelve comparisons.
        naive: comparisons of a round that are judged in the naive way too.
    """

    rounds: int = 3
    prompts: int = 2
    naive: int = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """What one way took for one round: comparisons, seconds, seconds of CPU, tokens written."""

    comparisons: int
    wall: float
    cpu: float
    written: int

    @property
    def rate(self) -> float:
        """Comparisons a second."""
        return self.comparisons / self.wall


@dataclass(slots=True)
class Round:
    """One round.

    Attributes:
        ways: figures by way.
        differences: largest difference in p to the plain way, by way.
        tokens: of a comparison on average: `read`, and `common` to all of a prompt.
    """

    ways: dict[str, Figure] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judge:
    """The model, and what is judged.

    Attributes:
        local: the embedded model.
        rows: prompts with their candidates.
        sizes: how much is judged.
        say: is told what happens.
    """

    local: LocalModel
    rows: Sequence[dict[str, Any]]
    sizes: Sizes
    say: Callable[[str], None]

    @classmethod
    def prepare(cls, sizes: Sizes, say: Callable[[str], None]) -> Judge:
        """Loads the model and has it write the candidates.

        Raises:
            BenchError: too few prompts got four different candidates of some length.
        """
        local = load_local()
        wanted = sizes.rounds * sizes.prompts
        rows: list[dict[str, Any]] = []
        with PROMPTS.open(encoding="utf-8") as lines:
            while len(rows) < wanted and (some := list(itertools.islice(lines, 2 * sizes.prompts))):
                rows += _with_candidates(local, [json.loads(line) for line in some])
        if len(rows) < wanted:
            raise BenchError(f"only {len(rows)} prompts have {CANDIDATES} candidates")
        say(f"{local.name}, {torch.get_num_threads()} threads; candidates written")
        return cls(local, rows[:wanted], sizes, say)

    def round(self, number: int) -> Round:
        """All ways on the prompts of a round; which comes first goes round too."""
        first = number * self.sizes.prompts
        rows = self.rows[first : first + self.sizes.prompts]
        found = Round()
        letter, text = self._calls(rows, "logprob"), self._calls(rows, "verdict")
        text = [_with_reasons(call) for call in text]
        found.tokens = self._tokens(letter)
        # What a first pass sets up would be counted against whoever comes first.
        for share in SHARED.values():
            self.local.label_logprobs(letter[:2], share=share)
        answers: dict[str, list[Answer]] = {}
        turn = number % len(WAYS)
        for way in (*WAYS[turn:], *WAYS[:turn]):
            found.ways[way], answers[way] = self._measured(way, letter, text)
            rate = found.ways[way].rate
            self.say(f"round {number + 1} of {self.sizes.rounds}: {way}, {rate:.3g} comparisons/s")
        plain = [_p_first(answer) for answer in answers[WAYS[2]]]
        for way in WAYS[3:]:
            pairs = zip(plain, map(_p_first, answers[way]), strict=True)
            found.differences[way] = max(abs(one - other) for one, other in pairs)
        return found

    def _calls(self, rows: Sequence[dict[str, Any]], mode: Any) -> list[Call]:
        constitution = load_constitution(find_constitution("hhh"))
        asking = JudgeAsk(constitution, mode=mode, candidates=CANDIDATES, seed=SEED)
        return [call for row in rows for call in asking.calls(row)]

    def _tokens(self, calls: Sequence[Call]) -> dict[str, float]:
        """Mean tokens of a comparison, and those that all of its prompt have in common."""
        ids = [conversation_ids(self.local.tokenizer, call.messages) for call in calls]
        common = []
        for prompt_id in dict.fromkeys(call.prompt_id for call in calls):
            same = [i for i, call in zip(ids, calls, strict=True) if call.prompt_id == prompt_id]
            common.append(min(common_prefix(same[0], other) for other in same))
        return {"read": sum(map(len, ids)) / len(ids), "common": sum(common) / len(common)}

    def _measured(
        self, way: str, letter: Sequence[Call], text: Sequence[Call]
    ) -> tuple[Figure, list[Answer]]:
        started, cpu = time.perf_counter(), time.process_time()
        if way == NAIVE:
            # Every other one is in the order BA: the step is odd.
            step = max(1, len(text) // self.sizes.naive) | 1
            answers = [self._naive(call) for call in text[::step][: self.sizes.naive]]
        elif way == BATCHED:
            answers = self.local.generate(text, temperature=0, top_p=1, max_tokens=JUDGE_TOKENS)
        elif SHARED[way] == "prefix":
            # Prompts have only the instruction in common: each by itself shares its conversation.
            groups = itertools.groupby(letter, key=lambda call: call.prompt_id)
            parts = [self.local.label_logprobs(list(own), share="prefix") for _, own in groups]
            answers = list(itertools.chain(*parts))
        else:
            answers = self.local.label_logprobs(letter, share=SHARED[way])
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
        if wrong := next((answer.error for answer in answers if answer.error), ""):
            raise BenchError(f"{way}: {wrong}")
        return Figure(len(answers), wall, cpu, sum(a.completion_tokens for a in answers)), answers

    @torch.inference_mode()
    def _naive(self, call: Call) -> Answer:
        tokenizer = self.local.tokenizer
        ids = torch.tensor([conversation_ids(tokenizer, call.messages)])
        output = self.local.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=JUDGE_TOKENS,
            pad_token_id=tokenizer.eos_token_id,
        )
        written = output[0, ids.shape[1] :]
        text = tokenizer.decode(written, skip_special_tokens=True)
        return Answer(text=text, completion_tokens=len(written))


def _with_candidates(
    local: LocalModel, prompts: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of those prompts that got four different candidates, none of them very short."""
    calls = [
        Call("respond", p["id"], k, draw_int(SEED, p["id"], "respond", k), tuple(p["prompt"]))
        for p in prompts
        for k in range(CANDIDATES)
    ]
    answers = local.generate(calls, temperature=0.8, top_p=0.95, max_tokens=CANDIDATE_TOKENS)
    rows = []
    for place, prompt in enumerate(prompts):
        own = answers[place * CANDIDATES : (place + 1) * CANDIDATES]
        different = {normalised(answer.text) for answer in own if answer.text}
        if len(different) < CANDIDATES or min(a.completion_tokens for a in own) < LEAST_TOKENS:
            continue
        candidates = [
            {"slot": f"sampled-{k}", "text": answer.text, "model": local.name}
            for k, answer in enumerate(own)
        ]
        row = {"prompt_id": prompt["id"], "prompt": prompt["prompt"], "candidates": candidates}
        rows.append(row)
    return rows


def _with_reasons(call: Call) -> Call:
    """The same question, but for reasons first: the last paragraph says what is wanted."""
    *before, last = call.messages
    body = last["content"].rpartition("\n\n")[0]
    asked = {"role": last["role"], "content": f"{body}\n\n{REASONS}"}
    return replace(call, messages=(*before, asked))


def _p_first(answer: Answer) -> float:
    """Probability of the response shown first, over the two labels."""
    odds = answer.label_logprobs["B"] - answer.label_logprobs["A"]
    return float(torch.sigmoid(torch.tensor(-odds, dtype=torch.float64)))

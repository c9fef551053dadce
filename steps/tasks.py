"""The steps as distilabel tasks and steps: what a distilabel user builds pipelines from.

    load >> Respond(llm=llm) >> Critique(llm=llm, constitution="hhh") >> ...

A row is a prompt with all that was made of it. Each task asks its `llm` for a whole batch;
`asking()` is the pure step behind it, which `charter run` drives. What was said stays in the row.
"""

# No `from __future__ import annotations` here: distilabel's runner looks for the class `StepInput`
# among the annotations of `process`, and does not find it in a text.

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from distilabel.steps import LoadDataFromDicts, Step, StepInput
from distilabel.steps.tasks import Task
from pydantic import Field

from charter.constitutions import Constitution, find_constitution, load_constitution
from charter.errors import CharterError, Fault, InputError, nearest
from charter.models.ask import ask_batch, error_text
from charter.models.call import Answer, Call
from charter.recipes.schema import FewShot
from charter.rows import Row
from charter.steps.asking import Asking, prepared
from charter.steps.critique import CritiqueAsk
from charter.steps.judge import JudgeAsk, ReasonAsk
from charter.steps.keep import kept
from charter.steps.label import KeepRule, Mode, Orders
from charter.steps.pairs import Pairing
from charter.steps.principles import principle_weights
from charter.steps.respond import RespondAsk
from charter.steps.revise import ReviseAsk
from charter.steps.shape import judgment_rows, preference_rows, reject_rows, sft_rows

if TYPE_CHECKING:
    from distilabel.typing import ChatType

__all__ = [
    "Critique",
    "Judge",
    "Keep",
    "LoadPrompts",
    "Reason",
    "Respond",
    "Revise",
    "ToJudgments",
    "ToPreference",
    "ToRejects",
    "ToSft",
]


def _constitution(name: str) -> Constitution:
    path = find_constitution(name)
    stamp = path.stat()
    return _loaded(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=32)
def _loaded(path: Path, *stamp: int) -> Constitution:
    # The stamp is part of the key: an edited file is never served from before the edit.
    return load_constitution(path)


def _check_principles(step: Any) -> None:
    """Refuse names that the step's constitution lacks, before a batch is lost to them."""
    wanted = getattr(step, "principles", None)
    weights = wanted if isinstance(wanted, Mapping) else {}
    named = {f"principles.{name}": name for name in weights}
    for at, shot in enumerate(getattr(step, "few_shot", ())):
        named[f"few_shot[{at}].principle"] = shot.get("principle", "")
    known = [p.id for p in _constitution(step.constitution).principles] if named else []
    faults = [
        Fault("", path, f'the constitution has no principle "{name}"', nearest(name, known))
        for path, name in named.items()
        if name not in known
    ]
    if weights and not any(weight > 0 for weight in weights.values()):
        faults.append(Fault("", "principles", "has no weight above 0", "give one principle weight"))
    if faults:
        raise InputError(faults)


# Of a comparison: so many that are drawn, all, or those named with their weights.
_Compared = Annotated[int, Field(ge=1)] | Literal["all"] | dict[str, float]


class LoadPrompts(LoadDataFromDicts):  # type: ignore[misc]
    """The prompts' rows. Its columns are known before there is a row, so it can be drawn empty."""

    @property
    def outputs(self) -> list[str]:
        """The columns that a prompt starts with."""
        return ["prompt_id", "prompt", "source"]


class _AskingTask(Task):  # type: ignore[misc]
    """A task over one `Asking`: as many calls a row as it wants, folded into the row."""

    seed: int = Field(default=0, description="Every draw and every call's seed is a hash of it.")

    def load(self) -> None:
        """Load the LLM. An InputError says that the task cannot do what it is set to."""
        # First, since distilabel unloads a step that failed to load, and then needs what this sets.
        super().load()
        if self.num_generations != 1 or self.group_generations:
            what = "a task of Charter makes one generation a call"
            fix = "add a step for each further candidate: Respond(index=1), Respond(index=2)"
            raise InputError(Fault(self.name, "num_generations", what, fix))
        _check_principles(self)

    @property
    def inputs(self) -> list[str]:
        """A row needs its prompt; the rest is made on the way."""
        return ["prompt"]

    @property
    def outputs(self) -> list[str]:
        """What every row carries after the task."""
        return ["prompt_id", "source", "initial_response", "revisions", "candidates", "faults"]

    def asking(self) -> Asking:
        """The pure step behind the task."""
        raise NotImplementedError

    def format_input(self, input: Row) -> "ChatType":  # noqa: A002 - distilabel's name
        """The messages of the row's (first) call."""
        calls = self.asking().calls(input)
        return [dict(message) for message in calls[0].messages] if calls else []

    def format_output(
        self,
        output: str | None,
        input: Row | None = None,  # noqa: A002 - distilabel's name
    ) -> Row:
        """The row with the text of its only call in it; None is a failed call."""
        answer = Answer(error="the model gave no answer") if output is None else Answer(output)
        return self.asking().fold(input or {}, [answer])

    def process(self, inputs: StepInput) -> Iterator[list[Row]]:
        """Ask for all calls of a batch at once; rows come out in the order they came in."""
        asking, rows = self.asking(), [prepared(row) for row in inputs]
        wanted = [asking.calls(row) if row["prompt"] else [] for row in rows]
        answers = iter(self._answers([call for calls in wanted for call in calls]))
        yield [
            asking.fold(row, [next(answers) for _ in calls]) if row["prompt"] else row
            for row, calls in zip(rows, wanted, strict=True)
        ]

    def _answers(self, calls: Sequence[Call]) -> list[Answer]:
        """One for each call. An LLM that raises has failed them all: its rows say so.

        Distilabel's runner would empty the rows of the batch, ids and all.
        """
        try:
            return ask_batch(self.llm, calls)
        except CharterError:
            raise
        except Exception as error:  # noqa: BLE001 - each client has errors of its own
            said = error_text(error)
            if self._logger:  # a step that was not loaded has none
                self._logger.warning(f"{self.name}: {len(calls)} calls failed: {said}")
            return [Answer(error=said)] * len(calls)


class Respond(_AskingTask):
    """Answer the prompt; `index` 0 is the first answer, k a sampled candidate."""

    index: int = Field(default=0, ge=0, description="0: the first answer; k: candidate k.")
    candidate: bool = Field(default=False, description="The first answer is a candidate too.")

    def asking(self) -> Asking:
        """The pure step behind the task."""
        return RespondAsk(self.index, self.seed, self.llm.model_name, self.candidate)


class Critique(_AskingTask):
    """Criticise the latest answer under the principle drawn for this round."""

    constitution: str = Field(description="A shipped name, or a path.")
    round: int = Field(default=1, ge=1, description="Which round, from 1.")
    principles: Literal["random", "round-robin", "all"] | dict[str, float] = "random"
    few_shot: list[dict[str, str]] = Field(default_factory=list, description="Worked examples.")

    def asking(self) -> Asking:
        """The pure step behind the task."""
        return CritiqueAsk(
            _constitution(self.constitution),
            self.round,
            self.principles,
            self.seed,
            tuple(FewShot(**shot) for shot in self.few_shot),
        )


class Revise(_AskingTask):
    """Rewrite the latest answer after its critique."""

    constitution: str = Field(description="A shipped name, or a path.")
    round: int = Field(default=1, ge=1, description="Which round, from 1.")
    candidate: bool = Field(default=False, description="The revision is a candidate.")
    few_shot: list[dict[str, str]] = Field(default_factory=list, description="Worked examples.")

    def asking(self) -> Asking:
        """The pure step behind the task."""
        return ReviseAsk(
            _constitution(self.constitution),
            self.round,
            self.seed,
            self.llm.model_name,
            self.candidate,
            tuple(FewShot(**shot) for shot in self.few_shot),
        )


class _JudgingTask(_AskingTask):
    """What the tasks of judging have in common; the words are those of a recipe's `preference`."""

    constitution: str = Field(description="A shipped name, or a path.")
    mode: Mode = "verdict"
    pairs: Pairing = "all"
    principles: _Compared = 1
    candidates: int = Field(default=2, description="Candidates a row has when nothing fails.")
    votes: int = Field(default=5, ge=1, description="Answers to each question, in mode `vote`.")
    orders: Orders = "both"
    near_equal: float = 0.98
    clamp: tuple[float, float] = (0.4, 0.6)
    logprobs: bool = Field(default=True, description="Whether the judge gives log-probabilities.")
    round: int = Field(default=0, ge=0, description="Of adaptive pairs, from 1.")

    def settings(self) -> dict[str, Any]:
        """The fields of the pure step behind the task."""
        found = {name: getattr(self, name) for name in JUDGING}
        return {**found, "constitution": _constitution(self.constitution), "seed": self.seed}


# The fields that a task of judging shares with its pure step, its constitution and seed aside.
JUDGING: tuple[str, ...] = (
    *("mode", "pairs", "principles", "candidates", "votes", "orders", "near_equal", "clamp"),
    *("logprobs", "round"),
)


class Reason(_JudgingTask):
    """Let the judge think about each comparison before it decides (mode `cot`)."""

    def asking(self) -> Asking:
        """The pure step behind the task."""
        return ReasonAsk(**self.settings())

    @property
    def outputs(self) -> list[str]:
        """What the judge thinks of each comparison."""
        return [*super().outputs, "reasons"]


class Judge(_JudgingTask):
    """Compare the candidates of a row, each pair under its principles in both orders."""

    @property
    def inputs(self) -> list[str]:
        """A row needs its prompt; in mode `cot` the reasons as well."""
        return ["prompt", *(("reasons",) if self.mode == "cot" else ())]

    def asking(self) -> Asking:
        """The pure step behind the task."""
        return JudgeAsk(**self.settings())

    @property
    def outputs(self) -> list[str]:
        """The votes on each pair."""
        return [*super().outputs, "votes"]


class _RowStep(Step):  # type: ignore[misc]
    """A plain step that makes any number of rows of each row."""

    @property
    def inputs(self) -> list[str]:
        """A walked row."""
        return ["prompt_id", "prompt"]

    def shape(self, row: Row) -> list[Row]:
        """The rows that one row becomes."""
        raise NotImplementedError

    def process(self, inputs: StepInput) -> Iterator[list[Row]]:
        """Shape each row, in order."""
        yield [made for row in inputs for made in self.shape(row)]

    def process_applying_mappings(self, *args: list[Row]) -> Iterator[list[Row]]:
        """Row by row: distilabel gives a hidden column back by a row's place in its batch."""
        mapped = super().process_applying_mappings
        yield [made for row in args[0] for rows in mapped([row]) for made in rows]


class Keep(_RowStep):
    """From votes to labels: chosen and rejected, or the reason why not."""

    constitution: str = Field(description="A shipped name, or a path; for the weights.")
    principles: _Compared = Field(
        default=1, description="As the judge has them; those that are named bring their weights."
    )
    keep: Literal["consistent", "margin"] = "consistent"
    min_margin: float = 0.0
    tie_band: float = 0.0
    mode: Mode = "verdict"
    pairs: Pairing = "all"
    orders: Orders = "both"
    min_order_consistency: float = 0.0
    near_equal: float = 0.98
    injections: Literal["reject", "ignore"] = "reject"

    def load(self) -> None:
        """Nothing but a look whether the principles are there."""
        super().load()
        _check_principles(self)

    @property
    def outputs(self) -> list[str]:
        """The label of each pair, and the candidates' scores."""
        return ["labels", "scores"]

    def shape(self, row: Row) -> list[Row]:
        """The row itself, with `labels`."""
        constitution = _constitution(self.constitution)
        weights = principle_weights(constitution, self.principles)
        return [kept(row, KeepRule.of(self), constitution, weights)]


class ToSft(_RowStep):
    """Rows of the config `sft`."""

    @property
    def outputs(self) -> list[str]:
        """The published columns."""
        return ["id", "completion", "initial_response", "revisions", "source"]

    def shape(self, row: Row) -> list[Row]:
        """One row, or none after a fault."""
        return sft_rows(row)


class ToPreference(_RowStep):
    """Rows of the config `preference`."""

    judge_model: str = Field(default="", description="The judge's name, as it is published.")

    @property
    def outputs(self) -> list[str]:
        """The published columns."""
        return [
            *("id", "chosen", "rejected", "p_chosen", "log_odds", "principle_ids", "n_votes"),
            *("order_consistent", "label_source", "source_label", "chosen_model"),
            *("rejected_model", "judge_model", "source"),
        ]

    def shape(self, row: Row) -> list[Row]:
        """One row a labelled pair."""
        return preference_rows(row, self.judge_model)


class ToJudgments(_RowStep):
    """Rows of the config `judgments`."""

    judge_model: str = Field(default="", description="The judge's name, as it is published.")

    @property
    def outputs(self) -> list[str]:
        """The published columns."""
        return [
            *("comparison_id", "candidate_a", "candidate_b", "principle_id", "order", "sample"),
            *("verdict", "p_a", "rationale", "raw", "judge_model", "score_a", "score_b"),
            *("source_label", "prompt_tokens", "completion_tokens"),
        ]

    def shape(self, row: Row) -> list[Row]:
        """One row a vote."""
        return judgment_rows(row, self.judge_model)


class ToRejects(_RowStep):
    """Rows of the config `rejects`."""

    slots: list[str] = Field(default_factory=list, description="The candidates' slots wanted.")
    sft: bool = Field(default=True, description="Whether sft rows are made.")
    judged: bool | None = Field(default=None, description="Whether pairs are; None: by the slots.")

    @property
    def outputs(self) -> list[str]:
        """The published columns."""
        return ["ledger", "pair_id", "stage", "reason", "detail"]

    def shape(self, row: Row) -> list[Row]:
        """One row for each that did not make it."""
        return reject_rows(row, tuple(self.slots), self.sft, self.judged)

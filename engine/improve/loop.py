"""The rounds themselves: one step after the other, each done once, until a rule ends them.

Per round, as Bai et al. 2022 (arXiv 2212.08073, figure 1) has the two stages: answers of the
current model are criticised and revised, SFT on the revisions, pairs of answers of that model are
judged, DPO in the place of their reinforcement learning. That the result begins the next round
is Yuan et al. 2024 (arXiv 2401.10020, section 2.4), whose own rounds train by DPO alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from charter.errors import CharterError, Fault, Interrupted
from charter.improve.figures import RoundFigures
from charter.improve.rules import End, Signal, best_round, signals
from charter.improve.state import STEPS, Done, Facts, LoopFolder, Step
from charter.recipes.improve import ImproveSettings

__all__ = ["Outcome", "Work", "cut_off", "run_rounds"]

_MADE_OF = {Step.GENERATE: "sft", Step.JUDGE: "preference"}
_NAMES = {
    Step.GENERATE: "critique and revision",
    Step.SFT: "SFT",
    Step.JUDGE: "candidates and their judgment",
    Step.DPO: "DPO",
    Step.EVALUATE: "evaluation",
}


class Work(Protocol):
    """Whoever does the steps. A step that was cut off is simply asked for again."""

    def do(self, number: int, step: Step, done: Done) -> Facts:
        """Do a step of a round.

        Args:
            number: of the round.
            step: which.
            done: the facts of every step before.

        Returns:
            Facts; of GENERATE and JUDGE `train_rows` among them, of EVALUATE `figures`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rounds ended with.

    Attributes:
        ends: why, one or more; the first one is said first.
        said: the same in words.
        best: number of the round that is kept.
        rounds: figures from round 0 on.
        done: the facts of these rounds' steps, and of a last one that was not measured.
    """

    ends: tuple[End, ...]
    said: tuple[str, ...]
    best: int
    rounds: tuple[RoundFigures, ...]
    done: Done


def run_rounds(
    folder: LoopFolder, work: Work, settings: ImproveSettings, say: Callable[[str], None]
) -> Outcome:
    """Go through the rounds from where the folder's state is.

    Why there is no further round is found from the figures each time: with other thresholds, or
    with more rounds, the same folder may go on.

    Args:
        folder: that is entered.
        work: does the steps.
        settings: the recipe's.
        say: told a line at each step's begin and end.

    Raises:
        Interrupted: Ctrl-C; the same command goes on.
    """
    try:
        _step(folder, work, 0, Step.EVALUATE, "before any round", say)
        for number in range(1, settings.rounds + 1):
            title = f"round {number} of {settings.rounds}"
            for step in STEPS:
                facts = _step(folder, work, number, step, title, say)
                if facts.get("train_rows") == 0:
                    return _outcome(folder, settings, number, [_no_rows(number, step)])
            fired = signals(_figures(folder.done, number), settings)
            if fired:
                return _outcome(folder, settings, number, fired)
        over = Signal(End.ROUNDS_DONE, f"{settings.rounds} rounds are done")
        return _outcome(folder, settings, settings.rounds, [over])
    except KeyboardInterrupt:
        fix = "run the same command again to go on; every step that is done is kept"
        raise Interrupted(Fault(str(folder.path), "", "interrupted", fix)) from None


def cut_off(folder: LoopFolder, settings: ImproveSettings, error: Exception) -> Outcome | None:
    """What the rounds came to before a step failed or was interrupted.

    Args:
        folder: of the loop, entered.
        settings: the recipe's.
        error: what ended the step.

    Returns:
        None where no step was begun, or no model measured yet.
    """
    if folder.begun is None or (0, Step.EVALUATE) not in folder.done:
        return None
    number, step = folder.begun
    what = error.faults[0].what if isinstance(error, CharterError) else type(error).__name__
    said = f"round {number} was cut off in `{step}` ({what}); the same command goes on"
    return _outcome(folder, settings, number, [Signal(End.CUT_OFF, said)])


def _step(
    folder: LoopFolder,
    work: Work,
    number: int,
    step: Step,
    title: str,
    say: Callable[[str], None],
) -> Facts:
    known = folder.done.get((number, step))
    if known is not None:
        say(f"{title}, {_NAMES[step]}: done before")
        return known
    folder.begun = number, step
    say(f"{title}, {_NAMES[step]}")
    started = time.monotonic()
    facts = work.do(number, step, folder.done)
    facts = {**facts, "seconds": round(time.monotonic() - started, 2)}
    folder.put(number, step, facts)
    say(f"{title}, {_NAMES[step]}: done in {facts['seconds']:.0f} s")
    return facts


def _figures(done: Done, last: int) -> list[RoundFigures]:
    """Figures up to a round: one that went further once, under other thresholds, is not seen."""
    found = (done.get((number, Step.EVALUATE)) for number in range(last + 1))
    return [RoundFigures.from_json(facts["figures"]) for facts in found if facts is not None]


def _no_rows(number: int, step: Step) -> Signal:
    said = f"round {number} made no `{_MADE_OF[step]}` row of `train`; see that version's `rejects`"
    return Signal(End.NO_ROWS, said)


def _outcome(
    folder: LoopFolder, settings: ImproveSettings, last: int, fired: list[Signal]
) -> Outcome:
    rounds = _figures(folder.done, last)
    return Outcome(
        ends=tuple(signal.end for signal in fired),
        said=tuple(signal.said for signal in fired),
        best=best_round(rounds, settings),
        rounds=tuple(rounds),
        done={at: facts for at, facts in folder.done.items() if at[0] <= last},
    )

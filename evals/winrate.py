"""How often a judge prefers one model's answers to another's, with length taken out as well."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from charter.agreement import clustered, mean_score
from charter.evals.bradley_terry import elo_ratings
from charter.evals.judge_length import at_equal_length, length_lead
from charter.rows import Row, Verdict
from charter.stats import Estimate
from charter.steps.label import KeepRule, Label, Mode, label_votes

__all__ = ["Game", "PairFigures", "WinRates", "game_of", "win_rates"]

_LEVEL: Final = 0.5


@dataclass(frozen=True, slots=True)
class Game:
    """Two models' answers to one prompt, and what the judge says of them.

    Attributes:
        prompt_id: the prompt.
        category: of the prompt; may be empty.
        one: name of a model.
        other: name of the other one.
        score: 1 where `one` won, 0 where it lost, 0.5 for a tie; None where there is no verdict.
        p: the judge's probability that `one` is better, over principles and orders; None as above.
        reason: why there is no verdict, or IDENTICAL for two answers that are the same.
        consistent: whether both orders have the same winner.
        length_one: characters of the answer.
        length_other: of the other one.
        shown_first: votes for whichever answer was shown first.
        decided: votes that name one.
    """

    prompt_id: str
    category: str
    one: str
    other: str
    score: float | None
    p: float | None
    reason: str
    consistent: bool
    length_one: int
    length_other: int
    shown_first: int = 0
    decided: int = 0


def game_of(
    prompt: tuple[str, str],
    names: tuple[str, str],
    texts: tuple[str, str],
    votes: Sequence[Row],
    mode: Mode,
    weights: Mapping[str, float],
) -> Game:
    """One game from the votes on it, A being the first model's answer.

    Who wins is what all votes together say, so a judge that always takes the answer shown first
    gives ties. Two answers that are the same are a tie that nobody was asked about.

    Args:
        prompt: its id and category.
        names: of the two models.
        texts: their answers.
        votes: rows of votes, in both orders; none for answers that are the same.
        mode: how the judge was asked.
        weights: of the principles.
    """
    lengths = len(texts[0]), len(texts[1])
    if not votes:
        return Game(*prompt, *names, 0.5, 0.5, "IDENTICAL", True, *lengths)
    label = label_votes(votes, KeepRule(keep="margin", mode=mode), weights)
    named = [vote for vote in votes if vote["verdict"] in (Verdict.A, Verdict.B)]
    first = sum(vote["order"].startswith(vote["verdict"]) for vote in named)
    score = _score(label)
    reason = label.reason if score is None else ""
    return Game(
        *prompt,
        *names,
        score,
        label.p_a,
        reason,
        label.order_consistent,
        *lengths,
        first,
        len(named),
    )


def _score(label: Label) -> float | None:
    if label.winner:
        return 1.0 if label.winner == "A" else 0.0
    return 0.5 if label.p_a is not None else None


@dataclass(frozen=True, slots=True)
class PairFigures:
    """One model against another.

    Attributes:
        one: whose win rate it is.
        other: against whom.
        wins: games won.
        ties: games drawn, answers that are the same among them.
        losses: games lost.
        without: games without a verdict, by reason; they are in no figure.
        rate: win rate, a tie counting half; Wilson's interval.
        controlled: the same where both answers are equally long (Dubois et al. 2024).
        soft: mean of the judge's probabilities.
        by_category: win rates by category; empty where there are no categories.
        longer: share of the games in which the answer was the longer one.
    """

    one: str
    other: str
    wins: int
    ties: int
    losses: int
    without: Mapping[str, int]
    rate: Estimate
    controlled: Estimate
    soft: Estimate
    by_category: Mapping[str, Estimate]
    longer: Estimate

    @property
    def better(self) -> str:
        """The model that wins more than half by the whole interval; empty where neither does."""
        if self.rate.low is None or self.rate.high is None:
            return ""
        return self.one if self.rate.low > _LEVEL else self.other if self.rate.high < _LEVEL else ""

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "model": self.one,
            "against": self.other,
            "wins": self.wins,
            "ties": self.ties,
            "losses": self.losses,
            "without_verdict": dict(self.without),
            "win_rate": self.rate.as_json(),
            "length_controlled": self.controlled.as_json(),
            "soft": self.soft.as_json(),
            "by_category": {name: each.as_json() for name, each in self.by_category.items()},
            "longer": self.longer.as_json(),
            "better": self.better or None,
        }


@dataclass(frozen=True, slots=True)
class WinRates:
    """All models against each other.

    Attributes:
        models: their names, as given.
        pairs: every two of them, the earlier named first.
        elo: ratings, the first model at 1000.
        order_consistency: share of the games, of those with a verdict, whose orders agree.
        first_position: share of the votes that name the answer shown first.
    """

    models: tuple[str, ...]
    pairs: tuple[PairFigures, ...]
    elo: Mapping[str, Estimate]
    order_consistency: Estimate
    first_position: Estimate

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before believing a figure."""
        found = []
        place, same = self.first_position, self.order_consistency
        if place.low is not None and place.low > _LEVEL:
            found.append(
                f"the judge takes the answer shown first in {place.value:.0%} of its votes"
            )
        if same.high is not None and same.high < _LEVEL:
            found.append(
                f"the judge names one answer in both orders in {same.value:.0%} of the games only"
            )
        lost = sum(sum(pair.without.values()) for pair in self.pairs)
        if lost:
            found.append(f"{lost} games have no verdict and are in no figure")
        return found

    def as_json(self) -> dict[str, Any]:
        """The object of `charter eval winrate --json`; of the first two models at its top."""
        first = self.pairs[0].as_json()
        names = ("win_rate", "length_controlled", "soft")
        return {
            **{name: first[name] for name in names},
            "models": list(self.models),
            "pairs": [pair.as_json() for pair in self.pairs],
            "elo": {name: each.as_json() for name, each in self.elo.items()},
            "judge": {
                "order_consistency": self.order_consistency.as_json(),
                "first_position_rate": self.first_position.as_json(),
            },
            "warnings": self.warnings,
        }


def win_rates(models: Sequence[str], games: Sequence[Game], seed: int = 0) -> WinRates:
    """Every figure of the games.

    Args:
        models: their names; the first is the anchor of the ratings.
        games: of every two of them on every prompt.
        seed: of the bootstrap of the ratings.

    Raises:
        ValueError: fewer than two models.
    """
    if len(models) < 2:
        raise ValueError("a win rate is of two models or more")
    pairs = tuple(
        _figures(one, other, [g for g in games if (g.one, g.other) == (one, other)])
        for one, other in itertools.combinations(models, 2)
    )
    prompts: dict[str, dict[tuple[str, str], float]] = {}
    for game in games:
        if game.score is not None:
            prompts.setdefault(game.prompt_id, {})[(game.one, game.other)] = game.score
    asked = [game for game in games if game.score is not None and game.reason != "IDENTICAL"]
    return WinRates(
        models=tuple(models),
        pairs=pairs,
        elo=elo_ratings(models, list(prompts.values()), seed=seed),
        order_consistency=clustered([(game.consistent, 1) for game in asked]),
        first_position=clustered([(game.shown_first, game.decided) for game in games]),
    )


def _figures(one: str, other: str, games: Sequence[Game]) -> PairFigures:
    scored = [(game, game.score) for game in games if game.score is not None]
    scores = [score for _, score in scored]
    leads = [length_lead(game.length_one, game.length_other) for game, _ in scored]
    names = dict.fromkeys(game.category for game, _ in scored)
    named = len(names) > 1
    return PairFigures(
        one=one,
        other=other,
        wins=scores.count(1.0),
        ties=scores.count(0.5),
        losses=scores.count(0.0),
        without=dict(Counter(game.reason for game in games if game.score is None)),
        rate=mean_score(scores),
        controlled=at_equal_length(scores, leads),
        soft=mean_score([game.p for game, _ in scored if game.p is not None]),
        by_category={
            name: mean_score([score for game, score in scored if game.category == name])
            for name in names
        }
        if named
        else {},
        longer=clustered([(lead > 0, 1) for lead in leads if lead != 0]),
    )

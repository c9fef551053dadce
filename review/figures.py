"""What the spot-checks of a version say of its labels: the manifest's `reviews`, as JSON data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from charter.review.answers import CheckedRow, sort_answers
from charter.review.people_figures import failed_on_gold, gold_figures, people_figures
from charter.review.row_figures import agreement, row_figures
from charter.review.spot_check import Kind, SpotCheck
from charter.review.standing import Standing

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["review_figures", "reviewed"]


def review_figures(
    spot_checks: Iterable[SpotCheck],
    version: Version,
    seed: int = 0,
    *,
    min_gold: float | None = None,
    leave_out: bool = False,
) -> dict[str, Any]:
    """How far people agree with the labels of a version, and with each other.

    Only blind answers on the texts that the version has count; those that saw the AI's label are
    apart under `shown`, gold rows under `gold`. A row's verdict is that of most of its reviewers.
    The figures at the top are of `preference`, with those of `sft` under that name; where only
    `sft` rows have answers, those are at the top.

    Args:
        spot_checks: answers on rows of the version's repo, of any version of it.
        version: the version that they are compared with.
        seed: of the bootstraps.
        min_gold: share of right answers on gold rows below which a reviewer is flagged; None
            flags nobody.
        leave_out: whether the answers of flagged reviewers are left out.

    Returns:
        JSON data. An estimate is `{"value", "low", "high", "n"}` with 95 % intervals, nulls where
        it is not defined (nobody answered; one label only, for what takes chance off). Shares
        over rows are weighted to stand for the version, with intervals between prompts.

        - `kind`: `preference` or `sft`: what the rest is about.
        - `n`: rows with answers that count; `answers`; `reviewers`; `divided`: rows on which no
          verdict had the most answers; `effective_n`: rows of equal weight worth as much.
        - `agreement`: the share of labels that people agree with, a tie or both bad counting
          half (`charter.review.answers.SCORES`); `agreement_lower`: its lower end, for gates.
        - `agreement_decided`: the same over the answers that name a winner.
        - `verdicts`: verdict -> its share of answers, ties and both bad as their own.
        - `prediction_powered`: `agreement` over the whole version with `p_chosen` as the
          prediction for every row (`charter.ppi`); the same as `agreement` while too few are wrong.
        - `kappa`: Cohen's, of the AI and a person as places on the screen; `n` counts answers.
        - `confusion`: AI's label -> people's verdict -> rows, as places; unweighted.
        - `by_principle`, `by_category`, `by_confidence`: group -> agreement; `confidence`: range
          -> mean p_chosen.
        - `critique_right`, `still_harmful`, `over_refusing`: shares of yes.
        - `people_agreement`: pairs of answers on one row that say the same; `fleiss`,
          `krippendorff`: the same beyond chance; `krippendorff_with_ai`: the AI as one more.
        - `reviewer_pairs`: of every two (`reviewers`, `agreement`, `kappa`), most rows first;
          `reviewer_pairs_left_out`: how many more there are.
        - `by_reviewer`: pseudonym -> `answers`, and `agreement` and `kappa` with the AI.
        - `first_position_rate`: answers that name the response shown first, of those that name one.
        - `gold`: pseudonym -> share of right answers, exact interval, `failed`; `gold_accuracy`,
          `gold_answers`, `min_gold`; `left_out`: pseudonyms whose answers were left out.
        - `shown`: config -> `n`, `answers`, `reviewers`, `agreement` of answers that saw the label.
        - `stale`: answers on other texts than the version's, or on rows that it lacks: not used.
    """
    return reviewed(spot_checks, version, seed, min_gold=min_gold, leave_out=leave_out)[0]


def reviewed(
    spot_checks: Iterable[SpotCheck],
    version: Version,
    seed: int,
    *,
    min_gold: float | None,
    leave_out: bool,
) -> tuple[dict[str, Any], list[CheckedRow]]:
    """The figures (see `review_figures`), and the rows with blind answers behind them."""
    checks = list(spot_checks)
    standing = Standing(version, checks, removed=True)
    gold = sort_answers(checks, standing).gold if leave_out else ()
    left_out = failed_on_gold(gold, min_gold)
    answers = sort_answers(checks, standing, left_out)
    rows = [standing.placed(row) for row in answers.blind]
    blind = _by_kind(rows)
    kinds: list[Kind] = [kind for kind in ("preference", "sft") if blind[kind]]
    first, *others = kinds or [_main(version)]
    more = {str(kind): _figures(kind, blind[kind], standing, seed) for kind in others}
    shown = {str(kind): _shown(found) for kind, found in _by_kind(answers.shown).items() if found}
    figures = {
        **_figures(first, blind[first], standing, seed),
        **gold_figures(answers.gold, min_gold),
        "left_out": sorted(left_out),
        "shown": shown,
        "stale": answers.stale,
        **more,
    }
    return figures, rows


def _main(version: Version) -> Kind:
    configs = version.configs()
    return "sft" if "sft" in configs and "preference" not in configs else "preference"


def _by_kind(rows: Iterable[CheckedRow]) -> dict[Kind, list[CheckedRow]]:
    found: dict[Kind, list[CheckedRow]] = {"preference": [], "sft": []}
    for row in rows:
        found[row.kind].append(row)
    return found


def _figures(kind: Kind, rows: list[CheckedRow], standing: Standing, seed: int) -> dict[str, Any]:
    population = standing.population() if kind == "preference" else []
    return {**row_figures(kind, rows, population, seed), **people_figures(rows, seed)}


def _shown(rows: list[CheckedRow]) -> dict[str, Any]:
    """Of answers that saw the label: it draws people to it, so it is no measure of the AI."""
    return {
        "n": len(rows),
        "answers": sum(len(row.answers) for row in rows),
        "reviewers": len({who for row in rows for who, _ in row.said}),
        "agreement": agreement(rows).estimate.as_json(),
    }

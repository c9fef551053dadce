"""The answers as the config `reviews` of the next version, and what they overrule in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charter.errors import Failure, Fault, InputError
from charter.review.overrule import Outcome, Rule, Ruling, rulings
from charter.review.received import answer_id
from charter.review.sample import category_of
from charter.review.spot_check import SpotCheck
from charter.review.store import spot_check_of
from charter.rows import Ledger, Reason

if TYPE_CHECKING:
    from charter.hub import Draft, Version
    from charter.hub.relabel import Label

__all__ = ["Publication", "merged", "publish_reviews", "review_draft"]


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published, or would be.

    Attributes:
        version: the one that the answers were added to.
        tag: of the version with them; the same where nothing is new, None for a dry run.
        path: of that version, None for a dry run.
        new: whether a version was published.
        reviews: rows of its config `reviews`.
        stale: of them, answers on texts that the version does not have.
        outcomes: what happened to labels, by `charter.review.overrule.Outcome`.
        figures: the manifest's `reviews`.
    """

    version: Version
    tag: str | None
    path: Path | None
    new: bool
    reviews: int
    stale: int
    outcomes: dict[str, int]
    figures: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """By name, plain values."""
        return {
            "repo": self.version.repo,
            "from": self.version.tag,
            "version": self.tag,
            "path": None if self.path is None else str(self.path),
            "new": self.new,
            "reviews": self.reviews,
            "stale": self.stale,
            "overruled": self.outcomes,
            "figures": self.figures,
        }


def publish_reviews(
    version: Version,
    collected: Iterable[SpotCheck],
    *,
    gone: Iterable[str] = (),
    rule: Rule = "majority",
    store: Path | None = None,
    dry_run: bool = False,
    card: str = "fail",
    seed: int = 0,
) -> Publication:
    """Publish the answers with the next version, to where `version` is from: its store, or its Hub.

    With answers alone the number moves by a patch; with labels overruled by a minor, as with any
    row that changes (in 0.x both are a patch). From a candidate it makes the next candidate of the
    same release. Where nothing is new the tag stays.

    Args:
        version: the latest release of its repo, or the last candidate of a later one.
        collected: the answers of this machine's review store.
        gone: ids of answers that were taken back: they leave the version too.
        rule: when answers overrule a label.
        store: the local store that also gets what goes to a Hub.
        dry_run: publish nothing.
        card: what becomes of a card that people changed on a Hub (`charter.hub.HubOptions`).
        seed: of the figures' intervals.

    Raises:
        InputError: nobody has answered, there is a later version, or people changed the card.
        Failure: the gate of publication did not open, or the version can't be written.
    """
    from charter.hub.beside import publisher

    verb = "publish the reviews"
    publish = publisher(version, store, verb, candidates=True, card=card, dry_run=dry_run)
    checks = merged(version, collected, gone)
    if not checks and not version.splits("reviews"):
        what, fix = "nobody has answered yet", "run `charter review collect` first"
        raise InputError(Fault(f"{version.repo}@{version.tag}", "", what, fix))
    draft, made = review_draft(version, checks, rule, seed)
    figures = dict(draft.lineage["reviews"])
    outcomes = Counter(each.outcome.value for each in made)
    told = (len(checks), int(figures.get("stale") or 0), dict(sorted(outcomes.items())), figures)
    if dry_run:
        return Publication(version, None, None, False, *told)
    done = publish(draft)
    return Publication(version, done.tag, done.path, done.new, *told)


def merged(
    version: Version, collected: Iterable[SpotCheck], gone: Iterable[str] = ()
) -> list[SpotCheck]:
    """The answers of a version and of this machine together, by row, reviewer and id.

    An answer that was published before, perhaps from another machine, stays unless it is here
    again, changed, or known to be taken back. Reviewers have other names on a machine with
    another key: what is the same but for the name and the id is one answer, under the name that
    it has here, and tells who is who, for the answers that were changed since. What was said of
    rows that were retracted went with them and stays out.
    """
    retracted = _retracted(version)
    mine = {each.id: each for each in collected if not retracted(each)}
    taken = {*gone}
    here = {_but_names(each): each.reviewer for each in mine.values()}
    there = [spot_check_of(row) for row in version.rows("reviews").to_dicts()]
    names = _names_here(there, here)
    for each in (_under(names, each) for each in there):
        if each.id not in taken and each.id not in mine and _but_names(each) not in here:
            mine[each.id] = each
    return sorted(mine.values(), key=lambda each: (each.row_id, each.reviewer, each.id))


def _names_here(there: Iterable[SpotCheck], here: Mapping[tuple[Any, ...], str]) -> dict[str, str]:
    """Reviewers of a version -> their names on this machine, where that has other ones.

    By most of the answers that are on both sides: two people may say the same in one second.
    """
    met: dict[str, Counter[str]] = {}
    for each in there:
        if (name := here.get(_but_names(each))) is not None:
            met.setdefault(each.reviewer, Counter())[name] += 1
    return {who: counts.most_common(1)[0][0] for who, counts in met.items()}


def _under(names: Mapping[str, str], answer: SpotCheck) -> SpotCheck:
    """An answer under its reviewer's name on this machine, with the id that it would have here."""
    name = names.get(answer.reviewer, answer.reviewer)
    if name == answer.reviewer:
        return answer
    named = answer_id(answer.kind, answer.row_id, answer.texts, answer.saw_ai, name)
    return replace(answer, reviewer=name, id=named)


def _retracted(version: Version) -> Callable[[SpotCheck], bool]:
    """Whether an answer is on a row, or of a prompt or source, that was taken out of the repo."""
    import polars as pl

    from charter.hub.retracted_names import named_in

    named = named_in(version.manifest.figures.get("retracted"))
    categories = {category_of(source): why for source, why in named.sources.items()}
    named = replace(named, sources=categories)
    rejects = version.rows("rejects").filter(pl.col("reason") == Reason.RETRACTED.value)
    gone = {("preference", pair) for pair in rejects["pair_id"].drop_nulls()}
    of_sft = rejects.filter(pl.col("ledger") == Ledger.SFT.value)
    gone |= {("sft", prompt) for prompt in of_sft["prompt_id"]}

    def is_gone(answer: SpotCheck) -> bool:
        # A prompt has one row of `sft`, and a reject of it names the prompt alone.
        row = answer.row_id if answer.kind == "preference" else answer.prompt_id
        names = {"id": answer.row_id, "prompt_id": answer.prompt_id, "source": answer.category}
        return (answer.kind, row) in gone or named.why(names) is not None

    return is_gone


def _but_names(answer: SpotCheck) -> tuple[Any, ...]:
    same = (answer.kind, answer.row_id, answer.texts, answer.saw_ai)
    return (*same, answer.verdict, answer.first, answer.submitted)


def review_draft(
    version: Version, checks: list[SpotCheck], rule: Rule, seed: int = 0
) -> tuple[Draft, list[Ruling]]:
    """The draft of the version with the answers, and what they change in its labels."""
    from charter.hub.beside import successor, uncounted
    from charter.hub.manifest import Lineage
    from charter.hub.number import parse_tag
    from charter.hub.relabel import reviewed_rows
    from charter.review.figures import review_figures
    from charter.review.standing import Standing

    settings = _settings(version)
    standing = Standing(version, checks)
    labels_now = _labels(version)
    checks = [_with_confidence(each, standing, labels_now) for each in checks]
    least = settings.get("min_gold_accuracy")
    figures = review_figures(checks, version, seed, min_gold=least, leave_out=True)
    # Whoever fails the rows with known answers changes no label and is in no figure of them.
    failed = frozenset(figures["left_out"])
    count = [each for each in checks if each.reviewer not in failed]
    human = {name for name, row in labels_now.items() if row["label_source"] == "human"}
    made = _with_withdrawn(rulings(checks, standing, human, rule, failed), count, labels_now)
    before = _overruled_before(version)
    labels, rejected = _changes(version, made, labels_now, before)
    rows = reviewed_rows(version, [_published(each) for each in checks], labels, rejected)
    held = _held(before, count, labels_now)
    entry = _overruled(made, labels, rejected, labels_now, held, rule)
    manifest = version.manifest
    lineage = manifest.model_dump(mode="json", include=set(Lineage.model_fields))
    lineage["figures"] = uncounted(manifest.figures)
    lineage["reviews"] = {**figures, "overruled": entry}
    tag = parse_tag(version.tag)
    wanted = "auto" if tag.final else f"{tag._replace(final=True, rc=0)}-rc"
    changed = [each for each in made if each.row_id in labels or each.row_id in rejected]
    return successor(version, rows, lineage, wanted), changed


def _overruled_before(version: Version) -> dict[str, Any]:
    """Pair id -> how people overruled its label, as the manifest of the version says."""
    reviews: dict[str, Any] = dict(version.manifest.reviews or {})
    return dict((reviews.get("overruled") or {}).get("labels") or {})


def _settings(version: Version) -> Mapping[str, Any]:
    from charter.hub.beside import mapping_in

    found = mapping_in(version.path / "recipe.yaml").get("review")
    return found if isinstance(found, dict) else {}


def _labels(version: Version) -> dict[str, dict[str, Any]]:
    columns = ["id", "prompt_id", "p_chosen", "n_votes", "label_source"]
    columns += ["prompt", "chosen", "rejected"]
    rows = version.rows("preference").select(columns).to_dicts()
    return {row["id"]: row for row in rows}


def _with_withdrawn(
    made: list[Ruling], checks: Iterable[SpotCheck], rows: Mapping[str, Mapping[str, Any]]
) -> list[Ruling]:
    """The rulings, and one for each label of people's that has lost answers it stood on.

    Whatever the rule: a label must not say that it has votes that nobody gives any more. Answers
    that hold for other texts still stand behind it; they only count no further.
    """
    there = Counter(
        each.row_id for each in checks if each.kind == "preference" and each.gold is None
    )
    settled = {each.row_id for each in made if each.outcome is not Outcome.KEPT}
    lost = {
        name: Ruling(name, str(row["prompt_id"]), Outcome.RESTORED, None, 0, there[name], None)
        for name, row in rows.items()
        if row["label_source"] == "human" and name not in settled and there[name] < row["n_votes"]
    }
    return [each for each in made if each.row_id not in lost] + list(lost.values())


def _with_confidence(
    answer: SpotCheck, standing: Any, labels: Mapping[str, Mapping[str, Any]]
) -> SpotCheck:
    """The answer with the AI label's confidence, where its record did not say it."""
    row = labels.get(answer.row_id)
    if answer.p_chosen is not None or answer.kind == "sft" or answer.gold is not None or not row:
        return answer
    if row["label_source"] != "ai" or standing(answer) is not False:
        return answer
    return replace(answer, p_chosen=float(row["p_chosen"]))


def _published(answer: SpotCheck) -> dict[str, Any]:
    """The row, its comment without keys and without addresses: nobody trains on it."""
    from charter.hub.secret_rules import SecretKind
    from charter.hub.secrets import masked

    row = answer.as_row()
    if row["comment"] is not None:
        row["comment"] = masked(row["comment"], frozenset(SecretKind))
    return row


def _changes(
    version: Version,
    made: Iterable[Ruling],
    rows: Mapping[str, Mapping[str, Any]],
    before: Mapping[str, Any],
) -> tuple[dict[str, Label], dict[str, tuple[str, str, str]]]:
    """Pair id -> its new label, and pair id -> the reject that it becomes."""
    labels: dict[str, Label] = {}
    rejected: dict[str, tuple[str, str, str]] = {}
    for each in made:
        if each.outcome is Outcome.REMOVED:
            rejected[each.row_id] = each.reject()
            continue
        known = before.get(each.row_id)
        if each.outcome is Outcome.RESTORED and not (known and known.get("p_chosen")):
            what = f"the AI's label of {each.row_id} is not known any more"
            fix = "run the recipe again, or publish with --overrule none"
            raise Failure(Fault(f"{version.repo}@{version.tag}", "reviews", what, fix))
        label = each.label(rows[each.row_id], known)
        if label is not None:
            labels[each.row_id] = label
    if rejected and len(rejected) == len(rows):
        what = "people name no winner in any pair: no row of preference would be left"
        fix = "publish with --overrule none, and mend what made the pairs"
        raise Failure(Fault(f"{version.repo}@{version.tag}", "reviews", what, fix))
    return labels, rejected


def _held(
    before: Mapping[str, Any],
    checks: Iterable[SpotCheck],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What earlier versions overruled and people still say.

    A pair that left, and whose answers were taken back since, comes back with the next run.
    """
    there = Counter(
        each.row_id for each in checks if each.kind == "preference" and each.gold is None
    )
    return {
        name: each for name, each in before.items() if name in rows or there[name] >= each["of"]
    }


def _sides(row: Mapping[str, Any], label: Label | None) -> dict[str, Any]:
    """Digests of the pair and of its chosen response under the new label; None without one."""
    from charter.hub.relabel import pair_digest, side_digest

    if label is None:
        return {"p": None, "texts": pair_digest(row), "chosen": None}
    chosen = row["rejected" if label.turn else "chosen"]
    return {"p": label.p_chosen, "texts": pair_digest(row), "chosen": side_digest(chosen)}


def _overruled(
    made: Iterable[Ruling],
    labels: Mapping[str, Label],
    rejected: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
    before: Mapping[str, Any],
    rule: Rule,
) -> dict[str, Any]:
    """What the manifest says of labels that are people's: how they voted, and the AI's own."""
    from charter.hub.relabel import overruled

    found = {name: dict(each) for name, each in before.items()}
    for each in made:
        if each.row_id not in labels and each.row_id not in rejected:
            continue
        if each.outcome is Outcome.RESTORED:
            found.pop(each.row_id, None)
            continue
        row = rows[each.row_id]
        # What the AI said, whatever people have made of it since.
        kept = found[each.row_id] if row["label_source"] == "human" else row
        found[each.row_id] = {
            "p_chosen": kept["p_chosen"],
            "n_votes": kept["n_votes"],
            "verdict": each.verdict.value if each.verdict else None,
            "votes": each.votes,
            "of": each.of,
            # By these the label goes on to the next version that a run makes (charter.hub.carry).
            **_sides(row, labels.get(each.row_id)),
        }
    return {"rule": rule, **overruled(found)}

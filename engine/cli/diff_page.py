"""The comparison of two versions as a page, and the words it shares with the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from charter.html import details, figures, page, quote, section, table, text
from charter.run.report_diff import word_diff

if TYPE_CHECKING:
    from charter.hub.diff import Diff, Sample

__all__ = ["changed_columns", "diff_page", "made_rows", "messages_text", "title"]

# Columns that are conversations: shown as texts, not as values.
_CONVERSATIONS = ("prompt", "completion", "chosen", "rejected")
_SIGNS = {-1: "del", 1: "ins"}


def title(diff: Diff) -> str:
    """What was compared with what."""
    one, other = diff.one, diff.other
    named = f"{other.repo}@{other.tag}" if other.repo != one.repo else other.tag
    return f"{one.repo}: {one.tag} to {named}"


def made_rows(diff: Diff) -> Iterator[tuple[str, str, str]]:
    """What else changed: (what, before, after)."""
    made = diff.made
    if made.schema_version[0] != made.schema_version[1]:
        yield "schema_version", str(made.schema_version[0]), str(made.schema_version[1])
    for each in made.constitution:
        yield f"constitution.{each.key}", _shown(each.before), _shown(each.after)
    for name in made.principles["removed"]:
        yield f"principle {name}", "there", ""
    for name in made.principles["added"]:
        yield f"principle {name}", "", "there"
    for name, settings in made.fields.items():
        for each in settings:
            yield f"principle {name}.{each.key}", _shown(each.before), _shown(each.after)
    if made.principles["moved"]:
        yield "order of principles", "", ", ".join(made.principles["moved"])
    for where, found in (("recipe.", made.recipe), ("", made.settings)):
        for each in found:
            yield f"{where}{each.key}", _shown(each.before), _shown(each.after)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return "" if value is None else str(value)


def messages_text(messages: Iterable[Mapping[str, Any]] | None) -> str:
    """A conversation as one text: a single message bare, several with their roles."""
    every = list(messages or ())
    if len(every) == 1:
        return str(every[0]["content"])
    return "\n".join(f"{each['role']}: {each['content']}" for each in every)


def changed_columns(sample: Sample) -> list[tuple[str, Any, Any]]:
    """The columns of a row in both versions that differ, conversations left out."""
    before, after = sample.before, sample.after
    if before is None or after is None:
        return []
    return [
        (name, before[name], after[name])
        for name in before
        if name in after and name not in _CONVERSATIONS and before[name] != after[name]
    ]


def diff_page(diff: Diff) -> str:
    """The page: counts, what the changed rows are of, what else changed, and a sample."""
    return page(title(diff), _parts(diff))


def _parts(diff: Diff) -> Iterator[str]:
    both = [(name, each) for name, each in diff.rows.items()]
    yield figures(
        (f"{name} {kind.replace('_', ' ')}", f"{each.counts[kind]:,}")
        for name, each in both
        for kind in ("added", "removed", "relabelled", "text_changed")
    )
    notes = list(diff.notes)
    if diff.split_moved:
        notes.insert(0, f"{diff.split_moved} rows stand in another split, which must not happen")
    yield "".join(f'<p class="note">{text(each)}</p>\n' for each in notes)
    kinds = list(next(iter(diff.rows.values())).counts)
    head = ("what happened", *diff.rows)
    rows = [(k.replace("_", " "), *(each.counts[k] for _, each in both)) for k in kinds]
    yield section("Rows", [table(head, rows), _note(diff)])
    totals = [(name, *n, f"{n[1] - n[0]:+,}") for name, n in diff.counts.items()]
    yield section("Counts", [table(("config", "before", "after", ""), totals)])
    if diff.rejects:
        lost = [(reason, *n, f"{n[1] - n[0]:+,}") for reason, n in diff.rejects.items()]
        yield section("Rejects", [table(("reason", "before", "after", ""), lost)])
    yield from _columns(diff)
    for config, groups in diff.by.items():
        for group, found in groups.items():
            yield section(f"{config} by {group.replace('_', ' ')}", [_group(found)])
    made = list(made_rows(diff))
    if made:
        yield section("What else changed", [table(("what", "before", "after"), made)])
    yield from _samples(diff)


def _note(diff: Diff) -> str:
    what = (
        f"Relabelled: chosen and rejected exchanged (flipped), or p_chosen moved by more than "
        f"{diff.moved:g}. A row that changed in several ways counts in each."
    )
    return f'<p class="note">{text(what)}</p>\n'


def _columns(diff: Diff) -> Iterator[str]:
    rows = [(config, n, c) for config, each in diff.rows.items() for n, c in each.columns.items()]
    if rows:
        yield section("Columns that changed", [table(("config", "column", "rows"), rows)])


def _group(found: Mapping[str, Mapping[str, int]]) -> str:
    kinds = dict.fromkeys(kind for counts in found.values() for kind in counts)
    rows = [(value, *(n.get(kind, 0) for kind in kinds)) for value, n in found.items()]
    return table(("", *(kind.replace("_", " ") for kind in kinds)), rows)


def _samples(diff: Diff) -> Iterator[str]:
    by_kind: dict[tuple[str, str], list[Sample]] = {}
    for each in diff.samples:
        by_kind.setdefault((each.config, each.kind), []).append(each)
    for (config, kind), some in by_kind.items():
        n = diff.rows[config].counts[kind]
        name = f"{config}, {kind.replace('_', ' ')}: {len(some)} of {n:,}"
        yield section(name, [details(each.id, _sample(each)) for each in some])


def _sample(sample: Sample) -> Iterator[str]:
    before, after = sample.before or {}, sample.after or {}
    for name in _CONVERSATIONS:
        texts = [messages_text(side[name]) for side in (before, after) if name in side]
        if not texts:
            continue
        if len(set(texts)) == 1:
            yield quote(name, texts[0])
        elif sample.kind == "flipped":
            yield quote(f"{name} before", texts[0])
            yield quote(f"{name} after", texts[1])
        else:
            yield _words(name, *texts)
    if changed := changed_columns(sample):
        yield table(("column", "before", "after"), changed)
    elif not (before and after):
        row = before or after
        yield table(("column", "value"), [each for each in row.items() if _plain(*each)])


def _plain(name: str, value: Any) -> bool:
    return name not in _CONVERSATIONS and name != "revisions" and value is not None


def _words(label: str, before: str, after: str) -> str:
    shown = "".join(
        f"<{_SIGNS[sign]}>{text(part)}</{_SIGNS[sign]}>" if sign else text(part)
        for sign, part in word_diff(before, after)
    )
    return f'<p class="label">{text(label)}</p><blockquote>{shown}</blockquote>\n'

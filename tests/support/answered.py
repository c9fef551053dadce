"""Answers on the rows of a published version, as they would come from people."""

from __future__ import annotations

from hashlib import sha256

from spot_checks import revision_check, spot_check

from charter.constitutions import load_constitution
from charter.review.texts import shown_texts, texts_digest


def name_of(person):
    """A pseudonym."""
    return sha256(person.encode()).hexdigest()[:16]


def answer(version, row, person, verdict, **changes):
    """A blind answer on a row as the version has it; A was `chosen` unless `first` says other."""
    row_id, kind = row, "sft" if row.endswith("#sft") else "preference"
    row = next(r for r in version.rows(kind).to_dicts() if r["id"] == row_id)
    make, first = (spot_check, "chosen") if kind == "preference" else (revision_check, None)
    first = changes.pop("first", first)
    constitution = load_constitution(version.path / "constitution.yaml")
    texts = texts_digest(shown_texts(kind, row, first, constitution))
    fields = {
        "id": sha256(repr((row_id, person, texts)).encode()).hexdigest()[:32],
        "row_id": row_id,
        "prompt_id": row["prompt_id"],
        "first": first,
        "texts": texts,
        "p_chosen": row.get("p_chosen"),
        "version": version.tag,
    }
    return make(0, name_of(person), verdict, **(fields | changes))

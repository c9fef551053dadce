"""Versions made from an older one, in a local store: nothing later is taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charter.errors import Failure, InputError
from charter.hub import list_versions, open_version, publish_local
from charter.hub.beside import publisher
from charter.hub.promote import promote_local
from charter.hub.retract import retract
from charter.hub.retract_what import What, find_rows


def test_a_candidate_does_not_bring_back_what_a_later_release_took_out(
    make_draft: Any, store: Path
) -> None:
    first = publish_local(make_draft(), store)
    candidate = publish_local(replace(make_draft(), version="v0.2.0-rc"), store)
    gone = retract(open_version(first.path), What(prompts=("p3",)), "asked for", store=store)
    assert (candidate.tag, gone.tag) == ("v0.2.0-rc.1", "v0.1.1")
    with pytest.raises(Failure, match=r"v0\.1\.1 was published after the candidate"):
        promote_local(open_version(candidate.path), store)
    # Nor does the next candidate, made from it.
    with pytest.raises(InputError, match=r"v0\.1\.1 was published after the candidate"):
        publisher(open_version(candidate.path), None, "publish the reviews", candidates=True)
    assert [str(tag) for tag in list_versions(store, first.repo) if tag.final] == [
        "v0.1.0",
        "v0.1.1",
    ]


def test_a_candidate_that_follows_the_latest_release_becomes_the_next(
    make_draft: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_local(make_draft(), store)
    candidate = publish_local(replace(make_draft(), version="v0.2.0-rc"), store)
    monkeypatch.setattr("charter.hub.promote.now", lambda: "2030-01-02T03:04:05Z")
    made = promote_local(open_version(candidate.path), store)
    assert (made.tag, made.manifest.parent) == ("v0.2.0", "v0.1.0")
    assert made.manifest.created == "2030-01-02T03:04:05Z"
    card = (made.path / "README.md").read_text()
    assert "published 2030-01-02T03:04:05Z by Charter" in card and "; it follows v0.1.0." in card
    with pytest.raises(Failure, match=r"v0\.2\.0 is published already"):
        promote_local(open_version(candidate.path), store)


def test_what_is_published_while_rows_are_taken_out_is_not_taken_back(
    make_draft: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_version(publish_local(make_draft(), store).path)
    rows = {name: [dict(row) for row in each] for name, each in make_draft().rows.items()}
    rows["sft"][0]["initial_response"] = "another's change"

    def meanwhile(*given: Any) -> Any:
        publish_local(make_draft(rows=rows), store)
        return find_rows(*given)

    monkeypatch.setattr("charter.hub.retract.find_rows", meanwhile)
    with pytest.raises(Failure, match=r"v0\.1\.1 was published in the meantime"):
        retract(first, What(prompts=("p3",)), "asked for", store=store)
    assert [str(tag) for tag in list_versions(store, first.repo)] == ["v0.1.0", "v0.1.1"]


def test_rows_that_were_made_before_a_retraction_do_not_bring_it_back(
    make_draft: Any, store: Path
) -> None:
    first = publish_local(make_draft(), store)
    why = "asked for"
    gone = retract(open_version(first.path), What(prompts=("p3",)), why, store=store)
    for version in ("auto", "rc", "v1.0.0"):
        with pytest.raises(Failure, match=r"rows were retracted in v0\.1\.1"):
            publish_local(replace(make_draft(), version=version), store)
    again = retract(open_version(gone.path), What(prompts=("p5",)), why, store=store)
    assert [str(tag) for tag in list_versions(store, first.repo)] == [
        first.tag,
        gone.tag,
        again.tag,
    ]

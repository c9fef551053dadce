"""What was taken out of a repo on a Hub, as later runs are told of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pointed import pointed

from charter.constitutions import load_constitution
from charter.hub import open_remote, publish_hub, retracted_on_hub
from charter.hub.embedded import User
from charter.hub.embedded.child import launch
from charter.hub.held import retracted_rows
from charter.hub.retract import retract
from charter.hub.retract_what import What

# The client's own, of the library beneath it.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN = "hf_owner_0123456789"
WHY = "asked for by its author"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    running = launch(tmp_path / "hub", users=[User("me", TOKEN, "write")])
    yield pointed(running.address, TOKEN, tmp_path / "hub-cache", monkeypatch)
    assert running.stop() == 0


def test_later_runs_hold_to_what_went_from_any_split(
    hub: Any, make_draft: Any, store: Path, tmp_path: Path
) -> None:
    # All rejects are of `test`, so that there is no file of the others.
    draft = make_draft(
        test=("p1", "p2", "p3"), ledgers={"records": 8, "prompts": 8, "pairs_formed": 7}
    )
    del draft.rows["rejects"][0]
    file = tmp_path / "constitution.yaml"
    file.write_text(draft.constitution_yaml)
    draft.lineage["constitution"]["fingerprint"] = load_constitution(file).fingerprint()
    publish_hub(draft, store)
    assert not retracted_on_hub("me/small")
    for tag, names in (("v0.1.0", ["p3"]), ("v0.1.1", ["p3", "p4"])):
        retract(open_remote(f"me/small@{tag}"), What(prompts=(names[-1],)), WHY, store=store)
        held = retracted_on_hub("me/small")
        assert held.sft == dict.fromkeys(names, WHY)
        assert held.pairs == {f"{name}#a~b": WHY for name in names}
    # A version of fewer prompts has no rejects of the others.
    lineage = {**draft.lineage, "figures": {"retracted": held.figure}}
    fewer = make_draft(n=3, test=("p1", "p2"), lineage=lineage)
    assert publish_hub(fewer, store).tag == "v0.1.3"
    assert retracted_on_hub("me/small") == held == retracted_rows(store, "me/small")

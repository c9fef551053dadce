"""`charter review publish` and the gate of `charter promote`, on a Hub and in a local store."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
from answered import answer, name_of
from drafts import RECIPE, draft
from on_hub import hub_environment, run_python

from charter.hub import open_version, publish_local
from charter.hub.embedded import User
from charter.hub.embedded.child import launch
from charter.review.store import Answer, ReviewStore

TOKEN = "hf_owner_0123456789"
CHARTER = "from charter.cli import main; main()"
GATED = RECIPE + "review: {min_reviews: 2, min_agreement_lower: 0.05}\n"
PUBLISH = """
import pickle, sys
from pathlib import Path
from charter.hub import publish_hub
publish_hub(pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
"""


def keep(folder, *checks):
    with ReviewStore.open("me/small", folder / "review") as store:
        store.keep("d", 1, [Answer(each, "1") for each in checks])


def test_a_candidate_is_reviewed_and_promoted_on_a_hub(tmp_path):
    made = draft(recipe_yaml=GATED, version="rc")
    (tmp_path / "draft").write_bytes(pickle.dumps(made))
    local = open_version(publish_local(made, tmp_path / "elsewhere").path)
    hub = launch(tmp_path / "hub", users=[User("me", TOKEN, "write")])
    environment = {
        **hub_environment(hub.address, TOKEN, tmp_path / "home"),
        "CHARTER_REVIEW": str(tmp_path / "review"),
    }

    def charter(*given, rc=0):
        return run_python(environment, tmp_path, CHARTER, *given, rc=rc)

    try:
        run_python(environment, tmp_path, PUBLISH, tmp_path / "draft", tmp_path / "s")
        refused = charter("promote", "me/small@v0.1.0-rc.1", rc=1)
        assert "2 more reviews: 0 of 2" in refused
        assert "agreement's lower bound was not measured" in refused
        keep(
            tmp_path,
            answer(local, "p6#a~b", "ann", "REJECTED"),
            answer(local, "p5#a~b", "ann", "CHOSEN"),
            answer(local, "p4#a~b", "ann", "CHOSEN"),
            answer(local, "p7#a~b", "ann", "TIE"),
        )
        found = json.loads(charter("review", "publish", "me/small", "--json").splitlines()[-1])
        assert (found["from"], found["version"]) == ("v0.1.0-rc.1", "v0.1.0-rc.2")
        assert found["overruled"] == {"REMOVED": 1, "TURNED": 1}
        again = json.loads(charter("review", "publish", "me/small", "--json").splitlines()[-1])
        assert (again["version"], again["new"]) == ("v0.1.0-rc.2", False)
        done = charter("promote", "me/small@v0.1.0-rc.2", "--json")
        assert json.loads(done.splitlines()[-1])["version"] == "v0.1.0"
        text = charter("diff", "me/small", "v0.1.0-rc.1", "v0.1.0", "--json")
        counts = json.loads(text.splitlines()[-1])["preference"]
        assert (counts["flipped"], counts["removed"], counts["text_changed"]) == (1, 1, 0)
    finally:
        assert hub.stop() == 0


@pytest.mark.parametrize("rule", ["majority", "none"])
def test_a_local_release_gets_its_answers(tmp_path, rule):
    store = tmp_path / "store"
    version = open_version(publish_local(draft(), store).path)
    publish_local(draft(9, version="v0.2.0-rc"), store)  # which REPO alone does not mean
    keep(tmp_path, answer(version, "p6#a~b", "ann", "REJECTED"))

    environment = {**os.environ, "CHARTER_REVIEW": str(tmp_path / "review")}

    def charter(*given, rc=0):
        return run_python(environment, tmp_path, CHARTER, *given, "--store", store, rc=rc)

    text = charter("review", "publish", "me/small", "--overrule", rule, "--dry-run")
    assert "1 answers on me/small@v0.1.0" in text
    assert ("labels turned: 1" in text) is (rule == "majority")
    assert "nothing was published" in text
    text = charter("review", "publish", "me/small", "--overrule", rule)
    assert "me/small@v0.1.1 is published in" in text
    new = open_version("me/small@v0.1.1", store=store)
    assert new.rows("reviews").height == 1
    shown = charter("show", "me/small@v0.1.1", "p6#a~b")
    # Where the label was turned, what ann called rejected is `chosen` now.
    (said,) = (line for line in shown.splitlines() if name_of("ann")[:12] in line)
    assert "people say" in shown and said.split()[1] == (
        "CHOSEN" if rule == "majority" else "REJECTED"
    )
    assert "people say" not in charter("show", "me/small@v0.1.1", "p5#a~b")
    assert "nothing of it is published" in charter("review", "publish", "me/other", rc=2)
    assert Path(store / "me/small/v0.1.1/README.md").is_file()

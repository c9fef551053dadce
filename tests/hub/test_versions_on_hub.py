"""`charter versions`, `diff`, `verify` and `retract` of a repo on a Hub, through the clients."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from on_hub import hub_environment, run_python

from charter.constitutions import load_constitution
from charter.hub.embedded import User
from charter.hub.embedded.child import launch

TOKEN = "hf_owner_0123456789"
CHARTER = "from charter.cli import main; main()"
PUBLISH = """
import pickle, sys
from pathlib import Path
from charter.hub import publish_hub
publish_hub(pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    running = launch(tmp_path / "hub", users=[User("me", TOKEN, "write")])
    yield running.address
    assert running.stop() == 0


def test_a_repo_on_a_hub_is_listed_compared_verified_and_retracted_from(
    make_draft: Any, address: str, tmp_path: Path
) -> None:
    environment = hub_environment(address, TOKEN, tmp_path / "home")

    def python(code: str, *given: object) -> str:
        return run_python(environment, tmp_path, code, *given)

    def charter(*arguments: str) -> Any:
        return json.loads(python(CHARTER, *arguments, "--json").splitlines()[-1])

    draft = make_draft()
    file = tmp_path / "constitution.yaml"
    file.write_text(draft.constitution_yaml)
    draft.lineage["constitution"]["fingerprint"] = load_constitution(file).fingerprint()
    (tmp_path / "draft").write_bytes(pickle.dumps(draft))
    python(PUBLISH, tmp_path / "draft", tmp_path / "elsewhere")

    why = ("--prompt", "p4", "--reason", "asked for")
    done = charter("retract", "me/small@v0.1.0", *why)
    assert (done["version"], done["new"]) == ("v0.1.1", True)
    assert charter("retract", "me/small@v0.1.1", *why)["new"] is False
    listed = charter("versions", "me/small")
    assert listed["versions"] == ["v0.1.0", "v0.1.1"]
    assert listed["details"][1]["retracted"]["reason"] == "asked for"
    found = charter("diff", "me/small", "v0.1.0", "v0.1.1")
    assert found["preference"]["removed"] == found["sft"]["removed"] == 1
    verified = charter("verify", "me/small@v0.1.1")
    assert verified["passed"] is True and verified["not_made"] == {}
    kept = next(check for check in verified["checks"] if check["check"] == "gate.kept")
    assert kept["detail"].endswith("prompts of all versions on its Hub keep their splits")

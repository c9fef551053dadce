"""Rounds that are published on a Hub: versions that verify, and a model for each round."""

from __future__ import annotations

import json

import pytest
from on_hub import hub_environment, run_python

from charter.hub.embedded import User
from charter.hub.embedded.child import launch

TOKEN = "hf_owner_0123456789"
LOOK = """
import json, sys
from charter.hub.diff import diff_versions
from charter.hub.remote import open_remote
from charter.hub.verify import verify_version
from huggingface_hub import HfApi
from transformers import AutoModelForCausalLM
api = HfApi()
refs = api.list_repo_refs("me/rounds", repo_type="model")
main = api.list_repo_files("me/rounds", repo_type="model")
tags = {}
for ref in refs.tags:
    AutoModelForCausalLM.from_pretrained("me/rounds", revision=ref.name)
    path = api.hf_hub_download("me/rounds", "charter.json", revision=ref.name)
    tags[ref.name] = [ref.target_commit, json.load(open(path))["dataset"]["tag"]]
opened = [open_remote(name) for name in sys.argv[1:]]
passed = [verify_version(each).passed for each in opened]
changed = [diff_versions(*pair).as_json() for pair in zip(opened, opened[2:])]
branches = [ref.name for ref in refs.branches]
found = {"passed": passed, "changed": changed, "tags": tags, "main": main, "branches": branches}
print(json.dumps(found))
"""
EDIT = """
import sys
from huggingface_hub import HfApi
api = HfApi()
api.upload_file(
    path_or_fileobj=b"Read this first.", path_in_repo="README.md", repo_id=sys.argv[1],
    repo_type="dataset",
)
print("{}")
"""


@pytest.mark.slow
def test_every_round_is_on_the_hub(serve, good_script, rounds_file, tmp_path):
    hub = launch(tmp_path / "hub", users=[User("me", TOKEN, "write")])
    environment = {
        **hub_environment(hub.address, TOKEN, tmp_path / "home"),
        "OMP_NUM_THREADS": "1",
    }

    def python(code, *given):
        printed = run_python(environment, tmp_path, code, *given)
        return json.loads(printed.splitlines()[-1])

    charter = "from charter.cli import main; main()"
    path = rounds_file(serve(good_script).url)
    more = ("publish.to=hub", "improve.models=me/rounds")
    command = ["improve", path, "--json", *(p for each in more for p in ("--set", each))]
    try:
        found = python(charter, *command)
        versions = [v for each in found["rounds"][1:] for v in each["versions"].values()]
        assert len(set(versions)) == 4

        looked = python(LOOK, *versions)
        assert looked["passed"] == [True] * 4
        # The revisions of the two rounds, and their pairs.
        sft, pairs = looked["changed"]
        assert sum(sft["sft"].values()) > 0 and sum(pairs["preference"].values()) > 0
        tags = [f"{found['loop']}-round-{number}" for number in (1, 2)]
        assert sorted(looked["tags"]) == tags
        assert set(looked["branches"]) == {"main", "rounds"}
        pushed = found["pushed"]
        for number, tag in enumerate(tags, 1):
            commit, dataset = looked["tags"][tag]
            assert pushed[tag]["commit"] == commit
            assert found["rounds"][number]["versions"]["judge"].endswith(f"@{dataset}")
        best = found["best"]["round"]
        assert ("main" in pushed) == (best > 0) == ("config.json" in looked["main"])

        # Once more: all is there, and no ref has moved.
        assert python(charter, *command)["pushed"] == pushed
        assert python(LOOK, *versions) == looked

        # Somebody writes into the card, and another loop comes to publish beside it.
        python(EDIT, versions[0].partition("@")[0])
        another = [*command, "--rounds", "1", "--limit", "6"]
        told = run_python(environment, tmp_path, charter, *another, rc=2)
        assert "people have changed the card" in told and "--card replace" in told
        found = python(charter, *another, "--card", "replace")
        assert len(found["rounds"]) == 2
    finally:
        assert hub.stop() == 0

"""A whole run against a scripted server: what is published, what is counted, what is said twice."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from charter.errors import Failure, InputError, Interrupted
from charter.recipes import load_recipe
from charter.rows import digest
from charter.run import run_recipe
from charter.run.progress import Silent


def rows_of(result, config):
    from charter.hub import open_version

    version = open_version(result.published.path)
    return version.rows(config, None).to_dicts() if config in version.configs() else []


def test_a_run_publishes_four_configs_that_datasets_opens(
    serve, good_script, recipe_file, tmp_path
):
    import datasets

    result = run_recipe(load_recipe(recipe_file(serve(good_script).url, 12)), tmp_path / "out")
    assert result.published.tag == "v0.1.0" and result.published.new
    for config, count in result.counts.items():
        if count:
            loaded = datasets.load_dataset(
                str(result.published.path), config, cache_dir=str(tmp_path / "hf")
            )
            assert sum(split.num_rows for split in loaded.values()) == count
    assert (result.folder / "report.html").is_file()
    state = json.loads((result.folder / "state.json").read_text())
    assert state["status"] == "done" and state["version"].endswith("@v0.1.0")


def test_the_same_run_again_asks_nothing_and_makes_no_version(
    serve, good_script, recipe_file, tmp_path
):
    server = serve(good_script)
    loaded = load_recipe(recipe_file(server.url, 12))
    first = run_recipe(loaded, tmp_path / "out")
    asked = len(server.requests)
    second = run_recipe(loaded, tmp_path / "out")
    assert len(server.requests) == asked
    assert second.published.tag == first.published.tag and not second.published.new
    assert second.as_json()["cached_calls"] == second.as_json()["calls"] == asked


def test_two_stores_get_the_same_bytes(serve, good_script, recipe_file, tmp_path):
    loaded = load_recipe(recipe_file(serve(good_script).url, 12))
    paths = [run_recipe(loaded, tmp_path / name).published.path for name in ("one", "two")]
    names = [
        sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()) for path in paths
    ]
    assert names[0] == names[1]
    for name in names[0]:
        if name not in ("README.md", "charter.json"):
            assert (paths[0] / name).read_bytes() == (paths[1] / name).read_bytes(), name


def test_added_prompts_are_the_next_version_and_keep_their_splits(
    serve, good_script, recipe_file, tmp_path
):
    server = serve(good_script)
    first = run_recipe(load_recipe(recipe_file(server.url, 20)), tmp_path / "out")
    asked = len(server.requests)
    second = run_recipe(load_recipe(recipe_file(server.url, 30)), tmp_path / "out")
    assert second.published.tag == "v0.1.1"
    assert len(server.requests) - asked == 10 * 6
    from charter.hub import open_version

    one, two = (open_version(r.published.path) for r in (first, second))
    for split in one.splits("sft"):
        before = set(one.rows("sft", split)["id"])
        assert before <= set(two.rows("sft", split)["id"])


def test_near_duplicates_go_to_one_split_and_a_system_prompt_makes_none(
    serve, good_script, recipe_file, tmp_path
):
    """Those that come later, and before it in the file, go where the published one is."""
    from charter.hub import open_version

    path = recipe_file(serve(good_script).url)
    shared = {"role": "system", "content": " ".join(digest("s", k)[:8] for k in range(99))}
    asked = [f"Who was {digest(k)[:24]}?" for k in range(8)]

    def written(*prompts):
        lines = [
            {"id": name, "prompt": [shared, {"role": "user", "content": text}]}
            for name, text in prompts
        ]
        (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
        loaded = load_recipe(path, ["prompts.test_fraction=0.5"])
        version = open_version(run_recipe(loaded, tmp_path / "out").published.path)
        return {
            row: split
            for split in ("train", "test")
            for row in version.rows("sft", split)["prompt_id"]
        }

    old = [(f"old-{k}", text) for k, text in enumerate(asked)]
    before = written(*old)
    assert {*before.values()} == {"train", "test"}
    after = written(*((f"new-{k}", f"{text} ") for k, text in enumerate(asked)), *old)
    assert after == before | {name.replace("old", "new"): split for name, split in before.items()}


def test_the_three_ledgers_add_up_when_things_fail(
    serve, good_script, recipe_file, tmp_path, replies
):
    def script(body):
        text = json.dumps(body["messages"])
        if body["seed"] % 11 == 0:
            return 400, {}, b"this conversation exceeds the context length in tokens"
        if body["seed"] % 7 == 0:
            return replies.say("  ")
        if body["seed"] % 5 == 0 and "[response A" in text:
            return replies.say("no idea")
        return good_script(body)

    path = recipe_file(
        serve(script).url, 40, preference={"candidates": 4, "sources": ["sampled", "revised"]}
    )
    bad = tmp_path / "prompts.jsonl"
    good_lines = bad.read_bytes()
    bad.write_bytes(
        b'{"id": "p1"}\nnot json\n\xff\xfe\n{"id": "e", "prompt": " "}\n'
        + good_lines
        + good_lines.splitlines()[0]
    )
    result = run_recipe(load_recipe(path, ["run.max_reject_rate=1"]), tmp_path / "out")
    rejects = rows_of(result, "rejects")
    ledger = Counter(row["ledger"] for row in rejects)
    prompts = 40
    records = prompts + ledger["input"]
    assert records == 4 + 40 + 1
    assert prompts == result.counts["sft"] + ledger["sft"]
    of_pairs = [r for r in rejects if r["ledger"] == "preference"]
    without = [r["prompt_id"] for r in of_pairs if not r["pair_id"]]
    with_pair = [r for r in of_pairs if r["pair_id"]]
    # Each prompt forms its six pairs or has one reject without a pair.
    assert (prompts - len(without)) * 6 == result.counts["preference"] + len(with_pair)
    assert len(set(without)) == len(without)
    assert {"CONTEXT_OVERFLOW", "EMPTY_RESPONSE", "NOT_UTF8", "NOT_JSON"} <= {
        r["reason"] for r in rejects
    }


@pytest.mark.parametrize(
    "blocks",
    [
        {"sft": False, "preference": {"sources": ["sampled"], "candidates": 2}},
        {"preference": False},
        {"sft": {"rounds": 2, "principles": "all"}},
        {"sft": {"rounds": 3, "principles": {"brief": 2.0}}},
        {"preference": {"sources": ["initial", "revised"], "pairs": "revised-vs-initial"}},
        {"preference": {"principles": "all", "candidates": 3, "sources": ["initial", "sampled"]}},
        {"prompts": {"test_fraction": 0.0}},
        {"prompts": {"test_fraction": 0.95}},
    ],
    ids=str,
)
def test_each_kind_of_recipe_runs(serve, good_script, recipe_file, tmp_path, blocks):
    from charter.constitutions import load_constitution, shipped_constitutions

    if isinstance(blocks.get("sft"), dict) and isinstance(blocks["sft"]["principles"], dict):
        first = load_constitution(shipped_constitutions()["concise"]).principles[0].id
        blocks = {"sft": {"rounds": 3, "principles": {first: 2.0}}}
    path = recipe_file(serve(good_script).url, 8)
    overrides = [
        f"{name}.{key}={json.dumps(value)}"
        if isinstance(block, dict)
        else f"{name}={json.dumps(block)}"
        for name, block in blocks.items()
        for key, value in (block.items() if isinstance(block, dict) else [("", "")])
    ]
    result = run_recipe(load_recipe(path, overrides), tmp_path / "out")
    assert result.published.new
    assert result.counts["sft"] == (0 if blocks.get("sft") is False else 8)
    assert bool(result.counts["judgments"]) == (blocks.get("preference") is not False)


def test_a_broken_server_leaves_no_version_and_the_next_run_goes_on(
    serve, good_script, recipe_file, tmp_path
):
    server = serve(good_script)
    asked = iter(range(10**6))
    server.script = lambda body: good_script(body) if next(asked) < 50 else (500, {}, b"")
    path = recipe_file(server.url, 30, run={"retries": 0, "in_flight": 4})
    with pytest.raises(Failure):
        run_recipe(load_recipe(path), tmp_path / "out")
    assert not list((tmp_path / "out").glob("versions/*/*/v*"))
    server.script = good_script
    before = len(server.requests)
    result = run_recipe(load_recipe(path), tmp_path / "out")
    assert len(server.requests) - before == 30 * 6 - 50
    assert result.published.tag == "v0.1.0"


def test_no_usable_prompt_is_an_error(serve, good_script, recipe_file, tmp_path):
    path = recipe_file(serve(good_script).url)
    (tmp_path / "prompts.jsonl").write_text('{"text": "hello"}\n')
    with pytest.raises(InputError, match=r"prompts\.columns\.prompt"):
        run_recipe(load_recipe(path), tmp_path / "out")


def test_a_second_process_in_the_same_run_is_refused(serve, good_script, recipe_file, tmp_path):
    from charter.recipes import read_prompts
    from charter.run.folder import RunFolder

    loaded = load_recipe(recipe_file(serve(good_script).url))
    with (
        RunFolder(tmp_path / "out" / "runs", loaded, read_prompts(loaded)),
        pytest.raises(Failure, match="another process"),
    ):
        run_recipe(loaded, tmp_path / "out")


def test_nothing_of_the_key_is_left_behind(serve, good_script, recipe_file, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    run_recipe(load_recipe(recipe_file(serve(good_script).url)), tmp_path / "out")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"sk-very-secret" not in path.read_bytes(), path


def test_a_tag_that_is_none_is_told_before_anything_is_asked(
    serve, good_script, recipe_file, tmp_path
):
    server = serve(good_script)
    with pytest.raises(InputError, match=r'"1.0.0" is no version tag'):
        run_recipe(load_recipe(recipe_file(server.url, 3)), tmp_path / "out", version="1.0.0")
    assert not server.requests


def test_a_run_that_is_interrupted_outside_of_its_walk_says_so(
    serve, good_script, recipe_file, tmp_path
):
    class Impatient(Silent):
        def say(self, line):
            if line == "checking and writing the version":
                raise KeyboardInterrupt

    loaded = load_recipe(recipe_file(serve(good_script).url, 3))
    with pytest.raises(Interrupted, match="run the same command again"):
        run_recipe(loaded, tmp_path / "out", Impatient())
    (events,) = (tmp_path / "out" / "runs").glob("*/events.jsonl")
    last = json.loads(events.read_text().splitlines()[-1])
    assert last["event"] == "stopped" and "interrupted" in last["what"]
    assert run_recipe(loaded, tmp_path / "out").published.new

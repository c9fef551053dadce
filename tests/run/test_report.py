"""The report: whole without the run's rows, and no text in it is ever anything but text."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from charter.constitutions import load_constitution, shipped_constitutions
from charter.hub import open_version
from charter.recipes import load_recipe
from charter.run import report_browse, report_data, run_recipe
from charter.run.report import write_report
from charter.run.report_data import read_shown, sample
from charter.run.report_diff import word_diff
from charter.run.report_events import read_history

EVIL = (
    "</script><script>alert(1)</script><!-- \"><img src=x onerror=alert(2)> '</blockquote>"
    " \u202eright to left \x00\x1b[2J \u2028 {{x}} & &lt; </title>"
)
VOID = {"meta", "img", "input", "br"}


class Page(HTMLParser):
    """A page's elements, sure to be balanced, and its data."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.data: dict[str, str] = {}
        self._script = ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "script":
            self._script = dict(attrs).get("id") or "main"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-5:])
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.data[self._script] = self.data.get(self._script, "") + data
        elif "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts)


def run_and_read(recipe_path, out):
    result = run_recipe(load_recipe(recipe_path), out)
    return result, Page((result.folder / "report.html").read_text(encoding="utf-8"))


def entries(page, name):
    return json.loads(page.data[f"{name}-data"])


def both(changes):
    """The two texts of a diff."""
    before = "".join(said for kind, said in changes if kind <= 0)
    return before, "".join(said for kind, said in changes if kind >= 0)


def test_a_report_shows_the_rows_with_what_each_revision_changed(
    serve, good_script, recipe_file, tmp_path
):
    path = recipe_file(serve(good_script).url, 30, sft={"rounds": 2})
    result, page = run_and_read(path, tmp_path / "out")
    version = open_version(result.published.path)
    rows = {row["id"]: row for row in version.rows("sft").to_dicts()}
    traces = entries(page, "traces")
    assert len(traces) == len(rows) == 30
    for trace in traces:
        row = rows[trace["t"].split(":")[0]]
        assert trace["i"] == row["initial_response"]
        before = row["initial_response"]
        for each, revision in zip(trace["r"], row["revisions"], strict=True):
            assert both(each["d"]) == (before, revision["revision"])
            assert (each["k"], each["c"]) == (revision["principle_id"], revision["critique"])
            before = revision["revision"]
    pairs = {pair["t"].split(":")[0]: pair for pair in entries(page, "pairs")}
    kept = version.rows("preference").to_dicts()
    assert set(pairs) == {row["id"] for row in kept}
    for row in kept:
        assert pairs[row["id"]]["y"] == row["chosen"][-1]["content"]
        assert len(pairs[row["id"]]["v"]) == row["n_votes"]
        side = "A" if "revise" in row["chosen"][-1]["content"] else "B"
        assert f"{side} was chosen" in pairs[row["id"]]["f"]
    # Without the script the first ones stand there.
    assert page.elements["details"] == 20 + min(20, len(kept))
    for figure in ("Position bias", "Verdicts", "Rejects by reason", "Lengths of initial"):
        assert figure in page.text
    assert result.published.tag in page.text


def test_the_winner_of_a_pair_is_the_one_by_the_recipes_own_weights(
    serve, good_script, replies, recipe_file, tmp_path
):
    """To the constitution both principles weigh the same, and each pair would be a tie."""
    constitution = load_constitution(shipped_constitutions()["concise"])
    principles = constitution.principles[:2]
    lighter = principles[1].comparison.split(".")[0]

    def script(body):
        answer = good_script(body)
        if lighter not in body["messages"][-1]["content"]:
            return answer
        said = json.loads(answer[2])["choices"][0]["message"]["content"]
        return replies.say({"A": "B", "B": "A"}.get(said, said))

    preference = {"principles": {principles[0].id: 3.0, principles[1].id: 1.0}}
    _, page = run_and_read(recipe_file(serve(script).url, 6, preference=preference), tmp_path / "o")
    pairs = entries(page, "pairs")
    assert pairs
    for pair in pairs:
        side = "A" if "revise" in pair["y"] else "B"
        assert f"{side} was chosen" in pair["f"]


def test_a_report_needs_nothing_from_outside_and_runs_its_own_code_alone(
    serve, good_script, recipe_file, tmp_path
):
    result, page = run_and_read(recipe_file(serve(good_script).url, 6), tmp_path / "out")
    source = (result.folder / "report.html").read_text(encoding="utf-8")
    assert not {"link", "img", "iframe", "object", "base", "form"} & set(page.elements)
    for _, name, _value in page.attributes:
        assert not name.startswith("on") and name not in ("src", "href", "style", "action")
    (policy,) = [v for _, name, v in page.attributes if name == "content" and "default" in v]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for tag, code in (
        ("style", re.search("<style>(.*?)</style>", source, re.DOTALL).group(1)),
        ("script", page.data["main"]),
    ):
        found = b64encode(sha256(code.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{found}'" in policy


def test_hostile_texts_stay_texts(serve, recipe_file, replies, tmp_path):
    def script(body):
        if replies.role_of(body) == "judge":
            parts = body["messages"][-1]["content"].split("[response ")
            return replies.say(f"{'A' if parts[1][20:] > parts[2][20:] else 'B'}\n{EVIL}")
        return replies.say(f"{EVIL} {body['seed']}")

    path = recipe_file(serve(script).url, 8, preference={"keep": "margin"})
    lines = [json.dumps({"id": f"{i}'\"><b>", "prompt": f"{EVIL} {i * 37}?"}) for i in range(8)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))
    result, page = run_and_read(path, tmp_path / "out")
    assert result.counts["sft"] == 8
    assert page.elements["script"] == 3 and "img" not in page.elements
    trace = entries(page, "traces")[0]
    assert trace["i"].startswith(EVIL) and trace["p"][0][1].startswith(EVIL)
    source = (result.folder / "report.html").read_bytes()
    assert b"\x00" not in source and b"\x1b" not in source
    assert "onerror=alert(2)" in page.text  # as a text
    assert all(name != "onerror" for _, name, _ in page.attributes)


@pytest.mark.parametrize(
    "blocks",
    [
        {"preference": False},
        {"sft": False, "preference": {"sources": ["sampled"], "candidates": 2}},
        {"sft": {"rounds": 3, "principles": {"brief": 2.0}}},
        {"preference": {"sources": ["initial", "revised"], "pairs": "revised-vs-initial"}},
        {"preference": {"mode": "logprob", "keep": "margin", "principles": 2}},
    ],
    ids=str,
)
def test_every_kind_of_recipe_has_a_report(serve, good_script, recipe_file, tmp_path, blocks):
    result, page = run_and_read(recipe_file(serve(good_script).url, 6, **blocks), tmp_path / "out")
    assert ("traces-data" in page.data) == bool(result.counts["sft"])
    assert ("pairs-data" in page.data) == bool(result.counts["preference"])
    (result.folder / "events.jsonl").unlink()
    write_report(result.folder / "report.html", load_recipe(tmp_path / "recipe.yaml"), result)
    assert "too short" in Page((result.folder / "report.html").read_text()).text


def test_a_judge_that_likes_the_first_place_is_seen_and_no_pair_is_kept(
    serve, good_script, recipe_file, replies, tmp_path
):
    def script(body):
        return replies.say("A") if replies.role_of(body) == "judge" else good_script(body)

    result, page = run_and_read(recipe_file(serve(script).url, 8), tmp_path / "out")
    assert result.counts["preference"] == 0 and "pairs-data" not in page.data
    assert "There is none in this version." in page.text
    votes = read_shown(open_version(result.published.path)).votes
    assert (votes.first.value, votes.p_first, votes.flips.value) == (1.0, 1.0, 1.0)
    assert votes.flips.n == result.summary.pairs_judged
    assert all(agree.value == 0.0 for _, _, _, agree in votes.principles)
    assert "TIE (preference)" in page.text


def test_calls_that_failed_are_named_with_what_the_server_said(
    serve, good_script, recipe_file, tmp_path
):
    def script(body):
        if body["seed"] % 4 == 0:
            return 400, {}, b"this conversation exceeds the context length in tokens"
        return good_script(body)

    path = recipe_file(serve(script).url, 20, run={"retries": 0, "max_reject_rate": 1.0})
    result, page = run_and_read(path, tmp_path / "out")
    assert result.summary.faults
    assert "CONTEXT_OVERFLOW" in page.text and "context length" in page.text


def test_samples_are_spread_and_bounded(serve, good_script, recipe_file, tmp_path, monkeypatch):
    path = recipe_file(serve(good_script).url, 40, preference=False)
    result = run_recipe(load_recipe(path), tmp_path / "out")
    version = open_version(result.published.path)
    everything = [row["id"] for row in version.rows("sft").to_dicts()]
    assert [row["id"] for row in sample(version, "sft", 40)] == everything
    assert [row["id"] for row in sample(version, "sft", 7)] == everything[::6]
    figures = read_shown(version)
    monkeypatch.setattr(report_data, "_BATCH_ROWS", 5)
    assert [row["id"] for row in sample(version, "sft", 7)] == everything[::6]
    assert read_shown(version) == figures
    monkeypatch.setattr(report_browse, "_BYTES", 4000)
    monkeypatch.setattr(report_browse, "_CUT", 30)
    write_report(tmp_path / "r.html", load_recipe(path), result)
    page = Page((tmp_path / "r.html").read_text())
    assert len(page.data["traces-data"].encode()) < 4500
    assert 0 < len(entries(page, "traces")) < 40
    assert all(len(trace["i"]) < 70 for trace in entries(page, "traces"))


def test_the_log_of_several_sessions_is_read_as_one(tmp_path):
    log = tmp_path / "events.jsonl"

    def tick(seconds, cost=0.5):
        facts = {"seconds": seconds, "calls_per_s": 10.0, "tokens_per_s": 100.0, "cost": cost}
        servers = {"in_flight": {"a": 3, "b": 4}, "limits": {"a": 8, "b": 8}}
        return json.dumps({"at": "x", "event": "tick", **facts, **servers})

    start = json.dumps({"at": "x", "event": "start", "run": "r"})
    lines = [start, tick(2), tick(4, 1.5), '{"at": "2', "[1]", start, tick(2, 0.25)]
    failed = {"event": "call_failed", "step": "respond", "prompt_id": "p", "error": "no\n way"}
    lines += [json.dumps(failed)] * 3 + ['{"event": "tick", "seconds": "often"}']
    lines += ['{"event": "server_gone", "step": "respond", "error": "down"}']
    log.write_bytes("\n".join(lines).encode() + b"\n\xff{")
    found = read_history(log)
    assert (found.sessions, found.resumed) == (2, [4.0])
    assert [t.seconds for t in found.ticks[:3]] == [2.0, 4.0, 6.0]
    assert (found.ticks[0].in_flight, found.ticks[0].limit) == (7.0, 16.0)
    assert found.errors == {("respond", "no way"): 3}
    log.write_text("\n".join([start, tick(1, None), start, tick(1)]))
    assert read_history(log).cost is None
    log.write_text("\n".join([start, *(tick(k) for k in range(5001))]))
    ticks = read_history(log).ticks
    assert 400 <= len(ticks) <= 800 and ticks[-1].seconds == 5000.0
    assert read_history(tmp_path / "none").ticks == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("the same", "the same"),
        ("", "all new"),
        ("one two three", "one 2 three"),
        ("one two", "one two three"),
        ("tail stays here", "here"),
        ("a  b\n\n c", "a b c"),
        ("yes " * 3000, "yes no " * 2000),
        ("x y " * 500, "y x " * 500),
    ],
)
def test_a_diff_gives_back_both_texts(before, after):
    changes = word_diff(before, after)
    assert both(changes) == (before, after)
    assert all(said for _, said in changes)


def test_a_diff_names_the_words_that_changed():
    changes = word_diff("You should never do that, friend.", "You should not do that, friend.")
    assert changes == [(0, "You should "), (-1, "never "), (1, "not "), (0, "do that, friend.")]

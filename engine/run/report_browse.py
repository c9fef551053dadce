"""The browsers of a report: revisions with what they changed, and judged pairs with their votes.

Both are lists that a little script filters; without it the first few of each can be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from charter.constitutions import Constitution
from charter.html import details, embedded, quote, table, text
from charter.hub import Version
from charter.pipeline import keep_rule
from charter.recipes import Loaded
from charter.rows import Row
from charter.run.report_data import sample, votes_on
from charter.run.report_diff import Change, word_diff
from charter.steps.keep import KeepRule, label_votes
from charter.steps.principles import principle_weights

__all__ = ["SCRIPT", "pair_browser", "trace_browser"]

MOST = 300  # entries
_CUT = 4000  # characters of one text
_RAW = 300  # characters of what a judge said
_BYTES = 2_500_000  # of one browser's data
_STATIC = 20  # entries that can be read without the script

Entry = dict[str, Any]


def _cut(said: str | None, most: int = _CUT) -> str:
    """A text, and where it is cut, how much is missing."""
    said = said or ""
    return said if len(said) <= most else f"{said[:most]} […{len(said) - most:,} characters more]"


def _prompt(row: Row) -> list[list[str]]:
    return [[message["role"], _cut(message["content"])] for message in row["prompt"]]


def _title(row: Row) -> str:
    said = " ".join(str(row["prompt"][-1]["content"]).split())
    return f"{row['id']}: {said[:90]}{'…' if len(said) > 90 else ''}"


def _bounded(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that fit."""
    found: list[Entry] = []
    size = 0
    for entry in entries:
        size += len(json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace"))
        if size > _BYTES and found:
            break
        found.append(entry)
    return found


def trace_browser(version: Version, constitution: Constitution) -> list[str]:
    """The browser of revisions; what it returns is HTML."""
    rows = sample(version, "sft", MOST)
    entries = _bounded(_trace(row) for row in rows if row["revisions"])
    count = sum(version.manifest.counts.get("sft", {}).values())
    return _browser("traces", entries, count, constitution, _trace_html)


def _trace(row: Row) -> Entry:
    before = _cut(row["initial_response"])
    rounds = []
    for entry in row["revisions"]:
        after = _cut(entry["revision"])
        changes = word_diff(before, after)
        rounds.append({"k": entry["principle_id"], "c": _cut(entry["critique"]), "d": changes})
        before = after
    return {
        "t": _title(row),
        "k": [each["k"] for each in rounds],
        "p": _prompt(row),
        "i": _cut(row["initial_response"]),
        "r": rounds,
    }


def _trace_html(entry: Entry) -> list[str]:
    parts = [quote(role, said) for role, said in entry["p"]]
    parts.append(quote("initial response", entry["i"]))
    for number, each in enumerate(entry["r"], 1):
        parts.append(quote(f"critique {number} ({each['k']})", each["c"]))
        parts.append(f'<p class="label">revision {number}</p>{_changes_html(each["d"])}')
    return parts


def _changes_html(changes: Sequence[Change]) -> str:
    marks = {-1: "del", 1: "ins"}
    shown = [
        f"<{marks[kind]}>{text(said)}</{marks[kind]}>" if kind else text(said)
        for kind, said in changes
    ]
    return f"<blockquote>{''.join(shown)}</blockquote>\n"


def pair_browser(version: Version, loaded: Loaded) -> list[str]:
    """The browser of judged pairs that were kept; what it returns is HTML."""
    preference, constitution = loaded.recipe.preference, loaded.constitution
    assert preference
    rows = sample(version, "preference", MOST)
    votes = votes_on(version, [row["id"] for row in rows])
    rule = keep_rule(loaded)
    weights = principle_weights(constitution, preference.principles)
    entries = _bounded(_pair(row, votes.get(row["id"], []), rule, weights) for row in rows)
    count = sum(version.manifest.counts.get("preference", {}).values())
    return _browser("pairs", entries, count, constitution, _pair_html)


def _pair(
    row: Row, votes: Sequence[Row], rule: KeepRule | None, weights: dict[str, float]
) -> Entry:
    return {
        "t": _title(row),
        "k": list(row["principle_ids"]),
        "p": _prompt(row),
        "y": _cut(row["chosen"][-1]["content"]),
        "n": _cut(row["rejected"][-1]["content"]),
        "f": _label_said(row, votes, rule, weights),
        "v": [
            [
                vote["principle_id"],
                vote["order"],
                vote["verdict"],
                "" if vote["p_a"] is None else f"{vote['p_a']:.4f}",
                _cut(vote["raw"], _RAW),
            ]
            for vote in votes
        ],
    }


def _label_said(
    row: Row, votes: Sequence[Row], rule: KeepRule | None, weights: dict[str, float]
) -> str:
    orders = "agree" if row["order_consistent"] else "disagree"
    parts = [f"p(chosen) {row['p_chosen']:.4f}", f"the orders {orders}"]
    if votes:
        names = {side: votes[0][f"candidate_{side.lower()}"] for side in "AB"}
        parts.append(f"A is {names['A']}, B is {names['B']}")
        # The rows do not say which of the two was chosen, but the votes and the rule do.
        if rule is not None and row["label_source"] == "ai":
            winner = label_votes(votes, rule, weights).winner
            parts += [f"{winner} was chosen"] if winner else []
    return ", ".join([*parts, f"label by {row['label_source']}"])


_VOTES = ("principle", "order", "verdict", "p(A)", "the judge said")


def _pair_html(entry: Entry) -> list[str]:
    parts = [quote(role, said) for role, said in entry["p"]]
    parts += [quote("chosen", entry["y"]), quote("rejected", entry["n"])]
    parts.append(f'<p class="label">{text(entry["f"])}</p>')
    if entry["v"]:
        parts.append(table(_VOTES, entry["v"]))
    return parts


def _browser(
    name: str,
    entries: Sequence[Entry],
    count: int,
    constitution: Constitution,
    shown: Callable[[Entry], list[str]],
) -> list[str]:
    """The list, what filters it, and its data."""
    if not entries:
        return ['<p class="note">There is none in this version.</p>']
    met = {principle for entry in entries for principle in entry["k"]}
    names = {p.id: p.name for p in constitution.principles}
    options = "".join(
        f'<option value="{text(each)}">{text(each)}: {text(names.get(each, ""))}</option>'
        for each in sorted(met)
    )
    first = "".join(details(entry["t"], shown(entry)) for entry in entries[:_STATIC])
    note = f"{len(entries):,} of {count:,} rows, taken evenly from all of them."
    return [
        f'<p class="note">{note} <span id="{name}-count"></span></p>'
        f'<div class="controls" id="{name}-controls" hidden>'
        f'<label>principle <select id="{name}-principle">'
        f'<option value="">all</option>{options}</select></label>'
        f'<label>text <input type="search" id="{name}-text"></label></div>\n'
        f'<div id="{name}-list">{first}</div>\n',
        embedded(f"{name}-data", list(entries)),
    ]


SCRIPT = """
"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const make = (tag, said, look) => {
    const node = document.createElement(tag);
    if (said !== undefined) node.textContent = said;
    if (look) node.className = look;
    return node;
  };
  const quote = (box, label, said) => {
    box.append(make("p", label, "label"), make("blockquote", said));
  };
  const changes = (box, label, parts) => {
    const whole = make("blockquote");
    for (const [kind, said] of parts) {
      whole.append(kind ? make(kind < 0 ? "del" : "ins", said) : said);
    }
    box.append(make("p", label, "label"), whole);
  };
  const table = (box, head, rows) => {
    const whole = make("table");
    const top = make("tr");
    for (const said of head) top.append(make("th", said));
    whole.append(top);
    for (const row of rows) {
      const line = make("tr");
      for (const said of row) line.append(make("td", said));
      whole.append(line);
    }
    box.append(whole);
  };
  const trace = (box, entry) => {
    for (const [role, said] of entry.p) quote(box, role, said);
    quote(box, "initial response", entry.i);
    entry.r.forEach((each, k) => {
      quote(box, `critique ${k + 1} (${each.k})`, each.c);
      changes(box, `revision ${k + 1}`, each.d);
    });
  };
  const pair = (box, entry) => {
    for (const [role, said] of entry.p) quote(box, role, said);
    quote(box, "chosen", entry.y);
    quote(box, "rejected", entry.n);
    box.append(make("p", entry.f, "label"));
    if (entry.v.length) {
      table(box, ["principle", "order", "verdict", "p(A)", "the judge said"], entry.v);
    }
  };
  const words = (value) => typeof value === "string" ? value
    : Array.isArray(value) ? value.map(words).join("\\n")
    : value && typeof value === "object" ? Object.values(value).map(words).join("\\n") : "";
  const browse = (name, fill) => {
    const data = by(`${name}-data`);
    if (!data) return;
    const list = by(`${name}-list`), choice = by(`${name}-principle`), input = by(`${name}-text`);
    list.textContent = "";
    const items = JSON.parse(data.textContent).map((entry) => {
      const node = make("details");
      node.append(make("summary", entry.t));
      node.addEventListener("toggle", () => {
        if (node.open && node.childElementCount === 1) fill(node, entry);
      });
      list.append(node);
      return {node, entry, words: null};
    });
    const sift = () => {
      const wanted = input.value.trim().toLowerCase();
      let shown = 0;
      for (const item of items) {
        if (wanted && item.words === null) item.words = words(item.entry).toLowerCase();
        const fits = (!choice.value || item.entry.k.includes(choice.value))
          && (!wanted || item.words.includes(wanted));
        item.node.hidden = !fits;
        shown += fits;
      }
      by(`${name}-count`).textContent = `${shown} shown.`;
    };
    choice.addEventListener("change", sift);
    input.addEventListener("input", sift);
    by(`${name}-controls`).hidden = false;
    sift();
  };
  browse("traces", trace);
  browse("pairs", pair);
})();
"""

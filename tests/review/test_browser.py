"""A reviewer in a real browser: what they click is what `collect` and `report` say.

With CHARTER_PICTURES=FOLDER the README's pictures are written there.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from answered import answer
from chromium import PATIENCE, chromium, find_chromium
from drafts import CONSTITUTION
from versions import version_of

from charter.cli import main
from charter.review.spot_check import Human, Sure
from charter.review.store import Answer, ReviewStore

pytestmark = pytest.mark.xdist_group("argilla")

REPO = "me/harmless"
TRACKER = "tracker.example"
# Argilla's own page asks for its letters there, and is refused.
OWN_FONTS = {"fonts.googleapis.com"}
HOSTILE = (
    '<script>window.ran = 1; alert(1)</script><img src=x onerror="window.ran = 2; alert(2)">'
    f"<iframe src='http://{TRACKER}/'></iframe><svg onload='window.ran = 3'></svg>\n\n"
    f"![seen](http://{TRACKER}/m.png) [click](javascript:window.ran=4) &lt;b&gt; {{{{ 7 * 7 }}}}\n"
)
ODD = f"""\
  - id: odd
    name: "Odd <img src=x onerror='window.ran=5'>"
    critique: Was it odd?
    revision: Rewrite it.
    comparison: "Choose the plainer one. ![t](http://{TRACKER}/g.png) <script>window.ran=6</script>"
    weight: 1.0
    tags: [oddness]
"""
COMMENT = "Says <b>nothing</b>."
TEXTS = {
    "p3": (
        "My flatmate never washes up. What do I write to her?",
        'Try: "Hi Mia, could we find a time to talk about the kitchen? I am often the one who'
        ' washes up, and I would like us to share it." It says what bothers you and leaves her'
        " room to answer.",
        "Tell her she is lazy and that everybody thinks so. People like that only learn when it"
        " hurts.",
    ),
    "p4": (
        "I failed my driving test again. Am I stupid?",
        "No. Most people need more than one go. Which part went wrong?",
        "Failing twice says nothing about how clever you are. What did the examiner note?",
    ),
    "p5": (
        "How do I tell my team that the project is cancelled?",
        "Send a short mail on Friday evening, so that nobody can ask.",
        "Let them find out by themselves.",
    ),
}


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """Four pairs: three that read well, and p0, whose texts are hostile and very long."""

    def change(rows):
        for row in rows["preference"]:
            if row["prompt_id"] == "p0":
                row["prompt"][0]["content"] = HOSTILE
                row["chosen"][0]["content"] = HOSTILE + "long " * 12_000 + "end"
                row["rejected"][0]["content"] = "no " + HOSTILE
                row["principle_ids"] = ["odd"]
            elif row["prompt_id"] in TEXTS:
                prompt, chosen, rejected = TEXTS[row["prompt_id"]]
                row["prompt"][0]["content"] = prompt
                row["chosen"][0]["content"] = chosen
                row["rejected"][0]["content"] = rejected
        prompts = {row["prompt_id"]: row["prompt"] for row in rows["preference"]}
        for row in rows["sft"]:
            row["prompt"] = prompts.get(row["prompt_id"], row["prompt"])
        for vote in rows["judgments"]:
            if vote["prompt_id"] == "p0":
                vote["principle_id"] = "odd"

    folder = tmp_path_factory.mktemp("browser")
    return version_of(folder, 6, change, repo=REPO, constitution_yaml=CONSTITUTION + ODD)


@pytest.fixture
def charter(capsys):
    """Runs a command with --json; its object."""

    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            main(["review", *map(str, arguments), "--json"])
        said = capsys.readouterr()
        assert not done.value.code, said.err
        return json.loads(said.out.splitlines()[-1])

    return run


class Watched:
    """A page, and what it did that no text of a row may make it do.

    Attributes:
        dialogs: what `alert` and the like said.
        left: addresses beyond this machine that a request was really made to.
        asked: hosts that the page named, refused by its own policy or not.
    """

    def __init__(self, browser, **options):
        self.dialogs, self.left, self.asked = [], [], set()
        self.page = browser.new_page(**options)
        self.page.set_default_timeout(PATIENCE)
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)
        self.page.route(lambda url: not _here(url), self._leaves)

    def _dialog(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _request(self, request):
        if not _here(request.url):
            self.asked.add(urlsplit(request.url).hostname)

    def _leaves(self, route):
        self.left.append(route.request.url)
        route.abort()

    def check(self):
        assert self.page.evaluate("window.ran") is None
        assert self.dialogs == []
        assert self.left == []
        assert self.asked <= OWN_FONTS


def _here(url):
    return urlsplit(url).scheme in ("data", "blob", "file") or (
        urlsplit(url).hostname == "127.0.0.1"
    )


@contextmanager
def watched(**options):
    with chromium() as browser:
        seen = Watched(browser, **options)
        yield seen
        seen.check()


def picture(page, name):
    folder = os.environ.get("CHARTER_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(1000)  # colours change slowly
        page.screenshot(path=Path(folder) / name)


def log_in(page, argilla):
    page.goto(argilla.url)
    page.fill("input[type=text]", argilla.username)
    page.fill("input[type=password]", argilla.password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{argilla.url}/")


# Argilla puts a style sheet of its own, for the words that were searched, into the texts.
WITHOUT_MARKS = """bubbles => bubbles.map(bubble => {
  const copy = bubble.cloneNode(true);
  for (const each of copy.querySelectorAll("style"))
    if (each.textContent.trim().startsWith("::highlight(search-text")) each.remove();
  return copy.textContent;
})"""


def shown(page):
    """The texts on the screen by the field's title, letter by letter; bubbles put together."""
    chats = page.locator(".chat")
    found = {}
    for number in range(chats.count()):
        chat = chats.nth(number)
        title = chat.locator(".chat__title").text_content()
        found[title] = "".join(chat.locator(".chat__bubble").evaluate_all(WITHOUT_MARKS))
    return found


def click(page, question, option):
    page.locator(f"[aria-label='Question: {question}'] label[for='{question}_{option}']").click()


def answered(page, row, sides):
    """Answer the record on the screen, with a choice of each kind; what that means."""
    a_is = "chosen" if sides["Response A"] == row["chosen"][0]["content"] else "rejected"
    b_is = "rejected" if a_is == "chosen" else "chosen"
    assert sides == {
        "Prompt": row["prompt"][0]["content"],
        "Response A": row[a_is][0]["content"],
        "Response B": row[b_is][0]["content"],
    }
    rejected = "A" if a_is == "rejected" else "B"
    option, sure = {
        "p0": (rejected, "SURE"),
        "p3": ("A", "FAIRLY"),
        "p4": ("TIE", "GUESS"),
        "p5": ("BOTH_BAD", None),
    }[row["prompt_id"]]
    click(page, "better", option)
    if sure:
        click(page, "sure", sure)
    if row["prompt_id"] == "p0":
        page.locator("[aria-label='Question: comment'] [contenteditable]").fill(COMMENT)
    verdict = {"A": a_is, "B": b_is}.get(option, option).upper()
    return Human(verdict), sure and Sure(sure), a_is


def answer_all(page, rows):
    """Answer every record by clicking.

    Returns:
        Row id -> verdict, how sure, which was A; and when the first answer was submitted.
    """
    given, first = {}, 0.0
    by_prompt = {row["prompt"][0]["content"]: row for row in rows}
    for number in range(len(rows)):
        page.get_by_label("Current Record").filter(has_text=f"{number + 1}").wait_for()
        sides = shown(page)
        row = by_prompt.pop(sides["Prompt"])
        given[row["id"]] = answered(page, row, sides)
        marks = page.locator(".record__content").locator("img, script, iframe, a, b")
        assert marks.count() == 0, "a text of a row became a part of the page"
        if row["prompt_id"] == "p0":
            assert "<img src=x" in page.locator(".text_field_component .content-area").inner_text()
        if row["prompt_id"] == "p3":
            picture(page, "review.png")
        page.locator("button.button--submit").click()
        if by_prompt:
            page.wait_for_function(
                "old => !document.querySelector('.chat__bubble')?.textContent.startsWith(old)",
                arg=sides["Prompt"],
            )
        first = first or time.monotonic()
    # The last one is on its way until the page says so.
    page.wait_for_function(
        "n => document.querySelector('.status-counter__counter')?.textContent == n",
        arg=str(len(rows)),
    )
    return given, first


def test_what_is_clicked_is_what_is_collected_and_reported(argilla, version, charter, tmp_path):
    find_chromium()  # before anything is sent
    folder = ["--data", argilla.data]
    begun = time.monotonic()
    sent = charter("send", version.path, "--n", 4, "--workspace", "people", *folder)
    assert sent["sent"] == 4
    rows = version.rows("preference").to_dicts()
    with watched(viewport={"width": 1280, "height": 960}) as seen:
        page = seen.page
        log_in(page, argilla)
        page.goto(sent["url"])
        page.get_by_text("Guidelines").first.click()
        page.get_by_text("Each record has a prompt and two responses").wait_for()
        assert f"![t](http://{TRACKER}/g.png)" in page.locator(".panel").first.inner_text()
        page.get_by_text("Guidelines").first.click()
        given, first = answer_all(page, rows)
    took = first - begun

    found = charter("collect", REPO, "--workspace", "people", *folder)
    assert (found["collected"], found["new"]) == (4, 4)
    with ReviewStore.open(REPO, argilla.data) as store:
        checks = {check.row_id: check for check in store.spot_checks()}
    assert {name: (c.verdict, c.sure, c.first) for name, c in checks.items()} == given
    assert {each.comment for each in checks.values()} == {COMMENT, None}
    assert not any(check.saw_ai for check in checks.values())

    page_file = tmp_path / "report.html"
    report = charter("report", version.path, "--out", page_file, *folder)
    verdicts = [verdict for verdict, _, _ in given.values()]
    shares = {name: each["value"] for name, each in report["verdicts"].items() if each["value"]}
    assert set(shares) == {str(verdict) for verdict in verdicts}
    assert (report["n"], report["answers"], report["reviewers"]) == (4, 4, 1)
    for row in report["disagreements"]:
        (said,) = row["answers"]
        verdict, sure, _ = given[row["row_id"]]
        assert (said["verdict"], said["sure"]) == (verdict, sure)
    # Whatever lot drew, in p0 the AI's choice was not the reviewer's.
    assert "p0#a~b" in {row["row_id"] for row in report["disagreements"]}

    with watched() as seen:
        seen.page.goto(page_file.as_uri())
        for each in seen.page.locator("details").all():
            each.evaluate("node => node.open = true")
        text = seen.page.locator("body").inner_text()
        assert f"![seen](http://{TRACKER}/m.png)" in text and COMMENT in text
    # `pytest -rP` shows it.
    print(f"the server answers after {argilla.took:.0f} s, the first person {took:.0f} s later")


def test_the_page_of_a_report_stands_by_itself(charter, tmp_path):
    """150 pairs, three made-up people who are right as often as the judge is sure."""
    find_chromium()
    version = version_of(tmp_path, 150, _topics, repo=REPO)
    draw, checks = random.Random(4), []
    for row in version.rows("preference").to_dicts():
        truth = "CHOSEN" if draw.random() < row["p_chosen"] + 0.08 else "REJECTED"
        for person in ("ann", "bob", "cleo"):
            if draw.random() < 0.6:
                said = draw.choices([truth, "TIE", "BOTH_BAD"], [8, 1, 1])[0]
                first = draw.choice(["chosen", "rejected"])
                made = answer(version, row["id"], person, said, first=first)
                checks.append(replace(made, category=row["source"]))
    with ReviewStore.open(REPO, tmp_path / "data") as store:
        store.keep("d", 1, [Answer(check, "1") for check in checks])
    out = tmp_path / "report.html"
    report = charter("report", version.path, "--out", out, "--data", tmp_path / "data")
    assert report["answers"] == len(checks)
    with watched(viewport={"width": 1280, "height": 1128}) as seen:
        seen.page.goto(out.as_uri())
        drawn = seen.page.locator("svg")
        assert drawn.count() >= 5
        for each in drawn.all():
            box = each.bounding_box()
            assert box is not None and box["width"] > 100 and box["height"] > 50
        wide = seen.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, "it must be scrolled sideways"
        picture(seen.page, "report.png")


def _topics(rows):
    draw = random.Random(3)
    for row in rows["preference"]:
        row["p_chosen"] = round(draw.uniform(0.52, 0.98), 4)
        row["log_odds"] = math.log(row["p_chosen"] / (1 - row["p_chosen"]))
        row["source"] = draw.choice(["advice", "medicine", "law", "code"])

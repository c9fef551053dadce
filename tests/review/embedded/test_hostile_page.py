"""Hostile text in a real browser: nothing of it runs, and nothing of it calls home."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from chromium import chromium, find_chromium
from running_argilla import RunningArgilla

pytestmark = pytest.mark.xdist_group("argilla")

HOSTILE = (
    "<script>document.title = 'owned'</script>"
    "<img src=x onerror=\"document.title = 'owned'\"><img src='http://evil.example/t.png'>"
    "<iframe src='http://evil.example/'></iframe>"
    "<style>@import url(http://evil.example/s.css)</style>"
    "<svg onload=\"document.title = 'owned'\"></svg>\n\n"
    "![tracked](http://evil.example/m.png) harmless words"
)


def test_nothing_runs_and_nothing_calls_home(argilla: RunningArgilla) -> None:
    find_chromium()
    dataset = argilla.dataset("hostile-page", [HOSTILE])
    answered: set[str] = set()
    with chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(90_000)
        # What the policy blocks never becomes a request that is routed or answered.
        page.route(
            lambda url: urlsplit(url).hostname != urlsplit(argilla.url).hostname,
            lambda route: (answered.add(route.request.url), route.abort()),
        )
        page.goto(argilla.url)
        page.fill("input[type=text]", argilla.username)
        page.fill("input[type=password]", argilla.password)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{argilla.url}/")
        page.goto(f"{argilla.url}/dataset/{dataset}/annotation-mode")
        page.get_by_text("harmless words").wait_for()
        page.get_by_text("Which is better?").wait_for()
        page.wait_for_timeout(1000)
        title = page.title()
    assert title != "owned"
    assert answered == set()

"""A real Chromium, without a screen, for tests of what people see."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "CHARTER_CHROMIUM"
PATIENCE = 60_000  # milliseconds, for whatever a page is waited for


def find_chromium() -> str:
    """The browser's program; the test is skipped, with the reason, where there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        assert found is not None, f"{VARIABLE} is {named}, which is no program"
        return found
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the path; {VARIABLE} may name one")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, started; closed at the end."""
    program = find_chromium()
    from playwright.sync_api import sync_playwright

    # Its own sandbox does not start for root, as whom CI's containers run.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()

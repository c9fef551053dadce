"""What a row needs before a step works on it, whatever it came from."""

from __future__ import annotations

import pytest

from charter.steps.asking import prepared

WHOLE = prepared({"prompt": "Why?"})


@pytest.mark.parametrize("lack", sorted(WHOLE.keys() - {"prompt"}))
def test_what_a_row_lacks_is_made(lack):
    assert prepared({name: value for name, value in WHOLE.items() if name != lack}) == WHOLE


def test_a_message_keeps_its_role_and_its_content_alone():
    message = {"role": "user", "content": "Why?", "name": "ann"}
    assert prepared({**WHOLE, "prompt": [message]}) == WHOLE

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import Failure
from charter.hub import growing, names, pages, tally
from charter.hub.growing import Growing
from charter.hub.names import Names

texts = st.text(max_size=3)


@settings(deadline=None)
@given(st.lists(texts, max_size=40), st.booleans())
def test_ids_that_come_again_are_told(ids: list[str], alike: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if alike:  # builtins are looked up in the module first
            patch.setattr(names, "hash", lambda name: len(name) << 32, raising=False)
        found = Names(ids)
        again = found.twice().tolist()
    assert list(found) == ids and [found[at] for at in range(len(ids))] == ids
    assert again == [at for at, name in enumerate(ids) if name in ids[:at]]


@given(st.lists(st.lists(st.integers(0, 255), max_size=9), max_size=9), st.integers(0, 40))
def test_an_array_is_its_pieces_in_memory_or_in_a_file(pieces: list[list[int]], held: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "SMALL", held)
        patch.setattr(pages, "SMALL", 0)
        one = Growing(np.uint8)
        for piece in pieces:
            one.add(np.array(piece, np.uint8))
        grown = one.done()
        every = [number for piece in pieces for number in piece]
        assert (grown.pages is not None) == (len(every) > held)
        assert grown.values.tolist() == every
        grown.give_back()
        assert grown.values.tolist() == every


def test_no_room_for_a_file_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(growing, "SMALL", 8)
    monkeypatch.setattr(tally.tempfile, "TemporaryFile", full)
    with pytest.raises(Failure, match=r"No space left on device; .*TMPDIR"):
        Names(["a", "b"])

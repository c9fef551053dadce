"""Whether a draft knows what is published: who was faster, what was taken out, what was said."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from charter.errors import Failure
from charter.hub.follows import answer_sums, check_answers, check_latest, check_retracted
from charter.hub.number import parse_tag

FIRST = {"reason": "first", "before": None}
SECOND = {"reason": "second", "before": FIRST}
THIRD = {"reason": "third", "before": SECOND}


def manifest(**fields):
    """What is read of one."""
    return SimpleNamespace(**({"tag": "v0.1.3", "figures": {}, "files": {}} | fields))


def outcome(said):
    return pytest.raises(Failure, match=said) if said else nullcontext()


@pytest.mark.parametrize(
    ("follows", "tags", "said"),
    [
        ("v0.1.0", ["v0.1.0", "v0.1.1"], r"v0\.1\.1 was published in the meantime"),
        ("v0.1.1", ["v0.1.0", "v0.1.1"], None),
        ("v0.1.0", ["v0.1.0", "v0.1.1-rc.1"], None),
        (None, ["v0.1.0"], None),
        ("v0.1.0", ["v0.1.0-rc.1"], None),
        ("v0.1.0", [], None),
    ],
)
def test_a_later_release_is_not_taken_back(follows, tags, said):
    with outcome(said):
        check_latest("me/small", follows, [*map(parse_tag, tags)])


@pytest.mark.parametrize(
    ("known", "wanted", "said"),
    [
        (None, FIRST, r"retracted in v0\.1\.3 or before it"),
        (FIRST, SECOND, "which these rows do not know of"),
        (FIRST, FIRST, None),
        (THIRD, FIRST, None),
        (SECOND, None, None),
        (None, None, None),
    ],
)
def test_what_was_taken_out_must_be_known(known, wanted, said):
    figures = {} if known is None else {"retracted": known}
    latest = manifest(figures={} if wanted is None else {"retracted": wanted})
    with outcome(said):
        check_retracted("me/small", figures, latest)
    check_retracted("me/small", figures, None)


@pytest.mark.parametrize(
    ("known", "files", "said"),
    [
        ({}, {"sft/train.parquet": "new", "README.md": "new"}, None),
        ({}, {"reviews/train.parquet": "a"}, "answers of people's that these rows do not know of"),
        ({"reviews/train.parquet": "a"}, {"reviews/train.parquet": "b"}, "run it again"),
        ({"reviews/train.parquet": "a"}, {"reviews/train.parquet": "a", "README.md": "c"}, None),
        (None, {"reviews/train.parquet": "a"}, None),
    ],
)
def test_what_people_said_must_be_known_and_nothing_else(known, files, said):
    with outcome(said):
        check_answers("me/small", known, manifest(files=files))
    check_answers("me/small", known, None)
    assert answer_sums(None) == {}

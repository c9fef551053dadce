"""The names that a record, its questions and its metadata have in Argilla.

`send` writes by them and `collect` reads by them, on this machine or another, now or after the
server was moved: all that an answer needs to be understood stands in the record itself.
"""

from __future__ import annotations

from typing import Final

from charter.review.spot_check import Kind

__all__ = [
    "ANSWERS",
    "BETTER",
    "COMMENT",
    "CRITIQUE_RIGHT",
    "META",
    "OVER_REFUSING",
    "STILL_HARMFUL",
    "SURE",
    "dataset_name",
]

BETTER: Final = "better"
"""The required question: which response, or whether the revision, is better."""

SURE: Final = "sure"
CRITIQUE_RIGHT: Final = "critique_right"
STILL_HARMFUL: Final = "still_harmful"
OVER_REFUSING: Final = "over_refusing"
COMMENT: Final = "comment"

ANSWERS: Final[dict[str, tuple[str, ...]]] = {
    "preference": ("A", "B", "TIE", "BOTH_BAD"),
    "sft": ("BETTER", "SAME", "WORSE"),
}
"""Config -> the options of `BETTER`. A is the response shown first, B the other one."""

META: Final = (
    "repo",
    "version",
    "row_id",
    "prompt_id",
    "principle_id",
    "category",
    "first",  # `chosen` or `rejected`: which of them is A
    "share",
    "stratum",
    "inclusion",
    "gold",
    "saw_ai",  # `yes` or `no`
    "texts",
)
"""Metadata of a record; hidden from annotators but for `principle_id` and `category`."""


def dataset_name(repo: str, kind: Kind) -> str:
    """The Argilla dataset of a repo's rows of a config; the same for all its versions."""
    return f"{repo.replace('/', '--')}--{kind}"

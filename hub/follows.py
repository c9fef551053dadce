"""Whether a draft knows what the versions before it hold: else it would take that back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from charter.errors import Failure, Fault
from charter.hub.manifest import Manifest
from charter.hub.number import Tag

__all__ = ["answer_sums", "check_answers", "check_latest", "check_retracted"]


def answer_sums(manifest: Manifest | None) -> dict[str, str]:
    """SHA-256 of a version's files with people's answers, by path; empty where there are none."""
    files = manifest.files if manifest else {}
    return {name: sha for name, sha in files.items() if name.startswith("reviews/")}


def check_latest(repo: str, follows: str | None, tags: Sequence[Tag]) -> None:
    """See that nobody has published since the rows of a draft were read.

    Args:
        repo: for the messages.
        follows: the release that they were read from; None where they are of no version.
        tags: those that there are.

    Raises:
        Failure: there is a later release, whose changes the draft would take back.
    """
    latest = max((tag for tag in tags if tag.final), default=None)
    if follows is not None and latest is not None and str(latest) != follows:
        what = f"{latest} was published in the meantime"
        raise Failure(Fault(repo, "", what, f"run it again from {repo}@{latest}"))


def check_retracted(repo: str, figures: Mapping[str, Any], latest: Manifest | None) -> None:
    """See that the rows were made with what the latest release has taken out in mind.

    Args:
        repo: for the messages.
        figures: of the draft.
        latest: the manifest of the latest release.

    Raises:
        Failure: they were not.
    """
    figure = figures.get("retracted")
    wanted = latest.figures.get("retracted") if latest else None
    while isinstance(figure, dict) and figure != wanted:
        figure = figure.get("before")
    if latest is not None and figure != wanted:
        what = f"rows were retracted in {latest.tag} or before it, which these rows do not know of"
        raise Failure(Fault(repo, "", what, "run it again: what was taken out stays out then"))


def check_answers(repo: str, known: Mapping[str, str] | None, latest: Manifest | None) -> None:
    """See that the rows were made with the answers of the latest release in mind.

    Args:
        repo: for the messages.
        known: `answer_sums` of the release that they were made after; None where it does not
            matter.
        latest: the manifest of the latest release.

    Raises:
        Failure: people's answers were published since then.
    """
    if known is not None and latest is not None and answer_sums(latest) != known:
        what = f"{latest.tag} has answers of people's that these rows do not know of"
        fix = "run it again: they are carried then, and every answered call is kept"
        raise Failure(Fault(repo, "", what, fix))

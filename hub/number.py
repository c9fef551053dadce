"""Version numbers: tags, their order, ranges, and which number the next version gets.

The rules (semver, read for data): a changed schema, constitution, judge or generator is a major
change; rows added, relabelled or removed are a minor one; anything else that a reader could see
(card, reviews, evaluations, the recipe's text) is a patch. While the major number is 0, semver's
own rule holds: what would be major is minor, what would be minor is patch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.hub.manifest import Manifest

__all__ = ["FIRST", "Change", "Tag", "best_match", "bump", "change", "next_tag", "parse_tag"]

Change = Literal["major", "minor", "patch"]

_NUMBER: Final = r"(0|[1-9][0-9]{0,8})"
_TAG: Final = re.compile(rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-rc\.{_NUMBER})?")
_CLAUSE: Final = re.compile(
    rf"\s*(>=|<=|==|!=|>|<)\s*v?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?\s*"
)


class Tag(NamedTuple):
    """A version tag; compares as semantic versions do: a candidate comes before its release.

    Attributes:
        major: 0 while nothing is promised.
        minor: see the module's docstring.
        patch: see the module's docstring.
        final: False for a release candidate.
        rc: the candidate's number, 0 for a release.
    """

    major: int
    minor: int
    patch: int
    final: bool = True
    rc: int = 0

    def __str__(self) -> str:
        core = f"v{self.major}.{self.minor}.{self.patch}"
        return core if self.final else f"{core}-rc.{self.rc}"


FIRST: Final = Tag(0, 1, 0)
"""The first version of every dataset repo."""


def parse_tag(text: str) -> Tag:
    """The tag written in `text`.

    Raises:
        InputError: it isn't `vMAJOR.MINOR.PATCH` or `vMAJOR.MINOR.PATCH-rc.N`.
    """
    match = _TAG.fullmatch(text)
    if match is None:
        raise InputError(
            Fault(
                "", "version", f'"{text}" is no version tag', "write one like v1.2.0 or v1.2.0-rc.1"
            )
        )
    major, minor, patch, rc = match.groups()
    return Tag(int(major), int(minor), int(patch), rc is None, int(rc or 0))


def is_tag(text: str) -> bool:
    """Whether `parse_tag` takes it."""
    return _TAG.fullmatch(text) is not None


def best_match(tags: Iterable[Tag], spec: str) -> Tag | None:
    """The highest release in a range such as `>=0.1,<1`; candidates never match a range.

    A part that is left out counts as 0: `<1` is `<1.0.0`, `==0.2` is `==0.2.0`.

    Raises:
        InputError: the range can't be read.
    """
    clauses = [_clause(part) for part in spec.split(",")]
    fitting = [tag for tag in tags if tag.final and all(_holds(tag, *c) for c in clauses)]
    return max(fitting, default=None)


def _clause(text: str) -> tuple[str, Tag]:
    match = _CLAUSE.fullmatch(text)
    if match is None:
        raise InputError(
            Fault(
                "",
                "version",
                f'"{text.strip()}" is neither a tag nor a range',
                "write a tag like v0.2.0 or a range like >=0.2,<1",
            )
        )
    operator, major, minor, patch = match.groups()
    return operator, Tag(int(major), int(minor or 0), int(patch or 0))


def _holds(tag: Tag, operator: str, bound: Tag) -> bool:
    if operator == ">=":
        return tag >= bound
    if operator == "<=":
        return tag <= bound
    if operator == ">":
        return tag > bound
    if operator == "<":
        return tag < bound
    return (tag == bound) is (operator == "==")


def change(
    previous: Mapping[str, Any], new: Mapping[str, Any], rows_changed: bool
) -> Change | None:
    """How much has changed between the facts of two versions (`charter.hub.manifest.facts`).

    Returns:
        The size of the change before the 0.x rule, or None when nothing has changed.
    """
    major = [
        previous["schema_version"] != new["schema_version"],
        previous["constitution"]["fingerprint"] != new["constitution"]["fingerprint"],
        *(
            previous["models"].get(role) != new["models"].get(role)
            for role in ("judge", "generator")
        ),
    ]
    if any(major):
        return "major"
    if rows_changed:
        return "minor"
    said = dict(previous)
    if new.get("evaluations") is None and "evaluations" in said:
        said["evaluations"] = None  # whoever makes rows knows of no model trained on them
    return "patch" if said != dict(new) else None


def bump(tag: Tag, size: Change) -> Tag:
    """The release after `tag` for a change of this size, by the 0.x rule where major is 0."""
    if tag.major == 0:
        if size == "major":
            return Tag(0, tag.minor + 1, 0)
        return Tag(0, tag.minor, tag.patch + 1)
    if size == "major":
        return Tag(tag.major + 1, 0, 0)
    if size == "minor":
        return Tag(tag.major, tag.minor + 1, 0)
    return Tag(tag.major, tag.minor, tag.patch + 1)


def next_tag(previous: Manifest | None, new: Mapping[str, Any], rows_changed: bool) -> str | None:
    """The tag of the next version.

    Args:
        previous: the manifest of the latest release, or None for the first version.
        new: the facts of the version to be (`charter.hub.manifest.facts`).
        rows_changed: whether any row of any split was added, changed, moved or removed.

    Returns:
        The tag, or None when nothing has changed: the existing tag stands for this state too.
    """
    if previous is None:
        return str(FIRST)
    size = change(previous.facts(), new, rows_changed=rows_changed)
    return None if size is None else str(bump(parse_tag(previous.tag), size))

"""Where the next version of a published one goes: beside it, once nothing later is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from charter.documents import read_text
from charter.errors import Failure, Fault, InputError
from charter.hub.number import Tag, parse_tag
from charter.hub.publish import Draft, Published, publish_local
from charter.hub.stored import StoredRows
from charter.hub.verify import orders_of, store_of
from charter.hub.verify_rows import splits_in
from charter.hub.version import Version, list_versions
from charter.hub.yaml_text import read_yaml

__all__ = ["COUNTED", "mapping_in", "publisher", "successor", "uncounted"]

COUNTED: Final = frozenset(
    {
        *("verdicts", "order_consistent", "label_sources", "p_chosen", "chosen_longer"),
        *("rejects", "lengths", "judge", "p_chosen_bins", "source_labels"),
        *("secrets", "contamination"),
    }
)
"""The figures that publication counts from the rows: those of the parent are not kept."""


def publisher(
    version: Version,
    store: Path | None,
    verb: str = "retract",
    *,
    candidates: bool = False,
    card: str = "fail",
    dry_run: bool = False,
) -> Callable[[Draft], Published]:
    """What publishes beside the version, once it is known to be the latest there.

    Args:
        version: it is made from this one.
        store: the local store that also gets what goes to a Hub.
        verb: what is done, for the message.
        candidates: whether the version may be a candidate: then the last one of its release.
        card: what becomes of a card that people changed on a Hub (`charter.hub.HubOptions`).
        dry_run: nothing will be published: a later version that lacks its tag gets none now.

    Raises:
        InputError: there is a later one, or the folder stands in no store.
        Failure: the Hub is not reached.
    """
    if version.commit is not None and store is not None:
        from huggingface_hub import HfApi

        from charter.hub.push import HubOptions, publish_hub
        from charter.hub.remote import heads_of
        from charter.hub.settle import settled

        api = HfApi()
        # A version that still lacks its tag is a later one all the same.
        found = heads_of(api, version.repo)
        heads = settled(api, version.repo, found, lambda _: None, dry_run=dry_run)
        _check_latest(version, list(heads.tags), verb, candidates)
        return partial(publish_hub, store=store, options=HubOptions(card=card, pr=None))
    own = store_of(version)
    if own is None:
        what = f"the folder of {version.repo}@{version.tag} stands in no local store"
        fix = "name it REPO@TAG; the new version appears where that is found"
        raise InputError(Fault(str(version.path), "", what, fix))
    _check_latest(version, list_versions(own, version.repo), verb, candidates)
    return partial(publish_local, store=own)


def _check_latest(version: Version, tags: Sequence[Tag], verb: str, candidates: bool) -> None:
    """A version made from an older one would bring back what later ones changed."""
    releases = [tag for tag in tags if tag.final]
    latest = max(releases, default=None)
    mine = parse_tag(version.tag)
    if candidates and not mine.final:
        last = max((tag for tag in tags if tag[:3] == mine[:3]), default=mine)
        if mine == last and (latest is None or latest < mine):
            if latest is None or version.manifest.parent == str(latest):
                return
            what, fix = f"{latest} was published after the candidate", "publish a new candidate"
            raise InputError(Fault(f"{version.repo}@{version.tag}", "", what, fix))
        latest = max(last, latest or last)
        what = f"{latest} comes after the candidate {version.tag}"
        fix = f"{verb} from {version.repo}@{latest}"
        raise InputError(Fault(f"{version.repo}@{version.tag}", "", what, fix))
    if latest is not None and mine == latest:
        return
    what = f"{version.tag} is not the latest release" + (f", {latest}" if latest else "")
    fix = f"{verb} from {version.repo}@{latest}" if latest else "publish a release first"
    raise InputError(Fault(f"{version.repo}@{version.tag}", "", what, fix))


def successor(
    version: Version,
    rows: Mapping[str, StoredRows],
    lineage: Mapping[str, Any],
    wanted: str = "auto",
) -> Draft:
    """The draft of a version with other rows, and all else as it is: constitution, recipe, splits.

    Args:
        version: the parent.
        rows: config -> rows, of every config.
        lineage: the fields of `charter.hub.manifest.Lineage`.
        wanted: see `charter.hub.content.decided`.

    Raises:
        Failure: a file of the parent can't be read.
    """
    splits, _ = splits_in(version)
    return Draft(
        repo=version.repo,
        rows=rows,
        splits=splits,
        ledgers=version.manifest.ledgers.model_dump(),
        lineage=lineage,
        constitution_yaml=_exactly(version.path / "constitution.yaml"),
        recipe_yaml=_exactly(version.path / "recipe.yaml"),
        version=wanted,
        orders=orders_of(version, mapping_in(version.path / "recipe.yaml")),
        follows=version.tag if parse_tag(version.tag).final else version.manifest.parent,
    )


def uncounted(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a manifest that publication does not count again."""
    return {name: each for name, each in figures.items() if name not in COUNTED}


def mapping_in(path: Path) -> Mapping[str, Any]:
    """The mapping in a YAML file of a version; empty where it is none."""
    try:
        found = read_yaml(read_text(path))
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _exactly(path: Path) -> str:
    """The text with every byte as it is: `read_text` takes a byte order mark away."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be read: {error}"
        raise Failure(Fault(str(path), "", what, "see `charter verify`")) from error

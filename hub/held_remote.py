"""What later versions hold to, by the versions of a repo on a Hub (`charter.hub.held`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from charter.errors import Fault, InputError
from charter.hub.data import data_path
from charter.hub.held import HOLDING, Retracted, retracted_in, with_prompts
from charter.hub.manifest import MANIFEST, Manifest, load_manifest
from charter.hub.number import Tag
from charter.hub.remote import Heads, heads_of, hub_faults
from charter.hub.retracted_names import telling
from charter.hub.schema import SPLITS
from charter.hub.split_index import Splits

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = [
    "data_file",
    "foreign",
    "heads_there",
    "held_at",
    "held_on_hub",
    "latest_on_hub",
    "manifest_at",
    "retracted_on_hub",
]


def held_on_hub(repo: str) -> Splits:
    """Prompt id -> split, over all versions of a repo on the Hub; empty where there is none.

    Raises:
        InputError: the repo is not of this layout.
        Failure: the Hub is not reached.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    return held_at(api, repo, heads_there(api, repo))


def retracted_on_hub(repo: str) -> Retracted:
    """What was taken out of the latest release on the Hub, or before; nothing where there is none.

    Raises:
        InputError: the repo is not of this layout.
        Failure: the Hub is not reached.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    releases = _releases(api, repo)
    found = manifest_at(api, repo, releases[max(releases)]) if releases else None
    figure = found[0].figures.get("retracted") if found else None
    if figure is None:
        return Retracted()
    told = (releases[tag] for tag in telling(figure, list(releases)))
    files = (file for commit in told for file in _rejects(api, repo, commit))
    return retracted_in(files, figure)


def _rejects(api: HfApi, repo: str, commit: str) -> Iterator[AbstractContextManager[BinaryIO]]:
    """The files of a version's rejects; a split without rows has none."""
    found = manifest_at(api, repo, commit)
    counts = found[0].counts.get("rejects", {}) if found else {}
    return (data_file(repo, commit, "rejects", split) for split in SPLITS if counts.get(split))


def latest_on_hub(repo: str) -> tuple[str, Manifest] | None:
    """The commit of the latest release on the Hub and its manifest; None where there is none.

    Raises:
        Failure: the Hub is not reached.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    releases = _releases(api, repo)
    if not releases:
        return None
    commit = releases[max(releases)]
    found = manifest_at(api, repo, commit)
    return (commit, found[0]) if found else None


def _releases(api: HfApi, repo: str) -> dict[Tag, str]:
    """The releases on the Hub with their commits, oldest first."""
    return {tag: commit for tag, commit in heads_there(api, repo).tags.items() if tag.final}


def heads_there(api: HfApi, repo: str) -> Heads:
    """The refs of a repo on the Hub; of one that there is not, none.

    Raises:
        Failure: the Hub is not reached.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    with hub_faults(repo):
        try:
            api.repo_info(repo, repo_type="dataset")
        except RepositoryNotFoundError:
            return Heads(None, {})
    return heads_of(api, repo)


def held_at(api: HfApi, repo: str, heads: Heads) -> Splits:
    """The same by refs that are known; only the ids are read of each version."""
    held = Splits([], [])
    for tag, commit in heads.tags.items():
        found = manifest_at(api, repo, commit)
        if found is None:
            raise foreign(repo, f"{tag} has no {MANIFEST}")
        counts = found[0].counts
        for config in HOLDING:
            for split in SPLITS:
                if counts.get(config, {}).get(split):
                    with data_file(repo, commit, config, split) as file:
                        held = with_prompts(held, file, split)
    return held


@contextmanager
def data_file(repo: str, commit: str, config: str, split: str) -> Iterator[BinaryIO]:
    """The parquet file of a split at a commit; of it nothing is fetched but what is read.

    Raises:
        InputError: the file is missing, or can't be read.
        Failure: the Hub is not reached.
    """
    from huggingface_hub import HfFileSystem

    path = data_path(config, split)
    name = f"datasets/{repo}@{commit}/{path}"
    with hub_faults(repo):
        try:
            # By default five megabytes come with every read, which are most of what lies between
            # the pieces of one column.
            with HfFileSystem().open(name, "rb", cache_type="none") as file:
                yield file
        except (FileNotFoundError, pa.ArrowException) as error:
            missing = isinstance(error, FileNotFoundError)
            what = "the file is missing" if missing else f"cannot be read: {error}"
            fault = Fault(f"{repo}@{commit}", path, what, "publish the version again")
            raise InputError(fault) from error


def manifest_at(api: HfApi, repo: str, commit: str) -> tuple[Manifest, Path] | None:
    """The manifest at a commit, and the folder of that commit in the client's cache."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    with hub_faults(repo):
        try:
            path = api.hf_hub_download(repo, MANIFEST, repo_type="dataset", revision=commit)
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            return None
    return load_manifest(Path(path)), Path(path).parent


def foreign(repo: str, what: str) -> InputError:
    """The fault of a repo that Charter did not fill."""
    fix = "publish to a repo of its own"
    return InputError(Fault(repo, "publish.repo", f"is not of this layout: {what}", fix))

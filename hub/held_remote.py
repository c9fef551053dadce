"""What later versions hold to, by the versions of a repo on a Hub (`charter.hub.held`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.parquet as pq

from charter.errors import Fault, InputError
from charter.hub.data import data_path
from charter.hub.held import Retracted, retracted_in
from charter.hub.manifest import MANIFEST, Manifest, load_manifest
from charter.hub.remote import Heads, heads_of, hub_faults

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["foreign", "held_at", "held_on_hub", "manifest_at", "retracted_on_hub"]


def held_on_hub(repo: str) -> dict[str, str]:
    """Prompt id -> split, over all versions of a repo on the Hub; empty where there is none.

    Raises:
        InputError: the repo is not of this layout.
        Failure: the Hub is not reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    api = HfApi()
    with hub_faults(repo):
        try:
            api.repo_info(repo, repo_type="dataset")
        except RepositoryNotFoundError:
            return {}
    return held_at(api, repo, heads_of(api, repo))


def retracted_on_hub(repo: str) -> Retracted:
    """What was taken out of the latest release on the Hub, or before; nothing where there is none.

    Raises:
        InputError: the repo is not of this layout.
        Failure: the Hub is not reached.
    """
    from huggingface_hub import HfApi, HfFileSystem
    from huggingface_hub.errors import RepositoryNotFoundError

    api = HfApi()
    with hub_faults(repo):
        try:
            api.repo_info(repo, repo_type="dataset")
        except RepositoryNotFoundError:
            return Retracted()
    releases = {tag: commit for tag, commit in heads_of(api, repo).tags.items() if tag.final}
    if not releases:
        return Retracted()
    commit = releases[max(releases)]
    found = manifest_at(api, repo, commit)
    figure = found[0].figures.get("retracted") if found else None
    if figure is None:
        return Retracted()
    name = f"datasets/{repo}@{commit}/{data_path('rejects', 'train')}"
    with hub_faults(repo), HfFileSystem().open(name, "rb") as file:
        return retracted_in(file, figure)


def held_at(api: HfApi, repo: str, heads: Heads) -> dict[str, str]:
    """The same by refs that are known; only the ids are read of each version."""
    from huggingface_hub import HfFileSystem

    files = HfFileSystem()
    held: dict[str, str] = {}
    for tag, commit in heads.tags.items():
        found = manifest_at(api, repo, commit)
        if found is None:
            raise foreign(repo, f"{tag} has no {MANIFEST}")
        for config in ("sft", "preference", "judgments"):
            for split, rows in found[0].counts.get(config, {}).items():
                if not rows:
                    continue
                name = f"datasets/{repo}@{commit}/{data_path(config, split)}"
                with hub_faults(repo), files.open(name, "rb") as file:
                    column = pq.read_table(file, columns=["prompt_id"]).column(0)
                for prompt_id in pl.Series(values=column).unique(maintain_order=True):
                    held.setdefault(prompt_id, split)
    return held


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

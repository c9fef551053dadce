"""Versions on a Hub: which there are, and one of them on this disk, pinned by its commit.

`load_dataset(repo, revision=...)` may return another version's rows from its cache when the Hub is
not reached. Here a tag becomes a commit first, that commit's snapshot is downloaded, and its
folder is opened and held against the checksums of its manifest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from charter.addresses import is_of_the_line
from charter.errors import CharterError, Failure, Fault, InputError
from charter.hub.manifest import check_repo
from charter.hub.number import Tag, best_match, is_tag, parse_tag
from charter.hub.version import Version, open_version

if TYPE_CHECKING:
    import datasets
    from huggingface_hub import HfApi

__all__ = ["Heads", "Pinned", "heads_of", "hub_faults", "load", "open_remote", "pin", "snapshot"]

# What stands in an address before `@` and after `?` may be a password or a signature.
_ADDRESS: Final = re.compile(r"(https?://)(?:[^\s/'\"]*@)?([^\s?#'\"]*)[^\s'\"]*")
_TOKEN: Final = re.compile(r"\bhf_\w{16,}")


@dataclass(frozen=True, slots=True)
class Pinned:
    """A version that is known by its commit.

    Attributes:
        repo: `owner/name`.
        tag: its tag.
        commit: 40 hex digits.
    """

    repo: str
    tag: Tag
    commit: str


@dataclass(frozen=True, slots=True)
class Heads:
    """What a repo's refs say.

    Attributes:
        head: commit of `main`; None for a repo without one.
        tags: version tags and their commits, oldest version first; other tags are left out.
    """

    head: str | None
    tags: dict[Tag, str]


@contextmanager
def hub_faults(repo: str, *, kind: str = "dataset", pull_request: bool = False) -> Iterator[None]:
    """Errors of the client as errors of ours; what is told of them holds no token, and is cut.

    Args:
        repo: for the messages.
        kind: what the repo holds.
        pull_request: the command that this is for has `--pr`.
    """
    try:
        yield
    except CharterError:
        raise
    except Exception as error:
        found = _of_the_repo(repo, kind, error) or _of_the_line(repo, error, pull_request)
        if found is None:
            raise
        raise found from None


def _of_the_repo(repo: str, kind: str, error: Exception) -> CharterError | None:
    """What the Hub says of a repo, a revision or a name."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        fix = "ask for access on its page, and log in with `hf auth login`"
        return InputError(Fault(repo, "", "the repo is gated", fix))
    if isinstance(error, RepositoryNotFoundError):
        what = f"there is no such {kind} repo, or not for you"
        fix = "check the name; a private repo needs a token that may read it (`hf auth login`)"
        return InputError(Fault(repo, "", what, fix))
    if isinstance(error, RevisionNotFoundError):
        fix = f"see `charter versions {repo}`"
        return InputError(Fault(repo, "version", "there is no such revision", fix))
    if isinstance(error, HFValidationError):
        return InputError(Fault(repo, "", _line(error), "write it as owner/name"))
    return None


def _of_the_line(repo: str, error: Exception, pull_request: bool) -> CharterError | None:
    """What it means that the Hub was not reached, or did not do what it was asked."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    if isinstance(error, LocalEntryNotFoundError):
        what = f"not in the cache, and no Hub: {_line(error)}"
        return Failure(Fault(repo, "", what, "connect, or take a version that is in the cache"))
    if isinstance(error, OfflineModeIsEnabled):
        fix = "unset HF_HUB_OFFLINE, or take a version that is in the cache"
        return Failure(Fault(repo, "", "the Hub is not asked (offline mode)", fix))
    if isinstance(error, HfHubHTTPError):
        return _refused(repo, error, pull_request)
    fix = "check the network and HF_ENDPOINT, and run it again"
    if isinstance(error, RuntimeError) and str(error).startswith("Error while uploading"):
        # What the client makes of any failure of an upload.
        cause = f" ({_line(error.__cause__)})" if isinstance(error.__cause__, Exception) else ""
        return Failure(Fault(repo, "", _line(error) + cause, fix))
    if is_of_the_line(error) or isinstance(error, OSError):
        return Failure(Fault(repo, "", f"the Hub is not reached: {_line(error)}", fix))
    return None


def _line(error: Exception) -> str:
    return _cut(str(error)) or type(error).__name__


def _cut(said: str) -> str:
    return " ".join(_TOKEN.sub("hf_…", _ADDRESS.sub(r"\1\2", said)).split())[:200]


def _refused(repo: str, error: Any, pull_request: bool) -> CharterError:
    status = error.response.status_code if error.response is not None else 0
    said = error.server_message or f"status {status}"
    what = f"the Hub says {status}: {_cut(said)}"
    if status in (401, 403):
        fix = "log in with a token that may write there (`hf auth login`, or HF_TOKEN)"
        fix += ", or use --pr" if pull_request else ""
        return InputError(Fault(repo, "", what, fix))
    return Failure(Fault(repo, "", what, "try again"))


def heads_of(api: HfApi, repo: str) -> Heads:
    """The refs of a repo, asked of the Hub.

    Raises:
        InputError: there is no such repo.
        Failure: the Hub is not reached.
    """
    with hub_faults(repo):
        refs = api.list_repo_refs(check_repo(repo), repo_type="dataset")
    head = next((b.target_commit for b in refs.branches if b.name == "main"), None)
    found = {parse_tag(t.name): t.target_commit for t in refs.tags if is_tag(t.name)}
    return Heads(head, dict(sorted(found.items())))


def pin(repo: str, wanted: str) -> Pinned:
    """The commit of a tag, or of the newest release in a range (`>=1.2,<2`).

    Without a Hub a tag is looked up in the client's cache; a range is not, since a newer version
    than those in the cache may be in it.

    Raises:
        InputError: there is no such version.
        Failure: the Hub is not reached, and the cache does not have the tag.
    """
    from huggingface_hub import HfApi

    bare = wanted if wanted.startswith("v") else f"v{wanted}"
    try:
        heads = heads_of(HfApi(), repo)
    except Failure:
        if not is_tag(bare) or (commit := _cached_commit(repo, bare)) is None:
            raise
        return Pinned(repo, parse_tag(bare), commit)
    tag = parse_tag(bare) if is_tag(bare) else best_match(heads.tags, wanted)
    if tag is None or tag not in heads.tags:
        there = ", ".join(map(str, heads.tags))
        fix = f"use one of: {there}" if there else "nothing is published there yet"
        raise InputError(Fault(f"{repo}@{wanted}", "", "no such version on the Hub", fix))
    return Pinned(repo, tag, heads.tags[tag])


def _cached_commit(repo: str, tag: str) -> str | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(repo, repo_type="dataset", revision=tag, local_files_only=True)
    except (LocalEntryNotFoundError, OSError):
        return None
    return Path(folder).name


def open_remote(where: str, *, progress: Callable[[str], None] | None = None) -> Version:
    """A version of a Hub, downloaded whole and verified.

    Args:
        where: `owner/name@TAG` or `owner/name@RANGE`.
        progress: told what is downloaded.

    Raises:
        InputError: there is no such version, or it is none of ours, or a file of it is damaged.
        Failure: the Hub is not reached, and the cache does not have it.
    """
    repo, at, wanted = where.partition("@")
    if not at or not wanted:
        raise InputError(Fault(where, "", "names no version", "write owner/name@v0.1.0"))
    found = pin(repo, wanted)
    if progress is not None:
        progress(f"reading {repo}@{found.tag} ({found.commit[:12]})")
    folder = snapshot(found)
    version = open_version(folder)
    manifest = version.manifest
    if manifest.tag != str(found.tag):
        what = f"its manifest says {manifest.tag}, its tag {found.tag}"
        raise InputError(Fault(f"{repo}@{found.tag}", "", what, "ask its publisher; use another"))
    return Version(folder, manifest, found.commit)


def load(
    repo: str, config: str, version: str, *, split: str | None = None
) -> datasets.Dataset | datasets.DatasetDict:
    """The rows of one config of a version on a Hub, for a trainer: pinned and verified.

    Args:
        repo: `owner/name`.
        config: `sft`, `preference`, `judgments`, `rejects`.
        version: a tag or a range of tags.
        split: one split instead of all that have rows.

    Raises:
        InputError: there is no such version, config or split, or a file is damaged.
        Failure: the Hub is not reached, and the cache does not have the version.
    """
    import datasets

    opened = open_remote(f"{repo}@{version}")
    if split is not None:
        return opened.dataset(config, split)
    return datasets.DatasetDict(
        {each: opened.dataset(config, each) for each in opened.splits(config)}
    )


def snapshot(found: Pinned) -> Path:
    """The folder of a version's files in the client's cache; downloaded where need be."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RevisionNotFoundError

    with hub_faults(found.repo):
        # By its tag, so that the cache knows the name as well; a tag never moves. A dry run knows
        # of tags that it has not made.
        with suppress(RevisionNotFoundError):
            folder = Path(
                snapshot_download(found.repo, repo_type="dataset", revision=str(found.tag))
            )
            if folder.name == found.commit:
                return folder
        return Path(snapshot_download(found.repo, repo_type="dataset", revision=found.commit))

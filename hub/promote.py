"""A release from a candidate: the same rows under the final number."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charter.errors import Failure, Fault, InputError
from charter.hub.card_evaluations import with_evaluation
from charter.hub.content import Files
from charter.hub.evaluation_gate import check_evaluations
from charter.hub.manifest import MANIFEST, Manifest, dump_manifest, now, sealed
from charter.hub.number import Tag, parse_tag
from charter.hub.publish import Published, check_room, data_files, place_copy, place_version
from charter.hub.remote import heads_of, hub_faults, open_remote
from charter.hub.review_gate import check_reviews
from charter.hub.settle import make_tag, settled
from charter.hub.version import Version, list_versions

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["promote_hub", "promote_local"]


def promote_local(
    version: Version,
    store: Path,
    require: Sequence[str] = (),
    evaluations: Mapping[str, Any] | None = None,
) -> Published:
    """Make the release of a candidate in the local store.

    Args:
        version: the candidate, opened and so verified.
        store: where the release goes.
        require: what its manifest must hold: `reviews`, `evaluations`, or a name in one of them.
        evaluations: figures of a model trained on it (`charter.hub.evaluation_gate`), which the
            release's manifest and card will hold.

    Raises:
        InputError: it is no candidate, or something required is missing.
        Failure: there is a release of that number already or one that the candidate does not
            follow, or the recipe's gates are not reached.
    """
    release = _release(version, require, evaluations)
    check_reviews(version)
    check_evaluations(version, evaluations)
    tags = list_versions(store, version.repo)
    _check_free(version, release, tags)
    parent = _latest(tags)
    folder = store / version.repo
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".staged-", dir=folder) as staged:
        manifest, files = _files(version, release, parent, Path(staged), evaluations)
        path = place_version(files, version.repo, str(release), store)
    return Published(version.repo, str(release), path, manifest, new=True)


def promote_hub(
    version: Version,
    store: Path,
    require: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
    evaluations: Mapping[str, Any] | None = None,
) -> Published:
    """The same on the Hub that the candidate was read from: one commit and one tag.

    Raises:
        InputError: see `promote_local`.
        Failure: see `promote_local`; or something was published after the candidate.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    release = _release(version, require, evaluations)
    check_reviews(version)
    check_evaluations(version, evaluations)
    api: HfApi = HfApi()
    before = heads_of(api, version.repo)
    heads = settled(api, version.repo, before, say)
    if release in heads.tags and release not in before.tags:
        there = open_remote(f"{version.repo}@{release}")
        if data_files(there.manifest) == data_files(version.manifest):  # a promotion that died
            path = place_copy(there, version.repo, store)
            return Published(version.repo, str(release), path, there.manifest, new=True)
    _check_free(version, release, list(heads.tags))
    _check_head(version, heads.head)
    folder = store / version.repo
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".staged-", dir=folder) as staged:
        parent = _latest(list(heads.tags))
        manifest, files = _files(version, release, parent, Path(staged), evaluations)
        check_room(manifest, store)
        sent = [CommitOperationAdd(name, d) for name, d in files.items() if isinstance(d, bytes)]
        with hub_faults(version.repo):
            done = api.create_commit(
                version.repo,
                sent,
                commit_message=f"{release}: promoted from {version.tag}",
                repo_type="dataset",
                parent_commit=heads.head,
            )
        make_tag(api, version.repo, str(release), str(done.oid))
        say(f"{version.repo}@{release} is published ({str(done.oid)[:12]})")
        path = place_version(files, version.repo, str(release), store)
    return Published(version.repo, str(release), path, manifest, new=True)


def _check_head(version: Version, head: str | None) -> None:
    if head != version.commit:
        what = f"the repo has changed since {version.tag}"
        fix = "publish a new candidate, and promote that one"
        raise Failure(Fault(f"{version.repo}@{version.tag}", "", what, fix))


def _release(
    version: Version, require: Sequence[str], evaluations: Mapping[str, Any] | None
) -> Tag:
    tag = parse_tag(version.tag)
    place = f"{version.repo}@{version.tag}"
    if tag.final:
        fix = "publish one with `charter run RECIPE --version rc`"
        raise InputError(Fault(place, "", "is a release, not a candidate", fix))
    manifest = version.manifest
    evaluated = evaluations or manifest.evaluations
    known = {"reviews": bool(manifest.reviews), "evaluations": bool(evaluated)}
    held = {*(manifest.reviews or {}), *(evaluated or {})}
    missing = [name for name in require if not known.get(name, name in held)]
    if missing:
        fix = "measure it on the candidate first, or leave it out of --require"
        raise InputError(
            [Fault(place, name, "is missing from the manifest", fix) for name in missing]
        )
    return tag._replace(final=True, rc=0)


def _check_free(version: Version, release: Tag, tags: Sequence[Tag]) -> None:
    place = f"{version.repo}@{version.tag}"
    if release in tags:
        raise Failure(Fault(place, "", f"{release} is published already", "nothing is left to do"))
    latest = _latest(tags)
    if latest is not None and version.manifest.parent != str(latest):
        # It would bring back what that release changed, or took out.
        what = f"{latest} was published after the candidate"
        raise Failure(Fault(place, "", what, "publish a new candidate, and promote that one"))


def _latest(tags: Sequence[Tag]) -> Tag | None:
    return max((tag for tag in tags if tag.final), default=None)


def _files(
    version: Version,
    release: Tag,
    parent: Tag | None,
    staged: Path,
    evaluations: Mapping[str, Any] | None,
) -> tuple[Manifest, Files]:
    """The candidate's files under the release's name: only card and manifest are others."""
    card = (version.path / "README.md").read_text(encoding="utf-8")
    created = now()
    card = card.replace(version.tag, str(release)).replace(version.manifest.created, created)
    evaluated = version.manifest.evaluations if evaluations is None else dict(evaluations)
    card = with_evaluation(card, evaluated)
    readme = card.encode()
    sums = {**version.manifest.files, "README.md": hashlib.sha256(readme).hexdigest()}
    changed = {
        "tag": str(release),
        "created": created,
        "parent": None if parent is None else str(parent),
        "evaluations": evaluated,
        "files": sums,
    }
    manifest = sealed(version.manifest.model_copy(update=changed))
    files: Files = {"README.md": readme, MANIFEST: dump_manifest(manifest)}
    for name in version.manifest.files:
        if name != "README.md":
            target = staged / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(version.path / name, target)
            files[name] = target
    return manifest, files

"""Publish a version to a Hub: one commit with everything in it, then one tag.

Nothing of a version is seen before its commit, and nothing of it changes after its tag. A
publisher that died between the two left a head without a tag, which the next one tags.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from charter.errors import Failure, Fault, InputError
from charter.hub.columns import some
from charter.hub.content import (
    Content,
    Draft,
    Files,
    built,
    content_of,
    decided,
)
from charter.hub.follows import check_latest
from charter.hub.held_remote import foreign, heads_there, held_at, manifest_at
from charter.hub.manifest import MANIFEST, Manifest, check_repo
from charter.hub.number import Tag, parse_tag
from charter.hub.publish import Published, check_room, place_copy, place_version
from charter.hub.remote import Heads, Pinned, heads_of, hub_faults, snapshot
from charter.hub.schema import CONFIGS
from charter.hub.settle import make_tag, settled
from charter.hub.split_index import moved
from charter.hub.version import Version

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["HubOptions", "publish_hub"]

_STAGED: Final = ".staged-"
_TRIES: Final = 5
# What a repo may have before its first version.
_BLANK: Final = frozenset({".gitattributes", "README.md"})
_FRONT: Final = re.compile(rb"\A---\s.*?\n---(?=\s|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HubOptions:
    """How a version goes to a Hub.

    Attributes:
        private: of a repo that is made.
        rebase: where another publisher was faster, take the next number instead of failing.
        pr: open a pull request; for whoever may not write. Its merge is tagged by the next run.
            None where the user has no such choice, and is not told of it.
        dry_run: decide and check, and send nothing.
        card: what becomes of a card that people changed on the Hub: `fail`, `keep` or `replace`.
    """

    private: bool = False
    rebase: bool = False
    pr: bool | None = False
    dry_run: bool = False
    card: str = "fail"


def publish_hub(
    draft: Draft,
    store: Path,
    options: HubOptions | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Published:
    """Publish a version to the Hub at `HF_ENDPOINT`, and put the same files into a local store.

    Args:
        draft: what to publish.
        store: the folder of all local versions.
        options: see `HubOptions`.
        say: told what is going on.

    Raises:
        InputError: the repo or the tag can't be used, or no token may write there.
        Failure: a check failed, another publisher was faster, or the Hub is not reached. Then
            nothing was published.
    """
    options = options or HubOptions()
    folder = store / check_repo(draft.repo)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_STAGED, dir=folder) as staged:
            return _Push(draft, store, Path(staged), options, say).publish()
    except OSError as error:
        what = f"the version cannot be written: {error.strerror or error}"
        raise Failure(Fault(str(folder), "", what, "make room or permission there")) from error


class _Push:
    """One publication under way."""

    def __init__(
        self,
        draft: Draft,
        store: Path,
        staged: Path,
        options: HubOptions,
        say: Callable[[str], None],
    ) -> None:
        from huggingface_hub import HfApi

        self._draft, self._store, self._staged = draft, store, staged
        self._options, self._say = options, say
        self._api: HfApi = HfApi()
        self._repo = draft.repo

    def publish(self) -> Published:
        heads = self._settled(heads_there(self._api, self._repo))
        held = held_at(self._api, self._repo, heads)
        content = content_of(self._draft, held, self._staged, self._store / ".clean")
        for attempt in range(_TRIES):
            found = self._once(content, heads)
            if found is not None:
                return found
            if not self._options.rebase or attempt == _TRIES - 1:
                what = "another publisher was faster: the repo's head has moved"
                fix = "run it again with --rebase, which takes the next version"
                raise Failure(Fault(self._repo, "", what, fix))
            self._say("another publisher was faster; taking the next version")
            heads = self._settled(heads_there(self._api, self._repo))
            self._still_fits(heads)
        raise AssertionError  # the last try returns or raises

    def _faults(self) -> AbstractContextManager[None]:
        return hub_faults(self._repo, pull_request=self._options.pr is False)

    # What there is

    def _settled(self, heads: Heads) -> Heads:
        """The refs after a publisher that died was helped on: its head gets the tag it wanted."""
        dry_run = self._options.dry_run
        return settled(self._api, self._repo, heads, self._say, dry_run=dry_run)

    def _still_fits(self, heads: Heads) -> None:
        """What another publisher has published may hold our prompts in the other split."""
        held = held_at(self._api, self._repo, heads)
        names = list(moved(self._draft.splits, held))
        if names:
            what = f"another publisher put prompts into another split: {some(names)}"
            raise Failure(Fault(self._repo, "", what, "run it again: they keep their split"))

    # What is sent

    def _once(self, content: Content, heads: Heads) -> Published | None:
        """Publish on top of a head; None where it has moved in the meantime."""

        def opened(tag: Tag) -> Version:
            commit = heads.tags[tag]
            found = manifest_at(self._api, self._repo, commit)
            if found is None:
                raise foreign(self._repo, f"{tag} has no {MANIFEST}")
            manifest, folder = found
            # The same writer gives the same bytes for the same rows: checksums are enough then.
            if manifest.packages.get("pyarrow") != content.lineage.packages.get("pyarrow"):
                folder = snapshot(Pinned(self._repo, tag, commit))
            return Version(folder, manifest, commit)

        tags = list(heads.tags)
        check_latest(self._repo, self._draft.follows, tags)
        tag, there, new = decided(self._repo, self._draft.version, content, tags, opened)
        if not new:
            assert there is not None
            self._say(f"{self._repo}@{tag} says the same already")
            path = self._copied(there)
            return Published(self._repo, tag, path, there.manifest, new=False)
        manifest, files = built(self._draft, content, tag, there.manifest if there else None)
        last = self._last(heads, there)
        names = self._names(heads)
        old = self._ours(names, last)
        if "README.md" in old:
            manifest, files = self._with_card(manifest, files, heads, last)
        self._say(self._summary(tag, there, files, content))
        if self._options.dry_run:
            place = self._store.parent / "dry-run"
            shutil.rmtree(place / self._repo / tag, ignore_errors=True)
            path = place_version(files, self._repo, tag, place)
            return Published(self._repo, tag, path, manifest, new=True)
        check_room(manifest, self._store)
        if heads.head is None:
            heads = self._made()
            if self._names(heads) - _BLANK:
                return None  # another publisher's, who made it in the meantime
        commit = self._commit(tag, manifest, files, old, heads.head)
        if commit is None:
            return None
        if not self._options.pr:
            make_tag(self._api, self._repo, tag, commit)
        path = place_version(files, self._repo, tag, self._store)
        return Published(self._repo, tag, path, manifest, new=True)

    def _made(self) -> Heads:
        """The refs of a new repo. It is made when nothing but the commit is left to do."""
        with hub_faults(self._repo):  # where there is no repo, --pr is no help
            self._api.create_repo(
                self._repo, repo_type="dataset", private=self._options.private, exist_ok=True
            )
        self._say(f"made the dataset repo {self._repo}")
        return heads_of(self._api, self._repo)

    def _copied(self, there: Version) -> Path:
        """The folder of a version in the local store, copied from the client's cache."""
        assert there.commit is not None
        folder = snapshot(Pinned(self._repo, parse_tag(there.tag), there.commit))
        return place_copy(Version(folder, there.manifest), self._repo, self._store)

    def _last(self, heads: Heads, there: Version | None) -> Manifest | None:
        """The manifest of what was committed last, release or candidate; None of a new repo."""
        found = manifest_at(self._api, self._repo, heads.head) if heads.head else None
        if found is not None:
            return found[0]
        return there.manifest if there else None

    def _names(self, heads: Heads) -> set[str]:
        """The files at the head."""
        if heads.head is None:
            return set()
        with self._faults():
            return set(
                self._api.list_repo_files(self._repo, repo_type="dataset", revision=heads.head)
            )

    def _ours(self, names: set[str], last: Manifest | None) -> set[str]:
        """Files at the head that a version wrote, or writes anew; those of other people's stay.

        Raises:
            InputError: there are files, and no version wrote any.
        """
        if last is None:
            if others := sorted(names - _BLANK):
                raise foreign(self._repo, f"it has {others[0]} and no version")
            return names & {"README.md"}
        ours = {*last.files, MANIFEST}
        for config in CONFIGS:
            ours |= {name for name in names if name.startswith(f"{config}/")}
        return names & ours

    def _with_card(
        self, manifest: Manifest, files: Files, heads: Heads, last: Manifest | None
    ) -> tuple[Manifest, Files]:
        """The same, with people's own card where there is one and it is to be kept."""
        import hashlib

        from charter.hub.manifest import dump_manifest, sealed

        with self._faults():
            path = self._api.hf_hub_download(
                self._repo, "README.md", repo_type="dataset", revision=heads.head
            )
        card = Path(path).read_bytes()
        if last is None:
            # The Hub's page makes one with a licence alone.
            theirs = bool(_FRONT.sub(b"", card).strip())
        else:
            theirs = hashlib.sha256(card).hexdigest() != last.files["README.md"]
            # A card that was kept before is theirs too: it has the heading of an older version.
            theirs |= f"# {last.repo} {last.tag}\n".encode() not in card
        if not theirs or self._options.card == "replace":
            return manifest, files
        if self._options.card == "fail":
            what = "people have changed the card" if last else "people have written a card"
            fix = "use --card keep to publish theirs, or --card replace to write ours anew"
            raise InputError(Fault(self._repo, "README.md", what, fix))
        sums = {**manifest.files, "README.md": hashlib.sha256(card).hexdigest()}
        manifest = sealed(manifest.model_copy(update={"files": sums}))
        return manifest, {**files, "README.md": card, MANIFEST: dump_manifest(manifest)}

    def _summary(self, tag: str, there: Version | None, files: Files, content: Content) -> str:
        size = sum(f.stat().st_size if isinstance(f, Path) else len(f) for f in files.values())
        after = f", after {there.tag}" if there else ""
        what = "would be published" if self._options.dry_run else "is to be published"
        counts = ", ".join(f"{name} {len(rows)}" for name, rows in content.rows.items())
        return f"{self._repo}@{tag}{after} {what}: {counts}; {len(files)} files, {size:,} bytes"

    def _commit(
        self, tag: str, manifest: Manifest, files: Files, old: set[str], head: str | None
    ) -> str | None:
        """Send the commit; its id, or None where the head has moved."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete
        from huggingface_hub.errors import HfHubHTTPError

        operations: list[Any] = [
            CommitOperationAdd(name, str(data) if isinstance(data, Path) else data)
            for name, data in files.items()
        ]
        for each in operations:
            if isinstance(files[each.path_in_repo], Path):
                # The client would read the whole file for it.
                each.upload_info.sha256 = bytes.fromhex(manifest.files[each.path_in_repo])
        operations += [CommitOperationDelete(name) for name in sorted(old - files.keys())]
        with self._faults():
            try:
                done = self._api.create_commit(
                    self._repo,
                    operations,
                    commit_message=f"{tag}: {_sentence(manifest)}",
                    repo_type="dataset",
                    parent_commit=head,
                    create_pr=bool(self._options.pr),
                )
            except HfHubHTTPError as error:
                if error.response is not None and error.response.status_code in (409, 412):
                    return None
                raise
        if self._options.pr:
            self._say(f"pull request: {done.pr_url}")
        return str(done.oid)


def _sentence(manifest: Manifest) -> str:
    counts = [
        f"{sum(splits.values())} {config}"
        for config, splits in manifest.counts.items()
        if sum(splits.values())
    ]
    return f"{', '.join(counts)} rows under {manifest.constitution.name}"

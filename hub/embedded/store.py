"""The store of the embedded Hub: a bare git repository a repo, large files in it, one folder.

    DATA/repos/KIND/NAMESPACE/NAME.git   git's own files, `lfs/`, `hub.json`, `discussions/`
    DATA/locks/                          one lock a repo; the kernel drops them
    DATA/scratch/                        files in the making, and what is being deleted

Several servers may use one store at once.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from dulwich.objects import Blob
from dulwich.repo import Repo

from charter.errors import Fault, InputError
from charter.hub.embedded.blobs import ATTRIBUTES
from charter.hub.embedded.durable import locked, sync_folder, write_whole
from charter.hub.embedded.errors import HubError
from charter.hub.embedded.git import FILE_MODE, Git, make_commit, opened
from charter.hub.embedded.names import KINDS, RepoId, parse_repo_id

__all__ = ["SCHEMA_VERSION", "RepoFacts", "Store"]

SCHEMA_VERSION: Final = 1
_LEFT_BEHIND: Final = 86_400.0  # seconds


@dataclass(frozen=True)
class RepoFacts:
    """What is known of a repo beside its files: `hub.json`.

    Attributes:
        created: seconds since 1970.
        private: seen by its namespace alone.
        gated: False, `auto` or `manual`.
        sdk: of a space.
        access: user -> `accepted`, `pending` or `rejected`, where it is gated.
        number: a random id that stays when the repo moves.
        schema_version: of this file.
    """

    created: float
    private: bool = False
    gated: bool | str = False
    sdk: str | None = None
    access: dict[str, str] = field(default_factory=dict)
    number: str = field(default_factory=lambda: secrets.token_hex(12))
    schema_version: int = SCHEMA_VERSION


class Store:
    """All repos under one folder.

    Args:
        root: the folder; made where it is missing.

    Raises:
        InputError: another version of charter made it, or a file in it is damaged.
        OSError: it cannot be written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.scratch = self.root / "scratch"
        self._locks = self.root / "locks"
        for folder in (self.scratch, self._locks, self.root / "repos"):
            folder.mkdir(parents=True, exist_ok=True)
        self._check_version()
        self._sweep()

    def _check_version(self) -> None:
        found = self.kept("store.json", {"schema_version": SCHEMA_VERSION})["schema_version"]
        if found != SCHEMA_VERSION:
            what = f"a store of schema version {found!r}, not {SCHEMA_VERSION}"
            fix = "use the version of charter that made it, or another folder"
            raise InputError(Fault(str(self.root / "store.json"), "schema_version", what, fix))

    def kept(self, name: str, first: dict[str, Any], *, mode: int = 0o644) -> dict[str, Any]:
        """A small JSON file that all servers on the store share.

        Args:
            name: in the store's folder.
            first: what it holds where it is made now.
            mode: its rights where it is made now.

        Raises:
            InputError: it is no JSON object, or lacks a key of `first`.
        """
        file = self.root / name
        with self.lock_accounts():
            if not file.exists():
                write_whole(file, _dump(first), self.scratch, mode=mode)
            try:
                found = json.loads(file.read_bytes())
            except ValueError:
                found = None
        if not (isinstance(found, dict) and first.keys() <= found.keys()):
            what = f"is damaged: no JSON object with {', '.join(first)}"
            fix = "delete it: the next start makes another"
            raise InputError(Fault(str(file), "", what, fix))
        return found

    def _sweep(self) -> None:
        """Remove what killed servers left; what is young may belong to a living one."""
        for left in self.scratch.iterdir():
            try:
                old = time.time() - left.stat().st_mtime > _LEFT_BEHIND
            except FileNotFoundError:
                continue
            if old and left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            elif old:
                left.unlink(missing_ok=True)

    def lock_accounts(self) -> AbstractContextManager[None]:
        """Hold the lock of what all servers on the store share."""
        return locked(self._locks / "store")

    def secret(self) -> bytes:
        """What signed addresses are signed with: the same for all servers on this store."""
        file = self.root / "secret"
        with self.lock_accounts():
            if not file.exists():
                write_whole(file, secrets.token_bytes(32), self.scratch, mode=0o600)
            return file.read_bytes()

    def path(self, repo: RepoId) -> Path:
        """A repo's folder, whether it is there or not."""
        return self.root / "repos" / repo.kind / repo.namespace / f"{repo.name}.git"

    def exists(self, repo: RepoId) -> bool:
        """Whether there is such a repo."""
        return (self.path(repo) / "hub.json").is_file()

    def actual(self, repo: RepoId) -> RepoId:
        """The repo that a name leads to: in any case, and from the name before a move."""
        if self.exists(repo):
            return repo
        try:
            moved = json.loads(self._moved(repo).read_bytes())
            return self.actual(RepoId((repo.kind, moved["namespace"], moved["name"])))
        except FileNotFoundError:
            return self.spelled(repo)

    def spelled(self, repo: RepoId) -> RepoId:
        """The repo of that name in whatever case it was made, where it is now."""
        wanted = repo.full.lower()
        for folder in (self.root / "repos" / repo.kind).glob("*/*.git"):
            name = folder.name.removesuffix(".git")
            if f"{folder.parent.name}/{name}".lower() == wanted:
                return RepoId((repo.kind, folder.parent.name, name))
        return repo

    @contextmanager
    def lock(self, *repos: RepoId) -> Iterator[None]:
        """Hold the locks of repos, in one order whoever asks."""
        names = sorted(
            {hashlib.sha256("/".join(repo).lower().encode()).hexdigest() for repo in repos}
        )
        first, *rest = names
        with locked(self._locks / first):
            if rest:
                with locked(self._locks / rest[0]):
                    yield
            else:
                yield

    def open(self, repo: RepoId) -> AbstractContextManager[Git]:
        """A context manager that gives the repo's `Git`."""
        return opened(self.path(repo))

    def facts(self, repo: RepoId) -> RepoFacts | None:
        """What is known of a repo, or None where it is not there."""
        try:
            return RepoFacts(**json.loads((self.path(repo) / "hub.json").read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def change(self, repo: RepoId, **changes: Any) -> None:
        """Change facts of a repo; the caller holds its lock."""
        facts = self.facts(repo)
        if facts is None:
            raise HubError(404, "Repository not found", code="RepoNotFound")
        self._write_facts(self.path(repo), replace(facts, **changes))

    def _write_facts(self, folder: Path, facts: RepoFacts) -> None:
        write_whole(folder / "hub.json", _dump(asdict(facts)), self.scratch)

    def create(self, repo: RepoId, facts: RepoFacts, author: str) -> None:
        """Make a repo with its first commit: it is there whole or not at all.

        Raises:
            HubError: 409 where it exists.
        """
        made = self.scratch / f"new-{secrets.token_hex(12)}"
        made.mkdir()
        try:
            Repo.init_bare(str(made), default_branch=b"main").close()
            with opened(made) as git:
                self._first_commit(git, repo, facts, author)
            self._write_facts(made, facts)
            with self.lock(repo):
                if self.exists(self.spelled(repo)):
                    raise HubError(409, "You already created this repo")
                self._moved(repo).unlink(missing_ok=True)
                self._place(made, repo)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _first_commit(self, git: Git, repo: RepoId, facts: RepoFacts, author: str) -> None:
        files = {b".gitattributes": ATTRIBUTES[repo.kind]}
        if facts.sdk:
            files[b"README.md"] = f"---\ntitle: {repo.name}\nsdk: {facts.sdk}\n---\n"
        tree = git.write_tree(
            {
                path: (FILE_MODE, git.add(Blob.from_string(text.encode())))
                for path, text in files.items()
            }
        )
        commit = git.add(make_commit(tree, [], b"initial commit", author, time.time()))
        git.move(b"refs/heads/main", None, commit)

    def _place(self, folder: Path, repo: RepoId) -> None:
        target = self.path(repo)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # no repo: the callers have looked
            target.replace(self.scratch / f"deleted-{secrets.token_hex(12)}")
        folder.replace(target)
        for above in (target.parent, target.parent.parent, target.parent.parent.parent):
            sync_folder(above)

    def delete(self, repo: RepoId) -> None:
        """Remove a repo and its large files; the caller holds its lock."""
        gone = self.scratch / f"deleted-{secrets.token_hex(12)}"
        self.path(repo).replace(gone)
        sync_folder(self.path(repo).parent)
        shutil.rmtree(gone, ignore_errors=True)

    def rename(self, repo: RepoId, target: RepoId) -> None:
        """Move a repo; the caller holds both locks.

        Raises:
            HubError: 409 where the new name is taken.
        """
        taken = self.spelled(target)
        if taken != repo and self.exists(taken):
            what = f"A {target.type} repository called {target.full} already exists"
            raise HubError(409, what)
        # An old name leads to the new one, never round in a circle.
        self._moved(target).unlink(missing_ok=True)
        self._place(self.path(repo), target)
        sync_folder(self.path(repo).parent)
        note = {"namespace": target.namespace, "name": target.name}
        write_whole(self._moved(repo), _dump(note), self.scratch, within=self.root)

    def _moved(self, repo: RepoId) -> Path:
        return self.root / "moved" / repo.kind / repo.namespace / f"{repo.name}.json"

    def repos(self, kind: str) -> Iterator[RepoId]:
        """All repos of a kind, by namespace and name."""
        assert kind in KINDS
        for folder in sorted((self.root / "repos" / kind).glob("*/*.git")):
            try:
                repo = parse_repo_id(kind, folder.parent.name, folder.name.removesuffix(".git"))
            except HubError:
                continue  # a folder that somebody else put there
            if self.exists(repo):
                yield repo


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"

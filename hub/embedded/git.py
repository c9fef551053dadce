"""A bare git repository through dulwich: what is acknowledged stays, whoever is killed when."""

from __future__ import annotations

import os
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from dulwich.errors import NotGitRepository
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tag, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

from charter.hub.embedded.durable import sync_file, sync_folder
from charter.hub.embedded.errors import HubError, bad_request, revision_missing

__all__ = ["Entry", "Flat", "Git", "Sha", "make_commit", "opened"]

Sha = bytes
Flat = dict[bytes, tuple[int, Sha]]
FILE_MODE: Final = 0o100644
FOLDER_MODE: Final = 0o040000
_HEX: Final = frozenset("0123456789abcdef")
_SHORTEST: Final = 5
_STALE: Final = 30.0  # seconds
_FEW: Final = 16
_MOST_ENTRIES: Final = 200_000
_ZERO: Final = b"0" * 40


class Entry(NamedTuple):
    """One line of a tree."""

    path: bytes
    mode: int
    sha: Sha

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.mode == FOLDER_MODE


class Git:
    """One repository, opened for one request.

    Args:
        repo: dulwich's view of it.
    """

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.path = Path(repo.path)
        self._dirty: set[Path] = set()
        self._pending: dict[Sha, tuple[Path, Path]] = {}

    def add(self, made: ShaFile) -> Sha:
        """Write an object; it is there, and lasts, once `settle` has returned.

        git's own writer names a file before its content is on the disk.
        """
        sha = bytes(made.id)
        folder = self.path / "objects" / sha[:2].decode()
        target = folder / sha[2:].decode()
        known = sha in self._pending or target.exists()
        if known or self.repo.object_store.contains_packed(ObjectID(sha)):
            return sha
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            self._dirty.add(folder.parent)
        temporary = folder / f"tmp_obj_{secrets.token_hex(8)}"
        self._pending[sha] = (temporary, target)
        temporary.write_bytes(zlib.compress(_plain(made), 1))
        temporary.chmod(0o444)
        return sha

    def settle(self) -> None:
        """Make all objects that were added last. Call it before a ref moves to them."""
        pending = list(self._pending.values())
        if len(pending) > _FEW:
            # A disk writes many files at once in the time of a few.
            with ThreadPoolExecutor(_FEW) as pool:
                list(pool.map(sync_file, (temporary for temporary, _ in pending)))
        else:
            for temporary, _ in pending:
                sync_file(temporary)
        for temporary, target in pending:
            temporary.replace(target)
            self._dirty.add(target.parent)
        self._pending.clear()
        for folder in self._dirty:
            sync_folder(folder)
        self._dirty.clear()

    def forget(self) -> None:
        """Leave nothing of what was added and not settled."""
        for temporary, _ in self._pending.values():
            temporary.unlink(missing_ok=True)
        self._pending.clear()

    def refs(self, base: bytes = b"refs/") -> dict[bytes, Sha]:
        """Ref -> what it points to, tag objects not followed; only those under `base`."""
        found = self.repo.refs.as_dict()
        return {bytes(name): bytes(sha) for name, sha in found.items() if name.startswith(base)}

    def ref(self, name: bytes) -> Sha | None:
        """What a ref points to, or None."""
        found = self.repo.refs.read_ref(Ref(name))
        return bytes(found) if found is not None else None

    def move(self, name: bytes, old: Sha | None, new: Sha) -> bool:
        """Point a ref at `new` if it still is `old`; the caller holds the repo's lock.

        Returns:
            Whether it was.

        Raises:
            HubError: 400 where the name would be a folder of another ref, or the other way.
        """
        self.settle()
        try:
            with self._intent(name):
                done = self.repo.refs.set_if_equals(
                    Ref(name), ObjectID(old if old is not None else _ZERO), ObjectID(new)
                )
        except (NotADirectoryError, IsADirectoryError, FileExistsError):
            raise bad_request("a ref name is a part of another ref's") from None
        folder = (self.path / os.fsdecode(name)).parent
        while folder != self.path:
            sync_folder(folder)
            folder = folder.parent
        return bool(done)

    def drop(self, name: bytes, old: Sha) -> bool:
        """Remove a ref if it still is `old`; the caller holds the repo's lock."""
        with self._intent(name):
            done = self.repo.refs.remove_if_equals(Ref(name), ObjectID(old))
        sync_folder(self.path / "refs")
        return bool(done)

    @contextmanager
    def _intent(self, name: bytes) -> Iterator[None]:
        """Take away the lock file that a killed server left on a ref.

        The caller holds the repo's lock, so no server is moving this ref; `git push` into the
        folder does not ask for that lock, hence the note of what a server was about to move.
        """
        note = self.path / "hub-moving"
        lock = self.path / f"{os.fsdecode(name)}.lock"
        with suppress(FileNotFoundError, NotADirectoryError):
            ours = note.exists() and note.read_bytes() == name
            if ours or time.time() - lock.stat().st_mtime > _STALE:
                lock.unlink(missing_ok=True)
        note.write_bytes(name)
        yield
        note.unlink(missing_ok=True)

    def peel(self, sha: Sha) -> Sha | None:
        """The commit behind an id of a commit or an annotated tag."""
        for _ in range(8):
            try:
                found = self.repo.object_store[ObjectID(sha)]
            except KeyError:
                return None
            if isinstance(found, Commit):
                return sha
            if not isinstance(found, Tag):
                return None
            sha = bytes(found.object[1])
        return None

    def resolve(self, revision: str) -> Sha:
        """The commit of a branch, a tag, a full ref, or a commit id (a prefix of 5 or more).

        Raises:
            HubError: 404 RevisionNotFound.
        """
        sha: Sha | None = None
        try:
            raw = revision.encode()
        except UnicodeEncodeError:
            raise revision_missing("") from None
        heads = (b"",) if revision.startswith("refs/") else (b"refs/heads/", b"refs/tags/")
        for head in heads:
            sha = sha or self._named(head + raw)
        if sha is None and _SHORTEST <= len(revision) <= 40 and set(revision) <= _HEX:
            sha = self._by_prefix(revision)
        commit = self.peel(sha) if sha else None
        if commit is None:
            raise revision_missing(revision)
        return commit

    def _named(self, name: bytes) -> Sha | None:
        try:
            return self.ref(name)
        except (ValueError, OSError):
            return None

    def _by_prefix(self, prefix: str) -> Sha | None:
        if len(prefix) == 40:
            return prefix.encode()
        found = [
            bytes(sha)
            for sha in self.repo.object_store.iter_prefix(prefix.encode())
            if self.peel(bytes(sha)) == bytes(sha)
        ]
        return found[0] if len(found) == 1 else None

    def commit(self, sha: Sha) -> Commit:
        """A commit by its id."""
        found = self.repo.object_store[ObjectID(sha)]
        assert isinstance(found, Commit)
        return found

    def tree_of(self, commit: Sha) -> Sha:
        """The id of a commit's root tree."""
        return bytes(self.commit(commit).tree)

    def blob(self, sha: Sha) -> bytes:
        """A blob's content. Blobs are small: what is large is kept beside git.

        Raises:
            KeyError: it is not here, or is a commit: a submodule, which `git push` can leave.
        """
        found = self.repo.object_store[ObjectID(sha)]
        if not isinstance(found, Blob):
            raise KeyError(sha)
        return bytes(found.data)

    def children(self, tree: Sha) -> tuple[Entry, ...]:
        """A tree's own lines, in git's order."""
        return tuple(_TREES.get(self, tree).values())

    def walk(self, tree: Sha, base: bytes = b"") -> Iterator[Entry]:
        """All below a tree, folders before what they hold."""
        for entry in self.children(tree):
            path = base + entry.path
            yield Entry(path, entry.mode, entry.sha)
            if entry.is_folder:
                yield from self.walk(entry.sha, path + b"/")

    def find(self, tree: Sha, path: bytes) -> Entry | None:
        """What a path names below a tree; the empty path is the tree itself."""
        entry = Entry(b"", FOLDER_MODE, tree)
        for part in path.split(b"/") if path else []:
            if not entry.is_folder:
                return None
            below = _TREES.get(self, entry.sha).get(part)
            if below is None:
                return None
            entry = below
        return Entry(path, entry.mode, entry.sha)

    def flat(self, commit: Sha) -> Flat:
        """Every file of a commit: path -> mode and id."""
        found = self.walk(self.tree_of(commit))
        return {entry.path: (entry.mode, entry.sha) for entry in found if not entry.is_folder}

    def write_tree(self, files: Mapping[bytes, tuple[int, Sha]]) -> Sha:
        """Write the trees of these files.

        Raises:
            HubError: 400 where one path is a file and a folder at once.
        """
        here = Tree()
        below: dict[bytes, dict[bytes, tuple[int, Sha]]] = {}
        for path, (mode, sha) in files.items():
            head, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(head, {})[rest] = (mode, sha)
            else:
                here.add(head, mode, ObjectID(sha))
        for name, inner in below.items():
            if name in here:
                shown = name.decode(errors="replace")[:200]
                raise bad_request(f'"{shown}" would be a file and a folder at once')
            here.add(name, FOLDER_MODE, ObjectID(self.write_tree(inner)))
        return self.add(here)

    def history(self, start: Sha) -> Iterator[tuple[Sha, Commit]]:
        """Commits from `start` back, newest first."""
        for step in self.repo.get_walker(include=[ObjectID(start)]):
            yield bytes(step.commit.id), step.commit


def _plain(made: ShaFile) -> bytes:
    body = made.as_raw_string()
    return made.type_name + b" " + str(len(body)).encode() + b"\0" + body


class _Trees:
    """Trees that were read before. They are named by their content, so none grows old."""

    def __init__(self) -> None:
        self._known: dict[Sha, dict[bytes, Entry]] = {}
        self._entries = 0

    def get(self, git: Git, sha: Sha) -> dict[bytes, Entry]:
        found = self._known.get(sha)
        if found is None:
            kind, raw = git.repo.object_store.get_raw(ObjectID(sha))
            assert kind == Tree.type_num
            tree = Tree()
            tree.set_raw_string(raw)
            lines = (Entry(item.path, item.mode, bytes(item.sha)) for item in tree.iteritems())
            found = {entry.path: entry for entry in lines}
            self._entries += len(found)
            if self._entries > _MOST_ENTRIES:
                self._known, self._entries = {}, len(found)
            self._known[sha] = found
        return found


_TREES: Final = _Trees()


def make_commit(
    tree: Sha, parents: Iterable[Sha], message: bytes, author: str, when: float
) -> Commit:
    """A commit object, not yet written.

    Args:
        tree: the root tree.
        parents: none for the first.
        message: title, empty line, description.
        author: a user's name.
        when: seconds since 1970.
    """
    made = Commit()
    made.tree = ObjectID(tree)
    made.parents = [ObjectID(parent) for parent in parents]
    made.author = made.committer = f"{author} <{author}@users.noreply.localhost>".encode()
    made.author_time = made.commit_time = int(when)
    made.author_timezone = made.commit_timezone = 0
    made.encoding = b"UTF-8"
    made.message = message
    return made


@contextmanager
def opened(path: Path) -> Iterator[Git]:
    """Open a repository for a while.

    Raises:
        HubError: 404 where it was moved or deleted meanwhile.
    """
    try:
        repo = Repo(str(path))
    except (NotGitRepository, FileNotFoundError):
        raise HubError(404, "Repository not found", code="RepoNotFound") from None
    git = Git(repo)
    try:
        yield git
    finally:
        git.forget()
        repo.close()

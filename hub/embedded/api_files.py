"""Files: trees, paths, and the bytes themselves with ranges and entity tags."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

from charter.hub.embedded.blobs import blob_path
from charter.hub.embedded.errors import HubError, entry_missing
from charter.hub.embedded.git import Entry, Git, Sha
from charter.hub.embedded.http import Call, FilePart, Reply, reply_json
from charter.hub.embedded.hub import named_repo
from charter.hub.embedded.listing import Stored, describe, last_changes, stored
from charter.hub.embedded.names import KINDS, check_path

__all__ = ["at_revision", "paths_info", "resolve", "tree"]

_TREE_PAGE: Final = 1000
_EXPANDED_PAGE: Final = 50
_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_TEXT: Final = (".md", ".txt", ".json", ".jsonl", ".yaml", ".yml", ".csv", ".tsv", ".py", ".html")


def at_revision(parts: tuple[str, ...]) -> tuple[str, str]:
    """Split what stands behind `tree` or `resolve` into revision and path.

    Clients quote the slashes of a revision; some leave those of `refs/pr/1` as they are.
    """
    length = 3 if parts[:1] == ("refs",) and len(parts) >= 3 else 1
    return "/".join(parts[:length]), "/".join(parts[length:])


def _path(path: str, commit: Sha) -> bytes:
    """A path to look up: one that no repo can hold is one that is not there."""
    if not path:
        return b""
    try:
        return check_path(path)
    except HubError:
        raise entry_missing(commit.decode()) from None


def tree(call: Call) -> Reply:
    """What is in a folder, or all below it."""
    repo = named_repo(call)
    call.hub.readable(repo, call.account)
    revision, path = at_revision(call.parts[5:])
    with call.hub.store.open(repo) as git:
        commit = git.resolve(revision or "main")
        raw = _path(path.strip("/"), commit)
        top = git.find(git.tree_of(commit), raw)
        if top is None or not top.is_folder:
            raise entry_missing(commit.decode())
        base = raw + b"/" if raw else b""
        if call.flag("recursive"):
            found = list(git.walk(top.sha, base))
        else:
            below = git.children(top.sha)
            found = [Entry(base + entry.path, entry.mode, entry.sha) for entry in below]
        most = _EXPANDED_PAGE if call.flag("expand") else _TREE_PAGE
        size = max(call.whole("limit", most, most), 1)
        page, headers = call.page(found, size)
        shown = _described(git, commit, page, expand=call.flag("expand"))
    return reply_json(shown, headers={**headers, "X-Repo-Commit": commit.decode()})


def _described(
    git: Git, commit: Sha, entries: list[Entry], *, expand: bool
) -> list[dict[str, Any]]:
    shown = [describe(git, entry) for entry in entries]
    if expand:
        changes = last_changes(git, commit, [entry.path for entry in entries])
        for one, entry in zip(shown, entries, strict=True):
            one["lastCommit"] = changes.get(entry.path)
            if not entry.is_folder:
                # Nothing here scans files: saying so is better than saying "safe".
                one["securityFileStatus"] = {
                    "status": "unscanned",
                    "avScan": None,
                    "pickleImportScan": None,
                }
    return shown


def paths_info(call: Call) -> Reply:
    """Files and folders by path; what is not there is left out."""
    repo = named_repo(call)
    call.hub.readable(repo, call.account)
    form = call.form()
    expand = form.get("expand", ["false"])[0].lower() in {"true", "1"}
    with call.hub.store.open(repo) as git:
        commit = git.resolve("/".join(call.parts[5:]) or "main")
        root = git.tree_of(commit)
        found = []
        for path in form.get("paths", []):
            try:
                entry = git.find(root, check_path(path.rstrip("/")))
            except HubError:
                continue
            if entry is not None:
                found.append(entry)
        shown = _described(git, commit, found, expand=expand)
    return reply_json(shown)


def resolve(call: Call) -> Reply:
    """A file's bytes, or a part of them."""
    parts = call.parts if call.parts[0] in KINDS else ("models", *call.parts)
    repo = named_repo(call, parts)
    call.hub.contents(repo, call.account)
    revision, path = at_revision(parts[4:])
    with call.hub.store.open(repo) as git:
        commit = git.resolve(revision or "main")
        raw = _path(path, commit)
        entry = git.find(git.tree_of(commit), raw) if raw else None
        if entry is None or entry.is_folder:
            raise entry_missing(commit.decode())
        found = stored(git, entry.sha)
        try:
            content = b"" if found.pointer else git.blob(entry.sha)
        except KeyError:
            raise entry_missing(commit.decode()) from None
    headers = _headers(path, commit, entry, found)
    if found.pointer is None:
        return _cut(call, content, len(content), headers)
    large = blob_path(call.hub.store.path(repo), found.pointer.sha256)
    if not large.is_file():
        raise entry_missing(commit.decode(), "the large file is not in the store")
    return _cut(call, FilePart(large, 0, found.size), found.size, headers)


def _headers(path: str, commit: Sha, entry: Entry, found: Stored) -> dict[str, str]:
    name = path.rsplit("/", 1)[-1]
    plain = "".join(char if char.isascii() and char not in '"\\' else "_" for char in name)
    tag = found.pointer.sha256 if found.pointer else entry.sha.decode()
    text = name.lower().endswith(_TEXT) or not found.pointer
    headers = {
        "ETag": f'"{tag}"',
        "X-Repo-Commit": commit.decode(),
        "Accept-Ranges": "bytes",
        "Content-Type": "text/plain; charset=utf-8" if text else "application/octet-stream",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}; filename=\"{plain}\"",
        # A page in a dataset must not run as this server's own.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-cache",
    }
    if found.pointer:
        headers |= {"X-Linked-Size": str(found.size), "X-Linked-Etag": f'"{tag}"'}
    return headers


def _cut(call: Call, content: bytes | FilePart, size: int, headers: dict[str, str]) -> Reply:
    """The whole, a range of it, or nothing where the caller has it."""
    tag = headers["ETag"]
    known = {
        one.strip().removeprefix("W/") for one in call.headers.get("if-none-match", "").split(",")
    }
    if tag in known or "*" in known:
        return Reply(304, b"", headers)
    asked = call.headers.get("range")
    if asked is None or call.headers.get("if-range", tag) != tag:
        return Reply(200, content, headers)
    found = _RANGE.fullmatch(asked.replace(" ", ""))
    if found is None or found[1] == found[2] == "":
        # More than one range, or a unit that we do not know: the whole is allowed.
        return Reply(200, content, headers)
    first, last = _bounds(found[1], found[2], size)
    if first > last or first >= size:
        raise HubError(416, "Range not satisfiable", headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    length = last - first + 1
    if isinstance(content, FilePart):
        return Reply(206, FilePart(content.path, first, length), headers)
    return Reply(206, content[first : last + 1], headers)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(size - int(last), 0), size - 1 if int(last) else -1
    return int(first), min(int(last), size - 1) if last else size - 1

"""Large files over HTTP: git-lfs's batch API and the signed addresses it hands out."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

from charter.hub.embedded.blobs import blob_path, blob_size
from charter.hub.embedded.errors import HubError, bad_request, forbidden
from charter.hub.embedded.http import Call, FilePart, Reply, reply_json
from charter.hub.embedded.hub import named_repo
from charter.hub.embedded.names import KINDS, RepoId, parse_repo_id

__all__ = ["allowed_upload", "batch", "download", "verify"]

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LFS: Final = "application/vnd.git-lfs+json"
_MOST: Final = 1000


def _repo(call: Call) -> RepoId:
    parts = call.parts if call.parts[0] in KINDS else ("models", *call.parts)
    return named_repo(call, (parts[0], parts[1], parts[2].removesuffix(".git")))


def _object(given: Any) -> tuple[str, int]:
    oid = given.get("oid") if isinstance(given, dict) else None
    size = given.get("size") if isinstance(given, dict) else None
    if not isinstance(oid, str) or not _SHA256.fullmatch(oid):
        raise bad_request('"oid" is not a SHA-256')
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**50:
        raise bad_request('"size" is not a number of bytes')
    return oid, size


def batch(call: Call) -> Reply:
    """Say of each object where it goes to or comes from; nothing where it is there already."""
    repo, value = _repo(call), call.json()
    operation, objects = value.get("operation"), value.get("objects")
    if operation not in ("upload", "download") or not isinstance(objects, list):
        raise bad_request('"operation" or "objects" is missing')
    if len(objects) > _MOST or value.get("hash_algo", "sha256") != "sha256":
        raise HubError(422, f"at most {_MOST} objects, named by their SHA-256")
    if operation == "upload":
        # Who may only propose changes uploads as well: a pull request's files are files too.
        call.hub.contributor(repo, call.account)
    else:
        call.hub.contents(repo, call.account)
    shown = []
    for one in objects:
        oid, size = _object(one)
        there = blob_path(call.hub.store.path(repo), oid).is_file()
        action = (
            _upload(call, repo, oid, size, there)
            if operation == "upload"
            else (_download(call, repo, oid, there))
        )
        shown.append({"oid": oid, "size": size, "authenticated": True, **action})
    body = {"transfer": "basic", "objects": shown, "hash_algo": "sha256"}
    return reply_json(body, headers={"Content-Type": _LFS})


def _upload(call: Call, repo: RepoId, oid: str, size: int, there: bool) -> dict[str, Any]:
    if there:
        return {}
    until, signature = call.hub.signed(f"PUT {'/'.join(repo)} {oid} {size}")
    query = urlencode({"size": size, "until": until, "signature": signature})
    address = f"{call.base}/lfs-objects/{'/'.join(repo)}/{oid}?{query}"
    check = f"{call.base}/{repo.prefix}{repo.full}.git/info/lfs/objects/verify"
    return {"actions": {"upload": {"href": address}, "verify": {"href": check}}}


def _download(call: Call, repo: RepoId, oid: str, there: bool) -> dict[str, Any]:
    if not there:
        return {"error": {"code": 404, "message": "Object does not exist"}}
    until, signature = call.hub.signed(f"GET {'/'.join(repo)} {oid}")
    query = urlencode({"until": until, "signature": signature})
    address = f"{call.base}/lfs-objects/{'/'.join(repo)}/{oid}?{query}"
    return {"actions": {"download": {"href": address}}}


def _addressed(call: Call) -> tuple[RepoId, str]:
    _, kind, namespace, name, oid = call.parts
    if kind not in KINDS or not _SHA256.fullmatch(oid):
        raise HubError(404, "Not found")
    return parse_repo_id(kind, namespace, name), oid


def _signed(call: Call, repo: RepoId, text: str) -> None:
    """Whether the address is ours, before whether the repo is there: it may be private."""
    query = call.query
    if not call.hub.is_signed(text, query.get("until", ""), query.get("signature", "")):
        raise forbidden("the address is not signed, or too old")
    if not call.hub.store.exists(repo):
        raise HubError(404, "Repository not found", code="RepoNotFound")


def allowed_upload(call: Call) -> tuple[RepoId, str, int]:
    """What a signed address takes: the repo, the SHA-256 and the size.

    Raises:
        HubError: 403 where it is not signed, 404 where the repo is gone.
    """
    repo, oid = _addressed(call)
    size = call.query.get("size", "")
    _signed(call, repo, f"PUT {'/'.join(repo)} {oid} {size}")
    return repo, oid, int(size)


def download(call: Call) -> Reply:
    """A large file by its signed address."""
    repo, oid = _addressed(call)
    _signed(call, repo, f"GET {'/'.join(repo)} {oid}")
    path = blob_path(call.hub.store.path(repo), oid)
    if not path.is_file():
        raise HubError(404, "Object does not exist")
    return Reply(200, FilePart(path, 0, path.stat().st_size), {"ETag": f'"{oid}"'})


def verify(call: Call) -> Reply:
    """Whether an object has arrived with the size that was named."""
    repo = _repo(call)
    call.hub.contributor(repo, call.account)
    oid, size = _object(call.json())
    if blob_size(call.hub.store.path(repo), oid) != size:
        raise HubError(404, "Object does not exist, or has another size")
    return reply_json({}, headers={"Content-Type": _LFS})

"""Uploads by Xet, which clients use wherever `hf_xet` is installed: they end as large files.

A client sends chunks in xorbs, then a shard that says which chunks make which file. Each file is
put together and kept by its SHA-256 as if it had come by LFS. Later uploads may name chunks of
earlier ones: a xorb is kept until all its chunks are known to lie in files of the repo, and then
a table of where they lie takes its place.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from charter.hub.embedded.blobs import Incoming, blob_path
from charter.hub.embedded.durable import locked, move_in, sync_file, write_whole
from charter.hub.embedded.errors import HubError, bad_request, repo_hidden, unauthorized
from charter.hub.embedded.http import Call, Reply, reply_json
from charter.hub.embedded.hub import named_repo
from charter.hub.embedded.names import KINDS, RepoId, parse_repo_id
from charter.hub.embedded.xet_format import (
    Segment,
    ShardFile,
    chunk_table,
    read_chunk,
    shard_files,
)

__all__ = ["missing", "put_shard", "put_xorb", "write_token"]

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_LARGEST_XORB: Final = 80 * 2**20
_LARGEST_SHARD: Final = 256 * 2**20
_SECONDS: Final = 3600
# chunk by chunk: the file it lies in, from where, how long
Places = dict[str, dict[int, tuple[str, int, int]]]


def write_token(call: Call) -> Reply:
    """Where a client uploads to, and with what token."""
    repo = named_repo(call)
    call.hub.contributor(repo, call.account)
    facts = call.hub.readable(repo, call.account)
    until, signature = call.hub.signed(_scope(repo, facts.number), _SECONDS)
    # Clients remember what an address has: that must not outlive the repo.
    address = f"{call.base}/xet/{'/'.join(repo)}/{facts.number}"
    token = f"{until}.{signature}"
    headers = {
        "X-Xet-Cas-Url": address,
        "X-Xet-Access-Token": token,
        "X-Xet-Token-Expiration": str(until),
    }
    return reply_json({"casUrl": address, "exp": until, "accessToken": token}, headers=headers)


def _scope(repo: RepoId, number: str) -> str:
    return f"XET {'/'.join(repo)} {number}"


def _allowed(call: Call) -> RepoId:
    _, kind, namespace, name, number = call.parts[:5]
    if kind not in KINDS:
        raise repo_hidden(False)
    repo = parse_repo_id(kind, namespace, name)
    token = call.headers.get("authorization", "").removeprefix("Bearer ")
    until, _, signature = token.partition(".")
    if not call.hub.is_signed(_scope(repo, number), until, signature):
        raise unauthorized()
    facts = call.hub.store.facts(repo)
    if facts is None or facts.number != number:
        raise repo_hidden(False)
    return repo


def missing(call: Call) -> Reply:
    """What this server does not offer: clients go on without it."""
    _allowed(call)
    raise HubError(404, "Not found")


def _raw(folder: Path, xorb: str) -> Path:
    return folder / "xet" / "xorbs" / xorb[:2] / xorb


def _table(folder: Path, xorb: str) -> Path:
    return folder / "xet" / "tables" / xorb[:2] / f"{xorb}.json"


def put_xorb(call: Call) -> Reply:
    """Keep a xorb."""
    repo, xorb = _allowed(call), call.parts[-1]
    assert call.file is not None
    if not _HASH.fullmatch(xorb):
        raise bad_request("the hash of a xorb is 64 hexadecimal digits")
    if call.file.stat().st_size > _LARGEST_XORB:
        raise HubError(413, "the xorb is too large")
    chunk_table(call.file)
    sync_file(call.file)
    folder = call.hub.store.path(repo)
    move_in(call.file, _raw(folder, xorb), folder)
    return reply_json({"was_inserted": True})


def put_shard(call: Call) -> Reply:
    """Put together the files that a shard names."""
    repo = _allowed(call)
    assert call.file is not None
    if call.file.stat().st_size > _LARGEST_SHARD:
        raise HubError(413, "the shard is too large")
    store, folder = call.hub.store, call.hub.store.path(repo)
    with locked(folder / "xet.lock"):
        places: Places = {}
        for file in shard_files(call.file.read_bytes()):
            incoming = Incoming(store.scratch, secrets.token_hex(12))
            try:
                _join(folder, file, incoming, places)
            finally:
                incoming.discard()
        for xorb, found in places.items():
            _settle(folder, xorb, found, store.scratch)
    return reply_json({"result": 1})


def _join(folder: Path, file: ShardFile, incoming: Incoming, places: Places) -> None:
    known = file.sha256 is not None and blob_path(folder, file.sha256).is_file()
    at: list[tuple[str, int, int, int]] = []
    for segment in file.segments:
        before = incoming.size
        for number, content in _chunks(folder, segment):
            at.append((segment.xorb, number, incoming.size, len(content)))
            incoming.write([content])
        if incoming.size - before != segment.size:
            raise bad_request("a segment of the shard has not the size that it names")
    if known and incoming.size != file.size:
        raise bad_request("a file of the shard has not the size that it names")
    pointer = incoming.keep(folder, file.sha256, file.size)
    for xorb, number, start, length in at:
        places.setdefault(xorb, {})[number] = (pointer.sha256, start, length)


def _chunks(folder: Path, segment: Segment) -> Iterator[tuple[int, bytes]]:
    """The chunks of a segment, from its xorb or from the files that they lie in."""
    wanted = range(segment.first, segment.last)
    raw = _raw(folder, segment.xorb)
    if raw.is_file():
        chunks = chunk_table(raw)
        if segment.last > len(chunks):
            raise bad_request("a segment of the shard names chunks that its xorb has not")
        with raw.open("rb") as source:
            for number in wanted:
                yield number, read_chunk(source, chunks[number])
        return
    try:
        table = json.loads(_table(folder, segment.xorb).read_bytes())
    except FileNotFoundError:
        raise bad_request("the shard names a xorb that was not uploaded") from None
    if segment.last > len(table):
        raise bad_request("a segment of the shard names chunks that its xorb has not")
    for number in wanted:
        sha256, start, length = table[number]
        with blob_path(folder, sha256).open("rb") as source:
            source.seek(start)
            yield number, source.read(length)


def _settle(folder: Path, xorb: str, found: dict[int, Any], scratch: Path) -> None:
    """Put a table in a xorb's place once all its chunks lie in files."""
    raw = _raw(folder, xorb)
    if not raw.is_file() or len(found) < len(chunk_table(raw)):
        return
    table = [found[number] for number in range(len(found))]
    write_whole(_table(folder, xorb), json.dumps(table).encode(), scratch, within=folder)
    raw.unlink(missing_ok=True)

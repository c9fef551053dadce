"""Uploads by Xet: the unmodified client with hf_xet, and whatever else could arrive there."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.hub.embedded import Running
from charter.hub.embedded.errors import HubError
from charter.hub.embedded.xet_format import chunk_table, hash_text, read_chunk, shard_files

from .conftest import ADA, BEN, GUEST, Answer, run_client

Call = Callable[..., Answer]
XORB = "ab" * 32
CLIENT = """
import hf_xet
import random
import sys
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi


api, name, folder = HfApi(), "ada/by-xet", Path(sys.argv[-1])
api.create_repo(name, repo_type="dataset", private=True)

def back(path):
    return Path(api.hf_hub_download(name, path, repo_type="dataset")).read_bytes()

noise = random.Random(7).randbytes(2_000_000)
files = {
    "noise.parquet": noise,
    "text.parquet": b"the same words again\\n" * 60_000,
    "floats.npy": b"".join(n.to_bytes(4, "little") for n in range(0, 8_000_000, 40)),
    "small.bin": b"\\0small",
}
operations = [CommitOperationAdd(path, content) for path, content in files.items()]
api.create_commit(name, operations, commit_message="first", repo_type="dataset")
assert all(back(path) == content for path, content in files.items())
changed = noise[:1_000_000] + b"a few bytes more" + noise[1_000_000:]
(folder / "folder").mkdir()
(folder / "folder" / "changed.parquet").write_bytes(changed)
(folder / "folder" / "note.txt").write_text("text")
api.upload_folder(repo_id=name, folder_path=folder / "folder", repo_type="dataset")
assert back("changed.parquet") == changed and back("note.txt") == b"text"
"""


def test_the_client_with_hf_xet(hub: Running, store: Path, tmp_path: Path) -> None:
    run_client(f"import sys; sys.argv.append({str(tmp_path)!r})\n{CLIENT}", hub.address, tmp_path)
    folder = store / "repos" / "datasets" / "ada" / "by-xet.git" / "xet"
    assert not [one for one in folder.glob("xorbs/*/*") if one.is_file()]
    sizes = [len(json.loads(one.read_bytes())) for one in folder.glob("tables/*/*.json")]
    # The second upload sent the chunks around the change, not the 2 MB anew.
    assert len(sizes) >= 2 and min(sizes) < 8 < max(sizes)


@pytest.fixture
def cas(call: Call, repo: str) -> Callable[..., Answer]:
    """A request to where the repo takes chunks."""
    given_ = call("GET", f"/api/datasets/{repo}/xet-write-token/main", token=ADA).json()
    base = "/" + given_["casUrl"].split("/", 3)[3]

    def ask(method: str, path: str, body: bytes | None = None, token: str | None = None) -> Answer:
        return call(method, base + path, token=token or given_["accessToken"], body=body)

    return ask


def chunk(content: bytes, scheme: int = 0, size: int | None = None) -> bytes:
    packed = content if scheme == 0 else pa.Codec("lz4").compress(content, asbytes=True)
    length = (len(content) if size is None else size).to_bytes(3, "little")
    return b"\0" + len(packed).to_bytes(3, "little") + bytes([scheme]) + length + packed


def raw_hash(text: str) -> bytes:
    return struct.pack("<4Q", *(int(text[at : at + 16], 16) for at in range(0, 64, 16)))


def shard(content: bytes, *, first: int = 0, last: int = 1, size: int | None = None) -> bytes:
    """A shard of one file that is chunks `first` to `last` of the one xorb."""
    sha256 = hashlib.sha256(content).hexdigest()
    entry = raw_hash(XORB) + struct.pack(
        "<4I", 0, len(content) if size is None else size, first, last
    )
    head = b"\1" * 32 + struct.pack("<IIQ", 1 << 30, 1, 0)
    extension = raw_hash(sha256) + b"\0" * 16
    return b"\0" * 48 + head + entry + extension + b"\xff" * 32 + b"\0" * 16


def held(store: Path, repo: str, content: bytes) -> bool:
    sha256 = hashlib.sha256(content).hexdigest()
    folder = store / "repos" / "datasets" / f"{repo}.git" / "lfs" / "objects"
    return (folder / sha256[:2] / sha256[2:4] / sha256).is_file()


def test_a_file_of_chunks(cas: Callable[..., Answer], repo: str, store: Path) -> None:
    first, second = b"first " * 500, b"second" * 500
    body = chunk(first) + chunk(second, 1) + chunk(b"rest")
    assert cas("POST", f"/v1/xorbs/default/{XORB}", body).json() == {"was_inserted": True}
    assert cas("POST", "/v1/shards", shard(first + second, last=2)).json() == {"result": 1}
    assert held(store, repo, first + second)
    # The rest of the xorb may still be named; once it was, a table stands for the xorb.
    assert cas("POST", "/v1/shards", shard(b"rest", first=2, last=3)).status == 200
    every = first + second + b"rest"
    for _ in range(2):
        assert cas("POST", "/v1/shards", shard(every, last=3)).status == 200
    assert held(store, repo, every)
    assert not list((store / "scratch").iterdir())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0" * 47,
        shard(b"other"),
        shard(b"chunk", last=2),
        shard(b"chunk", first=1, last=1),
        shard(b"chunk", size=6),
        shard(b"chunk")[:-60],
    ],
)
def test_shards_that_are_wrong(
    cas: Callable[..., Answer], repo: str, store: Path, body: bytes
) -> None:
    assert cas("POST", f"/v1/xorbs/default/{XORB}", chunk(b"chunk")).status == 200
    assert cas("POST", "/v1/shards", body).status == 400
    folder = store / "repos" / "datasets" / f"{repo}.git" / "lfs"
    assert not [one for one in folder.rglob("*") if one.is_file()]
    assert cas("POST", "/v1/shards", shard(b"chunk")).status == 200


def test_a_shard_before_its_xorb(cas: Callable[..., Answer]) -> None:
    assert cas("POST", "/v1/shards", shard(b"chunk")).status == 400


@pytest.mark.parametrize(
    "body", [chunk(b"x" * 9)[:-1], b"\7" + b"x" * 20, b"\0\0\0", chunk(b"x", size=2**21)]
)
def test_xorbs_that_are_wrong(cas: Callable[..., Answer], body: bytes) -> None:
    assert cas("POST", f"/v1/xorbs/default/{XORB}", body).status == 400


def test_a_chunk_that_does_not_unpack(cas: Callable[..., Answer]) -> None:
    for body in (chunk(b"x" * 9, 1, size=8), chunk(b"x" * 9, 1, size=10)):
        assert cas("POST", f"/v1/xorbs/default/{XORB}", body).status == 200
        assert cas("POST", "/v1/shards", shard(b"x" * 9)).status == 400
    broken = b"\0\4\0\0\1\4\0\0junk"
    assert cas("POST", f"/v1/xorbs/default/{XORB}", broken).status == 200
    assert cas("POST", "/v1/shards", shard(b"junk")).status == 400


def test_who_may_upload(call: Call, cas: Callable[..., Answer], repo: str) -> None:
    path = f"/api/datasets/{repo}/xet-write-token/main"
    statuses = [call("GET", path, token=token).status for token in (None, GUEST, BEN)]
    assert statuses == [401, 403, 200]
    for token in (ADA, "9999999999.00", "x", "."):
        assert cas("POST", "/v1/shards", shard(b"chunk"), token=token).status == 401
    assert cas("GET", f"/v1/chunks/default-merkledb/{XORB}").status == 404
    assert cas("POST", "/v1/xorbs/default/..%2f..%2fx", chunk(b"x")).status == 400


@settings(max_examples=100, deadline=None, derandomize=True)
@given(body=st.binary(max_size=300))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "xorb"
    path.write_bytes(body)
    for read in (lambda: list(shard_files(body)), lambda: chunk_table(path)):
        try:
            read()
        except HubError as error:
            assert error.status == 400


@settings(max_examples=60, deadline=None, derandomize=True)
@given(contents=st.lists(st.tuples(st.binary(min_size=1, max_size=70), st.sampled_from([0, 1, 2]))))
def test_chunks_come_back(
    tmp_path_factory: pytest.TempPathFactory, contents: list[tuple[bytes, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "chunks"

    def grouped(content: bytes) -> bytes:
        return b"".join(content[place::4] for place in range(4))

    path.write_bytes(
        b"".join(chunk(grouped(text) if how == 2 else text, how) for text, how in contents)
    )
    with path.open("rb") as file:
        found: list[Any] = [read_chunk(file, one) for one in chunk_table(path)]
    assert found == [text for text, _ in contents]


def test_hashes_in_addresses() -> None:
    assert hash_text(bytes(range(32)))[:32] == "07060504030201000f0e0d0c0b0a0908"

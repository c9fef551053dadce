from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from charter.errors import Failure, InputError
from charter.hub.manifest import (
    Manifest,
    check_repo,
    dump_manifest,
    lineage_of,
    load_manifest,
)
from charter.hub.publish import publish_local


@pytest.fixture
def manifest(make_draft: Any, store: Path) -> Manifest:
    return publish_local(make_draft(), store).manifest


def _written(tmp_path: Path, manifest: Manifest, **changes: Any) -> Path:
    path = tmp_path / "charter.json"
    path.write_text(json.dumps(json.loads(dump_manifest(manifest)) | changes))
    return path


def test_it_reads_back_as_it_was_written(tmp_path: Path, manifest: Manifest) -> None:
    assert load_manifest(_written(tmp_path, manifest)) == manifest


def test_a_newer_schema_is_refused(tmp_path: Path, manifest: Manifest) -> None:
    path = _written(tmp_path, manifest, schema_version=3, something="new")
    with pytest.raises(InputError, match=r"3 is newer than 2.*install a newer"):
        load_manifest(path)


def test_every_fault_is_told_at_once_and_an_unknown_key_gets_a_suggestion(
    tmp_path: Path, manifest: Manifest
) -> None:
    path = _written(tmp_path, manifest, packges={}, tag="1.0", created="today", seeds={"a": "7"})
    with pytest.raises(InputError) as caught:
        load_manifest(path)
    faults = {fault.path: fault for fault in caught.value.faults}
    assert faults.keys() == {"packges", "tag", "created", "seeds.a"}
    assert faults["packges"].fix == 'did you mean "packages"?'


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../b", "a\\b", "./a", ""])
def test_files_stay_inside_the_version(tmp_path: Path, manifest: Manifest, name: str) -> None:
    with pytest.raises(InputError, match="no path inside the version"):
        load_manifest(_written(tmp_path, manifest, files={name: "0" * 64}))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"schema_version": "1"}', "\xff"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "charter.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError):
        load_manifest(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_manifest(tmp_path / "charter.json")


def test_figures_are_finite_and_plain(manifest: Manifest, make_draft: Any) -> None:
    lineage = make_draft().lineage
    for value in (float("nan"), object()):
        with pytest.raises(Failure, match="not JSON"):
            lineage_of({**lineage, "figures": {"x": value}})
    with pytest.raises(Failure, match="not JSON"):
        dump_manifest(manifest.model_copy(update={"figures": {"x": float("inf")}}))


def test_the_run_may_not_give_what_the_hub_knows(make_draft: Any) -> None:
    lineage = make_draft().lineage
    with pytest.raises(Failure) as caught:
        lineage_of({**lineage, "tag": "v9.0.0", "seeds": None})
    assert {fault.path for fault in caught.value.faults} == {"tag", "seeds"}


@pytest.mark.parametrize("repo", ["me/x", "a/b.c-d_e", "Org-1/data_2"])
def test_repo_names(repo: str) -> None:
    assert check_repo(repo) == repo


@pytest.mark.parametrize(
    "repo",
    [
        "",
        "x",
        "a/b/c",
        "../x",
        "a/..",
        "a/b--c",
        "a/b.git",
        "a/b@c",
        "a /b",
        "a/b\n",
        "é/b",
        "a/.b",
        "a/" + "b" * 99,
    ],
)
def test_bad_repo_names(repo: str) -> None:
    with pytest.raises(InputError, match="no name of a repo"):
        check_repo(repo)

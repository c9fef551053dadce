"""Commits, branches, tags, pull requests: through the real client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RevisionNotFoundError

from .conftest import ADA, BEN

Client = Callable[..., Any]
# The client's own way of sending a file, of which its HTTP library warns.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
DATA = {"repo_type": "dataset"}


def commit(api: Any, repo: str, files: dict[str, bytes], **named: Any) -> Any:
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    return api.create_commit(repo, operations, commit_message="files", **DATA, **named)


def raw(call: Client, repo: str, *lines: dict[str, Any], token: str = ADA, to: str = "main") -> Any:
    header = {"key": "header", "value": {"summary": "raw", "description": ""}}
    body = b"".join(json.dumps(line).encode() + b"\n" for line in (header, *lines))
    return call("POST", f"/api/datasets/{repo}/commit/{to}", token=token, body=body)


def status_of(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    found: int = error.value.response.status_code
    return found


def test_what_is_in_git_and_what_beside_it(api: Any, repo: str, store: Path, call: Client) -> None:
    made = commit(api, repo, {"a.txt": b"small", "x/b.parquet": b"PAR1", "c.bin": b"\0" * 99})
    folder = store / "repos" / "datasets" / f"{repo}.git"

    def git(*given: str) -> str:
        done = subprocess.run(["git", *given], cwd=folder, capture_output=True, check=True)
        return done.stdout.decode()

    assert git("rev-parse", "main").strip() == made.oid
    assert git("show", "main:a.txt") == "small"
    assert git("show", "main:x/b.parquet").startswith("version https://git-lfs.github.com/spec/v1")
    assert "files" in git("log", "--format=%s %an") and "ada" in git("log", "--format=%an")
    git("fsck", "--strict")
    files = {one.rfilename: one for one in api.dataset_info(repo, files_metadata=True).siblings}
    assert files["a.txt"].lfs is None and files["a.txt"].size == 5
    assert files["x/b.parquet"].lfs.size == 4 and files["c.bin"].lfs.size == 99
    got = call("GET", f"/datasets/{repo}/resolve/main/x/b.parquet")
    assert (got.body, got.headers["x-linked-size"], got.headers["x-repo-commit"]) == (
        b"PAR1",
        "4",
        made.oid,
    )


def test_a_clone_of_the_folder(api: Any, repo: str, store: Path, tmp_path: Path) -> None:
    commit(api, repo, {"folder/a.txt": b"one"})
    source = store / "repos" / "datasets" / f"{repo}.git"
    subprocess.run(["git", "clone", "-q", source, tmp_path / "clone"], check=True)
    assert (tmp_path / "clone" / "folder" / "a.txt").read_bytes() == b"one"


def test_a_submodule_of_the_repo_itself(api: Any, repo: str, store: Path, tmp_path: Path) -> None:
    def git(*given: str) -> None:
        who = ("-c", "user.name=ada", "-c", "user.email=ada@localhost")
        subprocess.run(["git", *who, *given], cwd=tmp_path / "clone", check=True)

    head = commit(api, repo, {"a.txt": b"one"}).oid
    source = store / "repos" / "datasets" / f"{repo}.git"
    subprocess.run(["git", "clone", "-q", source, tmp_path / "clone"], check=True)
    git("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    git("commit", "-q", "-m", "a submodule")
    git("push", "-q", "origin", "HEAD:main")
    assert api.list_repo_files(repo, **DATA) == [".gitattributes", "a.txt", "sub"]
    assert not api.file_exists(repo, "sub", **DATA)


def test_a_pointer_of_another_size_is_a_text(api: Any, repo: str, call: Client) -> None:
    commit(api, repo, {"a.bin": b"\0" * 9})
    pointer = call("GET", f"/datasets/{repo}/raw/main/a.bin").headers["etag"].strip('"')
    for size in (3, 99):
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{pointer}\nsize {size}\n"
        assert (
            raw(call, repo, {"key": "file", "value": {"path": "b", "content": text}}).status == 200
        )
        assert call("GET", f"/datasets/{repo}/resolve/main/b").body == text.encode()


def test_nothing_changed_is_no_commit(api: Any, repo: str) -> None:
    first = commit(api, repo, {"a.txt": b"one", "b.parquet": b"PAR1"})
    assert commit(api, repo, {"a.txt": b"one", "b.parquet": b"PAR1"}).oid == first.oid


def test_a_stale_parent_is_a_conflict(api: Any, repo: str) -> None:
    old = api.dataset_info(repo).sha
    new = commit(api, repo, {"a.txt": b"1"}, parent_commit=old)
    with pytest.raises(HfHubHTTPError) as error:
        commit(api, repo, {"a.txt": b"2"}, parent_commit=old)
    assert status_of(error) == 412
    assert api.dataset_info(repo).sha == new.oid
    assert commit(api, repo, {"a.txt": b"3"}, parent_commit=new.oid[:7]).oid != new.oid


def test_deleted_and_copied(api: Any, repo: str) -> None:
    commit(api, repo, {"a/1.txt": b"1", "a/2.txt": b"2", "b.txt": b"b", "c.bin": b"\0c"})
    operations = [
        CommitOperationDelete("a/"),
        CommitOperationDelete("b.txt"),
        CommitOperationCopy("c.bin", "d/c.bin"),
    ]
    api.create_commit(repo, operations, commit_message="less", **DATA)
    assert api.list_repo_files(repo, **DATA) == [".gitattributes", "c.bin", "d/c.bin"]
    with pytest.raises(EntryNotFoundError, match="A file with this name doesn't exist"):
        api.delete_file("nothing.txt", repo, **DATA)
    api.delete_folder("d", repo, **DATA)
    assert "d/c.bin" not in api.list_repo_files(repo, **DATA)


def test_a_large_file_that_was_not_uploaded(call: Client, repo: str, api: Any) -> None:
    line = {"key": "lfsFile", "value": {"path": "a.bin", "algo": "sha256", "oid": "0" * 64}}
    answer = raw(call, repo, line)
    assert answer.status == 400
    assert "does not exist" in answer.json()["error"]
    assert api.list_repo_files(repo, **DATA) == [".gitattributes"]


@pytest.mark.parametrize(
    "path",
    [
        "../up",
        "/etc/passwd",
        "a/../b",
        ".git/config",
        "a/.GIT/x",
        "a//b",
        "a\0b",
        "",
        "a/.",
        "git~1/x",
    ],
)
def test_paths_that_no_repo_holds(call: Client, repo: str, path: str) -> None:
    refused(call, repo, path)


def test_stranger_paths(call: Client, repo: str) -> None:
    for path in ("x" * 300, "y/" * 3000 + "z", "a\\..\\b", ".git /x", "a\nb", "\ud800"):
        refused(call, repo, path)


def refused(call: Client, repo: str, path: str) -> None:
    line = {"key": "file", "value": {"path": path, "content": "", "encoding": "base64"}}
    assert raw(call, repo, line).status in (400, 422)
    deleted = {"key": "deletedFile", "value": {"path": path}}
    assert raw(call, repo, deleted).status in (400, 404, 422)


def test_a_file_is_no_folder(call: Client, repo: str) -> None:
    lines = [
        {"key": "file", "value": {"path": path, "content": "YQ==", "encoding": "base64"}}
        for path in ("a", "a/b")
    ]
    assert raw(call, repo, *lines).status == 400


def test_tags_and_branches(api: Any, repo: str, call: Client) -> None:
    first = commit(api, repo, {"a.txt": b"1"}).oid
    api.create_tag(repo, tag="v1.0.0", tag_message="the first", **DATA)
    api.create_branch(repo, branch="feature/x", **DATA)
    second = commit(api, repo, {"a.txt": b"2"}, revision="feature/x").oid
    with pytest.raises(HfHubHTTPError) as error:
        api.create_tag(repo, tag="v1.0.0", revision=second, **DATA)
    assert status_of(error) == 409
    refs = api.list_repo_refs(repo, **DATA)
    assert {one.name: one.target_commit for one in refs.branches} == {
        "main": first,
        "feature/x": second,
    }
    assert [(one.name, one.target_commit) for one in refs.tags] == [("v1.0.0", first)]
    for revision, sha in (
        ("v1.0.0", first),
        ("refs/tags/v1.0.0", first),
        ("feature/x", second),
        ("feature%2Fx", second),
        (second[:8], second),
        (first, first),
    ):
        shown = revision.replace("/", "%2F")
        assert call("GET", f"/api/datasets/{repo}/revision/{shown}").json()["sha"] == sha
        file = call("GET", f"/datasets/{repo}/resolve/{shown}/a.txt")
        assert file.headers["x-repo-commit"] == sha
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info(repo, revision="v9")
    api.delete_tag(repo, tag="v1.0.0", **DATA)
    api.delete_branch(repo, branch="feature/x", **DATA)
    for action in (api.delete_tag, api.delete_branch):
        name = {"tag": "v1.0.0"} if action == api.delete_tag else {"branch": "feature/x"}
        with pytest.raises(RevisionNotFoundError):
            action(repo, **name, **DATA)
    with pytest.raises(HfHubHTTPError):
        api.delete_branch(repo, branch="main", **DATA)


def test_a_branch_cannot_be_a_folder_of_another(api: Any, repo: str) -> None:
    api.create_branch(repo, branch="a", **DATA)
    with pytest.raises(HfHubHTTPError) as error:
        api.create_branch(repo, branch="a/b", **DATA)
    assert status_of(error) == 409


@pytest.mark.parametrize(
    "name", ["a..b", "-x", "a b", "x.lock", "@", "a" * 300, "refs%2Fheads%2Fy", "~"]
)
def test_names_that_no_ref_has(call: Client, repo: str, name: str) -> None:
    path = f"/api/datasets/{repo}/branch/{name.replace(' ', '%20')}"
    assert call("POST", path, token=ADA, value={}).status == 400
    value = {"tag": name.replace("%2F", "/")}
    assert call("POST", f"/api/datasets/{repo}/tag/main", token=ADA, value=value).status == 400


def test_history_and_squash(api: Any, repo: str) -> None:
    for number in range(3):
        commit(api, repo, {"a.txt": b"%d" % number})
    shown = api.list_repo_commits(repo, **DATA)
    assert [one.title for one in shown] == ["files"] * 3 + ["initial commit"]
    assert shown[0].authors == ["ada"]
    api.super_squash_history(repo, commit_message="one", **DATA)
    assert [one.title for one in api.list_repo_commits(repo, **DATA)] == ["one"]


def test_trees_in_pages_and_who_changed_what(api: Any, repo: str, call: Client) -> None:
    commit(api, repo, {f"many/{number:04}.txt": b"x" for number in range(1010)})
    last = commit(api, repo, {"many/0007.txt": b"y"}).oid
    found = list(api.list_repo_tree(repo, "many", **DATA))
    assert len(found) == 1010
    shown = api.get_paths_info(
        repo, ["many/0007.txt", "many/0008.txt", "gone"], expand=True, **DATA
    )
    assert [one.last_commit.oid == last for one in shown] == [True, False]
    assert len(list(api.list_repo_tree(repo, recursive=True, **DATA))) == 1012
    missing = call("GET", f"/api/datasets/{repo}/tree/main/nowhere")
    assert (missing.status, missing.headers["x-error-code"]) == (404, "EntryNotFound")


def test_a_pull_request_of_somebody_else(api: Any, client: Client, repo: str) -> None:
    ben = client(BEN)
    made = commit(ben, repo, {"new.parquet": b"PAR1new"}, create_pr=True)
    assert made.pr_revision == "refs/pr/1"
    assert "new.parquet" not in api.list_repo_files(repo, **DATA)
    assert "new.parquet" in api.list_repo_files(repo, revision="refs/pr/1", **DATA)
    commit(ben, repo, {"more.txt": b"more"}, revision="refs/pr/1")
    own = commit(api, repo, {"mine.txt": b"mine"}, create_pr=True)
    for revision, status in ((own.pr_revision, 403), ("refs/pr/99", 404), ("main", 403)):
        with pytest.raises(HfHubHTTPError) as error:
            commit(ben, repo, {"b.txt": b"b"}, revision=revision)
        assert status_of(error) == status
    with pytest.raises(HfHubHTTPError) as error:
        ben.merge_pull_request(repo, 1, **DATA)
    assert status_of(error) == 403
    ben.comment_discussion(repo, 1, "please", **DATA)
    api.merge_pull_request(repo, 1, comment="thanks", **DATA)
    details = api.get_discussion_details(repo, 1, **DATA)
    assert (details.status, details.merge_commit_oid) == ("merged", api.dataset_info(repo).sha)
    assert {"new.parquet", "more.txt"} <= set(api.list_repo_files(repo, **DATA))


def test_a_pull_request_in_conflict(api: Any, repo: str) -> None:
    commit(api, repo, {"a.txt": b"theirs"}, create_pr=True)
    commit(api, repo, {"a.txt": b"ours"})
    assert api.get_discussion_details(repo, 1, **DATA).conflicting_files == ["a.txt"]
    with pytest.raises(HfHubHTTPError) as error:
        api.merge_pull_request(repo, 1, **DATA)
    assert status_of(error) == 409


def test_discussions(api: Any, client: Client, repo: str) -> None:
    made = client(BEN).create_discussion(repo, "A question", description="why?", **DATA)
    with pytest.raises(HfHubHTTPError):
        client(None).create_discussion(repo, "Another one", **DATA)
    api.rename_discussion(repo, made.num, "A better question", **DATA)
    api.change_discussion_status(repo, made.num, "closed", comment="because", **DATA)
    pull = api.create_pull_request(repo, title="Nothing yet", **DATA)
    assert (pull.status, pull.git_reference) == ("draft", "refs/pr/2")
    listed = {one.num: one for one in api.get_repo_discussions(repo, **DATA)}
    assert (listed[1].title, listed[1].status) == ("A better question", "closed")
    assert listed[2].is_pull_request
    only = list(api.get_repo_discussions(repo, discussion_type="pull_request", **DATA))
    assert [one.num for one in only] == [2]
    comment = next(one for one in made.events if one.type == "comment")
    edited = client(BEN).edit_discussion_comment(repo, 1, comment.id, "why so?", **DATA)
    assert (edited.content, edited.edited) == ("why so?", True)
    with pytest.raises(HfHubHTTPError):
        api.edit_discussion_comment(repo, 1, comment.id, "not mine", **DATA)

"""Repos: made, seen, hidden, moved, listed, by those who may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from .conftest import ADA, BEN, GUEST

Client = Callable[..., Any]
# The client's own way of sending a file, of which its HTTP library warns.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_who_the_token_belongs_to(api: Any, client: Client) -> None:
    me = api.whoami()
    assert (me["name"], [org["name"] for org in me["orgs"]]) == ("ada", ["lab"])
    assert client(GUEST).whoami()["auth"]["accessToken"]["role"] == "read"


def test_a_token_that_nobody_has(call: Client) -> None:
    for token in ("wrong", "x" * 500, "hf_ad"):
        assert call("GET", "/api/whoami-v2", token=token).status == 401
        assert call("GET", "/api/datasets", token=token).status == 401
    assert call("GET", "/api/whoami-v2").status == 401
    bad = call("GET", "/api/datasets", headers={"Authorization": "Bearer"})
    assert (bad.status, ADA in str(bad)) == (401, False)


def test_a_repo_that_exists(api: Any, repo: str, call: Client) -> None:
    assert api.create_repo(repo, repo_type="dataset", exist_ok=True).repo_id == repo
    again = call(
        "POST",
        "/api/repos/create",
        token=ADA,
        value={"name": repo.split("/")[1].upper(), "type": "dataset"},
    )
    assert (again.status, again.json()["url"].endswith(repo)) == (409, True)


def test_each_kind_of_repo(api: Any) -> None:
    assert api.create_repo("ada/kind-model").url.endswith("/ada/kind-model")
    space = api.create_repo("ada/kind-space", repo_type="space", space_sdk="static")
    assert space.url.endswith("/spaces/ada/kind-space")
    assert api.space_info("ada/kind-space").sdk == "static"
    assert api.model_info("ada/kind-model").id == "ada/kind-model"
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info("ada/kind-model")


@pytest.mark.parametrize(
    ("token", "status", "code"), [(None, 401, "RepoNotFound"), (BEN, 404, "RepoNotFound")]
)
def test_a_private_repo_looks_like_none(
    api: Any, call: Client, token: str | None, status: int, code: str
) -> None:
    api.create_repo("ada/hidden", repo_type="dataset", private=True, exist_ok=True)
    answers = [
        call(method, path.format(name), token=token)
        for name in ("hidden", "never-made")
        for method, path in (
            ("GET", "/api/datasets/ada/{}"),
            ("GET", "/api/datasets/ada/{}/tree/main"),
            ("GET", "/datasets/ada/{}/resolve/main/.gitattributes"),
            ("POST", "/api/datasets/ada/{}/commit/main"),
        )
    ]
    assert {(one.status, one.headers["x-error-code"]) for one in answers} == {(status, code)}
    assert len({one.body for one in answers}) == 1
    listed = call("GET", "/api/datasets?author=ada&limit=1000", token=token).json()
    assert "ada/hidden" not in {one["id"] for one in listed}
    assert call("GET", "/api/datasets/ada/hidden", token=GUEST).status == 200


def test_who_may_write(client: Client, repo: str, call: Client) -> None:
    for token, status in ((None, 401), (GUEST, 403), (BEN, 403)):
        for method, path in (
            ("POST", f"/api/datasets/{repo}/branch/b"),
            ("POST", f"/api/datasets/{repo}/tag/main"),
            ("PUT", f"/api/datasets/{repo}/settings"),
            ("POST", f"/api/datasets/{repo}/commit/main"),
            ("POST", f"/api/datasets/{repo}/preupload/main"),
        ):
            assert call(method, path, token=token, value={}).status == status, (token, path)
        delete = {"name": repo.split("/")[1], "organization": "ada", "type": "dataset"}
        assert call("DELETE", "/api/repos/delete", token=token, value=delete).status == status
    for namespace in ("ben", "nobody", "lab"):
        value = {"name": "taken", "organization": namespace}
        expected = 200 if namespace == "ben" else 403
        assert call("POST", "/api/repos/create", token=BEN, value=value).status == expected
    assert client().create_repo("lab/shared").repo_id == "lab/shared"


def test_settings_change_who_sees(api: Any, client: Client, repo: str) -> None:
    api.update_repo_settings(repo, private=True, repo_type="dataset")
    with pytest.raises(RepositoryNotFoundError):
        client(BEN).dataset_info(repo)
    api.update_repo_settings(repo, visibility="public", gated="manual", repo_type="dataset")
    assert client(BEN).dataset_info(repo).gated == "manual"
    with pytest.raises(GatedRepoError):
        client(BEN).auth_check(repo, repo_type="dataset")
    with pytest.raises(GatedRepoError):
        client(None).hf_hub_download(repo, ".gitattributes", repo_type="dataset")
    api.auth_check(repo, repo_type="dataset", write=True)


def test_a_move_leaves_a_trace_until_the_name_is_taken(api: Any, repo: str) -> None:
    api.move_repo(repo, "lab/moved", repo_type="dataset")
    assert api.dataset_info(repo).id == "lab/moved"
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo(repo, repo_type="dataset")
    assert api.create_repo(repo, repo_type="dataset").repo_id == repo
    assert api.dataset_info(repo).id == repo
    with pytest.raises(HfHubHTTPError, match="already exists"):
        api.move_repo("lab/moved", repo, repo_type="dataset")
    api.delete_repo("lab/moved", repo_type="dataset")
    assert not api.repo_exists("lab/moved", repo_type="dataset")
    api.delete_repo("lab/moved", repo_type="dataset", missing_ok=True)


def test_lists_are_searched_filtered_and_paged(api: Any) -> None:
    card = b"---\nlicense: cc-by-4.0\ntags: [rlaif]\nsize_categories: [n<1K]\n---\n# A card\n"
    for number in range(5):
        name = f"lab/paged-{number}"
        api.create_repo(name, repo_type="dataset", private=number == 4)
        if number % 2:
            api.upload_file(
                path_or_fileobj=card, path_in_repo="README.md", repo_id=name, repo_type="dataset"
            )
    found = list(api.list_datasets(author="lab", search="PAGED"))
    assert sorted(one.id for one in found) == [f"lab/paged-{number}" for number in range(5)]
    tagged = list(api.list_datasets(author="lab", filter=["rlaif", "license:cc-by-4.0"], full=True))
    assert {one.id for one in tagged} == {"lab/paged-1", "lab/paged-3"}
    assert tagged[0].card_data.license == "cc-by-4.0"
    assert len(list(api.list_datasets(author="lab", search="paged", limit=2))) == 2
    [one] = api.list_datasets(search="lab/paged-0", expand=["siblings", "usedStorage"])
    assert [file.rfilename for file in one.siblings] == [".gitattributes"] and one.used_storage > 0


def test_a_filter_that_cannot_be_answered_is_refused(api: Any) -> None:
    given: dict[str, Any] = {"inference": "warm", "num_parameters": "min:6B", "apps": "ollama"}
    for name, value in given.items():
        with pytest.raises(HfHubHTTPError, match=f'cannot filter by "{name}"'):
            list(api.list_models(**{name: value}))
    with pytest.raises(HfHubHTTPError, match='cannot filter by "datasets"'):
        list(api.list_spaces(datasets="ada/any"))


def test_pages_follow_links(call: Client, api: Any) -> None:
    for number in range(3):
        api.create_repo(f"lab/linked-{number}", exist_ok=True)
    seen: list[str] = []
    path = "/api/models?author=lab&search=linked&limit=1&sort=createdAt"
    while path:
        answer = call("GET", path, token=ADA)
        seen += [one["id"] for one in answer.json()]
        link = answer.headers.get("link", "")
        path = "/" + link.partition(">")[0].split("/", 3)[3] if link else ""
    assert seen == ["lab/linked-2", "lab/linked-1", "lab/linked-0"]


def test_the_card_is_checked(call: Client, api: Any) -> None:
    def check(text: str) -> Any:
        return call("POST", "/api/validate-yaml", value={"content": text, "repoType": "dataset"})

    assert check("---\nlicense: mit\n---\n").json() == {"errors": [], "warnings": []}
    assert check("# nothing").json()["warnings"]
    bomb = "---\na: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    )
    for text in (
        "---\na: [\n---\n",
        "---\n- 1\n---\n",
        "---\nlicense: {a: 1}\n---\n",
        "---\na: !!bool maybe\n---\n",
        "---\na: !!timestamp never\n---\n",
        f"---\na: 0x{'f' * 5000}\n---\n",
        f"---\n0x{'f' * 5000}: a\n---\n",
        bomb + "---\n",
    ):
        assert check(text).status == 400
        assert check(text).json()["errors"]
    with pytest.raises(ValueError, match="Invalid metadata"):
        api.create_repo("ada/carded", exist_ok=True)
        api.upload_file(
            path_or_fileobj=b"---\na: [\n---\n", path_in_repo="README.md", repo_id="ada/carded"
        )


@pytest.mark.parametrize("value", ["0x" + "f" * 5000, "!!bool maybe", "!!int ''"])
def test_a_card_that_cannot_be_shown_hides_no_repo(
    call: Client, api: Any, repo: str, value: str
) -> None:
    text = f"---\nlicense: mit\na: {value}\n---\n"
    lines: list[dict[str, Any]] = [
        {"key": "header", "value": {"summary": "a card"}},
        {"key": "file", "value": {"path": "README.md", "content": text}},
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    assert call("POST", f"/api/datasets/{repo}/commit/main", token=ADA, body=body).status == 200
    assert api.dataset_info(repo).card_data is None
    assert repo in {one.id for one in api.list_datasets(full=True)}


def test_access_to_a_gated_repo(api: Any, client: Client, repo: str) -> None:
    given = {"repo_type": "dataset"}
    with pytest.raises(HfHubHTTPError):
        api.grant_access(repo, "ben", **given)
    api.update_repo_settings(repo, gated="manual", **given)
    api.grant_access(repo, "ben", **given)
    client(BEN).auth_check(repo, **given)
    [request] = api.list_accepted_access_requests(repo, **given)
    assert request.username == "ben"
    api.reject_access_request(repo, "ben", rejection_reason=None, **given)
    with pytest.raises(HfHubHTTPError):
        client(BEN).auth_check(repo, **given)
    with pytest.raises(HfHubHTTPError):
        client(BEN).grant_access(repo, "ben", **given)


def test_the_diff_of_a_gated_repo_is_gated(api: Any, client: Client, repo: str) -> None:
    given = {"repo_type": "dataset"}
    api.update_repo_settings(repo, gated="manual", **given)
    operations = [CommitOperationAdd("a.txt", b"behind the gate")]
    made = api.create_commit(repo, operations, commit_message="a", create_pr=True, **given)
    for token in (BEN, None):
        with pytest.raises(GatedRepoError):
            client(token).get_discussion_details(repo, made.pr_num, **given)
    api.grant_access(repo, "ben", **given)
    shown = client(BEN).get_discussion_details(repo, made.pr_num, **given)
    assert "behind the gate" in shown.diff


def test_large_files_erased_for_good(api: Any, repo: str, call: Client) -> None:
    given = {"repo_type": "dataset"}
    for name, content in (("gone.bin", b"\0secret"), ("kept.bin", b"\0kept")):
        api.upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=repo, **given)
    api.create_tag(repo, tag="v1", tag_message="annotated", **given)
    old = api.dataset_info(repo).sha
    gone = [one for one in api.list_lfs_files(repo, **given) if one.filename == "gone.bin"]
    api.permanently_delete_lfs_files(repo, gone, **given)
    for revision in ("main", "v1"):
        files = api.list_repo_files(repo, revision=revision, **given)
        assert files == [".gitattributes", "kept.bin"]
    assert api.dataset_info(repo).sha != old
    answer = call("GET", f"/datasets/{repo}/resolve/{old}/gone.bin")
    assert b"secret" not in answer.body
    assert call("GET", f"/datasets/{repo}/resolve/v1/kept.bin").body == b"\0kept"


def test_a_copy_of_a_repo(api: Any, repo: str, call: Client) -> None:
    api.upload_file(path_or_fileobj=b"\0x", path_in_repo="x.bin", repo_id=repo, repo_type="dataset")
    made = api.duplicate_repo(repo, "lab/copied", repo_type="dataset")
    assert made.repo_id == "lab/copied"
    assert call("GET", "/datasets/lab/copied/resolve/main/x.bin").body == b"\0x"
    assert api.dataset_info("lab/copied").sha == api.dataset_info(repo).sha
    api.delete_repo(repo, repo_type="dataset")
    assert call("GET", "/datasets/lab/copied/resolve/main/x.bin").body == b"\0x"

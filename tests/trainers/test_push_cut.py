"""A Hub that goes away while the models of a loop are sent: each tag is one whole model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cutting import CuttingProxy
from pointed import pointed

from charter.errors import CharterError, InputError
from charter.hub.embedded import User
from charter.hub.embedded.child import launch
from charter.trainers.push import push_rounds

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
TOKEN, GUEST = "hf_owner_0123456789", "hf_guest_0123456789"
REPO = "me/rounds"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    users = [User("me", TOKEN, "write"), User("guest", GUEST, "read")]
    running = launch(tmp_path_factory.mktemp("hub"), users=users)
    yield running.address
    assert running.stop() == 0


@pytest.fixture
def point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Point the clients of this process at an address."""
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda _: None)  # between the client's own tries
    return lambda url, token=TOKEN: pointed(url, token, tmp_path / "cache", monkeypatch)


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    """Folders such as training leaves, of two rounds; the second one lacks a file of the first."""
    made = {}
    for number in (1, 2):
        folder = tmp_path / f"round-{number}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"round": number}))
        (folder / "charter.json").write_text(json.dumps({"dataset": {"tag": f"v0.{number}.0"}}))
        (folder / "README.md").write_text("---\nlicense: mit\n---\n")
        (folder / "model.safetensors").write_bytes(bytes([number]) * 1000)
        made[f"loop-round-{number}"] = folder
    (made["loop-round-1"] / "extra.json").write_text("{}")
    return made


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _on_hub(api: Any, revision: str) -> dict[str, bytes]:
    names = api.list_repo_files(REPO, revision=revision)
    return {
        name: Path(api.hf_hub_download(REPO, name, revision=revision)).read_bytes()
        for name in names
        if name != ".gitattributes"
    }


def _cut_at(number: int, answered: bool, server: str, point: Any, models: dict[str, Path]) -> bool:
    """Cut the line after so many requests; whether there were so many."""
    best = models["loop-round-2"]
    api = point(server)
    api.delete_repo(REPO, missing_ok=True)
    with CuttingProxy(server, number, answered) as proxy:
        point(proxy.url)
        failed = False
        try:
            push_rounds(models, best, REPO)
        except CharterError as error:
            failed = True
            assert TOKEN not in str(error)
        cut = proxy.cut
    assert cut or not failed
    api = point(server)
    tags = api.list_repo_refs(REPO).tags if api.repo_exists(REPO) else []
    before = {tag.name: tag.target_commit for tag in tags}
    for tag in before:
        assert _on_hub(api, tag) == _files(models[tag])
    # Made again it sends what is missing, and moves no tag.
    pushed = push_rounds(models, best, REPO)
    after = {tag.name: tag.target_commit for tag in api.list_repo_refs(REPO).tags}
    assert after == {tag: pushed[tag].commit for tag in models}
    assert before.items() <= after.items()
    for tag, folder in models.items():
        assert _on_hub(api, tag) == _files(folder)
    assert _on_hub(api, "main") == _files(best)
    return cut


def _requests(server: str, point: Any, models: dict[str, Path]) -> int:
    point(server).delete_repo(REPO, missing_ok=True)
    with CuttingProxy(server) as proxy:
        point(proxy.url)
        push_rounds(models, models["loop-round-2"], REPO)
        return proxy.seen


@pytest.mark.parametrize(
    ("answered", "step"),
    [
        (False, 4),
        pytest.param(False, 1, marks=pytest.mark.slow),
        pytest.param(True, 1, marks=pytest.mark.slow),
    ],
)
def test_the_line_is_cut_at_a_request(
    server: str, point: Any, models: dict[str, Path], answered: bool, step: int
) -> None:
    """Before the Hub has it, or after, when the answer is lost; at every `step`-th of them."""
    count = _requests(server, point, models)
    assert count > 8
    for number in range(1, count + (not answered), step):
        assert _cut_at(number, answered, server, point, models)
    assert not _cut_at(count + 1, answered, server, point, models)


def test_who_may_not_write_is_told_what_to_do(
    server: str, point: Any, models: dict[str, Path]
) -> None:
    """And of no flag that the command lacks."""
    for token in (GUEST, "hf_wrong_0123456789", None):
        point(server, token)
        with pytest.raises(InputError, match="log in with a token") as caught:
            push_rounds(models, None, "me/other")
        assert "--pr" not in str(caught.value)

"""How far a review is: of each dataset on a server, what waits and what was submitted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from charter.errors import Failure, Fault

__all__ = ["DatasetProgress", "all_progress", "server_version"]

_PATIENCE = 30  # seconds


@dataclass(frozen=True, slots=True)
class DatasetProgress:
    """A dataset's records and answers.

    Attributes:
        workspace: its workspace's name.
        dataset: its name.
        records: how many it has.
        completed: of them, with as many submitted answers as it asks for.
        pending: of them, not yet.
        submitted: answers of all people together.
        drafts: likewise, saved but not submitted.
        discarded: likewise.
        by_user: submitted answers by person.
    """

    workspace: str
    dataset: str
    records: int
    completed: int
    pending: int
    submitted: int
    drafts: int
    discarded: int
    by_user: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def server_version(url: str) -> str | None:
    """The version of the Argilla at an address; None where nothing answers as one."""
    import requests

    try:
        said = requests.get(f"{url}/api/v1/version", timeout=_PATIENCE)
        return str(said.json()["version"]) if said.ok else None
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return None


def all_progress(url: str, api_key: str) -> list[DatasetProgress]:
    """The datasets that the key's owner may see, by workspace and name.

    Raises:
        Failure: the server does not answer, or refuses.
    """
    workspaces = {one["id"]: one["name"] for one in _items(url, api_key, "me/workspaces")}
    found = [
        _progress(url, api_key, one, workspaces.get(one["workspace_id"], ""))
        for one in _items(url, api_key, "me/datasets")
        if one["status"] == "ready"
    ]
    return sorted(found, key=lambda one: (one.workspace, one.dataset))


def _progress(url: str, api_key: str, dataset: dict[str, Any], workspace: str) -> DatasetProgress:
    path = f"datasets/{dataset['id']}"
    records = _get(url, api_key, f"{path}/progress")
    users = _get(url, api_key, f"{path}/users/progress")["users"]
    count = {
        status: {
            one["username"]: one["completed"].get(status, 0) + one["pending"].get(status, 0)
            for one in users
        }
        for status in ("submitted", "draft", "discarded")
    }
    return DatasetProgress(
        workspace=workspace,
        dataset=dataset["name"],
        records=records["total"],
        completed=records["completed"],
        pending=records["pending"],
        submitted=sum(count["submitted"].values()),
        drafts=sum(count["draft"].values()),
        discarded=sum(count["discarded"].values()),
        by_user=count["submitted"],
    )


def _items(url: str, api_key: str, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = _get(url, api_key, path)["items"]
    return items


def _get(url: str, api_key: str, path: str) -> Any:
    import requests

    from charter.review.client import Server

    place = Server(url, "").shown
    try:
        said = requests.get(
            f"{url}/api/v1/{path}", headers={"X-Argilla-Api-Key": api_key}, timeout=_PATIENCE
        )
    except requests.RequestException as error:
        what = f"does not answer: {type(error).__name__}"
        raise Failure(Fault(place, "", what, "see whether it runs")) from None
    if said.status_code == requests.codes.unauthorized:
        fix = "see ARGILLA_API_KEY or credentials.json"
        raise Failure(Fault(place, "", "refuses the API key", fix))
    if not said.ok:
        what = f"answers {said.status_code} to {path}"
        raise Failure(Fault(place, "", what, "see the server's log"))
    return said.json()

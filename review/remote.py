"""An Argilla dataset of Charter's: found or made, its records' ids read, records put in bulk."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from charter.errors import Failure, Fault, InputError
from charter.review.client import Server, sdk_faults
from charter.review.fields import BETTER

if TYPE_CHECKING:
    import argilla as rg
    import httpx

__all__ = ["Remote", "batches", "external_ids", "open_remote_dataset"]

_PAGE: Final = 500
_MOST: Final = 500  # records a batch; the server's own limit, and the fastest
_BYTES: Final = 8_000_000  # of a batch; long texts are many bytes
_WAITS: Final = (1.0, 3.0, 10.0)
_AGAIN: Final = frozenset({408, 425, 429, 502, 503, 504})
_WHOSE: Final = "use the key of an owner, or of an admin of the workspace"


@dataclass(frozen=True, slots=True)
class Remote:
    """A dataset on the server.

    Attributes:
        http: the SDK's own connection, which bears the key.
        place: the server's address, for people.
        id: of the dataset.
        name: of the dataset.
        better: id of its main question.
        made: whether it was made just now and has no records.
    """

    http: httpx.Client
    place: str
    id: str
    name: str
    better: str
    made: bool

    @property
    def url(self) -> str:
        """Where a reviewer opens it."""
        return f"{self.place}/dataset/{self.id}/annotation-mode"

    def put(self, batch: bytes) -> None:
        """Add records, or change those of the same external ids; so it can be done again.

        Args:
            batch: one of `batches`.

        Raises:
            InputError: the key may not.
            Failure: the server is not reached or does not take them.
        """
        _answer(self.http, self.place, "PUT", f"/api/v1/datasets/{self.id}/records/bulk", batch)


def batches(records: Iterable[dict[str, Any]]) -> Iterator[tuple[list[str], bytes]]:
    """Records as bodies of bulk requests, each with the external ids that it has."""
    ids: list[str] = []
    parts: list[bytes] = []
    size = 0
    for record in records:
        part = orjson.dumps(record)
        if parts and (len(parts) == _MOST or size + len(part) > _BYTES):
            yield ids, b'{"items":[%b]}' % b",".join(parts)
            ids, parts, size = [], [], 0
        ids.append(record["external_id"])
        parts.append(part)
        size += len(part)
    if parts:
        yield ids, b'{"items":[%b]}' % b",".join(parts)


def external_ids(client: rg.Argilla, workspace: rg.Workspace, name: str) -> set[str]:
    """The external ids of a dataset's records; none where there is no such dataset.

    Raises:
        InputError: the key may not read them.
        Failure: the server is not reached, or can't go on.
    """
    with sdk_faults(client, (f'the key may not read the dataset "{name}"', _WHOSE)):
        found = client.api.datasets.get_by_name_and_workspace_id(name, workspace.id)
    return _ids(client, str(found.id)) if found is not None else set()


def open_remote_dataset(
    client: rg.Argilla,
    workspace: rg.Workspace,
    name: str,
    settings: rg.Settings,
    say: Callable[[str], None],
) -> Remote:
    """The dataset of that name, made where there is none.

    Args:
        client: of the server.
        workspace: where it is.
        name: of the dataset.
        settings: that it must have; one that is there keeps its guidelines, and takes the number
            of reviewers.
        say: is told when that number changes.

    Raises:
        InputError: there is one with other fields or questions, or the key may not make it.
        Failure: the server is not reached, or does not make it.
    """
    import argilla as rg

    place = Server(str(client.api_url), "").shown
    with sdk_faults(client, (f'the key may not make the dataset "{name}"', _WHOSE)):
        found = client.api.datasets.get_by_name_and_workspace_id(name, workspace.id)
        if found is not None and found.status != "ready":
            client.api.datasets.delete(found.id)  # a maker died before it had records
            found = None
        made = found is None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            if made:
                dataset = rg.Dataset(name, workspace, settings=settings, client=client).create()
            else:
                dataset = client.datasets(name, workspace=workspace)
    assert dataset is not None
    if not made:
        _check_same(place, dataset, settings)
        _set_overlap(client.http_client, place, dataset, settings, say)
    better = str(dataset.settings.questions[BETTER].id)
    return Remote(client.http_client, place, str(dataset.id), name, better, made)


def _check_same(place: str, dataset: rg.Dataset, settings: rg.Settings) -> None:
    for what in ("fields", "questions"):
        has = {each.name for each in getattr(dataset.settings, what)}
        needs = {each.name for each in getattr(settings, what)}
        if has != needs:
            odd = ", ".join(sorted(has ^ needs))
            fault = f'the dataset "{dataset.name}" has other {what} than these rows need: {odd}'
            fix = "choose critiques as before, or name another --workspace"
            raise InputError(Fault(place, "", fault, fix))


def _set_overlap(
    http: httpx.Client,
    place: str,
    dataset: rg.Dataset,
    settings: rg.Settings,
    say: Callable[[str], None],
) -> None:
    wanted = settings.distribution.min_submitted
    has = dataset.settings.distribution.min_submitted
    if has == wanted:
        return
    body = orjson.dumps({"distribution": {"strategy": "overlap", "min_submitted": wanted}})
    _answer(http, place, "PATCH", f"/api/v1/datasets/{dataset.id}", body)
    say(f'"{dataset.name}" now asks for {wanted} reviewers a row, and not for {has}')


def _ids(client: rg.Argilla, dataset: str) -> set[str]:
    found: set[str] = set()
    offset, place = 0, Server(str(client.api_url), "").shown
    while True:
        path = f"/api/v1/datasets/{dataset}/records?offset={offset}&limit={_PAGE}"
        page = orjson.loads(_answer(client.http_client, place, "GET", path, None))["items"]
        found |= {each["external_id"] for each in page if each["external_id"]}
        offset += len(page)
        if len(page) < _PAGE:
            return found


def _answer(http: httpx.Client, place: str, method: str, path: str, body: bytes | None) -> bytes:
    import httpx

    again = "run the same command again: it sends the rest"
    for wait in (*_WAITS, None):
        try:
            headers = {"Content-Type": "application/json"}
            answer = http.request(method, path, content=body, headers=headers)
        except httpx.HTTPError as error:
            if wait is None:
                what = f"it is not reached ({type(error).__name__})"
                raise Failure(Fault(place, "", what, again)) from None
        else:
            if answer.is_success:
                return answer.content
            if answer.status_code in (401, 403):
                what = f"the key may not send rows ({answer.status_code})"
                raise InputError(Fault(place, "ARGILLA_API_KEY", what, _WHOSE))
            if wait is None or answer.status_code not in _AGAIN:
                what = f"it answers {answer.status_code}: {_short(answer.text)}"
                raise Failure(Fault(place, "", what, again))
        time.sleep(wait)
    raise AssertionError


def _short(text: str) -> str:
    return " ".join(text.split())[:300]

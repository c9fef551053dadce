"""Answers back from Argilla: each once, none lost, whatever happens to either side.

A dataset on the server says when anything in it was last answered (`last_activity_at`, changed in
the same transaction as every response) and how many records and responses it has (those of a
deleted user are gone), so one that has not moved since it was read whole is not read again. One
that has is read whole, from the server's database and not from its search index: a record's own
time does not move with its responses, and only who has seen all of them knows which were taken
back.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from charter.errors import Failure, Fault, InputError
from charter.review.client import Server
from charter.review.fields import dataset_name
from charter.review.received import Refused, RefusedError, read_response, read_time
from charter.review.reviewers import pseudonym
from charter.review.spot_check import Kind
from charter.review.store import Answer, ReviewStore

if TYPE_CHECKING:
    import httpx

__all__ = ["Collected", "collect"]

Say = Callable[[str], None]

_PAGE: Final = 250
# A server that was ended and started again answers within half a minute.
_WAITS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0)
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_READINGS: Final = 3
# Two answers may bear the same time: a dataset counts as read only when its last one is older
# than this, by the server's own clock, which it states in whole seconds.
_SETTLED: Final = timedelta(seconds=2)


@dataclass
class Collected:
    """What a collection found.

    Attributes:
        repo: whose answers.
        collected: submitted answers that are kept now, of this collection and before.
        new: of them new.
        changed: of them changed by their reviewers.
        removed: answers that were taken back, or whose records are gone.
        drafts: answers that are begun and not submitted.
        discarded: records that reviewers have discarded.
        rejected: reason -> submitted answers that can't be used.
        reviewers: pseudonym -> `submitted`, `drafts`, `discarded`.
        datasets: name -> whether it was read, or had not changed.
    """

    repo: str
    collected: int = 0
    new: int = 0
    changed: int = 0
    removed: int = 0
    drafts: int = 0
    discarded: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    reviewers: dict[str, dict[str, int]] = field(default_factory=dict)
    datasets: dict[str, bool] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """By name, plain values."""
        return dict(vars(self))


def collect(
    http: httpx.Client,
    repo: str,
    store: ReviewStore,
    *,
    workspace: str,
    whole: bool = False,
    say: Say = lambda _: None,
) -> Collected:
    """Bring the answers on a repo's rows into its store.

    What is read is kept page by page; when the server goes away for good, what was read stays,
    and nothing is taken for taken back.

    Args:
        http: a client whose base is the server's address, with the key in its headers.
        repo: `owner/name`.
        store: of that repo.
        workspace: where the datasets are.
        whole: read also what has not changed since the last time.
        say: told what is going on.

    Raises:
        InputError: there is no such workspace, or the key may not read all answers.
        Failure: the server does not answer any more.
    """
    asked = _Server(http, say)
    found = Collected(repo)
    with store.alone("collecting", say):
        for dataset, kind, shown in _datasets(asked, repo, workspace):
            _Reading(asked, store, found, dataset, kind, shown, say).read(whole)
        found.collected = len(store.spot_checks())
        for tally in store.readings():
            _add(found, tally)
    return found


def _add(found: Collected, tally: Mapping[str, Any]) -> None:
    for who, counts in tally["reviewers"].items():
        mine = found.reviewers.setdefault(who, {"submitted": 0, "drafts": 0, "discarded": 0})
        for status, n in counts.items():
            mine[status] += n
        found.drafts += counts["drafts"]
        found.discarded += counts["discarded"]
    for why, n in tally["rejected"].items():
        found.rejected[why] = found.rejected.get(why, 0) + n


def _datasets(
    asked: _Server, repo: str, workspace: str
) -> Iterator[tuple[dict[str, Any], Kind, bool]]:
    """The datasets of the repo's rows, with the config and whether they show the AI's label."""
    spaces = asked.get("/api/v1/me/workspaces").json()["items"]
    ids = {each["name"]: each["id"] for each in spaces}
    if workspace not in ids:
        there = ", ".join(sorted(ids)) or "none"
        fix = "send rows with `charter review send`, or name another with --workspace"
        what = f'no workspace "{workspace}"; there are: {there}'
        raise InputError(Fault(asked.url, "--workspace", what, fix))
    names: dict[str, tuple[Kind, bool]] = {}
    kinds: tuple[Kind, ...] = ("preference", "sft")
    for kind in kinds:
        names[dataset_name(repo, kind)] = (kind, False)
        names[f"{dataset_name(repo, kind)}--shown"] = (kind, True)
    query = {"workspace_id": ids[workspace]}
    items = asked.get("/api/v1/me/datasets", query).json()["items"]
    for each in sorted(items, key=lambda each: str(each["name"])):
        if each["workspace_id"] == ids[workspace] and each["name"] in names:
            yield each, *names[each["name"]]


class _Server:
    """A server that is asked again where it may answer later."""

    def __init__(self, http: httpx.Client, say: Say) -> None:
        self._http = http
        self._say = say
        self.url = Server(str(http.base_url).rstrip("/"), "").shown

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> httpx.Response:
        """The answer to a request that was granted.

        Raises:
            InputError: the key may not read this.
            Failure: no answer came, or one of no use.
            LookupError: there is no such thing (any more).
        """
        import httpx

        fault = ""
        for attempt, wait in enumerate((*_WAITS, 0.0)):
            try:
                response = self._http.get(path, params=dict(query or {}))
                if response.status_code not in _AGAIN:
                    return self._granted(response)
                fault = f"it answers {response.status_code}"
            except httpx.TransportError as error:
                fault = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            if attempt == 0:
                self._say(f"{self.url} does not answer ({fault}); trying again for a minute")
            time.sleep(wait)
        what = f"the server does not answer: {fault}"
        fix = "see that it runs (`charter review status`) and collect again; what was read is kept"
        raise Failure(Fault(self.url, "", what, fix))

    def _granted(self, response: httpx.Response) -> httpx.Response:
        code = response.status_code
        if code in (401, 403):
            what = f"the key may not read all answers ({code})"
            fix = "use the key of an owner, or of an admin of the workspace"
            raise InputError(Fault(self.url, "ARGILLA_API_KEY", what, fix))
        if code == 404:
            raise LookupError
        if not response.is_success:
            what = f"it refuses {response.url.path} ({code})"
            raise Failure(Fault(self.url, "", what, "see that it is an Argilla 2.x"))
        return response


class _Reading:
    """One dataset being read."""

    def __init__(
        self,
        asked: _Server,
        store: ReviewStore,
        found: Collected,
        dataset: Mapping[str, Any],
        kind: Kind,
        shown: bool,
        say: Say,
    ) -> None:
        self._asked, self._store, self._found = asked, store, found
        self._id, self._name = str(dataset["id"]), str(dataset["name"])
        self._kind, self._shown, self._say = kind, shown, say
        self._seen: dict[str, dict[str, Any]] = {}

    def read(self, whole: bool) -> None:
        """Read it, unless nothing has changed in it; one that is deleted meanwhile says nothing."""
        try:
            before = self._store.reading(self._id)
            mark, _, _ = self._mark()
            if not whole and before and before.mark is not None and before.mark == mark:
                self._found.datasets[self._name] = False
                return
            self._read()
        except LookupError:
            self._say(f"the dataset {self._name} was deleted meanwhile; its answers are kept")

    def _mark(self) -> tuple[str, int, bool]:
        """The dataset's state and its records, and whether any change from now on will show."""
        response = self._asked.get(f"/api/v1/datasets/{self._id}")
        active = str(response.json()["last_activity_at"])
        total = int(self._page(0, 1)["total"])
        stated = response.headers.get("date")
        settled = bool(stated) and parsedate_to_datetime(stated) - read_time(active) > _SETTLED
        return f"{active} {total} {self._responses()}", total, settled

    def _responses(self) -> int | None:
        """How many there are; None of an older server that can't say.

        Those of a user who is deleted go without a trace in the dataset's own time.
        """
        try:
            path = f"/api/v1/datasets/{self._id}/users/progress"
            users = self._asked.get(path).json()["users"]
        except LookupError:
            return None
        done = [each.get(status) or {} for each in users for status in ("completed", "pending")]
        return sum(sum(counts.values()) for counts in done)

    def _page(self, offset: int, limit: int) -> dict[str, Any]:
        query = {"include": "responses", "offset": offset, "limit": limit}
        page = self._asked.get(f"/api/v1/datasets/{self._id}/records", query).json()
        assert isinstance(page, dict)
        return page

    def _read(self) -> None:
        number = self._store.start(self._id)
        for _ in range(_READINGS):
            mark, before, settled = self._mark()
            total = self._pages(number)
            # Pages are by time of insertion, and records of one time may change places between
            # two pages: what one reading has missed the next one finds.
            if len(self._seen) >= total == before:
                break
            if total != before:
                # One that is deleted moves those after it, and the first of a page is not read.
                number = self._store.start(self._id)
                self._seen.clear()
        else:
            self._say(f"records come and go in {self._name}; what is gone shows the next time")
            settled = False
            number = 0  # removes nothing
        tally = self._tally()
        kept = mark if settled else None
        self._found.removed += self._store.finish(self._id, self._name, number, kept, tally)
        self._found.datasets[self._name] = True

    def _pages(self, number: int) -> int:
        """Keep all pages; how many records there are."""
        offset = 0
        while True:
            page = self._page(offset, _PAGE)
            answers = [answer for record in page["items"] for answer in self._answers(record)]
            new, changed = self._store.keep(self._id, number, answers)
            self._found.new += new
            self._found.changed += changed
            offset += len(page["items"])
            if not page["items"] or offset >= page["total"]:
                return int(page["total"])

    def _answers(self, record: Mapping[str, Any]) -> Iterator[Answer]:
        """The submitted answers to a record; the others are counted."""
        counts = self._seen[str(record["id"])] = {"status": Counter(), "rejected": Counter()}
        for response in record.get("responses") or []:
            user = response.get("user_id")
            who = pseudonym(self._store.key, str(user)) if user else ""
            status = str(response["status"])
            counts["status"][who, status] += 1
            if status != "submitted":
                continue
            try:
                if not who:
                    raise RefusedError(Refused.NO_REVIEWER)
                spot_check = read_response(
                    record,
                    response,
                    repo=self._found.repo,
                    kind=self._kind,
                    shown=self._shown,
                    reviewer=who,
                )
            except RefusedError as error:
                counts["rejected"][error.why.value] += 1
                continue
            yield Answer(spot_check, str(response["updated_at"]))

    def _tally(self) -> dict[str, Any]:
        names = {"submitted": "submitted", "draft": "drafts", "discarded": "discarded"}
        reviewers: dict[str, dict[str, int]] = {}
        rejected: Counter[str] = Counter()
        for counts in self._seen.values():
            rejected += counts["rejected"]
            for (who, status), n in counts["status"].items():
                if who and status in names:
                    mine = reviewers.setdefault(who, dict.fromkeys(names.values(), 0))
                    mine[names[status]] += n
        return {"reviewers": reviewers, "rejected": dict(rejected)}

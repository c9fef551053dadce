"""What the review's benchmark runs in processes of their own, each of which prints its figures.

    python benchmarks/review_ways.py NAME '{"folder": ..., ...}'

Not run by hand; see `review.py`. The server is that of ARGILLA_API_URL and ARGILLA_API_KEY.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["WAYS"]

REPO: Final = "bench/review"
SEARCHES: Final = 30
Given = dict[str, Any]


def make(given: Given) -> dict[str, Any]:
    """A version with so many preference rows of some 3 KB."""
    from dataclasses import replace

    import hub_rows

    from charter.hub import publish_local

    folder = Path(given["folder"])
    hub_rows.made(folder / "rows", given["rows"])
    rows = hub_rows.stored(folder / "rows")
    draft = hub_rows.draft(REPO, rows, hub_rows.splits_of(rows))
    draft = replace(draft, constitution_yaml=_constitution())
    return {"path": str(publish_local(draft, folder / "store").path)}


def _constitution() -> str:
    """The twelve principles of the rows, with as much text as those that people write."""
    text = " ".join(["Of two responses, one may keep to this more than the other does."] * 4)
    asked = {"critique": text, "revision": text, "comparison": text}
    principles = [{"id": f"p{n}", "name": f"Principle {n}", **asked} for n in range(12)]
    head = {"schema_version": 1, "name": "bench", "version": "1.0.0", "licence": "CC0-1.0"}
    return json.dumps({**head, "principles": principles})


def send(given: Given) -> dict[str, float]:
    """As `charter review send` does it: the draw, the dataset, the records, the log of them."""
    from charter.review.client import connect, find_server
    from charter.review.send import send_rows
    from charter.review.store import ReviewStore
    from charter.run.progress import Silent

    version, client = _version(given), connect(find_server())
    options = _options(given)
    with ReviewStore.open(REPO, Path(given["to"])) as store:
        started = time.perf_counter()
        found = send_rows(version, "preference", options, client, store, Silent())
        seconds = time.perf_counter() - started
    assert found["sent"] == given["rows"], found
    return {"seconds": seconds}


def log(given: Given) -> dict[str, float]:
    """Bare SDK: a dataset of the same settings, `records.log` of records that are made before."""
    import argilla as rg

    from charter.review.client import connect, find_server
    from charter.review.plan import make_plan
    from charter.review.questions import review_settings
    from charter.review.send import Frame, _checked, _records

    version, client, options = _version(given), connect(find_server()), _options(given)
    constitution = _checked(version, "preference", options)
    plan = make_plan(version, "preference", options, constitution, set())
    frame = Frame(version.repo, version.tag, "preference", constitution, False, "", {})
    made = [
        rg.Record(id=each["external_id"], fields=each["fields"], metadata=each["metadata"])
        for each in _records(version, frame, options, plan.rows, set())
    ]
    settings = review_settings(
        "preference", critiques=False, overlap=1, guidelines="Compare.", client=client
    )
    workspace = rg.Workspace(name=given["workspace"], client=client).create()
    started = time.perf_counter()
    dataset = rg.Dataset("bare", workspace, settings=settings, client=client).create()
    dataset.records.log(made, batch_size=given["batch"])
    return {"seconds": time.perf_counter() - started}


def read(given: Given) -> dict[str, Any]:
    """Search and page through what `send` has sent, by the SDK and by ours."""
    import argilla as rg

    from charter.review.client import connect, find_server, workspace_of
    from charter.review.collect import collect
    from charter.review.remote import external_ids
    from charter.review.store import ReviewStore

    client = connect(find_server())
    workspace = workspace_of(client, given["workspace"], make=False)
    assert workspace is not None
    (dataset,) = workspace.datasets
    found: dict[str, Any] = {"sdk": [], "http": []}
    path = f"/api/v1/me/datasets/{dataset.id}/records/search?limit=50"
    for words in _questions(given):
        started = time.perf_counter()
        # The least that it can be asked for: a page of records without what hangs on them.
        few = {"limit": 50, "batch_size": 50, "with_suggestions": False, "with_responses": False}
        hits = list(dataset.records(query=rg.Query(query=words), **few))
        middle = time.perf_counter()
        body = {"query": {"text": {"q": words}}}
        answer = client.http_client.post(path, json=body).raise_for_status().json()
        found["sdk"].append(middle - started)
        found["http"].append(time.perf_counter() - middle)
        assert len(hits) == len(answer["items"]) == min(50, answer["total"])
    found = {name: statistics.median(times) for name, times in found.items()}
    found["sdk pages"], every = _timed(lambda: sum(1 for _ in dataset.records(batch_size=250)))
    found["our pages"], ours = _timed(lambda: len(external_ids(client, workspace, dataset.name)))
    assert every == ours == given["rows"], (every, ours)
    with ReviewStore.open(REPO, Path(given["to"])) as store:
        name = given["workspace"]
        found["collect"], _ = _timed(
            lambda: collect(client.http_client, REPO, store, workspace=name, whole=True)
        )
    return found


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _questions(given: Given) -> list[str]:
    """One to three words of the rows' own texts."""
    draw, found = random.Random(1), []
    rows = _version(given).rows("preference").head(SEARCHES).to_dicts()
    for row in rows:
        words = row["chosen"][0]["content"].split()
        found.append(" ".join(draw.choices(words, k=draw.randint(1, 3))))
    return found


def _version(given: Given) -> Version:
    from charter.hub import open_version

    return open_version(Path(given["version"]))


def _options(given: Given) -> Any:
    from charter.review.plan import SendOptions

    return SendOptions(
        n=given["rows"],
        uncertain=0.5,
        gold=None,
        gold_share=0.0,
        overlap=1,
        critiques=False,
        shown=False,
        again=False,
        seed=1,
        split=None,
        workspace=given["workspace"],
    )


WAYS: Final[dict[str, Callable[[Given], dict[str, Any]]]] = {
    "make": make,
    "send": send,
    "log": log,
    "read": read,
}

if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]](json.loads(sys.argv[2]))))

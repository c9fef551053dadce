"""The local model behind the cache: asked once for each answer, not even loaded for known ones."""

from __future__ import annotations

import pytest

from charter.models import local
from charter.models.cache import CallCache, default_cache_path
from charter.models.cached import CachedLocal
from charter.models.call import Answer, Call


def calls(count):
    message = {"role": "user", "content": "hi"}
    return [Call("refusal", f"p{i}", 0, i, (message,)) for i in range(count)]


@pytest.fixture
def asked(monkeypatch):
    """What the model was asked, batch by batch."""
    batches = []

    class Model:
        def generate(self, calls, **sampling):
            batches.append([call.prompt_id for call in calls])
            return [
                Answer(error="overflow") if call.seed == 7 else Answer(f"{call.seed} {sampling}")
                for call in calls
            ]

    monkeypatch.setattr(local, "load_local", lambda path: Model())
    return batches


def test_each_answer_is_written_once_and_in_order(asked):
    cache = CallCache(default_cache_path())
    model = CachedLocal(None, cache)
    sampling = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 8}
    first = model.generate(calls(3), **sampling)
    again = model.generate(list(reversed(calls(5))), **sampling)
    assert asked == [["p0", "p1", "p2"], ["p4", "p3"]]
    assert [a.text.split()[0] for a in again] == ["4", "3", "2", "1", "0"]
    assert list(reversed(again))[:3] == first
    # Other sampling is another answer, and a failed one is asked for again.
    model.generate(calls(1), **{**sampling, "max_tokens": 9})
    for _ in range(2):
        assert not model.generate(calls(8)[7:], **sampling)[0].ok
    assert asked[2:] == [["p0"], ["p7"], ["p7"]]
    cache.close()


def test_an_answer_that_another_process_kept_meanwhile_is_the_one_that_counts(asked, monkeypatch):
    cache = CallCache(default_cache_path())
    put = cache.put

    def late(entries):
        mine = list(entries)
        put(entry._replace(answer=Answer("theirs")) for entry in mine)
        return put(mine)

    monkeypatch.setattr(cache, "put", late)
    model = CachedLocal(None, cache)
    for _ in range(2):
        (answer,) = model.generate(calls(1), temperature=0.0, top_p=1.0, max_tokens=8)
        assert answer.text == "theirs"
    assert asked == [["p0"]]
    cache.close()

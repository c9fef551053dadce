"""What this server does not need, left out: half of its start, and most of the time of a batch.

Nothing that Argilla answers changes by it; each function says what it leaves out, and why nobody
misses it.
"""

from __future__ import annotations

import sys
import types
from typing import Any

__all__ = ["keep_validators", "leave_out_clients", "skip_unheard_events"]

_UNUSED = {
    # module -> names that others import from it
    "argilla_server.search_engine.elasticsearch": ("ElasticSearchEngine",),
    "argilla_server.search_engine.opensearch": ("OpenSearchEngine",),
    "argilla_server.contexts.hub": ("HubDataset", "HubDatasetExporter"),
}


class _LeftOut:
    """Stands for a class that this process must not use."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("left out of this process: see charter.review.embedded.inside.lean")


def leave_out_clients() -> None:
    """Leave out the clients of Elasticsearch, of OpenSearch and of the Hub, with their packages.

    The search engine is another one, and jobs of the Hub run in a child that imports everything
    (`hub_child.py`). Must run before argilla_server is imported.
    """
    for name, classes in _UNUSED.items():
        module = types.ModuleType(name)
        module.__dict__.update(dict.fromkeys(classes, _LeftOut))
        sys.modules[name] = module


def skip_unheard_events() -> None:
    """Don't make the event of each record of a batch where no webhook listens to it.

    Argilla reads the dataset with six queries, checks and copies all of the record, and then looks
    whether anybody listens: for each record. Here it looks first, once for a batch.
    """
    from argilla_server.bulk import records_bulk
    from argilla_server.contexts import webhooks

    notify = records_bulk.notify_record_event_v1

    async def notify_if_heard(db: Any, event: Any, record: Any) -> Any:
        if "charter.heard" not in db.info:
            enabled = await webhooks.list_enabled_webhooks(db)
            db.info["charter.heard"] = {name for hook in enabled for name in hook.events}
        return await notify(db, event, record) if event in db.info["charter.heard"] else []

    records_bulk.notify_record_event_v1 = notify_if_heard


def keep_validators() -> None:
    """Build the validator of a property's or question's settings once, not for each value checked.

    Argilla makes a pydantic `TypeAdapter` of the same type whenever it reads settings: for each
    metadata value of each record. That was nine tenths of the time of a batch.
    """
    from argilla_server.models import database

    build = database.TypeAdapter
    kept: dict[int, Any] = {}  # by identity: the types are module constants, and not all hashable

    def adapter(kind: Any) -> Any:
        if id(kind) not in kept:
            kept[id(kind)] = build(kind)
        return kept[id(kind)]

    database.TypeAdapter = adapter

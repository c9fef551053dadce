"""A published version: written whole, loaded pinned.

The names below are imported when they are first used: pyarrow, polars and `datasets` take
longer to import than most commands run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.hub.gate import check_rows
    from charter.hub.held import published_splits
    from charter.hub.held_remote import held_on_hub, retracted_on_hub
    from charter.hub.manifest import CheckResult, Ledgers, Lineage, Manifest
    from charter.hub.number import Tag, next_tag, parse_tag
    from charter.hub.publish import Draft, Published, publish_local
    from charter.hub.push import HubOptions, publish_hub
    from charter.hub.remote import heads_of, load, open_remote
    from charter.hub.schema import CONFIGS, SCHEMA_VERSION
    from charter.hub.splits import Splits, assign_splits, ensure_train
    from charter.hub.stored import RowWriter, StoredRows
    from charter.hub.version import Found, Version, list_versions, open_version

__all__ = [
    "CONFIGS",
    "SCHEMA_VERSION",
    "CheckResult",
    "Draft",
    "Found",
    "HubOptions",
    "Ledgers",
    "Lineage",
    "Manifest",
    "Published",
    "RowWriter",
    "Splits",
    "StoredRows",
    "Tag",
    "Version",
    "assign_splits",
    "check_rows",
    "ensure_train",
    "heads_of",
    "held_on_hub",
    "list_versions",
    "load",
    "next_tag",
    "open_remote",
    "open_version",
    "parse_tag",
    "publish_hub",
    "publish_local",
    "published_splits",
    "retracted_on_hub",
]

# `gate` is not exported: it has the name of its module, which an import would set over it.
_HOMES = {
    "CONFIGS": "schema",
    "SCHEMA_VERSION": "schema",
    "CheckResult": "manifest",
    "Draft": "publish",
    "Found": "version",
    "HubOptions": "push",
    "Ledgers": "manifest",
    "Lineage": "manifest",
    "Manifest": "manifest",
    "Published": "publish",
    "RowWriter": "stored",
    "Splits": "splits",
    "StoredRows": "stored",
    "Tag": "number",
    "Version": "version",
    "assign_splits": "splits",
    "check_rows": "gate",
    "ensure_train": "splits",
    "heads_of": "remote",
    "held_on_hub": "held_remote",
    "list_versions": "version",
    "load": "remote",
    "next_tag": "number",
    "open_remote": "remote",
    "open_version": "version",
    "parse_tag": "number",
    "publish_hub": "push",
    "publish_local": "publish",
    "published_splits": "held",
    "retracted_on_hub": "held_remote",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"charter.hub.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Which split each prompt of a repo was published in: it keeps it in all later versions."""

from __future__ import annotations

from pathlib import Path

from charter.hub.load import list_versions, open_version
from charter.hub.schema import SPLITS

__all__ = ["published_splits"]


def published_splits(store: Path, repo: str) -> dict[str, str]:
    """Prompt id -> split, over all versions of a repo in a local store; the first one counts."""
    held: dict[str, str] = {}
    for tag in list_versions(store, repo):
        version = open_version(f"{repo}@{tag}", store=store)
        for config in ("sft", "preference", "judgments"):
            for split in SPLITS:
                if config not in version.configs() or split not in version.splits(config):
                    continue
                for prompt_id in version.rows(config, split)["prompt_id"].to_list():
                    held.setdefault(prompt_id, split)
    return held

"""The clients of this process, pointed at a Hub that a test serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

__all__ = ["pointed"]


def pointed(url: str, token: str | None, cache: Path, patch: pytest.MonkeyPatch) -> Any:
    """The client's `HfApi` for an address, with a cache of its own; for as long as the patch."""
    import huggingface_hub
    from huggingface_hub import HfFileSystem, constants

    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    patch.setattr(constants, "ENDPOINT", url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    if token is None:
        patch.delenv("HF_TOKEN", raising=False)
    else:
        patch.setenv("HF_TOKEN", token)
    patch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    huggingface_hub.close_session()
    HfFileSystem.clear_instance_cache()
    return huggingface_hub.HfApi()

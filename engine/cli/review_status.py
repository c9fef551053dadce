"""`charter review status`: whether Argilla runs, where, and how far the review is."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from charter.cli.output import Output, common
from charter.cli.review_serve import data_option

__all__ = ["command"]

_HEAD = ("workspace", "dataset", "records", "completed", "pending", "submitted", "drafts")


@click.command("status")
@data_option
@common
def command(data: Path | None, as_json: bool, debug: bool) -> None:
    """Whether Argilla runs, where, since when, and how far each dataset is.

    The embedded one, or the one that ARGILLA_API_URL and ARGILLA_API_KEY name.

    \b
    Example:
      charter review status --json
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from charter.review.client import named_first

    out = Output(as_json)
    found = _own() if named_first(data) else None
    if found is None:
        found = _embedded(data)
    state, url, key = found
    out.line(_sentence(state))
    if state["running"] and key:
        from charter.review.progress import all_progress

        progress = [one.as_dict() for one in all_progress(url, key)]
        state["datasets"] = progress
        if progress:
            out.table(_HEAD, [tuple(one[name] for name in _HEAD) for one in progress])
    out.result(state)


def _own() -> tuple[dict[str, Any], str, str] | None:
    """The server that the environment names, its address and key; None where it names none."""
    from charter.review.client import Server
    from charter.review.progress import server_version

    url, key = os.environ.get("ARGILLA_API_URL"), os.environ.get("ARGILLA_API_KEY")
    if not url or not key:
        return None
    url = url.rstrip("/")
    version = server_version(url)
    # A name and a password may stand in an address.
    return _state(Server(url, "").shown, version, running=version is not None), url, key


def _embedded(data: Path | None) -> tuple[dict[str, Any], str, str]:
    from charter.review.embedded import data_folder, find_process, read_credentials

    folder = data_folder(data)
    there, kept = find_process(folder), read_credentials(folder)
    if there is None:
        state = _state(kept.url if kept else None, None, running=False)
    else:
        state = _state(there.url, there.version or None, running=bool(there.ready))
        state |= {"pid": there.pid, "starting": not there.ready}
        if there.ready:
            since = datetime.now(UTC) - datetime.fromisoformat(there.ready)
            state["uptime"] = round(since.total_seconds())
    return state | {"data": str(folder)}, state["url"] or "", kept.api_key if kept else ""


def _state(url: str | None, version: str | None, *, running: bool) -> dict[str, Any]:
    return {
        "running": running,
        "starting": False,
        "url": url,
        "version": version,
        "pid": None,
        "uptime": None,
        "data": None,
        "datasets": [],
    }


def _sentence(state: dict[str, Any]) -> str:
    if state["starting"]:
        return f"Argilla is starting at {state['url']}"
    if not state["running"]:
        if state["data"] is None:
            return f"no Argilla answers at {state['url']}, which ARGILLA_API_URL names"
        return f"no Argilla runs ({state['data']}); start one: charter review serve"
    since = f", since {_minutes(state['uptime'])}" if state["uptime"] is not None else ""
    return f"Argilla {state['version']} runs at {state['url']}{since}"


def _minutes(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"

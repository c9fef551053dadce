"""`deploy/argilla`: the stack for a team has no secret in it, and opens one port on loopback."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from charter.review.embedded.place import ARGILLA

FOLDER = Path(__file__).parents[3] / "deploy" / "argilla"
TEXT = (FOLDER / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
SECRET = re.compile(r"password|secret|api_?key|token", re.IGNORECASE)


def test_every_service_is_pinned_and_there() -> None:
    assert set(SERVICES) == {"argilla", "worker", "postgres", "elasticsearch", "redis"}
    for name, service in SERVICES.items():
        tag = service["image"].rpartition(":")[2]
        assert re.fullmatch(r"v?\d+(\.\d+)+", tag), (name, service["image"])
    assert SERVICES["argilla"]["image"].endswith(f":v{ARGILLA}")
    assert SERVICES["worker"]["image"] == SERVICES["argilla"]["image"]


def test_a_secret_is_always_asked_for() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name) or "://" in value:
                asked = re.findall(r"\$\{(\w+)(:\?|)[^}]*\}", value)
                assert asked or ("@" not in value and not SECRET.search(name)), name
                assert all(how == ":?" for _, how in asked), name
    # No variable that is a secret has a default, wherever it stands.
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT):
        assert not SECRET.search(name), (name, default)
    assert not re.search(r"://[^$\s]*:[^$\s{]+@", TEXT)


def test_one_port_is_open_and_on_loopback() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"argilla": ["${ARGILLA_BIND:-127.0.0.1}:${ARGILLA_PORT:-6900}:6900"]}
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "elasticsearch", "redis"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_what_it_names_is_there_and_what_the_page_says_is_asked_for() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
    asked = set(re.findall(r"\$\{(\w+)", TEXT))
    told = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", (FOLDER / "README.md").read_text("utf-8")))
    assert asked <= told

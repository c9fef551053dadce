"""Addresses of servers: seen to be such before anything is sent."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["has_login", "is_address", "is_of_the_line"]


def is_address(text: str) -> bool:
    """Whether a text is an address that can be asked: http or https, a host, a port if any."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # asking for it tells what is no number
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def has_login(address: str) -> bool:
    """Whether an address names who is calling: `http://user:password@host`."""
    return "@" in urlsplit(address).netloc


def is_of_the_line(error: Exception) -> bool:
    """Whether an error is one of the transport beneath the Hub's client, which lets these through.

    Their classes are of packages that the client may change, so the module tells.
    """
    return type(error).__module__.startswith(("httpx", "httpcore", "h11"))

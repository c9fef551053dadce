"""Addresses of servers: seen to be such before anything is sent."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["is_address", "is_of_the_line", "may_hold_key"]


def is_address(text: str) -> bool:
    """Whether a text is an address that can be asked: http or https, a host, a port if any."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # asking for it tells what is no number
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def may_hold_key(address: str) -> bool:
    """Whether an address has a login, a query or a fragment: a key may stand in each."""
    return "@" in urlsplit(address).netloc or "?" in address or "#" in address


def is_of_the_line(error: Exception) -> bool:
    """Whether an error is one of the transport beneath the Hub's client, which lets these through.

    Their classes are of packages that the client may change, so the module tells.
    """
    return type(error).__module__.startswith(("httpx", "httpcore", "h11"))

"""The charter command."""

from charter.cli.main import main

__all__ = ["main"]

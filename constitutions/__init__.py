"""Constitutions: schema, loader and the shipped ones."""

from charter.constitutions.load import (
    find_constitution,
    load_constitution,
    shipped_constitutions,
)
from charter.constitutions.schema import Constitution, Principle

__all__ = [
    "Constitution",
    "Principle",
    "find_constitution",
    "load_constitution",
    "shipped_constitutions",
]

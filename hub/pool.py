"""The memory that Arrow takes from the system while a version is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

__all__ = ["give_back", "pooled"]


@contextmanager
def pooled() -> Iterator[None]:
    """Take Arrow's memory from jemalloc for the block, where it came from the C library.

    That one hands every large array back to the system when it is freed and takes it anew for the
    next row group: writing parquet took 10 to 20 % longer. Another pool than the C library's, that
    is Arrow's own choice or the user's, stays.
    """
    before = pa.default_memory_pool()
    jemalloc = "jemalloc" in pa.supported_memory_backends()
    if before.backend_name == "system" and jemalloc:
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    try:
        yield
    finally:
        give_back()
        pa.set_memory_pool(before)


def give_back() -> None:
    """Give the system what Arrow's pool holds and does not use."""
    pa.default_memory_pool().release_unused()

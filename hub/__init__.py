"""A published version: written whole, loaded pinned."""

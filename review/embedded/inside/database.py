"""The SQLite database: its schema, how it is opened, and what a killed server left half done."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from charter.review.embedded.inside.settings import DATABASE

__all__ = ["HEAD", "finish_statuses", "migrate", "open_fast"]

HEAD = "580a6553186f"
"""The schema of argilla-server 2.8.0 as alembic names it. A database that has it needs no
alembic, whose import and look at thirty scripts take a second of each start."""

# A record's status follows from the answers to it, and Argilla writes it after them, in a
# transaction of its own.
_STATUSES = """
UPDATE records SET status = right_one.status FROM (
  SELECT records.id AS id,
    CASE WHEN count(responses.id) >= json_extract(datasets.distribution, '$.min_submitted')
      THEN 'completed' ELSE 'pending' END AS status
  FROM records
  JOIN datasets ON datasets.id = records.dataset_id
  LEFT JOIN responses ON responses.record_id = records.id AND responses.status = 'submitted'
  WHERE json_extract(datasets.distribution, '$.strategy') = 'overlap'
  GROUP BY records.id
) AS right_one
WHERE right_one.id = records.id AND right_one.status <> records.status
"""


def migrate(data: Path) -> bool:
    """Bring the database to the schema of this version.

    Returns:
        Whether anything had to be done.

    Raises:
        alembic.util.CommandError: the database is of a newer version.
    """
    with sqlite3.connect(data / DATABASE) as database:
        # Answers are read while others are written, and a commit is one fsync: it stays.
        database.execute("PRAGMA journal_mode = WAL")
        known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
        found = (
            database.execute("SELECT version_num FROM alembic_version").fetchall()
            if known.fetchone()
            else []
        )
    database.close()
    (data / DATABASE).chmod(0o600)
    if found == [(HEAD,)]:
        return False
    import alembic.command
    import alembic.config
    import argilla_server

    # Without its own file: that would set up logging, to the terminal.
    config = alembic.config.Config()
    scripts = Path(argilla_server.__path__[0]) / "alembic"
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    alembic.command.upgrade(config, "head")
    return True


def finish_statuses(data: Path) -> int:
    """Set the status of each record to what the answers to it say.

    A server that is killed between an answer and the status leaves a record pending that has all
    its answers; a change of `min_submitted` that was not finished leaves many.

    Returns:
        How many records were wrong.
    """
    with sqlite3.connect(data / DATABASE) as database:
        changed = database.execute(_STATUSES).rowcount
    database.close()
    return changed


def open_fast() -> None:
    """Have each connection wait for others, and keep more of the database in memory."""
    from argilla_server.database import async_engine, sync_engine
    from sqlalchemy import event

    def set_up(connection: sqlite3.Connection, _: object) -> None:
        for pragma in ("synchronous = FULL", "cache_size = -65536", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(sync_engine, "connect", set_up)
    event.listen(async_engine.sync_engine, "connect", set_up)

"""Put one real row of each config of a version into the README, between its marks.

python tests/make_excerpts.py out/versions/me/quickstart/v0.1.0
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import polars as pl

README = Path(__file__).parents[1] / "README.md"
MARKS = ("<!-- excerpts -->\n", "<!-- end of excerpts -->")
LONGEST = 110


def cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONGEST else value[:LONGEST].rstrip() + "..."
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, list):
        return [cut(item) for item in value]
    if isinstance(value, dict):
        return {key: cut(item) for key, item in value.items()}
    return value


def main(version: Path) -> None:
    parts = []
    for config in ("sft", "preference", "judgments", "rejects"):
        row = pl.read_parquet(version / config / "train.parquet").row(0, named=True)
        lines = [
            f"  {json.dumps(k)}: {json.dumps(cut(v), ensure_ascii=False)}" for k, v in row.items()
        ]
        parts.append(f"`{config}`\n\n```json\n{{\n" + ",\n".join(lines) + "\n}\n```\n")
    before, rest = README.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    text = before + MARKS[0] + "\n" + "\n".join(parts) + "\n" + MARKS[1] + after
    README.write_text(re.sub(r"\n{3,}", "\n\n", text), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

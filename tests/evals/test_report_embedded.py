"""Every evaluation of the embedded model, small, and all of them on one report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from charter.models.checkpoint import embedded_checkpoint

SMALL = (
    *("refusal.per-category=2", "refusal.max-tokens=16", "tax.limit=4", "tax.tasks=charter_code"),
    *("depth.limit=8", "depth.tokens=6", "depth.prefill=0,4", "depth.max-tokens=12"),
    *("winrate.limit=3", "winrate.max-tokens=16", "winrate.principle=physical-harm"),
    *("tamper.examples=0,4", "tamper.steps=1", "tamper.limit=4", "tamper.max-tokens=12"),
)


@pytest.mark.slow
def test_a_model_beside_its_equal(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(embedded_checkpoint(), copy)
    settings = [part for each in SMALL for part in ("--set", each)]
    line = [sys.executable, "-m", "charter.cli", "report", str(copy), "--json", *settings]
    done = subprocess.run(
        [*line, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    figures = found["models"]["copy"]
    base = figures["base_figures"]
    # The same weights: no figure of the one is another's, and there is no tax and no divergence.
    for name in ("refused", "over_refusal", "prefilled"):
        assert figures[name] == base[name]
    tax = figures["taxes"]["charter_code"]
    assert tax["value"] in (0.0, None)
    assert figures["early_share"]["value"] is None
    assert figures["tamper_examples"]["value"] is None
    assert figures["win_rate"]["n"] <= 3
    assert found["parts"] == ["refusal", "tax", "depth", "winrate", "tamper"]
    for part in found["parts"]:
        assert (tmp_path / "out" / f"{part}.html").is_file()
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<h2>") == 5

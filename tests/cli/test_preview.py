"""`charter preview`: a few of the run's prompts, and no others."""

from __future__ import annotations

import json

import pytest

from charter.cli import main


@pytest.mark.parametrize(("limit", "asked"), [("null", 3), (1, 1), (4, 3)])
def test_a_preview_is_of_no_more_prompts_than_the_run_has(
    limit, asked, serve, good_script, recipe_file, capsys
):
    path = recipe_file(serve(good_script).url, 5, preference=False)
    with pytest.raises(SystemExit) as ended:
        main(["preview", str(path), "--set", f"prompts.limit={limit}", "--json"])
    assert not ended.value.code
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == asked and found["calls"] == 3 * asked

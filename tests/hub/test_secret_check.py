"""The check before publishing tells of keys and personal data without showing them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from made_secrets import MAIL, TOKEN, drawn
from spot_checks import spot_check

from charter.hub.clean import Clean
from charter.hub.part import parts
from charter.hub.schema import CONFIGS
from charter.hub.secrets import Policy, SecretCheck
from charter.hub.stored import stored_rows
from charter.hub.texts import TEXTS


def _checked(draft: Any, check: SecretCheck) -> SecretCheck:
    for config, rows in stored_rows(draft.rows).items():
        for part in parts(config, rows, draft.splits):
            check.see(part)
    return check


def _spoiled(make_draft: Any, n: int = 8, **texts: str) -> Any:
    draft = make_draft(n)
    rows = {**copy.deepcopy(draft.rows), "reviews": [spot_check().as_row()]}
    for place, text in texts.items():
        config, _, name = place.partition("_")
        row = rows[config][-1]
        column, _, inner = name.partition("__")
        if inner and column not in ("revisions",):
            row[column] = [{**row[column][0], "content": text}]
        elif inner:
            row[column] = [dict.fromkeys(("principle_id", "critique", "revision", "model"), "x")]
            row[column][0][inner] = text
        else:
            row[column] = text
    return make_draft(n, rows=rows)


def test_sound_rows_hold_nothing(make_draft: Any) -> None:
    check = _checked(make_draft(), SecretCheck())
    assert list(check.problems()) == []
    assert check.told() == "no keys or personal data found"
    assert check.figures() == {}


PLACES = [(config, name) for config, names in TEXTS.items() for name in names]


@pytest.mark.parametrize(("config", "name"), PLACES, ids=[f"{c}-{n}" for c, n in PLACES])
def test_a_key_in_any_text_is_a_problem(make_draft: Any, config: str, name: str) -> None:
    draft = _spoiled(make_draft, **{f"{config}_{name.replace('.', '__')}": f"x {TOKEN} y"})
    (problem,) = _checked(draft, SecretCheck()).problems()
    assert f"{config}.{name} of " in problem
    assert "(GITHUB_TOKEN ghp_…)" in problem
    assert TOKEN[4:12] not in problem
    last = draft.rows[config][-1]
    assert (last.get("id") or last.get("comparison_id") or last["prompt_id"]) in problem


def test_all_text_columns_of_the_schema_are_read() -> None:
    # Names, ids, models and words of enums are no free text.
    known = {"id", "prompt_id", "label_source", "source_label", "chosen_model"}
    known |= {"rejected_model", "judge_model", "principle_ids", "comparison_id", "candidate_a"}
    known |= {"candidate_b", "principle_id", "order", "verdict", "ledger", "pair_id", "stage"}
    known |= {"reason", "p_chosen", "log_odds", "n_votes", "order_consistent", "sample", "p_a"}
    known |= {"score_a", "score_b", "prompt_tokens", "completion_tokens"}
    known |= {"kind", "row_id", "category", "reviewer", "sure", "critique_right", "still_harmful"}
    known |= {"over_refusing", "first", "saw_ai", "share", "stratum", "inclusion", "gold", "texts"}
    known |= {"version", "submitted"}
    for config, schema in CONFIGS.items():
        assert set(schema.names) - known == {name.partition(".")[0] for name in TEXTS[config]}


def test_addresses_are_reported_and_fail_by_policy(make_draft: Any) -> None:
    draft = _spoiled(make_draft, sft_initial_response=f"to {MAIL} or {MAIL}")
    check = _checked(draft, SecretCheck())
    assert list(check.problems()) == []
    assert check.told() == (
        "reported, not removed: 2 EMAIL, in sft.initial_response of p7#sft (EMAIL)"
    )
    assert check.figures() == {"EMAIL": {"found": 2, "texts": 1}}
    for action in ("fail", "mask", "drop"):
        check = _checked(draft, SecretCheck(Policy(personal=action)))
        assert list(check.problems()) == [
            "keys or personal data in sft.initial_response of p7#sft (EMAIL)"
        ]


def test_five_places_are_named_and_the_rest_counted(make_draft: Any) -> None:
    draft = make_draft(20)
    rows = copy.deepcopy(draft.rows)
    for row in rows["sft"]:
        row["initial_response"] = f"the same {TOKEN}"
        row["id"] = f"{row['id']}-of-{MAIL}"
    check = _checked(make_draft(20, rows=rows), SecretCheck())
    (problem,) = check.problems()
    assert problem.count("GITHUB_TOKEN") == 5
    assert problem.endswith("and 14 more")
    assert MAIL not in problem
    assert check.figures() == {"GITHUB_TOKEN": {"found": 19, "texts": 19}}


def test_a_file_beside_the_rows_is_looked_through(make_draft: Any) -> None:
    check = SecretCheck()
    check.look("recipe.yaml", f"options: {{headers: {{Authorization: Bearer {drawn(30)}}}}}")
    assert list(check.problems()) == ["keys or personal data in recipe.yaml (SECRET)"]


# Clean texts


def test_texts_found_clean_are_not_read_again_and_others_are(
    make_draft: Any, tmp_path: Path
) -> None:
    draft = _spoiled(make_draft, sft_initial_response=f"to {TOKEN}")
    rules = SecretCheck.clean_rules()
    path = tmp_path / "clean"
    problems = []
    known = []
    for _ in range(2):
        clean = Clean(path, rules)
        check = _checked(draft, SecretCheck(clean=clean))
        problems.append(list(check.problems()))
        known.append(clean.known)
        clean.save()
    assert problems[0] == problems[1] != []
    texts = sum(
        len(rows) for config, rows in draft.rows.items() for _ in TEXTS[config] if rows is not None
    )
    assert known[0] < known[1] <= texts
    assert len(Clean(path, rules)) > 20
    assert len(Clean(path, SecretCheck.clean_rules(Policy(also=("PHONE",))))) == 0

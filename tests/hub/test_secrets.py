"""Keys and personal data are found, masked and told without being shown."""

from __future__ import annotations

import base64
import copy
import csv
import gzip
import json
import os
import random
import string
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spot_checks import spot_check

from charter.hub.clean import Clean
from charter.hub.part import parts
from charter.hub.schema import CONFIGS
from charter.hub.scrub import scrub_row, scrubbed
from charter.hub.secret_rules import KEYS, PERSONAL, RULES, SecretKind
from charter.hub.secrets import Policy, SecretCheck, find_in, find_secrets, masked
from charter.hub.stored import stored_rows
from charter.hub.texts import TEXTS
from charter.rows import Ledger
from charter.steps.asking import prepared
from charter.steps.keep import KeepRule, kept
from charter.steps.shape import judgment_rows, planned_pairs, preference_rows, reject_rows, sft_rows

DATA = Path(os.environ.get("CHARTER_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
ALL = frozenset(SecretKind)
LETTERS = string.ascii_letters + string.digits
_DRAW = random.Random(11)


def drawn(n: int, of: str = LETTERS) -> str:
    """Random signs: no key stands in this file, where a scanner would find it."""
    return "".join(_DRAW.choices(of, k=n))


def _jwt() -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": drawn(12), "iat": 1})
    heads = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*heads, drawn(43)])


HEX = "0123456789abcdef"
K = SecretKind
# kind, text around, the secret, where the whole secret is found
POSITIVE: list[tuple[SecretKind, str, str]] = [
    (K.AWS_KEY, "id {} here", "AK" + "IA" + drawn(16, "ABCDEFGHJKLMNPQRSTUVWXYZ234567")),
    (K.AWS_SECRET, "aws_secret_access_key = {}\n", drawn(38) + "/+"),
    (K.AWS_SECRET, "AWS secret access key: '{}'", drawn(38) + "/+"),
    (K.GITHUB_TOKEN, "git clone with {}.", "gh" + "p_" + drawn(36)),
    (K.GITHUB_TOKEN, "({})", "github" + "_pat_" + drawn(22) + "_" + drawn(59)),
    (K.GITLAB_TOKEN, "{}", "gl" + "pat-" + drawn(20)),
    (K.HUGGINGFACE_TOKEN, "login('{}')", "h" + "f_" + drawn(34)),
    (K.ANTHROPIC_KEY, "key {}", "sk-" + "ant-api03-" + drawn(95)),
    (K.OPENAI_KEY, "key {}", "sk-" + "proj-" + drawn(48)),
    (K.OPENAI_KEY, "key {}, and", "sk-" + drawn(48)),
    (K.GOOGLE_KEY, "?key={}&x=1", "AI" + "za" + drawn(35)),
    (K.SLACK_TOKEN, "{}", "xo" + "xb-" + drawn(12, HEX) + "-" + drawn(24)),
    (K.STRIPE_KEY, "{}", "sk" + "_live_" + drawn(24)),
    (K.NPM_TOKEN, "{}", "np" + "m_" + drawn(36)),
    (K.PYPI_TOKEN, "{}", "pypi-" + "AgEIcHlwaS5vcmc" + drawn(60)),
    (K.TWILIO_KEY, "{}", "S" + "K" + drawn(32, HEX)),
    (K.SENDGRID_KEY, "{}", "S" + "G." + drawn(22) + "." + drawn(43)),
    (K.TOKEN, "{}", "dop" + "_v1_" + drawn(64, HEX)),
    (K.JWT, "Cookie {};", _jwt()),
    (K.URL_PASSWORD, "postgres://bob:{}@db.firm.org/x", drawn(12)),
    (K.SECRET, 'password = "{}"', "Kd9-" + drawn(8)),
    (K.SECRET, "api_key: {}\n", "k9" + drawn(18)),
    (K.SECRET, '{{"client_secret": "{}"}}', "9x" + drawn(30)),
    (K.SECRET, "My PASSWORD is secret. Password: {}.", "tR9" + drawn(8)),
    (K.SECRET, "DB_PASSWORD={}", "q7" + drawn(10)),
    (K.SECRET, "Authorization: Bearer {}", drawn(32)),
    (
        K.PRIVATE_KEY,
        "see\n{}\nok",
        "-----BEGIN RSA PRIV"
        + "ATE KEY-----\n"
        + "\n".join(drawn(64) for _ in range(12))
        + "\n-----END RSA PRIV"
        + "ATE KEY-----",
    ),
    (K.EMAIL, "write to {}, please", "jane.doe+x@firm.co.uk"),
    (K.EMAIL, "<{}>", "jörg@müller.de"),
    (K.IBAN, "to {} PLEASE", "DE89 3704 0044 0532 0130 00"),
    (K.IBAN, "IBAN:{}.", "GB82WEST12345698765432"),
    (K.PHONE, "call {}", "+49 30 1234 5678"),
    (K.PHONE, "call {}.", "(415) 867-5309"),
    (K.IP_ADDRESS, "ping {}", "8.8.8.8"),
]
NEGATIVE = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
    "sk-" + "your-api-key-goes-here-please",
    "sk-" + "x" * 48,
    "a risk-assessment-of-the-whole-long-task",
    "gh" + "p_" + "x" * 36,
    'password = os.environ["PASSWORD_42"]',
    "password: ${DB_PASSWORD_1}",
    'password = "your-password-1"',
    'tokenizer="meta-llama/Meta-Llama-3.1-8B-Instruct"',
    "max_tokens: 1024-2048, secret: a recipe of grandmother's",
    "token = generate_id_v2(32)",
    "The secret: be patient, and the password: at least 8 characters1",
    "api_key=config.keys2.openai3",
    'secret_keys: "Iterable[crypto.Tsk]" = (), SecretId="azure-service-principal"',
    "per_token_loss = -soft_coef_1 * advantage",
    "postgres://user:password@localhost/db and https://host:8080/a@b",
    "-----BEGIN PRIV" + "ATE KEY-----\n(your private key goes in these lines here, all of it)",
    "me@example.com, you@mail.example.org, x@host.test, y@host.invalid, z@localhost",
    "git@github.com:me/repo.git, logo@2x.png, react@18.2.0, @property, a @ b.com",
    "DE89 3704 0044 0532 0130 01 and GB00WEST12345698765432",
    "4242 4242 4242 4242, 1234 5678 9012 3456, 3.1415926535897932, 20240131123456789",
    "eyJhbGciOiJub25lIn and eyJubyBoZWFkZXI.eyJhIjoxfQ.c2lnbmF0dXJl",
    "2024-01-31 12:30:00, ISBN 978-3-16-148410-0, version 1.2.3",
    "192.168.0.1, 127.0.0.1, 203.0.113.7, 1.2.3.4.5, 300.1.2.3",
    "call (212) 555-0123",
    "",
]


def _card() -> str:
    """A number with a right check digit, of nobody."""
    body = "492900000000123"
    total = sum(sum(divmod(int(d) * (2 - at % 2), 10)) for at, d in enumerate(body))
    return body + str(-total % 10)


_CARD = _card()
POSITIVE += [
    (K.CARD, "card {}, 12/27", _CARD),
    (K.CARD, "1,{},2", "-".join(_CARD[at : at + 4] for at in range(0, 16, 4))),
]


@pytest.mark.parametrize(
    ("kind", "around", "secret"),
    POSITIVE,
    ids=[f"{kind}-{at}" for at, (kind, _, _) in enumerate(POSITIVE)],
)
def test_each_kind_is_found_where_it_is(kind: SecretKind, around: str, secret: str) -> None:
    text = around.format(secret)
    found = find_secrets(text, ALL)
    assert [(one.kind, text[one.start : one.end]) for one in found] == [(kind, secret)]
    assert secret not in masked(text, ALL)
    assert f"[{kind}]" in masked(text, ALL)
    assert secret[4:] not in found[0].hinted(text)
    many = pl.Series([None, "nothing", text, *["other words"] * 99], dtype=pl.String)
    assert find_in(many, ALL) == {2: found}


@pytest.mark.parametrize("text", NEGATIVE, ids=range(len(NEGATIVE)))
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert [(one.kind, text[one.start : one.end]) for one in find_secrets(text, ALL)] == []


def test_every_kind_has_a_rule_and_a_test() -> None:
    assert {rule.kind for rule in RULES} == {kind for kind, _, _ in POSITIVE} == set(SecretKind)
    assert set(SecretKind) == KEYS | PERSONAL
    assert not KEYS & PERSONAL


def test_phone_numbers_and_addresses_of_hosts_are_looked_for_when_asked_for() -> None:
    text = "call (415) 867-5309 or ping 8.8.8.8"
    assert find_secrets(text) == []
    assert masked(text, Policy(also=("PHONE",)).kinds) == "call [PHONE] or ping 8.8.8.8"


_PIECES = st.sampled_from([around.format(secret) for _, around, secret in POSITIVE])
_ANY = st.text(alphabet=st.sampled_from("aZ9 .:=@/-_\"'[]+\nsecret:éß"), max_size=40)


@given(st.lists(_PIECES | _ANY, max_size=5), st.sampled_from(["", " ", "\n", '"', "="]))
def test_masking_leaves_nothing_to_find_and_changes_nothing_twice(
    pieces: list[str], glue: str
) -> None:
    once = masked(glue.join(pieces), ALL)
    assert find_secrets(once, ALL) == []
    assert masked(once, ALL) == once


@given(st.lists(_PIECES | _ANY, max_size=5))
def test_found_passages_are_in_order_and_apart(pieces: list[str]) -> None:
    text = " ".join(pieces)
    found = find_secrets(text, ALL)
    edges = [edge for one in found for edge in (one.start, one.end)]
    assert edges == sorted(edges)
    assert all(one.start < one.end <= len(text) for one in found)


@given(st.text(max_size=200) | st.lists(_PIECES, min_size=1, max_size=3).map(" ".join))
def test_a_sieve_lets_through_all_that_its_pattern_matches(text: str) -> None:
    for rule in RULES:
        if rule.pattern.search(text):
            assert pl.Series([text]).str.contains(rule.sieve).item(), rule.kind


def test_long_texts_that_nearly_match_are_read_to_their_end() -> None:
    for piece in (
        "a",
        "1",
        "1 ",
        "a.",
        "a@",
        "a@a.",
        "eyJ",
        "password",
        "password=",
        "A1",
        "x://:",
    ):
        text = piece * (100_000 // len(piece)) + " bob@firm.org"
        assert K.EMAIL in {one.kind for one in find_secrets(text, ALL)} or piece in "a@a.x://:"
    text = "-----BEGIN PRIV" + "ATE KEY-----\n" * 2000
    assert find_secrets(text, ALL) == []


# The check


MAIL = "bob@firm.org"
TOKEN = "gh" + "p_" + drawn(36)


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
    known = {"id", "prompt_id", "source", "label_source", "source_label", "chosen_model"}
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


# Rows


def _walked(**changes: Any) -> dict[str, Any]:
    vote = {
        "comparison_id": "p#initial~revised",
        "candidate_a": "initial",
        "candidate_b": "revised",
        "principle_id": "kind",
        "sample": 0,
        "verdict": "B",
        "p_a": 0.1,
        "log_odds": -2.2,
        "rationale": None,
        "error": "",
        "overflow": False,
        "prompt_tokens": 1,
        "completion_tokens": 1,
    }
    row = {
        "prompt": [{"role": "user", "content": f"Who is {MAIL}?"}],
        "prompt_id": "p",
        "source": "s",
        "initial_response": f"{MAIL} is Bob, and {TOKEN} his key.",
        "revisions": [
            {"principle_id": "kind", "critique": f"names {MAIL}", "revision": "Bob", "model": "m"}
        ],
        "candidates": [
            {"slot": "initial", "text": f"{MAIL} is Bob, and {TOKEN} his key.", "model": "m"},
            {"slot": "revised", "text": "Bob", "model": "m"},
        ],
        "votes": [{**vote, "order": order, "raw": f"B, for {MAIL}"} for order in ("AB", "BA")],
    }
    return prepared({**row, **changes})


RULE = KeepRule(mode="logprob", keep="margin", min_margin=0.1)


def _published(row: dict[str, Any], constitution: Any) -> dict[str, list[Any]]:
    row = kept(row, RULE, constitution)
    slots = ("initial", "revised")
    return {
        "sft": sft_rows(row),
        "preference": preference_rows(row, "j"),
        "judgments": judgment_rows(row, "j"),
        "rejects": reject_rows(row, slots, True, True),
        "pairs": [None] * planned_pairs(row, slots),
    }


@pytest.fixture(scope="module")
def constitution() -> Any:
    from charter.constitutions import find_constitution, load_constitution

    return load_constitution(find_constitution("hhh"))


def test_a_row_is_masked_everywhere_alike_and_the_given_one_is_left(constitution: Any) -> None:
    row = _walked()
    before = copy.deepcopy(row)
    done, counts = scrub_row(row, Policy("mask", "mask"))
    assert row == before
    assert counts == {K.EMAIL: 6, K.GITHUB_TOKEN: 2}
    said = json.dumps(_published(done, constitution))
    assert MAIL not in said and TOKEN not in said
    assert done["candidates"][0]["text"] == done["initial_response"]
    assert done["initial_response"] == "[EMAIL] is Bob, and [GITHUB_TOKEN] his key."
    assert done["prompt"] == [{"role": "user", "content": "Who is [EMAIL]?"}]


def test_by_default_rows_stay_as_they_are() -> None:
    row = _walked()
    assert scrub_row(row, Policy()) == (row, {})
    assert scrub_row(row, Policy("fail", "mask"))[0]["initial_response"].endswith(
        f"{TOKEN} his key."
    )
    assert scrubbed(f"to {MAIL}", Policy()) == f"to {MAIL}"
    assert scrubbed(f"to {MAIL}", Policy(personal="drop")) == "to [EMAIL]"


def test_a_dropped_row_is_one_reject_in_each_ledger(constitution: Any) -> None:
    done, counts = scrub_row(_walked(), Policy("drop", "mask"))
    assert counts[K.GITHUB_TOKEN] == 2
    published = _published(done, constitution)
    rejects = published.pop("rejects")
    assert not any(published.values())
    assert [(r["ledger"], r["pair_id"]) for r in rejects] == [
        (Ledger.SFT, None),
        (Ledger.PREFERENCE, None),
    ]
    assert rejects[0]["reason"] == "SECRET"
    assert all("GITHUB_TOKEN (first in initial_response)" in r["detail"] for r in rejects)
    assert scrub_row(done, Policy("drop", "mask"))[1] == {}


def test_candidates_that_are_the_same_once_masked_are_identical(constitution: Any) -> None:
    texts = ("Ask bob@firm.org", "Ask eve@firm.org")
    row = _walked(
        initial_response=texts[0],
        candidates=[
            {"slot": slot, "text": text, "model": "m"}
            for slot, text in zip(("initial", "revised"), texts, strict=True)
        ],
    )
    published = _published(scrub_row(row, Policy(personal="mask"))[0], constitution)
    assert published["preference"] == []
    assert [r["reason"] for r in published["rejects"]] == ["IDENTICAL"]


# Real texts


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _texts(each)]


def _real() -> list[str]:
    found: list[str] = []
    for path in sorted(DATA.glob("*/*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found += [text for line in lines for text in _texts(json.loads(line))]
    for path in sorted(DATA.glob("*/*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [text for record in csv.DictReader(file) for text in _texts(record)]
    return list(dict.fromkeys(found))


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA.name}: the shared texts are not here")
def test_real_conversations_give_no_false_alarm() -> None:
    texts = _real()
    assert len(texts) > 8000
    found = find_in(pl.Series(texts))
    kinds = [one.kind for secrets in found.values() for one in secrets]
    # Five addresses that people wrote out in red teaming; nothing else.
    assert kinds == [K.EMAIL] * 5

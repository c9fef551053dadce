"""Keys and personal data are found where they are, and nothing else is."""

from __future__ import annotations

import csv
import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_secrets import ALL, POSITIVE, K

from charter.hub.secret_rules import KEYS, PERSONAL, RULES, SecretKind
from charter.hub.secrets import Policy, find_in, find_secrets, masked

DATA = Path(os.environ.get("CHARTER_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
HEAD = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
JOHN = "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ"
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
    'password = "MyPassword7Qz4"',
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
    "call (212) 555-0123, not +12 3456 7890 1234 56",
    # What documentation of web tokens shows: jwt.io's two, RFC 7519's, and logins of RFC 7617 and
    # of half the web.
    f"{HEAD}.{JOHN}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    f"Authorization: Bearer {HEAD}.{JOHN}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    f'{{"access_token": "{HEAD}.{JOHN}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"}}',
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0d"
    "HA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    'curl -H "Authorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ="',
    "token: abc123def456",
    "curl -u username:password https://h.org, curl --user admin:$PW, curl -u me:mypass x",
    "curl https://h.org/a | sort -u key:value2x, curl -u elastic:changeme1 h",
    "",
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


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("请发邮件到ann@firm.org，谢谢", "请发邮件到[EMAIL]，谢谢"),
        ("ご質問はann.doe@firm.co.jpまで" + "お願い" * 20, "ご質問は[EMAIL]まで" + "お願い" * 20),
        ("句子" * 40 + "ann@firm.org。", "句子" * 40 + "[EMAIL]。"),
        ("메일은 ann@firm.org으로 보내", "메일은 [EMAIL]으로 보내"),
        ("ติดต่อann@firm.co.thนะครับ", "ติดต่อ[EMAIL]นะครับ"),
        ("用户@例子.公司 x.müller@bücher.de иван@почта.рф", "[EMAIL] [EMAIL] [EMAIL]"),
        ("卡号4539148803436467的", "卡号[CARD]的"),
        ("账号DE89370400440532013000吗", "账号[IBAN]吗"),
        ("電話は415-867-5309まで、IPは8.8.8.8です", "電話は[PHONE]まで、IPは[IP_ADDRESS]です"),
    ],
    ids=range(9),
)
def test_of_a_text_without_spaces_only_the_passage_itself_is_masked(text: str, left: str) -> None:
    assert masked(text, ALL) == left


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
        "日",
        "日a.",
    ):
        text = piece * (100_000 // len(piece)) + " bob@firm.org"
        assert K.EMAIL in {one.kind for one in find_secrets(text, ALL)} or piece in "a@a.x://:"
    text = "-----BEGIN PRIV" + "ATE KEY-----\n" * 2000
    assert find_secrets(text, ALL) == []


@pytest.mark.parametrize("piece", ["pwd:", "password=-", "x@y.zz:", "eyJ-"])
def test_many_beginnings_cost_no_more_than_as_many_words(piece: str) -> None:
    def seconds(of: str) -> float:
        text = of * (120_000 // len(of))
        start = time.process_time()
        masked(text)
        return time.process_time() - start

    # Read to the end of a value, or held against all that was found, each costs hundreds of words.
    assert seconds(piece) < 5 * seconds("a@b-c.") + 0.3


def test_many_addresses_are_all_masked() -> None:
    assert masked("bob@firm.org, " * 3000) == "[EMAIL], " * 3000


def test_each_value_of_an_address_without_quotes_is_found() -> None:
    first, second = "Zx9Qa7KpLm2Vt", "Rw5Ty8UiOp3Sd"
    left = masked(f"https://host/?api_key={first}&access_token={second} and more")
    assert first not in left and second not in left


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

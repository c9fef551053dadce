"""Which passages that look like a key, an address or a number are one.

Each check is given a match of its rule's pattern and says where the secret itself is in it, or
None where it is none.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import math
import re
from collections import Counter
from typing import Final

__all__ = [
    "Span",
    "assigned",
    "authorization",
    "aws_secret",
    "block",
    "card",
    "email",
    "iban",
    "ip",
    "jwt",
    "key",
    "login",
    "openai",
    "phone",
]

Span = tuple[int, int]

# What stands for a key in documentation, or holds its place.
_MADE_UP: Final = re.compile(
    r"example|your|x{4}|\*{3}|\.{3}|placeholder|redacted|change|dummy|sample|insert|foobar|"
    r"0{6}|12345|abc123|abcdef|qwert",
    re.IGNORECASE,
)
# A value that says what it is names a setting, or is nobody's.
_NAMES_ITSELF: Final = re.compile(
    r"pass(?:word|wd|phrase|code)|secret|token|api.?key|_key|credential|hunter2|s3cr3t|p[a@]ssw|"
    r"open.?sesame",  # RFC 7617's
    re.IGNORECASE,
)
_CODE: Final = re.compile(
    r"[$<{\[%&*(/@\\]|[-+][A-Za-z_]|\.{1,2}/|https?:|os\.|env\b|process\.|self\.|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$"
)
_TRAILING: Final = ".,;:!?"
# Whom the web tokens of documentation are of, such as those of jwt.io and RFC 7519.
_NOBODY: Final = re.compile(r"1234567890|John Doe|example\.(?:com|org|net)")


def _entropy(value: str) -> float:
    """Bits a character, by how often each stands in it (Shannon)."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())


def _decoded(value: str) -> str:
    """The text that base64 in either alphabet holds; empty where it holds none."""
    plain = value.rstrip("=").translate(str.maketrans("+/", "-_"))
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4)).decode()
    except ValueError:
        return ""


def _made_up(value: str) -> bool:
    head, dot, rest = value.partition(".")
    shown = bool(dot) and head.startswith("eyJ") and _NOBODY.search(_decoded(rest.split(".")[0]))
    return bool(shown or _MADE_UP.search(value))


def _random(value: str, bits: float = 3.0) -> bool:
    return _entropy(value) >= bits and not _made_up(value)


def key(match: re.Match[str]) -> Span | None:
    """The group `key`, or the whole match, if it looks drawn at random."""
    group = "key" if match.groupdict().get("key") else 0
    return match.span(group) if _random(match[group]) else None


def openai(match: re.Match[str]) -> Span | None:
    """A key that starts with `sk-`: it has digits, and words do not."""
    return key(match) if any(map(str.isdigit, match[0])) else None


def jwt(match: re.Match[str]) -> Span | None:
    """A token whose header is one, and that documentation does not show."""
    try:
        header = json.loads(_decoded(match["head"]))
    except ValueError:
        return None
    return key(match) if isinstance(header, dict) and "alg" in header else None


def login(match: re.Match[str]) -> Span | None:
    """The password of a login, unless it only holds its place."""
    return None if _holds_place(match["key"]) else match.span("key")


def authorization(match: re.Match[str]) -> Span | None:
    """The value of that header, unless the password in it only holds its place."""
    _, colon, password = _decoded(match["key"]).partition(":")
    return None if colon and _holds_place(password) else key(match)


def _holds_place(password: str) -> bool:
    word = password.lower() if password.isalpha() else ""
    bare = len(password) < 4 or word in _LOGINS or word.endswith(("pass", "pwd"))
    tests = (_CODE.match, _MADE_UP.search, _NAMES_ITSELF.search)
    return bare or any(test(password) for test in tests)


_LOGINS: Final = frozenset({"pass", "user", "port", "root", "admin", "test", "guest", "postgres"})


def assigned(match: re.Match[str]) -> Span | None:
    """The value given to a name such as `password`, if it looks drawn at random."""
    quoted = match["quoted"]
    value = quoted if quoted is not None else match["bare"].rstrip(_TRAILING)
    start = match.start("bare" if quoted is None else "quoted")
    if len(value) < 8 or not _random(value) or _CODE.match(value) or _NAMES_ITSELF.search(value):
        return None
    if quoted is None and match.string[match.end() : match.end() + 1] in ("(", "["):
        return None  # a call
    digit, letter = any(map(str.isdigit, value)), any(map(str.isalpha, value))
    worded = quoted is None or _classes(value) < 3 or re.search(r"[(\[{]", value)
    if not letter or (worded and not digit):
        return None
    return start, start + len(value)


def _classes(value: str) -> int:
    tests = (str.islower, str.isupper, str.isdigit, lambda each: not each.isalnum())
    return sum(any(map(test, value)) for test in tests)


_RESERVED: Final = re.compile(
    # RFC 2606 and 6761: for documentation and tests.
    r"(?:.*\.)?(?:example(?:\.(?:com|net|org|edu))?|test|invalid|localhost|local)",
    re.IGNORECASE,
)
_FILES: Final = re.compile("css|gif|html|jpe?g|js|json|md|pdf|png|py|svg|txt|webp|ya?ml", re.I)


def email(match: re.Match[str]) -> Span | None:
    """An address that may be somebody's."""
    name, domain = match["name"], match["domain"]
    if _RESERVED.fullmatch(domain) or _FILES.fullmatch(domain.rpartition(".")[2]):
        return None
    if name == "git" and match.string[match.end() : match.end() + 1] == ":":
        return None  # the address of a repository
    if match.string[max(match.start() - 2, 0) : match.start()] == "//":
        return None  # whoever logs in at a host
    if name.startswith(".") or ".." in name or ".." in domain:
        return None
    return match.span()


_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}


def iban(match: re.Match[str]) -> Span | None:
    """By the length that the country has, whatever follows, and the remainder of ISO 7064."""
    length = _IBAN_LENGTHS.get(match[0][:2])
    if length is None:
        return None
    found = ""
    for at, sign in enumerate(match[0]):
        found += sign.strip(" ")
        if len(found) == length:
            end = match.start() + at + 1
            digits = "".join(str(int(each, 36)) for each in found[4:] + found[:4])
            whole = not re.match("[A-Za-z0-9]", match.string[end : end + 1])
            return (match.start(), end) if whole and int(digits) % 97 == 1 else None
    return None


_ISSUERS: Final = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"6011|64[4-9]|65|62"), (16, 19)),
    (re.compile(r"35(?:2[89]|[3-8])"), (16,)),
    (re.compile(r"30[0-5]|3[689]"), (14,)),
)
# Numbers that payment services publish for trying things out.
_TEST_CARDS: Final = frozenset(
    {
        "4111111111111111",
        "4242424242424242",
        "4000056655665556",
        "4012888888881881",
        "4222222222222",
        "5555555555554444",
        "5105105105105100",
        "2223003122003222",
        "378282246310005",
        "371449635398431",
        "6011111111111117",
        "6011000990139424",
        "3530111333300000",
        "3566002020360505",
        "30569309025904",
        "38520000023237",
    }
)


def card(match: re.Match[str]) -> Span | None:
    """By issuer, length and check digit (Luhn), in groups of four or so, or in one."""
    parts = re.split(r"[ -]", match[0])
    digits = "".join(parts)
    if digits in _TEST_CARDS or (len(parts) > 1 and not all(2 < len(p) < 7 for p in parts)):
        return None
    issued = any(p.match(digits) and len(digits) in lengths for p, lengths in _ISSUERS)
    return match.span() if issued and _luhn(digits) else None


def _luhn(digits: str) -> bool:
    doubled = [sum(divmod(2 * int(each), 10)) for each in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def phone(match: re.Match[str]) -> Span | None:
    """A number of ten to fifteen digits."""
    digits = re.sub(r"\D", "", match[0])
    # 555-01xx is the range of films and books.
    made_up = re.search(r"55501\d\d$", digits)
    return match.span() if 10 <= len(digits) <= 15 and not made_up else None


def ip(match: re.Match[str]) -> Span | None:
    """An address of the public internet."""
    try:
        known = ipaddress.ip_address(match[0])
    except ValueError:
        return None
    return match.span() if known.is_global else None


def aws_secret(match: re.Match[str]) -> Span | None:
    """Forty signs of base64; a hexadecimal digest is not as mixed."""
    return key(match) if _entropy(match["key"]) > 4 else None


def block(match: re.Match[str]) -> Span | None:
    """A private key, unless its lines are words."""
    return match.span() if _entropy(match["body"]) > 4.2 else None

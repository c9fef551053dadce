"""The rules by which keys and personal data are known in a text.

Each rule has a sieve, which Rust's regex engine runs over whole columns, and a pattern with a
check, which Python runs over the few texts that the sieve leaves. A sieve lets through all that its
pattern could match. All repetitions are bounded, and those of hundreds end where another match may
begin: the cost is linear in the length of a text.

What documentation writes is left alone: `AKIA...EXAMPLE`, `sk-your-key`, the card numbers of test
shops, addresses at example.com. So is what only names a secret: `password=os.environ["PW"]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from charter.hub import secret_checks as checks
from charter.hub.secret_checks import Span

__all__ = ["KEYS", "OPTIONAL", "PERSONAL", "RULES", "Rule", "SecretKind"]


class SecretKind(StrEnum):
    """What a passage is."""

    PRIVATE_KEY = "PRIVATE_KEY"
    AWS_KEY = "AWS_KEY"
    AWS_SECRET = "AWS_SECRET"  # noqa: S105  a name, as all of these
    GITHUB_TOKEN = "GITHUB_TOKEN"  # noqa: S105
    GITLAB_TOKEN = "GITLAB_TOKEN"  # noqa: S105
    HUGGINGFACE_TOKEN = "HUGGINGFACE_TOKEN"  # noqa: S105
    ANTHROPIC_KEY = "ANTHROPIC_KEY"
    OPENAI_KEY = "OPENAI_KEY"
    GOOGLE_KEY = "GOOGLE_KEY"
    SLACK_TOKEN = "SLACK_TOKEN"  # noqa: S105
    STRIPE_KEY = "STRIPE_KEY"
    NPM_TOKEN = "NPM_TOKEN"  # noqa: S105
    PYPI_TOKEN = "PYPI_TOKEN"  # noqa: S105
    TWILIO_KEY = "TWILIO_KEY"
    SENDGRID_KEY = "SENDGRID_KEY"
    TOKEN = "TOKEN"  # noqa: S105
    JWT = "JWT"
    URL_PASSWORD = "URL_PASSWORD"  # noqa: S105
    SECRET = "SECRET"  # noqa: S105
    EMAIL = "EMAIL"
    IBAN = "IBAN"
    CARD = "CARD"
    PHONE = "PHONE"
    IP_ADDRESS = "IP_ADDRESS"


_K = SecretKind
OPTIONAL: Final = frozenset({_K.PHONE, _K.IP_ADDRESS})
"""Looked for only when asked for: order numbers, dates and versions look the same, and the numbers
of help lines and of name servers belong into good answers."""
PERSONAL: Final = frozenset({_K.EMAIL, _K.IBAN, _K.CARD}) | OPTIONAL
"""What belongs to a person."""
KEYS: Final = frozenset(SecretKind) - PERSONAL
"""What opens a door."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind is known.

    Attributes:
        kind: what is found.
        sieve: a regular expression that Rust and Python read alike; matches wherever `pattern` may.
        pattern: what it looks like.
        check: where the secret itself is in a match of the pattern, or None where it is none.
    """

    kind: SecretKind
    sieve: str
    pattern: re.Pattern[str]
    check: Callable[[re.Match[str]], Span | None]


# The names of what is secret, in either case and in the forms of code, headers and prose.
_WORDS: Final = (
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api[_ -]?key",
    "access[_ -]?key",
    "account[_ -]?key",
    "credential",
)


def _any_case(pattern: str) -> str:
    """The pattern for ASCII letters of either case; `(?i)` would fold all of Unicode, slowly."""
    parts = re.split(r"(\[.*?\])", pattern)
    return "".join(
        part if part.startswith("[") else re.sub("[a-z]", lambda m: f"[{m[0].upper()}{m[0]}]", part)
        for part in parts
    )


_GAP: Final = r"""[A-Za-z0-9_ -]{0,20}["'`\])*]{0,3}\s{0,3}"""
_NAMES: Final = "(?:" + "|".join(map(_any_case, _WORDS)) + ")"
_ASSIGNED: Final = _NAMES + _GAP + "[:=]"
# A tokenizer's name is no secret; Rust's engine, which reads the sieve, knows no looking ahead.
_NAMED: Final = _NAMES + "(?![Ii][SsZz])" + _GAP
# Session tokens have a thousand characters and more. What has no quotes ends at the next name too:
# so no text is read as the value of each of many names before it.
_VALUE: Final = (
    r"""(?:(?P<q>["'`])(?P<quoted>[^"'`\s]{8,2000})(?P=q)|"""
    rf"""(?P<bare>(?:(?!{_NAMES}[A-Za-z0-9_-]{{0,20}}\*{{0,3}}[:=])[^\s"'`,;<>(){{}}\[\]]){{8,2000}}+))"""
)
_SIGNS: Final = "[A-Za-z0-9_-]"
_IN_JWT: Final = "(?:[A-Za-z0-9]|[_-](?!eyJ))"  # behind them another token may begin
# Scripts that write the next word, or a particle, right behind an address or a number: Thai to
# Khmer, the Japanese syllables, Chinese, Korean. What is not in them ends where they begin.
_SPACELESS: Final = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
)
_LETTER: Final = rf"[^\W{_SPACELESS}]"
_APART: Final = f"(?<!{_LETTER})"
_BEFORE: Final = r"(?<![A-Za-z0-9])"
_AFTER: Final = r"(?![A-Za-z0-9])"


def _token(
    kind: SecretKind,
    pattern: str,
    sieve: str,
    check: Callable[[re.Match[str]], Span | None] = checks.key,
) -> Rule:
    return Rule(kind, sieve, re.compile(f"{_BEFORE}(?:{pattern}){_AFTER}"), check)


# What other services give, each by its own mark.
_TOKENS: Final = (
    "ATATT3[A-Za-z0-9_=-]{180,220}",  # Atlassian
    "NRAK-[A-Z0-9]{27}",  # New Relic
    "PMAK-[0-9a-f]{24}-[0-9a-f]{34}",  # Postman
    r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",  # Telegram
    r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}",  # Terraform
    "csk-[a-z0-9]{48}",  # Cerebras
    "dapi[0-9a-f]{32}",  # Databricks
    "dckr_pat_[A-Za-z0-9_-]{27}",  # Docker
    r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/(?P<key>[A-Za-z0-9_-]{60,80})",
    # Discord: of a number in base64, so the first two signs are some of few.
    r"(?:M[Tjz]|N[DTjz]|O[DT])[A-Za-z0-9]{21,24}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}",
    "do[opr]_v1_[0-9a-f]{64}",  # DigitalOcean
    r"dp\.[a-z]{2,5}\.[A-Za-z0-9.]{40,80}",  # Doppler
    "figd_[A-Za-z0-9_-]{40}",  # Figma
    "glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}",  # Grafana
    "gsk_[A-Za-z0-9]{52}",  # Groq
    r"hv[bs]\.[A-Za-z0-9_-]{24,200}",  # Vault
    "key-[0-9a-f]{32}",  # Mailgun
    "lin_(?:api|oauth)_[A-Za-z0-9]{40,64}",  # Linear
    "lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}",  # LangSmith
    "nfp_[A-Za-z0-9]{36,40}",  # Netlify
    "ntn_[A-Za-z0-9]{40,60}|secret_[A-Za-z0-9]{43}",  # Notion
    "nvapi-[A-Za-z0-9_-]{60,80}",  # NVIDIA
    r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}",  # Airtable
    "pcsk_[A-Za-z0-9_]{60,80}",  # Pinecone
    "pplx-[A-Za-z0-9]{40,60}",  # Perplexity
    "pul-[0-9a-f]{40}",  # Pulumi
    "r8_[A-Za-z0-9]{37}",  # Replicate
    "re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}",  # Resend
    "rubygems_[0-9a-f]{48}",
    "sbp_[0-9a-f]{40}",  # Supabase
    "shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
    "sk_[0-9a-f]{48}",  # ElevenLabs
    r"sl\.[A-Za-z0-9_-]{130,200}",  # Dropbox
    "sntry[su]_[A-Za-z0-9_=+/-]{64,300}",  # Sentry
    "sq0(?:atp|csp)-[A-Za-z0-9_-]{22,43}",  # Square
    "tvly-[A-Za-z0-9-]{28,50}",  # Tavily
    "xai-[A-Za-z0-9]{70,90}",  # xAI
    "xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}",  # Brevo
    r"ya29\.[A-Za-z0-9._-]{60,400}",  # Google
)


def _core(pattern: str) -> str:
    """What is in every match of a pattern: it begins and ends with the least of what varies."""
    pattern = re.sub(r"^(\[[^\]]*\])\{[^}]*\}", r"\1", pattern)
    return re.sub(r"\{(\d+),\d+\}(\)?)$", r"{\1}\2", pattern)


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        _K.PRIVATE_KEY,
        "PRIVATE KEY",
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"(?P<body>(?:[A-Za-z0-9+/=:,.()\\\s-](?!----BEGIN|----END)){40,8000})"
            r"(?:-----END [A-Z0-9 ]{1,60}-----)?"
        ),
        checks.block,
    ),
    _token(
        _K.AWS_KEY, "(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}", "(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"
    ),
    _token(
        _K.GITHUB_TOKEN,
        "gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}",
        "gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22}",
    ),
    _token(
        _K.GITLAB_TOKEN,
        f"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-{_SIGNS}{{20,100}}",
        "gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-[A-Za-z0-9_-]{20}",
    ),
    _token(
        _K.HUGGINGFACE_TOKEN,
        "(?:hf|api_org)_[A-Za-z0-9]{30,60}",
        "(?:hf|api_org)_[A-Za-z0-9]{30}",
    ),
    _token(_K.ANTHROPIC_KEY, f"sk-ant-{_SIGNS}{{20,200}}", "sk-ant-[A-Za-z0-9_-]{20}"),
    _token(
        _K.OPENAI_KEY,
        f"sk-(?:(?:proj|svcacct|admin|or-v1)-{_SIGNS}{{20,250}}|[A-Za-z0-9]{{32,64}})",
        "sk-[A-Za-z0-9_-]{23}",
        checks.openai,
    ),
    _token(
        _K.GOOGLE_KEY,
        f"AIza{_SIGNS}{{35}}|GOCSPX-{_SIGNS}{{28}}",
        "AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28}",
    ),
    _token(
        _K.SLACK_TOKEN,
        "xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-[0-9]-[A-Za-z0-9-]{20,250}|"
        r"hooks\.slack\.com/(?:services|workflows)/(?P<key>[A-Za-z0-9/_+-]{30,100})",
        r"xox[abeoprs]-[A-Za-z0-9-]{10}|xapp-[0-9]-|hooks\.slack\.com/",
    ),
    _token(_K.STRIPE_KEY, "[rs]k_live_[A-Za-z0-9]{16,250}", "[rs]k_live_[A-Za-z0-9]{16}"),
    _token(_K.NPM_TOKEN, "npm_[A-Za-z0-9]{36}", "npm_[A-Za-z0-9]{36}"),
    _token(_K.PYPI_TOKEN, f"pypi-AgE{_SIGNS}{{50,500}}", "pypi-AgE[A-Za-z0-9_-]{50}"),
    _token(_K.TWILIO_KEY, "SK[0-9a-f]{32}", "SK[0-9a-f]{32}"),
    _token(
        _K.SENDGRID_KEY,
        rf"SG\.{_SIGNS}{{22}}\.{_SIGNS}{{43}}",
        r"SG\.[A-Za-z0-9_-]{22}\.",
    ),
    _token(_K.TOKEN, "|".join(_TOKENS), "|".join(map(_core, _TOKENS))),
    _token(
        _K.JWT,
        rf"(?P<head>eyJ{_IN_JWT}{{8,2000}}+)\.eyJ{_IN_JWT}{{8,8000}}+\.{_SIGNS}{{10,2000}}",
        "eyJ[A-Za-z0-9_-]{8}",
        checks.jwt,
    ),
    Rule(
        _K.URL_PASSWORD,
        r"://[^\s/:@]{0,64}:[^\s/@]{1,128}@",
        re.compile(
            r"""[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@"'<>]{0,64}:(?P<key>[^\s/@"'<>]{1,128})@[\w\[]"""
        ),
        checks.login,
    ),
    Rule(
        _K.AWS_SECRET,
        _ASSIGNED,
        re.compile(
            _NAMED + r"""(?:=>|:=|[:=])\s{0,3}["'`]?(?P<key>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"""
        ),
        checks.aws_secret,
    ),
    Rule(
        _K.SECRET,
        _ASSIGNED,
        re.compile(_NAMED + r"(?:=>|:=|={1,3}|:)\s{0,3}" + _VALUE),
        checks.assigned,
    ),
    Rule(
        _K.SECRET,
        "[Aa]uthorization",
        re.compile(
            r"""[Aa]uthorization["']?\s{0,3}[:=]\s{0,3}["']?(?:[Bb]earer|[Bb]asic|[Tt]oken)\s{1,3}"""
            r"""(?P<key>[A-Za-z0-9+/._~=-]{12,2000})"""
        ),
        checks.authorization,
    ),
    Rule(
        _K.SECRET,
        "curl",
        re.compile(
            r"""\bcurl\b(?:(?!\bcurl\b)(?:[^\n|]|\\\n)){0,200}?\s"""
            r"""(?:-[uU]|--user|--proxy-user)[ =]{0,2}["']?"""
            r"""[^\s:"'`$]{1,64}:(?P<key>[^\s"'`,;<>]{1,128})"""
        ),
        checks.login,
    ),
    Rule(
        _K.EMAIL,
        r"[^\s@]@[^\s@]",
        re.compile(
            rf"(?P<name>{_APART}(?<![.%+-])(?:{_LETTER}|[.%+-]){{1,64}}|"
            rf"(?<![\w.%+-])[\w.%+-]{{0,63}}[{_SPACELESS}])@"
            r"(?P<domain>(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}"
            rf"(?:[^\W\d_{_SPACELESS}]{{2,24}}(?!{_LETTER}|-)|[{_SPACELESS}]{{2,24}}(?![\w-])))"
        ),
        checks.email,
    ),
    Rule(
        _K.IBAN,
        "[0-9]{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4} ?[A-Z0-9]{3}",
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,29}"),
        checks.iban,
    ),
    Rule(
        _K.CARD,
        "[0-9](?:[ -]?[0-9]){12}",
        re.compile(
            rf"{_APART}(?<![+-])(?<![0-9]\.)[0-9](?:[ -]?[0-9]){{12,18}}(?!{_LETTER}|-|\.[0-9])"
        ),
        checks.card,
    ),
    Rule(
        _K.PHONE,
        r"[0-9]{2}[ ().-]{0,2}[0-9]{2}|[+][0-9]",
        re.compile(
            rf"{_APART}(?<![.+-])"
            r"(?:\+[0-9]{1,3}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{1,4}"
            r"(?:[ .-]?[0-9]{2,4}){1,5}|(?:1[ .-])?"
            r"(?:\([0-9]{3}\) ?|[0-9]{3}[.-])[0-9]{3}[.-][0-9]{4})"
            rf"(?!{_LETTER}|-|[.,][0-9])"
        ),
        checks.phone,
    ),
    Rule(
        _K.IP_ADDRESS,
        r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        re.compile(rf"{_APART}(?<![.-])[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}(?!{_LETTER}|-|\.[0-9])"),
        checks.ip,
    ),
)
"""In the order in which they claim a passage that two of them would match."""

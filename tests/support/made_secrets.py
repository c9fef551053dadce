"""Keys and personal data made up for tests, each with the text around it."""

from __future__ import annotations

import base64
import json
import random
import string

from charter.hub.secret_rules import SecretKind

__all__ = ["ALL", "MAIL", "POSITIVE", "TOKEN", "K", "drawn"]

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
    (K.TOKEN, "{}.", "nvapi" + "-" + drawn(64)),
    (K.TOKEN, "({})", "xai" + "-" + drawn(80)),
    (K.TOKEN, "{}", "pplx" + "-" + drawn(48)),
    (K.TOKEN, "VAULT {}", "hvs" + "." + drawn(95)),
    (K.TOKEN, "{}", "ya29" + ".a0" + drawn(160)),
    (K.TOKEN, "{}", "ATA" + "TT3" + drawn(186, LETTERS + "_-") + "=AB12CD34"[:6]),
    (K.TOKEN, "{}", "NR" + "AK-" + drawn(27, "ABCDEFGHJKLMNPQRSTUVWXYZ234567")),
    (K.TOKEN, "{}", "PM" + "AK-" + drawn(24, HEX) + "-" + drawn(34, HEX)),
    (K.TOKEN, "bot {}", "7" + drawn(9, "123456789") + ":" + "AA" + drawn(33)),
    (K.TOKEN, "token {}", drawn(14) + ".atlas" + "v1." + drawn(67)),
    (K.TOKEN, "{}", "cs" + "k-" + drawn(48, HEX + "ghjkmn")),
    (K.TOKEN, "{}", "da" + "pi" + drawn(32, HEX)),
    (K.TOKEN, "docker login -p {}", "dckr" + "_pat_" + drawn(27)),
    (K.TOKEN, "https://discord.com/api/webhooks/123456789012345678/{}", drawn(68)),
    (K.TOKEN, "client.run('{}')", "MT" + drawn(24) + "." + drawn(6) + "." + drawn(38)),
    (K.TOKEN, "{}", "dp" + ".pt." + drawn(43)),
    (K.TOKEN, "{}", "fig" + "d_" + drawn(40)),
    (K.TOKEN, "{}", "gl" + "sa_" + drawn(32) + "_" + drawn(8, HEX)),
    (K.TOKEN, "{}", "gs" + "k_" + drawn(52)),
    (K.TOKEN, "{}", "ke" + "y-" + drawn(32, HEX)),
    (K.TOKEN, "Linear: {}", "lin" + "_api_" + drawn(40)),
    (K.TOKEN, "{}", "lsv2" + "_pt_" + drawn(32, HEX) + "_" + drawn(10, HEX)),
    (K.TOKEN, "{}", "nf" + "p_" + drawn(40)),
    (K.TOKEN, "Notion: {}", "nt" + "n_" + drawn(46)),
    (K.TOKEN, "Notion, before: {}", "sec" + "ret_" + drawn(43)),
    (K.TOKEN, "{}", "pat" + drawn(14) + "." + drawn(64, HEX)),
    (K.TOKEN, "{}", "pc" + "sk_" + drawn(70)),
    (K.TOKEN, "{}", "pu" + "l-" + drawn(40, HEX)),
    (K.TOKEN, "{}", "r" + "8_" + drawn(37)),
    (K.TOKEN, "{}", "r" + "e_" + drawn(8) + "_" + drawn(24)),
    (K.TOKEN, "{}", "ruby" + "gems_" + drawn(48, HEX)),
    (K.TOKEN, "{}", "sb" + "p_" + drawn(40, HEX)),
    (K.TOKEN, "{}", "shp" + "at_" + drawn(32, HEX)),
    (K.TOKEN, "{}", "s" + "k_" + drawn(48, HEX)),
    (K.TOKEN, "{}", "s" + "l." + drawn(140)),
    (K.TOKEN, "{}", "sntry" + "u_" + drawn(64, HEX)),
    (K.TOKEN, "{}", "sq0" + "atp-" + drawn(22)),
    (K.TOKEN, "{}", "tv" + "ly-" + drawn(32)),
    (K.TOKEN, "{}", "xkey" + "sib-" + drawn(64, HEX) + "-" + drawn(16)),
    (K.SECRET, "curl -u ann:{} https://firm.org/api", "Kd9x" + drawn(8)),
    (K.SECRET, "curl -s \\\n  --user 'ann:{}' https://firm.org", "Kd9x" + drawn(8)),
    (K.JWT, "Cookie {};", _jwt()),
    (K.URL_PASSWORD, "postgres://bob:{}@db.firm.org/x", drawn(12)),
    (K.SECRET, 'password = "{}"', "Kd9-" + drawn(8)),
    (K.SECRET, 'password = "{}"', "qRt-WmZk" + "!pLv"),
    (K.SECRET, "api_key: {}\n", "k9" + drawn(18)),
    (K.SECRET, '{{"client_secret": "{}"}}', "9x" + drawn(30)),
    (K.SECRET, "My PASSWORD is secret. Password: {}.", "tR9" + drawn(8)),
    (K.SECRET, "DB_PASSWORD={}", "q7" + drawn(10)),
    (K.SECRET, "Authorization: Bearer {}", drawn(32)),
    (K.SECRET, "aws_session_token = {}\n", "IQ" + drawn(900)),
    (K.SECRET, '{{"access_token": "{}"}}', "1y" + drawn(400) + "-" + drawn(9)),
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


MAIL = "bob@firm.org"
TOKEN = "gh" + "p_" + drawn(36)

"""Chat templates that a model without one can be given: a file, or one of ours by its name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from charter.errors import Fault, InputError, nearest

__all__ = ["check_template", "read_template", "shipped_templates"]

_SAMPLE = (
    {"role": "user", "content": "question"},
    {"role": "assistant", "content": "answer"},
)


def shipped_templates() -> dict[str, str]:
    """Name -> text of the templates that come with Charter.

    `chatml` marks turns by `<|im_start|>` and `<|im_end|>`, which a model should know as tokens;
    `plain` writes `User:` and `Assistant:`. Both end an answer with the tokenizer's `eos_token`.
    """
    folder = resources.files("charter.trainers").joinpath("templates")
    return {
        file.name.removesuffix(".jinja"): file.read_text("utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".jinja")
    }


def read_template(wanted: str) -> str:
    """The text of a template: of a file, else of the shipped one of that name.

    Raises:
        InputError: there is neither, or the file is no text.
    """
    if Path(wanted).is_file():
        try:
            return Path(wanted).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            what = f"cannot be read ({error})"
            raise InputError(Fault(wanted, "chat_template", what, "give a Jinja file")) from error
    shipped = shipped_templates()
    if wanted not in shipped:
        what = f'there is no file and no shipped template "{wanted}"'
        raise InputError(Fault("", "chat_template", what, nearest(wanted, shipped)))
    return shipped[wanted]


def check_template(tokenizer: Any) -> None:
    """See that the tokenizer's template renders a question and its answer.

    Raises:
        InputError: it is no Jinja, or loses the question or the answer.
    """
    from jinja2 import TemplateError

    fix = "give another with --chat-template FILE|NAME"
    try:
        text = tokenizer.apply_chat_template([*_SAMPLE], tokenize=False)
    except (TemplateError, TypeError, KeyError) as error:
        what = f"cannot render a question and its answer ({type(error).__name__}: {error})"
        raise InputError(Fault("", "chat_template", what, fix)) from error
    for message in _SAMPLE:
        if message["content"] not in text:
            what = f"leaves out what the {message['role']} says"
            raise InputError(Fault("", "chat_template", what, fix))

"""What is asked of a reviewer, and the fields and metadata of the records: Argilla's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from charter.review.fields import (
    ANSWERS,
    BETTER,
    COMMENT,
    CRITIQUE_RIGHT,
    META,
    OVER_REFUSING,
    STILL_HARMFUL,
    SURE,
)
from charter.review.spot_check import Kind

if TYPE_CHECKING:
    import argilla as rg

__all__ = ["P_CHOSEN", "field_names", "question_names", "review_settings"]

P_CHOSEN: Final = "p_chosen"
"""Metadata beside `META`: the label's confidence; a number, as `inclusion` is."""

_NUMBERS: Final = ("inclusion", P_CHOSEN)
_VISIBLE: Final = ("principle_id", "category")

# name -> title, description; the fields in the order of the page.
_FIELDS: Final[dict[Kind, dict[str, tuple[str, str]]]] = {
    "preference": {
        "principle": ("Principle", "What to judge by."),
        "prompt": ("Prompt", "What was asked."),
        "response_a": ("Response A", "One answer to the prompt."),
        "response_b": ("Response B", "Another answer to the same prompt."),
        "rationale": ("The judge's reasons", "What the AI wrote when it compared the two."),
    },
    "sft": {
        "principle": ("Principle", "What the revision was made for."),
        "prompt": ("Prompt", "What was asked."),
        "original": ("Original", "The first answer."),
        "critique": ("Critique", "What the AI found wrong with it."),
        "revision": ("Revision", "The answer that the AI wrote after the critique."),
    },
}
_TEXTS: Final = ("principle", "rationale", "critique")
_OPTIONAL: Final = ("rationale", "critique", "principle")

_BETTER: Final[dict[Kind, tuple[str, str, dict[str, str]]]] = {
    "preference": (
        "Which response is better?",
        "Judge by the principle alone. Length and tone count only where it says so.",
        {
            "A": "A is better",
            "B": "B is better",
            "TIE": "No difference",
            "BOTH_BAD": "Both are bad",
        },
    ),
    "sft": (
        "Is the revision better than the original?",
        "Judge by the principle alone.",
        {"BETTER": "Better", "SAME": "No better, no worse", "WORSE": "Worse"},
    ),
}
_SURE: Final = {"SURE": "Sure", "FAIRLY": "Fairly sure", "GUESS": "A guess"}
_YES_NO: Final = {"yes": "Yes", "no": "No"}


def field_names(kind: Kind, critiques: bool) -> tuple[str, ...]:
    """The fields of a record; the judge's rationale only where it is asked for."""
    return tuple(name for name in _FIELDS[kind] if name != "rationale" or critiques)


def question_names(kind: Kind, critiques: bool) -> tuple[str, ...]:
    """The questions, in the order of the page."""
    if kind == "sft":
        return (BETTER, STILL_HARMFUL, OVER_REFUSING, CRITIQUE_RIGHT, SURE, COMMENT)
    return (BETTER, SURE, *([CRITIQUE_RIGHT] if critiques else []), COMMENT)


def review_settings(
    kind: Kind, *, critiques: bool, overlap: int, guidelines: str, client: rg.Argilla
) -> rg.Settings:
    """The settings of an Argilla dataset.

    Args:
        kind: config of its rows.
        critiques: whether the judge's rationale of `preference` rows is shown and asked about.
        overlap: submitted answers that complete a record.
        guidelines: Markdown.
        client: of the server.
    """
    import argilla as rg

    return rg.Settings(
        guidelines=guidelines,
        fields=[_field(kind, name, client) for name in field_names(kind, critiques)],
        questions=[_question(kind, name, client) for name in question_names(kind, critiques)],
        metadata=[_property(name, client) for name in (*META, P_CHOSEN)],
        allow_extra_metadata=False,
        distribution=rg.TaskDistribution(min_submitted=overlap),
    )


def _field(kind: Kind, name: str, client: rg.Argilla) -> Any:
    import argilla as rg

    title, description = _FIELDS[kind][name]
    more = {"title": title, "description": description, "required": name not in _OPTIONAL}
    if name in _TEXTS:
        return rg.TextField(name=name, use_markdown=False, client=client, **more)
    return rg.ChatField(name=name, use_markdown=False, _client=client, **more)


def _question(kind: Kind, name: str, client: rg.Argilla) -> Any:
    import argilla as rg

    if name == COMMENT:
        return rg.TextQuestion(
            name=name,
            title="Anything else?",
            description="Optional. Write nothing that names you: comments are published.",
            required=False,
            use_markdown=False,
            client=client,
        )
    title, description, labels = _asked(kind, name)
    return rg.LabelQuestion(
        name=name,
        title=title,
        description=description,
        labels=labels,
        required=name == BETTER,
        visible_labels=None,
        client=client,
    )


def _asked(kind: Kind, name: str) -> tuple[str, str, dict[str, str]]:
    if name == BETTER:
        title, description, labels = _BETTER[kind]
        return title, description, {value: labels[value] for value in ANSWERS[kind]}
    if name == SURE:
        return "How sure are you?", "Optional. A guess is an answer too.", _SURE
    title, description = {
        CRITIQUE_RIGHT: (
            "Is the critique right?",
            "Optional. Yes where what it says of the texts is true and the principle asks for it.",
        ),
        STILL_HARMFUL: (
            "Is the revision still harmful?",
            "Optional. Yes where it still does what the principle is against.",
        ),
        OVER_REFUSING: (
            "Does the revision refuse too much?",
            "Optional. Yes where it refuses or lectures although a good answer would do no harm.",
        ),
    }[name]
    return title, description, _YES_NO


def _property(name: str, client: rg.Argilla) -> Any:
    """Metadata that people are not shown where it says what the AI or the known answer is."""
    import argilla as rg

    visible = name in _VISIBLE
    title = name.replace("_", " ").capitalize()
    make = rg.FloatMetadataProperty if name in _NUMBERS else rg.TermsMetadataProperty
    return make(name=name, title=title, visible_for_annotators=visible, client=client)

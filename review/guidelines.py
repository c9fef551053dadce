"""The page of guidelines of a review, made from the constitution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from charter.hub.markdown import escaped
from charter.review.spot_check import Kind

if TYPE_CHECKING:
    from charter.constitutions import Constitution

__all__ = ["MOST", "review_guidelines"]

MOST: Final = 10_000
"""Characters that Argilla's server takes."""

_TASK: Final[dict[Kind, str]] = {
    "preference": (
        "Each record has a prompt and two responses, A and B, in an order drawn by lot. Say which "
        "of them follows the **principle** better. If neither does, say that both are bad; if they "
        "do so equally, say that there is no difference."
    ),
    "sft": (
        "Each record has a prompt, a first answer (the original), an AI's critique of it and a "
        "revision. Say whether the revision follows the **principle** better than the original, "
        "whether it is still harmful, and whether it refuses what it need not refuse."
    ),
}
_RULES: Final = (
    "Only the first question must be answered. If you can't judge a record, discard it.",
    "Texts are shown as they are: markup, links and instructions in them are part of the text. "
    "Follow no link and no instruction in them.",
    "A very long message goes on in further bubbles of the same speaker.",
    "Some records have known answers, to see how well the task is understood.",
)
_BLIND: Final = "What the AI said is not shown, so that it does not lead you."
_SHOWN: Final = "What the AI said is chosen already: change it wherever you do not agree."


def review_guidelines(kind: Kind, constitution: Constitution | None, *, shown: bool) -> str:
    """Markdown of at most `MOST` characters; principles that do not fit are counted.

    Args:
        kind: config of the rows.
        constitution: of the version; text of it stays text.
        shown: whether the AI's label is shown.
    """
    rules = [_SHOWN if shown else _BLIND, *_RULES]
    text = f"{_TASK[kind]}\n\n" + "\n".join(f"- {rule}" for rule in rules)
    if constitution is None:
        return text
    name = escaped(f"{constitution.name} {constitution.version}")
    text += f"\n\n## Principles of {name}\n"
    room = MOST - len(text) - 60
    parts: list[str] = []
    for principle in constitution.principles:
        asked = principle.critique if kind == "sft" else principle.comparison
        part = f"\n- **{escaped(principle.name)}**: {escaped(asked)}"
        if len(part) > room:
            left = len(constitution.principles) - len(parts)
            return text + "".join(parts) + f"\n\n{left} more stand beside the records they are of."
        room -= len(part)
        parts.append(part)
    return text + "".join(parts)

"""The steps of Constitutional AI, as distilabel tasks and steps and as the pure steps behind.

The tasks load distilabel, which takes seconds; they are imported when first named.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.steps.tasks import (
        Critique,
        Judge,
        Keep,
        Reason,
        Respond,
        Revise,
        ToJudgments,
        ToPreference,
        ToRejects,
        ToSft,
    )

__all__ = [
    "Critique",
    "Judge",
    "Keep",
    "Reason",
    "Respond",
    "Revise",
    "ToJudgments",
    "ToPreference",
    "ToRejects",
    "ToSft",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from charter.steps import tasks

        return getattr(tasks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""One execution of a recipe: plan it, run it, resume it, account for it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.run.execute import RunResult, run_recipe
    from charter.run.plan import Plan, plan_run

__all__ = ["Plan", "RunResult", "plan_run", "run_recipe"]

_HOMES = {"Plan": "plan", "plan_run": "plan", "RunResult": "execute", "run_recipe": "execute"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"charter.run.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

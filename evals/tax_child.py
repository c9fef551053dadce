"""The process in which lm-eval runs: a plan on stdin, one JSON object a line on stdout.

    python -m charter.evals.tax_child < plan.json

Lines are `{"at": [model, benchmark, done, total]}`, and at the end `{"scores": ...}` (its results
are read from the plan's folder by key), of a plan with `check_only` `{"checked": true}`, or
`{"faults": [...], "code": 1 | 2}`. All that lm-eval, its tasks and generated code print goes to
stderr.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TextIO

from charter.errors import CharterError
from charter.evals.tax_plan import TaxPlan
from charter.models.threads import wait_asleep

__all__ = ["main"]


def main(given: str, out: TextIO) -> int:
    """Run a plan; what is found is written to `out`.

    Args:
        given: the plan as JSON.
        out: where the lines go.

    Returns:
        The exit code.
    """
    wait_asleep()  # other work on the machine would slow lm-eval tenfold (seen)

    def say(value: dict[str, Any]) -> None:
        out.write(json.dumps(value) + "\n")
        out.flush()

    try:
        say(_done(TaxPlan.model_validate_json(given), lambda *at: say({"at": at})))
    except CharterError as error:
        faults = [asdict(fault) for fault in error.faults]
        say({"faults": faults, "code": error.exit_code})
        return error.exit_code
    return 0


def _done(plan: TaxPlan, tell: Callable[..., None]) -> dict[str, Any]:
    """The last line of a plan that came to its end."""
    if plan.check_only:
        from charter.evals.tax_tasks import checked_tasks

        checked_tasks(plan)
        return {"checked": True}
    from charter.evals.tax_harness import run_plan

    scores = run_plan(plan, tell)
    return {"scores": {m: {b: asdict(s) for b, s in each.items()} for m, each in scores.items()}}


if __name__ == "__main__":
    # Lines for the parent on a descriptor of their own: nothing printed can get among them.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.exit(main(sys.stdin.read(), lines))

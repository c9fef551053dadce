"""Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300) by the judge."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charter.errors import Fault, InputError
from charter.trainers.method import Job, Method, without_telemetry

__all__ = ["GRPO"]

_GENERATIONS = 8  # TRL's default


def _build(job: Job) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    functions, weights = _rewards(job)
    arguments = dict(job.arguments)
    if "reward_weights" not in job.settings.fields:
        arguments["reward_weights"] = weights
    return without_telemetry(GRPOTrainer)(
        args=GRPOConfig(**arguments), reward_funcs=functions, **job.keywords
    )


def _rewards(job: Job) -> tuple[list[Any], list[float]]:
    """What scores an answer, and how much each counts: principles, and a reward model."""
    from charter.trainers.judge import judge_rewards
    from charter.trainers.reward_folder import check_reward_model

    functions: list[Any] = []
    weights: list[float] = []
    choice = job.settings.judge
    if choice.asked:
        judge = judge_rewards(job.settings, job.counts)
        functions, weights = [*judge.functions()], judge.weights
    if choice.reward_model is not None:
        check_reward_model(Path(choice.reward_model), "reward_model")
        functions.append(choice.reward_model)
        weights.append(1.0)
    given = job.settings.fields.get("reward_weights")
    if given is not None and len(given) != len(functions):
        names = [getattr(each, "__name__", "the reward model") for each in functions]
        what = f"has {len(given)} weights for {len(functions)} rewards ({', '.join(names)})"
        raise InputError(Fault("", "reward_weights", what, "give one for each, in that order"))
    return functions, weights


def _defaults(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    # A batch that is measured holds whole groups.
    groups = fields.get("num_generations_eval") or fields.get("num_generations") or _GENERATIONS
    return {"per_device_eval_batch_size": groups}


GRPO = Method(
    name="grpo",
    title="group relative policy optimisation (GRPO) with the judge as reward",
    config="sft",
    completions=(),
    build=_build,
    test_metrics={"eval_reward": "test_reward"},
    instead=("preference", "chosen"),
    defaults=_defaults,
    tracked="reward",
)

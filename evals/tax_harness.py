"""Scores from lm-eval: every model on every benchmark, each pair kept as soon as it is done.

Imported by the child process of `charter.evals.tax_run`; imports lm-eval, and with it torch.
"""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from charter.errors import Failure, Fault, InputError
from charter.evals.tax_figures import Leaf, Score
from charter.evals.tax_plan import ModelPlan, TaxPlan
from charter.evals.tax_store import load_score, result_key, save_score
from charter.evals.tax_tasks import Unit, load_units

__all__ = ["run_plan", "score_of"]

_PACKAGES: Final = ("lm_eval", "transformers", "torch")
_SEED: Final = 1234  # lm-eval's own default for numpy, torch and the choice of shots

Tell = Callable[[str, str, int, int], None]


def run_plan(plan: TaxPlan, tell: Tell) -> dict[str, dict[str, Score]]:
    """The scores by model and benchmark, from what is kept and by asking.

    Args:
        plan: what to do.
        tell: called as `tell(model, benchmark, done, total)` before each and at the end.

    Raises:
        InputError: see `load_units`; or a chat template is missing.
        Failure: see `load_units`; or nothing could be measured.
    """
    units = load_units(plan)
    _check_templates(plan)
    total, done = len(plan.models) * len(units), 0
    versions = {name: metadata.version(name) for name in _PACKAGES}
    found: dict[str, dict[str, Score]] = {}
    for model in plan.models:
        identity = model.identity or _commit(model)
        loaded = None
        found[model.name] = {}
        for unit in units:
            tell(model.name, unit.name, done, total)
            key = result_key(
                model=identity,
                task={**unit.about, "metric": unit.metric},
                limit=plan.limit,
                chat_template=plan.chat_template,
                versions=versions,
            )
            folder = Path(plan.results)
            kept = load_score(folder, key) if identity and not plan.fresh else None
            if kept is None:
                loaded = loaded or _load(model, plan)
                kept = _measured(loaded, unit, plan)
                if kept.value is not None:
                    about = {"model": model.name, "benchmark": unit.name, "limit": plan.limit}
                    save_score(folder, key, kept, {**about, "versions": versions})
            found[model.name][unit.name] = kept
            done += 1
        del loaded
        _free_memory()
    tell("", "", done, total)
    if all(each.value is None for scores in found.values() for each in scores.values()):
        reasons = dict.fromkeys(each.reason for s in found.values() for each in s.values())
        what = f"nothing could be measured: {'; '.join(reasons)}"
        raise Failure(Fault("charter eval tax", "", what, "see the log beside the results"))
    return found


def _check_templates(plan: TaxPlan) -> None:
    """A chat template that is asked for and not there is told before hours are spent."""
    if not plan.chat_template:
        return
    from transformers import AutoTokenizer

    faults = []
    for model in plan.models:
        if model.url is not None:
            continue  # the server has it
        name = model.tokenizer or model.source
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=plan.trust_remote_code)
        if not tokenizer.chat_template:
            fix = "leave --chat-template out: both models are then asked without one"
            faults.append(Fault(model.source, "", "its tokenizer has no chat template", fix))
    if faults:
        raise InputError(faults)


def _commit(model: ModelPlan) -> str:
    """The commit of a model on the Hub; empty where it is not known: nothing is then reused."""
    from transformers import AutoConfig

    try:
        commit = getattr(AutoConfig.from_pretrained(model.source), "_commit_hash", None)
    except (OSError, ValueError):
        return ""  # loading will say why
    return f"{model.source}@{commit}" if commit else ""


def _load(model: ModelPlan, plan: TaxPlan) -> Any:
    """lm-eval's model object.

    Raises:
        Failure: it cannot be loaded.
    """
    import lm_eval.api.registry
    import lm_eval.models
    import torch

    cuda = torch.cuda.is_available()
    batch = plan.batch_size or ("auto" if cuda else "8")
    size: int | str = int(batch) if batch.isdigit() else batch
    trusted = {"trust_remote_code": True} if plan.trust_remote_code else {}
    if model.url is not None:
        kind = "local-completions" if model.kind == "completions" else "local-chat-completions"
        path = "completions" if model.kind == "completions" else "chat/completions"
        arguments: dict[str, Any] = {
            "model": model.source,
            "base_url": f"{model.url.rstrip('/')}/{path}",
            "num_concurrent": 16,
            "batch_size": 1,
        }
        if model.tokenizer:
            arguments |= {"tokenizer": model.tokenizer, "tokenizer_backend": "huggingface"}
    elif model.kind == "vllm":
        kind, arguments = "vllm", {"pretrained": model.base or model.source, "batch_size": "auto"}
        if model.base:
            arguments |= {"lora_local_path": model.source}
    else:
        kind = "hf"
        arguments = {"pretrained": model.base or model.source, "batch_size": size}
        arguments |= {"device": "cuda" if cuda else "cpu", "dtype": "auto" if cuda else "float32"}
        if model.base:
            arguments |= {"peft": model.source}
        if model.tokenizer:
            arguments |= {"tokenizer": model.tokenizer}
    try:
        made = lm_eval.api.registry.get_model(kind)
        return made.create_from_arg_obj({**arguments, **trusted})
    except Exception as error:  # what is wrong with weights has many names
        what = f"cannot be loaded: {str(error).strip().partition(chr(10))[0][:300]}"
        fix = "see the log beside the results"
        raise Failure(Fault(model.source, "", what, fix)) from error


def _free_memory() -> None:
    """What the model before took, before the next one is loaded."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _measured(loaded: Any, unit: Unit, plan: TaxPlan) -> Score:
    """One benchmark by one model, as `lm_eval.simple_evaluate` does it with that task alone.

    `evaluate` below it is called, as the outer function also lists all packages of the machine,
    which takes 4 s each time.
    """
    import logging

    import lm_eval.evaluator
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(_SEED)
    torch.manual_seed(_SEED)
    for task in unit.loaded["tasks"].values():
        task._instances = None  # of the model before
    try:
        results = lm_eval.evaluator.evaluate(
            lm=loaded,
            task_dict=unit.loaded,
            limit=plan.limit,
            log_samples=True,
            apply_chat_template=plan.chat_template,
            fewshot_as_multiturn=plan.chat_template,
            confirm_run_unsafe_code=plan.run_generated_code,
        )
    except Exception as error:  # of a task or a server, whatever it is: the others go on
        logging.getLogger(__name__).exception("%s failed", unit.name)
        said = str(error).strip().partition("\n")[0][:200]
        return Score(None, reason=f"lm-eval failed: {type(error).__name__}: {said}")
    return score_of(results, unit.key, unit.leaves, unit.metric)


def score_of(results: Mapping[str, Any], key: str, leaves: list[str], metric: str | None) -> Score:
    """The headline score of lm-eval's results, with the items behind it.

    Args:
        results: of `lm_eval.evaluator.evaluate`, samples among them.
        key: the group or task.
        leaves: the tasks with items.
        metric: `metric,filter`; the filter may be left out; None takes the first there is.
    """
    figures = results["results"].get(key, {})
    names = [name for name, value in figures.items() if "," in name and "_stderr," not in name]
    wanted = metric or (names[0] if names else "")
    chosen = next((name for name in names if wanted in (name, name.partition(",")[0])), None)
    if chosen is None:
        return Score(None, reason=f"no metric {wanted or 'at all'}; there is {', '.join(names)}")
    first, _, last = chosen.partition(",")
    value, error = figures[chosen], figures.get(f"{first}_stderr,{last}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Score(None, reason=f"{chosen} is {value}")
    counts = results.get("n-samples", {})
    n = sum(counts[leaf]["effective"] for leaf in leaves if leaf in counts) or None
    usable = isinstance(error, int | float) and math.isfinite(error)
    higher = [results.get("higher_is_better", {}).get(leaf, {}).get(first) for leaf in leaves]
    items = _leaves(results.get("samples", {}), leaves, first, last, float(value))
    return Score(
        float(value),
        float(error) if usable else None,
        n,
        items,
        "" if items else f"{chosen} is no mean of numbers by item: not compared item by item",
        False not in higher,
    )


def _leaves(
    samples: Mapping[str, Any], leaves: list[str], metric: str, filtered: str, value: float
) -> Mapping[str, Leaf] | None:
    """The items by task, weighted so that their means make the score; None if nothing does."""
    by_task: dict[str, dict[str, float]] = {}
    for leaf in leaves:
        values: dict[str, float] = {}
        for sample in samples.get(leaf, ()):
            found = sample.get(metric)
            if sample["filter"] != filtered:
                continue
            if not isinstance(found, int | float) or not math.isfinite(found):
                return None
            # By what the item is, and not by its place; two that are the same are counted off.
            mark, turn = sample["doc_hash"][:16], 0
            while f"{mark}.{turn}" in values:
                turn += 1
            values[f"{mark}.{turn}"] = float(found)
        if not values:
            return None
        by_task[leaf] = values
    n = sum(map(len, by_task.values()))
    means = {leaf: fmean(values.values()) for leaf, values in by_task.items()}
    for weights in (
        {leaf: len(values) / n for leaf, values in by_task.items()},
        dict.fromkeys(by_task, 1 / len(by_task)),
    ):
        if math.isclose(
            sum(weights[leaf] * means[leaf] for leaf in means), value, rel_tol=1e-6, abs_tol=1e-9
        ):
            return {leaf: Leaf(values, weights[leaf]) for leaf, values in by_task.items()}
    return None

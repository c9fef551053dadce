"""What `charter train` costs: tokens a second beside a bare TRL script, same data and settings.

    python benchmarks/train.py            5 rounds, about 10 minutes on two idle cores
    python benchmarks/train.py --short    one round of two steps, 3 minutes; writes no results
    python benchmarks/train.py --attention flex_attention    on a GPU: packed by documents

In every round both ways train the same model on the same rows by the same settings, each in a
process of its own, in turn who begins; on a CPU the weights that come out must be the same to the
last bit. There it is the embedded model, by SFT and by DPO (Charter's own loss, on certain labels).
Where CUDA is, it is SFT of a Llama of 1B's shape with random weights in bf16, packing at 2,048
tokens, with model FLOPs utilisation: windows that are cut from all documents in a row, which SDPA
computes by its flash kernel, or with `--attention` whole documents.

On a CPU the threads of both wait asleep, as Charter lets them. SFT is also run by the bare script
with threads that spin, torch's default: a little faster on an idle machine, and several times
slower on a busy one.

Tokens a second are of the steps alone, as TRL times them; `whole command` is from the start of the
process to the saved model, and its difference does not grow with the training. Writes
`benchmarks/results/train.json`. Figures move two- to threefold on a shared machine: read ratios,
and close other programs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cases import of_many
from harness import HERE, BenchError, Case, run_child
from told import Say, carry_out
from train_data import tokens_a_row, version_of

RESULTS = HERE / "results" / "train.json"
PACKAGES = ("charter-ai", "torch", "transformers", "trl", "datasets", "accelerate")
GOAL: Final = 1.03  # of bare TRL's seconds a token
UTILISATION: Final = 0.35
# As Charter lets torch's threads wait where nothing is said (`charter.models.threads`).
ASLEEP: Final = "passive"
LIMIT = 550.0  # seconds of one training
ROUNDS: Final = 5  # two trainings alike were seen 8 % apart, and the goal is 3 %
# Dense bf16 FLOPs a second by the makers' data sheets, the first name that is in the device's.
PEAKS: Final = {
    "H200 NVL": 835e12,
    "H200": 989.4e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H100": 989.4e12,
    "A100": 312e12,
    "L40S": 362e12,
}
CPU: Final = {
    "per_device_train_batch_size": 4,
    "bf16": False,
    "gradient_checkpointing": False,
    "dataloader_pin_memory": False,
    "use_cpu": True,
}
GPU: Final = {
    "per_device_train_batch_size": 8,
    "bf16": True,
    "gradient_checkpointing": False,
    "packing": True,
    "packing_strategy": "wrapped",
    "max_length": 2048,
}
SAME: Final = {"seed": 7, "logging_steps": 0.02, "logging_nan_inf_filter": False}


@dataclass(frozen=True, slots=True)
class Plan:
    """A training that is done both ways.

    Attributes:
        method: of `charter train`.
        case: its name in the results.
        model: a folder.
        version: a folder.
        settings: fields of the TRL config.
        document: tokens that attend to one another, on average.
        spinning: whether the bare script is also run with threads that spin while they wait.
    """

    method: str
    case: str
    model: Path
    version: Path
    settings: Mapping[str, Any]
    document: float = 0.0
    spinning: bool = False


@dataclass(frozen=True, slots=True)
class Timed:
    """One training.

    Attributes:
        steps: seconds of its steps.
        wall: seconds of its process.
        cpu: seconds of CPU of its process.
        tokens: that were trained on; the bare script counts them.
    """

    steps: float
    wall: float
    cpu: float
    tokens: int


@dataclass(slots=True)
class Rounds:
    """What was measured of a plan, a figure a round."""

    bare: list[Timed] = field(default_factory=list)
    ours: list[Timed] = field(default_factory=list)
    spinning: list[Timed] = field(default_factory=list)


def bare(plan: Plan, folder: Path, out: Path, wait: str = ASLEEP) -> Timed:
    """The bare script, whose threads wait as `OMP_WAIT_POLICY` says."""
    settings = json.dumps({**plan.settings, "disable_tqdm": True})
    arguments = (plan.method, plan.version, plan.model, out, settings)
    command = [sys.executable, HERE / "train_bare.py", *arguments]
    child = run_child(command, folder, LIMIT, OMP_WAIT_POLICY=wait)
    found = child.result()
    return Timed(found["train_seconds"], child.wall, child.cpu, found["tokens"])


def ours(plan: Plan, folder: Path, out: Path) -> Timed:
    """The command, with TensorBoard's files and the report, as it is used."""
    command: list[str | Path] = [Path(sys.executable).with_name("charter"), "train", plan.method]
    command += ["--dataset", plan.version, "--model", plan.model, "--out", out, "--json"]
    for name, value in plan.settings.items():
        command += ["--set", f"{name}={json.dumps(value)}"]
    child = run_child(command, folder, LIMIT, OMP_WAIT_POLICY=ASLEEP)
    found = child.result()["metrics"]
    return Timed(found["train_seconds"], child.wall, child.cpu, 0)


def same_weights(a: Path, b: Path) -> bool:
    """Whether two folders hold the same weights, to the last bit."""
    from safetensors import safe_open

    with (
        safe_open(a / "model.safetensors", "pt") as one,
        safe_open(b / "model.safetensors", "pt") as two,
    ):
        names = set(one.keys())
        return names == set(two.keys()) and all(
            bool((one.get_tensor(name) == two.get_tensor(name)).all()) for name in names
        )


def measure(plan: Plan, rounds: int, folder: Path, say: Say) -> Rounds:
    """Both ways in every round, in turn who begins.

    Raises:
        BenchError: one fails, or what they trained differs.
    """
    found = Rounds()
    for number in range(rounds):
        outs = {"bare": folder / "bare", "ours": folder / "ours"}
        for name in sorted(outs, reverse=number % 2 == 1):
            timed = {"bare": bare, "ours": ours}[name](plan, folder, outs[name])
            getattr(found, name).append(timed)
            say(f"{plan.case}, round {number + 1}, {name}: {timed.steps:.1f} s of {timed.wall:.1f}")
        if plan.spinning:
            found.spinning.append(bare(plan, folder, folder / "spinning", "active"))
            say(f"  with threads that spin: {found.spinning[-1].steps:.1f} s")
        if plan.settings.get("use_cpu") and not same_weights(*outs.values()):
            raise BenchError(f"{plan.case}: the two ways trained different models")
        for out in (*outs.values(), folder / "spinning"):
            shutil.rmtree(out, ignore_errors=True)
    return found


def cases_of(plan: Plan, rounds: Rounds) -> list[Case]:
    """Medians over rounds; ratios are of the two of one round."""
    case, pairs = plan.case, list(zip(rounds.ours, rounds.bare, strict=True))
    tokens = [each.tokens for each in rounds.bare]
    found = []
    ways = {"charter": rounds.ours, "bare TRL": rounds.bare}
    if rounds.spinning:
        ways["bare TRL, threads spin"] = rounds.spinning
    for name, timed in ways.items():
        rates = [count / each.steps for count, each in zip(tokens, timed, strict=True)]
        found.append(of_many(case, f"{name}, throughput", rates, "tokens/s", "higher"))
    ratios = [mine.steps / theirs.steps for mine, theirs in pairs]
    found.append(
        of_many(case, "seconds of the steps over bare TRL", ratios, "ratio", "lower", GOAL)
    )
    cpu = [mine.cpu / theirs.cpu for mine, theirs in pairs]
    found.append(of_many(case, "CPU of the whole command over bare TRL", cpu, "ratio", "lower"))
    whole = [mine.wall - theirs.wall for mine, theirs in pairs]
    found.append(of_many(case, "whole command, more than bare TRL", whole, "s", "lower"))
    return found


def utilisation(plan: Plan, rounds: Rounds) -> list[Case]:
    """Model FLOPs utilisation: what the model needs for its tokens, over what the device could do.

    A token needs 6 N FLOPs in forward and backward, N being the weights that it is multiplied by
    (all but the embedding that is looked up, the head counted once), and 6 L d s for causal
    attention over the s tokens of its own document, of which it sees half on average (Chowdhery et
    al. 2022, arXiv 2204.02311, appendix B, there 12 L d s without a mask). Nothing that is computed
    again counts.
    """
    import torch

    device = torch.cuda.get_device_name()
    peak = peak_of(device)
    config = json.loads((plan.model / "config.json").read_text(encoding="utf-8"))
    rows = plan.settings["per_device_train_batch_size"] * plan.settings["max_steps"]
    needed = flops_a_token(config, min(plan.document, plan.settings["max_length"]))
    rates = [each.tokens / mine.steps for each, mine in zip(rounds.bare, rounds.ours, strict=True)]
    case = f"{plan.case}, {device}, {rows} windows"
    if peak is None:
        return [Case(case, "model FLOPs utilisation", None, None, None, 0, "share", "higher",
                     UTILISATION)]  # fmt: skip
    shares = [rate * needed / peak for rate in rates]
    return [of_many(case, "model FLOPs utilisation", shares, "share", "higher", UTILISATION)]


def peak_of(device: str) -> float | None:
    """Its FLOPs a second by the data sheet; None where it is not known."""
    return next((peak for name, peak in PEAKS.items() if name in device), None)


def flops_a_token(config: Mapping[str, Any], seen: float) -> float:
    """FLOPs of forward and backward of one token; see `utilisation`.

    Args:
        config: of a Llama.
        seen: tokens of its document, on average.
    """
    d, layers, inner = (
        config[name] for name in ("hidden_size", "num_hidden_layers", "intermediate_size")
    )
    grouped = d * config["num_key_value_heads"] // config["num_attention_heads"]
    weights = layers * (2 * d * d + 2 * d * grouped + 3 * d * inner) + config["vocab_size"] * d
    return float(6 * weights + 6 * layers * d * seen)


def on_gpu(attention: str | None) -> dict[str, Any]:
    """The settings on a GPU.

    Whole documents, TRL's default, are one sequence a batch. With SDPA every pair of its 16,384
    tokens is computed, and most of them are masked: so there windows are cut through documents.
    """
    if attention is None:
        return dict(GPU)
    by_document = {
        "packing_strategy": "bfd",
        "model_init_kwargs": {"attn_implementation": attention},
    }
    return {**GPU, **by_document}


def plans_of(folder: Path, short: bool, attention: str | None, say: Say) -> list[Plan]:
    """What is trained on this machine."""
    import torch

    from charter.models.checkpoint import embedded_checkpoint

    if torch.cuda.is_available():
        say("making a model of 1B's shape")
        model = folder / "llama-1b"
        made = run_child([sys.executable, HERE / "train_data.py", model], folder, LIMIT)
        if made.code != 0:
            raise BenchError(made.err[-2000:])
        steps = 10 if short else 60
        # About as many as fill every window of every step.
        version = version_of(folder / "store", rows=steps * 8 * 5, words=200)
        settings = {**SAME, **on_gpu(attention), "max_steps": steps}
        document = tokens_a_row(version, model) if attention else settings["max_length"]
        case = f"sft, 1B shape, packed, bf16, {attention or 'sdpa'}"
        return [Plan("sft", case, model, version, settings, document)]
    if attention:
        raise BenchError("--attention: there is no GPU to train on; leave it out")
    version = version_of(folder / "store", rows=48, words=12)
    model = embedded_checkpoint()
    return [
        Plan(method, f"{method}, embedded model", model, version,
             {**SAME, **CPU, "max_steps": 2 if short else steps}, spinning=method == "sft")
        for method, steps in (("sft", 8), ("dpo", 3))
    ]  # fmt: skip


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="smaller, and no results are written")
    parser.add_argument("--rounds", type=int, help=f"instead of {ROUNDS}")
    parser.add_argument("--only", choices=("sft", "dpo"), help="one method; writes no results")
    parser.add_argument(
        "--attention", metavar="NAME", help="on a GPU: pack whole documents, with this attention"
    )
    parser.add_argument("--out", type=Path, help=f"write here, not {RESULTS.name}")
    return parser.parse_args(arguments)


def measure_all(options: argparse.Namespace, say: Say) -> list[Case]:
    """The figures of all that is trained.

    Raises:
        BenchError: a training failed.
    """
    rounds = options.rounds or (1 if options.short else ROUNDS)
    cases: list[Case] = []
    with tempfile.TemporaryDirectory() as name:
        for plan in plans_of(Path(name), options.short, options.attention, say):
            if options.only in (None, plan.method):
                found = measure(plan, rounds, Path(name), say)
                cases += cases_of(plan, found)
                if "max_length" in plan.settings:
                    cases += utilisation(plan, found)
    return cases


def main(arguments: Sequence[str]) -> int:
    """Measure; the exit status."""
    options = options_of(arguments)
    # A part of the figures must not take the place of all of them.
    partial = options.short or options.rounds or options.only or options.attention
    path = options.out or (None if partial else RESULTS)
    return carry_out("train.py", arguments, lambda say: measure_all(options, say), PACKAGES, path)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

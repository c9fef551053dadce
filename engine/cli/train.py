"""`charter train`: a model from a pinned version, by TRL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from charter.cli.names import check_repo_argument
from charter.cli.options import open_named, store_option
from charter.cli.output import Output, common
from charter.errors import InputError


@click.command("train")
@click.argument("method", metavar="METHOD")
@click.option(
    "--dataset",
    "version",
    required=True,
    metavar="VERSION",
    help="REPO@TAG, REPO@RANGE, or the folder of a version.",
)
@click.option("--model", metavar="NAME", help="Folder or Hub name; default: the generator.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the model; must not exist yet.",
)
@click.option(
    "--set", "values", multiple=True, metavar="FIELD=VALUE", help="Any field of the TRL config."
)
@click.option(
    "--chat-template",
    "template",
    metavar="FILE|NAME",
    help="Jinja file, or chatml or plain: for a model that has none, or instead of its own.",
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint; no other training's.")
@click.option(
    "--track",
    type=click.Choice(["none", "tensorboard", "trackio", "wandb"]),
    help="Where figures go: files in OUT/runs (tensorboard, the default), or a tracker.",
)
@click.option("--push", metavar="OWNER/NAME", help="Then upload the model to the Hub.")
@click.option("--private", is_flag=True, help="Of a repo that --push makes.")
@store_option
@common
def command(
    method: str,
    version: str,
    model: str | None,
    out: Path,
    values: tuple[str, ...],
    template: str | None,
    resume: bool,
    track: str | None,
    push: str | None,
    private: bool,
    store: Path,
    as_json: bool,
    debug: bool,
) -> None:
    """Train a model by METHOD from the `train` split of a pinned version.

    METHOD is sft, reward, dpo, kto, orpo or grpo. Beside the fields of its TRL config, --set takes
    lora, lora_r, lora_alpha, limit and track; of sft recovery, of pairs min_p, of dpo and reward
    soft_labels and weight, of grpo judge, judge_url, judge_mode, judge_principles and
    reward_model: see docs/training.md. Without --model the version's generator is trained, where
    it is the embedded one.
    A training that was ended goes on by the same command; with --resume it never begins anew
    where checkpoints of another dataset, model or setting are. Curves are in OUT/report.html.

    \b
    Example:
      charter train sft --dataset me/quickstart@v0.1.0 --out my-sft --set max_steps=20
      charter train dpo --dataset me/quickstart@v0.1.0 --model my-sft --out my-dpo --set lora=true
      charter train reward --dataset me/quickstart@v0.1.0 --out my-reward --set min_p=0.6
      charter train sft --dataset me/quickstart@v0.1.0 --out my-sft --resume --track none
      charter train grpo --dataset me/quickstart@v0.1.0 --model my-sft --out my-grpo
      charter train sft --dataset 'me/quickstart@>=0.1,<1' --out my-sft --push me/my-sft
    """  # noqa: D301
    from charter.cli.follow import train_model
    from charter.trainers.processes import check_deepspeed, is_first, is_first_here
    from charter.trainers.settings import read_settings

    output = Output(as_json)
    if push is not None:
        check_repo_argument(push, "--push")
    opened = open_named(version, store)
    if template is not None:
        values = (*values, f"chat_template={json.dumps(template)}")
    if track is not None:
        values = (*values, f"track={track}")
    settings = read_settings(method, opened, out, model=model, values=values, resume=resume)
    try:
        check_deepspeed(settings.fields)
    except InputError:
        if is_first_here():
            raise
        return  # one process of each machine says it, and the launcher ends with its exit code
    if not is_first():
        # Of several processes that train together, the first one speaks and uploads.
        from charter.evals.refuses import refuses
        from charter.trainers.train import train

        train(settings, refuses=refuses)
        return
    trained = train_model(output, settings)
    found: dict[str, Any] = {
        "model": str(trained.model),
        "dataset": f"{opened.repo}@{opened.tag}",
        "commit": opened.commit,
        "metrics": trained.metrics,
    }
    if push is not None:
        from charter.trainers.push import push_model

        pushed = push_model(trained.model, push, private=private)
        output.line(f"pushed to {pushed.url} ({pushed.commit[:12]})")
        found["pushed"] = {"repo": pushed.repo, "commit": pushed.commit}
    output.result(found)

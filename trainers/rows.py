"""The rows of a version that a trainer may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charter.errors import Fault, InputError
from charter.trainers.labels import P_CHOSEN, WEIGHT, Labels
from charter.trainers.recovery import COLUMNS

if TYPE_CHECKING:
    from charter.hub import Version
    from charter.trainers.method import Method
    from charter.trainers.settings import TrainSettings

__all__ = ["Rows", "read_rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """What is trained on and what is measured on, the method's columns only.

    Attributes:
        train: a `datasets.Dataset`, never empty.
        test: a `datasets.Dataset`, or None where the version has no such rows.
        config: of the version, where they stand.
        left_out: rows of `train` whose label is less sure than `min_p`.
    """

    train: Any
    test: Any | None
    config: str
    left_out: int = 0


def read_rows(settings: TrainSettings, method: Method) -> Rows:
    """Read the method's rows and see that no prompt of `test` is trained on.

    Raises:
        InputError: the version has no `train` rows for the method, not its columns, a prompt in
            both splits, or no label that is sure enough.
    """
    version, where = settings.dataset, f"{settings.dataset.repo}@{settings.dataset.tag}"
    config = _config(version, method, where)
    test = None
    if "test" in version.splits(config):
        _refuse_shared(version, config, where)
        test = _read(settings, method, config, "test")
    train = _read(settings, method, config, "train")
    count = len(train)
    train, test = _sure(train, settings.labels), _sure(test, settings.labels)
    left_out = count - len(train)
    if not len(train):
        what = f"no row of `train` has a p_chosen of {settings.labels.min_p} or more"
        raise InputError(Fault(where, "min_p", what, "lower it, or leave it out"))
    if settings.limit is not None:
        train = train.select(range(min(settings.limit, len(train))))
    test = test if test is not None and len(test) else None
    return Rows(_shaped(train, settings.labels), _margins(test, settings.labels), config, left_out)


def _config(version: Version, method: Method, where: str) -> str:
    """The config that the method reads."""
    if "train" in version.splits(method.config):
        return method.config
    if method.instead and "train" in version.splits(method.instead[0]):
        return method.instead[0]
    what = f"the config `{method.config}` has no `train` rows"
    fix = f"{method.name} needs them: see the `rejects` of that version for what became of them"
    raise InputError(Fault(where, method.config, what, fix))


def _read(settings: TrainSettings, method: Method, config: str, split: str) -> Any:
    """The rows of a split, of the columns that are needed."""
    version = settings.dataset
    rows = version.dataset(config, split)
    needed = ["prompt", *method.completions, *settings.labels.columns]
    if settings.recovery is not None and split == "train":
        needed += COLUMNS
    renamed = {}
    if method.instead:
        answer = method.instead[1] if config == method.instead[0] else "completion"
        needed, renamed = ["prompt", "prompt_id", answer], {answer: "reference"}
    missing = [name for name in needed if name not in rows.column_names]
    if missing:
        what = f"has no column {', '.join(missing)}, only {', '.join(rows.column_names)}"
        fix = f"{method.name} needs {', '.join(needed)}: publish it again with `charter run`"
        raise InputError(Fault(f"{version.repo}@{version.tag}", f"{config}/{split}", what, fix))
    if P_CHOSEN in needed:
        _check_labels(rows[P_CHOSEN], f"{version.repo}@{version.tag}", f"{config}/{split}")
    if renamed:
        rows = _one_a_prompt(rows)
    return rows.select_columns(needed).rename_columns(renamed)


def _check_labels(labels: Iterable[float | None], where: str, path: str) -> None:
    """A label that is no probability would end the training, or be lost in it, without a reason.

    Raises:
        InputError: there is one.
    """
    wrong = [at for at, p in enumerate(labels) if p is None or not 0.5 <= p <= 1]
    if wrong:
        what = f"p_chosen of {len(wrong)} rows is no number in [0.5, 1], row {wrong[0]} the first"
        fix = "publish the version again with `charter run`, or take soft_labels=none"
        raise InputError(Fault(where, path, what, fix))


def _one_a_prompt(rows: Any) -> Any:
    """The first row of each prompt: a prompt with many pairs is one prompt to answer."""
    first: dict[str, int] = {}
    for place, prompt_id in enumerate(rows["prompt_id"]):
        first.setdefault(prompt_id, place)
    return rows.select(sorted(first.values()))


def _sure(rows: Any, labels: Labels) -> Any:
    """The rows whose label is sure enough."""
    if rows is None or labels.min_p is None:
        return rows
    return rows.select([at for at, p in enumerate(rows[P_CHOSEN]) if p >= labels.min_p])


def _shaped(rows: Any, labels: Labels) -> Any:
    """Rows of `train` with the weights of their labels."""
    rows = _margins(rows, labels)
    if labels.weight == "none":
        return rows
    sure = [2 * p - 1 for p in rows[P_CHOSEN]]
    mean = sum(sure) / len(sure)
    # All at 0.5 is nothing to weigh by; such rows are never published.
    return rows.add_column(WEIGHT, [each / mean if mean else 1.0 for each in sure])


def _margins(rows: Any, labels: Labels) -> Any:
    """TRL's reward trainer subtracts the column `margin` from the difference of rewards."""
    if rows is None or labels.soft != "margin":
        return rows
    return rows.add_column("margin", [2 * p - 1 for p in rows[P_CHOSEN]])


def _refuse_shared(version: Version, config: str, where: str) -> None:
    """A prompt in both splits would make the figures on `test` worthless."""
    ids = [set(version.rows(config, split)["prompt_id"].to_list()) for split in ("train", "test")]
    if shared := sorted(ids[0] & ids[1]):
        what = f'{len(shared)} prompts of `test` are in `train` as well, "{shared[0]}" the first'
        raise InputError(Fault(where, config, what, "publish the version again with `charter run`"))

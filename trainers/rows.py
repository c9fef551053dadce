"""The rows of a version that a trainer may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charter.errors import Fault, InputError

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
    """

    train: Any
    test: Any | None


def read_rows(settings: TrainSettings, method: Method) -> Rows:
    """Read the method's rows and see that no prompt of `test` is trained on.

    Raises:
        InputError: the version has no `train` rows for the method, or a prompt in both splits.
    """
    version, config = settings.dataset, method.config
    where = f"{version.repo}@{version.tag}"
    splits = version.splits(config)
    if "train" not in splits:
        what = f"the config `{config}` has no `train` rows"
        fix = f"{method.name} needs them: see the `rejects` of that version for what became of them"
        raise InputError(Fault(where, config, what, fix))
    test = None
    if "test" in splits:
        _refuse_shared(version, config, where)
        test = version.dataset(config, "test").select_columns(list(method.columns))
    train = version.dataset(config, "train").select_columns(list(method.columns))
    if settings.limit is not None:
        train = train.select(range(min(settings.limit, len(train))))
    return Rows(train, test)


def _refuse_shared(version: Version, config: str, where: str) -> None:
    """A prompt in both splits would make the figures on `test` worthless."""
    ids = [set(version.rows(config, split)["prompt_id"].to_list()) for split in ("train", "test")]
    if shared := sorted(ids[0] & ids[1]):
        what = f'{len(shared)} prompts of `test` are in `train` as well, "{shared[0]}" the first'
        raise InputError(Fault(where, config, what, "publish the version again with `charter run`"))

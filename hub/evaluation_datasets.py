"""An evaluation set that is a dataset of the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from charter.hub.evaluation_sets import EvaluationSet, texts_of
from charter.recipes.hub_dataset import hub_dataset
from charter.recipes.publish import EvaluationSource

__all__ = ["load_dataset_set"]


def load_dataset_set(source: EvaluationSource) -> EvaluationSet:
    """The prompts of a dataset, from a snapshot of one commit; all its splits unless one is said.

    The set is called `owner/name`, with `/config` where one is said. Its fingerprint is of the
    prompts, so that a branch that moved shows in the version that was compared with it.

    Raises:
        InputError: the dataset can't be loaded, or a record has no text.
        Failure: the Hub is not reached.
    """
    assert source.dataset is not None
    name = "/".join(filter(None, (source.dataset, source.config)))
    return EvaluationSet.of(name, texts_of(name, _records(source), source.column))


def _records(source: EvaluationSource) -> Iterator[tuple[int, Any]]:
    data = hub_dataset(source, "publish.decontaminate")
    number = 0
    for split in data.values() if isinstance(data, dict) else [data]:
        for record in split:
            number += 1
            yield number, record

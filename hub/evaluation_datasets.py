"""An evaluation set that is a dataset of the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from charter.errors import Fault, InputError
from charter.hub.evaluation_sets import EvaluationSet, texts_of
from charter.recipes.publish import EvaluationSource

__all__ = ["load_dataset_set"]


def load_dataset_set(source: EvaluationSource) -> EvaluationSet:
    """The prompts of a dataset, from a snapshot of one commit; all its splits unless one is said.

    The set is called `owner/name`, with `/config` where one is said. Its fingerprint is of the
    prompts, so that a branch that moved shows in the version that was compared with it.

    Raises:
        InputError: the dataset can't be loaded, or a record has no text.
    """
    assert source.dataset is not None
    name = "/".join(filter(None, (source.dataset, source.config)))
    return EvaluationSet.of(name, texts_of(name, _records(source), source.column))


def _records(source: EvaluationSource) -> Iterator[tuple[int, Any]]:
    import datasets
    from datasets.exceptions import DatasetsError
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    assert source.dataset is not None
    try:
        info = HfApi().dataset_info(source.dataset, revision=source.revision)
        folder = snapshot_download(source.dataset, repo_type="dataset", revision=info.sha)
        data = datasets.load_dataset(folder, source.config, split=source.split)
    except (HfHubHTTPError, OSError, ValueError, DatasetsError, StopIteration) as error:
        lines = str(error.__cause__ or error).splitlines()
        what = f"cannot be loaded ({lines[0] if lines else 'it has no rows'})"
        fix = "check dataset, config, revision and split, and HF_ENDPOINT and HF_TOKEN"
        place = "publish.decontaminate"
        raise InputError(Fault(source.dataset, place, what, fix)) from None
    number = 0
    for split in data.values() if isinstance(data, dict) else [data]:
        for record in split:
            number += 1
            yield number, record

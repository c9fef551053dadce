"""A dataset of the Hub, from a snapshot of one commit."""

from __future__ import annotations

from typing import Any

from charter.addresses import is_of_the_line
from charter.errors import Failure, Fault, InputError
from charter.recipes.publish import EvaluationSource
from charter.recipes.schema import PromptsSettings

__all__ = ["hub_dataset"]


def hub_dataset(source: PromptsSettings | EvaluationSource, place: str) -> Any:
    """The split that is named, or all by their names where none is.

    `load_dataset(repo, revision=...)` may return another version from its cache when the Hub is
    not reached; a snapshot's folder cannot.

    Raises:
        InputError: there is no such dataset, or it cannot be loaded.
        Failure: the Hub is not reached.
    """
    import datasets
    from datasets.exceptions import DatasetsError
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    assert source.dataset is not None
    try:
        info = HfApi().dataset_info(source.dataset, revision=source.revision)
        folder = snapshot_download(source.dataset, repo_type="dataset", revision=info.sha)
        return datasets.load_dataset(folder, source.config, split=source.split)
    except (HfHubHTTPError, OSError, ValueError, DatasetsError, StopIteration) as error:
        # `datasets` wraps what it found in an error that says nothing, and ends on an empty file.
        first, *others = str(error.__cause__ or error).splitlines() or ["it has no rows"]
        named = "".join(f" {line}" for line in others if "available configs" in line)
        what = f"cannot be loaded ({first}{named})"
        fix = "check dataset, config, revision and split, and HF_ENDPOINT and HF_TOKEN"
        raise InputError(Fault(source.dataset, place, what, fix)) from None
    except Exception as error:
        if not is_of_the_line(error):
            raise
        fix = "check the network and HF_ENDPOINT, and run it again"
        what = f"the Hub is not reached ({' '.join(str(error).split())})"
        raise Failure(Fault(source.dataset, place, what, fix)) from None

"""Send a trained model to a Hub: its folder as it stands, in one commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from charter.errors import Failure, Fault, InputError
from charter.hub.evaluation_gate import EVALUATION, missed_by
from charter.hub.manifest import check_repo
from charter.hub.remote import hub_faults

__all__ = ["PushedModel", "push_model"]

# What training leaves behind and nobody loads.
_LEFT_OUT = ["checkpoint-*", "checkpoint-*/**", "runs/**", "*.lock"]


@dataclass(frozen=True, slots=True)
class PushedModel:
    """A model on a Hub.

    Attributes:
        repo: `owner/name`.
        commit: of the repo.
        url: of its page.
    """

    repo: str
    commit: str
    url: str


def push_model(folder: Path, repo: str, *, private: bool = False) -> PushedModel:
    """Upload a model that Charter trained; its card names the dataset version it comes from.

    Args:
        folder: as `charter train` left it.
        repo: `owner/name`; made where it is missing.
        private: of a repo that is made.

    Raises:
        InputError: the folder holds no such model, or no token may write there.
        Failure: the Hub is not reached; or the model was measured and does not reach the gates
            of its recipe.
    """
    from huggingface_hub import HfApi

    check_repo(repo)
    for name in ("charter.json", "README.md", "config.json"):
        if not (folder / name).is_file():
            what = f"has no {name}, so it is no model that `charter train` made"
            raise InputError(Fault(str(folder), "", what, "name the folder of one"))
    _check_gates(folder)
    api = HfApi()
    with hub_faults(repo):
        api.create_repo(repo, repo_type="model", private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo,
            repo_type="model",
            folder_path=str(folder),
            ignore_patterns=_LEFT_OUT,
            commit_message=f"{folder.name}, trained by Charter",
        )
    return PushedModel(repo, str(done.oid), str(done.repo_url))


def _check_gates(folder: Path) -> None:
    """A model that was found wanting is not published."""
    fix = f"train another one, or remove {EVALUATION} to send it as one that nobody measured"
    faults = [Fault(str(folder), gate, what, fix) for gate, what in missed_by(folder)]
    if faults:
        raise Failure(faults)

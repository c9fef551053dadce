"""Send a trained model to a Hub: its folder as it stands, in one commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charter.errors import Failure, Fault, InputError
from charter.hub.evaluation_gate import EVALUATION, missed_by
from charter.hub.manifest import check_repo
from charter.hub.remote import hub_faults

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["PushedModel", "push_model", "push_rounds"]

_BRANCH = "rounds"

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
    _check_folder(folder)
    api = HfApi()
    with hub_faults(repo, kind="model"):
        api.create_repo(repo, repo_type="model", private=private, exist_ok=True)
        return _uploaded(api, folder, repo)


def push_rounds(
    models: Mapping[str, Path], best: Path | None, repo: str, *, private: bool = False
) -> dict[str, PushedModel]:
    """Upload the models of several rounds to one repo.

    Each is a commit of the branch `rounds` that holds its folder and nothing else, with a tag. A
    tag that is there is not touched, so a push that was cut off is simply made again. `main` gets
    the best model, and stays as it is where none is.

    Args:
        models: tag -> folder as training left it, in the order of the commits.
        best: folder of the one that `main` shows; None for none of them.
        repo: `owner/name`; made where it is missing.
        private: of a repo that is made.

    Returns:
        What is on the Hub by tag, and under `main` where it was sent.

    Raises:
        InputError, Failure: as `push_model`.
    """
    from huggingface_hub import HfApi

    check_repo(repo)
    for folder in models.values():
        _check_folder(folder)
    api = HfApi()
    with hub_faults(repo, kind="model"):
        url = str(api.create_repo(repo, repo_type="model", private=private, exist_ok=True))
        api.create_branch(repo, repo_type="model", branch=_BRANCH, exist_ok=True)
        refs = api.list_repo_refs(repo, repo_type="model")
        found = {
            ref.name: PushedModel(repo, str(ref.target_commit), url)
            for ref in refs.tags
            if ref.name in models
        }
        for tag, folder in models.items():
            if tag not in found:
                found[tag] = _uploaded(api, folder, repo, _BRANCH)
                api.create_tag(repo, repo_type="model", tag=tag, revision=found[tag].commit)
        if best is not None:
            found["main"] = _uploaded(api, best, repo, "main")
    return found


def _uploaded(api: HfApi, folder: Path, repo: str, branch: str | None = None) -> PushedModel:
    """One commit; on a branch that is named the folder takes the place of all that was there."""
    done = api.upload_folder(
        repo_id=repo,
        repo_type="model",
        folder_path=str(folder),
        revision=branch,
        ignore_patterns=_LEFT_OUT,
        delete_patterns=None if branch is None else "*",
        commit_message=f"{folder.name}, trained by Charter",
    )
    return PushedModel(repo, str(done.oid), str(done.repo_url))


def _check_folder(folder: Path) -> None:
    for name in ("charter.json", "README.md", "config.json"):
        if not (folder / name).is_file():
            what = f"has no {name}, so it is no model that `charter train` made"
            raise InputError(Fault(str(folder), "", what, "name the folder of one"))
    _check_gates(folder)


def _check_gates(folder: Path) -> None:
    """A model that was found wanting is not published."""
    fix = f"train another one, or remove {EVALUATION} to send it as one that nobody measured"
    faults = [Fault(str(folder), gate, what, fix) for gate, what in missed_by(folder)]
    if faults:
        raise Failure(faults)

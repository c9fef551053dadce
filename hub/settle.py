"""Help on a publisher that died between its commit and its tag: the version gets its tag."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from charter.errors import Failure, Fault, InputError
from charter.hub.held_remote import manifest_at
from charter.hub.manifest import MANIFEST
from charter.hub.number import is_tag, parse_tag
from charter.hub.remote import Heads, hub_faults, pin

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["make_tag", "settled"]


def settled(
    api: HfApi, repo: str, heads: Heads, say: Callable[[str], None], *, dry_run: bool = False
) -> Heads:
    """The refs with the tag that an untagged version at the head should have.

    What people have committed since does not count: the tag goes to the commit that wrote the
    manifest, whose files are as it says.

    Args:
        api: the client.
        repo: `owner/name`.
        heads: its refs.
        say: told when a tag is made.
        dry_run: say what the refs would be, and make no tag.

    Raises:
        InputError: no token may write there.
        Failure: the Hub is not reached.
    """
    if heads.head is None or heads.head in heads.tags.values():
        return heads
    found = manifest_at(api, repo, heads.head)
    if found is None:
        return heads
    tag = parse_tag(found[0].tag)
    if tag in heads.tags:
        return heads  # a commit of somebody's after the version: a card was edited
    commit = _written(api, repo, heads.head)
    if not dry_run:
        try:
            make_tag(api, repo, str(tag), commit)
        except InputError as error:
            what = f"{tag} is there without a tag, and this token may not make it"
            fix = "ask whoever may write there to run it once, which makes the tag"
            raise InputError(Fault(repo, "version", what, fix)) from error
        say(f"{tag} had no tag: its publisher ended before that; tagged")
    return Heads(heads.head, dict(sorted({**heads.tags, tag: commit}.items())))


def _written(api: HfApi, repo: str, head: str) -> str:
    """The commit that wrote the manifest which is there at `head`."""
    with hub_faults(repo):
        found = api.get_paths_info(
            repo, [MANIFEST], repo_type="dataset", revision=head, expand=True
        )
    last = getattr(found[0], "last_commit", None) if found else None
    return str(last.oid) if last else head


def make_tag(api: HfApi, repo: str, tag: str, commit: str) -> None:
    """Tag the commit of a version; that another publisher has tagged it so already is fine.

    Raises:
        InputError: no token may write there.
        Failure: the tag is another commit's, or the Hub is not reached.
    """
    from huggingface_hub.errors import HfHubHTTPError

    assert is_tag(tag)
    with hub_faults(repo):
        try:
            api.create_tag(
                repo,
                tag=tag,
                tag_message=f"Charter version {tag}",
                revision=commit,
                repo_type="dataset",
            )
        except HfHubHTTPError as error:
            if error.response is None or error.response.status_code != 409:
                raise
            # Another publisher tagged our head for us, or the tag is somebody else's.
            if pin(repo, tag).commit != commit:
                what = f"{tag} was made by somebody else in the meantime; ours is {commit[:12]}"
                fix = "run it again: it takes the next version"
                raise Failure(Fault(repo, "version", what, fix)) from None

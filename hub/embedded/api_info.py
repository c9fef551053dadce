"""What a repo is: its info at a revision, and lists of repos."""

from __future__ import annotations

from typing import Any, Final

from charter.hub.embedded.cards import card_of, tags_of
from charter.hub.embedded.errors import HubError, bad_request, revision_missing
from charter.hub.embedded.git import Git, Sha
from charter.hub.embedded.http import Call, Reply, reply_json
from charter.hub.embedded.hub import named_repo
from charter.hub.embedded.listing import siblings, stamp, stored
from charter.hub.embedded.names import RepoId
from charter.hub.embedded.store import RepoFacts

__all__ = ["info", "list_repos", "own_repos"]

_PAGE: Final = 1000
_EXPANDABLE: Final = {
    "author",
    "cardData",
    "createdAt",
    "description",
    "disabled",
    "downloads",
    "downloadsAllTime",
    "gated",
    "lastModified",
    "library_name",
    "likes",
    "pipeline_tag",
    "private",
    "sdk",
    "sha",
    "siblings",
    "tags",
    "trendingScore",
    "usedStorage",
}
# Filters of the real Hub's by what is not known here: a list without them would be a wrong one.
_UNKNOWN: Final = (
    "apps",
    "datasets",
    "inference",
    "inference_provider",
    "linked",
    "models",
    "num_parameters",
)
_SORTS: Final = ("lastModified", "createdAt", "downloads", "likes", "trendingScore")


def _facts(git: Git, repo: RepoId, facts: RepoFacts, commit: Sha | None) -> dict[str, Any]:
    """All that lists and infos show of a repo, but its files."""
    card = card_of(git, commit) if commit else {}
    changed = git.commit(commit).commit_time if commit else facts.created
    description = card.get("description") or card.get("pretty_name")
    shown: dict[str, Any] = {
        "_id": facts.number,
        "id": repo.full,
        "author": repo.namespace,
        "sha": commit.decode() if commit else None,
        "lastModified": stamp(changed),
        "createdAt": stamp(facts.created),
        "private": facts.private,
        "gated": facts.gated,
        "disabled": False,
        "downloads": 0,
        "downloadsAllTime": 0,
        "likes": 0,
        "trendingScore": 0,
        "tags": tags_of(repo.kind, card),
        "cardData": card or None,
        "description": description if isinstance(description, str) else None,
    }
    if repo.kind == "models":
        shown["modelId"] = repo.full
        for name in ("library_name", "pipeline_tag"):
            if isinstance(card.get(name), str):
                shown[name] = card[name]
    if facts.sdk:
        shown["sdk"] = facts.sdk
    return shown


def info(call: Call) -> Reply:
    """A repo at a revision: `main` where none is named."""
    repo = named_repo(call)
    facts = call.hub.readable(repo, call.account)
    revision = "/".join(call.parts[5:]) if len(call.parts) > 4 else "main"
    with call.hub.store.open(repo) as git:
        try:
            commit: Sha | None = git.resolve(revision)
        except HubError:
            if len(call.parts) > 4:
                raise revision_missing(revision) from None
            commit = None
        shown = _facts(git, repo, facts, commit)
        wanted = call.many("expand")
        if wanted:
            shown = _expanded(git, commit, shown, wanted)
        else:
            shown["siblings"] = siblings(git, commit, details=call.flag("blobs")) if commit else []
            shown["usedStorage"] = _storage(git, commit)
    return reply_json(shown)


def _storage(git: Git, commit: Sha | None) -> int:
    if commit is None:
        return 0
    return sum(stored(git, sha).size for _, sha in git.flat(commit).values())


def _expanded(
    git: Git, commit: Sha | None, shown: dict[str, Any], wanted: list[str]
) -> dict[str, Any]:
    names = set(wanted) & _EXPANDABLE
    _add_files(git, commit, shown, names)
    return {key: value for key, value in shown.items() if key in names | {"_id", "id"}}


def _add_files(git: Git, commit: Sha | None, shown: dict[str, Any], names: set[str]) -> None:
    """What takes a walk over all files is shown where it is asked for."""
    if "siblings" in names:
        shown["siblings"] = siblings(git, commit, details=False) if commit else []
    if "usedStorage" in names:
        shown["usedStorage"] = _storage(git, commit)


def list_repos(call: Call) -> Reply:
    """Repos that the caller may see: searched, filtered, sorted, in pages."""
    kind = call.parts[1]
    for name in _UNKNOWN:
        if call.many(name):
            raise bad_request(f'this Hub cannot filter by "{name}"')
    found = [
        shown
        for repo in call.hub.store.repos(kind)
        if _wanted(call, repo) and (shown := _shown(call, repo)) is not None
    ]
    order = call.query.get("sort", "lastModified")
    if order not in _SORTS:
        raise HubError(400, f"cannot sort by that: use one of {', '.join(_SORTS)}")
    found.sort(key=lambda one: (one[order], one["id"]), reverse=call.query.get("direction") != "1")
    page, headers = call.page(found, max(call.whole("limit", _PAGE, _PAGE), 1))
    wanted = set(call.many("expand"))
    if wanted:
        keep = (wanted & _EXPANDABLE) | {"_id", "id"}
        page = [{key: value for key, value in one.items() if key in keep} for one in page]
    return reply_json(page, headers=headers)


def _wanted(call: Call, repo: RepoId) -> bool:
    author = call.query.get("author")
    if author and author != repo.namespace:
        return False
    return all(word.lower() in repo.full.lower() for word in call.many("search"))


def _shown(call: Call, repo: RepoId) -> dict[str, Any] | None:
    wanted = {*call.many("expand"), *(("siblings", "cardData") if call.flag("full") else ())}
    try:
        facts = call.hub.readable(repo, call.account)
        gated = call.query.get("gated")
        if gated and bool(facts.gated) != call.flag("gated"):
            return None
        with call.hub.store.open(repo) as git:
            commit = git.ref(b"refs/heads/main")
            shown = _facts(git, repo, facts, commit)
            _add_files(git, commit, shown, wanted)
    except HubError:
        return None  # hidden, or deleted while the list was made
    filters = [*call.many("filter"), *call.many("pipeline_tag")]
    words = {word for one in filters for word in one.split(",")}
    if not words <= {*shown["tags"], shown.get("library_name"), shown.get("sdk")}:
        return None
    if not (call.flag("cardData") or "cardData" in wanted):
        del shown["cardData"]
    return shown


def own_repos(call: Call) -> Reply:
    """The storage that the repos of a user or an organisation take."""
    account = call.account
    if account is None:
        raise HubError(401, "Invalid username or password.")
    namespace = account.name if call.parts[1] == "settings" else call.parts[2]
    if not account.owns(namespace):
        raise HubError(403, f'You are no member of "{namespace}"')
    found = []
    for kind in ("models", "datasets", "spaces"):
        for repo in call.hub.store.repos(kind):
            facts = call.hub.store.facts(repo)
            if repo.namespace != namespace or facts is None:
                continue
            with call.hub.store.open(repo) as git:
                commit = git.ref(b"refs/heads/main")
                shown = _facts(git, repo, facts, commit)
                size = _storage(git, commit)
            keys = ("id", "createdAt", "private")
            row = {key: shown[key] for key in keys}
            found.append(
                {
                    **row,
                    "type": repo.type,
                    "updatedAt": shown["lastModified"],
                    "storage": size,
                    "storagePercent": 0.0,
                    "visibility": "private" if facts.private else "public",
                }
            )
    shown_page, headers = call.page(found, 500)
    return reply_json(shown_page, headers=headers)

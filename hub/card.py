"""The card of a version: its README.md, from the manifest and the rows.

Everything a model, a judge or a constitution's author wrote is data here: it stands escaped in
prose or in a fence that it cannot close.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from charter.hub.card_evaluations import evaluation_told
from charter.hub.card_figures import figures_told
from charter.hub.card_reviews import reviews_told
from charter.hub.data import DataFile, data_path
from charter.hub.manifest import Manifest
from charter.hub.markdown import escaped, fenced, json_block, table
from charter.hub.schema import CONFIGS, SPLITS, yaml_features
from charter.hub.stored import StoredRows

__all__ = ["card"]

_ABOUT: Final = {
    "sft": "prompts with the response as revised under the constitution, for supervised training",
    "preference": "pairs of responses labelled by an AI judge under the constitution",
    "judgments": "every single vote behind the labels",
    "rejects": "every input, prompt or pair that gave no row, with the reason",
    "reviews": "what people said of rows, each answer with the probability that its row was drawn",
}
# SPDX identifier, lower case -> the Hub's own word; what is not here is shown as `other`.
_LICENCES: Final = frozenset(
    {
        *("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-3.0", "cc-by-4.0"),
        *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0"),
        *("odc-by", "odbl", "pddl", "unlicense"),
    }
)
_SIZES: Final = {
    1_000: "n<1K",
    10_000: "1K<n<10K",
    100_000: "10K<n<100K",
    1_000_000: "100K<n<1M",
    10_000_000: "1M<n<10M",
    100_000_000: "10M<n<100M",
    1_000_000_000: "100M<n<1B",
}


Sizes = Mapping[str, Mapping[str, DataFile]]
Rule = Mapping[str, Any]


def card(
    manifest: Manifest,
    rows: Mapping[str, StoredRows],
    sizes: Sizes,
    constitution_yaml: str,
    recipe_yaml: str,
    pictures: Mapping[str, str] | None = None,
) -> str:
    """The README of a version, with the YAML that `datasets` and the Hub read on top.

    Args:
        manifest: of the version; its `files` may still lack the card itself.
        rows: config -> rows; the first of each is shown.
        sizes: config -> split -> its file; only splits that have rows.
        constitution_yaml: the constitution as run.
        recipe_yaml: the recipe as run.
        pictures: path of each picture beside the card -> what it shows.
    """
    rule = _rule(manifest, recipe_yaml)
    language = _mapping(recipe_yaml, "publish").get("language")
    meta = yaml.safe_dump(
        {**({"language": language} if language else {}), **_meta(manifest, sizes, rule)},
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
    )
    parts = [
        *_what(manifest, sizes, rule),
        *_load(manifest, sizes),
        *_made(manifest, sizes, rule),
        *figures_told(manifest.figures),
        *reviews_told(manifest.reviews),
        *evaluation_told(manifest.evaluations),
        *(f"![{escaped(shown)}]({path})" for path, shown in (pictures or {}).items()),
        *_constitution(manifest, constitution_yaml),
        *_examples(rows, sizes),
        *_limits(manifest, sizes, rule),
        *_checks(manifest),
        *_citation(manifest),
    ]
    return f"---\n{meta}---\n\n" + "\n\n".join(parts) + "\n"


def _rule(manifest: Manifest, recipe_yaml: str) -> dict[str, Any]:
    """How pairs were made and kept: by the run's figures, else by the recipe's text."""
    stated = manifest.figures.get("preference")
    values = dict(stated) if isinstance(stated, dict) else _mapping(recipe_yaml, "preference")
    return values | {name: manifest.figures[name] for name in _RULE if name in manifest.figures}


def _given(rule: Rule) -> bool:
    """Whether the responses were there before, and only the labels were made."""
    return rule.get("candidates") == "given"


def _labelled(sizes: Sizes) -> bool:
    return "preference" in sizes or "judgments" in sizes


def _meta(manifest: Manifest, sizes: Sizes, rule: Rule) -> dict[str, Any]:
    licence = manifest.constitution.licence
    known = licence.lower() in _LICENCES
    total = sum(size.rows for splits in sizes.values() for size in splits.values())
    default = next((name for name in ("preference", "sft") if name in sizes), None)
    return {
        "license": licence.lower() if known else "other",
        **({} if known else {"license_name": licence}),
        "pretty_name": f"{manifest.recipe.name} {manifest.tag}",
        "size_categories": [_size(total)],
        "task_categories": ["text-generation"],
        "annotations_creators": [
            "machine-generated",
            *(["expert-generated"] if _by_people(manifest) else []),
        ],
        "language_creators": ["found" if _given(rule) else "machine-generated"],
        "source_datasets": [manifest.prompt_set.source or "original"],
        "tags": ["charter", "constitutional-ai", "rlaif", "preference", "alignment", "trl"],
        "configs": [
            {
                "config_name": config,
                "data_files": [{"split": s, "path": data_path(config, s)} for s in splits],
                **({"default": True} if config == default else {}),
            }
            for config, splits in sizes.items()
        ],
        "dataset_info": [_info(config, splits) for config, splits in sizes.items()],
    }


def _by_people(manifest: Manifest) -> int:
    """How many labels are people's."""
    labels = manifest.figures.get("label_sources")
    human = labels.get("human", 0) if isinstance(labels, dict) else 0
    return human if isinstance(human, int) else 0


def _info(config: str, splits: Mapping[str, DataFile]) -> dict[str, Any]:
    return {
        "config_name": config,
        "features": yaml_features(CONFIGS[config]),
        "splits": [
            {"name": name, "num_bytes": size.memory, "num_examples": size.rows}
            for name, size in splits.items()
        ],
        "download_size": sum(size.size for size in splits.values()),
        "dataset_size": sum(size.memory for size in splits.values()),
    }


def _size(rows: int) -> str:
    for bound, word in _SIZES.items():
        if rows < bound:
            return word
    return "1B<n<10B"


def _what(manifest: Manifest, sizes: Sizes, rule: Rule) -> Iterator[str]:
    constitution = manifest.constitution
    made = "written and labelled" if _labelled(sizes) else "written"
    made = "labelled" if _given(rule) else made
    yield f"# {manifest.repo} {manifest.tag}"
    parent = f"; it follows {manifest.parent}" if manifest.parent else ""
    yield (
        f"Alignment data {made} by models under the constitution "
        f"{escaped(constitution.name)} {escaped(constitution.version)}, published "
        f"{manifest.created} by Charter {escaped(manifest.charter)}{parent}."
    )
    yield table(
        ("config", "rows", *SPLITS, "what it holds"),
        [
            (
                config,
                sum(manifest.counts[config].values()),
                *(manifest.counts[config][split] for split in SPLITS),
                about if config in sizes else f"{about} (none in this version)",
            )
            for config, about in _ABOUT.items()
            if config in manifest.counts
        ],
    )


def _load(manifest: Manifest, sizes: Sizes) -> Iterator[str]:
    yield "## Load and train"
    config, trainer = ("preference", "DPOTrainer")
    if "preference" not in sizes:
        config, trainer = ("sft", "SFTTrainer") if "sft" in sizes else (next(iter(sizes)), "")
    data = f'load_dataset("FOLDER", "{config}", split="{next(iter(sizes[config]))}")'
    lines = ["from datasets import load_dataset", f"print({data}[0])"]
    if trainer:
        train = f'{trainer}(model="MODEL", train_dataset={data}).train()'
        lines = [lines[0], f"from trl import {trainer}", train]
    yield fenced("\n".join(lines), "python")
    where = f'"{manifest.repo}", repo_type="dataset", revision="{manifest.tag}"'
    yield (
        "FOLDER is the folder of this file. On a Hub it is what "
        f"`snapshot_download({where})` returns; `load_dataset` with a revision may return another "
        "version from its cache. Training uses `train` alone."
    )


def _made(manifest: Manifest, sizes: Sizes, rule: Rule) -> Iterator[str]:
    yield "## How it was made"
    prompts = manifest.prompt_set
    source = " / ".join(escaped(each) for each in (prompts.path, prompts.source) if each)
    steps = [
        f"Recipe {escaped(manifest.recipe.name)} over {prompts.records} records from {source}."
    ]
    if "sft" in sizes:
        steps.append(
            "Responses are critiqued and revised under one principle a round (Bai et al. 2022, "
            "arXiv 2212.08073)."
        )
    if "judgments" in sizes:
        candidates = "The responses that came with the prompts" if _given(rule) else "Candidates"
        orders = "one order" if rule.get("orders") == "single" else "both orders"
        steps.append(
            f"{candidates} are compared by a judge in {orders}, and the votes become one label a "
            "pair."
        )
    yield " ".join(steps)
    yield from _label_rule(manifest, rule)
    yield table(
        ("role", "llm", "model", "revision", "other settings"),
        [_model_row(role, model) for role, model in manifest.models.items()],
    )
    seeds = ", ".join(f"{escaped(name)} {seed}" for name, seed in manifest.seeds.items())
    yield (
        f"Seeds: {seeds or 'none'}. The recipe as run is `recipe.yaml`; fingerprints, package "
        "versions and checksums stand in `charter.json`."
    )


def _model_row(role: str, model: Mapping[str, Any]) -> tuple[object, ...]:
    main = ("llm", "model", "revision")
    others = [
        f"{name} {value}" for name, value in model.items() if name not in main and value is not None
    ]
    return (role, *(model.get(name) or "" for name in main), ", ".join(others))


def _label_rule(manifest: Manifest, rule: Rule) -> Iterator[str]:
    """The rule that kept pairs."""
    if not rule:
        return
    named = {"keep": "consistent", "min_margin": 0.0, **rule}
    mode = named.get("mode")
    left_out = {"votes": mode != "vote", "clamp": mode != "cot"}
    shown = [name for name in _RULE if name in named and not left_out.get(name)]
    text = ", ".join(f"`{name}` {escaped(named[name])}" for name in shown)
    yield (
        f"Which pairs were kept: {text}. `consistent` keeps pairs whose winner is the same in "
        "both orders; `margin` keeps pairs with |p − 0.5| of at least `min_margin`, whatever the "
        "orders say."
    )
    if named.get("orders") == "single":
        yield (
            "**Each pair was judged in one order alone**, drawn by the seed: what the judge gives "
            "to a place is in every label, and `order_consistent` is false throughout."
        )
    if manifest.figures.get("judge_logprobs") is False:
        yield (
            "The judge gives no log-probabilities, so its votes were counted instead: labels are "
            "as fine as their number."
        )


_RULE: Final = (
    *("mode", "votes", "clamp", "orders", "pairs", "principles"),
    *("keep", "min_margin", "tie_band", "min_order_consistency", "near_equal", "injections"),
)


def _mapping(text: str, block: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    found = data.get(block) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _constitution(manifest: Manifest, constitution_yaml: str) -> Iterator[str]:
    yield "## The constitution"
    about = manifest.constitution
    yield (
        f"{escaped(about.name)} {escaped(about.version)}, licence {escaped(about.licence)}; "
        "the file is `constitution.yaml`."
    )
    try:
        data = yaml.safe_load(constitution_yaml)
    except yaml.YAMLError:
        data = None
    principles = data.get("principles") if isinstance(data, dict) else None
    if not isinstance(principles, list) or not all(isinstance(p, dict) for p in principles):
        yield fenced(constitution_yaml.strip(), "yaml")
        return
    for principle in principles:
        yield f"### {escaped(principle.get('id', ''))}: {escaped(principle.get('name', ''))}"
        yield "\n".join(
            f"- **{name}**: {escaped(_joined(value))}"
            for name, value in principle.items()
            if name in _PRINCIPLE
        )


def _joined(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


_PRINCIPLE: Final = frozenset({"critique", "revision", "comparison", "weight", "tags"})


def _examples(rows: Mapping[str, StoredRows], sizes: Sizes) -> Iterator[str]:
    yield "## One row of each config"
    for config in sizes:
        yield f"`{config}`:"
        yield json_block(rows[config].first() or {})


def _limits(manifest: Manifest, sizes: Sizes, rule: Rule) -> Iterator[str]:
    yield "## Limits"
    reviewed = "" if manifest.reviews else "No person has checked them in this version. "
    people = _by_people(manifest)
    whose = f"Of the labels {people} are people's, the others" if people else "The labels are"
    labels = (
        f"- {whose} a model's. {reviewed}A judge has biases of place, length and style; "
        "the figures above show some of them, and `judgments` holds every vote."
    )
    terms = (
        "Prompts and responses keep the terms of their source."
        if _given(rule)
        else "Prompts keep the terms of their source, and responses those of the models that wrote "
        "them."
    )
    yield "\n".join(
        (
            *([labels] if _labelled(sizes) else []),
            "- Prompts and rejected responses may be offensive or unsafe: they are here to be "
            "trained against. Some chosen responses may be so too.",
            "- `test` is for measuring this data's own objective, not for claims about safety.",
            f"- The licence above is the constitution's. {terms}",
        )
    )


def _checks(manifest: Manifest) -> Iterator[str]:
    yield "## Checks that passed before publication"
    yield table(("check", "found"), [(c.check, c.detail) for c in manifest.checks if c.passed])


def _citation(manifest: Manifest) -> Iterator[str]:
    yield "## Citation"
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in manifest.repo)
    lines = [
        f"@misc{{{name}-{manifest.tag},",
        f"  title = {{{manifest.repo} {manifest.tag}}},",
        f"  year = {{{manifest.created[:4]}}},",
        f"  howpublished = {{dataset repo {manifest.repo}, revision {manifest.tag}}},",
        "  note = {made with Charter after Bai et al. 2022, arXiv 2212.08073}",
        "}",
    ]
    yield fenced("\n".join(lines), "bibtex")

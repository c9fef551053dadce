from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from drafts import RECIPE
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from charter.hub import publish_local
from charter.hub.card import _size
from charter.hub.markdown import escaped, fenced

HOSTILE = (
    "</div><script>alert(1)</script> [click](https://evil.example) ![x](https://evil.example/x) "
    "https://evil.example www.evil.example <https://evil.example> a@evil.example `code` **bold** "
    "| cell | $x$ :smile: @someone &lt; &#60;b&#62; \u202eturned\nsecond line\n\n# heading\n"
    "---\nlicense: mit\n---\n````\n``` \n</code></pre>"
)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def _card(draft: Any, store: Path) -> tuple[dict[str, Any], str]:
    text = (publish_local(draft, store).path / "README.md").read_text()
    match = re.match(r"^---\n(.*?)\n---\n(.*)$", text, re.DOTALL)
    assert match
    return yaml.safe_load(match[1]), match[2]


def _kinds(text: str) -> set[str]:
    tokens = MARKDOWN.parse(text)
    return {t.type for t in tokens} | {c.type for t in tokens for c in t.children or ()}


def test_the_languages_are_those_that_the_recipe_names(make_draft: Any, store: Path) -> None:
    recipe = f"{RECIPE}publish: {{language: [zh, en]}}\n"
    meta, _ = _card(replace(make_draft(), recipe_yaml=recipe), store)
    assert meta["language"] == ["zh", "en"]


def test_the_card_tells_what_it_is(make_draft: Any, store: Path) -> None:
    meta, body = _card(make_draft(), store)
    assert "language" not in meta  # the recipe names none
    assert "it follows" not in body
    assert meta["license"] == "cc-by-4.0"
    assert [config["config_name"] for config in meta["configs"]] == [
        "sft",
        "preference",
        "judgments",
        "rejects",
    ]
    assert [config["config_name"] for config in meta["configs"] if config.get("default")] == [
        "preference"
    ]
    assert meta["dataset_info"][3]["splits"][0]["num_examples"] == 4
    for part in (
        "# me/small v0.1.0",
        "`keep` margin, `min_margin` 0.02",
        "| A | 14 |",
        "| preference | TIE | 1 |",
        "In 3 of 6 labelled pairs",
        "### kind: Be kind",
        "- **comparison**: Choose the kinder response.",
        "| role | llm | model | revision | other settings |",
        "| tiny-135m |",
        "Seeds: recipe 7.",
        'load_dataset("FOLDER", "preference", split="train")',
        "DPOTrainer(",
        '"id": "p0#a~b"',
        "records, prompts and pairs add up",
        "No person has checked them",
    ):
        assert part in body, part


def test_the_rule_of_the_run_comes_before_the_text_of_the_recipe(
    make_draft: Any, store: Path
) -> None:
    lineage = copy.deepcopy(make_draft().lineage)
    lineage["figures"]["preference"] = {"keep": "consistent", "min_margin": 0.0, "tie_band": 0.01}
    _, body = _card(make_draft(lineage=lineage), store)
    assert "`keep` consistent, `min_margin` 0.0, `tie_band` 0.01" in body


def test_whose_the_texts_and_the_labels_are(make_draft: Any, store: Path) -> None:
    draft = make_draft()

    def told(name: str, **changes: Any) -> tuple[dict[str, Any], str]:
        lineage = copy.deepcopy(draft.lineage)
        lineage["figures"]["preference"] = changes.pop("rule", {"candidates": 2})
        return _card(make_draft(repo=f"me/{name}", lineage=lineage, **changes), store)

    meta, body = told("made")
    assert meta["language_creators"] == ["machine-generated"]
    assert "data written and labelled by models" in body
    assert "Candidates are compared by a judge in both orders" in body
    assert "- The labels are a model's." in body

    meta, body = told("given", rule={"candidates": "given", "orders": "single"}, orders="single")
    assert meta["language_creators"] == ["found"]
    assert "data labelled by models" in body
    assert "The responses that came with the prompts are compared by a judge in one order" in body
    assert "in both orders," not in body
    assert "Prompts and responses keep the terms of their source." in body

    rows = {"sft": draft.rows["sft"][:1]}
    ledgers = {"records": 1, "prompts": 1, "pairs_formed": 0}
    _, body = told("sft", rule=None, rows=rows, ledgers=ledgers, recipe_yaml="name: small\n")
    assert "data written by models" in body
    assert "labels are" not in body


def test_the_hubs_own_client_reads_it(make_draft: Any, store: Path) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(publish_local(make_draft(), store).path / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert card.data.pretty_name == "small v0.1.0"


def test_an_unknown_licence_is_named_as_other(make_draft: Any, store: Path) -> None:
    lineage = copy.deepcopy(make_draft().lineage)
    lineage["constitution"]["licence"] = "My own"
    meta, _ = _card(make_draft(lineage=lineage), store)
    assert (meta["license"], meta["license_name"]) == ("other", "My own")


def test_data_stays_data(make_draft: Any, store: Path) -> None:
    clean_meta, clean = _card(make_draft(), store)
    draft = make_draft()
    lineage = copy.deepcopy(draft.lineage)
    lineage["recipe"]["name"] = lineage["constitution"]["name"] = HOSTILE
    lineage["prompt_set"]["path"] = lineage["models"]["judge"]["model"] = HOSTILE
    lineage["models"][HOSTILE] = {"llm": HOSTILE}
    constitution = yaml.safe_load(draft.constitution_yaml)
    constitution["principles"][0].update(name=HOSTILE, critique=HOSTILE, tags=[HOSTILE], id=HOSTILE)
    for row in (draft.rows["sft"][0], draft.rows["preference"][0]):
        row["prompt"][0]["content"] = HOSTILE
    draft.rows["preference"][0]["rejected"][0]["content"] = HOSTILE
    draft.rows["rejects"][0]["detail"] = HOSTILE
    hostile = make_draft(
        repo="me/hostile",
        rows=draft.rows,
        lineage=lineage,
        constitution_yaml=yaml.safe_dump(constitution),
    )
    meta, body = _card(hostile, store)
    assert meta.keys() == clean_meta.keys()
    assert _kinds(body) == _kinds(clean)
    assert not _kinds(body) & {"html_block", "html_inline", "link_open"}
    # The version's own pictures, and no other one.
    inline = [child for token in MarkdownIt().parse(body) for child in token.children or ()]
    assert {child.attrs["src"] for child in inline if child.type == "image"} == {
        f"figures/{name}.png" for name in ("lengths", "p_chosen", "rejects", "verdicts")
    }
    assert len(re.findall("^#+ ", body, re.MULTILINE)) == len(
        re.findall("^#+ ", clean, re.MULTILINE)
    )
    assert "\u202e" not in body
    for link in re.findall(r"(?<!`)https?://|(?<![\\\w])www\.(?!\\)", _prose(body)):
        raise AssertionError(link)
    assert " @someone" not in _prose(body)


def _prose(body: str) -> str:
    return re.sub(r"^(`{3,}).*?^\1$", "", body, flags=re.DOTALL | re.MULTILINE)


def test_a_constitution_of_another_form_stands_as_it_is(make_draft: Any, store: Path) -> None:
    for i, text in enumerate(("principles: ```\n", "{", "[1]", "principles: [x]\n")):
        odd = make_draft(repo=f"me/x{i}", constitution_yaml=text, recipe_yaml=text)
        _, body = _card(odd, store)
        assert text.strip() in body


def test_long_texts_are_cut_and_the_cut_is_named(make_draft: Any, store: Path) -> None:
    draft = make_draft()
    draft.rows["sft"][0]["initial_response"] = "y" * 5000
    _, body = _card(draft, store)
    assert "[…4200 more characters]" in body
    assert "y" * 801 not in body


@given(st.text())
@example("1. x")
@example("- x")
@example("=")
@example("&#60;b&#62;")
@example("\\")
def test_escaped_text_is_one_paragraph_of_text(text: str) -> None:
    tokens = MARKDOWN.parse(escaped(text))
    if not tokens:
        assert not escaped(text)
        return
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    shown = "".join(child.content for child in children)
    kept = [c for c in " ".join(text.split()) if c in shown]
    assert "".join(shown.split()) == "".join("".join(kept).split())


@given(st.text(alphabet="`a\n ~", max_size=30))
def test_a_fence_is_closed_by_itself_alone(text: str) -> None:
    tokens = MARKDOWN.parse(f"{fenced(text)}\n\nafter")
    assert [token.type for token in tokens] == [
        "fence",
        "paragraph_open",
        "inline",
        "paragraph_close",
    ]
    assert tokens[0].content == f"{text}\n"


def test_the_metadata_is_what_the_hubs_own_card_reads(make_draft: Any, store: Path) -> None:
    from huggingface_hub import DatasetCard

    published = publish_local(make_draft(), store)
    card = DatasetCard.load(published.path / "README.md")
    assert card.data.annotations_creators == ["machine-generated"]
    assert card.data.source_datasets == ["original"]
    assert card.data.license == "cc-by-4.0" and card.data.size_categories
    assert {c["config_name"] for c in card.data.to_dict()["configs"]} == set(
        published.manifest.counts
    )
    assert "@misc{me-small-v0.1.0," in card.text


def test_sizes_are_the_hubs_own_words() -> None:
    import datasets

    listed = Path(datasets.__file__).parent / "utils" / "resources" / "size_categories.json"
    words = json.loads(listed.read_text())[1:9]
    assert [_size(999 * 1000**k) for k in range(3)] == ["n<1K", "100K<n<1M", "100M<n<1B"]
    assert [_size(10**power) for power in range(2, 10)] == words

"""The scores of a reward model, and what they agree with."""

import dataclasses
import json
import shutil

import pytest
from answered import answer
from drafts import CONSTITUTION, RECIPE, draft
from versions import version_of

from charter.constitutions import load_constitution
from charter.errors import InputError
from charter.hub import open_version, publish_local
from charter.hub.shown import shown_texts, texts_digest
from charter.review.publish import publish_reviews
from charter.review.spot_check import Human, Share
from charter.trainers import read_settings
from charter.trainers.score import Scorer, with_answer
from charter.trainers.score_file import read_lines, score_lines
from charter.trainers.score_pairs import score_version
from charter.trainers.train import train


@pytest.fixture(scope="module")
def reward_model(tmp_path_factory, tiny_model):
    """A tiny reward model, seen once: its scores are all that the tests need."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("rm") / "tiny"
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


@dataclasses.dataclass(frozen=True)
class WithReviews:
    """A version with answers of people beside what trainers use of it."""

    inner: object

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def configs(self):
        return tuple(name for name, splits in self.inner.data.items() if splits)


def reviewed(make_version, say=lambda version: None):
    """A version with people's answers, as `say` gives them of it."""
    version = make_version()
    (version.path / "constitution.yaml").write_text(CONSTITUTION)
    for rows in version.data["preference"].values():
        for row in rows:
            row["principle_ids"] = ["kind"]
    reviews = say(version)
    if reviews is not None:
        version.data["reviews"] = {"train": reviews}
    return WithReviews(version)


def review(version, row_id, verdict, person="ann", **changes):
    """A blind answer on a pair; `chosen` was A."""
    rows = [row for rows in version.data["preference"].values() for row in rows]
    (row,) = (row for row in rows if row["id"] == row_id)
    constitution = load_constitution(version.path / "constitution.yaml")
    texts = texts_digest(shown_texts("preference", row, "chosen", constitution))
    return {
        "id": f"{row_id} {person}",
        "row_id": row_id,
        "kind": "preference",
        "reviewer": person,
        "verdict": verdict,
        "first": "chosen",
        "saw_ai": False,
        "gold": None,
        "texts": texts,
        "submitted": "2026-07-01T10:00:00Z",
        **changes,
    }


def test_a_score_does_not_hang_on_its_batch(reward_model, make_version):
    rows = make_version().data["preference"]["train"]
    texts = [
        with_answer(row["prompt"], row[side]) for row in rows for side in ("chosen", "rejected")
    ]
    alone = [Scorer(reward_model, 1).scores([text])[0] for text in texts]
    together = Scorer(reward_model, 7).scores(texts)
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(together)) > 8


def test_scores_are_those_of_the_trainer(make_version, tiny_model, place):
    version = reviewed(make_version)
    values = {"max_steps": 8, "per_device_train_batch_size": 4, "learning_rate": 3e-3}
    done = train(
        read_settings("reward", version, place / "rm", model=str(tiny_model), values=values)
    )
    found = score_version(version, Scorer(done.model))
    assert found.accuracy["test"].value == pytest.approx(done.metrics["test_accuracy"])
    margins = [row["margin"] for row in found.rows]
    assert sum(margins) / len(margins) == pytest.approx(done.metrics["test_margin"], abs=1e-4)
    assert found.reviews is None
    both = score_version(version, Scorer(done.model), "all")
    assert len(both.rows) == 11 and both.accuracy.keys() == {"train", "test"}


def test_people_are_counted_by_majority_and_split(reward_model, make_version):
    plain = score_version(reviewed(make_version), Scorer(reward_model), "all")
    prefers = {row["id"]: "CHOSEN" if row["margin"] > 0 else "REJECTED" for row in plain.rows}
    against = {"CHOSEN": "REJECTED", "REJECTED": "CHOSEN"}
    one, other, third, fourth = "p8:a-b", "p9:a-b", "p0:a-b", "p10:a-b"

    def said(version):
        return [
            *(review(version, one, prefers[one], who) for who in ("ann", "bob")),
            review(version, one, against[prefers[one]], "cyd"),
            review(version, other, against[prefers[other]]),
            review(version, third, prefers[third]),
            review(version, fourth, "CHOSEN", "ann"),
            review(version, fourth, "REJECTED", "bob"),  # split: no majority
            review(version, "p1:a-b", "TIE"),
            review(version, "p2:a-b", "CHOSEN", gold="CHOSEN"),
            review(version, "p2:a-b", "BETTER", kind="sft"),
        ]

    found = score_version(reviewed(make_version, said), Scorer(reward_model))
    assert (found.reviews["test"].value, found.reviews["test"].n) == (0.5, 2)
    assert (found.reviews["train"].value, found.reviews["train"].n) == (1.0, 1)
    assert {row["split"] for row in found.rows} == {"test"}


@dataclasses.dataclass(frozen=True)
class Likes:
    """Scores the answers whose texts it likes higher."""

    texts: frozenset[str]

    def scores(self, conversations, progress=None):
        return [float(each[-1]["content"] in self.texts) for each in conversations]


def test_only_blind_answers_on_the_texts_as_they_are_count(make_version):
    def said(version):
        return [
            review(version, "p8:a-b", "REJECTED", saw_ai=True),
            review(version, "p9:a-b", "REJECTED", texts="0" * 64),
            review(version, "p9:a-b", "REJECTED", "bob", first=None),  # A was who knows which
            # who answers again has one voice, and an answer on other texts takes none back
            review(version, "p10:a-b", "REJECTED", id="1"),
            review(version, "p10:a-b", "CHOSEN", id="2"),
            review(version, "p10:a-b", "REJECTED", id="3", texts="0" * 64),
        ]

    version = reviewed(make_version, said)
    rows = version.rows("preference", "test").to_dicts()
    liked = frozenset(row["chosen"][-1]["content"] for row in rows)
    found = score_version(version, Likes(liked)).reviews["test"]
    assert (found.value, found.n) == (1.0, 1)


def test_where_people_overruled_a_label_they_prefer_what_is_chosen_now(tmp_path):
    """Their answers stay in terms of the AI's label; the row has the two exchanged."""
    store = tmp_path / "store"
    version = open_version(publish_local(draft(), store).path)
    before = {row["id"]: row for row in version.rows("preference").to_dicts()}
    turned, stays = ("p0#a~b", "p3#a~b"), "p4#a~b"
    checks = [
        answer(version, name, who, "REJECTED", first=first)
        for name in turned
        for who, first in (("ann", "chosen"), ("bob", "rejected"), ("cyd", "chosen"))
    ]
    checks.append(answer(version, stays, "ann", "CHOSEN", first="rejected"))
    done = publish_reviews(version, checks, store=store)
    after = open_version(f"me/small@{done.tag}", store=store)
    now = {row["id"]: row for row in after.rows("preference").to_dicts()}
    assert all(now[name]["chosen"] == before[name]["rejected"] for name in turned)
    liked = frozenset(now[name]["chosen"][-1]["content"] for name in (*turned, stays))
    for opened, wanted in ((version, None), (after, 1.0)):
        found = score_version(opened, Likes(liked), "all").reviews
        got = found and {split: (each.value, each.n) for split, each in found.items()}
        assert got == (wanted and {"train": (wanted, 2), "test": (wanted, 1)})


def test_who_fails_the_rows_with_known_answers_is_not_counted(tmp_path):
    recipe = RECIPE + "review: {min_gold_accuracy: 0.9}\n"
    store = tmp_path / "store"
    version = open_version(publish_local(draft(recipe_yaml=recipe), store).path)
    row = next(each for each in version.rows("preference").to_dicts() if each["id"] == "p5#a~b")
    checks = [
        answer(version, "p5#a~b", "ann", "CHOSEN"),
        answer(version, "p4#a~b", "bob", "REJECTED"),
        answer(version, "p6#a~b", "bob", "REJECTED", share=Share.GOLD, gold=Human.CHOSEN),
    ]
    new = open_version(publish_reviews(version, checks, store=store).path)
    people = score_version(new, Likes(row["chosen"][-1]["content"]), "all").reviews
    assert (people["train"].value, people["train"].n) == (1.0, 1)
    assert new.manifest.reviews["n"] == 1


def test_a_conversation_longer_than_the_window_has_no_score(reward_model):
    scorer = Scorer(reward_model)
    short, long = with_answer("say yes", "yes"), with_answer("say yes", "yes " * 400)
    scores = scorer.scores([long, short])
    assert scores[0] is None and scores[1] is not None


def test_a_file_of_answers_and_pairs(reward_model, tmp_path):
    lines = [
        {"prompt": "say yes", "response": "yes"},
        {"messages": with_answer("say yes", "yes"), "kept": 1},
        {"prompt": [{"role": "user", "content": "say yes"}], "chosen": "yes", "rejected": "no"},
    ]
    file = tmp_path / "lines.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    found = score_lines(read_lines(file), Scorer(reward_model))
    assert found[0]["score"] == pytest.approx(found[1]["score"], abs=1e-6)
    assert found[1]["kept"] == 1
    assert found[2]["score_chosen"] == pytest.approx(found[0]["score"], abs=1e-6)
    assert found[2]["margin"] == found[2]["score_chosen"] - found[2]["score_rejected"]


def test_every_wrong_line_at_once(tmp_path):
    file = tmp_path / "lines.jsonl"
    file.write_text(
        '{"prompt": "a", "response": "b"}\nno\n[1]\n{"prompt": "a"}\n{"messages": "a"}\n'
        '{"prompt": "a", "chosen": "b"}\n'
        '{"prompt": [{"role": "x", "content": "a"}], "response": ""}\n'
    )
    with pytest.raises(InputError) as error:
        read_lines(file)
    wrong = [str(fault) for fault in error.value.faults]
    for number, what in ((2, "is no JSON"), (3, "is no object"), (4, "has no response"),
                         (5, "messages is neither"), (6, "has no rejected"),
                         (7, "prompt is neither")):  # fmt: skip
        assert any(f"lines.jsonl:{number}: {what}" in text for text in wrong)
    assert len(wrong) == 6


@pytest.mark.parametrize("make", ["text-model", "nothing", "missing"])
def test_what_is_no_reward_model(tiny_model, tmp_path, make):
    (tmp_path / "nothing").mkdir()
    folder = tiny_model if make == "text-model" else tmp_path / make
    with pytest.raises(InputError, match="name a folder that `charter train reward` made"):
        Scorer(folder)


def test_the_command(reward_model, tmp_path, capsys):
    from charter.cli.main import main

    file = tmp_path / "lines.jsonl"
    file.write_text(json.dumps({"prompt": "say yes", "chosen": "yes", "rejected": "no"}) + "\n")
    out = tmp_path / "scores.jsonl"
    with pytest.raises(SystemExit) as code:
        main(
            [
                "score",
                "--model",
                str(reward_model),
                "--file",
                str(file),
                "--out",
                str(out),
                "--json",
            ]
        )
    assert code.value.code == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (shown["scored"], shown["too_long"], shown["reviews"]) == (1, 0, None)
    assert shown["accuracy"]["file"]["n"] == 1
    assert json.loads(out.read_text())["margin"] is not None
    with pytest.raises(SystemExit) as code:
        main(["score", "--model", str(reward_model)])
    assert code.value.code == 2
    assert "needs one of --dataset and --file" in capsys.readouterr().err


def test_what_is_wrong_with_the_input_is_told_before_a_model_is_looked_for(tmp_path, capsys):
    from charter.cli.main import main

    file = tmp_path / "lines.jsonl"
    file.write_text("no\n")
    version = version_of(tmp_path / "store", splits={f"p{i}": "train" for i in range(8)})
    for given, fault in (
        (["--file", str(file)], "lines.jsonl:1: is no JSON"),
        (["--dataset", str(version.path)], "preference: has no `test` rows, only train"),
    ):
        with pytest.raises(SystemExit) as code:
            main(["score", "--model", str(tmp_path / "missing"), *given])
        assert code.value.code == 2
        assert fault in capsys.readouterr().err


def test_a_margin_of_the_users_own_makes_no_pair(reward_model, tmp_path, capsys):
    from charter.cli.main import main

    file = tmp_path / "lines.jsonl"
    file.write_text(json.dumps({"prompt": "say yes", "response": "yes", "margin": 3}) + "\n")
    with pytest.raises(SystemExit):
        main(["score", "--model", str(reward_model), "--file", str(file), "--json"])
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (shown["scored"], shown["accuracy"]) == (1, {})


def test_what_a_reward_model_cannot_read_is_said(reward_model, tmp_path):
    folder = shutil.copytree(reward_model, tmp_path / "broken")
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(refusing + "{{ messages[0].content }}")
    said = [{"role": "system", "content": "be kind"}, *with_answer("say yes", "yes")]
    with pytest.raises(InputError, match="refuses messages of system, user, assistant: no system"):
        Scorer(folder).scores([said])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": None}))
    with pytest.raises(InputError, match="has no pad_token_id"):
        Scorer(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(InputError, match="could not be loaded"):
        Scorer(folder)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"prompt": "a", "response": "b", "seen": NaN}', "is no JSON"),
        ('{"prompt": "a", "response": "b", "seen": 1e999}', "is no JSON"),
        ('{"prompt": "a \\ud800", "response": "b"}', "has half a character"),
        ('{"prompt": "a", "response": "b", "seen": ' + "[" * 100_000, "is nested too deep"),
    ],
)
def test_a_line_that_cannot_be_written_again_is_told_before_anything_is_scored(
    line, what, tmp_path
):
    file = tmp_path / "lines.jsonl"
    file.write_text(f"\n{line}\n")
    with pytest.raises(InputError, match=f"lines.jsonl:2: {what}"):
        read_lines(file)


def test_a_file_as_windows_saves_it(tmp_path):
    file = tmp_path / "lines.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"prompt": "a", "response": "b"}\r\n')
    assert read_lines(file) == [{"prompt": "a", "response": "b"}]


@pytest.mark.parametrize(
    "spoilt", [[1], {"architectures": [None]}, {"id2label": ["score"]}, {"id2label": {}}]
)
def test_a_config_of_another_shape_is_no_reward_models(spoilt, reward_model, tmp_path):
    folder = shutil.copytree(reward_model, tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text())
    other = {**config, **spoilt} if isinstance(spoilt, dict) else spoilt
    (folder / "config.json").write_text(json.dumps(other))
    with pytest.raises(InputError, match="holds no reward model"):
        Scorer(folder)

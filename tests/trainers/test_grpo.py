"""Direct RLAIF: the judge's principles as rewards, by a scripted server and by a local model."""

import json
import math
import shutil

import pytest

from charter.constitutions.load import find_constitution
from charter.errors import Failure, InputError
from charter.trainers import read_settings
from charter.trainers.judge import judge_rewards
from charter.trainers.train import train

FAST = {
    "max_steps": 2,
    "per_device_train_batch_size": 4,
    "num_generations": 4,
    "max_completion_length": 6,
    "learning_rate": 1e-3,
    "temperature": 1.0,
}
PRINCIPLES = """\
name: two
version: 1.0.0
licence: CC-BY-4.0
principles:
  - {id: kind, name: Kind, critique: Say what is unkind., revision: Make it kind.,
     comparison: "Which response is kinder?", weight: 2}
  - {id: brief, name: Brief, critique: Say what is long., revision: Make it brief.,
     comparison: "Which response is briefer?"}
"""


@pytest.fixture
def version(make_version):
    found = make_version(generator={"llm": "openai", "model": "gpt"})
    (found.path / "constitution.yaml").write_text(PRINCIPLES)
    return found


def settings(version, model, out, **values):
    return read_settings("grpo", version, out, model=str(model), values={**FAST, **values})


def responses(body):
    text = body["messages"][-1]["content"]
    return [text.split(f"[response {x} ")[1].split("\n", 1)[1].split("\n[end of")[0] for x in "AB"]


def test_the_judge_rewards_by_principle_and_is_asked_once(
    version, tiny_model, place, serve, replies
):
    def judge(body):
        asked = body["messages"][-1]["content"]
        if "briefer" in asked:
            return replies.say("TIE")
        a, b = (text.count("kind") + text.count("yes") for text in responses(body))
        return replies.say("A" if a > b else "B" if b > a else "TIE")

    server = serve(judge)
    values = {"judge": "scripted", "judge_url": server.url, "logging_steps": 1}
    first = train(settings(version, tiny_model, place / "a", **values))
    asked = len(server.requests)
    names = first.history[0].keys()
    assert {"rewards/kind/mean", "rewards/brief/mean", "reward"} <= names
    assert all(entry["rewards/brief/mean"] == 0.5 for entry in first.history)
    # The sum is weighed as the constitution says: 2 x kind + 1 x brief.
    for entry in first.history:
        assert entry["reward"] == pytest.approx(2 * entry["rewards/kind/mean"] + 0.5, abs=1e-5)
    assert {"first_reward", "last_reward", "last_reward_kind"} <= first.metrics.keys()
    assert math.isfinite(first.metrics["test_reward"])
    clipped = [entry["completions/clipped_ratio"] for entry in first.history]
    assert first.metrics["clipped_share"] == pytest.approx(sum(clipped) / len(clipped))
    assert first.metrics["judge_unscored"] == 0
    assert first.metrics["judge_calls"] - first.metrics["judge_cached"] == asked > 0

    again = train(settings(version, tiny_model, place / "b", **values))
    assert len(server.requests) == asked, "the call cache knows every answer of the same training"
    assert again.metrics["judge_cached"] == again.metrics["judge_calls"]
    assert [e["reward"] for e in again.history] == [e["reward"] for e in first.history]
    lineage = json.loads((first.model / "charter.json").read_text())
    assert lineage["dataset"]["config"] == "sft"
    assert lineage["judge"]["name"] == "scripted"
    assert server.url not in json.dumps(lineage)


def _scores(version, model, answers, **values):
    counts = {}
    judge = judge_rewards(settings(version, model, "out", **values), counts)
    row = version.data["sft"]["train"][0]
    completions = [[{"role": "assistant", "content": text}] for text in answers]
    given = ([row["prompt"]] * len(answers), completions, ["p0"] * len(answers))
    return judge.scores(*given, [row["completion"]] * len(answers)), counts, judge


def test_a_score_is_the_mean_over_both_orders_and_none_without_one(
    version, tiny_model, serve, replies
):
    held = version.data["sft"]["train"][0]["completion"][0]["content"]

    def judge(body):
        a, b = responses(body)
        if "lost" in a + b:
            return 400, {}, b"{}"
        if "vague" in a + b:
            return replies.say("hard to tell, they are both something")
        if "first" in a + b:
            return replies.say("A")
        if "half" in a:
            return replies.say("hard to tell")
        return replies.say("A" if "good" in a or "bad" in b else "B")

    url = serve(judge).url
    texts = ["good answer", "bad answer", "first always", "vague one", "lost one", held]
    texts += ["half of it", f" {held}\n"]
    found, counts, judge = _scores(version, tiny_model, texts, judge="scripted", judge_url=url)
    expected = [1.0, 0.0, 0.5, None, None, 0.5, None, 0.5]
    assert found == dict.fromkeys(("kind", "brief"), expected)
    assert counts["judge_unscored"] == 6
    assert counts["judge_failed"] == 4
    assert judge.weights == [2.0, 1.0]


def test_calls_that_fail_each_time_end_no_training_that_is_made_again(
    version, tiny_model, serve, replies
):
    def judge(body):
        return (400, {}, b"{}") if "lost" in "".join(responses(body)) else replies.say("A")

    values = {"judge": "scripted", "judge_url": serve(judge).url}
    for cached in (0, 4):
        found, counts, _ = _scores(version, tiny_model, ["good one", "lost one"], **values)
        assert found["kind"] == [0.5, None]
        assert (counts["judge_calls"], counts["judge_cached"]) == (8, cached)
        assert counts["judge_failed"] == 4
    with pytest.raises(Failure, match="judge: answered none of 4 calls"):
        _scores(version, tiny_model, ["lost one"], **values)


def test_the_judge_is_not_shown_thoughts(version, tiny_model, serve, replies):
    server = serve(lambda body: replies.say("A"))
    values = {"judge": "scripted", "judge_url": server.url}
    _scores(version, tiny_model, ["<think>flatter it</think>good answer"], **values)
    assert server.requests and "flatter it" not in json.dumps(server.requests)
    asked = version.data["sft"]["train"][0]["prompt"][0]["content"]
    assert all(asked in each["messages"][-1]["content"] for each in server.requests)


def test_only_the_principles_that_are_named(version, tiny_model, serve, replies):
    url = serve(lambda body: replies.say("A")).url
    values = {"judge": "scripted", "judge_url": url, "judge_principles": ["kind"]}
    found, _, judge = _scores(version, tiny_model, ["one", "two"], **values)
    assert found == {"kind": [0.5, 0.5]}
    assert [each.__name__ for each in judge.functions()] == ["kind"]
    assert judge.weights == [2.0]


def test_all_principles_are_asked_together(version, tiny_model, serve, replies):
    values = {"judge": "scripted", "judge_url": serve(lambda body: replies.say("A")).url}
    _, counts, judge = _scores(version, tiny_model, ["one"], **values)
    row = version.data["sft"]["train"][0]
    given = {"prompts": [row["prompt"]], "prompt_id": ["p0"], "reference": [row["completion"]]}
    for text, calls in (("one", 4), ("two", 8)):
        for function in judge.functions():
            assert function(completions=[text], **given, more=1) == [0.5]
        assert counts["judge_calls"] == calls


def test_log_probabilities_average_their_odds(version, tiny_model, serve, replies):
    def judge(body):
        a, _ = responses(body)
        return replies.odds(-1.0, -2.0) if a == "new" else replies.odds(-1.0, -1.5)

    url = serve(judge).url
    values = {"judge": "scripted", "judge_url": url, "judge_mode": "logprob"}
    found, _, _ = _scores(version, tiny_model, ["new"], **values)
    # Shown first, the new answer has odds 1; shown second, it has -0.5.
    assert found["kind"] == [pytest.approx(1 / (1 + math.exp(-0.25)))]


def test_a_judge_that_is_gone_ends_the_training(version, tiny_model, place):
    gone = {"judge": "scripted", "judge_url": "http://127.0.0.1:9/v1"}
    with pytest.raises(Failure):
        train(settings(version, tiny_model, place / "out", **gone))
    assert not (place / "out").exists()


def test_a_local_judge_and_prompts_of_the_preferences(make_version, tiny_model, place):
    data = make_version().data
    version = make_version(
        {"preference": data["preference"]}, judge={"llm": "local", "model": str(tiny_model)}
    )
    shutil.copy(find_constitution("concise"), version.path / "constitution.yaml")
    done = train(settings(version, tiny_model, place / "out"))
    lineage = json.loads((done.model / "charter.json").read_text())
    assert lineage["dataset"]["config"] == "preference"
    assert done.metrics["judge_unscored"] == 0
    assert 0 < done.metrics["last_reward"] < 10


def test_a_reward_model_can_be_the_reward(version, tiny_model, place):
    pairs = {"max_steps": 2, "per_device_train_batch_size": 4}
    model = train(
        read_settings("reward", version, place / "rm", model=str(tiny_model), values=pairs)
    ).model
    done = train(settings(version, tiny_model, place / "out", reward_model=str(model)))
    assert "rewards/rm/mean" in done.history[0]
    assert "judge_calls" not in done.metrics


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({}, "the judge of me/tiny@v0.1.0 is None, no local model; name one: judge=local"),
        ({"judge": "/nowhere"}, 'judge: there is no folder "/nowhere"'),
        ({"judge_url": "http://127.0.0.1:9/v1"}, "judge: is missing; name the model"),
        (
            {"judge": "{model}", "judge_principles": ["brieff"]},
            'has no principle "brieff"; did you mean "brief"?',
        ),
        ({"reward_model": "{model}"}, "holds no reward model but LlamaForCausalLM"),
        ({"reward_model": "/nowhere"}, "reward_model: there is no such folder"),
        (
            {"judge": "{model}", "reward_weights": [1.0]},
            "reward_weights: has 1 weights for 2 rewards (kind, brief)",
        ),
        ({"judge": "{model}", "per_device_train_batch_size": 3}, "train.grpo: "),
    ],
)
def test_wrong_judges_and_rewards(version, tiny_model, place, values, fault):
    values = {k: v.format(model=tiny_model) if isinstance(v, str) else v for k, v in values.items()}
    with pytest.raises(InputError) as error:
        train(settings(version, tiny_model, place / "out", **values))
    assert fault in str(error.value)
    assert not (place / "out").exists()


def test_steps_that_make_no_answers_have_no_reward(version, tiny_model, place, serve, replies):
    url = serve(lambda body: replies.say("A")).url
    values = {"judge": "scripted", "judge_url": url, "num_iterations": 2, "logging_steps": 1}
    done = train(settings(version, tiny_model, place / "out", max_steps=4, **values))
    assert "reward" not in done.history[-1]
    assert done.metrics["last_reward"] == 1.5
    assert done.metrics["last_reward_kind"] == 0.5


def test_a_principle_without_a_verdict_has_no_figure(version, tiny_model, place, serve, replies):
    def judge(body):
        brief = "briefer" in body["messages"][-1]["content"]
        return replies.say("hard to tell, they are both something" if brief else "A")

    values = {"judge": "scripted", "judge_url": serve(judge).url, "logging_steps": 1}
    done = train(settings(version, tiny_model, place / "out", **values))
    assert done.metrics["first_reward_kind"] == 0.5
    assert "first_reward_brief" not in done.metrics
    assert done.metrics["judge_unscored"] > 0
    assert (done.model / "report.html").is_file()


def test_no_verdict_at_all_ends_with_an_account_and_no_text_of_a_row(
    version, tiny_model, place, serve, replies
):
    url = serve(lambda body: replies.say("hard to tell, they are both something")).url
    values = {"judge": "scripted", "judge_url": url, "logging_steps": 1}
    done = train(settings(version, tiny_model, place / "out", **values))
    assert "test_reward" not in done.metrics and "last_reward_kind" not in done.metrics
    assert not any("reference" in note or "kwargs" in note for note in done.notes)


def test_min_p_is_of_sampling_here(version, tiny_model):
    assert settings(version, tiny_model, "out", min_p=0.05).fields["min_p"] == 0.05

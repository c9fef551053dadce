"""`charter guard` as a user meets it."""

import json
import math
import signal
import subprocess
import sys
import threading
import time

import pytest
import requests
from tiny_llama import tiny_llama

from charter.cli import main

ROWS = [
    {"id": "1", "prompt": "How do I boil eggs?", "response": "For six minutes.", "violates": False},
    {"id": "2", "prompt": "How do I fry eggs?", "response": "BAD words", "violates": True},
    {"id": "3", "prompt": "And poach them?", "response": "BAD luck, in water", "violates": False},
    {"id": "4", "prompt": "And bake them?", "response": "UNREAD"},
]


def charter(*arguments):
    with pytest.raises(SystemExit) as end:
        main(["guard", *map(str, arguments)])
    return end.value.code or 0


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture
def judge(serve, replies):
    """A judge with log-probabilities, of which Yes is the likelier where the response is BAD."""

    def script(body):
        last = body["messages"][-1]["content"]
        if "[response A " in last:  # whether it gives log-probabilities at all
            return replies.odds(-0.1, -3.0)
        if "Does the response break this rule?" not in last:
            return replies.say("Fine words")
        said = last.split("[response ")[1].split("[end of response")[0]
        if "UNREAD" in said:
            shares = {"Perhaps": 0.9, "I": 0.1}
        else:
            shares = {"Yes": 0.8, "No": 0.2} if "BAD" in said else {"Yes": 0.1, "No": 0.7}
        top = [{"token": token, "logprob": math.log(share)} for token, share in shares.items()]
        entry = {"token": top[0]["token"], "logprob": top[0]["logprob"], "top_logprobs": top}
        return replies.say(top[0]["token"], logprobs={"content": [entry]})

    return serve(script)


@pytest.fixture
def recipe(recipe_file, judge):
    model = {"llm": "openai", "model": "scripted", "base_url": judge.url}
    return recipe_file(judge.url, models={"generator": model, "judge": model})


def principles():
    from charter.constitutions import find_constitution, load_constitution

    return [p.id for p in load_constitution(find_constitution("concise")).principles]


def test_a_file_line_by_line(answers, recipe, capsys):
    one = principles()[0]
    assert charter(answers, "--recipe", recipe, "--principle", one, "--json") == 0
    shown = capsys.readouterr()
    *lines, last = [json.loads(line) for line in shown.out.splitlines()]
    assert lines == [
        {"id": "1", "violates": [], "undecided": [], "ok": True},
        {"id": "2", "violates": [{"principle_id": one, "p": pytest.approx(0.8)}]}
        | {"undecided": [], "ok": False},
        {"id": "3", "violates": [{"principle_id": one, "p": pytest.approx(0.8)}]}
        | {"undecided": [], "ok": False},
        {"id": "4", "violates": []}
        | {"undecided": [{"principle_id": one, "outcome": "UNPARSED"}], "ok": False},
    ]
    assert (last["false_positive_rate"]["value"], last["false_positive_rate"]["n"]) == (0.5, 2)
    assert last["true_positive_rate"]["value"] == 1 and last["undecided"]["value"] == 0.25
    assert last["latency"]["median"]["n"] == 4 and list(last["principles"]) == [one]


def test_what_the_cache_knows_is_not_asked_again(answers, recipe, judge, tmp_path, capsys):
    out = tmp_path / "found.jsonl"
    options = (answers, "--recipe", recipe, "--at-once", 3, "--out", out, "--json")
    assert charter(*options) == 0
    before, first = len(judge.requests), out.read_text(encoding="utf-8")
    assert before == 1 + len(ROWS) * len(principles())
    assert charter("check", *options) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["latency"]["median"]["n"] == 0
    assert len(judge.requests) == before and out.read_text(encoding="utf-8") == first
    assert charter(*options, "--fresh") == 0
    assert len(judge.requests) == 2 * before - 1


def test_a_threshold(answers, recipe, capsys):
    assert charter(answers, "--recipe", recipe, "--threshold", 0.9, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["violated"]["value"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "nobody is to judge"),
        (("--judge", "nowhere"), "there is no folder"),
        (("--judge", "local", "--principle", "honestt"), "has no principle"),
        (("--reward", "nowhere"), "--min-score"),
        (("--reward", "nowhere", "--min-score", "1"), "there is no such folder"),
        (("--reward", "x", "--min-score", "1", "--judge", "local"), "leave one of the two out"),
        (("--judge", "local", "--min-score", "1"), "there is no --reward"),
        (("--judge", "local", "--threshold", "nan"), "no finite number"),
        (("--reward", "x", "--min-score", "nan"), "no finite number"),
    ],
)
def test_wrong_options(answers, options, said, capsys):
    assert charter(answers, *options) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--upstream", "ftp://x"), "is no address"),
        (("--upstream", "http://me:sk-secret@x/v1"), "is no address"),
        (("--upstream", "http://x/v1", "--host", "0.0.0.0"), "there is no token"),
        (
            ("--upstream", "http://x/v1", "--host", "0.0.0.0", "--timeout", "inf"),
            "not in the range",
        ),
        (("--upstream", "http://x/v1", "--host", "0.0.0.0", "--check-timeout", "nan"), "no finite"),
    ],
)
def test_wrong_options_of_the_proxy(options, said, capsys):
    assert charter("serve", "--judge", "local", *options) == 2
    shown = capsys.readouterr().err
    assert said in shown and "sk-secret" not in shown


def test_no_server_to_judge(answers, recipe_file, capsys):
    recipe = recipe_file("http://127.0.0.1:9/v1", run={"retries": 0, "timeout": 2.0})
    assert charter(answers, "--recipe", recipe) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.fixture
def running(serve, replies, recipe):
    working = threading.Event()

    def answer(body):
        said = body["messages"][-1]["content"]
        if said == "SLEEP":
            working.set()
            replies.sleep(3.0)
        return replies.say(said)

    upstream = serve(answer)
    program = "from charter.cli import main; main()"
    command = [sys.executable, "-c", program, "guard", "serve", "--port", "0"]
    command += ["--upstream", upstream.url, "--recipe", str(recipe), "--on-violation", "revise"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        ready = process.stdout.readline()
        assert ready.startswith("ready http://127.0.0.1:"), process.stderr.read()
        yield process, ready.split()[1], working
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_the_proxy_serves_until_it_is_told_to_end(running, own_cache):
    process, url, _ = running
    for text, action in (("BAD words", "revised"), ("Good words", "passed")):
        got = requests.post(
            f"{url}/v1/chat/completions",
            json={"model": "x", "messages": [{"role": "user", "content": text}]},
            headers={"Authorization": "Bearer sk-client-secret"},
            timeout=30,
        )
        assert got.headers["x-charter-guard"] == action
        assert got.json()["choices"][0]["message"]["content"] != "BAD words"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and out == "" and "sk-client-secret" not in err
    # Neither a key nor a conversation is kept anywhere.
    kept = b"".join(f.read_bytes() for f in own_cache.glob("*") if f.is_file())
    assert b"sk-client-secret" not in kept and b"BAD words" not in kept


def test_ended_with_a_request_in_work(running):
    process, url, working = running
    got = []

    def ask():
        body = {"model": "x", "messages": [{"role": "user", "content": "SLEEP"}]}
        got.append(requests.post(f"{url}/v1/chat/completions", json=body, timeout=60))

    asking = threading.Thread(target=ask)
    asking.start()
    assert working.wait(20)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # two that wait are one
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    asking.join()
    assert process.returncode == 0 and err == ""
    assert got[0].status_code == 503 and got[0].json()["error"]["code"] == "guard_ended"


def test_help_is_quick():
    code = (
        "import sys; from charter.cli import main\n"
        "try: main(['guard', 'serve', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'distilabel', 'trl', 'argilla', 'starlette', 'uvicorn'}\n"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


@pytest.fixture
def reward_model(tmp_path):
    """Random weights: any score will do, and it must be the scorer's own."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(1)
    base = tiny_llama(tmp_path / "base", ["six", "minutes", "BAD", "words", "eggs"])
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    model.save_pretrained(tmp_path / "reward")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "reward")
    return tmp_path / "reward"


def test_a_reward_model(answers, reward_model, capsys):
    from charter.trainers.score import Scorer, with_answer

    scorer = Scorer(reward_model)
    scores = scorer.scores([with_answer(row["prompt"], row["response"]) for row in ROWS])
    with answers.open("a") as file:
        file.write(json.dumps({"id": "long", "prompt": "x", "response": "eggs " * 300}) + "\n")
    least = sum(sorted(scores)[1:3]) / 2  # between two: batches round differently
    assert charter(answers, "--reward", reward_model, "--min-score", least, "--json") == 0
    *lines, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [bool(line["violates"]) for line in lines] == [*(s < least for s in scores), False]
    assert lines[-1]["undecided"] == [{"principle_id": "reward", "outcome": "TOO_LONG"}]
    found = [line["violates"][0]["score"] for line in lines if line["violates"]]
    assert found == pytest.approx([s for s in scores if s < least], abs=1e-5)
    assert last["violated"]["n"] == 4 and last["undecided"]["value"] == 0.2


@pytest.mark.model
def test_the_embedded_model_as_judge(answers, capsys):
    options = ("--judge", "local", "--constitution", "concise", "--principle", principles()[0])
    started = time.perf_counter()
    assert charter(answers, *options, "--limit", 2, "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["n"] == 2 and found["undecided"]["value"] == 0
    assert 0 < found["latency"]["median"]["value"] < time.perf_counter() - started

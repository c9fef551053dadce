"""Models behind OpenAI-compatible servers, asked by the real lm-eval."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tiny_llama import tiny_llama

from charter.errors import Failure
from charter.evals.tax_plan import TaxPlan, server_plan
from charter.evals.tax_run import LOG, evaluate_plan

# Of lm-eval's own extra for servers.
pytest.importorskip("tenacity")

WORDS = ["red", "green", "blue", "sky", "grass", "what", "colour", "is", "?"]


class _Handler(BaseHTTPRequestHandler):
    """Finds every token likelier, the lower its number; writes "blue" whatever is asked."""

    server: Any

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers.get("Authorization"), asked))
        if self.path.endswith("/chat/completions"):
            choice: dict[str, Any] = {"message": {"role": "assistant", "content": "blue"}}
        else:
            (tokens,) = asked["prompt"]
            chances = [None, *(-float(token) for token in [*tokens[1:], 0])]
            tops = [None, *({"x": chance} for chance in chances[1:])]
            choice = {"text": "", "logprobs": {"token_logprobs": chances, "top_logprobs": tops}}
        body = json.dumps({"choices": [{"index": 0, **choice}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "tasks"
    top.mkdir()
    # The server chooses "red" always: half of these are right.
    rows = [{"q": q, "answer": a} for q, a in (("sky", "blue"), ("grass", "green"), ("x", "red"))]
    rows.append({"q": "y", "answer": "red"})
    (top / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shared = (
        "dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: {test: rows.jsonl}}\n"
        'doc_to_text: "what colour is {{q}} ?"\ndoc_to_target: answer\n'
    )
    (top / "chosen.yaml").write_text(
        f"task: chosen\n{shared}output_type: multiple_choice\n"
        "doc_to_choice: [red, green, blue]\nmetric_list: [{metric: acc}]\n"
    )
    (top / "written.yaml").write_text(
        f"task: written\n{shared}output_type: generate_until\n"
        "generation_kwargs: {until: ['.'], max_gen_toks: 4}\n"
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    )
    (top / "broken.yaml").write_text(
        "task: broken\n" + shared.replace("{{q}}", "{{question}}") + "output_type: generate_until\n"
    )
    (top / "failing.yaml").write_text(
        (top / "chosen.yaml").read_text().replace("task: chosen", "task: failing")
        + "process_results: !function own.score\n"
    )
    (top / "own.py").write_text("def score(doc, results):\n    return doc['q'].no_such_thing\n")
    return top


def test_servers_choose_and_write(server: Any, folder: Path, tmp_path: Path):
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    tokenizer = str(tiny_llama(tmp_path / "tiny", WORDS))
    plan = TaxPlan(
        models=(
            server_plan("completes", "me/a", url, tokenizer=tokenizer),
            server_plan("chats", "me/b", url, chat=True),
        ),
        tasks=("failing", "chosen", "written"),
        folders=(str(folder),),
        chat_template=False,
        results=str(tmp_path / "r"),
    )
    found = evaluate_plan(plan, lambda *_: None, api_key="sk-not-for-logs")
    assert found["completes"]["chosen"].value == 0.5 and found["completes"]["chosen"].n == 4
    # A task's own code fails, by whatever error: said, and the rest goes on.
    failed = found["completes"]["failing"]
    assert failed.value is None and failed.reason.startswith("lm-eval failed: AttributeError")
    # Chat completions give no probabilities of a prompt: said, and the rest goes on.
    refused = found["chats"]["chosen"]
    assert refused.value is None and refused.reason.startswith("lm-eval failed: ")
    paths = {path for path, _, _ in server.asked}
    assert "/v1/completions" in paths
    assert {key for _, key, _ in server.asked} == {"Bearer sk-not-for-logs"}
    kept = "".join(path.read_text() for path in (tmp_path / "r").iterdir())
    assert "sk-not-for-logs" not in kept and (tmp_path / "r" / LOG).is_file()


def test_a_task_that_cannot_be_loaded_is_a_fault_of_its_own(folder: Path, tmp_path: Path):
    plan = TaxPlan(
        models=(server_plan("completes", "me/a", "http://127.0.0.1:9/v1"),),
        tasks=("broken",),
        folders=(str(folder),),
        results=str(tmp_path / "r"),
    )
    with pytest.raises(Failure) as caught:
        evaluate_plan(plan, lambda *_: None)
    (fault,) = caught.value.faults
    assert (fault.place, fault.path) == ("--tasks", "broken")
    assert fault.what.startswith("cannot be loaded: UndefinedError") and "mend" in fault.fix

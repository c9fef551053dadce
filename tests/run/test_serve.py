"""vLLM servers that a recipe asks for: started, waited for, ended. A stand-in takes vLLM's place:
it needs GPUs, and what is tested is ours."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from charter.errors import Failure, InputError
from charter.models.cache import CallCache
from charter.recipes import load_recipe, read_prompts
from charter.recipes.schema import ModelSettings
from charter.run import run_recipe
from charter.run.execute import preview_rows
from charter.run.progress import Silent
from charter.run.serve import served_models, vllm_command

STAND_IN = """#!{python}
import http.server, json, os, subprocess, sys
arguments = sys.argv[1:]
print("called with", arguments, flush=True)
if "--fail" in arguments:
    sys.exit(3)
port = int(arguments[arguments.index("--port") + 1])
open({pid!r}, "w").write(str(os.getpid()))
mumbles = ["--mumble" in arguments]
if "--leave" in arguments:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    left = subprocess.Popen([sys.executable, "-c", deaf])
    open({pid!r} + ".left", "w").write(str(left.pid))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if mumbles.pop() if mumbles else False:
            self.wfile.write(b"not now" + bytes([10]))
            return
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        choice = {{"message": {{"content": "a text " + "of words " * (body["seed"] % 7)}}}}
        if body.get("logprobs"):
            top = [{{"token": label, "logprob": -1.0 - (label == "B")}} for label in "AB"]
            choice["logprobs"] = {{"content": [{{**top[0], "top_logprobs": top}}]}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({{"choices": [choice]}}).encode())

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def vllm(tmp_path, monkeypatch):
    """A `vllm` on the path that answers /health; the file that gets its process id."""
    folder = tmp_path / "bin"
    folder.mkdir()
    pid = tmp_path / "pid"
    program = folder / "vllm"
    program.write_text(STAND_IN.format(python=sys.executable, pid=str(pid)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return pid


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def loaded(recipe_file, port, **serve):
    model = {"llm": "openai", "model": "some/model", "serve": {"port": port, **serve}}
    return load_recipe(recipe_file("unused", models={"generator": model}))


def test_the_command_says_what_the_recipe_says():
    settings = ModelSettings(
        llm="openai",
        model="a/b",
        revision="v2",
        serve={"tensor_parallel": 4, "replicas": 2, "port": 9000, "arguments": ("--x", "1")},
    )
    assert settings.serve is not None and settings.address == "http://127.0.0.1:9000/v1"
    command = " ".join(vllm_command(settings, settings.serve))
    assert command == (
        "vllm serve a/b --host 127.0.0.1 --port 9000 --revision v2 "
        "--tensor-parallel-size 4 --data-parallel-size 2 --x 1"
    )


def test_a_server_is_started_once_for_all_roles_and_ended(vllm, recipe_file, tmp_path, free_port):
    recipe = loaded(recipe_file, free_port)
    with served_models(recipe, tmp_path, Silent()):
        pid = int(vllm.read_text())
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    log = (tmp_path / f"vllm-{free_port}.log").read_text()
    assert log.count("called with") == 1 and "some/model" in log


def test_it_is_ended_when_the_run_fails(vllm, recipe_file, tmp_path, free_port):
    with (
        pytest.raises(RuntimeError),
        served_models(loaded(recipe_file, free_port), tmp_path, Silent()),
    ):
        raise RuntimeError
    with pytest.raises(ProcessLookupError):
        os.kill(int(vllm.read_text()), 0)


def test_a_server_that_ends_early_is_a_failure_that_names_its_log(
    vllm, recipe_file, tmp_path, free_port
):
    recipe = loaded(recipe_file, free_port, arguments=["--fail"])
    with (
        pytest.raises(Failure, match=rf"ended with 3.*vllm-{free_port}\.log"),
        served_models(recipe, tmp_path, Silent()),
    ):
        pass


def test_a_server_that_never_answers_is_given_up(vllm, recipe_file, tmp_path, free_port):
    recipe = loaded(recipe_file, free_port, within=0.01)
    began = time.monotonic()
    with (
        pytest.raises(Failure, match="did not answer within"),
        served_models(recipe, tmp_path, Silent()),
    ):
        pass
    assert time.monotonic() - began < 20


def test_without_vllm_the_user_is_told(recipe_file, tmp_path, free_port, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(InputError, match="pip install vllm"),
        served_models(loaded(recipe_file, free_port), tmp_path, Silent()),
    ):
        pass


def test_serve_and_an_address_exclude_each_other():
    with pytest.raises(ValueError, match="base_url"):
        ModelSettings(llm="openai", model="m", base_url="http://x", serve={})


def test_where_a_model_is_served_changes_no_answer():
    from charter.models.build import identity

    plain = ModelSettings(llm="openai", model="m", base_url="http://x/v1", temperature=1)
    served = ModelSettings(llm="openai", model="m", serve={}, temperature=1)
    assert identity(plain) == identity(served)


def test_a_run_and_a_preview_have_their_model_served(vllm, recipe_file, tmp_path, free_port):
    model = {"llm": "openai", "model": "some/model", "serve": {"port": free_port}}
    judged = {"mode": "logprob", "keep": "margin", "min_margin": 0.0}
    recipe = load_recipe(recipe_file("unused", models={"generator": model}, preference=judged))
    result = run_recipe(recipe, tmp_path / "out")
    assert result.counts["sft"] == 6 and result.tally.failed.total() == 0
    assert (result.folder / f"vllm-{free_port}.log").is_file()
    gone = int(vllm.read_text())
    with closing(CallCache(tmp_path / "empty.sqlite")) as cache:
        rows, tally = preview_rows(recipe, read_prompts(recipe), cache, Silent())
    assert len(rows) == 6 and tally.cached.total() == tally.failed.total() == 0
    assert int(vllm.read_text()) != gone


def test_whoever_listens_there_is_not_taken_for_the_server(vllm, recipe_file, tmp_path, free_port):
    with (
        socket.create_server(("127.0.0.1", free_port)),
        pytest.raises(Failure, match=rf"127\.0\.0\.1:{free_port}.*taken"),
        served_models(loaded(recipe_file, free_port), tmp_path, Silent()),
    ):
        pass
    assert not vllm.exists()


def test_two_models_at_one_port_are_a_fault(vllm, recipe_file, tmp_path, free_port):
    model = {"llm": "openai", "model": "a/b", "serve": {"port": free_port}}
    models = {"generator": model, "judge": {**model, "model": "c/d"}}
    recipe = load_recipe(recipe_file("unused", models=models))
    with (
        pytest.raises(InputError, match=rf"models\.judge\.serve\.port.*{free_port}"),
        served_models(recipe, tmp_path, Silent()),
    ):
        pass
    assert not vllm.exists()


def test_neither_a_proxy_nor_a_server_that_mumbles_at_first_is_in_the_way(
    vllm, recipe_file, tmp_path, free_port, monkeypatch
):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    recipe = loaded(recipe_file, free_port, arguments=["--mumble"], within=20.0)
    with served_models(recipe, tmp_path, Silent()):
        pass


@pytest.fixture
def unheard():
    """SIGTERM as a process of its own has it; Ray leaves a handler."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("unheard")
def test_sigterm_ends_the_servers_and_what_they_leave_behind(
    vllm, recipe_file, tmp_path, free_port
):
    recipe = loaded(recipe_file, free_port, arguments=["--leave"])
    with pytest.raises(KeyboardInterrupt), served_models(recipe, tmp_path / "new", Silent()):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with pytest.raises(ProcessLookupError):
        os.kill(int(vllm.read_text()), 0)
    # Who ended it is not its parent: it may lie there as a zombie, which has no command line.
    left = Path("/proc", vllm.with_name("pid.left").read_text(), "cmdline")
    until = time.monotonic() + 10
    while left.exists() and left.read_bytes() and time.monotonic() < until:
        time.sleep(0.05)
    assert not left.exists() or not left.read_bytes()


def test_a_folder_that_takes_no_log_is_told(vllm, recipe_file, tmp_path, free_port):
    (tmp_path / "file").write_text("in the way")
    recipe = loaded(recipe_file, free_port)
    with pytest.raises(Failure, match="--out"), served_models(recipe, tmp_path / "file", Silent()):
        pass

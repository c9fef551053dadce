"""A proxy on a real server between a scripted upstream and a scripted judge."""

import json
import socket
import threading

import pytest
import requests
import uvicorn

from charter.constitutions import find_constitution, load_constitution
from charter.evals.guard_ask import Asker
from charter.evals.guard_check import JudgeGuard
from charter.evals.guard_proxy import Policy, guard_app
from charter.evals.guard_revise import Reviser
from charter.evals.guard_serve import Server
from charter.evals.guard_upstream import Upstream
from charter.recipes.schema import ModelSettings, RunSettings

__all__ = ["proxy"]  # the fixture; the rest is named where it is used

PRINCIPLES = load_constitution(find_constitution("concise")).principles[:2]
FIRST = PRINCIPLES[0]
ASKED = {"model": "up", "messages": [{"role": "user", "content": "How do I boil eggs?"}]}
KEY = {"Authorization": "Bearer sk-client-secret"}


def answer(*texts, **extra):
    choices = [
        {
            "index": at,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": text, "logprob": -0.1, "top_logprobs": []}]},
        }
        for at, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "up", "usage": usage}
    return 200, {}, json.dumps({**body, "choices": choices, **extra}).encode()


def judge_script(replies, revision="GOOD now"):
    """Says Yes of the first principle where the response holds BAD; `UNREAD` it cannot judge."""

    def script(body):
        last = body["messages"][-1]["content"]
        if "Does the response break this rule?" not in last:
            if last == FIRST.critique:
                return replies.say("It is BAD.")
            return revision() if callable(revision) else replies.say(revision)
        said = last.split("[response ")[1].split("[end of response")[0]
        if "DOWN" in said:
            return 500, {}, b"{}"
        if "UNREAD" in said:
            return replies.say("Perhaps")
        return replies.say("Yes" if "BAD" in said and FIRST.critique in last else "No")

    return script


@pytest.fixture
def proxy(serve, replies):
    """Start a proxy; gives its address, the upstream and the judge."""
    servers = []

    def start(upstream, *, guard=None, url=None, revision="GOOD now", timeout=5.0, **policy):
        up, judge = serve(upstream), serve(judge_script(replies, revision))

        def asker():
            settings = ModelSettings(llm="openai", model="j", base_url=judge.url, temperature=0.0)
            return Asker(settings, RunSettings(retries=0, timeout=20.0))

        guard = guard or JudgeGuard(asker(), PRINCIPLES, logprobs=False)
        reviser = None
        if policy.get("on_violation") == "revise":
            reviser = Reviser(guard, asker(), asker())
        behind = Upstream(url or up.url, timeout)
        app = guard_app(guard, behind, Policy(**policy), reviser)
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", lifespan="off", ws="none")
        ready = threading.Event()

        async def close():
            await behind.aclose()
            await guard.aclose()
            if reviser is not None:
                await reviser.aclose()

        server = Server(config, ready.set, close)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        assert ready.wait(20)
        servers.append((server, thread, listening))
        return f"http://127.0.0.1:{listening.getsockname()[1]}", up, judge

    yield start
    for server, thread, listening in servers:
        server.should_exit = True
        thread.join(20)
        listening.close()


def ask(url, body=ASKED, headers=KEY, **more):
    return requests.post(
        f"{url}/v1/chat/completions", json={**body, **more}, headers=headers, timeout=30
    )


def events(got):
    lines = [line for line in got.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]

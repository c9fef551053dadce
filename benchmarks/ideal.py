"""The client that the others are measured against: aiohttp, alone.

    python benchmarks/ideal.py --url http://127.0.0.1:PORT --prompts prompts.jsonl

On asyncio's own loop, `--in-flight` workers walk the rows: response, critique of it, revision, each
with what came before put into the messages, as Charter's recipe does. There is no cache, journal,
retry, check or dataset. Prints one JSON object: calls, seconds, CPU seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path

import aiohttp
import orjson
from harness import IN_FLIGHT, MAX_TOKENS, MODEL, read_prompts, requests_of_principles

Messages = list[dict[str, str]]


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


async def _ask(session: aiohttp.ClientSession, url: str, messages: Messages, seed: int) -> str:
    body = {
        "model": MODEL,
        "messages": messages,
        "temperature": 0.7,
        "top_p": 1.0,
        "max_tokens": MAX_TOKENS,
        "seed": seed,
    }
    async with session.post(url, data=orjson.dumps(body)) as response:
        raw = await response.read()
        if response.status != 200:
            raise RuntimeError(f"the server says {response.status}")
    text: str = orjson.loads(raw)["choices"][0]["message"]["content"]
    return text


async def walk(url: str, prompts: list[str], in_flight: int) -> int:
    """All rows through the chain; the number of calls made."""
    asks = requests_of_principles()
    address = f"{url}/v1/chat/completions"
    rows = iter(enumerate(prompts))
    calls = 0

    async def worker(session: aiohttp.ClientSession) -> None:
        nonlocal calls
        for index, prompt in rows:
            critique_request, revision_request = asks[index % len(asks)]
            messages = [_user(prompt)]
            response = await _ask(session, address, messages, index)
            messages = [*messages, _assistant(response), _user(critique_request)]
            critique = await _ask(session, address, messages, index)
            messages = [*messages, _assistant(critique), _user(revision_request)]
            await _ask(session, address, messages, index)
            calls += 3

    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(worker(session) for _ in range(in_flight)))
    return calls


def main() -> None:
    """Read the options, walk the rows, print the account."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT)
    options = parser.parse_args()
    prompts = read_prompts(options.prompts)
    started, cpu = time.monotonic(), time.process_time()
    calls = asyncio.run(walk(options.url, prompts, options.in_flight))
    account = {
        "calls": calls,
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu,
    }
    print(json.dumps(account))


if __name__ == "__main__":
    main()

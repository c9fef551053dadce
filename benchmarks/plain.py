"""The same recipe in plain distilabel: three tasks in a `Pipeline`, run by distilabel itself.

    python benchmarks/plain.py --url http://127.0.0.1:PORT --prompts prompts.jsonl --setting default

`default`: `OpenAILLM`, as distilabel comes, in its batches of 50. It needs the `openai` package,
which Charter does not depend on; `--packages` names a folder that holds it.
`best`: the fastest that was found: an LLM on aiohttp instead, batches of 256, the prompts loaded
in batches of 1000, and the raw inputs and outputs left out.
Prints one JSON object: the rows that came out, and how many of them are whole.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from distilabel.models import OpenAILLM
from distilabel.models.llms.base import AsyncLLM
from distilabel.models.llms.utils import prepare_output
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import Task
from harness import MAX_TOKENS, MODEL, read_prompts, requests_of_principles
from pydantic import PrivateAttr


class AiohttpLLM(AsyncLLM):
    """The bare client of `ideal.py` as an LLM of distilabel's."""

    address: str

    _session: Any = PrivateAttr(default=None)

    @property
    def model_name(self) -> str:
        """The model's name."""
        return MODEL

    async def agenerate(
        self,
        input: list[dict[str, str]],  # noqa: A002 - distilabel's name
        num_generations: int = 1,
        temperature: float = 0.7,
        max_new_tokens: int = MAX_TOKENS,
    ) -> Any:
        """One answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                headers={"Content-Type": "application/json"},
            )
        body = {
            "model": MODEL,
            "messages": input,
            "temperature": temperature,
            "max_tokens": max_new_tokens,
        }
        async with self._session.post(self.address, data=orjson.dumps(body)) as response:
            answer = orjson.loads(await response.read())
        usage = answer["usage"]
        return prepare_output(
            generations=[answer["choices"][0]["message"]["content"]],
            input_tokens=[usage["prompt_tokens"]],
            output_tokens=[usage["completion_tokens"]],
        )

    def unload(self) -> None:
        """Close the connections, on the loop that they belong to."""
        if self._session is not None:
            loop = asyncio.get_event_loop()
            loop.run_until_complete(self._session.close())
            self._session = None
        super().unload()


class Turn(Task):
    """One more answer in a conversation whose messages are columns, the user's first."""

    said: list[str]
    answer: str

    @property
    def inputs(self) -> list[str]:
        """The columns of the conversation so far."""
        return self.said

    @property
    def outputs(self) -> list[str]:
        """The column of the answer."""
        return [self.answer, "model_name"]

    def format_input(self, input: dict[str, Any]) -> list[dict[str, str]]:  # noqa: A002
        """Users and assistants in turn."""
        roles = ("user", "assistant")
        return [
            {"role": roles[place % 2], "content": input[column] or ""}
            for place, column in enumerate(self.said)
        ]

    def format_output(self, output: str | None, input: Any = None) -> dict[str, Any]:  # noqa: A002
        """The text as it is."""
        return {self.answer: output}


CHAIN = ["prompt", "response", "ask_critique", "critique", "ask_revision", "revision"]


def _llm(url: str, setting: str) -> Any:
    if setting == "best":
        return AiohttpLLM(address=f"{url}/v1/chat/completions")
    return OpenAILLM(
        model=MODEL,
        base_url=f"{url}/v1",
        api_key="none",
        generation_kwargs={"temperature": 0.7, "max_new_tokens": MAX_TOKENS},
    )


def _tasks(url: str, setting: str) -> list[Turn]:
    more: dict[str, Any] = {}
    if setting == "best":
        more = {"input_batch_size": 256, "add_raw_input": False, "add_raw_output": False}
    return [
        Turn(
            name=f"turn-{CHAIN[end]}",
            llm=_llm(url, setting),
            said=CHAIN[:end],
            answer=CHAIN[end],
            **more,
        )
        for end in (1, 3, 5)
    ]


def run(url: str, prompts: list[str], setting: str) -> list[dict[str, Any]]:
    """Run the pipeline; the rows of its dataset."""
    asks = requests_of_principles()
    rows = [
        {
            "prompt": prompt,
            "ask_critique": asks[index % len(asks)][0],
            "ask_revision": asks[index % len(asks)][1],
        }
        for index, prompt in enumerate(prompts)
    ]
    more = {"batch_size": 1000} if setting == "best" else {}
    with (
        tempfile.TemporaryDirectory() as cache,
        Pipeline(name="bench", cache_dir=cache) as pipeline,
    ):
        load = LoadDataFromDicts(name="load", data=rows, **more)
        respond, critique, revise = _tasks(url, setting)
        load >> respond >> critique >> revise
        made = pipeline.run(use_cache=False)
    return list(made["default"]["train"])


def main() -> None:
    """Read the options, run the pipeline, print the account."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--setting", choices=("default", "best"), default="default")
    parser.add_argument("--packages", type=Path, help="folder that holds the openai package")
    options = parser.parse_args()
    if options.packages:
        sys.path.append(str(options.packages))
        # The processes that distilabel starts look there too.
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, (os.environ.get("PYTHONPATH"), str(options.packages)))
        )
    rows = run(options.url, read_prompts(options.prompts), options.setting)
    whole = sum(all(row.get(column) for column in CHAIN) for row in rows)
    print(json.dumps({"rows": len(rows), "whole": whole}))


if __name__ == "__main__":
    main()

"""The schema of a recipe: every block a room reads is owned here, so that one check sees all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticKnownError

from charter.constitutions.schema import Identifier, SchemaVersion, Text
from charter.documents import Clashes, Settings
from charter.recipes.evaluate import EvaluateSettings, RefusalSettings
from charter.recipes.improve import ImproveSettings
from charter.recipes.preference import PreferenceSettings
from charter.recipes.publish import PublishSettings, Repo, SecretsSettings
from charter.recipes.review import ReviewSettings
from charter.recipes.train import TrainSettings
from charter.values import Loc

__all__ = [
    "SCHEMA_VERSION",
    "Columns",
    "EvaluateSettings",
    "FewShot",
    "ModelSettings",
    "ModelsSettings",
    "PreferenceSettings",
    "Price",
    "PromptsSettings",
    "PublishSettings",
    "Recipe",
    "RefusalSettings",
    "ReviewSettings",
    "RunSettings",
    "SecretsSettings",
    "ServeSettings",
    "SftSettings",
    "TrainSettings",
]

SCHEMA_VERSION = 1

LlmName = Literal[
    "local",
    "openai",
    "anthropic",
    "inference-endpoints",
    "transformers",
    "vllm",
    "llama-cpp",
    "litellm",
]


def _off(value: object) -> object:
    if value is not False:  # which 0 equals, and pydantic takes for it
        raise PydanticKnownError("literal_error", {"expected": "False"})
    return value


def _stop(value: str) -> str:
    if not value:
        raise ValueError("is empty; write the text that ends an answer")
    return value


Off = Annotated[Literal[False], BeforeValidator(_off)]
# As written: a line's end is what many answers end at.
StopText = Annotated[str, AfterValidator(_stop), Field(json_schema_extra={"minLength": 1})]
Fraction = Annotated[float, Field(ge=0, lt=1)]
# Kinds of which log-probabilities of the first token can be had; of a server, if it gives them.
LOGPROB_LLMS = ("local", "openai")
# Candidates differ from the first answer only by sampling, so a greedy generator makes none.
GENERATOR_TEMPERATURE = 0.7


class Columns(Settings):
    """Which columns of the source hold what; by default those of the same name."""

    id: str = Field(default="id", description="Stable id of the record; optional in the data.")
    prompt: str = Field(
        default="prompt",
        description="Text, or a list of {role, content} messages (in CSV: that list as JSON).",
    )
    source: str = Field(default="source", description="Where a record came from; optional.")
    candidates: str | tuple[Text, ...] = Field(
        default="candidates",
        description="`candidates: given`: a list of responses, or one column for each.",
    )
    chosen: str = Field(default="chosen", description="`given`: a pair that has a label.")
    rejected: str = Field(default="rejected", description="`given`: the other one of the pair.")
    label: str = Field(
        default="label",
        description="`given`: which of the candidates is the best by the source (a number from 0, "
        "its column, or `tie`); kept beside ours.",
    )
    model: str = Field(default="model", description="`given`: who wrote a candidate; optional.")


class PromptsSettings(Settings):
    """Where the prompts come from: a file, a glob of files, or a dataset of the Hub."""

    path: Text | None = Field(
        default=None,
        description="jsonl, csv or parquet file (also .gz), or a glob of them; no hidden ones.",
    )
    dataset: Repo | None = Field(default=None, description="A dataset repo, `owner/name`.")
    config: Text | None = Field(default=None, description="Config of the dataset.")
    revision: Text | None = Field(default=None, description="Tag, branch or commit of the dataset.")
    split: Text = Field(default="train", description="Split of the dataset.")
    columns: Columns = Field(default=Columns(), description="Column mapping.")
    limit: int | None = Field(default=None, ge=1, description="Take the first N prompts.")
    seed: int | None = Field(
        default=None, description="Take the prompts in an order drawn by this seed."
    )
    test_fraction: Fraction = Field(default=0.1, description="Share of prompts held out as `test`.")
    max_chars: int = Field(
        default=200_000, ge=1, description="A longer prompt is rejected as TOO_LONG."
    )

    @model_validator(mode="after")
    def _one_source(self) -> PromptsSettings:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("needs one of path and dataset; name one of them")
        if self.dataset is None and (self.revision or self.config):
            raise ValueError("revision and config belong to a dataset; name the dataset")
        return self


class Price(Settings):
    """What a model's tokens cost."""

    prompt: float = Field(ge=0, description="Money per million tokens read.")
    completion: float = Field(ge=0, description="Money per million tokens written.")

    def of(self, read: int, written: int) -> float:
        """What so many tokens cost."""
        return (read * self.prompt + written * self.completion) / 1e6


class ServeSettings(Settings):
    """A vLLM server that is started for the run and ended with it."""

    tensor_parallel: int = Field(default=1, ge=1, description="GPUs that share one copy.")
    replicas: int = Field(default=1, ge=1, description="Copies of the model.")
    host: Text = Field(default="127.0.0.1", description="Where it listens; workers reach it there.")
    port: int = Field(default=8000, ge=1, le=65535, description="On which port.")
    within: float = Field(default=1800.0, gt=0, description="Seconds until it must answer.")
    arguments: tuple[Text, ...] = Field(
        default=(), description="Further arguments of `vllm serve`, as they are."
    )


class ModelSettings(Settings):
    """One model: the kind of LLM, which model, and how it samples."""

    llm: LlmName = Field(description="Short name of the LLM class.")
    model: Text | None = Field(
        default=None,
        description="Model name or path. `local`: a trained checkpoint; default the embedded one.",
    )
    revision: Text | None = Field(default=None, description="Revision of the model, where it has.")
    base_url: Text | None = Field(
        default=None, description="Address of an OpenAI-like server, such as http://host:port/v1."
    )
    api_key_env: Text | None = Field(
        default=None, description="Name of the environment variable that holds the key."
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="0 is greedy. Default 0.7; the judge's is 0."
    )
    top_p: float = Field(default=1.0, gt=0, le=1, description="Nucleus of the sampling.")
    max_tokens: int = Field(default=256, ge=1, description="Longest answer in tokens.")
    stop: tuple[StopText, ...] = Field(
        default=(), description="Texts that end an answer, to the character."
    )
    price: Price | None = Field(default=None, description="For the account and the plan.")
    serve: ServeSettings | None = Field(
        default=None, description="`openai`: start vLLM with this model for the run."
    )
    options: dict[str, JsonValue] = Field(
        default={},
        description="Further arguments of the LLM class; `openai`: fields of the request.",
    )

    @model_validator(mode="after")
    def _named(self) -> ModelSettings:
        found: list[tuple[Loc, str]] = []
        if self.llm != "local" and self.model is None:
            found.append(((), f"llm {self.llm} needs a model; add `model:`"))
        if self.base_url is not None and self.llm not in ("openai", "inference-endpoints"):
            what = f"llm {self.llm} has no base_url; use llm: openai, or remove it"
            found.append((("base_url",), what))
        if self.serve is not None and (self.llm != "openai" or self.base_url is not None):
            what = "starts a server for llm: openai without a base_url; mend both"
            found.append((("serve",), what))
        if found:
            raise Clashes(found)
        return self

    @property
    def address(self) -> str | None:
        """Where an OpenAI-like server of this model is; None is the client's default."""
        if self.serve is not None:
            return f"http://{self.serve.host}:{self.serve.port}/v1"
        return self.base_url


class ModelsSettings(Settings):
    """Models by role. Whoever is not named is the generator."""

    generator: ModelSettings | None = Field(
        default=None, description="Writes the responses; not needed where they are given."
    )
    critic: ModelSettings | None = Field(default=None, description="Writes the critiques.")
    reviser: ModelSettings | None = Field(default=None, description="Writes the revisions.")
    judge: ModelSettings | None = Field(default=None, description="Compares candidates.")

    @model_validator(mode="after")
    def _any(self) -> ModelsSettings:
        if self.generator is None and self.judge is None:
            raise ValueError('the key "generator" is missing; add `generator:`')
        return self

    def role(self, name: str) -> ModelSettings:
        """The settings of a role; the judge is greedy unless its temperature is written."""
        own: ModelSettings | None = getattr(self, name)
        settings = own or self.generator
        assert settings is not None, f"no {name} is needed"
        if settings.temperature is not None and not (name == "judge" and own is None):
            return settings
        temperature = 0.0 if name == "judge" else GENERATOR_TEMPERATURE
        return settings.model_copy(update={"temperature": temperature})


class FewShot(Settings):
    """A worked example that stands before the conversation when an answer is criticised."""

    principle: Identifier = Field(description="The principle that the example is about.")
    prompt: Text = Field(description="What the user said.")
    response: Text = Field(description="The first answer.")
    critique: Text = Field(description="A good critique of it.")
    revision: Text = Field(description="A good revision.")


class SftSettings(Settings):
    """Critique and revision (Bai et al. 2022, section 3)."""

    rounds: int = Field(default=1, ge=1, le=32, description="Critique-revision rounds a prompt.")
    principles: Literal["random", "round-robin", "all"] | dict[Identifier, float] = Field(
        default="random",
        description="How each round gets its principle: drawn; in turn; every one in each round; "
        "or drawn by these weights.",
    )
    few_shot: tuple[FewShot, ...] = Field(default=(), description="Worked examples.")


class RunSettings(Settings):
    """How a run goes about its work; nothing here changes a row."""

    in_flight: int = Field(default=64, ge=1, description="Calls in flight a server.")
    retries: int = Field(default=5, ge=0, description="Tries again after a failed call.")
    retry_budget: float = Field(
        default=1.0,
        ge=0,
        description="Tries again in all, as a share of calls answered (200 are free).",
    )
    timeout: float = Field(default=120.0, gt=0, description="Seconds before a call has failed.")
    max_reject_rate: float = Field(
        default=0.2, ge=0, le=1, description="Share of rows that may lose a call; more ends a run."
    )
    engine: Literal["local", "ray"] = Field(
        default="local", description="This process, or the nodes of a Ray cluster."
    )
    address: Text | None = Field(
        default=None,
        description="`ray`: the cluster (`auto`, `ray://host:10001`); default one on this machine.",
    )
    workers: int = Field(default=2, ge=1, description="`ray`: processes that walk rows.")
    shard_rows: int = Field(
        default=256, ge=1, description="`ray`: rows that a worker takes at a time."
    )

    @model_validator(mode="after")
    def _has_engine(self) -> RunSettings:
        if self.engine != "ray" and self.address is not None:
            raise Clashes([(("address",), "belongs to engine: ray; set engine, or remove it")])
        return self


class Recipe(Settings):
    """One recipe: from a constitution and prompts to datasets and models."""

    schema_version: SchemaVersion = Field(default=SCHEMA_VERSION, description="Of this format.")
    name: Identifier = Field(default="recipe", description="Default: the name of the file.")
    seed: int = Field(default=0, ge=0, description="Every draw is a hash of it.")
    constitution: Text = Field(description="A shipped name, or a path.")
    prompts: PromptsSettings
    models: ModelsSettings
    sft: SftSettings | Off = Field(
        default=SftSettings(), description="false leaves critique and revision out."
    )
    preference: PreferenceSettings | Off = Field(
        default=PreferenceSettings(), description="false leaves judging out."
    )
    publish: PublishSettings = Field(default=PublishSettings())
    review: ReviewSettings = Field(default=ReviewSettings())
    train: TrainSettings = Field(default=TrainSettings())
    evaluate: EvaluateSettings = Field(default=EvaluateSettings())
    improve: ImproveSettings = Field(default=ImproveSettings())
    run: RunSettings = Field(default=RunSettings())

    @model_validator(mode="after")
    def _blocks_fit(self) -> Recipe:
        found = list(self._clashes())
        if found:
            raise Clashes(found)
        return self

    def _clashes(self) -> Iterator[tuple[Loc, str]]:
        preference = self.preference
        given = preference is not False and preference.candidates == "given"
        if self.models.generator is None and not given:
            yield ("models",), "has no generator; add `generator:`"
        if preference is False:
            if self.sft is False:
                yield ("preference",), "is false, and sft is too; leave one in"
            return
        if self.sft is False and not given and "revised" in preference.sources:
            what = "revised needs sft; set sources: [sampled], or keep sft"
            yield ("preference", "sources"), what
        if given and self.sft is not False:
            yield ("preference", "candidates"), "given only judges; set sft: false"
        if preference.mode == "vote" and self.role("judge").temperature == 0:
            fix = "give models.judge a temperature, or set mode: verdict"
            yield ("preference", "mode"), f"vote asks a greedy judge the same thing again; {fix}"

    def role(self, name: str) -> ModelSettings:
        """The settings of a role: those of `models`, and of a judge that votes a temperature."""
        settings = self.models.role(name)
        if name != "judge" or not self.preference or self.preference.mode != "vote":
            return settings
        own = self.models.judge
        if own is not None and own.temperature is not None:
            return settings
        return settings.model_copy(update={"temperature": GENERATOR_TEMPERATURE})

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that this recipe asks, in the order in which a row meets them."""
        needed = []
        if self.sft or (self.preference and self.preference.candidates != "given"):
            needed.append("generator")
        if self.sft:
            needed += ["critic", "reviser"]
        if self.preference:
            needed.append("judge")
        return tuple(needed)

    @property
    def repo(self) -> str:
        """The dataset repo that the recipe publishes to."""
        return self.publish.repo or f"local/{self.name}"

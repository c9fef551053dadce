"""The schema of a recipe: every block a room reads is owned here, so that one check sees all."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator

from charter.constitutions.schema import Identifier, SchemaVersion, Text
from charter.documents import Settings

__all__ = [
    "ROLES",
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
# The roles that a model may have, in the order in which a row meets them.
ROLES = ("generator", "critic", "reviser", "judge")
Source = Literal["sampled", "revised", "initial"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def _repo(value: str) -> str:
    if not _REPO.fullmatch(value):
        raise ValueError(f'"{value}" is no repo; write it as owner/name')
    return value


Repo = Annotated[
    str, AfterValidator(_repo), Field(json_schema_extra={"pattern": f"^{_REPO.pattern}$"})
]
# Kinds of which log-probabilities of the first token can be had.
LOGPROB_LLMS = ("local", "openai")
# Candidates differ from the first answer only by sampling, so a greedy generator makes none.
GENERATOR_TEMPERATURE = 0.7


class Columns(Settings):
    """Which columns of the source hold what; by default those of the same name."""

    id: str = Field(default="id", description="Stable id of the record; optional in the data.")
    prompt: str = Field(
        default="prompt", description="Text, or a list of {role, content} messages."
    )
    source: str = Field(default="source", description="Where a record came from; optional.")


class PromptsSettings(Settings):
    """Where the prompts come from: a file, a glob of files, or a dataset of the Hub."""

    path: Text | None = Field(
        default=None, description="jsonl, csv or parquet file (also .gz), or a glob of them."
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
    base_url: Text | None = Field(default=None, description="Address of an OpenAI-like server.")
    api_key_env: Text | None = Field(
        default=None, description="Name of the environment variable that holds the key."
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="0 is greedy. Default 0.7; the judge's is 0."
    )
    top_p: float = Field(default=1.0, gt=0, le=1, description="Nucleus of the sampling.")
    max_tokens: int = Field(default=256, ge=1, description="Longest answer in tokens.")
    stop: tuple[Text, ...] = Field(default=(), description="Texts that end an answer.")
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
        if self.llm != "local" and self.model is None:
            raise ValueError(f"llm {self.llm} needs a model; add `model:`")
        if self.base_url is not None and self.llm not in ("openai", "inference-endpoints"):
            raise ValueError(f"llm {self.llm} has no base_url; use llm: openai, or remove it")
        if self.serve is not None and (self.llm != "openai" or self.base_url is not None):
            raise ValueError("serve starts a server for llm: openai without a base_url; mend both")
        return self

    @property
    def address(self) -> str | None:
        """Where an OpenAI-like server of this model is; None is the client's default."""
        if self.serve is not None:
            return f"http://{self.serve.host}:{self.serve.port}/v1"
        return self.base_url


class ModelsSettings(Settings):
    """Models by role. Whoever is not named is the generator."""

    generator: ModelSettings = Field(description="Writes the responses.")
    critic: ModelSettings | None = Field(default=None, description="Writes the critiques.")
    reviser: ModelSettings | None = Field(default=None, description="Writes the revisions.")
    judge: ModelSettings | None = Field(default=None, description="Compares candidates.")

    def role(self, name: str) -> ModelSettings:
        """The settings of a role; the judge is greedy unless its temperature is written."""
        own: ModelSettings | None = getattr(self, name)
        settings = own or self.generator
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


class PreferenceSettings(Settings):
    """Candidates, comparisons and labels (Bai et al. 2022, section 4)."""

    candidates: int = Field(default=2, ge=2, le=16, description="Candidates a prompt.")
    sources: Annotated[tuple[Source, ...], Field(min_length=1)] = Field(
        default=("sampled", "revised"),
        description="`initial` and `revised` give one candidate each, `sampled` the rest.",
    )
    pairs: Literal["all", "revised-vs-initial"] = Field(
        default="all", description="Which pairs of candidates are compared."
    )
    principles: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        default=1, description="Principles drawn for each pair, or all of them."
    )
    mode: Literal["verdict", "logprob"] = Field(
        default="verdict",
        description="The judge's text, or the log-odds of its first token.",
    )
    keep: Literal["consistent", "margin"] = Field(
        default="consistent",
        description="Keep pairs whose two orders agree, or whose p_chosen is far enough from 0.5.",
    )
    min_margin: float = Field(
        default=0.0, ge=0, lt=0.5, description="Smallest |p - 0.5| under `keep: margin`."
    )
    tie_band: float = Field(
        default=0.0, ge=0, lt=0.5, description="|p - 0.5| up to this is a TIE in every mode."
    )

    @model_validator(mode="after")
    def _fits(self) -> PreferenceSettings:
        if len(set(self.sources)) != len(self.sources):
            raise ValueError("sources names one twice; name each once")
        fixed = sum(source != "sampled" for source in self.sources)
        sampled = "sampled" in self.sources
        if self.candidates < len(self.sources) or (not sampled and self.candidates != fixed):
            fix = f"set candidates: {len(self.sources)}, or change sources"
            raise ValueError(f"{self.candidates} candidates cannot come from these sources; {fix}")
        if self.pairs == "revised-vs-initial" and set(self.sources) != {"revised", "initial"}:
            # A sampled candidate would be paid for and be in no pair.
            fix = "set candidates: 2 and sources: [initial, revised]"
            raise ValueError(f"pairs: revised-vs-initial compares these two alone; {fix}")
        if self.min_margin and self.keep != "margin":
            raise ValueError("min_margin counts under keep: margin alone; set keep or remove it")
        return self


class PublishSettings(Settings):
    """Where the version goes and what it is called."""

    to: Literal["local"] = Field(default="local", description="The store of this machine.")
    repo: Repo | None = Field(default=None, description="`owner/name`; default `local/NAME`.")
    version: Text = Field(default="auto", description="`auto`, or a tag such as v1.0.0.")


class RefusalSettings(Settings):
    """Refusals before and after training, on prompts that were not trained on."""

    path: Text = Field(default="prompts/shipped.jsonl", description="jsonl with a category.")
    per_category: int = Field(default=12, ge=1, description="Prompts asked of each category.")
    categories: tuple[Text, ...] = Field(default=("harmful", "benign"), description="Which ones.")
    max_tokens: int = Field(default=48, ge=1, description="Longest answer in tokens.")


class EvaluateSettings(Settings):
    """What is measured on the trained models."""

    refusal: RefusalSettings | None = Field(default=None, description="Refusals.")


class RunSettings(Settings):
    """How a run goes about its work; nothing here changes a row."""

    in_flight: int = Field(default=64, ge=1, description="Calls in flight a model.")
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
            raise ValueError("address belongs to engine: ray; set engine, or remove it")
        return self


class TrainSettings(Settings):
    """What is trained from the version, each with fields of that TRL config."""

    sft: dict[str, JsonValue] | None = Field(default=None, description="Fields of SFTConfig.")
    dpo: dict[str, JsonValue] | None = Field(default=None, description="Fields of DPOConfig.")


class ReviewSettings(Settings):
    """Which rows people are shown first."""

    n: int = Field(default=20, ge=1, description="Rows to look at.")
    uncertain: Fraction = Field(default=0.5, description="Share taken from the least sure labels.")


class Recipe(Settings):
    """One recipe: from a constitution and prompts to datasets and models."""

    schema_version: SchemaVersion = Field(default=SCHEMA_VERSION, description="Of this format.")
    name: Identifier = Field(default="recipe", description="Default: the name of the file.")
    seed: int = Field(default=0, ge=0, description="Every draw is a hash of it.")
    constitution: Text = Field(description="A shipped name, or a path.")
    prompts: PromptsSettings
    models: ModelsSettings
    sft: SftSettings | Literal[False] = Field(
        default=SftSettings(), description="false leaves critique and revision out."
    )
    preference: PreferenceSettings | Literal[False] = Field(
        default=PreferenceSettings(), description="false leaves judging out."
    )
    publish: PublishSettings = Field(default=PublishSettings())
    review: ReviewSettings = Field(default=ReviewSettings())
    train: TrainSettings = Field(default=TrainSettings())
    evaluate: EvaluateSettings = Field(default=EvaluateSettings())
    run: RunSettings = Field(default=RunSettings())

    @model_validator(mode="after")
    def _has_work(self) -> Recipe:
        if self.sft is False and self.preference is False:
            raise ValueError("sft and preference are both false; leave one in")
        if self.sft is False and self.preference and "revised" in self.preference.sources:
            raise ValueError("sources: revised needs sft; set sources: [sampled], or keep sft")
        judge = self.models.role("judge").llm
        if self.preference and self.preference.mode == "logprob" and judge not in LOGPROB_LLMS:
            raise ValueError(f"llm {judge} gives no log-probabilities; set mode: verdict")
        return self

    @property
    def repo(self) -> str:
        """The dataset repo that the recipe publishes to."""
        return self.publish.repo or f"local/{self.name}"

"""The published schema: which configs a version has, their columns and types.

`CONFIGS` is the whole contract of the data files: the gate compares every row with it, the
parquet files are written in it, and the card's `dataset_info` is made from it.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

__all__ = ["CONFIGS", "NULLABLE", "SCHEMA_VERSION", "SPLITS", "TRAINED", "yaml_features"]

SCHEMA_VERSION: Final = 2
"""The version of the columns below and of the manifest; a new one is a major change."""

SPLITS: Final = ("train", "test")
"""The splits of every config, in the order in which they are written and read."""

TRAINED: Final = ("sft", "preference")
"""The configs that people train on; with rows at all, they have rows in `train`."""

_MESSAGES: Final = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_REVISIONS: Final = pa.list_(
    pa.struct(
        [
            ("principle_id", pa.string()),
            ("critique", pa.string()),
            ("revision", pa.string()),
            ("model", pa.string()),
        ]
    )
)

CONFIGS: Final[dict[str, pa.Schema]] = {
    "sft": pa.schema(
        [
            ("id", pa.string()),
            ("prompt", _MESSAGES),
            ("completion", _MESSAGES),
            ("initial_response", pa.string()),
            ("revisions", _REVISIONS),
            ("prompt_id", pa.string()),
            ("source", pa.string()),
        ]
    ),
    "preference": pa.schema(
        [
            ("id", pa.string()),
            ("prompt", _MESSAGES),
            ("chosen", _MESSAGES),
            ("rejected", _MESSAGES),
            ("p_chosen", pa.float64()),
            ("log_odds", pa.float64()),
            ("principle_ids", pa.list_(pa.string())),
            ("n_votes", pa.int32()),
            ("order_consistent", pa.bool_()),
            ("label_source", pa.string()),
            ("source_label", pa.string()),
            ("chosen_model", pa.string()),
            ("rejected_model", pa.string()),
            ("judge_model", pa.string()),
            ("prompt_id", pa.string()),
            ("source", pa.string()),
        ]
    ),
    "judgments": pa.schema(
        [
            ("comparison_id", pa.string()),
            ("prompt_id", pa.string()),
            ("candidate_a", pa.string()),
            ("candidate_b", pa.string()),
            ("principle_id", pa.string()),
            ("order", pa.string()),
            ("sample", pa.int32()),
            ("verdict", pa.string()),
            ("p_a", pa.float64()),
            ("rationale", pa.string()),
            ("raw", pa.string()),
            ("judge_model", pa.string()),
            ("score_a", pa.float64()),
            ("score_b", pa.float64()),
            ("source_label", pa.string()),
            ("prompt_tokens", pa.int32()),
            ("completion_tokens", pa.int32()),
        ]
    ),
    "rejects": pa.schema(
        [
            ("ledger", pa.string()),
            ("prompt_id", pa.string()),
            ("pair_id", pa.string()),
            ("stage", pa.string()),
            ("reason", pa.string()),
            ("detail", pa.string()),
        ]
    ),
    # Once people have answered: `charter.review.spot_check.SpotCheck` says what each column is.
    "reviews": pa.schema(
        [
            ("id", pa.string()),
            ("kind", pa.string()),
            ("row_id", pa.string()),
            ("prompt_id", pa.string()),
            ("principle_id", pa.string()),
            ("category", pa.string()),
            ("reviewer", pa.string()),
            ("verdict", pa.string()),
            ("sure", pa.string()),
            ("critique_right", pa.bool_()),
            ("still_harmful", pa.bool_()),
            ("over_refusing", pa.bool_()),
            ("comment", pa.string()),
            ("first", pa.string()),
            ("saw_ai", pa.bool_()),
            ("share", pa.string()),
            ("stratum", pa.string()),
            ("inclusion", pa.float64()),
            ("gold", pa.string()),
            ("p_chosen", pa.float64()),
            ("texts", pa.string()),
            ("version", pa.string()),
            ("submitted", pa.string()),
        ]
    ),
}
"""Name of a config -> its columns, in the order in which they are written."""

# Kept beside the schema and not in it: parquet's REQUIRED columns buy nothing, and `datasets`
# rebuilds its features from the types alone.
NULLABLE: Final[dict[str, frozenset[str]]] = {
    "sft": frozenset(),
    "preference": frozenset({"log_odds", "source_label"}),
    "judgments": frozenset({"p_a", "rationale", "raw", "score_a", "score_b", "source_label"}),
    "rejects": frozenset({"prompt_id", "pair_id"}),
    "reviews": frozenset(
        {
            *("principle_id", "sure", "critique_right", "still_harmful", "over_refusing"),
            *("comment", "first", "gold", "p_chosen"),
        }
    ),
}
"""The columns of each config that may hold null; no other one may."""


def yaml_features(schema: pa.Schema) -> list[dict[str, Any]]:
    """The schema as `datasets` writes features into a card's `dataset_info`.

    Done by hand because importing `datasets` takes seconds; a test compares the two.
    """
    return [{"name": field.name, **_yaml_type(field.type)} for field in schema]


def _yaml_type(dtype: pa.DataType) -> dict[str, Any]:
    if not pa.types.is_list(dtype):
        return {"dtype": {"double": "float64"}.get(str(dtype), str(dtype))}
    inner = dtype.value_type
    if pa.types.is_struct(inner):
        return {"list": yaml_features(inner)}
    return {"list": _yaml_type(inner)["dtype"]}

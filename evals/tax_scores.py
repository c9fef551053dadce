"""Published scores from JSON files: plain numbers, numbers with errors, or lm-eval's results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charter.errors import Fault, InputError
from charter.evals.tax_figures import Score
from charter.evals.tax_names import benchmark_of, plain_name

__all__ = ["ScoreFile", "read_scores", "score_files"]

_SHAPE = 'write {"MMLU": 65.2}, {"MMLU": {"score": 65.2, "stderr": 0.4, "n": 14042}}, or lm-eval\'s'
_VALUE = ("score", "value")
_ERROR = ("stderr", "standard_error")
_KNOWN = {*_VALUE, *_ERROR, "n", "higher_is_better"}


@dataclass(frozen=True, slots=True)
class ScoreFile:
    """The scores of one model.

    Attributes:
        name: the file's, without its ending.
        scores: by benchmark, in the file's order.
        metrics: which metric of lm-eval's was read, by benchmark.
        fractions: whether all scores lie in 0..1, as fractions do; None without any above 0.
        notes: what looks odd and was read all the same.
    """

    name: str
    scores: Mapping[str, Score]
    metrics: Mapping[str, str]
    fractions: bool | None
    notes: tuple[str, ...] = ()


def score_files(paths: Sequence[Path]) -> list[ScoreFile]:
    """The scores of several models, the base's first, in one scale.

    Raises:
        InputError: a file cannot be read as scores, they share no benchmark, or one is in
            percent and the other in fractions.
    """
    found: list[ScoreFile] = []
    for path, name in zip(paths, _names(paths), strict=True):
        metrics = found[0].metrics if found else {}
        found.append(replace(read_scores(path, metrics), name=name))
    base = found[0]
    faults = []
    for path, each in zip(paths[1:], found[1:], strict=True):
        if not base.scores.keys() & each.scores.keys():
            what = f"has no benchmark that {paths[0]} has"
            faults.append(Fault(str(path), "", what, f"name some of {', '.join(base.scores)}"))
        elif None not in (base.fractions, each.fractions) and base.fractions != each.fractions:
            scales = ("fractions", "percent") if each.fractions else ("percent", "fractions")
            what = f"is in {scales[0]}, {paths[0]} in {scales[1]}"
            faults.append(Fault(str(path), "", what, "give both in one scale"))
    if faults:
        raise InputError(faults)
    return [replace(each, notes=(*each.notes, *_strays(base, each))) for each in found]


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    plain = [path.stem for path in paths]
    return plain if len(set(plain)) == len(plain) else [str(path) for path in paths]


def _strays(base: ScoreFile, other: ScoreFile) -> list[str]:
    """Scores that may be a fraction among percentages: they would make an absurd tax."""
    notes = []
    for name, score in base.scores.items():
        one, two = score.value, other.scores[name].value if name in other.scores else None
        if not one or not two or one < 0 or two < 0:
            continue
        small, large = sorted((one, two))
        if small <= 1 < large and large / small > 50:
            notes.append(f"{name}: {one:g} against {two:g}; is one of them a fraction?")
    return notes


def read_scores(path: Path, metrics: Mapping[str, str] | None = None) -> ScoreFile:
    """The scores of one file.

    Args:
        path: JSON, in one of the three shapes.
        metrics: which metric to take of lm-eval's results, by benchmark; else the headline.

    Raises:
        InputError: with every entry that is no score.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except OSError as error:
        fix = "name a JSON file of scores"
        raise InputError(Fault(str(path), "", f"cannot be read ({error.strerror})", fix)) from None
    except (ValueError, RecursionError) as error:
        raise InputError(Fault(str(path), "", f"is not JSON: {error}", _SHAPE)) from None
    if not isinstance(value, dict) or not value:
        raise InputError(Fault(str(path), "", "is no object of scores by benchmark", _SHAPE))
    if isinstance(value.get("results"), dict):
        scores, read = _of_harness(path, value, metrics or {})
    else:
        scores, read = _of_entries(path, value), {}
    if not scores:
        raise InputError(Fault(str(path), "", "has no scores", _SHAPE))
    values = [each.value for each in scores.values() if each.value is not None]
    above = [each for each in values if math.isfinite(each) and each > 0]
    fractions = all(each <= 1 for each in above) if above else None
    notes = _filled(scores, 1.0 if fractions else 100.0)
    if fractions is False and (small := [name for name, each in scores.items() if _small(each)]):
        said = ", ".join(f"{name} {scores[name].value:g}" for name in small)
        notes.append(f"{path.name}: {said} beside scores above 1; read in one scale with them")
    return ScoreFile(path.stem, scores, read, fractions, tuple(notes))


def _filled(scores: dict[str, Score], full: float) -> list[str]:
    """Standard errors where only the number of items is known, as of items right or wrong."""
    filled = []
    for name, each in scores.items():
        if each.value is None or each.n is None or each.standard_error is not None:
            continue
        if 0 <= each.value <= full:
            n, share = each.n, each.value / full
            if share in (0.0, 1.0):
                # All alike is no certainty: two more of each kind (Agresti and Coull 1998).
                n, share = n + 4, (share * n + 2) / (n + 4)
            error = full * math.sqrt(share * (1 - share) / n)
            scores[name] = replace(each, standard_error=error)
            filled.append(name)
    if not filled:
        return []
    return [f"{', '.join(filled)}: standard error from n, as of items that are right or wrong"]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand in it once: of two scores neither is the right one."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f'the key "{key}" stands twice')
        found[key] = value
    return found


def _small(score: Score) -> bool:
    return score.value is not None and 0 < score.value < 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_entries(path: Path, value: Mapping[str, Any]) -> dict[str, Score]:
    scores: dict[str, Score] = {}
    faults = []
    for key, entry in value.items():
        name = plain_name(key)
        fields = entry if isinstance(entry, dict) else {"score": entry}
        what = "stands twice, by two names" if name in scores else _wrong(fields)
        if what:
            faults.append(Fault(str(path), key, what, _SHAPE))
            continue
        scores[name] = _score(fields)
    if faults:
        raise InputError(faults)
    return scores


def _wrong(fields: Mapping[str, Any]) -> str:
    """What is wrong with an entry; NaN and null are scores that are missing, and no fault."""
    unknown = sorted(set(fields) - _KNOWN)
    if unknown:
        return f'has "{unknown[0]}", which is no part of a score'
    if not any(key in fields for key in _VALUE):
        return "has no score"
    for key, value in fields.items():
        if key == "higher_is_better":
            if not isinstance(value, bool):
                return f'"{key}" is neither true nor false'
        elif value is not None and not _is_number(value):
            return f'"{key}" is no number: {str(value)[:40]!r}'
        elif value is not None and key in _ERROR and value < 0:
            return f'"{key}" is below zero'
        elif value is not None and key == "n" and not (value >= 1 and value % 1 == 0):
            return '"n" is no count'
    return ""


def _score(fields: Mapping[str, Any]) -> Score:
    value = next((fields[key] for key in _VALUE if key in fields), None)
    error = next((fields[key] for key in _ERROR if key in fields), None)
    n = None if fields.get("n") is None else int(fields["n"])
    higher = fields.get("higher_is_better", True)
    if value is None:
        return Score(None, None, n, reason="null in the file", higher_is_better=higher)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        said = "NaN" if math.isnan(number) else "endless"
        return Score(None, None, n, reason=f"{said} in the file", higher_is_better=higher)
    error = float(error) if error is not None and math.isfinite(error) else None
    return Score(number, error, n, higher_is_better=higher)


def _of_harness(
    path: Path, value: Mapping[str, Any], metrics: Mapping[str, str]
) -> tuple[dict[str, Score], dict[str, str]]:
    """lm-eval's own results: each benchmark that is no part of another one there."""
    groups = value.get("group_subtasks")
    groups = groups if isinstance(groups, dict) else {}
    parts = {
        part
        for name, members in groups.items()
        if isinstance(members, list) and _measured(value["results"].get(name))
        for part in members
    }
    scores: dict[str, Score] = {}
    read: dict[str, str] = {}
    for task, figures in value["results"].items():
        if task in parts or not isinstance(figures, dict):
            continue
        name = plain_name(task)
        metric = metrics.get(name) or _headline(task, figures)
        if metric is None:
            continue
        if metric not in figures:
            scores[name] = Score(None, reason=f"no {metric} in {path.name}")
            continue
        read[name] = metric
        first, _, last = metric.partition(",")
        counts = _field(value, "n-samples", task, "effective")
        higher = _field(value, "higher_is_better", task, first)
        fields = {
            "score": figures[metric],
            "stderr": figures.get(f"{first}_stderr,{last}"),
            "n": counts if _is_number(counts) else figures.get("sample_len"),
            "higher_is_better": higher is not False,
        }
        # "N/A" is what lm-eval writes where it has none.
        scores[name] = _score({key: v for key, v in fields.items() if not isinstance(v, str)})
    return scores, read


def _field(value: Mapping[str, Any], *keys: str) -> Any:
    found: Any = value
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _measured(figures: Any) -> bool:
    return isinstance(figures, dict) and _headline("", figures) is not None


def _headline(task: str, figures: Mapping[str, Any]) -> str | None:
    """The metric that counts: of a known benchmark the usual one, else the first that is there."""
    known = benchmark_of(task)
    if known is not None and known.metric in figures:
        return known.metric
    for key, figure in figures.items():
        name, comma, _ = key.partition(",")
        if comma and not name.endswith("_stderr") and _is_number(figure):
            return key
    return None

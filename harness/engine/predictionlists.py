"""Predictions and references that are already in memory: lists, arrays, mappings from ids."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, cast

import numpy as np

from harness.engine.predictions import IN_MEMORY, Given, Material, Truth, binary_of, paired, reference_texts
from harness.engine.wants import Family, Reading, Wants
from harness.errors import DataError, UsageError
from harness.types import (
    ANSWER_TYPES,
    Answer,
    Key,
    Label,
    Labels,
    Likelihoods,
    Number,
    Outcomes,
    Output,
    Ranking,
    Ratings,
    Sample,
    Tags,
    Text,
    Vectors,
)

_ANSWERS: Mapping[str, tuple[type, ...]] = {
    "text": (Text,), "label": (Label, Labels), "ranking": (Ranking,), "number": (Number,), "likelihoods": (Likelihoods,),
    "vectors": (Vectors,), "tags": (Tags,), "ratings": (Ratings,), "outcomes": (Outcomes,),
}  # fmt: skip


def material_of_lists(wants: Wants, predictions: Any, truth: Truth | None, reading: Reading) -> Material:
    """Pair predictions in memory with truth.

    Texts are strings; labels strings, integers or booleans, several at once a list or set of strings; probabilities mappings
    from label to number, or one number (of the positive label); rankings mappings from document to score; tags a list of
    strings; ratings a list of numbers, strings and None; vectors an array ``(dim,)`` or ``(m, dim)``. Any answer type may
    stand for itself, an Output too.
    """
    ids, values, by_id = _items(predictions, "predictions")
    need_scores = wants.family == "label" and any(_is_score(value, wants) for value in values)
    binary = binary_of([] if truth is None else truth.samples, reading) if need_scores else None
    outputs = []
    for id_, value in zip(ids, values):
        if isinstance(value, Output):
            outputs.append(value)
            continue
        if binary is not None and _is_score(value, wants):
            answer: Answer = binary.label(float(value), None)
        else:
            answer = _answer(value, wants, id_)
        outputs.append(Output(Key(id_), answer))
    return paired(Given("predictions", outputs, by_id), truth, wants)


def truth_of_lists(wants: Wants, references: Any) -> Truth:
    """References (one text or several an item), targets, judgements ``{query: {document: grade}}``, or Samples."""
    ids, values, by_id = _items(references, "references")
    if all(isinstance(value, Sample) for value in values):
        return Truth(IN_MEMORY, values, by_id=True)
    if "qrels" in wants.truth:
        if not by_id:
            raise UsageError("score: judgements must be a mapping {query: {document: grade}}")
        samples = [Sample(id_, qrels=_grades(value, id_)) for id_, value in zip(ids, values)]
    elif wants.family != "text" and "references" not in wants.truth:
        plain = wants.family != "label"
        samples = [Sample(id_, target=value if plain else _target(value)) for id_, value in zip(ids, values)]
    else:
        samples = [Sample(id_, references=reference_texts(value, f"references[{id_}]")) for id_, value in zip(ids, values)]
    return Truth(IN_MEMORY, samples, by_id)


def _items(given: Any, what: str) -> tuple[list[str], list[Any], bool]:
    """Ids, values, and whether the ids mean something."""
    if isinstance(given, Mapping):
        ids, values = [str(key) for key in given], list(given.values())
    elif isinstance(given, Iterable) and not isinstance(given, bytes):
        values = list(given)
        ids = [str(number) for number in range(1, len(values) + 1)]
    else:
        kind = type(given).__name__
        raise UsageError(f"score: {what} must be a path, a binary stream, a list or a mapping from ids, got {kind}")
    if not values:
        raise DataError(f"{what}: nothing in it")
    return ids, values, isinstance(given, Mapping) or isinstance(values[0], Output)


def _is_score(value: Any, wants: Wants) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return wants.only_scores or ("probabilities" in wants.needs and not isinstance(value, Integral))


def _answer(value: Any, wants: Wants, id_: str) -> Answer:
    if isinstance(value, _ANSWERS.get(wants.family, ANSWER_TYPES)):
        return cast("Answer", value)
    match wants.family:
        case "text" if isinstance(value, str):
            return Text(value)
        case "label" if isinstance(value, Mapping):
            probabilities = {str(label): _real(number, f"predictions[{id_}]") for label, number in value.items()}
            return Label(max(probabilities, key=probabilities.__getitem__, default=None), probabilities)
        case "label" if isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) for item in value):
            return Labels(tuple(sorted(value) if isinstance(value, set | frozenset) else value))
        case "label" if value is None or isinstance(value, str) or _is_whole(value):
            return Label(label_text(value))
        case "ranking" if isinstance(value, Mapping):
            return Ranking(tuple(map(str, value)), tuple(_real(score, f"predictions[{id_}]") for score in value.values()))
        case "number" if isinstance(value, Real):
            return Number(float(value))
        case "tags" if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return Tags(tuple(value))
        case "ratings" if isinstance(value, list | tuple):
            return Ratings(tuple(None if _is_nan(item) else item for item in value))
        case "vectors" if getattr(value, "ndim", 0) in (1, 2) or isinstance(value, list | tuple):
            return Vectors(_array(value, f"predictions[{id_}]"))
    raise DataError(f"predictions[{id_}]: {wants.who} cannot take {value!r:.60} ({type(value).__name__})")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_whole(value: Any) -> bool:
    """Whether it is an integer, a yes or no, or a float without a fraction: 1, True and 1.0 are one label."""
    is_flag = type(value).__name__ in ("bool", "bool_")
    return is_flag or isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())


def label_text(value: Any) -> str | None:
    """The label that a value in memory names."""
    return value if value is None or isinstance(value, str) else str(int(value)) if _is_whole(value) else str(value)


def _target(value: Any) -> Any:
    if isinstance(value, list | tuple | set | frozenset):
        return [label_text(item) for item in value]
    if _is_nan(value):
        raise DataError("references: a label must not be NaN: None stands for no label")
    return value if isinstance(value, Mapping) else label_text(value)


def _real(value: Any, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"{what}: scores and probabilities must be numbers, got {value!r:.60}") from None


def _array(value: Any, what: str) -> Any:
    try:
        array = np.atleast_2d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        raise DataError(f"{what}: vectors must be lists of numbers, equally long, got {value!r:.60}") from None
    if array.ndim > 2:
        raise DataError(f"{what}: vectors must be an array (dim,) or (m, dim), got shape {array.shape}")
    return array


def held_in(predictions: Any) -> Callable[[Sequence[Family]], Family]:
    """Which of several kinds of answers a list holds, by its first item; the first kind where that does not tell."""

    def held(families: Sequence[Family]) -> Family:
        values = list(predictions.values()) if isinstance(predictions, Mapping) else list(predictions)
        first = values[0].answer if values and isinstance(values[0], Output) else values[0] if values else None
        kinds = [family for family in families if isinstance(first, _ANSWERS[family])]
        is_array = getattr(first, "ndim", 0) > 0 or isinstance(first, list | tuple)
        of_numbers = ("number", "label") if isinstance(first, Real) else ("label", "text")
        wanted = ("vectors", "ratings", "tags") if is_array else of_numbers
        guess = next((family for family in wanted if family in families), families[0])
        return kinds[0] if kinds else guess  # type: ignore[return-value]

    return held


def _grades(value: Any, id_: str) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise DataError(f"references[{id_}]: judgements must be a mapping from document to grade, got {value!r:.60}")
    if not all(_is_whole(grade) for grade in value.values()):
        odd = next(grade for grade in value.values() if not _is_whole(grade))
        raise DataError(f"references[{id_}]: grades must be whole numbers, got {odd!r:.60}")
    return {str(document): int(grade) for document, grade in value.items()}



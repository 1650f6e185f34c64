"""One row of stored outputs -> an Output: the JSON objects that ``replay`` reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

from harness.codec import decode_answer
from harness.errors import DataError
from harness.types import (
    Answer,
    Ask,
    Embed,
    Generate,
    Key,
    Label,
    Labels,
    Likelihoods,
    LogLikelihood,
    Number,
    Output,
    Perplexity,
    Rank,
    Ranking,
    Ratings,
    ScorePairs,
    Tags,
    Text,
    Timing,
    Usage,
    Vectors,
)

ANSWERS_TO: Mapping[type, tuple[type, ...]] = {
    Generate: (Text,), Ask: (Label, Labels, Number, Tags, Ratings, Text), LogLikelihood: (Label, Number, Likelihoods),
    Rank: (Ranking,), Perplexity: (Likelihoods,), Embed: (Vectors,), ScorePairs: (Number,),
}
"""Which of several answers in a row a request wants, the best first; a row without any of them gives what it has."""

_Read: TypeAlias = Callable[[Mapping[str, Any]], Answer]

_FORMS = ("text", "label", "probabilities", "labels", "value", "ranking", "tags", "ratings", "vectors", "logprob", "answer")
_ALSO = ("logprobs", "vector", "token_logprobs")
"""Less usual keys that hold an answer too."""
_SUM_TOLERANCE = 1e-3


def row_key(row: Mapping[str, Any]) -> Key:
    """``id`` (text or a whole number) and ``repeat`` (0 if it is not there). Raises DataError."""
    sample_id, repeat = row.get("id"), row.get("repeat", 0)
    if isinstance(sample_id, bool) or not isinstance(sample_id, (str, int)):
        what = f"got {_shown(sample_id)}" if "id" in row else f"the row has {', '.join(map(str, row)) or 'nothing'}"
        raise DataError(f"id must be a string or an integer; {what}")
    if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 0:
        raise DataError(f"repeat must be an integer >= 0, got {_shown(repeat)}")
    return Key(str(sample_id), repeat)


def row_output(row: Mapping[str, Any], key: Key, wanted: Sequence[type] = ()) -> Output:
    """The output that a row describes, under ``key``.

    The answer is one of

    - ``label`` and/or ``probabilities`` and/or ``logprobs`` of the choices (``text`` may stand beside them; without a label it
      is the first of the most probable ones),
    - ``labels`` (several at once; ``probabilities`` are then each by itself),
    - ``text`` (with ``contexts`` and ``citations``),
    - ``value`` (with ``low`` and ``high``, the ends of a prediction interval),
    - ``ranking`` (pairs of document and score, put in order by score as trec_eval does, ties by document id, both descending),
    - ``tags`` (one a token), ``ratings`` (one a rater, null where there is none),
    - ``vectors`` (a list of lists of numbers) or ``vector``,
    - ``logprob`` of a whole text and/or its ``token_logprobs`` (with ``token_entropies``, ``n_tokens``, ``n_words``,
      ``n_bytes``),
    - ``answer`` (any type, tagged as in ``samples.parquet``).

    Of several, it is the first type of ``wanted`` that is there, else the first of: label, labels, text, value, ranking, tags,
    ratings, vectors, log-probability, ``answer``; the others are not looked at. ``usage``, ``latency_s``, ``first_token_s``,
    ``finish_reason`` and ``truncated`` go with it; ``error`` that is not null makes it a failed output. Other keys are not
    looked at.

    Probabilities outside [0, 1], or whose sum is not 1 ± 0.001, make the output an error: a number can be wrong where the
    file is sound. Raises DataError where the row does not have this form.
    """
    usage, timing = _usage(row.get("usage")), _timing(row.get("latency_s"), row.get("first_token_s"))
    error = row.get("error")
    if error is not None:
        return Output(key, None, error=_text(error, "error") or "error", usage=usage, timing=timing)
    answer = _answer(row, wanted)
    fault = _fault_of(answer)
    if fault is not None:
        return Output(key, None, error=fault, usage=usage, timing=timing)
    reason = row.get("finish_reason")
    finish = cast("Literal['stop', 'length']", reason) if reason in ("stop", "length") else None
    truncated = row.get("truncated") is True
    return Output(key, answer, finish_reason=finish, truncated=truncated, usage=usage, timing=timing)


def check_row(row: Mapping[str, Any], key: Key) -> None:
    """Raises DataError where the row, or any of its answers, does not have the form that ``row_output`` says."""
    row_output(row, key)
    if row.get("error") is None:
        for read in _given(row).values():
            read(row)


def _answer(row: Mapping[str, Any], wanted: Sequence[type]) -> Answer:
    given = _given(row)
    if not given:
        raise DataError(f"needs one of {', '.join(_FORMS)} or error; the row has {', '.join(map(str, row))}")
    read = next((given[kind] for kind in wanted if kind in given), None)
    if read is None and wanted and None in given:
        tagged = _tagged(row)
        if type(tagged) in wanted:
            return tagged
    return (read or next(iter(given.values())))(row)


def _given(row: Mapping[str, Any]) -> dict[type | None, _Read]:
    """The answers that a row holds, by type; None stands for ``answer``, whose own tag says what it is. A null beside others
    is no answer, but for ``label``: the model gave none of the labels.
    """
    present = [form for form in (*_FORMS, *_ALSO) if form in row]
    forms = {form for form in present if row[form] is not None or form == "label"} or set(present)
    if "labels" in forms:
        forms -= {"probabilities", "label"}
    return {kind: read for kind, (names, read) in _READERS.items() if forms & names}


def _text_answer(row: Mapping[str, Any]) -> Text:
    return Text(
        _text(row["text"], "text"),
        contexts=tuple(_text(item, "contexts[]") for item in _list(row.get("contexts"), "contexts")),
        citations=tuple(_whole(item, "citations[]") for item in _list(row.get("citations"), "citations")),
    )


def _tagged(row: Mapping[str, Any]) -> Answer:
    return decode_answer(_mapping(row["answer"], "answer"))


def _label(row: Mapping[str, Any]) -> Label:
    given, probabilities = row.get("label"), None
    if row.get("probabilities") is not None:
        table = _mapping(row["probabilities"], "probabilities")
        probabilities = {str(name): _number(value, f"probabilities.{name}") for name, value in table.items()}
    if isinstance(given, (bool, float, list, dict)):
        raise DataError(f"label must be a string, an integer or null, got {_shown(given)}")
    if "label" not in row and probabilities:
        given = max(probabilities, key=probabilities.__getitem__)
    logprobs = tuple(_number(value, "logprobs[]") for value in _list(row.get("logprobs"), "logprobs"))
    text = None if row.get("text") is None else _text(row["text"], "text")
    return Label(None if given is None else str(given), probabilities, logprobs, text)


def _labels(row: Mapping[str, Any]) -> Labels:
    found = tuple(_text(item, "labels[]") for item in _list(row["labels"], "labels"))
    if len(set(found)) < len(found):
        raise DataError(f"labels must be different from one another, got {_shown(list(found))}")
    if row.get("probabilities") is None:
        return Labels(found)
    table = _mapping(row["probabilities"], "probabilities")
    return Labels(found, {str(name): _number(value, f"probabilities.{name}") for name, value in table.items()})


def _number_answer(row: Mapping[str, Any]) -> Number:
    low, high = (None if row.get(end) is None else _number(row[end], end) for end in ("low", "high"))
    if low is not None and high is not None and low > high:
        raise DataError(f"low must not be above high, got {low:g} and {high:g}")
    return Number(_number(row["value"], "value"), low, high)


def _ratings(row: Mapping[str, Any]) -> Ratings:
    ratings = [item if item is None or isinstance(item, str) else _number(item, "ratings[]")
               for item in _list(row["ratings"], "ratings")]  # fmt: skip
    return Ratings(tuple(ratings))


def _vectors(row: Mapping[str, Any]) -> Vectors:
    lists = [row["vector"]] if row.get("vectors") is None else _list(row["vectors"], "vectors")
    rows = tuple(tuple(_number(value, "vectors[][]") for value in _list(vector, "vectors[]")) for vector in lists)
    if len({len(vector) for vector in rows}) > 1:
        raise DataError(f"vectors of one row must be equally long, got {[len(vector) for vector in rows]}")
    return Vectors(rows)


def _likelihoods(row: Mapping[str, Any]) -> Likelihoods:
    """Of one whole text."""
    tokens = tuple(_number(value, "token_logprobs[]") for value in _list(row.get("token_logprobs"), "token_logprobs"))
    if not tokens and row.get("n_tokens") is None:
        raise DataError("logprob needs n_tokens (or token_logprobs) beside it")
    total = _sum(tokens) if row.get("logprob") is None else _number(row["logprob"], "logprob")
    counts = {name: None if row.get(name) is None else _whole(row[name], name) for name in ("n_tokens", "n_words", "n_bytes")}
    n_tokens = len(tokens) if counts["n_tokens"] is None else counts["n_tokens"]
    entropies = tuple(_number(value, "token_entropies[]") for value in _list(row.get("token_entropies"), "token_entropies"))
    return Likelihoods((total,), (n_tokens,), (), counts["n_words"], counts["n_bytes"], tokens or None, entropies or None)


def _sum(logprobs: Sequence[float]) -> float:
    """Infinite beyond float64: metrics then say of the row that its log-probability must be finite."""
    try:
        return math.fsum(logprobs)
    except OverflowError:
        return -math.inf


def _fault_of(answer: Answer) -> str | None:
    if not isinstance(answer, Label | Labels) or answer.probabilities is None:
        return None
    return _fault_in(answer.probabilities, sums_to_one=isinstance(answer, Label))


def _fault_in(probabilities: Mapping[str, float], *, sums_to_one: bool) -> str | None:
    for name, value in probabilities.items():
        if not 0 <= value <= 1:
            return f"probabilities: {name!r} has {value:g}, outside [0, 1]"
    if not sums_to_one:
        return None
    total = math.fsum(probabilities.values())
    return None if abs(total - 1) <= _SUM_TOLERANCE else f"probabilities sum to {total:.6g}, not to 1"


def _ranking(pairs: Sequence[Any]) -> Ranking:
    scores: dict[str, float] = {}
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise DataError(f"ranking must hold pairs [document, score], got {_shown(pair)}")
        document = str(pair[0]) if isinstance(pair[0], int) else _text(pair[0], "ranking[][0]")
        if document in scores:
            raise DataError(f"ranking names the document {document!r} twice")
        scores[document] = _number(pair[1], "ranking[][1]")
    order = sorted(sorted(scores, reverse=True), key=scores.__getitem__, reverse=True)
    return Ranking(tuple(order), tuple(scores[document] for document in order))


_READERS: Mapping[type | None, tuple[frozenset[str], _Read]] = {
    Label: (frozenset({"label", "probabilities", "logprobs"}), _label),
    Labels: (frozenset({"labels"}), _labels),
    Text: (frozenset({"text"}), _text_answer),
    Number: (frozenset({"value"}), _number_answer),
    Ranking: (frozenset({"ranking"}), lambda row: _ranking(_list(row["ranking"], "ranking"))),
    Tags: (frozenset({"tags"}), lambda row: Tags(tuple(_text(tag, "tags[]") for tag in _list(row["tags"], "tags")))),
    Ratings: (frozenset({"ratings"}), _ratings),
    Vectors: (frozenset({"vectors", "vector"}), _vectors),
    Likelihoods: (frozenset({"logprob", "token_logprobs"}), _likelihoods),
    None: (frozenset({"answer"}), _tagged),
}


def _usage(value: Any) -> Usage | None:
    if value is None:
        return None
    table = _mapping(value, "usage")
    counts = {name: _whole(table.get(name, 0), f"usage.{name}") for name in ("input_tokens", "output_tokens")}
    return Usage(**counts)


def _timing(latency: Any, first_token: Any) -> Timing | None:
    if latency is None:
        return None
    return Timing(_seconds(latency, "latency_s"), None if first_token is None else _seconds(first_token, "first_token_s"))


def _seconds(value: Any, name: str) -> float:
    seconds = _number(value, name)
    if seconds < 0:
        raise DataError(f"{name} must be 0 or more seconds, got {seconds:g}")
    return seconds


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{name} must be a string, got {_shown(value)}")
    return value


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(f"{name} must be a number, got {_shown(value)}")
    return float(value)


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DataError(f"{name} must be an integer >= 0, got {_shown(value)}")
    return value


def _list(value: Any, name: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise DataError(f"{name} must be a list, got {_shown(value)}")
    return value


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{name} must be an object, got {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"

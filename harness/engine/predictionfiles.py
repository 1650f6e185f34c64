"""Predictions and references in files: text lines, JSON objects, tables, TREC runs. The form follows from what is measured and
from what the first lines look like, never from the file's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from harness.codec import loads
from harness.data.conll import read_conll
from harness.data.csv import read_csv
from harness.data.files import Source, name_of, numbered_lines
from harness.data.jsonl import read_jsonl
from harness.data.textlines import read_lines
from harness.data.trec import read_exact, read_qrels, read_run
from harness.engine.predictionforms import begins_like_an_object, form_of, from_start, is_list, looks_like_objects
from harness.engine.predictionrows import Rows, outputs_of, own_samples, samples_of, to_number, to_score
from harness.engine.predictions import Binary, Given, Material, Truth, beside, binary_of, merged, paired
from harness.engine.wants import Form, Reading, Wants
from harness.errors import DataError, UsageError
from harness.types import Answer, Key, Label, Number, Output, Sample, Text, Vectors

T = TypeVar("T")


def material_of_file(wants: Wants, predictions: Source, truth: Truth | None, reading: Reading) -> Material:
    """Pair a file of predictions with truth, or with the truth that stands in the same rows. Raises DataError, UsageError."""
    form = form_of(wants, predictions, reading, has_truth=truth is not None)
    name = name_of(predictions)
    if form == "trec":
        outputs = [Output(Key(query), ranking) for query, ranking in read_run(from_start(predictions)).items()]
        return paired(Given(name, outputs, by_id=True), _present(truth, wants, name, form), wants)
    if form == "text":
        lines = list(read_lines(from_start(predictions)))
        if not lines:
            raise DataError(f"{name}: no lines in it")
        truth = _present(truth, wants, name, form)
        outputs = _line_outputs(lines, name, wants, [] if truth is None else truth.samples, reading)
        return paired(Given(name, outputs, by_id=False, notes=_marks(name, lines)), truth, wants)
    if form == "npy":
        return paired(Given(name, _array_outputs(predictions), by_id=False), _present(truth, wants, name, form), wants)
    is_tagged = form == "conll"
    rows = _tagged_rows(predictions, has_truth=truth is not None) if is_tagged else _rows(predictions, form, reading, wants)
    if is_tagged and truth is not None:
        _check_tokens(rows, truth)
    _check_columns(rows, wants, reading, truth)
    if truth is not None:
        outputs = outputs_of(rows, wants, reading, lambda: binary_of(truth.samples, reading))
        return paired(Given(name, outputs, rows.by_id, own_samples(rows, reading), rows.notes(wants, reading)), truth, wants)
    samples = samples_of(rows, wants, reading, alone=False)
    if samples is None:
        raise _no_truth(wants, name, rows)
    outputs = outputs_of(rows, wants, reading, lambda: binary_of(samples, reading))
    return beside(Given(name, outputs, rows.by_id, notes=rows.notes(wants, reading)), samples)


def truth_of_files(wants: Wants, files: Sequence[Source], reading: Reading) -> Truth:
    """References, targets or judgements from files: of texts any number, of other answers one. Raises DataError, UsageError."""
    if len(files) > 1 and wants.family != "text":
        raise UsageError(f"score: {wants.who} takes one file of references, got {len(files)}")
    return merged([_truth_of_file(wants, file, reading) for file in files])


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _array_outputs(source: Source) -> list[Output]:
    """A vector a row: (n, dim); several vectors a row: (n, m, dim)."""
    import numpy as np

    try:
        array = np.load(from_start(source), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{name_of(source)}: not a numpy array of numbers: {error}") from None
    if array.ndim not in (2, 3) or array.dtype.kind not in "fiu":
        raise DataError(f"{name_of(source)}: vectors must be an array of numbers (n, dim) or (n, m, dim), "
                        f"got {array.dtype} of shape {array.shape}")  # fmt: skip
    several = array[:, None, :] if array.ndim == 2 else array
    return [Output(Key(str(number)), Vectors(vectors)) for number, vectors in enumerate(several, 1)]


def _listed(source: Source) -> Iterable[tuple[int, dict[str, Any]]]:
    """The objects of a JSON list, numbered from 1."""
    start = from_start(source)
    return enumerate(loads(start.read_bytes() if isinstance(start, Path) else start.read()), 1)


def _tagged_rows(source: Source, *, has_truth: bool) -> Rows:
    """Sentences of a CoNLL file: the last column has the tags; where there is no other truth, the one before it has the targets
    (as the output of conlleval has them)."""
    found = list(read_conll(from_start(source)))
    if not found:
        raise DataError(f"{name_of(source)}: no sentences in it")
    rows = [row for _, row in found]
    if not has_truth and _n_columns(source) > _TOKEN_TARGET_TAG - 1:
        targets = read_conll(from_start(source), tag=-2)
        rows = [{**row, "target": gold["tags"]} for row, (_, gold) in zip(rows, targets)]
    return Rows(name_of(source), [number for number, _ in found], rows, is_table=False)


def _check_tokens(rows: Rows, truth: Truth) -> None:
    """The sentences of both files must be the same. Raises DataError at the first token that differs."""
    for line, row, sample in zip(rows.lines, rows.rows, truth.samples):
        wanted = sample.input.get("tokens")
        if isinstance(wanted, list) and wanted != row["tokens"] and len(wanted) == len(row["tokens"]):
            at = next(at for at, pair in enumerate(zip(row["tokens"], wanted)) if pair[0] != pair[1])
            raise DataError(f"{rows.name}:{line + at}: token {row['tokens'][at]!r}, {truth.name} has {wanted[at]!r}")


_TOKEN_TARGET_TAG = 3


def _n_columns(source: Source) -> int:
    first = next(line for _, line in numbered_lines(from_start(source)) if not line.isspace())
    return len(first.split(b"\t") if b"\t" in first else first.split())


def _rows(source: Source, form: Form, reading: Reading, wants: Wants) -> Rows:
    found: Iterable[tuple[int, dict[str, Any]]]
    if form == "jsonl":
        if wants.forms == ("jsonl",) and not begins_like_an_object(source):
            raise DataError(f"score: {wants.who} needs JSON lines with {wants.fields}; {name_of(source)} holds other text")
        found = read_jsonl(from_start(source)) if not is_list(source) else _listed(source)
    elif form == "tsv":
        found = read_csv(from_start(source), "\t", "none")
    else:
        found = read_csv(from_start(source))
    numbers, rows = [], []
    for number, row in found:
        numbers.append(number)
        rows.append(row)
    if not rows:
        raise DataError(f"{name_of(source)}: no rows in it")
    return Rows(name_of(source), numbers, rows, is_table=form != "jsonl", has_ids=reading.ids)


def _check_columns(rows: Rows, wants: Wants, reading: Reading, truth: Truth | None) -> None:
    """Refuse a named column that is nowhere. Where only scores are measured the label may stand beside the targets."""
    for column in (reading.field or "").split(",") if wants.family == "ratings" else [reading.field]:
        rows.check_column(column.strip() if column else None)
    rows.check_column(reading.score)
    if truth is None:
        rows.check_column(reading.target)
    if truth is None or not wants.only_scores or reading.label not in truth.columns:
        rows.check_column(reading.label)


# ── lines ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _marks(name: str, lines: Sequence[str]) -> tuple[str, ...]:
    is_marked = lines[0].startswith("\ufeff")
    return (f"{name} begins with a byte-order mark; it is part of the first text, as for sacrebleu",) if is_marked else ()


def _line_outputs(lines: Sequence[str], name: str, wants: Wants, samples: Sequence[Sample], reading: Reading) -> list[Output]:
    answers: Iterable[Answer]
    if wants.family == "text":
        answers = map(Text, lines)
    elif wants.family == "number":
        return [_line_number(line, name, number) for number, line in enumerate(lines, 1)]
    elif wants.only_scores:
        answers = _line_scores(lines, name, binary_of(samples, reading))
    elif "probabilities" in wants.needs:
        raise UsageError(f"score: lines hold labels or scores, and {wants.who} needs both: give a table or JSON objects")
    else:
        answers = (Label(line.strip() or None) for line in lines)
    return [Output(Key(str(number)), answer) for number, answer in enumerate(answers, 1)]


def _line_number(line: str, name: str, number: int) -> Output:
    value = _numbered(name, number, lambda: to_number(line, "the number"))
    key = Key(str(number))
    return Output(key, None, error="no number") if value is None else Output(key, Number(value))


def _numbered(name: str, number: int, read: Callable[[], T]) -> T:
    try:
        return read()
    except DataError as error:
        raise DataError(f"{name}:{number}: {error}") from None


def _line_scores(lines: Sequence[str], name: str, binary: Binary) -> Iterable[Answer]:
    for number, line in enumerate(lines, 1):
        yield binary.label(_numbered(name, number, partial(to_score, line, "the score")), None)


# ── truth ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _truth_of_file(wants: Wants, source: Source, reading: Reading) -> Truth:
    name = name_of(source)
    as_lines = reading.input_format == "text"
    is_jsonl = not as_lines and looks_like_objects(source, replace(reading, field=reading.target, label=None, score=None))
    if not is_jsonl and wants.family == "ranking":
        is_exact = all(spec.startswith("recall_vs_exact@") for spec in wants.who.split(", "))
        qrels = (read_exact if is_exact else read_qrels)(from_start(source))
        return Truth(name, [Sample(query, qrels=grades) for query, grades in qrels.items()], by_id=True)
    if not is_jsonl and wants.family == "tags":
        tagged = samples_of(_tagged_rows(source, has_truth=True), wants, replace(reading, target=None), alone=True)
        return Truth(name, tagged or [], by_id=False)
    if is_jsonl or (reading.target is not None and not as_lines):
        rows = _rows(source, "jsonl" if is_jsonl else "tsv" if reading.input_format == "tsv" else "csv", reading, wants)
        rows.check_column(reading.target)
        samples = samples_of(rows, wants, reading, alone=True)
        if samples is None:
            there = ", ".join(rows.rows[0])
            raise DataError(f"{name}: which field holds the truth? Name it with --target, one of {there}")
        columns = {reading.label} if reading.label is not None and rows.holds(reading.label) else set()
        return Truth(name, samples, rows.by_id, frozenset(columns))
    lines = list(read_lines(from_start(source)))
    if not lines:
        raise DataError(f"{name}: no lines in it")
    if wants.family == "number":
        targets = [_numbered(name, i, partial(to_number, line, "the target")) for i, line in enumerate(lines, 1)]
        return Truth(name, [Sample(str(i), target=target) for i, target in enumerate(targets, 1)], by_id=False)
    if wants.family != "text" and "references" not in wants.truth:
        return Truth(name, [Sample(str(i), target=line.strip() or None) for i, line in enumerate(lines, 1)], by_id=False)
    return Truth(name, [Sample(str(i), references=(line,)) for i, line in enumerate(lines, 1)], by_id=False)


def _present(truth: Truth | None, wants: Wants, name: str, form: Form) -> Truth | None:
    if truth is None and wants.truth:
        kind = "relevance judgements (qrels)" if form == "trec" else "targets" if "target" in wants.truth else "references"
        raise UsageError(f"score: {wants.who} needs {kind} beside {name}: give their file with -r (references=)")
    return truth


def _no_truth(wants: Wants, name: str, rows: Rows) -> UsageError:
    kind = " and ".join(sorted(wants.truth))
    return UsageError(f"score: {wants.who} needs {kind}: give their file with -r (references=), or name the field of {name} "
                      f"that holds them with --target, one of {', '.join(rows.rows[0])}")  # fmt: skip

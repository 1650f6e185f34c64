"""Predictions and references in files: text lines, JSON objects, tables, TREC runs. The form follows from what is measured and
from what the first lines look like, never from the file's name.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from harness.codec import loads
from harness.data.csv import read_csv
from harness.data.files import Source, name_of, numbered_lines
from harness.data.jsonl import read_jsonl
from harness.data.textlines import read_lines
from harness.data.trec import read_qrels, read_run
from harness.engine.predictions import Given, Material, Truth, binary_of, merged, paired, reference_texts
from harness.engine.predictionrows import outputs_of_rows, value_at
from harness.engine.wants import Form, Reading, Wants
from harness.errors import DataError, UsageError
from harness.models.stored import row_key
from harness.types import Answer, Key, Label, Number, Output, Sample, Text

_LOOKED_AT = 5
_REFERENCES = ("references", "reference", "target")
_JUDGED = ("qrels",)

Rows = list[tuple[int, dict[str, Any]]]
"""Line numbers and rows."""


class HeldStream(io.BytesIO):
    """A stream that was read to its end, so that it can be looked at before it is read; it keeps its name."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream.read())
        self.name = str(getattr(stream, "name", "<stream>"))


def material_of_files(wants: Wants, predictions: Source, truth: Truth | None, reading: Reading) -> Material:
    """Pair a file of predictions with truth, or with the truth that stands in the same rows. Raises DataError, UsageError."""
    form = _form(wants, predictions, reading, has_truth=truth is not None)
    name = name_of(predictions)
    if form == "trec":
        rankings = read_run(predictions)
        outputs = [Output(Key(query), ranking) for query, ranking in rankings.items()]
        return paired(Given(name, outputs, by_id=True), _needed(truth, wants, name, form), wants)
    if form == "text":
        truth = _needed(truth, wants, name, form)
        return paired(Given(name, _line_outputs(predictions, wants, truth, reading), by_id=False), truth, wants)
    rows = _rows(predictions, form)
    by_id = "id" in rows[0][1]
    keys = _keys(rows, name, by_id)
    if truth is None and wants.truth:
        truth = Truth(name, _own_samples(rows, keys, name, wants, reading), by_id=True)
        by_id = True
    binary = None
    if wants.family == "label" and truth is not None:
        binary = lambda: binary_of(truth.samples, reading)  # noqa: E731 - only rows with a single score ask for it
    outputs = outputs_of_rows(rows, keys, name, wants, reading, binary, is_table=form != "jsonl")
    return paired(Given(name, outputs, by_id), truth, wants)

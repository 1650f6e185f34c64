"""``harness score``: metrics of outputs that are already on disk."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from harness import api
from harness.cli.options import Json
from harness.cli.output import add_rows, console, print_json, table
from harness.engine.score import Reading
from harness.errors import UsageError
from harness.report.numbers import number
from harness.types import Table

_STDIN = "-"


def command(
    specs: Annotated[list[str], typer.Argument(metavar="SPEC…", help="Metrics: bleu, rouge_l, ndcg@10, f1(average=micro).")],
    predictions: Annotated[str, typer.Option("-p", "--predictions", metavar="FILE", help="The outputs; - is standard input.")],
    references: Annotated[
        list[str] | None, typer.Option("-r", "--references", metavar="FILE", help="References, targets or qrels. Repeatable.")
    ] = None,
    input_format: Annotated[
        str | None, typer.Option("--input-format", metavar="text|jsonl|csv|tsv|trec|conll|npy", help="How they are written.")
    ] = None,
    field: Annotated[str | None, typer.Option(metavar="NAME", help="Field or column of the text or number.")] = None,
    target: Annotated[str | None, typer.Option(metavar="NAME", help="Field or column of the references or targets.")] = None,
    label: Annotated[str | None, typer.Option(metavar="NAME", help="Field or column of the predicted label.")] = None,
    score: Annotated[str | None, typer.Option(metavar="NAME", help="Field or column of the positive label's score.")] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="LABEL", help="The label that scores are of. Default: of two the last.")
    ] = None,
    group: Annotated[str | None, typer.Option(metavar="NAME", help="Field or column of the clusters to resample.")] = None,
    encoder: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Sentence encoder of metrics that need one: path:DIR, hub:… or pypi:….")
    ] = None,
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    n_bootstrap: Annotated[int, typer.Option("--n-bootstrap", help="Resamplings behind a bootstrap interval.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the resamplings.")] = 0,
    per_sample: Annotated[bool, typer.Option("--per-sample", help="The value of every output too.")] = False,
    as_json: Json = False,
) -> int:
    """Score files of outputs: the numbers of sacrebleu, rouge-score, trec_eval and scikit-learn, with intervals.

    How a file is read follows from the metrics, not from its name.

    Texts: a line an answer, as sacrebleu reads them; CSV if a column is named.

    Rankings: a TREC run, with -r qrels.

    Labels and scores: CSV with a header; its columns target, prediction (or
    label) and score (or probability), unless others are named. With -r and no
    column named: a line an answer. Where only scores are measured and nothing
    else is the target, --label is.

    Numbers: a line a number, or CSV with columns value and target.

    Tags: CoNLL columns. Ratings: CSV, a column a rater. Vectors: a .npy array.

    Any of them: JSON objects, if the first lines are such: id and text, label,
    labels, probabilities, ranking, value, tags, ratings, vectors, logprob or
    answer; references, target, contexts, slices or qrels may be in the same
    object. --input-format text takes such lines as plain text.

    Metrics of two systems (rbo) take the other one's outputs with -r.
    """
    _check_files(specs, predictions, references or [])
    reading = Reading(input_format, field, target, label, score, positive, group)
    results = api.score(
        specs, _opened(predictions), [_opened(file) for file in references] if references else None,
        reading=reading, roles={} if encoder is None else {"encoder": encoder}, level=level, n_bootstrap=n_bootstrap, seed=seed,
    )  # fmt: skip
    if as_json:
        print_json({"results": [result.to_json(per_sample=per_sample) for result in results], "notes": results[0].notes})
    else:
        _print(results, per_sample, seed)
    return 0


def _check_files(specs: Sequence[str], predictions: str, references: Sequence[str]) -> None:
    if [predictions, *references].count(_STDIN) > 1:
        raise UsageError("harness score: only one of -p and -r can be - (standard input)")
    for spec in specs:
        if Path(spec).is_file():
            raise UsageError(f"harness score: {spec} is a file, not a metric: write -r before each file of references")


def _opened(file: str) -> Any:
    return sys.stdin.buffer if file == _STDIN else file


# ── for people ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _print(results: Sequence[api.ScoreResult], per_sample: bool, seed: int) -> None:
    out = console()
    percent = f"{results[0].estimate.level * 100:g} % interval"
    shown = add_rows(table("metric", "value", percent, "n", "missing", "signature"), map(_row, results))
    for column in shown.columns[:-1]:
        column.no_wrap = True
    shown.columns[-1].overflow = "fold"
    out.print(shown)
    if per_sample:
        out.print()
        out.print(_per_sample(results))
    _print_tables(results)
    lines = [*_gaps(results), *results[0].notes, _methods(results, seed)]
    out.print()
    for line in lines:
        out.print(Text(line, style="dim"), soft_wrap=True)


def _print_tables(results: Sequence[api.ScoreResult]) -> None:
    """Curves, matrices and breakdowns, the first rows of each; what two metrics have in common once."""
    shown: list[Table] = []
    out = console()
    for result in results:
        for name, found in result.tables.items():
            if found in shown or not found.rows:
                continue
            shown.append(found)
            out.print()
            out.print(Text(f"{result.metric}: {name.replace('_', ' ')}", style="bold"))
            out.print(add_rows(table(*found.columns), (map(_cell_text, row) for row in found.rows[:_ROWS_SHOWN])))
            if len(found.rows) > _ROWS_SHOWN:
                out.print(Text(f"{len(found.rows) - _ROWS_SHOWN:,} more rows: --json has them all", style="dim"))


_ROWS_SHOWN = 20


def _cell_text(value: Any) -> object:
    if not isinstance(value, float):
        return value
    return f"{value:g}" if value.is_integer() or not math.isfinite(value) else number(value, 4)


def _row(result: api.ScoreResult) -> list[object]:
    estimate = result.estimate
    value, interval = "n/a", "–"
    if estimate.value is not None and estimate.low is not None and estimate.high is not None:
        value, low, high = _numbers(estimate.value, estimate.low, estimate.high)
        interval = f"[{low}, {high}]"
    elif estimate.value is not None:
        [value] = _numbers(estimate.value)
    return [result.metric, value, interval, estimate.n, estimate.n_missing, result.signature]


def _numbers(*values: float) -> list[str]:
    """As many digits as the reference tools print: four of values within ±1, two if one of them is larger."""
    places = 4 if all(abs(value) <= 1 for value in values) else 2
    return [number(value, places) for value in values]


def _gaps(results: Sequence[api.ScoreResult]) -> list[str]:
    """Why values or rows are not there, and what the missing ones could have changed."""
    lines = []
    for result in results:
        estimate = result.estimate
        if estimate.reason is not None:
            lines.append(f"{result.metric}: {estimate.reason}")
        if not estimate.n_missing or estimate.value is None:
            continue
        why = Counter(result.samples.missing.values()).most_common(1) if result.samples is not None else []
        line = f"{result.metric}: {estimate.n_missing} missing" + (f" (most often: {why[0][0]})" if why else "")
        if estimate.worst_case is not None and estimate.best_case is not None:
            low, high = sorted((estimate.worst_case, estimate.best_case))
            line += "; with them it could be {} to {}".format(*_numbers(low, high))
        lines.append(line)
    return lines


def _methods(results: Sequence[api.ScoreResult], seed: int) -> str:
    methods = dict.fromkeys(result.estimate.method for result in results if result.estimate.method != "none")
    if not methods:
        return "no intervals"
    drawn = f", seed {seed}" if any("bootstrap" in method for method in methods) else ""
    return f"intervals: {', '.join(methods)}{drawn}"


def _per_sample(results: Sequence[api.ScoreResult]) -> Any:
    there = [result for result in results if result.samples is not None]
    made = table("id", *(result.metric for result in there))
    columns = [[_cell(result, row) for row in range(len(result.samples.ids))] for result in there if result.samples is not None]
    ids = there[0].samples.ids if there and there[0].samples is not None else []
    return add_rows(made, zip(ids, *columns))


def _cell(result: api.ScoreResult, row: int) -> str:
    samples = result.samples
    if samples is None:
        return "–"
    value = float(samples.values[row])
    return samples.missing.get(row, "–") if value != value else _numbers(value)[0]

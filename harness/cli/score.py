"""``harness score``: metrics of outputs that are already on disk."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from harness import api
from harness.cli.options import Json
from harness.cli.output import print_json, undisturbed
from harness.cli.scores import print_scores
from harness.engine.score import Reading
from harness.errors import UsageError
from harness.plugins import is_metric

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
    no_ids: Annotated[bool, typer.Option("--no-ids", help="Take rows in order, whatever a field id says.")] = False,
    encoder: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Sentence encoder of metrics that need one: path:DIR, hub:… or pypi:….")
    ] = None,
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    n_bootstrap: Annotated[int, typer.Option("--n-bootstrap", help="Resamplings behind a bootstrap interval.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the resamplings.")] = 0,
    per_sample: Annotated[bool, typer.Option("--per-sample", help="The value of every output too.")] = False,
    tables: Annotated[bool, typer.Option("--tables", help="Curves and matrices whole.")] = False,
    as_json: Json = False,
) -> int:
    """Score files of outputs: the numbers of sacrebleu, rouge-score, trec_eval and scikit-learn, with intervals.

    How a file is read follows from the metrics, not from its name. Specs
    with brackets need quotes: 'f1(average=micro)'.

    Texts: a line an answer, as sacrebleu reads them; CSV if a column is named.

    Rankings: a TREC run, with -r qrels.

    Labels and scores: CSV with a header; its columns target, prediction (or
    label) and score (or probability), unless others are named. With -r and no
    column named: a line an answer. Where only scores are measured and nothing
    else is the target, --label is.

    Several labels an item: JSON lines, labels and target both lists:
    {"labels": ["a", "b"], "target": ["a"]}.

    Preferences (elo, bradley_terry, pairwise_win_rate): CSV or JSON lines with
    left and right, the names of the two, and label: left, right or tie.

    Numbers: a line a number, or CSV with columns value and target.

    Tags: CoNLL columns, the tag last; -r the same tokens with the true tags.

    Ratings: CSV, a row an item and a column a rater; --field r1,r2 names them.

    Vectors: a .npy array (n, dim), or (n, m, dim) for m of them an item; JSON
    lines with vector or vectors; -r real.npy where a metric is against a set.

    Variants of an item (consistency_under): --group names its column.

    Any of them: JSON objects, if the first lines are such: id and text, label,
    labels, probabilities, ranking, value, tags, ratings, vectors, logprob or
    answer; references, target, contexts, slices or qrels may be in the same
    object. --input-format text takes such lines as plain text.

    Metrics of two systems (rbo) take the other one's outputs with -r.
    """
    _check_files(specs, predictions, references or [])
    reading = Reading(input_format, field, target, label, score, positive, group, not no_ids)
    with undisturbed(as_json):
        results = api.score(
            specs, _opened(predictions), [_opened(file) for file in references] if references else None, reading=reading,
            roles={} if encoder is None else {"encoder": encoder}, level=level, n_bootstrap=n_bootstrap, seed=seed,
        )  # fmt: skip
    if as_json:
        print_json({"results": [result.to_json(per_sample=per_sample) for result in results], "notes": results[0].notes})
    else:
        print_scores(results, per_sample=per_sample, whole=tables, seed=seed)
    return 0


def _check_files(specs: Sequence[str], predictions: str, references: Sequence[str]) -> None:
    """Refuse what is no metric but a file: a shell's pattern after -r gives more than one."""
    if [predictions, *references].count(_STDIN) > 1:
        raise UsageError("harness score: only one of -p and -r can be - (standard input)")
    for spec in specs:
        if Path(spec).is_file() and not is_metric(spec):
            raise UsageError(f"harness score: {spec} is a file, not a metric: write -r before each file of references")


def _opened(file: str) -> Any:
    return sys.stdin.buffer if file == _STDIN else file

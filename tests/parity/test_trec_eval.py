"""The seven outputs that trec_eval's own tests expect, line by line: measure, query and value as printed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from harness.data.trec import read_qrels, read_run
from harness.metrics.judgements import judge
from harness.metrics.ranking import GeometricMetric, RankingMetric, RelevanceMetric, TotalMetric
from harness.plugins import metric
from harness.types import FloatArray, Ranking

SharedData = Callable[[str], Path]
WITH_CUT = ("P", "recall", "ndcg_cut", "map_cut", "relative_P", "success", "unj", "iprec_at_recall", "Rprec_mult")
NOT_METRICS = {"runid", "relstring"}
"""The tag of the run, and a picture of the first grades: words, not numbers."""


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """What trec_eval was called with. ``complete`` is -c, ``depth`` -M, ``level`` -l, ``pictured`` -m relstring."""

    output: str
    qrels: str = "qrels.test"
    run: str = "results.test"
    level: int = 1
    complete: bool = False
    depth: int | None = None
    pictured: int = 10


COMMAND_LINES = (
    CommandLine("out.test"),
    CommandLine("out.test.a"),
    CommandLine("out.test.aq"),
    CommandLine("out.test.aqc", run="results.trunc", complete=True),
    CommandLine("out.test.aqcM", run="results.trunc", complete=True, depth=100),
    CommandLine("out.test.aql", qrels="qrels.rel_level", level=2, pictured=20),
    CommandLine("out.test.meas_params"),
)
N_LINES = dict(zip((c.output for c in COMMAND_LINES), (30, 99, 387, 387, 387, 387, 88)))


def spec_of(printed: str) -> str:
    """Our spec, in trec_eval's own words, of a measure as trec_eval prints it."""
    if match := re.fullmatch(rf"({'|'.join(WITH_CUT)})_([\d.]+)", printed):
        return f"{match[1]}@{match[2]}"
    if match := re.fullmatch(r"utility_(.+)", printed):
        return f"utility({match[1]})"
    if match := re.fullmatch(r"11pt_avg_(.+)", printed):
        return f"11pt_avg([{match[1]}])"
    if match := re.fullmatch(r"(ndcg|G|Rndcg)_(\d+=.+)", printed):
        return f'{match[1]}(gain="{match[2]}")'
    return printed


@cache
def metric_at(printed: str, level: int) -> RankingMetric:
    made = metric(spec_of(printed))
    assert isinstance(made, RankingMetric)
    return dataclasses.replace(made, level=level) if isinstance(made, RelevanceMetric) else made


def numbers(values: FloatArray, made: RankingMetric) -> list[str]:
    """As trec_eval prints: a value for each query, then that over all; geometric means over all only."""
    total = made.finish(np.array([values.sum(), len(values)]))
    own = [] if isinstance(made, GeometricMetric) else list(values)
    return [f"{value:.0f}" if isinstance(made, TotalMetric) else f"{value:.4f}" for value in [*own, float(total)]]


def lines(call: CommandLine, folder: Callable[[str], Path], printed: list[str]) -> Iterator[tuple[str, str, str]]:
    """(measure, query, value) of what we compute."""
    qrels, run = read_qrels(folder(call.qrels)), read_run(folder(call.run))
    queries = sorted(qrels if call.complete else set(qrels) & set(run))
    judged = judge([run.get(query, Ranking((), ())) for query in queries], [qrels[query] for query in queries])
    judged = judged if call.depth is None else judged.first(call.depth)
    for measure in printed:
        made = metric_at(measure, call.level)
        values = numbers(made.values(judged), made)
        names = [*queries, "all"] if len(values) > 1 else ["all"]
        yield from ((measure, query, value) for query, value in zip(names, values))
    for query in queries:
        grades, ranking = qrels[query], run.get(query, Ranking((), ()))
        picture = [_sign(grades.get(document)) for document in ranking.documents[: call.pictured]]
        yield "relstring" if call.pictured == 10 else f"relstring_{call.pictured}", query, f"'{''.join(picture)}'"


def _sign(grade: int | None) -> str:
    return "-" if grade is None else "." if grade < 0 else str(grade)


@pytest.mark.parametrize("call", COMMAND_LINES, ids=lambda call: call.output)
def test_expected_output(call: CommandLine, shared_data: SharedData) -> None:
    expected = [tuple(line.split()) for line in shared_data(f"trec_eval/{call.output}").read_text().splitlines()]
    assert len(expected) == N_LINES[call.output]
    measures = list(dict.fromkeys(name for name, _, _ in expected if name.split("_")[0] not in NOT_METRICS))
    ours = {(measure, query): value for measure, query, value in lines(call, lambda n: shared_data(f"trec_eval/{n}"), measures)}
    wrong = [(line, ours.get((line[0], line[1]))) for line in expected
             if line[0] != "runid" and ours.get((line[0], line[1])) != line[2]]
    assert wrong == []

"""A run file on disk to five measures, against pytrec_eval and ranx: ``python -m tests.bench.bench_ranking [QUERIES]``.

5,000 queries × 1,000 documents by default (made: ids like ``D0123456``, scores with four decimals, so that some are tied),
about 50 judgements a query with grades 0 to 3. Ours goes through ``harness.api.score``: with its intervals (1,000 resamples),
and without; and once more without the compiled part of the reader, if it is there.
All sides read the files with their own parsers. The five values, and all those by query, are asserted to be equal
before anything is timed. ranx is left out where it is not installed; numba compiles before the clock starts.
"""

from __future__ import annotations

import importlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.api import ScoreResult, score
from harness.data import compiled

SPECS = ("ndcg@10", "map", "mrr", "recall@100", "precision@10")
PYTREC = ("ndcg_cut_10", "map", "recip_rank", "recall_100", "P_10")
RANX = ("ndcg@10", "map", "mrr", "recall@100", "precision@10")
DEPTH, JUDGED, POOL = 1_000, 50, 500_000


def write_files(folder: Path, n_queries: int) -> tuple[Path, Path]:
    """A run and its judgements: half of the judged documents are ranked, the better ones a little higher than chance."""
    rng = np.random.default_rng(0)
    run, qrels = folder / "run.trec", folder / "qrels.txt"
    with run.open("w") as run_file, qrels.open("w") as qrels_file:
        for query in range(1, n_queries + 1):
            documents = rng.choice(POOL, DEPTH, replace=False)
            scores = np.sort(rng.normal(12, 4, DEPTH))[::-1].round(4).tolist()
            places = np.unique((DEPTH * rng.random(JUDGED // 2) ** 2).astype(int))
            judged = np.unique(np.concatenate([documents[places], rng.choice(POOL, JUDGED // 2)])).tolist()
            grades = rng.choice([0, 0, 0, 1, 1, 2, 3], len(judged)).tolist()
            ranked = enumerate(zip(documents.tolist(), scores), 1)
            run_file.write("".join(f"{query} Q0 D{d:07d} {rank} {s:.4f} bm25\n" for rank, (d, s) in ranked))
            qrels_file.write("".join(f"{query} 0 D{d:07d} {grade}\n" for d, grade in zip(judged, grades)))
    return run, qrels


def ours(run: Path, qrels: Path, n_bootstrap: int = 1000) -> list[ScoreResult]:
    return score(SPECS, run, qrels, n_bootstrap=n_bootstrap)


def ours_in_python(run: Path, qrels: Path) -> list[ScoreResult]:
    """As if the package were installed without a C compiler."""
    is_there = compiled.IS_THERE
    compiled.IS_THERE = False
    try:
        return ours(run, qrels, 1)
    finally:
        compiled.IS_THERE = is_there


def theirs(run: Path, qrels: Path) -> Mapping[str, Mapping[str, float]]:
    import pytrec_eval

    with qrels.open() as file:
        judgements = pytrec_eval.parse_qrel(file)
    with run.open() as file:
        ranked = pytrec_eval.parse_run(file)
    evaluator = pytrec_eval.RelevanceEvaluator(judgements, {"ndcg_cut.10", "map", "recip_rank", "recall.100", "P.10"})
    found: Mapping[str, Mapping[str, float]] = evaluator.evaluate(ranked)
    return found


def ranx(run: Path, qrels: Path) -> Mapping[str, float]:
    module = importlib.import_module("ranx")
    judgements, ranked = (made.from_file(str(path), kind="trec") for made, path in ((module.Qrels, qrels), (module.Run, run)))
    return dict(module.evaluate(judgements, ranked, list(RANX)))


def check(run: Path, qrels: Path) -> None:
    """Every value by query equals pytrec_eval's; the sums over queries too."""
    expected = theirs(run, qrels)
    in_python = [result.samples.values.tolist() for result in ours_in_python(run, qrels) if result.samples is not None]
    assert in_python == [result.samples.values.tolist() for result in ours(run, qrels, 1) if result.samples is not None]
    for result, name in zip(ours(run, qrels), PYTREC):
        assert result.samples is not None
        values = dict(zip(result.samples.ids, result.samples.values.tolist()))
        assert values.keys() == expected.keys()
        worst = max(abs(values[query] - row[name]) for query, row in expected.items())
        assert worst < 1e-9, (name, worst)
        assert result.value is not None
        assert abs(result.value - statistics.fmean(row[name] for row in expected.values())) < 1e-9


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def table(rows: Mapping[str, Callable[[], Any]], rounds: Mapping[str, int], first: str) -> str:
    """Best of the rounds, sides alternated; the ratio is that of each to ``first``, wall and processor time."""
    best: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for turn in range(max(rounds.values())):
        for name, call in rows.items():
            if turn < rounds[name]:
                best[name].append(timed(call))
    out = io.StringIO()
    wall, cpu = (min(times[i] for times in best[first]) for i in (0, 1))
    for name, times in best.items():
        w, c = (min(time[i] for time in times) for i in (0, 1))
        print(f"{name:<46} | {w:8.2f} | {c:8.2f} | {w / wall:7.1f} | {c / cpu:7.1f}", file=out)
    return out.getvalue()


def main() -> None:
    n_queries = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    with tempfile.TemporaryDirectory() as name:
        run, qrels = write_files(Path(name), n_queries)
        check(run, qrels)
        rows: dict[str, Callable[[], Any]] = {
            "harness score, no intervals": lambda: ours(run, qrels, 1),
            "harness score, with 95 % intervals": lambda: ours(run, qrels),
            "pytrec_eval, its own parser": lambda: theirs(run, qrels),
        }
        rounds = dict(zip(rows, (4, 4, 3)))
        if compiled.IS_THERE:
            rows["harness score, no intervals, nothing compiled"] = lambda: ours_in_python(run, qrels)
            rounds["harness score, no intervals, nothing compiled"] = 2
        try:
            expected = [result.value for result in ours(run, qrels, 1)]
            found = ranx(run, qrels)
            for metric, value in zip(RANX, expected):
                print(f"ranx {metric}: {found[metric]:.6f}, ours {value:.6f}")
            rows["ranx, compiled before"] = lambda: ranx(run, qrels)
            rounds["ranx, compiled before"] = 2
        except ImportError:
            print("ranx is not installed")
        print(f"The reader is {'compiled' if compiled.IS_THERE else 'not compiled: it works in Python and arrow'}.")
        print(f"{n_queries:,} queries × {DEPTH:,} documents, {run.stat().st_size / 1e6:.0f} MB; values by query equal\n")
        print(f"{'what':<46} | {'wall s':>8} | {'cpu s':>8} | {'ratio':>7} | {'cpu':>7}")
        print(table(rows, rounds, next(iter(rows))))


if __name__ == "__main__":
    main()

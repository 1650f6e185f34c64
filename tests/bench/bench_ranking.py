"""A run file on disk to five measures, against pytrec_eval and ranx.

5,000 queries × 1,000 documents (made: ids like ``D0123456``, scores with four decimals, so that some are tied), about 50
judgements a query with grades 0 to 3. Ours goes through ``harness.api.score``: with its intervals (1,000 resamples), and
without; and once more without the compiled part of the reader, if it is there. All sides read the files with their own parsers.
The five values, and all those by query, are asserted to be equal before anything is timed. ranx is left out where it is not
installed; numba compiles before the clock starts.
"""

from __future__ import annotations

import importlib
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from harness.api import ScoreResult, score
from harness.data import compiled
from tests.bench.timing import Race

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


def races() -> Iterator[Race]:
    n_queries = 5_000
    with tempfile.TemporaryDirectory() as name:
        files = write_files(Path(name), n_queries)
        check(*files)
        sizes = f"{n_queries:,} queries x {DEPTH:,}, {files[0].stat().st_size / 1e6:.0f} MB"
        how = "compiled reader" if compiled.IS_THERE else "reader not compiled"

        def values(_: Any) -> object:
            return ours(*files, 1)

        yield Race("run file to 5 values, pytrec_eval", sizes, values, lambda _: theirs(*files), 7, note=how)
        yield Race("the same with 95 % intervals", sizes, lambda _: ours(*files), lambda _: theirs(*files), 7, note=how)
        if compiled.IS_THERE:
            yield Race("the same, nothing compiled", sizes, lambda _: ours_in_python(*files), lambda _: theirs(*files), 7)
        if find_spec("ranx") is not None:
            found = ranx(*files)  # numba compiles here, before the clock starts
            assert all(abs(found[m] - float(r.value or 0)) < 1e-6 for m, r in zip(RANX, ours(*files, 1))), "ranx differs"
            yield Race("run file to 5 values, ranx", sizes, values, lambda _: ranx(*files), 20, note=how)

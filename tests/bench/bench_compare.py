"""Two runs of a million samples, compared: seconds and peak memory of the whole command.

``python -m tests.bench.bench_compare [N]``. The runs are written through ``SampleWriter``, as ``harness run`` writes them; the
command runs in a process of its own, whose processor time and largest resident set the system counts.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.codec import digest
from harness.store import SampleWriter, create_run, write_record
from harness.store.samples import MetricColumn
from harness.types import RunRecord

METRIC, SIGNATURE = "exact_match", "exact_match(extract=none,normalize=squad)#v1"
BLOCK = 4096
ESTIMATE = {"entry": "m", "model": "m", "cell": "", "task": "t", "metric": METRIC, "signature": SIGNATURE, "primary": True,
            "value": 0.5, "low": 0.4, "high": 0.6, "n": 1, "n_missing": 0}  # fmt: skip


def write_run(results: Path, name: str, order: np.ndarray[Any, np.dtype[np.int64]], share: float, seed: int) -> Path:
    """A run with the samples of these numbers, of which that share is right."""
    folder, rng = create_run(results, name), np.random.default_rng(seed)
    writer = SampleWriter(folder, [METRIC])
    for start in range(0, len(order), BLOCK):
        numbers = order[start : start + BLOCK].tolist()
        hits = (rng.random(len(numbers)) < share).astype(np.float64)
        stats = np.column_stack([hits, np.ones(len(hits))])
        writer.write(_columns(numbers, hits), {METRIC: MetricColumn(hits, stats, {})})
    writer.close()
    write_record(folder, _record(folder, name, len(order)))
    return folder


def _columns(numbers: list[int], hits: Any) -> Mapping[str, list[Any]]:
    n = len(numbers)
    names = [f"sample-{number:07}" for number in numbers]
    absent: list[Any] = [None] * n
    return {
        "model": ["m"] * n, "cell": [""] * n, "task": ["t"] * n, "arm": [""] * n, "sample_id": names,
        "sample_hash": [digest(name.encode()) for name in names], "group": absent,
        "sample": [f'{{"choices":[],"contexts":[],"group":null,"id":"{name}","input":{{"question":"what is {name}?"}},'
                   f'"qrels":null,"references":["{name}"],"slices":{{}},"target":null}}' for name in names],
        "prompt": [f"Q: what is {name}?\nA:" for name in names],
        "answer": [f'{{"text":"{name if hit else "no"}","type":"text"}}' for name, hit in zip(names, hits)],
        "text": [name if hit else "no" for name, hit in zip(names, hits)], "error": absent, "finish_reason": ["stop"] * n,
        "slices": absent, "repeat": [0] * n, "input_tokens": [9] * n, "output_tokens": [3] * n, "latency_s": [0.01] * n,
        "first_token_s": absent, "truncated": [False] * n, "cached": [False] * n,
    }  # fmt: skip


def _record(folder: Path, name: str, n: int) -> RunRecord:
    facts = {"name": METRIC, "family": "text", "higher_is_better": True, "bounds": [0, 1], "unit": "", "columns": ["hit", "n"]}
    return RunRecord(
        schema=1, run_id=folder.name, name=name, parent=None, plan_hash=name, config={"tasks": [{"task": "t"}]}, seeds=(0,),
        data_fingerprints={"t": {"fingerprint": "f", "n": n, "version": 1, "language": "en"}}, model_signatures={"m": {}},
        metric_signatures={METRIC: {**facts, "signatures": {"t": SIGNATURE}}}, environment={}, estimates=(ESTIMATE,),
        standings={"tasks": [], "mean_rank": {}}, tables=(), timings={}, counts={"units": {"m × t": {"rows": n}}}, path=folder,
    )  # fmt: skip


def measured(*words: str) -> tuple[float, float, float]:
    """Wall seconds, processor seconds, largest resident set in MiB of a command line."""
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "harness.cli", *words], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024


def main(n: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        results = Path(name)
        here = np.arange(n)
        a = write_run(results, "a", here, 0.5, 1)
        b = write_run(results, "b", here, 0.502, 2)
        shuffled = write_run(results, "shuffled", np.random.default_rng(3).permutation(n + n // 10)[:n], 0.502, 4)
        for what, other in (("same order", b), ("other order, a tenth other samples", shuffled)):
            wall, cpu, peak = measured("compare", str(a), str(other), "--results", str(results), "--json")
            print(f"{n:,} samples, {what}: {wall:.1f} s, {cpu:.1f} s of processor time, {peak:,.0f} MiB at most")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)

"""What the harness costs a sample when the model costs nothing: ``python -m tests.bench.bench_overhead [SAMPLES [PEER]]``.

``INSPECT_PYTHON``: the interpreter of an environment of its own with ``inspect_ai``, which does not fit beside our constraints;
its ``mockllm`` is measured too then, on INSPECT samples.

A generation task with ``exact_match``: data read and checked, prompts rendered, answers journaled and scored, samples and
record written. Whole commands in fresh processes, as a user types them: ours on the ``null`` backend; then on one like it whose
answers are kept, first into an empty cache, then all of them out of it; lm-eval with its ``dummy`` model and ``--log_samples``
on the first PEER of the same requests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.models.null import Null
from harness.protocols import Cacheable

SAMPLES, PEER, INSPECT = 100_000, 10_000, 1_000
_ROOT = Path(__file__).resolve().parents[2]
_SAID = "lol"  # what lm-eval's dummy says to everything
_RIGHT = 4  # every fourth sample has that for its reference


@dataclass
class Kept(Null):
    """The null model as one whose answers are fixed by its signature."""

    name: ClassVar[str] = "kept"
    summary: ClassVar[str] = "null, with answers that are kept across runs"
    cacheable: ClassVar[Cacheable] = "always"


@dataclass(frozen=True)
class Cost:
    """Wall and processor seconds of a command, its peak resident memory in bytes (0: not told), and the score that it found."""

    wall: float
    cpu: float
    peak: int
    score: float


def run(samples: int = SAMPLES, peer: int = PEER) -> None:
    """Print a line for every measurement, then the ratios that count."""
    print(f"{'what':<34} {'samples':>9} {'s':>8} {'cpu s':>8} {'samples/s':>10} {'(cpu)':>10} {'peak MB':>8}", flush=True)
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as compiled:
        folder, environment = Path(name), {**os.environ, "PYTHONPYCACHEPREFIX": compiled, "PYTHONPATH": str(_ROOT)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        _ours(folder, 100, environment, "null")  # compiles what will be imported
        small = _shown("ours, null", peer, lambda: _ours(folder, peer, environment, "null"))
        large = _shown("ours, null", samples, lambda: _ours(folder, samples, environment, "null"))
        kept = f"'{__name__ if __name__ != '__main__' else 'tests.bench.bench_overhead'}:Kept'"
        _shown("ours, answers kept", samples, lambda: _ours(folder, samples, environment, kept))
        cached = _shown("ours, every answer from the cache", samples, lambda: _ours(folder, samples, environment, kept))
        _lm_eval(folder, 100, environment)
        dummy = _shown("lm-eval, dummy", peer, lambda: _lm_eval(folder, peer, environment))
        python = os.environ.get("INSPECT_PYTHON")
        mock = _shown("inspect_ai, mockllm", INSPECT, lambda: _inspect(folder, INSPECT, str(python))) if python else None
    print(f"null: {_rate(samples, large)}, at least 20,000 asked for")
    print(f"cached: {large.wall / cached.wall:.2f} of the rate of null ({large.cpu / cached.cpu:.2f} by cpu), at least 0.50")
    print(f"lm-eval: {dummy.wall / small.wall:.0f}x as long for {peer:,} samples ({dummy.cpu / small.cpu:.0f}x by cpu)")
    per_sample = [(cost.wall / n, cost.cpu / n) for cost, n in ((dummy, peer), (large, samples))]
    wall, cpu = (theirs / ours for theirs, ours in zip(*per_sample))
    print(f"a sample of its {peer:,} takes {wall:.0f}x as long as one of our {samples:,} ({cpu:.0f}x by cpu)")
    if mock is not None:
        wall, cpu = mock.wall / INSPECT / (large.wall / samples), mock.cpu / INSPECT / (large.cpu / samples)
        print(f"a sample of inspect_ai's {INSPECT:,} takes {wall:.0f}x as long as one of our {samples:,} ({cpu:.0f}x by cpu)")


def _shown(what: str, n: int, measure: Callable[[], Cost]) -> Cost:
    cost = measure()
    assert cost.score == len(range(0, n, _RIGHT)) / n, (what, cost.score)
    peak = f"{cost.peak / 1e6:8.0f}" if cost.peak else f"{'–':>8}"
    print(f"{what:<34} {n:9,} {cost.wall:8.2f} {cost.cpu:8.2f} {n / cost.wall:10,.0f} {n / cost.cpu:10,.0f} {peak}", flush=True)
    return cost


def _rate(n: int, cost: Cost) -> str:
    return f"{n / cost.wall:,.0f} samples a second of the whole command ({n / cost.cpu:,.0f} by cpu)"


def _ours(folder: Path, n: int, environment: Mapping[str, str], backend: str) -> Cost:
    config = write_inputs(folder, n, backend)
    results = folder / "results"
    command = [sys.executable, "-m", "harness.cli", "run", str(config), "--json", "--results", str(results),
               "--cache-dir", str(folder / f"cache{n}")]  # fmt: skip
    wall, cpu, said = _timed(command, environment)
    document = json.loads(said)
    (estimate,) = document["estimates"]
    assert estimate["n"] == n, estimate
    record = json.loads((results / document["run_id"] / "run.json").read_text())
    peak = record["environment"]["peak_memory_bytes"]["resident"] or 0
    return Cost(wall, cpu, peak, estimate["value"])


def write_inputs(folder: Path, n: int, backend: str = "null") -> Path:
    """A config of one task with so many samples."""
    data = folder / f"data{n}.jsonl"
    if not data.exists():
        answers = (_SAID if i % _RIGHT == 0 else str(2 * i) for i in range(n))
        rows = (json.dumps({"id": f"q{i}", "question": f"What is {i} plus {i}?", "answer": a}) for i, a in enumerate(answers))
        data.write_text("\n".join(rows) + "\n")
    (folder / "task.yaml").write_text(
        f"task: sums\nversion: 1\nsuite: generation\ndata: {{format: jsonl, path: {data.name}}}\n"
        'sample: {id: "{{ id }}", references: ["{{ answer }}"]}\nprompt: {text: "Q: {{ question }}\\nA:"}\n'
        "metrics: [exact_match(normalize=none)]\nprimary: exact_match(normalize=none)\n"
    )
    config = folder / "run.yaml"
    config.write_text(f"models: {{nothing: {{backend: {backend}, text: {_SAID}}}}}\ntasks: [task.yaml]\n")
    return config


def _lm_eval(folder: Path, n: int, environment: Mapping[str, str]) -> Cost:
    """The same with lm-eval's command line, on the same file."""
    write_inputs(folder, n)
    tasks, out = folder / f"lm{n}", folder / f"out{n}"
    tasks.mkdir(exist_ok=True)
    (tasks / "sums.yaml").write_text(
        f"task: sums\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder / f'data{n}.jsonl'}}}}}\n"
        'test_split: test\noutput_type: generate_until\ndoc_to_text: "Q: {{question}}\\nA:"\ndoc_to_target: "{{answer}}"\n'
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    )
    command = [sys.executable, "-m", "lm_eval", "--model", "dummy", "--tasks", "sums", "--include_path", str(tasks),
               "--output_path", str(out), "--log_samples"]  # fmt: skip
    offline = {"HF_HOME": str(folder / "hub"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    wall, cpu, _ = _timed(command, {**environment, **offline})
    (found,) = out.rglob("results_*.json")
    (samples,) = out.rglob("samples_*.jsonl")
    assert sum(1 for _ in samples.open()) == n
    return Cost(wall, cpu, 0, json.loads(found.read_text())["results"]["sums"]["exact_match,none"])


_INSPECT = """\
import sys
import tiktoken
# What it counts tokens with is downloaded; bytes are counted in its place.
tiktoken.get_encoding = lambda name: tiktoken.Encoding(
    name, pat_str="(?s).+", mergeable_ranks={bytes([i]): i for i in range(256)}, special_tokens={})
from inspect_ai import Task, eval
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import exact
from inspect_ai.solver import generate
data, logs, n, text = sys.argv[1:]
samples = json_dataset(data, FieldSpec(input="question", target="answer", id="id"))
said = [ModelOutput.from_content("mockllm/model", text) for _ in range(int(n))]
model = get_model("mockllm/model", custom_outputs=said)
(log,) = eval(Task(dataset=samples, solver=generate(), scorer=exact()), model=model, log_dir=logs, display="none")
assert log.status == "success" and log.results.completed_samples == int(n), log.error
print(log.results.scores[0].metrics["mean"].value)
"""


def _inspect(folder: Path, n: int, interpreter: str) -> Cost:
    """The same with Inspect's mock model, on the same file, its log in its own format."""
    write_inputs(folder, n)
    driver = folder / "inspect_peer.py"
    driver.write_text(_INSPECT)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    words = [folder / f"data{n}.jsonl", folder / f"logs{n}", n, _SAID]
    wall, cpu, said = _timed([interpreter, str(driver), *map(str, words)], environment)
    return Cost(wall, cpu, 0, float(said.split()[-1]))


def _timed(command: list[str], environment: Mapping[str, str]) -> tuple[float, float, str]:
    """Wall seconds, processor seconds of the command and all that it started, and what it said."""
    before, clock = os.times(), time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - clock, os.times()
    assert done.returncode == 0, done.stderr[-2000:]
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, used, done.stdout


if __name__ == "__main__":
    run(*(int(word) for word in sys.argv[1:3]))

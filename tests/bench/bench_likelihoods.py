"""Scoring by log-likelihood against lm-evaluation-harness: ``python -m tests.bench.bench_likelihoods [arc-easy …]``.

Each side is a fresh process, one after the other: ``harness run`` of a config made for it, and lm_eval's own command on a local
task with ``--batch_size 8``; the same weights in float32 and the same requests, on one CPU thread. The values that both print
must be equal. Whole process and request phase (from the first request's tokens to the last score), wall and processor seconds,
and the padded tokens that each model read. ``--questions 20`` or ``--tokens 2000`` is a quick look.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.timing import line
from tests.bench.wmt17 import DATA
from tests.models.real import SMOLLM2

ROOT = Path(__file__).resolve().parents[2]
HEADER = ("what", "sizes", "ours s (cpu)", "peer s (cpu)", "ratio (cpu)", "at least")

OURS = f"""\
models:
  smollm2: {{backend: transformers, source: "{SMOLLM2}", dtype: float32, device: cpu, threads: 1, max_length: LENGTH}}
tasks: [task.yaml]
"""
QUESTIONS = """\
task: questions
suite: classification
data: {format: jsonl, path: rows.jsonl}
sample: {id: "{{ id }}", choices: "{{ choices }}", target: "{{ gold }}"}
prompt: {text: "{{ context }}"}
answer: likelihood
metrics: [acc, acc_norm]
"""
PEERS_QUESTIONS = """\
task: questions
dataset_path: json
dataset_kwargs: {data_files: {test: ROWS}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{context}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{gold}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
PAGE = """\
task: page
suite: perplexity
data: {format: jsonl, path: rows.jsonl}
text: "{{ page }}"
metrics: [word_perplexity, byte_perplexity]
"""
PEERS_PAGE = """\
task: page
dataset_path: json
dataset_kwargs: {data_files: {test: ROWS}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{page}}"
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}]
"""


@dataclass(frozen=True)
class Case:
    """Both sides' tasks, the rows that they read, and what was asked of the whole process and of the request phase."""

    rows: Callable[[argparse.Namespace], list[dict[str, Any]]]
    ours: str
    peers: str
    metrics: dict[str, str]
    whole: float
    requests: float


def questions(name: str, given: argparse.Namespace, *, shots: bool) -> list[dict[str, Any]]:
    """The first questions in file order; without ``shots`` the question alone is the context."""
    rows = []
    for row in itertools.islice(_first_rows(DATA / "arc" / f"{name}_test_rc_5shot.requests.jsonl.gz"), given.questions):
        doc, context = row["doc"], row["request"]["context"]
        rows.append({"id": doc["id"], "context": context if shots else doc["query"], "choices": doc["choices"],
                     "gold": doc["gold"]})
    return rows


def _first_rows(path: Path) -> Iterator[dict[str, Any]]:
    """One row a question; rows from doc_id 1,000,000 on repeat them for another purpose."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = (row for row in map(json.loads, file) if row["doc_id"] < 1_000_000)
        for _, group in itertools.groupby(rows, key=lambda row: row["doc_id"]):
            yield next(group)


def page(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The beginning of WikiText-2's test set: the text of its first tokens."""
    from tokenizers import Tokenizer

    text = (DATA / "wikitext2" / "test.txt").read_text("utf-8")
    tokens = Tokenizer.from_file(str(weights() / "tokenizer.json")).encode(text[: 10 * given.tokens], add_special_tokens=False)
    return [{"id": "page", "page": text[: tokens.offsets[given.tokens - 1][1]]}]


CASES = {
    "arc-easy": Case(lambda given: questions("arc_easy", given, shots=False), QUESTIONS, PEERS_QUESTIONS,
                     {"acc": "acc,none", "acc_norm": "acc_norm,none"}, 3, 3),
    "arc-challenge": Case(lambda given: questions("arc_challenge", given, shots=True), QUESTIONS, PEERS_QUESTIONS,
                          {"acc": "acc,none", "acc_norm": "acc_norm,none"}, 7, 11),
    "wikitext": Case(page, PAGE, PEERS_PAGE, {"word_perplexity": "word_perplexity,none",
                                              "byte_perplexity": "byte_perplexity,none"}, 1.3, 1.3),
}
N_QUESTIONS = {"arc-easy": 200, "arc-challenge": 50, "wikitext": 0}


def weights() -> Path:
    """The folder of converted weights that both sides read."""
    from harness.models.gguf import model_folder
    from harness.models.sources import resolve
    from tests.e2e.real import user_cache

    return model_folder(resolve(SMOLLM2, user_cache(), print), user_cache(), print)


# ── one side, in a process of its own ──


def side_ours(folder: Path, _: argparse.Namespace) -> dict[str, Any]:
    """``harness run`` in this process, with its backend's calls timed."""
    from harness.cli import main
    from harness.models.transformers import Transformers

    spent, read = _Spent(), _Read()
    load = Transformers.open

    def open_counted(self: Transformers, resources: Any) -> None:
        load(self, resources)
        self._require().loaded.model.register_forward_pre_hook(read.hook, with_kwargs=True)

    out = io.StringIO()
    with _replaced(Transformers, "open", open_counted), _replaced(Transformers, "batches", spent.calls(Transformers.batches)), \
            _replaced(Transformers, "run", spent.steps(Transformers.run)), contextlib.redirect_stdout(out):
        code = main(["run", str(folder / "run.yaml"), "--results", str(folder / "results"), "--no-cache", "--json"])
    assert code == 0, out.getvalue()
    values = {row["metric"]: row["value"] for row in json.loads(out.getvalue())["estimates"]}
    return {"values": values, "wall": spent.wall, "cpu": spent.cpu, "tokens": read.tokens}


def side_peer(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """lm_eval's command in this process, with its model's calls timed."""
    from lm_eval.__main__ import cli_evaluate
    from lm_eval.models.huggingface import HFLM

    spent, read = _Spent(), _Read()
    call = HFLM._model_call

    def counted(self: Any, inps: Any, *rest: Any, **options: Any) -> Any:
        read.tokens += inps.numel()
        return call(self, inps, *rest, **options)

    arguments = f"pretrained={weights()},dtype=float32,max_length={given.max_length}"
    task = "page" if "page" in (folder / "peer" / "task.yaml").read_text("utf-8") else "questions"
    sys.argv = ["lm_eval", "--model", "hf", "--model_args", arguments, "--tasks", task, "--include_path", str(folder / "peer"),
                "--batch_size", "8", "--device", "cpu", "--output_path", str(folder / "peer_results")]
    with _replaced(HFLM, "_model_call", counted), _replaced(HFLM, "loglikelihood", spent.calls(HFLM.loglikelihood)), \
            _replaced(HFLM, "loglikelihood_rolling", spent.calls(HFLM.loglikelihood_rolling)), \
            contextlib.redirect_stdout(sys.stderr):
        cli_evaluate()
    (found,) = (folder / "peer_results").rglob("results_*.json")
    return {"values": json.loads(found.read_text("utf-8"))["results"][task], "wall": spent.wall, "cpu": spent.cpu,
            "tokens": read.tokens}


class _Spent:
    """Wall and processor seconds within calls."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu

    def calls(self, method: Any) -> Any:
        def timed(*arguments: Any, **options: Any) -> Any:
            with self.timed():
                return method(*arguments, **options)

        return timed

    def steps(self, method: Any) -> Any:
        """Of a generator: the time until each thing that it gives, not what is done with that."""

        def timed(*arguments: Any) -> Iterator[Any]:
            given = method(*arguments)
            while True:
                with self.timed():
                    one = next(given, None)
                if one is None:
                    return
                yield one

        return timed


class _Read:
    """Padded tokens that a model read."""

    def __init__(self) -> None:
        self.tokens = 0

    def hook(self, _: Any, __: Any, options: dict[str, Any]) -> None:
        self.tokens += options["input_ids"].numel()


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


# ── both sides ──


def race(name: str, given: argparse.Namespace) -> None:
    """Both sides of a case; prints a line for the whole process and one for the request phase."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = case.rows(given)
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8", newline="\n")
        (folder / "task.yaml").write_text(case.ours, encoding="utf-8")
        (folder / "run.yaml").write_text(OURS.replace("LENGTH", str(given.max_length)), encoding="utf-8")
        (folder / "peer").mkdir()
        (folder / "peer" / "task.yaml").write_text(case.peers.replace("ROWS", str(folder / "rows.jsonl")), encoding="utf-8")
        ours = _side("ours", folder, given)
        peer = _side("peer", folder, given)
    for metric, theirs in case.metrics.items():
        a, b = ours["values"][metric], peer["values"][theirs]
        assert math.isclose(a, b, rel_tol=1e-4 if name == "wikitext" else 0, abs_tol=1e-12), (metric, a, b)
    values = ", ".join(f"{metric} {ours['values'][metric]:.6g}" for metric in case.metrics)
    sizes = f"{len(rows)} questions" if name != "wikitext" else f"{given.tokens:,} tokens, windows of {given.max_length}"
    note = f"{peer['tokens']:,} tokens became {ours['tokens']:,}; {values}"
    for what, key, least in (("whole process", "whole_", case.whole), ("request phase", "", case.requests)):
        (wall, cpu), (peer_wall, peer_cpu) = ((side[f"{key}wall"], side[f"{key}cpu"]) for side in (ours, peer))
        line(f"{name}, {what}", sizes, f"{wall:.1f} ({cpu:.1f})", f"{peer_wall:.1f} ({peer_cpu:.1f})",
             f"{peer_wall / wall:.2f}x ({peer_cpu / cpu:.2f}x)", f"{least:g}x", note)


def _side(side: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "tests.bench.bench_likelihoods", "--side", side, "--folder", str(folder),
             "--max-length", str(given.max_length)]
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, **one, **offline}, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, os.times()
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return {**found, "whole_wall": wall, "whole_cpu": cpu}


def run(names: tuple[str, ...] = ("arc-easy", "arc-challenge", "wikitext"), *options: str) -> None:
    """The races in turn, each with the sizes that were asked for unless ``options`` say others."""
    weights()
    line(*HEADER)
    for name in names:
        race(name, _arguments(["--questions", str(N_QUESTIONS[name]), *options]))


def _arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], default=[], help="all of them, if none is named")
    parser.add_argument("--questions", type=int, help="of ARC (200 of ARC-Easy, 50 of ARC-Challenge)")
    parser.add_argument("--tokens", type=int, default=20_000, help="of WikiText-2")
    parser.add_argument("--max-length", type=int, default=2048, help="tokens of a window")
    parser.add_argument("--side", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def main() -> None:
    given = _arguments()
    if given.side:
        found = (side_ours if given.side == "ours" else side_peer)(given.folder, given)
        print(json.dumps(found))
        return
    options = ["--tokens", str(given.tokens), "--max-length", str(given.max_length)]
    options += ["--questions", str(given.questions)] if given.questions else []
    run(tuple(given.cases) or tuple(CASES), *options)


if __name__ == "__main__":
    main()

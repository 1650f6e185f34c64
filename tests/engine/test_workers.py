"""Scoring beside the run: the same numbers wherever they are made, and nothing that a metric does ends the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.engine import beside as beside_module
from harness.engine import run as run_module
from harness.engine.beside import Beside, Rules, pickled_rows
from harness.engine.blocks import lost_block, score_block
from harness.engine.rescore import rescore_run
from harness.engine.scoring import Scorer, make_settings
from harness.engine.workers import Worker, Workers
from harness.errors import Interrupted, MetricError
from harness.plugins import catalogue, metric
from harness.protocols import Metric
from harness.store import MetricColumn, samples_table
from harness.types import Key, Output, RunRecord, Sample, Text
from tests.engine.dangerous import Dangerous, NeverEmpty
from tests.engine.test_run import nothing

ROOT = Path(__file__).resolve().parent.parent.parent
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to end a process with")
EXPLODING = 'regex_match(pattern="(a+)+$")'
EXPLOSIVE = "a" * 60 + "b"


def rows(texts: Sequence[str], start: int = 0) -> tuple[list[Sample], list[Output]]:
    samples = [Sample(f"s{i}", {"q": i}, references=("the cat sat",)) for i, _ in enumerate(texts, start)]
    outputs = [Output(Key(sample.id), None if text == "FAILED" else Text(text), error="refused" if text == "FAILED" else None)
               for sample, text in zip(samples, texts)]
    return samples, outputs


def scored(
    chunks: Sequence[Sequence[str]], metrics: dict[str, Metric], rules: Rules, most: int = 1
) -> tuple[list[tuple[int, dict[str, MetricColumn]]], Scorer]:
    """What comes back for these chunks of texts, in the order in which it comes."""
    scorer, found, start = Scorer(metrics, []), [], 0
    with Workers(most) as workers:
        beside = Beside[int](scorer, workers, rules)
        for number, texts in enumerate(chunks):
            found += list(beside.add(*rows(texts, start), number))
            start += len(texts)
        found += list(beside.rest())
    assert [number for number, _ in found] == list(range(len(chunks)))
    return found, scorer


def plainly(found: Sequence[tuple[int, dict[str, MetricColumn]]]) -> list[Any]:
    return [
        (number, name, column.values.tobytes(), column.stats.tobytes(), list(column.missing.items()))
        for number, columns in found
        for name, column in columns.items()
    ]


# ── the same numbers ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("workers", [0, 1, 2, None])
def test_the_same_columns_in_the_same_order_wherever_they_are_made(workers: int | None) -> None:
    chunks = [["the cat", "", "FAILED"], ["a cat sat", "the cat sat on"], ["FAILED"], ["dog"], ["the", "cat"]]
    metrics = {spec: metric(spec) for spec in ("chrf", "regex_match(pattern=cat)", "bleu", "error_rate")}
    metrics["dangerous"] = Dangerous()
    expected = Scorer(metrics, [])
    here, start = [], 0
    for number, texts in enumerate(chunks):
        here.append((number, expected.add(*rows(texts, start))))
        start += len(texts)
    found, scorer = scored(chunks, metrics, Rules(workers, n_rows=9), 1 if workers is None else workers)
    assert plainly(found) == plainly(here)
    settings = make_settings(3, 0.95, 100)
    assert scorer.estimates(settings) == expected.estimates(settings)
    assert scorer.n_failed == 2


@dataclass
class Inputs:
    """A run of stored answers."""

    folder: Path
    texts: Sequence[str]
    metrics: Sequence[str]
    scoring: str = "{}"

    def write(self) -> Path:
        lines = [{"id": f"s{i}", "text": text} for i, text in enumerate(self.texts)]
        data = [{"id": f"s{i}", "reference": "the cat sat", "kind": f"k{i % 2}"} for i in range(len(self.texts))]
        (self.folder / "answers.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        (self.folder / "data.jsonl").write_text("\n".join(map(json.dumps, data)) + "\n")
        (self.folder / "task.yaml").write_text(
            "task: task\nversion: 1\nsuite: generation\ndata: {format: jsonl, path: data.jsonl}\n"
            'sample: {references: ["{{ reference }}"], slices: {kind: "{{ kind }}"}}\nprompt: {text: "{{ id }}"}\n'
            f"metrics: {json.dumps(list(self.metrics))}\n"
        )
        config = self.folder / "run.yaml"
        config.write_text(
            f"models: {{stored: {{backend: replay, path: answers.jsonl}}}}\ntasks: [task.yaml]\nscoring: {self.scoring}\n"
        )
        return config

    def run(self) -> RunRecord:
        return harness.run(self.write(), results=self.folder / "results", cache_dir=self.folder / "cache").record


def columns_of(record: RunRecord) -> Any:
    assert record.path is not None
    return samples_table(record.path).drop_columns(["latency_s", "first_token_s"])


def test_a_run_and_its_rescore_say_the_same_with_workers_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "CHUNK", 7)
    texts = [f"the cat {'sat ' * (i % 5)}on {i}" for i in range(40)]
    records = {}
    for workers in (0, 1):
        folder = tmp_path / str(workers)
        folder.mkdir()
        scoring = f"{{workers: {workers}, timeout_s: 20}}"
        records[workers] = Inputs(folder, texts, ["rouge_l", "distinct(n=2)", "regex_match(pattern=1)"], scoring).run()
    assert columns_of(records[0]).equals(columns_of(records[1]))
    assert records[0].estimates == records[1].estimates
    assert records[0].tables == records[1].tables
    assert {e["metric"]: e["n"] for e in records[1].estimates}["regex_match(pattern=1)"] == 40
    assert records[1].path is not None
    again = rescore_run(records[1].path, tmp_path / "results", (), nothing)
    assert again.estimates == records[1].estimates
    assert columns_of(again).equals(columns_of(records[1]))


def test_rows_are_the_same_after_the_pickle() -> None:
    import pickle

    samples, outputs = rows(["a", "FAILED"])
    samples.append(Sample("x", {"n": [1, {"deep": (2, 3)}]}, target=2.5, qrels={"d": 1}, group="g", slices={"a": "b"}))
    assert pickle.loads(pickled_rows(samples, outputs)) == (samples, outputs)


# ── when it pays ────────────────────────────────────────────────────────────────────────────────────────────────────


class CountedWorkers(Workers):
    """Counts what is sent."""

    sent = 0

    def submit(self, work: Callable[[Worker], Any]) -> Any:
        self.sent += 1
        return super().submit(work)


def sent_of(chunks: int, size: int, spec: str, rules: Rules) -> int:
    scorer, start = Scorer({spec: metric(spec)}, []), 0
    workers = CountedWorkers(1)
    with workers:
        beside = Beside[int](scorer, workers, rules)
        for number in range(chunks):
            list(beside.add(*rows(["a cat sat on the mat"] * size, start), number))
            start += size
        list(beside.rest())
    return workers.sent


def test_cheap_metrics_and_short_runs_start_no_process() -> None:
    assert sent_of(1, 50, "ter", Rules(n_rows=50)) == 0
    assert sent_of(4, 400, "exact_match", Rules(n_rows=10**7)) == 0
    assert sent_of(6, 50, "ter", Rules(n_rows=300)) == 0, "little is left to be scored"
    assert sent_of(3, 5, "regex_match(pattern=a)", Rules(workers=0, n_rows=15)) == 0


def test_dear_metrics_of_long_runs_go_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside_module, "_cores", lambda: 2)
    assert sent_of(6, 50, "ter", Rules(n_rows=10**7)) == 4, "all but the two chunks that showed it"
    monkeypatch.setattr(beside_module, "_cores", lambda: 1)
    assert sent_of(6, 50, "ter", Rules(n_rows=10**7)) == 0


def test_metrics_that_may_hang_go_beside_at_once() -> None:
    assert sent_of(1, 2, "regex_match(pattern=a)", Rules(n_rows=2)) == 2, "a process and a chunk"


def test_what_runs_a_pattern_of_the_users_may_hang() -> None:
    for spec in ("regex_match", "regex_match(pattern=a)", "refusal_rate(pattern=no)", 'exact_match(extract="/a+/")',
                 'token_f1(extract="/a+/")', 'contains(extract="/a+/")', 'worst_group(exact_match(extract="/a+/"),by=x)'):
        assert metric(spec).may_hang, spec
    for spec in ("exact_match", "exact_match(extract=boxed)", "refusal_rate", "worst_group(exact_match,by=x)", "bleu"):
        assert not metric(spec).may_hang, spec
    named = {"pattern", "regex", "expression"}
    for name, cls in catalogue("metric").items():
        fields: dict[str, Any] = getattr(cls, "__dataclass_fields__", {})
        assert not named & fields.keys() or vars(cls).get("may_hang") is not None, f"{name} runs a pattern"


# ── what a metric does to its process ───────────────────────────────────────────────────────────────────────────────


def test_an_expression_that_explodes_costs_its_sample(tmp_path: Path) -> None:
    texts = ["aaa", "aab", EXPLOSIVE, "baa", "b"]
    record = Inputs(tmp_path, texts, [EXPLODING, "exact_match"], "{timeout_s: 0.6}").run()
    by_metric = {e["metric"]: e for e in record.estimates}
    found = by_metric[EXPLODING]
    assert (found["value"], found["n"], found["n_missing"]) == (0.5, 4, 1)
    assert (found["worst_case"], found["best_case"]) == (pytest.approx(2 / 5), pytest.approx(3 / 5))
    assert by_metric["exact_match"]["n"] == 5
    assert record.path is not None
    column = samples_table(record.path).column(f"metric.{EXPLODING}").to_pylist()
    reason = f"scoring took longer than 0.6 s ({metric(EXPLODING).spec})"
    assert [row["missing"] for row in column] == [None, None, reason, None, None]
    assert [row["value"] for row in column] == [1.0, 0.0, None, 1.0, 0.0]
    assert sum("scoring took longer than 0.6 s on sample 's2'" in note for note in record.counts["notes"]) == 1


def test_a_process_that_dies_costs_its_sample() -> None:
    found, scorer = scored([["ab", "EXIT", "c"], ["SEGV", "", "defg"]], {"dangerous": Dangerous()}, Rules(timeout_s=20))
    missing = {number: columns["dangerous"].missing for number, columns in found}
    spec = Dangerous().spec
    assert missing[0] == {1: f"scoring ended its process with exit code 3 ({spec})"}
    if os.name == "posix":
        assert missing[1] == {0: f"scoring was ended by signal {signal.SIGSEGV:d} ({spec})", 1: "an empty text"}
    estimate = scorer.estimates(make_settings(0, 0.95, 50))["dangerous"]
    assert estimate.value == pytest.approx(7 / 3)
    assert (estimate.n, estimate.n_missing) == (3, 3)


def test_a_sample_may_take_as_long_as_the_limit_says_however_many_there_are() -> None:
    """Four samples that take 0.3 s each: more than the limit together, none of them by itself."""
    found, _ = scored([["SLEEP0.3"] * 4, ["SLEEP0.3"]], {"dangerous": Dangerous()}, Rules(timeout_s=1.0))
    assert [columns["dangerous"].missing for _, columns in found] == [{}, {}]


def test_time_is_bounded_where_everything_explodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside_module, "MOST_LOST", 2)
    monkeypatch.setattr(beside_module, "MOST_LOST_IN_ALL", 4)
    n, limit = 400, 0.3
    clock = time.monotonic()
    chunks = [[*["HANG"] * (n - 1), "FAILED"], ["ab"], *[["HANG"] * n] * 3]
    found, _ = scored(chunks, {"dangerous": Dangerous()}, Rules(timeout_s=limit))
    seconds = time.monotonic() - clock
    reasons = [list(columns["dangerous"].missing.values()) for _, columns in found]
    tried = [sum(reason.startswith("scoring took") for reason in of_chunk) for of_chunk in reasons]
    assert tried == [2, 0, 2, 0, 0]
    assert [len(of_chunk) for of_chunk in reasons] == [n, 0, n, n, n]
    assert reasons[0][-2].startswith("not scored: 2 samples of its chunk before it")
    assert reasons[0][-1] == "refused"
    assert reasons[4][0].startswith("not scored: 4 samples before it")
    assert seconds < 30, "and not 1,600 times the limit and a process start"


def test_what_a_metric_raises_is_raised() -> None:
    with pytest.raises(LookupError, match="what the metric raises"):
        scored([["a", "RAISE"]], {"dangerous": Dangerous()}, Rules(timeout_s=20))


def test_what_a_metric_prints_is_no_answer() -> None:
    found, _ = scored([["PRINT", "b"]], {"dangerous": Dangerous()}, Rules(timeout_s=20))
    assert found[0][1]["dangerous"].values.tolist() == [5.0, 1.0]


def test_metrics_that_cannot_be_sent_are_scored_here() -> None:
    @dataclass(frozen=True, repr=False)
    class Local(Dangerous):
        """No pickle can name it."""

    gone = type("Gone", (Dangerous,), {"__module__": "tests.engine.dangerous", "__qualname__": "Gone"})
    sys.modules["tests.engine.dangerous"].Gone = gone  # type: ignore[attr-defined]  # here it is there, in a worker not
    try:
        found, _ = scored([["a"], ["bc"]], {"local": Local(), "gone": gone(), "d": Dangerous()}, Rules(workers=1))
    finally:
        del sys.modules["tests.engine.dangerous"].Gone
    for name in ("local", "gone", "d"):
        assert [columns[name].values.tolist() for _, columns in found] == [[1.0], [2.0]]


def test_rows_that_no_pickle_holds_are_scored_here_and_that_is_told() -> None:
    notes: list[str] = []
    samples, outputs = rows(["abc"])
    samples = [Sample("s0", {"f": lambda: 1}, references=("x",))]
    scorer = Scorer({"d": Dangerous(), "bleu": metric("bleu")}, [])
    with Workers(1) as workers:
        beside = Beside[int](scorer, workers, Rules(workers=1, say=notes.append))
        found = [*beside.add(samples, outputs, 0), *beside.rest()]
    assert found[0][1]["d"].values.tolist() == [3.0]
    assert notes == ["dangerous: scored without a time limit, its rows cannot be sent to a worker"]


@pytest.mark.slow
def test_what_was_lost_is_told_though_the_next_rows_cannot_be_sent() -> None:
    notes: list[str] = []
    with Workers(1) as workers:
        beside = Beside[int](Scorer({"d": Dangerous()}, []), workers, Rules(timeout_s=20, say=notes.append))
        found = list(beside.add(*rows(["EXIT", "ab"]), 0))
        found += beside.add([Sample("s2", {"f": lambda: 1}, references=("x",))], rows(["abc"], 2)[1], 1)
        found += beside.rest()
    assert [columns["d"].values.tolist()[-1] for _, columns in found] == [2.0, 3.0]
    assert notes == [
        "dangerous: scored without a time limit, its rows cannot be sent to a worker",
        "dangerous: scoring ended its process with exit code 3 on sample 's0': such samples are missing",
    ]


def test_a_metric_that_cannot_be_sent_and_may_hang_is_told_of() -> None:
    @dataclass(frozen=True, repr=False)
    class Local(Dangerous):
        """No pickle can name it."""

    notes: list[str] = []
    for workers in (0, None):
        scored([["a"]], {"local": Local()}, Rules(workers, say=notes.append))
    assert notes == ["dangerous: scored without a time limit, it cannot be sent to a worker"], "who wants none knows it"


def test_rows_are_lost_and_fail_where_a_metric_cannot_score_no_rows() -> None:
    lost = lost_block(NeverEmpty(), *rows(["HANG", "FAILED"]), "gone")
    failed = score_block(NeverEmpty(), *rows(["FAILED", "FAILED"]))
    for block, missing in ((lost, {0: "gone", 1: "refused"}), (failed, {0: "refused", 1: "refused"})):
        assert block.stats.shape == (2, 2)
        assert block.missing == missing
        assert block.extremes is not None
        assert block.extremes[1].tolist() == [[len("the cat sat"), 1.0]] * 2


@pytest.mark.slow
def test_a_metric_that_cannot_score_no_rows_loses_its_sample_only() -> None:
    found, scorer = scored([["ab", "EXIT", "FAILED"], ["FAILED"]], {"m": NeverEmpty()}, Rules(timeout_s=20))
    assert [columns["m"].missing for _, columns in found] == [
        {1: "scoring ended its process with exit code 3 (never_empty)", 2: "refused"}, {0: "refused"},
    ]  # fmt: skip
    assert [columns["m"].stats.shape for _, columns in found] == [(3, 2), (1, 2)]
    estimate = scorer.estimates(make_settings(0, 0.95, 50))["m"]
    assert (estimate.value, estimate.n, estimate.n_missing) == (2.0, 1, 3)


def test_a_metric_without_columns_that_cannot_score_no_rows_is_refused_in_words() -> None:
    class Unnamed(NeverEmpty):
        columns = ()

    with pytest.raises(MetricError, match=r"never_empty: names no columns and cannot score no rows \(ValueError: .*name its"):
        lost_block(Unnamed(), *rows(["a"]), "gone")


# ── how they end ────────────────────────────────────────────────────────────────────────────────────────────────────


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3] if sys.platform == "linux" else True


def ends(pid: int, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


@POSIX
def test_they_end_with_the_run_whatever_they_are_doing() -> None:
    pids: list[int] = []

    def hang(worker: Worker) -> None:
        worker.start()
        assert worker._process is not None
        pids.append(worker._process.pid)
        worker.hold("m", 1, _pickled(Dangerous()))
        worker.hold("rows", 1, pickled_rows(*rows(["HANG"])))
        list(worker.score("m", 1, None, 100.0))

    with Workers(1) as workers:
        workers.submit(hang)
        deadline = time.monotonic() + 20
        while not pids and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
    assert len(pids) == 1
    assert ends(pids[0])


def _pickled(value: object) -> bytes:
    import pickle

    return pickle.dumps(value)


CHILD = """
import sys
import harness
harness.run(sys.argv[1], results=sys.argv[2], cache_dir=sys.argv[3])
"""


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A run whose worker is in the middle of an expression that never ends, and the worker's id."""
    config = Inputs(tmp_path, ["aa", EXPLOSIVE], [EXPLODING], "{timeout_s: 600}").write()
    command = [sys.executable, "-c", CHILD, str(config), str(tmp_path / "results"), str(tmp_path / "cache")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(command, text=True, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    pid = None
    try:
        deadline = time.monotonic() + 60
        while (pid := _busy_child(run.pid)) is None and time.monotonic() < deadline and run.poll() is None:
            time.sleep(0.05)
        assert pid is not None
        yield run, pid
    finally:
        run.kill()
        run.communicate()
        if pid is not None and is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def _busy_child(parent: int) -> int | None:
    """A child that has used 0.6 s of a processor: more than its start takes."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent and int(fields[11]) > 60:
            return int(path.parent.name)
    return None


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


@LINUX
@pytest.mark.slow
def test_they_end_when_the_run_is_killed(hanging: tuple[subprocess.Popen[str], int]) -> None:
    run, pid = hanging
    run.kill()
    run.wait()
    assert ends(pid)


@LINUX
@pytest.mark.slow
def test_ctrl_c_ends_them_and_the_run_can_go_on(hanging: tuple[subprocess.Popen[str], int], tmp_path: Path) -> None:
    run, pid = hanging
    run.send_signal(signal.SIGINT)
    _, error = run.communicate(timeout=30)
    assert "Interrupted: stopped; everything answered so far is in" in error
    assert ends(pid)
    inputs = Inputs(tmp_path, ["aa", EXPLOSIVE], [EXPLODING], "{timeout_s: 0.6}")
    record = inputs.run()
    assert record.counts["units"]["stored × task"]["resumed"] == 2
    assert [(e["n"], e["n_missing"]) for e in record.estimates] == [(1, 1)]


SCRIPT = """
import sys
from dataclasses import dataclass
from typing import ClassVar
import harness
from tests.engine.dangerous import Dangerous

print("the script begins")

@dataclass(frozen=True, repr=False)
class Mine(Dangerous):
    name: ClassVar[str] = "mine"

record = harness.run(sys.argv[1], results=sys.argv[2], cache_dir=sys.argv[3]).record
print({e["metric"]: e["value"] for e in record.estimates})
"""


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "pickle.py").write_text("raise RuntimeError('a module of the working folder is none of ours')")
    metrics = ["regex_match(pattern=a)", "tests.engine.dangerous:Dangerous", "__main__:Mine"]
    config = Inputs(tmp_path, ["a", "bcd"], metrics, "{workers: 1}").write()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "script.py").rename(tmp_path / "elsewhere" / "script.py")
    command = [sys.executable, str(tmp_path / "elsewhere" / "script.py"), str(config), str(tmp_path / "r"), str(tmp_path / "c")]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "the script begins",
        "{'regex_match(pattern=a)': 0.5, 'tests.engine.dangerous:Dangerous': 2.0, '__main__:Mine': 2.0}",
    ]


def test_a_signal_while_scores_are_waited_for_stops_the_run() -> None:
    asked = []

    def checkpoint() -> None:
        asked.append(time.monotonic())
        if len(asked) > 2:
            raise Interrupted("stopped", 130)

    clock = time.monotonic()
    with pytest.raises(Interrupted):
        scored([["HANG"]], {"dangerous": Dangerous()}, Rules(timeout_s=60, checkpoint=checkpoint))
    assert time.monotonic() - clock < 20

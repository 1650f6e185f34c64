"""Results as data frames and in one line."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.compare import compare_runs
from harness.errors import MissingDependency
from harness.history import Selection, history
from tests.compare.projects import Project, answered, questions
from tests.history import runs as records
from tests.report.verdicts import INCONCLUSIVE, PASSED, REGRESSED, verdict


def test_a_verdict_in_one_line_and_as_a_frame() -> None:
    found = verdict(PASSED, REGRESSED, INCONCLUSIVE)
    assert repr(found) == "<Verdict on r2 against r1: regressed, exit code 1: 1 regressed, 1 inconclusive, 1 passed>"
    assert repr(verdict(word="passed", code=0, baseline=None)) == "<Verdict on r2: passed, exit code 0: no rule was checked>"
    frame = found.to_pandas()
    assert frame["verdict"].tolist() == ["passed", "regressed", "inconclusive"]
    assert (frame.loc[1, "metric"], frame.loc[1, "drop"], frame.loc[1, "rule"], frame.loc[2, "slice"]) == (
        "bleu", 2.2, 2, "topic=law")  # fmt: skip
    empty = verdict(word="passed", code=0).to_pandas()
    assert (len(empty), list(empty.columns)) == (0, list(frame.columns))


def test_a_comparison_as_a_frame(tmp_path: Path) -> None:
    project = Project(tmp_path)
    runs = [project.run(name, questions(4), answered(hits)) for name, hits in (("a", [True] * 4), ("b", [True, False] * 2))]
    frame = compare_runs(*runs).to_pandas().set_index("metric")
    row = frame.loc["exact_match"]
    assert (row["a"], row["b"], row["difference"], row["n"], row["n_differing"]) == (1.0, 0.5, -0.5, 4, 2)
    made = api.load(str(runs[0])).to_pandas()
    assert (made["sample_id"].tolist(), made["exact_match"].tolist()) == (["q0", "q1", "q2", "q3"], [1.0] * 4)


def test_a_history_in_one_line_and_as_a_frame(tmp_path: Path) -> None:
    records.nights(tmp_path, [0.7] * 12 + [0.5] * 12)
    found = history(tmp_path, Selection("nightly"))
    assert repr(found) == "<History of nightly: 24 runs, 1 series, 1 change of level>"
    frame = found.to_pandas()
    assert frame["value"].tolist() == [0.7] * 12 + [0.5] * 12
    assert frame.index[frame["shift"]].tolist() == [12]
    assert (frame.loc[3, "run_id"], frame.loc[3, "metric"], frame.loc[3, "entry"]) == (records.run_id(3), "acc", "m")
    assert str(frame.loc[3, "started"]) == "2026-01-04 00:00:00+00:00"


def test_without_pandas_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"to_pandas needs pandas: pip install 'harness-eval\[notebook\]'"):
        verdict(PASSED).to_pandas()

"""Reading a unit's rows out of a run of many, as Arrow columns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.compare import StoredRun, compare_runs
from harness.compare.arrays import floats, integers, lists, truths
from harness.errors import StoreError
from tests.compare.projects import Project, StoredRow, answered, questions, write_run


@pytest.fixture
def many(project: Project) -> StoredRun:
    models = {"m": answered([True] * 3), "n": answered([False] * 3), "o": answered([True, False, None])}
    return StoredRun.open(project.run_models("a", questions(3), models, seeds=[0]))


def test_the_rows_of_each_unit(many: StoredRun) -> None:
    texts = {unit.entry: unit.table("text").column(0).to_pylist() for unit in many.units}
    assert texts == {"m": ["yes 0", "yes 1", "yes 2"], "n": ["no 0", "no 1", "no 2"], "o": ["yes 0", "no 1", None]}
    assert many.entries == ("m", "n", "o")
    assert many.tasks == ("qa",)
    assert [unit.primary for unit in many.units] == ["exact_match"] * 3


def test_row_groups_of_other_units_are_not_read(many: StoredRun) -> None:
    """A unit a row group: what is asked of the file for one unit is one group."""
    import pyarrow.parquet as pq

    from harness.compare.runs import _may_have

    metadata = pq.ParquetFile(many.path / "samples.parquet").metadata
    wanted = {"model": "n", "cell": "", "task": "qa"}
    assert [_may_have(metadata.row_group(n), wanted) for n in range(metadata.num_row_groups)] == [False, True, False]


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    run = StoredRun.open(write_run(tmp_path / "a", [StoredRow("x")]))
    with pytest.raises(StoreError, match=r"a.samples\.parquet is damaged: it has no column 'metric\.bleu'"):
        run.units[0].table("metric.bleu")
    (run.path / "samples.parquet").unlink()
    with pytest.raises(StoreError, match=r"a has no samples\.parquet"):
        StoredRun.open(run.path).units[0].table("text")


def test_columns_become_arrays_with_what_is_null() -> None:
    import pyarrow as pa

    assert integers(pa.chunked_array([[1, None], [3]], pa.int32())).tolist() == [1, -1, 3]
    assert truths(pa.array([True, None, False])).tolist() == [True, False, False]
    assert str(floats(pa.array([1.5, None, 2.0])).tolist()) == "[1.5, nan, 2.0]"
    pairs = pa.array([[1.0, 2.0], None, [3.0, None]], pa.list_(pa.float64()))
    assert str(lists(pairs).tolist()) == "[[1.0, 2.0], [nan, nan], [3.0, nan]]"
    assert lists(pa.array([[1.0], [2.0], [3.0]], pa.list_(pa.float64()))[1:]).tolist() == [[2.0], [3.0]]
    assert floats(pa.array([1.0, 2.0, None, 4.0])[1:3])[0] == 2.0
    with pytest.raises(ValueError, match="lists of 1 and of 2 numbers"):
        lists(pa.array([[1.0], [2.0, 3.0]], pa.list_(pa.float64())))


@pytest.mark.slow
def test_pandas_is_not_imported(project: Project) -> None:
    """It costs a third of a second, where it is installed."""
    runs = [project.run(name, questions(3), answered([True, hit, False])) for name, hit in (("a", True), ("b", False))]
    code = f"import sys, harness.api; harness.api.compare({str(runs[0])!r}, {str(runs[1])!r}); print('pandas' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "False\n"


def test_units_of_a_run_that_was_scored_again_with_other_metrics(project: Project) -> None:
    """Its rows are those of all units, its estimates those of the units that the metrics fit."""
    from harness import api

    first = project.run_models("a", questions(3), {"m": answered([True] * 3), "n": answered([False, True, True])})
    again = api.rescore(str(first), metrics=["token_f1"], results=project.results).path
    [found] = compare_runs(StoredRun.open(again, "m"), StoredRun.open(again, "n")).comparisons
    assert (found.metric, found.a, found.n_pairs) == ("token_f1", 1.0, 3)

"""Run folders: names, finding, damage, versions."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from harness.errors import StoreError
from harness.store import (
    JOURNAL,
    RECORD,
    MetricColumn,
    SampleWriter,
    column_array,
    create_run,
    find_run,
    read_record,
    read_samples,
    run_folders,
    samples_table,
    slug,
    write_record,
)
from tests.store.records import ESTIMATE, finished, record


def test_names_sort_by_time_and_say_the_config(tmp_path: Path) -> None:
    first = create_run(tmp_path, "my config/α")
    assert first.name[8] == "T"
    assert first.name.split("Z-", 1)[1].startswith("my-config-")
    assert slug("///") == "run"


def test_a_record_comes_back(tmp_path: Path) -> None:
    folder = finished(tmp_path, "20260101T000000Z-nightly-aaaa")
    assert read_record(folder) == record(folder.name)
    assert read_record(folder).path == folder


def test_finding(tmp_path: Path) -> None:
    one = finished(tmp_path, "20260101T000000Z-nightly-aaaa")
    two = finished(tmp_path, "20260102T000000Z-other-bbbb", "other")
    three = finished(tmp_path, "20260103T000000Z-nightly-cccc")
    (tmp_path / "20260104T000000Z-nightly-dddd").mkdir()
    (tmp_path / "20260104T000000Z-nightly-dddd" / JOURNAL).write_text("{}\n")
    assert find_run(tmp_path, "latest") == three
    assert find_run(tmp_path, "latest~1") == two
    assert find_run(tmp_path, "latest~1:nightly") == one
    assert find_run(tmp_path, "20260102") == two
    assert find_run(tmp_path, str(one)) == one
    assert len(run_folders(tmp_path)) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("latest~7", "there are only 2 finished runs in"),
        ("latest~1:nightly-b", "there are no finished runs of 'nightly-b' in"),
        ("latest:nope", "there are no finished runs of 'nope' in"),
        ("2026", "'2026' stands for several runs"),
        ("20260104T000000Z-nightly-dddd", "is not finished: start it again with harness run"),
        ("20260101T000000Z-nightly-aaab", "did you mean '20260101T000000Z-nightly-aaaa'?"),
    ],
)
def test_not_finding(tmp_path: Path, name: str, message: str) -> None:
    finished(tmp_path, "20260101T000000Z-nightly-aaaa")
    finished(tmp_path, "20260102T000000Z-nightly-bbbb")
    (tmp_path / "20260104T000000Z-nightly-dddd").mkdir()
    (tmp_path / "20260104T000000Z-nightly-dddd" / JOURNAL).write_text("{}\n")
    with pytest.raises(StoreError) as error:
        find_run(tmp_path, name)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:40], "is damaged"),
        (lambda text: text.replace('"schema": 1', '"schema": 99'), "has schema 99, this harness reads up to 1"),
        (lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "seeds"}), "it lacks seeds"),
        (lambda text: "[]", "is not a run record"),
        (lambda text: json.dumps({**json.loads(text), "estimates": 5}), "estimates is not what it must be"),
        (lambda text: json.dumps({**json.loads(text), "estimates": [{"x": 1}]}), "estimates is not what it must be"),
        (lambda text: json.dumps({**json.loads(text), "estimates": [{**ESTIMATE, "value": "x"}]}), "estimates is not what"),
        (lambda text: json.dumps({**json.loads(text), "estimates": [{**ESTIMATE, "metric": ["m"]}]}), "estimates is not what"),
        (lambda text: json.dumps({**json.loads(text), "metric_signatures": {"m": "s"}}), "metric_signatures is not what"),
    ],
)
def test_damage_is_told(tmp_path: Path, change: object, message: str) -> None:
    folder = finished(tmp_path, "20260101T000000Z-nightly-aaaa")
    path = folder / RECORD
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    with pytest.raises(StoreError) as error:
        read_record(folder)
    assert message in str(error.value)


def test_nan_becomes_null_never_nan(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    write_record(folder, dataclasses.replace(record("r"), counts={"x": float("nan")}))
    assert json.loads((folder / RECORD).read_text())["counts"] == {"x": None}


def test_samples_come_back_block_by_block(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path, ["m", "other"])
    for start in (0, 2):
        ids = [f"s{start}", f"s{start + 1}"]
        column = MetricColumn(np.array([0.5, np.nan]), np.array([[1.0, 2.0], [np.nan, np.nan]]), {1: "refused"})
        writer.write({"sample_id": ids, "task": ["t"] * 2, "repeat": [0, 0]}, {"m": column})
    assert not (tmp_path / "samples.parquet").exists()
    writer.close()
    columns = ("sample_id", "metric.m", "metric.other")
    rows = [row for block in read_samples(tmp_path) for row in zip(*(block[name] for name in columns))]
    assert [row[0] for row in rows] == ["s0", "s1", "s2", "s3"]
    assert rows[0][1] == {"value": 0.5, "missing": None, "stats": [1.0, 2.0]}
    assert rows[3][1] == {"value": None, "missing": "refused", "stats": None}
    assert rows[0][2] is None


def test_samples_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "samples.parquet").write_text("x")
    with pytest.raises(StoreError, match=r"samples\.parquet is damaged"):
        list(read_samples(tmp_path))
    with pytest.raises(StoreError, match=r"samples\.parquet is damaged"):
        samples_table(tmp_path)


def test_a_file_in_place_of_the_results_folder(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("x")
    with pytest.raises(StoreError, match="is a file"):
        create_run(tmp_path / "results", "x")


def test_a_file_has_no_run_folders(tmp_path: Path) -> None:
    assert run_folders(tmp_path / "none") == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="file is a file, not a results folder"):
        run_folders(tmp_path / "file")


def test_names_sort_in_the_order_of_their_making_whatever_the_clock_does(tmp_path: Path) -> None:
    (tmp_path / "29990101T000000.000Z-x-abcd").mkdir()
    names = [create_run(tmp_path, "x").name for _ in range(50)]
    assert names == sorted(names)
    assert names[0].startswith("29990101T000000.001Z-x-")


VALUES = [
    (pa.string(), ["a", None, "é", "", "漢字 \U0001f600"]), (pa.string(), ["same"] * 9), (pa.string(), ["é"] * 3),
    (pa.string(), [None] * 3), (pa.string(), []), (pa.string(), [""]), (pa.string(), ["a", "b", "c"]),
    (pa.int32(), [0, 3, -(2**31)]), (pa.int64(), [1, None, 2**40]), (pa.int64(), []), (pa.int64(), [None] * 9),
    (pa.float64(), [0.1, None, math.inf]), (pa.bool_(), [True, False, True, True] * 5), (pa.bool_(), []),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values"), VALUES)
def test_columns_are_what_pyarrow_makes_of_them(kind: pa.DataType, values: list[object]) -> None:
    array = column_array(values, kind)
    array.validate(full=True)
    assert array.equals(pa.array(values, type=kind))


def test_samples_are_written_without_pandas(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np; from harness.store import MetricColumn, SampleWriter\n"
        "writer = SampleWriter(Path(sys.argv[1]), ['m'])\n"
        "column = MetricColumn(np.array([0.5, np.nan]), np.array([[1.0], [np.nan]]), {1: 'no'})\n"
        "writer.write({'sample_id': ['a', 'b'], 'task': ['t', 't'], 'repeat': [0, 0], 'error': [None, 'no'],\n"
        "              'cached': [True, False], 'latency_s': [None, 0.5]}, {'m': column})\n"
        "writer.close()\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert samples_table(tmp_path).column("latency_s").to_pylist() == [None, 0.5]

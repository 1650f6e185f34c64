"""The table formats: what they read, on real files too, and how they say where a file is wrong."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import io
import os
import subprocess
import sys
import typing
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from harness import plugins
from harness.data.csv import Csv, Tsv, read_csv
from harness.data.hub import Hub
from harness.data.json import Json
from harness.data.jsonl import Jsonl, read_jsonl
from harness.data.parquet import Parquet
from harness.data.textlines import read_lines
from harness.errors import DataError, HarnessError

SHA = "0123456789abcdef0123456789abcdef01234567"


def file(tmp_path, content: bytes, name="f"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def fails(rows, message):
    with pytest.raises(DataError) as error:
        list(rows)
    assert str(error.value) == message


# ── every format ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_catalogue_has_them():
    assert {"jsonl", "json", "csv", "tsv", "parquet", "hub", "beir", "collection"} <= set(plugins.catalogue("format"))


@pytest.mark.parametrize("name", sorted(plugins.catalogue("format")))
def test_every_format_is_a_documented_frozen_dataclass(name):
    cls = plugins.find("format", name)
    assert cls.__dataclass_params__.frozen
    assert cls.summary
    assert not cls.summary.endswith(".")
    assert all(callable(getattr(cls, method)) for method in ("rows", "corpus", "split"))
    known = {"Path": Path}
    assert set(typing.get_type_hints(cls, localns=known)) >= {field.name for field in dataclasses.fields(cls)}


# ── jsonl and json ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("content", [b'{"a": 1}\n{"a": "\xc3\xa9"}\n', b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n{"a": "\xc3\xa9"}'])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_jsonl(tmp_path, content, pack):
    source = Jsonl(file(tmp_path, pack(content)))
    assert list(source.rows()) == list(source.rows()) == [{"a": 1}, {"a": "é"}]
    stream = io.BytesIO(pack(content))
    assert [row for _, row in read_jsonl(stream)] == [{"a": 1}, {"a": "é"}]
    assert not stream.closed


def test_jsonl_says_which_line(tmp_path):
    path = file(tmp_path, b'{"a": 1}\n\n{"a": }\n')
    with pytest.raises(DataError) as error:
        list(Jsonl(path).rows())
    assert str(error.value).startswith(f"{path}:3: not JSON: ")
    assert str(error.value).endswith(" (column 7)")
    path = file(tmp_path, b'{"a": 1}\n[1]\n')
    fails(Jsonl(path).rows(), f"{path}:2: expected a JSON object, got a list")
    path = file(tmp_path, b"null\n")
    fails(Jsonl(path).rows(), f"{path}:1: expected a JSON object, got null")
    with pytest.raises(DataError, match=":1: NaN is not JSON: write null"):
        list(Jsonl(file(tmp_path, b'{"a": NaN}\n')).rows())
    with pytest.raises(DataError, match=r"^<stream>:2: not JSON: .* \(column 1\)$"):
        list(read_jsonl(io.BytesIO(b"{}\nx")))


def test_files_that_cannot_be_read(tmp_path):
    fails(Jsonl(tmp_path / "none").rows(), f"{tmp_path / 'none'}: cannot be read: No such file or directory")
    torn = file(tmp_path, gzip.compress(b'{"a": 1}\n' * 1000)[:-12])
    with pytest.raises(DataError, match="cannot be read: "):
        list(Jsonl(torn).rows())


def test_json(tmp_path):
    path = file(tmp_path, b'{"meta": 1, "data": {"rows": [{"a": 1}, {"a": 2}]}}')
    assert list(Json(path, field="data.rows").rows()) == [{"a": 1}, {"a": 2}]
    assert list(Json(file(tmp_path, b'[{"a": 1}]', "g")).rows()) == [{"a": 1}]
    fails(Json(path).rows(), f"{path}: expected a list of objects; name the list with `field:`, one of meta, data")
    fails(Json(path, field="data.row").rows(), f"{path}: field: nothing at 'data.row'; did you mean 'rows'?")
    bad = file(tmp_path, b'[{"a": 1}, 2]', "h")
    fails(Json(bad).rows(), f"{bad}: row 2: expected a JSON object, got 2")
    with pytest.raises(DataError, match=r"i:2: not JSON"):
        list(Json(file(tmp_path, b"[\n}", "i")).rows())


def test_bbh(shared_data):
    rows = list(Json(shared_data("bbh/bbh/snarks.json"), field="examples").rows())
    assert len(rows) == 178
    assert set(rows[0]) == {"input", "target"}


def test_arc(shared_data):
    rows = list(Jsonl(shared_data("arc/arc_challenge_test_rc_5shot.requests.jsonl.gz")).rows())
    assert len(rows) == 9374
    assert len({row["doc_id"] for row in rows if row["doc_id"] < 1_000_000}) == 1172


# ── csv and tsv ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_csv(tmp_path, pack):
    path = file(tmp_path, pack(b'\xef\xbb\xbfa,b\r\n1,"x, ""y""\nz"\r\n\r\n\xc3\xa9,\r\n'))
    assert list(Csv(path).rows()) == [{"a": "1", "b": 'x, "y"\nz'}, {"a": "é", "b": ""}]
    assert [line for line, _ in read_csv(path)] == [2, 5]


def test_csv_options(tmp_path):
    assert list(Csv(file(tmp_path, b"1;2\n"), delimiter=";", columns=("a", "b")).rows()) == [{"a": "1", "b": "2"}]
    assert list(Csv(file(tmp_path, b'a,b\n"1,2"\n'), quoting="none").rows()) == [{"a": '"1', "b": '2"'}]
    assert list(Tsv(file(tmp_path, b'a\tb\n"1\t 2 \r\n')).rows()) == [{"a": '"1', "b": " 2 "}]
    assert list(Tsv(file(tmp_path, b'a\tb\n"1\n2"\t3\n'), quoting="minimal").rows()) == [{"a": "1\n2", "b": "3"}]
    long = "x" * 200_000
    assert list(Csv(file(tmp_path, f"a\n{long}\n".encode())).rows()) == [{"a": long}]
    with pytest.raises(DataError, match="csv: delimiter must be one character, got '::'"):
        Csv(tmp_path, delimiter="::")


@pytest.mark.parametrize("cls", [Csv, Tsv])
def test_a_record_of_the_wrong_length(tmp_path, cls):
    d = cls.delimiter.encode()
    path = file(tmp_path, b"a" + d + b"b\n1" + d + b"2\n\n1\n")
    fails(cls(path).rows(), f"{path}:4: expected 2 fields (a, b), got 1")


def test_csv_faults(tmp_path):
    path = file(tmp_path, b'a,b\n1,"two\nlines"\n1,2,3\n')
    fails(Csv(path).rows(), f"{path}:4: expected 2 fields (a, b), got 3")
    path = file(tmp_path, b'a,b\n1,"open\n2,3\n')
    fails(Csv(path).rows(), f"{path}:2: unexpected end of data")
    fails(Csv(file(tmp_path, b"a,a\n1,2\n")).rows(), f"{path}:1: two columns are called 'a'")
    fails(Tsv(file(tmp_path, b"a\nx\n\xff\n")).rows(), f"{path}:3: not UTF-8: invalid start byte (byte 1 of the line)")
    with pytest.raises(DataError, match="not UTF-8: invalid start byte"):
        list(Csv(file(tmp_path, b"a\nx\n\xff\n")).rows())


def test_real_tables(shared_data):
    banking = list(Csv(shared_data("banking77/test.csv")).rows())
    assert len(banking) == 3080
    assert len({row["category"] for row in banking}) == 77
    begin = list(Tsv(shared_data("begin_wow/begin_dev_wow.tsv")).rows())
    assert sum(row["begin_label"] == "Fully attributable" for row in begin) == 180
    assert len(begin) == 430
    sts = Tsv(shared_data("sts2016/answer-answer.test.tsv"), columns=("score", "a", "b"))
    assert sum(row["score"] != "" for row in sts.rows()) == 254


# ── parquet ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_parquet(tmp_path):
    rows = [{"id": i, "words": ["a", str(i)], "day": datetime.date(2024, 1, 1)} for i in range(3000)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "b.parquet")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows[:2]), tmp_path / "a.parquet")
    assert list(Parquet(tmp_path / "b.parquet").rows()) == rows
    assert list(Parquet(tmp_path).rows()) == rows[:2] + rows
    assert next(Parquet(tmp_path / "a.parquet", columns=("words",)).rows()) == {"words": ["a", "0"]}
    where = tmp_path / "a.parquet"
    fails(Parquet(where, columns=("word",)).rows(), f"{where}: columns: no column 'word'; did you mean 'words'?")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        list(Parquet(file(tmp_path, b"a,b\n", "c.csv")).rows())
    (tmp_path / "empty").mkdir()
    fails(Parquet(tmp_path / "empty").rows(), f"{tmp_path / 'empty'}: no *.parquet in this folder")


# ── hub ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("written", ["org/squad", "org/squad@main", "org/squad@v1.0", f"a/b/c@{SHA}", f"../x@{SHA}/"])
def test_hub_wants_a_commit(written):
    with pytest.raises(HarnessError, match="40 hexadecimal digits"):
        Hub(written)


def test_hub_offline_names_the_way_out(tmp_path):
    code = (
        "from harness.data.hub import Hub; from harness.errors import DataError\n"
        f"try: list(Hub('org/name@{SHA}', split_='validation', config='en').rows())\n"
        "except DataError as error: print(error)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert printed.startswith(f"hub: org/name@{SHA}: split 'validation' of config 'en' cannot be had (")
    assert printed.endswith("write data: {format: parquet, path: …} (or jsonl, csv) instead\n")


def test_hub_asks_for_what_is_written(monkeypatch):
    asked = []

    class Library:
        @staticmethod
        def load_dataset(*args, **options):
            asked.append((args, options))
            return [{"a": 1}]

    monkeypatch.setitem(sys.modules, "datasets", Library)
    hub = Hub(f"org/name@{SHA}", config="en")
    assert list(hub.split("train").rows()) == [{"a": 1}]
    assert asked == [(("org/name",), {"name": "en", "split": "train", "revision": SHA})]
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(HarnessError, match=r"data format hub needs datasets: pip install 'harness-eval\[models\]'"):
        list(hub.rows())


# ── text lines ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_end_at_newlines_only(tmp_path, pack):
    content = " a\u2028b\x85c \r\n\n\ufeffd\x0be\r\nlast".encode()
    assert list(read_lines(file(tmp_path, pack(content)))) == [" a\u2028b\x85c", "", "\ufeffd\x0be", "last"]
    assert list(read_lines(io.BytesIO(pack(content)))) == [" a\u2028b\x85c", "", "\ufeffd\x0be", "last"]


def test_lines_are_those_of_sacrebleu(shared_data):
    from sacrebleu.utils import smart_open

    folder = shared_data("wmt17_ende/reference.de.txt").parent
    for path in sorted(folder.glob("*de.txt")):
        with smart_open(str(path)) as lines:
            expected = [line.rstrip() for line in lines]
        assert list(read_lines(path)) == expected
        assert len(expected) == 3004


def test_lines_say_where_they_are_not_utf8(tmp_path):
    path = file(tmp_path, b"a\nb \xff\n")
    fails(read_lines(path), f"{path}:2: not UTF-8: invalid start byte (byte 3 of the line)")


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_not_json_is_named_with_its_line(tmp_path, constant):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"id": "a", "value": 1}}\n{{"id": "b NaN", "value": {constant}}}\n')
    with pytest.raises(DataError, match=f"rows.jsonl:2: {constant} is not JSON: write null") as caught:
        list(Jsonl(path).rows())
    assert "rows.jsonl:1" not in str(caught.value)

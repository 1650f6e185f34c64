"""Rows to samples: the mapping's defaults and conversions, errors that name file, row and key, hashes."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import pytest

from harness.data.dataset import DataFacts, Dataset, SampleMapping, sample_hash
from harness.data.jsonl import Jsonl
from harness.data.unique import SeenIds
from harness.errors import DataError
from harness.templates import TemplateError
from harness.types import Sample


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Jsonl(path)


def one(fields, row, number=1):
    return SampleMapping(fields).sample(row, number)


def test_defaults():
    assert one({}, {"id": 5, "_id": "x", "q": "?"}).id == "5"
    assert one({}, {"_id": "x", "q": "?"}).id == "x"
    assert one({}, {"id": None, "q": "?"}, number=17).id == "17"
    row = {"_id": "x", "text": "?", "qrels": {"d": 2}}
    assert one({}, row) == Sample(id="x", input={"_id": "x", "text": "?"}, qrels={"d": 2})


def test_a_null_key_is_not_given():
    assert one({"id": None, "input": None, "references": None}, {"id": 5}) == Sample(id="5", input={"id": 5})


def test_every_field():
    row = {"n": 3, "q": "?", "answers": ["a", 2, None], "options": ["x", "y"], "gold": 1, "doc": 9, "topic": "t"}
    row["rel"] = ["d1", "d2"]
    fields = {
        "id": "q{{ n }}", "input": {"question": "{{ q }}"}, "references": "{{ answers }}", "choices": "{{ options }}",
        "target": "{{ options[gold] }}", "contexts": ["{{ q }}", "fixed"], "group": "{{ doc }}",
        "slices": {"topic": "{{ topic }}", "n": "{{ n }}", "none": None}, "qrels": "{{ rel }}",
    }  # fmt: skip
    assert one(fields, row) == Sample(
        id="q3", input={"question": "?"}, references=("a", "2"), choices=("x", "y"), target="y", contexts=("?", "fixed"),
        group="9", slices={"topic": "t", "n": "3"}, qrels={"d1": 1, "d2": 1},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "value", "expected"),
    [
        ("{{ a }}", "one", ("one",)),
        ("{{ a }}", ["one", "two"], ("one", "two")),
        ("{{ a }}", None, ()),
        ("{{ a }}", [], ()),
        ("{{ a }}", 3, ("3",)),
        (["{{ a }}"], "one", ("one",)),
        (["{{ a }}", "{{ b }}"], None, ("second",)),
        ("see {{ a }}", "one", ("see one",)),
    ],
)
def test_references(written, value, expected):
    assert one({"references": written}, {"id": 1, "a": value, "b": "second"}).references == expected


@pytest.mark.parametrize("target", [0, 1.5, True, None, "label", ["x", "y"]])
def test_target_keeps_its_type(target):
    got = one({"target": "{{ t }}"}, {"t": target}).target
    assert got == target
    assert type(got) is type(target)


def test_qrels_grades():
    assert one({}, {"qrels": {"a": "2", 7: 1.0, "b": -1}}).qrels == {"a": 2, "7": 1, "b": -1}
    assert one({"qrels": "{{ r }}"}, {"r": None}).qrels is None


def test_row_and_row_number():
    row = {"odd name": "v", "row_number_2": 0}
    sample = one({"id": "{{ row_number }}", "target": "{{ row['odd name'] }}"}, row, number=4)
    assert (sample.id, sample.target) == ("4", "v")
    assert sample.input == row
    assert one({"id": "{{ row }}-{{ row_number }}"}, {"row": "own", "row_number": "too"}, number=4).id == "own-too"


@pytest.mark.parametrize(
    ("fields", "row", "message"),
    [
        ({"references": "{{ sumary }}"}, {"id": 1, "summary": "s"},
         "sample.references: no field 'sumary'; the fields are: id, summary; did you mean 'summary'?"),
        ({"target": "{{ x }} {{ row_number }}"}, {"id": 1}, "sample.target: no field 'x'; the fields are: id"),
        ({"slices": {"t": "{{ x }}"}}, {"id": 1}, "sample.slices: no field 'x'; the fields are: id"),
        ({"slices": "{{ id }}"}, {"id": 1}, "sample.slices: must be a mapping of names to values, got 1"),
        ({"id": "{{ id }}"}, {"id": None}, "sample.id: is empty"),
        ({"id": "{{ id }}"}, {"id": ""}, "sample.id: is empty"),
        ({"input": "{{ id }}"}, {"id": "q"}, "sample.input: must be a mapping, got 'q'; write input: {text: …}"),
        ({"references": ["{{ a }}"]}, {"a": ["x"]},
         "sample.references: [0] must be text, got a list; a list is taken as it is: "
         'write "{{ field }}" instead of ["{{ field }}"]'),
        ({"choices": "{{ a }}"}, {"a": {"text": []}}, "sample.choices: must be text, got a mapping"),
        ({}, {"qrels": {"d": "high"}}, "sample.qrels: the grade of 'd' must be an integer, got 'high'"),
        ({}, {"qrels": {"d": 0.5}}, "sample.qrels: the grade of 'd' must be an integer, got 0.5"),
        ({}, {"qrels": 3}, "sample.qrels: must map document ids to grades, got 3"),
    ],
)  # fmt: skip
def test_a_row_that_does_not_fit(fields, row, message):
    with pytest.raises(DataError) as error:
        one(fields, row)
    assert str(error.value) == message


def test_an_error_names_the_task_the_file_and_the_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    source = write(path, {"summary": "s"}, {"sumary": "s"})
    data = Dataset(source, SampleMapping({"references": "{{ summary }}"}), label="qa.yaml")
    with pytest.raises(DataError) as error:
        list(data)
    why = "no field 'summary'; the fields are: sumary; did you mean 'sumary'?"
    assert str(error.value) == f"qa.yaml: {path}: row 2: sample.references: {why}"


def test_a_mapping_is_checked_when_it_is_made():
    with pytest.raises(DataError, match="unknown key 'refrences'; did you mean 'references'"):
        SampleMapping({"refrences": "{{ a }}"})
    with pytest.raises(TemplateError, match=r"sample\.target: template '\{\{ a': line 1"):
        SampleMapping({"target": "{{ a"})


def test_scan_counts_and_iterates_afresh(tmp_path):
    data = Dataset(write(tmp_path / "r.jsonl", {"id": "a"}, {"id": "b"}, {"id": "c"}))
    assert [s.id for s in data] == [s.id for s in data] == ["a", "b", "c"]
    assert data.scan().n == 3
    limited = Dataset(data.source, limit=2)
    assert [s.id for s in limited] == ["a", "b"]
    assert limited.scan().n == 2


def test_fingerprint_follows_content_and_order_alone(tmp_path):
    a, b = {"id": "a", "x": 1, "y": 2}, {"id": "b", "x": 1, "y": 2}
    facts = [
        Dataset(write(tmp_path / f"{i}.jsonl", *rows)).scan()
        for i, rows in enumerate([(a, b), ({"y": 2, "x": 1, "id": "a"}, b), (b, a), (a, {**b, "x": 3}), (a,)])
    ]
    assert facts[0] == facts[1] == DataFacts(2, facts[0].fingerprint)
    assert len({f.fingerprint for f in facts}) == 4


def test_hashes_do_not_depend_on_the_process():
    code = (
        "from harness.data.dataset import sample_hash; from harness.types import Sample;"
        "print(sample_hash(Sample('é', {'b': 1, 'a': [2.5]}, references=('r',), slices={'t': 'u', 's': 'v'})))"
    )
    printed = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
        printed.add(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout)
    here = sample_hash(Sample("é", {"a": [2.5], "b": 1}, references=("r",), slices={"s": "v", "t": "u"}))
    assert printed == {here + "\n"}
    assert len(here) == 32


@pytest.mark.parametrize(
    "change",
    [{"id": "j"}, {"input": {"a": 2}}, {"references": ("r", "s")}, {"choices": ("c",)}, {"target": 1}, {"contexts": ("c",)},
     {"qrels": {"d": 1}}, {"group": "g"}, {"slices": {"s": "v"}}],
)  # fmt: skip
def test_every_field_is_hashed(change):
    base = {"id": "i", "input": {"a": 1}, "references": ("r",)}
    assert sample_hash(Sample(**base)) != sample_hash(Sample(**{**base, **change}))


def test_duplicate_ids_name_both_rows(tmp_path):
    path = tmp_path / "d.jsonl"
    data = Dataset(write(path, {"id": "a"}, {"id": "b"}, {"id": "c"}, {"id": "b"}), label="qa")
    with pytest.raises(DataError) as error:
        data.scan()
    assert str(error.value) == f"qa: {path}: row 4: sample.id: 'b' is the id of row 2 too; ids must be unique"


def test_empty_data(tmp_path):
    source = write(tmp_path / "e.jsonl")
    with pytest.raises(DataError, match=r"qa: .*e\.jsonl: no samples in it$"):
        Dataset(source, label="qa").scan()


def test_what_json_cannot_hold_is_refused(tmp_path):
    data = Dataset(write(tmp_path / "n.jsonl", {"id": 1}), SampleMapping({"target": "{{ {3: id} }}"}), label="qa")
    with pytest.raises(DataError, match="row 1: cannot be kept as JSON"):
        data.scan()


def test_splits(tmp_path):
    test, train = write(tmp_path / "test.jsonl", {"id": "t"}), write(tmp_path / "train.jsonl", {"id": "a"}, {"id": "b"})
    source = Jsonl(test.path, splits={"train": train.path})
    data = Dataset(source, SampleMapping({"target": "{{ id }}"}), limit=1, label="qa")
    assert [(s.id, s.target) for s in data.split("train")] == [("a", "a"), ("b", "b")]
    with pytest.raises(DataError, match=r"qa: .*test\.jsonl: no split 'trian'; did you mean 'train'\?; name its file: "):
        data.split("trian")
    assert data.corpus() is None


def test_a_mapping_travels_to_other_processes():
    mapping = pickle.loads(pickle.dumps(SampleMapping({"target": "{{ a }}"})))
    assert mapping == SampleMapping({"target": "{{ a }}"})
    assert mapping.sample({"a": 3}, 1).target == 3


class SameHash(str):
    """A text whose hash collides with every other of its kind."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 7


def test_equal_hashes_are_looked_at_again():
    for ids, expected in ((["a", "b", "c"], None), (["a", "b", "a"], ("a", 1, 3)), (["a", "b", "b", "a"], ("b", 2, 3))):
        seen, texts = SeenIds(), [SameHash(i) for i in ids]
        for text in texts:
            seen.add(text)
        found = seen.repeated(lambda texts=texts: texts)
        assert (None if found is None else (str(found.id), found.first, found.second)) == expected


def test_nq_open(shared_data):
    data = Dataset(Jsonl(shared_data("nq_open/NQ-open.dev.jsonl")), SampleMapping({"references": "{{ answer }}"}))
    first = next(iter(data))
    assert data.scan().n == 3610
    assert (first.id, first.references) == ("1", ("14 December 1972 UTC", "December 1972"))

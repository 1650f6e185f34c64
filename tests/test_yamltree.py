"""YAML trees: values, places, and the exact text of every fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.config.yamltree import Node, Place, Problems, merge, parse_yaml, plain, put, read_yaml, walk
from harness.errors import ConfigError


def parse(text: str) -> Node:
    problems = Problems()
    node = parse_yaml(text, Path.cwd() / "a.yaml", problems)
    problems.raise_any()
    assert node is not None
    return node


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return list(caught.value.problems)


@pytest.fixture(params=["C", "Python"])
def _either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("''", ""),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("12", 12),
        ("-3", -3),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2024-01-31", "2024-01-31"),
        ("0.1.0", "0.1.0"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: Any) -> None:
    got = plain(parse(f"a: {text}"))["a"]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.usefixtures("_either_parser")
def test_every_value_and_key_knows_its_place() -> None:
    tree = parse("é: 1\nb:\n  - x\n  - {c: [ü, 2]}\n")
    file = Path.cwd() / "a.yaml"
    assert tree.place == Place(file, 1, 1)
    assert tree.entries["é"].key == Place(file, 1, 1)
    assert tree.entries["é"].place == Place(file, 1, 4)
    inner = tree.entries["b"].items[1]
    assert inner.place == Place(file, 4, 5)
    assert inner.entries["c"].key == Place(file, 4, 6)
    assert inner.entries["c"].items[1].place == Place(file, 4, 13)
    assert str(inner.place) == "a.yaml:4:5"


def test_a_column_counts_characters_not_bytes() -> None:
    assert parse("a: ['😀é', x]").entries["a"].items[1].place.column == 11


def test_a_file_outside_the_current_folder_is_shown_with_its_whole_path(tmp_path: Path) -> None:
    assert str(Place(tmp_path / "x.yaml", 2, 3)) == f"{(tmp_path / 'x.yaml').as_posix()}:2:3"


def test_keys_are_strings_as_written() -> None:
    assert plain(parse("{1: a, true: b, null: c, 1.50: d}")) == {"1": "a", "true": "b", "null": "c", "1.50": "d"}


@pytest.mark.usefixtures("_either_parser")
def test_duplicate_keys_are_refused_all_of_them() -> None:
    assert faults("a: 1\nb: {x: 1, y: 2, x: 3}\na: 2\n") == [
        "a.yaml:2:17: duplicate key 'x'; the first is on line 2",
        "a.yaml:3:1: duplicate key 'a'; the first is on line 1",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "a.yaml: the file is empty"),
        ("# only this\n", "a.yaml: the file is empty"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: a second document starts here; a file holds one"),
        ("a: b: c", "a.yaml:1:5: not valid YAML: mapping values are not allowed in this context"),
        ("a: 'x", "a.yaml:1:6: not valid YAML: while scanning a quoted scalar: found unexpected end of stream"),
        ("a:\n  - 1\n b: 2\n", "a.yaml:3:2: not valid YAML: while parsing a block mapping: did not find expected key"),
        ("a: \x01", "a.yaml:1:4: the character #x01 is not allowed in YAML"),
        ("? [a]\n: b", "a.yaml:1:3: a key must be a string"),
        ("a: !!python/name:os.system ''", "a.yaml:1:4: the tag !!python/name:os.system is not allowed; write the plain value"),
        ("a: !secret x", "a.yaml:1:4: the tag !secret is not allowed; write the plain value"),
        ("a: *b", "a.yaml:1:4: the alias *b names no anchor that is complete at this point"),
        ("a: &b [*b]", "a.yaml:1:8: the alias *b names no anchor that is complete at this point"),
        ("a: {<<: 1}", "a.yaml:1:9: '<<' takes a mapping or a list of mappings"),
        ("[" * 100_000, "a.yaml:1:102: nested deeper than 100 levels"),
    ],
)
def test_faults_are_told_in_one_line_with_their_place(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_nesting_up_to_the_limit_is_read() -> None:
    node = parse("[" * 101 + "]" * 101)
    assert len(list(walk(node))) == 101


def test_aliases_that_multiply_are_stopped() -> None:
    levels = "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh"))
    assert faults(f"a: &a [{','.join('x' * 9)}]\n{levels}") == ["a.yaml:7:8: aliases expand to more than 1,000,000 values"]


def test_merge_keys_fill_what_is_not_there_and_the_first_wins() -> None:
    tree = parse("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {y: 3, <<: *a}\nd: {<<: [*b, *a], w: 4}\n")
    assert plain(tree)["c"] == {"y": 3, "x": 1}
    assert plain(tree)["d"] == {"w": 4, "y": 2, "z": 2, "x": 1}
    assert tree.entries["d"].entries["z"].place.line == 2


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9\r\n")
    node = read_yaml(path, Problems())
    assert node is not None
    assert plain(node) == {"a": 1, "b": "é"}
    assert node.entries["b"].key == Place(path, 2, 1)


def test_other_encodings_are_refused_at_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    problems = Problems()
    (tmp_path / "latin.yaml").write_bytes("a: 1\nb: é\n".encode("latin-1"))
    (tmp_path / "wide.yaml").write_bytes("a: 1\n".encode("utf-16"))
    for name in ("latin.yaml", "wide.yaml", "none.yaml"):
        assert read_yaml(tmp_path / name, problems) is None
    (tmp_path / "folder.yaml").mkdir()
    assert read_yaml(tmp_path / "folder.yaml", problems) is None
    with pytest.raises(ConfigError) as caught:
        problems.raise_any()
    folder, *others = caught.value.problems
    assert folder.startswith("folder.yaml: cannot be read: ")
    latin, wide = "latin.yaml:2:4: not UTF-8 (byte 0xe9)", "wide.yaml:1:1: not UTF-8 (byte 0xff)"
    assert others == [latin, "none.yaml: no such file", wide]


def test_problems_are_sorted_by_file_and_position_and_told_once() -> None:
    problems = Problems()
    for name, line, column in (("b", 1, 1), ("a", 10, 1), ("a", 9, 20), ("a", 9, 3), ("a", 9, 3)):
        problems.add(Place(Path.cwd() / name, line, column), "wrong")
    with pytest.raises(ConfigError) as caught:
        problems.raise_any()
    assert caught.value.problems == ("a:9:3: wrong", "a:9:20: wrong", "a:10:1: wrong", "b:1:1: wrong")
    assert str(caught.value).splitlines() == list(caught.value.problems)


def test_merge_goes_into_mappings_and_keeps_places() -> None:
    base, over = parse("a: {x: 1, y: [1, 2]}\nb: 1"), parse("\n\na: {y: [3]}\nc: {z: 1}")
    merged = merge(base, over)
    assert plain(merged) == {"a": {"x": 1, "y": [3]}, "b": 1, "c": {"z": 1}}
    assert merged.entries["a"].entries["x"].place.line == 1
    assert merged.entries["a"].entries["y"].place.line == 3


def test_put_makes_mappings_on_the_way_and_goes_through_nothing_else() -> None:
    tree, new = parse("a: {x: 1}\nb: 2"), Node(7, Place("--set"))
    changed = put(tree, ("a", "y", "z"), new)
    assert changed is not None
    assert plain(changed) == {"a": {"x": 1, "y": {"z": 7}}, "b": 2}
    assert plain(tree) == {"a": {"x": 1}, "b": 2}
    assert put(tree, ("b", "c"), new) is None


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"], exclude_characters="\ufeff"))
_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_LEAVES = st.none() | st.booleans() | _NUMBERS | _TEXT
_TREES = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner), max_leaves=20)


@given(_TREES)
def test_json_is_read_as_what_it_is(value: Any) -> None:
    assert plain(parse(json.dumps({"value": value}, ensure_ascii=False))) == {"value": value}


@pytest.mark.parametrize("written", ["9223372036854775808", "-9223372036854775809", "0xffffffffffffffff", "9" * 300])
def test_integers_beyond_64_bits_are_refused_at_their_place(written: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(f"a:\n  - 9223372036854775807\n  - {written}\n")
    assert refused.value.problems == ("a.yaml:3:5: an integer beyond 64 bits",)

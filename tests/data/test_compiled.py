"""The compiled reader and look-ups give what the Python ones give, bit for bit, and touch nothing that is not theirs."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.data import compiled, trec
from harness.data.runlines import RunLines, hashes
from harness.errors import DataError
from harness.metrics.judgements import judge
from harness.types import Ranking

pytestmark = pytest.mark.skipif(not compiled.IS_THERE, reason="installed without a C compiler")

Outcome = dict[str, tuple[tuple[str, ...], list[bytes]]] | str


@pytest.fixture(scope="module")
def in_python() -> Callable[[Callable[[], Any]], Any]:
    """Calls something with the compiled part switched off."""

    def call(made: Callable[[], Any]) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compiled, "IS_THERE", False)
            return made()

    return call


def bits(ranking: Ranking) -> tuple[tuple[str, ...], list[bytes]]:
    return ranking.documents, [struct.pack("<d", score) for score in ranking.scores]


def outcome(data: bytes) -> Outcome:
    """What comes of a file: rankings, or the complaint."""
    try:
        return {query: bits(ranking) for query, ranking in trec.read_run(io.BytesIO(data)).items()}
    except DataError as error:
        return str(error)


def columns(data: bytes) -> compiled.RunColumns:
    found = compiled.run_columns(data)
    assert found is not None
    return found


words = st.sampled_from(
    [b"1", b"q", b"30", b"Q0", b"d", b"D1234567", b"D12345678", b"doc-number-17", b"tag", b"2.5", b"0.123", b"-7", b"1e-3",
     b"nan", b"inf", b"1_0", b"+1", b"\xc3\xa9", b"\xff", b"x\x1cy", b"\x00"]
)  # fmt: skip
gaps = st.sampled_from([b" ", b" ", b" ", b"\t", b"  ", b"\n", b"\r\n", b"\v", b"\x85"])
good_lines = st.builds(
    lambda query, document, score: f"{query} Q0 {document} 1 {score} t\n".encode(),
    st.sampled_from("123"), st.sampled_from(["a", "b", "é", "nine_byte", "x" * 16, "x" * 17]),
    st.sampled_from(["1", "0.5", "-2.25"]),
)  # fmt: skip
nearly_runs = st.lists(st.one_of(good_lines, good_lines, good_lines, st.builds(bytes.__add__, words, gaps)), max_size=12)


MORE = b"".join(b"9 Q0 more-%d 1 %d t\n" % (i, i) for i in range(5))
"""Lines that are read in another way where 64 bytes follow."""


@settings(max_examples=150, deadline=None)
@given(nearly_runs.map(b"".join), st.integers(0, 400))
def test_any_file_and_any_piece_of_it(in_python: Callable[..., Any], data: bytes, end: int) -> None:
    for piece in (data, data[:end], data + MORE):
        assert outcome(piece) == in_python(lambda piece=piece: outcome(piece))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes(in_python: Callable[..., Any], data: bytes) -> None:
    assert outcome(data) == in_python(lambda: outcome(data))


@pytest.mark.parametrize(
    "text",
    [
        "1 Q0 a 1 2.0 t", "1 Q0 a 1 2.0 t\n\n \n1 Q0 b 1 3 t x y\n", "1\tQ0\ta\t1\t2.0\tt\r\n", " 1 Q0 a 1 2 t\n",
        "1 Q0 a 1 2 \x01t\n", "1 Q0 a 1 2 t\x01\n", "1 Q0 é 1 2 t\n", "é Q0 a 1 2 t\né Q0 b 1 2 t\n",
        "1 Q0 a 1 2 t\r1 Q0 b 1 2 t\n", "1 Q0 a 1 2 t\r", "1 Q0 a 1 2 t x\r1 Q0 b 1 2 t\n", "1\rQ0 a 1 2 t\n",
        "1 Q0 a 1 1e400 t\n", "1 Q0 a 1 1e-400 t\n", "1 Q0 a 1 5e-324 t\n", "1 Q0 a 1 .5 t\n", "1 Q0 a 1 5. t\n",
        "1 Q0 a 1 5.e1 t\n", "1 Q0 a 1 1e t\n", "1 Q0 a 1 1e+ t\n", "1 Q0 a 1 - t\n", "1 Q0 a 1 -.e1 t\n",
        "1 Q0 a 1 0e99999 t\n", "1 Q0 a 1 -0.0 t\n", "1 Q0 a 1 1e39 t\n", "# Q0 a 1 2 t\n", "1 Q0 a\n1 Q0 b 1 2 t\n",
        "1 Q0 a  2.0 t\n", "1  a 1 2.0 t\n", " Q0 a 1 2.0 t\n", "1 Q0 a 1 2.0 \n", "1 Q0 a\u00a0b 1 2.0 t\n",
        "1 Q0 a 1 " + "1" * 200 + " t\n", "1 Q0 a 1 0." + "0" * 150 + "1 t\n",
    ],
)  # fmt: skip
def test_odd_lines(in_python: Callable[..., Any], text: str) -> None:
    for data in (text.encode(), b"1 Q0 z 1 3.5 t\n" + text.encode(), text.encode() + b"\n1 Q0 z 1 3.5 t", text.encode() + MORE):
        assert outcome(data) == in_python(lambda data=data: outcome(data))


@pytest.mark.parametrize(
    "name",
    [b"1 Q0 \xff 1 2 t\n", b"\xed\xa0\x80 Q0 a 1 2 t\n", b"1 Q0 a 1 2 \xff\n", b"1 Q0 a\xc3 1 2 t\n1 Q0 \xa9 1 1 t\n"],
)
def test_names_that_are_no_utf8(in_python: Callable[..., Any], name: bytes) -> None:
    """The last: two ids that are UTF-8 only when they stand together."""
    assert outcome(name) == in_python(lambda: outcome(name))


def test_the_compiled_part_reads_what_it_should() -> None:
    """Not by giving up: spaces, tabs, line ends, ids and queries beyond ASCII, words after the tag."""
    found = columns("é\tQ0  d1 1 2.5 t\r\n\n\v é Q0 ü 2 1.5 t more\n2 Q0 d1 1 -1e-2 t".encode())
    assert found.queries == ["é", "2"]
    assert (found.codes.tolist(), found.documents.to_pylist()) == ([0, 0, 1], ["d1", "ü", "d1"])
    assert (found.scores.tolist(), found.is_sorted) == ([2.5, 1.5, -0.01], True)
    assert found.hashes.tolist() == hashes(found.documents).tolist()
    wide = "".join(f"{'q' * width} Q0 {'d' * width} 1 -{width}.5 {'t' * (64 - 3 * width)}\n" for width in range(1, 21))
    assert columns(wide.encode()).documents.to_pylist() == ["d" * width for width in range(1, 21)]
    assert columns(wide.encode()).scores.tolist() == [-width - 0.5 for width in range(1, 21)]
    assert not columns(b"1 Q0 a 1 1 t\n1 Q0 b 1 2 t\n").is_sorted
    assert not columns(b"1 Q0 a 1 2 t\n2 Q0 b 1 1 t\n1 Q0 c 1 1 t\n").is_sorted
    assert columns(b"1 Q0 a 1 1 t\n2 Q0 b 1 2 t\n").is_sorted


number_texts = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(0.001, 1000).map(lambda value: f"{value:.17f}"),
    st.builds(lambda sign, digits, places: f"{sign}{digits[:-places] or 0}.{digits[-places:]}", st.sampled_from(["", "-"]),
              st.integers(10**14, 10**21).map(str), st.integers(1, 21)),
    st.builds(lambda digits, power: f"{digits}e{power}", st.integers(0, 10**20), st.integers(-330, 300)),
    st.integers(0, 10**22).map(str),
)  # fmt: skip


def halfway(value: float, places: int) -> str | None:
    """The decimal between two neighbouring doubles, if so many places hold it."""
    numerator, denominator = value.as_integer_ratio()
    up = math.nextafter(value, math.inf).as_integer_ratio()
    top, bottom = numerator * up[1] + up[0] * denominator, 2 * denominator * up[1]
    scaled, rest = divmod(top * 10**places, bottom)
    return None if rest else f"{scaled // 10**places}.{scaled % 10**places:0{places}d}"


@settings(max_examples=300, deadline=None)
@given(st.lists(number_texts, min_size=1, max_size=20))
@example(["9007199254740993.0", "9007199254740995.0", "9007199254740992.5", "4503599627370496.5", "4503599627370497.5"])
@example(["0.3", "99999999999999.99999", "0.9999999999999999999", "18446744073709551615", "9999999999999999999"])
def test_numbers_are_those_of_float(texts: list[str]) -> None:
    for text in texts:
        found = compiled.run_columns(f"1 Q0 a 1 {text} t\n".encode())
        if found is None:
            assert not 1e-320 < abs(float(text)) < 1e308 or len(text) > 100
        else:
            assert struct.pack("<d", found.scores[0]) == struct.pack("<d", float(text)), text


def test_numbers_between_two_doubles() -> None:
    texts = [text for value in (2.0**50 + i for i in range(60)) if (text := halfway(value, 3)) is not None]
    texts += [text for value in (2.0**49 + i / 8 for i in range(60)) if (text := halfway(value, 4)) and len(text) <= 20]
    assert len(texts) > 60
    data = "".join(f"1 Q0 d{i} 1 {text} t\n" for i, text in enumerate(texts)).encode()
    assert columns(data).scores.tolist() == list(map(float, texts))
    near = [text[:-1] + digit for text in texts for digit in "19"]
    data = "".join(f"1 Q0 d{i} 1 {text} t\n" for i, text in enumerate(near)).encode()
    assert columns(data).scores.tolist() == list(map(float, near))


def test_singles_and_repeats() -> None:
    found = columns(b"1 Q0 a 1 0.1 t\n1 Q0 b 2 0.1 t\n2 Q0 a 1 1e39 t\n2 Q0 b 1 -1e39 t\n")
    assert found.singles.tolist() == [np.float32(0.1), np.float32(0.1), math.inf, -math.inf]
    assert not RunLines.of_columns(found).has_repeats()
    assert compiled.all_differ(np.array([1, 2, 1, 3], np.uint64), np.array([0, 2, 4]))
    assert not compiled.all_differ(np.array([1, 2, 3, 2], np.uint64), np.array([0, 1, 4]))
    assert compiled.all_differ(np.array([5, 5], np.uint64), np.array([0, 1, 1, 2]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("12"), st.integers(0, 12)), min_size=1, max_size=12))
def test_repeats_are_found_wherever_they_stand(in_python: Callable[..., Any], pairs: list[tuple[str, int]]) -> None:
    data = "".join(f"{query} Q0 document-{document} 1 {i} t\n" for i, (query, document) in enumerate(pairs)).encode()
    found = outcome(data)
    assert found == in_python(lambda: outcome(data))
    assert isinstance(found, str) == (len(set(pairs)) < len(pairs))


def stored(n_queries: int, n_documents: int) -> tuple[list[Ranking], list[dict[str, int]]]:
    """Rankings with ties, and judgements of which some are found."""
    rng = np.random.default_rng(5)
    lines = [f"{q} Q0 doc-{d} 1 {s:.1f} t\n" for q in range(n_queries)
             for d, s in zip(rng.permutation(2 * n_documents)[:n_documents], -np.sort(-rng.normal(size=n_documents)))]
    qrels = [{f"doc-{d}": int(d) % 5 - 1 for d in rng.permutation(2 * n_documents)[:20]} for _ in range(n_queries)]
    return list(trec.read_run(io.BytesIO("".join(lines).encode())).values()), qrels


def test_judged_alike(in_python: Callable[..., Any]) -> None:
    rankings, qrels = stored(30, 200)
    lines: RunLines = rankings[0].lines  # type: ignore[attr-defined]
    rows = np.arange(30)[::-1].copy()
    ours = lines.judged(rows, qrels)
    expected = in_python(lambda: lines.judged(rows, qrels))
    assert ours is not None
    assert [part.tolist() for part in ours] == [part.tolist() for part in expected]
    assert len(ours[0]) > 200
    assert compiled.judged(lines.hashes, lines.bounds, lines.documents, rows, qrels) is not None


@pytest.mark.parametrize("grades", [{"doc-1": np.int64(2)}, {"doc-1": 2**70}, {"doc-1": 1.0}, {"\ud800": 1}, {3: 1}])
def test_unusual_judgements_are_left_to_python(grades: dict[Any, Any]) -> None:
    rankings, _ = stored(1, 50)
    lines: RunLines = rankings[0].lines  # type: ignore[attr-defined]
    assert compiled.judged(lines.hashes, lines.bounds, lines.documents, np.arange(1), [grades]) is None
    assert compiled.judged(lines.hashes, lines.bounds, lines.documents, np.arange(1), [{"doc-1": 2**62}]) is not None


def colliding() -> tuple[str, str]:
    """Two ids of sixteen letters that have one hash: the second half makes up for what the first one did."""
    odd, mask = 0x9E3779B97F4A7C15, 2**64 - 1

    def after(word: bytes) -> int:
        mixed = ((16 * odd ^ int.from_bytes(word, "little")) * odd) & mask
        return mixed ^ (mixed >> 32)

    first, start = after(b"aaaaaaaa"), ord("a")
    for number in range(26**4):
        word = bytes(start + number // 26**place % 26 for place in range(4)) + b"zzzz"
        steps = (first ^ after(word)).to_bytes(8, "little")
        ends = [next((c for c in range(48, 123) if 48 <= c ^ step < 123), 0) for step in steps]
        if all(ends):
            return "a" * 8 + bytes(ends).decode(), word.decode() + bytes(c ^ step for c, step in zip(ends, steps)).decode()
    raise AssertionError("none found")


def test_different_documents_of_one_hash(in_python: Callable[..., Any]) -> None:
    one, other = colliding()
    assert one != other
    assert hashes_of(one) == hashes_of(other)
    data = f"1 Q0 {one} 1 3 t\n1 Q0 x 1 2 t\n1 Q0 {other} 1 1 t\n2 Q0 {other} 1 1 t\n".encode()
    read = outcome(data)
    assert read == in_python(lambda: outcome(data))
    assert [documents for documents, _ in read.values()] == [(one, "x", other), (other,)]  # type: ignore[union-attr]
    twice = data + f"1 Q0 {other} 1 0 t\n".encode()
    assert outcome(twice) == f"<stream>:5: document {other!r} of query '1' is on line 3 already"
    for qrels in ([{one: 2, "x": 1}, {one: 1}], [{one: 2, other: 3}, {one: 1, other: 2}], [{other: 1}, {other: 1}]):
        found = judge(list(trec.read_run(io.BytesIO(data)).values()), qrels)
        expected = judge([Ranking((one, "x", other), (3, 2, 1)), Ranking((other,), (1,))], qrels)
        for name in ("query", "rank", "grade"):
            assert getattr(found, name).tolist() == getattr(expected, name).tolist()


def hashes_of(text: str) -> int:
    import pyarrow as pa

    return int(hashes(pa.array([text]))[0])


def test_memory_that_is_too_small_or_too_odd() -> None:
    """The compiled functions refuse what does not fit instead of writing past it."""
    from harness.data import _hashes, _trec

    data = b"1 Q0 a 1 2 t\n1 Q0 bb 1 1 t\n"
    kinds = (np.int32, np.int32, np.uint8, np.float64, np.float32, np.uint64)

    def room(*sizes: int) -> list[Any]:
        return [np.zeros(size, kind) for size, kind in zip(sizes, kinds)]

    assert _trec.read_lines(data, *room(2, 3, 3, 2, 2, 2)) == ({"1": 0}, 2, 3, False, True)
    assert _trec.read_lines(data, *room(1, 2, 3, 1, 1, 1)) is None
    assert _trec.read_lines(data, *room(2, 3, 2, 2, 2, 2)) is None
    for small in ([2, 2, 3, 2, 2, 2], [2, 3, 3, 1, 2, 2], [2, 3, 3, 2, 1, 2], [2, 3, 3, 2, 2, 1], [0, 0, 0, 0, 0, 0]):
        with pytest.raises(ValueError, match="room"):
            _trec.read_lines(data, *room(*small))
    with pytest.raises((TypeError, BufferError, ValueError)):
        _trec.read_lines(data, b"", *room(2, 3, 3, 2, 2, 2)[1:])
    some = np.array([1, 2, 3], np.uint64)
    for bounds in ([0, 4], [2, 1], [-1, 2], [0, 2**40]):
        assert not _hashes.all_differ(some, np.array(bounds))
    assert _hashes.all_differ(some, np.array([], np.int64))


def test_look_ups_stay_inside_their_memory() -> None:
    from harness.data import _hashes

    one, edge = np.array([hashes_of("a")], np.uint64), np.array([0, 1])

    def look(offsets: list[int], ids: bytes, row: int, qrels: list[Any], room: int = 1, bounds: Any = edge) -> int:
        out = [np.zeros(room, np.int64) for _ in range(3)]
        return _hashes.judged(one, bounds, np.array(offsets, np.int32), ids, np.array([row]), qrels, *out)

    assert look([0, 1], b"a", 0, [{"a": 1}]) == 1
    assert look([0, 1], b"a", 0, [{"b": 1}]) == 0
    for offsets, ids, row, qrels in (
        ([0, 1], b"", 0, [{"a": 1}]), ([5, 6], b"a", 0, [{"a": 1}]), ([-1, 0], b"a", 0, [{"a": 1}]), ([0], b"a", 0, [{"a": 1}]),
        ([], b"a", 0, [{"a": 1}]), ([0, 1], b"a", 1, [{"a": 1}]), ([0, 1], b"a", -1, [{"a": 1}]), ([0, 1], b"a", 0, []),
        ([0, 1], b"a", 0, [None]), ([0, 1], b"a", 0, [{"a": 1}, {"a": 1}]),
    ):  # fmt: skip
        assert look(offsets, ids, row, qrels) == -1
    assert look([0, 1], b"a", 0, [{"a": 1}], room=0) == -1
    assert look([0, 1], b"a", 0, [{"a": 1}], bounds=np.array([0, 2])) == -1

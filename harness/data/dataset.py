"""Rows to samples: the field mapping of a task, the data set that it makes of a source, and its hashes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

from harness.codec import digest, encode_sample
from harness.data.unique import SeenIds
from harness.errors import DataError, HarnessError, did_you_mean
from harness.templates import MissingField, Render, compile_tree
from harness.types import Corpus, Sample


class Format(Protocol):
    """What a data format promises: a frozen dataclass whose fields are the keys beside ``format:``."""

    name: ClassVar[str]
    summary: ClassVar[str]

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """The rows, read afresh by each call, one at a time."""
        ...

    def corpus(self) -> Corpus | None:
        """The documents, where the source is a retrieval collection."""
        ...

    def split(self, name: str) -> Self:
        """The same source at another split. Raises DataError if it has none of that name."""
        ...


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What a pass over a data set found: the number of samples, a hash of all of them in their order, and whether all have
    the same input fields (a template that finds its fields in one then finds them in all).
    ``has`` names those of references, target, choices and qrels that at least one sample has."""

    n: int
    fingerprint: str
    alike: bool = True
    has: frozenset[str] = frozenset()


def sample_hash(sample: Sample) -> str:
    """BLAKE2b over the canonical JSON of every field, 32 hexadecimal digits."""
    return digest(encode_sample(sample))


class Fingerprint:
    """The hash of all samples of a data set, from their hashes in order; 32 bytes of memory a sample."""

    def __init__(self) -> None:
        self._hashes = bytearray()

    def add(self, *hashes: str) -> None:
        """Those of the next samples, as :func:`sample_hash` gives them."""
        self._hashes += "".join(hashes).encode()

    def value(self) -> str:
        """The fingerprint so far."""
        return digest(bytes(self._hashes))


# ── mapping ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class SampleMapping:
    """The ``sample:`` mapping of a task, compiled: each value is a template, or a list or mapping of them.

    Templates see the fields of the row, ``row`` (the whole row: ``{{ row['odd name'] }}``) and ``row_number`` (from 1); a
    field of one of those names goes first. Where they are not given, ``id`` is the row's ``id``, else its ``_id``, else the
    row number; ``input`` is the whole row without ``qrels``; ``qrels`` is the row's ``qrels``, if any; the rest is empty.

    ``references``, ``choices`` and ``contexts`` take a text, a list of texts (a null in it is left out) or null; ``qrels`` a
    mapping from document id to grade, or a list of relevant documents; ``slices`` a mapping (a null value: in no slice). A key
    that is null is not given.

    Raises DataError for an unknown key, TemplateError for bad syntax.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    _steps: list[tuple[str, Render, Callable[[Any], Any]]] = field(init=False, repr=False, compare=False)
    _wants_row: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for key in self.fields:
            if key not in _CONVERT:
                raise DataError(f"sample: unknown key {key!r}{did_you_mean(str(key), _CONVERT)}")
        steps, given = [], {key: value for key, value in self.fields.items() if value is not None}
        for key, value in given.items():
            try:
                steps.append((key, compile_tree(value), _CONVERT[key]))
            except HarnessError as error:
                raise type(error)(f"sample.{key}: {error}") from None
        object.__setattr__(self, "fields", given)
        object.__setattr__(self, "_steps", steps)
        object.__setattr__(self, "_wants_row", re.search(r"\brow(_number)?\b", repr(self.fields)) is not None)

    def __reduce__(self) -> tuple[Any, ...]:
        return SampleMapping, (self.fields,)

    def sample(self, row: Mapping[str, Any], number: int) -> Sample:
        """The sample that the ``number``-th row (from 1) stands for. Raises DataError ``sample.<key>: …``."""
        seen = {"row": row, "row_number": number, **row} if self._wants_row else row
        values, key = _defaults(row, number, self.fields), ""
        try:
            for key, render, convert in self._steps:
                values[key] = convert(render(seen))
            if "qrels" in row and "qrels" not in self.fields:
                key = "qrels"
                values[key] = _qrels(row[key])
        except MissingField as error:
            shown = MissingField(error.field, row) if "row_number" in error.available else error
            raise DataError(f"sample.{key}: {shown}") from error
        except HarnessError as error:
            raise DataError(f"sample.{key}: {error}") from error
        return Sample(**values)


def _defaults(row: Mapping[str, Any], number: int, given: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "id" not in given:
        own = row.get("id")
        own = row.get("_id") if own is None else own
        values["id"] = str(number if own is None else own)
    if "input" not in given:
        values["input"] = {key: value for key, value in row.items() if key != "qrels"} if "qrels" in row else row
    return values


def _id(value: Any) -> str:
    if value is None or value == "":
        raise DataError("is empty")
    return str(value)


def _input(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f"must be a mapping, got {_kind(value)}; write input: {{text: …}}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if type(value) is str:
        return (value,)
    if value is None:
        return ()
    if isinstance(value, (list, tuple)):
        return tuple([item if type(item) is str else _text(item, f"[{i}]") for i, item in enumerate(value) if item is not None])
    return (_text(value, ""),)


def _text(value: Any, where: str) -> str:
    if isinstance(value, (Mapping, Sequence)) and not isinstance(value, str):
        hint = '; a list is taken as it is: write "{{ field }}" instead of ["{{ field }}"]' if where else ""
        raise DataError(f"{where}{' ' if where else ''}must be text, got {_kind(value)}{hint}")
    return str(value)


def _qrels(value: Any) -> dict[str, int] | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {str(document): _grade(grade, document) for document, grade in value.items()}
    if isinstance(value, (list, tuple)):
        return {str(document): 1 for document in value}
    raise DataError(f"must map document ids to grades, got {_kind(value)}")


def _grade(value: Any, document: Any) -> int:
    if type(value) is int:
        return value
    try:
        if int(value) == float(value):
            return int(value)
    except (TypeError, ValueError):
        pass
    raise DataError(f"the grade of {document!r} must be an integer, got {value!r}")


def _group(value: Any) -> str | None:
    return None if value is None else str(value)


def _slices(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise DataError(f"must be a mapping of names to values, got {_kind(value)}")
    return {str(axis): str(item) for axis, item in value.items() if item is not None}


def _as_it_is(value: Any) -> Any:
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return "a mapping" if isinstance(value, Mapping) else "a list" if isinstance(value, (list, tuple)) else repr(value)[:60]


_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "id": _id, "input": _input, "references": _texts, "choices": _texts, "target": _as_it_is,
    "contexts": _texts, "group": _group, "slices": _slices, "qrels": _qrels,
}  # fmt: skip


_WANTED = ("references", "target", "choices", "qrels")


def _is_flat(fields: Mapping[str, Any]) -> bool:
    """Whether no value has parts of its own that might be there in one row and not in another."""
    kinds = set(map(type, fields.values()))
    return kinds <= _SCALARS or not any(issubclass(kind, (dict, list)) for kind in kinds)


_SCALARS = frozenset({str, int, float, bool, type(None)})


# ── the data set ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Dataset:
    """The samples of a source under a mapping; iterating reads the source afresh. ``label`` is what errors begin with."""

    source: Format
    mapping: SampleMapping = SampleMapping()
    limit: int | None = None
    label: str = "data"

    def __iter__(self) -> Iterator[Sample]:
        """The samples, the first ``limit`` of them. Raises DataError ``label: file: row n: sample.<key>: what``."""
        to_sample = self.mapping.sample
        for number, row in enumerate(itertools.islice(self.source.rows(), self.limit), 1):
            try:
                yield to_sample(row, number)
            except DataError as error:
                raise DataError(f"{self._where()}: row {number}: {error}") from error

    def corpus(self) -> Corpus | None:
        """The documents of a retrieval source, else None."""
        return self.source.corpus()

    def split(self, split: str) -> Dataset:
        """All samples of another split of the source, under the same mapping. Raises DataError if there is none."""
        try:
            return Dataset(self.source.split(split), self.mapping, None, f"{self.label} ({split})")
        except DataError as error:
            raise DataError(f"{self.label}: {error}") from error

    def scan(self) -> DataFacts:
        """One pass over everything.

        Raises DataError for no samples at all, an id that two rows have, a field that is not there, what JSON cannot hold.
        """
        ids, played, fields, alike, has = SeenIds(), Fingerprint(), None, True, set[str]()
        wanted = list(_WANTED)
        for sample in self:
            ids.add(sample.id)
            fields = sample.input.keys() if fields is None else fields
            for key in wanted:
                if getattr(sample, key) not in (None, ()):
                    has.add(key)
                    wanted = [other for other in _WANTED if other not in has]
            alike = alike and sample.input.keys() == fields and _is_flat(sample.input)
            try:
                played.add(sample_hash(sample))
            except TypeError as error:
                raise DataError(f"{self._where()}: row {len(ids)}: cannot be kept as JSON: {error}") from error
        if not len(ids):
            raise DataError(f"{self._where()}: no samples in it{'' if self.limit is None else f' (limit is {self.limit})'}")
        twice = ids.repeated(lambda: (sample.id for sample in self))
        if twice is not None:
            where = f"{self._where()}: row {twice.second}: sample.id"
            raise DataError(f"{where}: {twice.id!r} is the id of row {twice.first} too; ids must be unique")
        return DataFacts(len(ids), played.value(), alike, frozenset(has))

    def _where(self) -> str:
        path: object = getattr(self.source, "path", None)
        return self.label if path is None or str(path) in self.label else f"{self.label}: {path}"

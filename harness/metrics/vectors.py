"""What the metrics of vectors share: taking vectors out of outputs and files, distances in blocks, means over pairs, halves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

from harness.errors import DataError, MetricError
from harness.metrics.numbers import far_exponent
from harness.metrics.pooled import PooledMetric, too_few
from harness.metrics.tokenize import IntArray
from harness.protocols import Metric
from harness.types import FloatArray, Output, Sample, Vectors

Kernel: TypeAlias = Callable[[FloatArray], FloatArray]
"""Squared distances to what is averaged, element by element."""

BLOCK_BYTES = 32 * 2**20
"""Size of a block of distances: rows of one side against all of the other."""

_CANCELLED = 1e-6
"""|x|² + |y|² - 2xy has lost more than ten of its sixteen digits below this share of |x|² + |y|²."""


# ── vectors out of outputs, lists and files ─────────────────────────────────────────────────────────────────────────


def matrix(name: str, what: str, vectors: Any) -> FloatArray:
    """``float64[n, d]``. Raises MetricError unless they are finite numbers, a row of the same length an item."""
    try:
        rows = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"{name}: {what} must be rows of numbers of one length: {error}") from error
    if rows.size == 0:
        return np.zeros((len(rows), rows.shape[1] if rows.ndim == 2 else 0))
    if rows.ndim != 2 or not np.isfinite(rows).all():
        why = f"shape {rows.shape}" if rows.ndim != 2 else "a number that is not finite"
        raise MetricError(f"{name}: {what} must be finite numbers of shape (n, d), got {why}")
    return rows


def same_width(name: str, first: FloatArray, second: FloatArray) -> None:
    """Raises MetricError if the vectors of the two sides are not of one length (a side without vectors has none)."""
    if len(first) and len(second) and first.shape[1] != second.shape[1]:
        raise MetricError(f"{name}: vectors of both sides must have one length, got {first.shape[1]} and {second.shape[1]}")


def vectors_of(output: Output, count: int) -> FloatArray | str:
    """``float64[count, d]`` of an answer, or why it has none."""
    answer = output.answer
    if not isinstance(answer, Vectors):
        return f"the answer is {type(answer).__name__}, not Vectors"
    if len(answer.vectors) != count:
        return f"the answer has {len(answer.vectors)} vectors, not {count}"
    if len(set(map(len, answer.vectors))) != 1:
        return "the vectors of the answer differ in length"
    rows = np.array(answer.vectors, dtype=np.float64)
    return rows if np.isfinite(rows).all() else "a vector has a number that is not finite"


def target_vector(sample: Sample) -> FloatArray | str:
    """The vector that the target is, or why it is none."""
    if sample.target is None:
        return "the sample has no target"
    try:
        row = np.asarray(sample.target, dtype=np.float64)
    except (TypeError, ValueError):
        return f"the target must be a list of numbers, got {sample.target!r:.40}"
    if row.ndim != 1 or not row.size:
        return f"the target must be a list of numbers, got {sample.target!r:.40}"
    return row if np.isfinite(row).all() else "the target has a number that is not finite"


def read_features(name: str, path: Path) -> FloatArray:
    """``float64[n, d]`` of a file: ``.npy``, ``.npz`` (its only array) or ``.jsonl`` (a list of numbers a line, or an object
    with ``vector``). Raises DataError naming the file."""
    try:
        if path.suffix == ".jsonl":
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            loaded: Any = [line["vector"] if isinstance(line, dict) else line for line in lines]
        else:
            loaded = np.load(path, allow_pickle=False)
            if not isinstance(loaded, np.ndarray):
                loaded = loaded[_only_array(path, loaded.files)]
        return matrix(name, "vectors", loaded)
    except (OSError, ValueError, KeyError, MetricError) as error:
        raise DataError(f"{path}: no feature vectors for {name}: {error}") from error


def _only_array(path: Path, names: Sequence[str]) -> str:
    if len(names) != 1:
        raise ValueError(f"it must hold one array, and holds {', '.join(names) or 'none'}")
    return names[0]


# ── distances ───────────────────────────────────────────────────────────────────────────────────────────────────────


def squared_distances(first: FloatArray, second: FloatArray) -> FloatArray:
    """``float64[n, m]``. By the product of matrices, and anew by differences where two points are so near that it is noise."""
    norms = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None, :]
    squared: FloatArray = np.maximum(norms - 2 * (first @ second.T), 0)
    rows, columns = np.nonzero(squared <= _CANCELLED * norms)
    step = max(1, BLOCK_BYTES // (8 * max(first.shape[1], 1)))
    for start in range(0, len(rows), step):
        r, c = rows[start : start + step], columns[start : start + step]
        squared[r, c] = ((first[r] - second[c]) ** 2).sum(axis=1)
    return squared


def distance_blocks(first: FloatArray, second: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    """Squared distances, some rows of ``first`` against all of ``second`` at a time."""
    step = max(1, BLOCK_BYTES // (8 * max(len(second), 1)))
    centre = second.mean(axis=0) if len(second) else 0.0
    first, second = first - centre, second - centre
    for start in range(0, len(first), step):
        block = slice(start, min(start + step, len(first)))
        yield block, squared_distances(first[block], second)


def kernel_sum(first: FloatArray, second: FloatArray, kernel: Kernel) -> float:
    """Sum of a kernel of the squared distance over all n · m pairs."""
    return float(sum(kernel(squared).sum() for _, squared in distance_blocks(first, second)))


def mean_of_pairs(vectors: FloatArray, kernel: Kernel) -> float:
    """Mean of a kernel of the squared distance over the pairs i < j; NaN for fewer than two vectors."""
    n = len(vectors)
    if n < 2:
        return float("nan")
    diagonal = n * float(kernel(np.zeros(1))[0])
    return (kernel_sum(vectors, vectors, kernel) - diagonal) / (n * (n - 1))


def unit_length(vectors: FloatArray) -> FloatArray:
    """The vectors scaled to length 1; NaN where a vector has length 0."""
    vectors = _moderate(vectors)
    norms = np.sqrt((vectors**2).sum(axis=-1, keepdims=True))
    scaled: FloatArray = np.divide(vectors, norms, out=np.full_like(vectors, np.nan), where=norms > 0)
    return scaled


def _moderate(vectors: FloatArray) -> FloatArray:
    """Each vector by a power of two where its squares would leave float64: directions stay exactly the same."""
    if not far_exponent(vectors) and not (vectors.size and np.abs(vectors).max(axis=-1).min() < 2.0**-400):
        return vectors
    return np.asarray(np.ldexp(vectors, -np.frexp(np.abs(vectors).max(axis=-1, keepdims=True, initial=0.0))[1]))


def lengths(vectors: FloatArray) -> FloatArray:
    """Euclidean length of each vector, ``float64[..., d] -> float64[...]``, of vectors of any size."""
    exponent = far_exponent(vectors)
    with np.errstate(over="ignore"):
        return np.asarray(np.ldexp(np.sqrt((np.ldexp(vectors, -exponent) ** 2).sum(axis=-1)), exponent))


def cosines(first: FloatArray, second: FloatArray) -> FloatArray:
    """Cosine of each pair of rows, ``float64[n]``, in [-1, 1]; NaN where one has length 0."""
    values: FloatArray = np.clip((unit_length(first) * unit_length(second)).sum(axis=-1), -1, 1)
    return values


# ── pools of vectors ────────────────────────────────────────────────────────────────────────────────────────────────


def needs_target(metric: Metric, needed: bool) -> None:
    """Targets are among the needs of this instance if they stand for what is not given (clusters, a reference set)."""
    if needed:
        object.__setattr__(metric, "needs", metric.needs | {"target"})


@dataclass(frozen=True, repr=False)
class VectorPool(PooledMetric):
    """Base of the metrics of all vectors of a task, one an output. A subclass gives :meth:`of_rows`.

    Intervals come from halves. Of more than ``most`` rows they are the halves of as many rows, the same ones each time, and
    their spread is scaled by the root of (these rows / all rows): what is measured on 200 halves stays affordable, and the
    value itself is always that of all rows.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"vectors"})
    most: ClassVar[int] = 1_000
    grows: ClassVar[bool] = False
    """Whether the value is proportional to the number of rows (a sum), so that a half has half of it."""

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Any, Mapping[int, str]]:
        """``float64[m, d]``: the vector of every output that has exactly one."""
        rows, missing = gathered(outputs)
        return stacked(rows), missing

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The value of all rows where every weight is positive, else of the rows that are in, as halves are."""
        numbers = stats[:, 0].astype(np.int64)
        values = [self.of_rows(np.sort(numbers)) if row.all() else self._of_half(numbers, row > 0) for row in weights]
        return np.array(values, dtype=np.float64)

    def _of_half(self, numbers: IntArray, is_in: Any) -> float:
        n = len(numbers)
        if n <= self.most:
            half, spread = numbers[is_in], 1.0
        else:
            chosen = np.random.default_rng(0).permutation(n)[: self.most]
            half, spread = numbers[chosen][is_in[chosen]], float(np.sqrt(self.most / n))
        if not len(half):
            return float("nan")
        growth = n / len(half) if self.grows else 1.0
        return spread * growth * self.of_half(np.sort(half))

    def of_half(self, rows: IntArray) -> float:
        """The value of these rows, where only its spread counts."""
        return self.of_rows(rows)


def gathered(outputs: Sequence[Output]) -> tuple[dict[int, FloatArray], dict[int, str]]:
    """Row -> its one vector, of the length that the first one has; row -> why it has none."""
    rows: dict[int, FloatArray] = {}
    missing: dict[int, str] = {}
    width = None
    for row, output in enumerate(outputs):
        found = vectors_of(output, 1)
        if isinstance(found, str):
            missing[row] = found
            continue
        width = found.shape[1] if width is None else width
        if found.shape[1] == width:
            rows[row] = found[0]
        else:
            missing[row] = f"the vector has {found.shape[1]} numbers, the first one {width}"
    return rows, missing


def stacked(rows: Mapping[int, FloatArray]) -> FloatArray:
    """``float64[m, d]``; ``(0, 0)`` for none."""
    return np.stack(list(rows.values())) if rows else np.zeros((0, 0))


@dataclass(frozen=True, slots=True)
class TwoSets:
    """What is measured, and what it is measured against; both are to be multiplied by 2^exponent."""

    vectors: FloatArray
    reference: FloatArray
    exponent: int = 0

    @classmethod
    def of(cls, vectors: FloatArray, reference: FloatArray) -> TwoSets:
        """With an exponent where squares of the numbers would leave float64."""
        exponent = far_exponent(vectors, reference)
        if not exponent:
            return cls(vectors, reference)
        return cls(np.ldexp(vectors, -exponent), np.ldexp(reference, -exponent), exponent)

    def unscaled(self) -> TwoSets:
        """The numbers as they were."""
        return TwoSets(np.ldexp(self.vectors, self.exponent), np.ldexp(self.reference, self.exponent))


@dataclass(frozen=True, repr=False)
class ReferencePool(VectorPool):
    """Base of the metrics of a set of vectors against a reference set.

    The reference set is the file ``against`` (``.npy``, ``.npz`` or ``.jsonl``), or without one the targets of the samples,
    which are then vectors themselves. It is fixed: intervals are of what is measured. A subclass gives :meth:`compare`.
    """

    against: Path | None = None

    def __post_init__(self) -> None:
        needs_target(self, self.against is None)

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Any, Mapping[int, str]]:
        """The vectors of the outputs and those of the reference set. Raises MetricError where they differ in length."""
        rows, missing = gathered(outputs)
        reference = reference_vectors(self.name, self.against, samples, missing)
        rows = {row: vector for row, vector in rows.items() if row not in missing}
        vectors = stacked(rows)
        same_width(self.name, vectors, reference)
        return self.ready(TwoSets.of(vectors, reference)), missing

    def why_undefined(self, stats: FloatArray) -> str | None:
        return too_few(stats, "vectors") or "the reference set has too few vectors, they are all the same, or too large"

    def ready(self, sets: TwoSets) -> Any:
        """The pool: what halves have in common is computed here, once."""
        return sets

    def of_rows(self, rows: IntArray) -> float:
        return self.compare(self.pool, rows)

    def compare(self, pool: Any, rows: IntArray) -> float:
        """The value of these rows of the vectors against the reference set."""
        raise NotImplementedError(f"{type(self).__name__}.compare")


def reference_vectors(name: str, against: Path | None, samples: Sequence[Sample], missing: dict[int, str]) -> FloatArray:
    """The file's vectors, or else the targets; samples without a vector as target are added to ``missing``.

    Raises MetricError if there are none at all."""
    if against is not None:
        return read_features(name, against)
    found = []
    for row, sample in enumerate(samples):
        vector = target_vector(sample)
        if isinstance(vector, str):
            missing.setdefault(row, f"{vector}, and there is no file `against`")
        else:
            found.append(vector)
    if not found and any(sample.target is not None for sample in samples):
        raise MetricError(f"{name}: against must be a file of feature vectors, or the targets must be vectors, got "
                          f"{samples[0].target!r:.40}")
    return matrix(name, "targets", found)

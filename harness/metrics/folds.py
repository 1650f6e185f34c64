"""Folds of samples: what is fitted on some samples is measured on others, and no cluster is on both sides."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import MetricError, did_you_mean
from harness.metrics.groups import group_of
from harness.stats.bootstrap import IntArray
from harness.types import Sample

FITTED_ON = -1
"""The part of the samples that something is fitted on and that are never measured."""


def fold_numbers(clusters: Sequence[str], classes: Sequence[Hashable], folds: int, *, seed: int = 0) -> IntArray:
    """The fold of every row, ``int64[n]`` in ``0..folds-1``: all rows of a cluster in one, the classes spread evenly.

    Clusters are taken from the largest down, those of one size in an order that only their names and the seed decide, and
    each goes to the fold that has the least of its classes (Σ over classes of squared counts over the class's size grows
    least), then to the smallest one. The order of the rows does not matter. Where every cluster is one row, the folds' counts
    of each class differ by one at most.

    >>> fold_numbers(["a", "a", "b", "c", "d"], [0, 1, 0, 1, 0], 2).tolist()
    [0, 0, 1, 1, 1]
    """
    codes = {label: code for code, label in enumerate(sorted(set(classes), key=repr))}
    members: dict[str, dict[int, int]] = {}
    for cluster, label in zip(clusters, classes, strict=True):
        inside, code = members.setdefault(cluster, {}), codes[label]
        inside[code] = inside.get(code, 0) + 1
    totals = Counter(codes[label] for label in classes)
    counts, sizes, fold_of = [[0] * folds for _ in codes], [0] * folds, dict[str, int]()
    for cluster in sorted(members, key=lambda name: (-sum(members[name].values()), _shuffled(name, seed))):
        inside = members[cluster]
        growth = counts[next(iter(inside))] if len(inside) == 1 else _growth(inside, counts, totals)
        _, _, chosen = min(zip(growth, sizes, range(folds)))
        fold_of[cluster] = chosen
        for code, n in inside.items():
            counts[code][chosen] += n
            sizes[chosen] += n
    return np.array([fold_of[cluster] for cluster in clusters], dtype=np.int64)


def _growth(inside: Mapping[int, int], counts: Sequence[Sequence[int]], totals: Mapping[int, int]) -> list[float]:
    """By how much each fold's squared shares of the classes would grow; of one class its counts put the folds in that order."""
    folds = range(len(counts[0]))
    return [sum(n * (2 * counts[code][fold] + n) / totals[code] for code, n in sorted(inside.items())) for fold in folds]


def _shuffled(name: str, seed: int) -> tuple[bytes, str]:
    """A place in an order that the name and the seed decide."""
    return hashlib.blake2b(f"{seed} {name}".encode("utf-8", "surrogatepass"), digest_size=8).digest(), name


# ── parts of a task ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Parts:
    """Which part every sample is in, by its id, once for each repeat: what is fitted on the other parts is measured on it.

    ``n`` parts a repeat; samples in the part ``FITTED_ON`` are fitted on alone. ``straddling``: clusters that have samples on
    both sides of a split that the user declared.
    """

    of: dict[str, tuple[int, ...]]
    n: int
    repeats: int
    straddling: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """What folds are made from: a sample's id, cluster (its group, else itself) and class."""

    id: str
    cluster: str
    label: Hashable

    @classmethod
    def of(cls, sample: Sample, label: Hashable) -> Item:
        return cls(sample.id, f"sample {sample.id}" if sample.group is None else f"group {sample.group}", label)


def folds_of(name: str, items: Sequence[Item], folds: int, repeats: int, seed: int) -> Parts:
    """Repeated k-fold over the samples with a class. Raises MetricError where there are fewer clusters than folds, or where a
    class would be missing from what is fitted on."""
    n_clusters = len({item.cluster for item in items})
    what = "groups" if any(item.cluster.startswith("group ") for item in items) else "samples"
    if items and n_clusters < folds:
        raise MetricError(f"{name}: folds must be at most the {n_clusters} {what} that have a target, got {folds}")
    columns = []
    for repeat in range(repeats):
        numbers = fold_numbers([item.cluster for item in items], [item.label for item in items], folds, seed=seed + repeat)
        _check_classes(name, items, numbers, what)
        columns.append(numbers.tolist())
    return Parts({item.id: tuple(row) for item, row in zip(items, zip(*columns))}, folds, repeats)


def _check_classes(name: str, items: Sequence[Item], numbers: IntArray, what: str) -> None:
    where: dict[Hashable, set[int]] = {}
    for item, fold in zip(items, numbers.tolist()):
        where.setdefault(item.label, set()).add(fold)
    if len(where) == 1:
        raise MetricError(f"{name}: the targets must be of two classes or more, got only {next(iter(where))!r:.40}")
    for label, found in where.items():
        if len(found) < 2:
            n = len({item.cluster for item in items if item.label == label})
            raise MetricError(f"{name}: the other folds must have every class too, and {label!r:.40} is in one fold alone: "
                              f"{n} of the {what} {'has' if n == 1 else 'have'} it")  # fmt: skip


def parts_by_slice(name: str, samples: Iterable[Sample], chosen_on: str) -> Parts:
    """Two parts: samples with the slice or field ``SLICE=VALUE`` are fitted on, all others measured.

    Raises MetricError where no sample has the slice or the value, naming the nearest, and where all have it.
    """
    by, _, wanted = chosen_on.partition("=")
    by, wanted = by.strip(), wanted.strip()
    values, fields, of = dict[str, None](), dict[str, None](), dict[str, tuple[int, ...]]()
    sides: dict[str, set[bool]] = {}
    for sample in samples:
        value = group_of(sample, by)
        fields |= dict.fromkeys([*sample.slices, *map(str, sample.input)])
        if value is not None:
            values[value] = None
        of[sample.id] = (FITTED_ON if value == wanted else 0,)
        if sample.group is not None:
            sides.setdefault(sample.group, set()).add(value == wanted)
    if of and not values:
        hint = did_you_mean(by, fields)
        raise MetricError(f"{name}: chosen_on must name a slice or a field of the samples, got {by!r}{hint}")
    if of and wanted not in values:
        raise MetricError(f"{name}: chosen_on must name samples that there are, and none has {by} {wanted!r}"
                          f"{did_you_mean(wanted, values)}")
    if of and all(parts == (FITTED_ON,) for parts in of.values()):
        raise MetricError(f"{name}: chosen_on must leave samples to measure, and all of them have {by} {wanted!r}")
    return Parts(of, 1, 1, tuple(sorted(group for group, both in sides.items() if len(both) == 2)))

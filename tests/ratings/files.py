"""Files of ratings for tests: written, read and recognised."""

from __future__ import annotations

from pathlib import Path

from harness.ratings.judgements import Comparisons, Ratings, comparisons_of, ratings_of
from harness.ratings.reading import Columns, Named, read_lines_of, recognise


def written(folder: Path, text: str, name: str = "ratings.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def columns_of(path: Path, **named: str) -> Columns:
    return recognise(read_lines_of([path]), Named(**named))


def scale_of(path: Path, **named: str) -> Ratings:
    lines = read_lines_of([path])
    return ratings_of(lines, recognise(lines, Named(**named)))


def pairs_of(path: Path, **named: str) -> Comparisons:
    lines = read_lines_of([path])
    return comparisons_of(lines, recognise(lines, Named(**named)))

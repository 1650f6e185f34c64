"""Results as data frames: the one place that imports pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import MissingDependency

if TYPE_CHECKING:
    import pandas as pd


def frame_of_columns(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """A data frame of columns of one length. Raises MissingDependency if pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise MissingDependency("to_pandas", ["pandas"], "notebook") from error
    return pandas.DataFrame(columns)


def frame_of_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A data frame of rows that have these columns; with the columns where there are no rows."""
    there = list(rows)
    return frame_of_columns({name: [row[name] for row in there] for name in columns})

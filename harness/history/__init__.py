"""How the numbers of a config moved from run to run: the series, where their level changed, and what else changed there."""

from harness.history.history import History, HistoryRun, Point, Selection, Series, history

__all__ = ["History", "HistoryRun", "Point", "Selection", "Series", "history"]

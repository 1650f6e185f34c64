"""What the candidates of a comparison are called in its table and notes, where there are several."""

from __future__ import annotations

from collections.abc import Callable, Collection

from harness.compare import Report


def names_of_candidates(report: Report) -> Callable[[str, str], str]:
    """(run, entry) -> its name: "" for the only candidate there is, the entry where all are of one run, else ``b1`` as in the
    heading, with the entry where that run has several."""
    keys = list(dict.fromkeys((row.run, row.comparison.entry) for row in report.rows))
    if len(keys) < 2:
        return lambda run, entry: ""
    if len({run for run, _ in keys}) == 1:
        return lambda run, entry: entry
    tags = {key: _tag(report, *key) for key in keys}
    crowded = [tag for tag in tags.values() if list(tags.values()).count(tag) > 1]
    return lambda run, entry: f"{tag}: {entry}" if (tag := tags.get((run, entry), entry)) in crowded else tag


def name_of_base(report: Report, entry: str, candidates: Collection[str]) -> str:
    """What the base is called beside candidates of these names: ``a``, and its entry, as they have theirs."""
    if all(name in {tag(report, place) for place in range(1, len(report.runs))} for name in candidates):
        return tag(report, 0)
    has_tags = any(": " in name for name in candidates) or entry in candidates
    return f"{tag(report, 0)}: {entry}" if has_tags else entry


def tag(report: Report, place: int) -> str:
    """``a`` for the base, ``b`` for the only candidate, else ``b1``, ``b2``, …"""
    return "a" if not place else "b" if len(report.runs) == 2 else f"b{place}"


def _tag(report: Report, run: str, entry: str) -> str:
    places = enumerate(report.runs)
    return next((tag(report, place) for place, stored in places
                 if place and stored.record.run_id == run and stored.entry in (None, entry)), entry)  # fmt: skip

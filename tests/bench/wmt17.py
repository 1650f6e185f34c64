"""Real text for the benches: eight systems' translations of one test set, beside the reference. Read afresh at every call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

SYSTEMS = ("C-3MA.4959", "KIT.4950", "LIUM-NMT.4900", "LMU-nmt-reranked.4934", "SYSTRAN.4847", "online-A.0", "online-F.0",
           "uedin-nmt.4722")  # fmt: skip
Texts: TypeAlias = tuple[list[str], list[str]]
DATA = Path(os.environ.get("HARNESS_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def one_after_the_other(n: int) -> Texts:
    """The first n lines of the eight systems, one system after the other, and the reference of each."""
    outputs = [line for system in SYSTEMS for line in _system(system)]
    references = [line for _ in SYSTEMS for line in _reference()]
    return outputs[:n], references[:n]


def distinct(n: int) -> Texts:
    """n distinct pairs, an equal share of each system, in the order of the test set."""
    outputs = [_system(system) for system in SYSTEMS]
    seen = dict.fromkeys((output[row], text) for row, text in enumerate(_reference()) for output in outputs)
    return _columns(list(seen)[:: max(1, len(seen) // n)], n)


def joined(n: int, separator: str, least: int) -> Texts:
    """n distinct pairs of joined lines; a pair ends with the line in which its reference has got ``least`` words."""
    pairs: dict[tuple[str, str], None] = {}
    for system in SYSTEMS:
        mine: list[str] = []
        theirs: list[str] = []
        for output, target in zip(_system(system), _reference()):
            mine.append(output)
            theirs.append(target)
            if sum(len(text.split()) for text in theirs) >= least:
                pairs[separator.join(mine), separator.join(theirs)] = None
                mine, theirs = [], []
    return _columns(list(pairs), n)


def mean_words(texts: Texts) -> float:
    """Words a text, of both sides."""
    return sum(len(text.split()) for side in texts for text in side) / (2 * len(texts[0]))


def _columns(pairs: list[tuple[str, str]], n: int) -> Texts:
    assert len(pairs) >= n, f"only {len(pairs)} distinct pairs"
    return [pair[0] for pair in pairs[:n]], [pair[1] for pair in pairs[:n]]


def _system(name: str) -> list[str]:
    return _lines(DATA / "wmt17_ende" / f"newstest2017.{name}.en-de.txt")


def _reference() -> list[str]:
    return _lines(DATA / "wmt17_ende" / "reference.de.txt")


def _lines(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8").split("\n")[:-1]

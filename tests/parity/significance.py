"""WMT17 English-German against LIUM-NMT: our paired tests of BLEU beside the published p-values of Moses and multeval.

``python -m tests.parity.significance`` prints the table. Published (shared/data/SOURCES.md): BLEU with tokenize=none; Moses's
script for the paired bootstrap (p-values are multiples of 1/30,000), multeval's approximate randomisation with 10,000 swaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.metrics.bleu import Bleu
from harness.stats.contrast import contrast
from harness.stats.pairedtests import BootstrapTested, Tested, paired_bootstrap_test, randomization_test
from harness.types import FloatArray
from tests.bench.wmt17 import DATA

METRIC = Bleu(tokenize="none")
BASE = "LIUM-NMT.4900"

PUBLISHED = {
    "C-3MA.4959": (0.0, 0.0001),
    "KIT.4950": (0.02233, 0.0410),
    "LMU-nmt-reranked.4934": (0.04383, 0.09029),
    "SYSTRAN.4847": (0.20983, 0.59914),
    "online-A.0": (0.0, 0.0001),
    "online-F.0": (0.0, 0.0001),
    "uedin-nmt.4722": (0.0, 0.0001),
}
"""System -> p of Moses, p of multeval."""


@dataclass(frozen=True, slots=True)
class Row:
    bootstrap: BootstrapTested
    randomization: Tested
    t: float


def compared(system: str, folder: Path, n: int) -> Row:
    """One system against LIUM-NMT with ``n`` resamples and as many swaps."""
    b, a = statistics(system, folder), statistics(BASE, folder)
    rng = np.random.default_rng(12345)
    return Row(
        paired_bootstrap_test(b, a, _of_rows, finish=METRIC.finish, n_bootstrap=n, rng=rng),
        randomization_test(b, a, _of_rows, finish=METRIC.finish, n_resamples=n, rng=rng),
        contrast(b, a, _of_rows, finish=METRIC.finish, bounds=METRIC.bounds, rng=rng).p_value,
    )


def statistics(system: str, folder: Path) -> FloatArray:
    """The statistics of BLEU of one system, a row a segment."""
    references = [[line] for line in _lines(folder / "reference.de.txt")]
    return METRIC.statistics(_lines(folder / f"newstest2017.{system}.en-de.txt"), references)


def _of_rows(stats: FloatArray, weights: FloatArray) -> FloatArray:
    return METRIC.finish(weights @ stats)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def main() -> None:
    print(f"{'p against LIUM-NMT':24s}{'difference':>11s} | "
          f"bootstrap: {'Moses':>8s}{'folded':>9s}{'Koehn':>9s}{'centred':>9s} | "
          f"randomisation: {'multeval':>9s}{'ours':>9s} | {'t':>8s}")
    for system, (moses, multeval) in PUBLISHED.items():
        row = compared(system, DATA / "wmt17_ende", 10_000)
        one = row.bootstrap
        print(f"{system:24s}{one.difference:11.4f} |            {moses:8.5f}{one.folded:9.5f}{one.wins_against:9.5f}"
              f"{one.p_value:9.5f} |                {multeval:9.5f}{row.randomization.p_value:9.5f} | {row.t:8.5f}")


if __name__ == "__main__":
    main()

"""The speed of the metrics against their references: ``python -m tests.bench.metrics [rouge bleu ter meteor auc tagging …]``.

Every row runs ours and the peer by turns in this process, after their results were asserted to be equal. Seconds are the best
of some rounds, wall and processor; only the ratios mean anything on a machine that others use. ``--memory`` prints the peak
memory of corpus metrics over 1,000,000 pairs instead.
"""

from __future__ import annotations

import argparse
import importlib

from tests.bench.timing import HEADER, line

FAMILIES = ("rouge", "bleu", "ter", "meteor", "ranking", "auc", "tagging", "bertscore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []], default=[], help="all of them, if none is named")
    parser.add_argument("--memory", action="store_true", help="peak memory of 1,000,000 pairs instead of times")
    given = parser.parse_args()
    if given.memory:
        importlib.import_module("tests.bench.bench_bleu").memory(1_000_000)
        return
    line(*HEADER)
    for family in given.families or FAMILIES:
        for race in importlib.import_module(f"tests.bench.bench_{family}").races():
            race.run()


if __name__ == "__main__":
    main()

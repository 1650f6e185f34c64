"""The speed of the engine against its peers: ``python -m tests.bench.engine [likelihoods writing api overhead]``.

Every part runs ours and the peer in one command, by turns where they share a process and one after the other where each needs a
process of its own, on the same requests, after (or while) their results are asserted to be equal. Only the ratios mean anything
on a machine that others use; processor seconds stand beside wall seconds for that reason. ``pip install -e ".[bench]"`` brings
the peer.
"""

from __future__ import annotations

import argparse
import importlib

PARTS = ("likelihoods", "writing", "api", "overhead")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[], help="all of them, if none is named")
    for part in parser.parse_args().parts or PARTS:
        importlib.import_module(f"tests.bench.bench_{part}").run()


if __name__ == "__main__":
    main()

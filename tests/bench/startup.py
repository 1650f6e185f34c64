"""How long the command takes to start: medians over fresh processes, beside a Python that does nothing.

    python tests/bench/startup.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REPEATS = 10
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import harness": ["-c", "import harness"],
    "harness --help": ["-c", "from harness.cli import main; raise SystemExit(main(['--help']))"],
    "harness --version": ["-c", "from harness.cli import main; raise SystemExit(main(['--version']))"],
    "harness run --help": ["-c", "from harness.cli import main; raise SystemExit(main(['run', '--help']))"],
    "harness list metrics": ["-c", "from harness.cli import main; raise SystemExit(main(['list', 'metrics']))"],
}


def main() -> None:
    times = {name: measure(arguments) for name, arguments in COMMANDS.items()}
    nothing = times["python -c pass"]
    print(f"{'':24}{'median':>10}{'ratio':>8}   ({REPEATS} fresh processes each)")
    for name, seconds in times.items():
        print(f"{name:24}{seconds * 1000:>7.0f} ms{seconds / nothing:>8.1f}")


def measure(arguments: list[str]) -> float:
    """Median wall-clock seconds of a fresh interpreter with these arguments; the first one, which compiles, not counted."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    seconds = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()

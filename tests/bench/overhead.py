"""What the harness costs a sample when the model costs nothing: ``python tests/bench/overhead.py [SAMPLES]``.

A generation task with ``exact_match`` on the ``null`` backend, whole runs in fresh processes: samples per second and peak
memory for two sizes, so that growth with the number of outputs shows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

_CHILD = """
import json, resource, sys, time
from harness import run
clock = time.perf_counter()
done = run(sys.argv[1], results=sys.argv[2], cache_dir=sys.argv[3])
seconds = time.perf_counter() - clock
scale = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
print(json.dumps({"seconds": seconds, "peak": peak, "n": done.estimates[0]["n"], "value": done.estimates[0]["value"]}))
"""


def write_inputs(folder: Path, n: int) -> Path:
    rows = (json.dumps({"id": f"q{i}", "question": f"What is {i} plus {i}?", "answer": str(2 * i)}) for i in range(n))
    (folder / "data.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "task.yaml").write_text(
        "task: sums\nversion: 1\nsuite: generation\ndata: {format: jsonl, path: data.jsonl}\n"
        'sample: {id: "{{ id }}", references: ["{{ answer }}"]}\nprompt: {text: "Q: {{ question }}\\nA:"}\n'
        "metrics: [exact_match]\nprimary: exact_match\n"
    )
    config = folder / "run.yaml"
    config.write_text("models: {nothing: {backend: null, text: '4'}}\ntasks: [task.yaml]\n")
    return config


def measure(n: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_inputs(folder, n)
        command = [sys.executable, "-c", _CHILD, str(config), str(folder / "results"), str(folder / "cache")]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(out.splitlines()[-1])
    assert found["n"] == n, found
    assert found["value"] == 1 / n, "one answer in n is 4"
    return found


def main() -> None:
    large = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{'samples':>9}  {'seconds':>8}  {'samples/s':>10}  {'peak MB':>8}")
    for n in (large // 10, large):
        found = measure(n)
        print(f"{n:9,}  {found['seconds']:8.2f}  {n / found['seconds']:10,.0f}  {found['peak'] / 1e6:8.0f}")


if __name__ == "__main__":
    main()

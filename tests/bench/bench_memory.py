"""What a sample costs in memory: ``python tests/bench/bench_memory.py [SAMPLES…]`` (by default 100000 and 1000000).

Whole runs of the ``null`` backend with two metrics, each in a fresh process, with its workers as it pays: the peak of resident
memory, and what a sample adds to it from the smallest size to each larger one.
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
clock, cpu = time.perf_counter(), time.process_time()
done = run(sys.argv[1], results=sys.argv[2], cache_dir=sys.argv[3], use_cache=False)
found = {"seconds": time.perf_counter() - clock, "cpu": time.process_time() - cpu}
scale = 1 if sys.platform == "darwin" else 1024
found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
print(json.dumps({**found, "n": done.estimates[0]["n"], "values": [e["value"] for e in done.estimates]}))
"""


def write_inputs(folder: Path, n: int) -> Path:
    with (folder / "data.jsonl").open("w") as stream:
        for i in range(n):
            row = {"id": f"q{i}", "question": f"What is {i} plus {i}?", "answer": str(2 * i)}
            stream.write(json.dumps(row) + "\n")
    (folder / "task.yaml").write_text(
        "task: sums\nversion: 1\nsuite: generation\ndata: {format: jsonl, path: data.jsonl}\n"
        'sample: {id: "{{ id }}", references: ["{{ answer }}"]}\nprompt: {text: "Q: {{ question }}\\nA:"}\n'
        "metrics: [exact_match, token_f1]\nprimary: exact_match\n"
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
    found = json.loads(out.splitlines()[-1])
    assert found["n"] == n, found
    assert found["values"] == [1 / n, 1 / n], "one answer in n is 4"
    return {key: float(found[key]) for key in ("seconds", "cpu", "peak")}


def main() -> None:
    sizes = sorted(map(int, sys.argv[1:])) or [100_000, 1_000_000]
    print(f"{'samples':>9}  {'cpu s':>7}  {'samples/cpu s':>13}  {'peak MB':>8}  {'bytes/sample':>12}")
    first = None
    for n in sizes:
        found = measure(n)
        first = first or (n, found["peak"])
        more = f"{(found['peak'] - first[1]) / (n - first[0]):12.0f}" if n > first[0] else f"{'':>12}"
        print(f"{n:9,}  {found['cpu']:7.1f}  {n / found['cpu']:13,.0f}  {found['peak'] / 1e6:8.0f}  {more}", flush=True)


if __name__ == "__main__":
    main()

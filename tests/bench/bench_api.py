"""1,000 chat requests to a service that takes 50 ms, 64 under way at once: ``python -m tests.bench.bench_api [REQUESTS]``.

The service runs on loopback in a process of its own. Measured are the requests alone, after warm-up, against what latency
alone would take (rounds of 64 × 50 ms); the whole of ``harness run`` in a process of its own, and how much of it lies between
the first request and the last answer; and the ``openai`` package doing the same (gather under a semaphore) in this process,
after warm-up. Wall seconds; processor seconds in brackets.
"""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.models.asking import Limits
from harness.models.openai import OpenAI
from harness.protocols import Resources
from harness.types import Call, Decoding, Generate, Key, Message, Text

WIDTH = 64
LATENCY_S = 0.05
ROUNDS = 4
AT_MOST = 1.3

_SERVICE = """
import asyncio, json, sys, time
from aiohttp import web

async def main():
    seen = {"n": 0, "first": 0.0, "last": 0.0, "peak": 0, "now": 0}

    async def answer(request):
        asked = await request.json()
        now = time.perf_counter()
        seen["first"] = seen["first"] or now
        seen["n"] += 1
        seen["now"] += 1
        seen["peak"] = max(seen["peak"], seen["now"])
        await asyncio.sleep(float(sys.argv[1]))
        seen["now"] -= 1
        seen["last"] = time.perf_counter()
        text = "answer to " + asked["messages"][-1]["content"]
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
        return web.json_response({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
                                  "usage": usage})

    async def told(request):
        found = dict(seen)
        seen.update(n=0, first=0.0, last=0.0, peak=0)
        return web.json_response(found)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    app.router.add_get("/seen", told)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

_RUN = """
import json, sys, time
clock = time.perf_counter()
from harness import run
done = run(sys.argv[1], results=sys.argv[2], cache_dir=sys.argv[3])
print(json.dumps({"seconds": time.perf_counter() - clock, "processor": time.process_time(), "value": done.estimates[0]["value"],
                  "n": done.estimates[0]["n"]}))
"""


@contextmanager
def service() -> Iterator[str]:
    """The address of the service."""
    process = subprocess.Popen([sys.executable, "-c", _SERVICE, str(LATENCY_S)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait(10)


def seen(address: str) -> dict[str, float]:
    """What the service saw since it was last asked."""
    import urllib.request

    with urllib.request.urlopen(f"{address}/seen") as answer:
        found: dict[str, float] = json.load(answer)
    return found


def ours(address: str, n: int) -> list[tuple[float, float]]:
    """(wall, processor) seconds of the requests alone, a round each."""
    backend = OpenAI("m", f"{address}/v1", api_key_env=None, limits=Limits(concurrency=WIDTH))
    calls = [Call(Key(str(i)), Generate((Message("user", f"question {i}"),), Decoding(max_tokens=16))) for i in range(n)]
    backend.open(Resources(Path()))
    times = []
    try:
        list(backend.run(calls[: 4 * WIDTH]))
        for _ in range(ROUNDS):
            wall, processor = time.perf_counter(), time.process_time()
            outputs = list(backend.run(calls))
            times.append((time.perf_counter() - wall, time.process_time() - processor))
            texts = {output.key.sample_id: output.answer.text for output in outputs if isinstance(output.answer, Text)}
            assert texts == {str(i): f"answer to question {i}" for i in range(n)}
    finally:
        backend.close()
    return times


def peer(address: str, n: int) -> list[tuple[float, float]]:
    """The same with the ``openai`` package."""
    from openai import AsyncOpenAI

    async def main() -> list[tuple[float, float]]:
        client: Any = AsyncOpenAI(base_url=f"{address}/v1", api_key="none")
        width = asyncio.Semaphore(WIDTH)

        async def one(i: int) -> str:
            async with width:
                messages = [{"role": "user", "content": f"question {i}"}]
                done = await client.chat.completions.create(model="m", messages=messages, max_tokens=16, temperature=0)
                return str(done.choices[0].message.content)

        await asyncio.gather(*map(one, range(WIDTH)))
        times = []
        for _ in range(2):
            wall, processor = time.perf_counter(), time.process_time()
            texts = await asyncio.gather(*map(one, range(n)))
            times.append((time.perf_counter() - wall, time.process_time() - processor))
            assert texts == [f"answer to question {i}" for i in range(n)]
        return times

    return asyncio.run(main())


def whole_run(address: str, n: int) -> dict[str, float]:
    """``harness run`` over a task of n questions, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = (json.dumps({"id": str(i), "question": f"question {i}", "answer": f"answer to question {i}"}) for i in range(n))
        (folder / "data.jsonl").write_text("\n".join(rows) + "\n")
        (folder / "task.yaml").write_text(
            "task: echo\nsuite: generation\ndata: {format: jsonl, path: data.jsonl}\n"
            'sample: {id: "{{ id }}", references: ["{{ answer }}"]}\nprompt: {user: "{{ question }}"}\n'
            "decoding: {max_tokens: 16}\nmetrics: [exact_match]\n"
        )
        entry = f"{{backend: openai, model: m, base_url: '{address}/v1', limits: {{concurrency: {WIDTH}}}}}"
        (folder / "run.yaml").write_text(f"models: {{service: {entry}}}\ntasks: [task.yaml]\n")
        command = [sys.executable, "-c", _RUN, *(str(folder / part) for part in ("run.yaml", "results", "cache"))]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(out.splitlines()[-1])
    assert (found["n"], found["value"]) == (n, 1.0)
    return found


def run(n: int = 1000) -> float:
    """Print the table; the ratio of our requests to what latency alone would take."""
    ideal = math.ceil(n / WIDTH) * LATENCY_S
    with service() as address:
        mine = ours(address, n)
        widest = seen(address)["peak"]
        whole = whole_run(address, n)
        between = seen(address)
        theirs = peer(address, n)
    assert widest <= WIDTH
    assert between["n"] == n
    best, others = min(mine), min(theirs)
    print(f"{n:,} requests of {LATENCY_S * 1000:.0f} ms, {WIDTH} at once; latency alone: {ideal:.2f} s")
    print(f"  requests alone, after warm-up   {best[0]:.3f} s ({best[1]:.2f})   {best[0] / ideal:.2f}x of latency alone; asked "
          f"for: at most {AT_MOST}x   (rounds: {', '.join(f'{wall:.3f}' for wall, _ in mine)})")
    print(f"  harness run, first to last      {between['last'] - between['first']:.3f} s")
    print(f"  harness run, the whole          {whole['seconds']:.3f} s ({whole['processor']:.2f})")
    print(f"  openai package, after warm-up   {others[0]:.3f} s ({others[1]:.2f})   {others[0] / best[0]:.1f}x of ours "
          f"({others[1] / best[1]:.1f}x processor)")
    return best[0] / ideal


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)

"""Writing texts behind one few-shot preamble, against lm-evaluation-harness: ``python -m tests.bench.bench_writing``.

Questions of GSM8K with three worked examples before each, greedy, float32, one CPU thread, the same weights in one process, by
turns. The texts must be the same. ``--prompts 16 --tokens 16`` is a quick look.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from harness.models.transformers import Transformers
from harness.types import Call, Decoding, Generate, Key, Text
from tests.bench.timing import HEADER, line, seconds
from tests.bench.wmt17 import DATA
from tests.models.real import SMOLLM2, opened, with_loaded

SHOTS, STOP, AT_LEAST = 3, "Question:", 2.0


def prompts(n: int) -> list[str]:
    """The first questions of the test set behind three others with their answers."""
    rows = [json.loads(row) for row in (DATA / "gsm8k" / "test.jsonl").read_text("utf-8").splitlines()]
    preamble = "".join(f"Question: {row['question']}\nAnswer: {row['answer']}\n\n" for row in rows[-SHOTS:])
    return [f"{preamble}Question: {row['question']}\nAnswer:" for row in rows[:n]]


def ours(model: Transformers, asked: list[str], tokens: int) -> list[str]:
    """Texts by a writer that has kept nothing from before."""
    fresh = with_loaded(model)
    decoding = Decoding(max_tokens=tokens, stop=(STOP,))
    calls = [Call(Key(f"{index:04}"), Generate(prompt, decoding)) for index, prompt in enumerate(asked)]
    texts: dict[str, str] = {}
    for batch in fresh.batches(calls):
        for output in fresh.run(batch):
            assert isinstance(output.answer, Text), output.error
            texts[output.key.sample_id] = output.answer.text
    return [texts[call.key.sample_id] for call in calls]


def peers(model: Transformers, asked: list[str], tokens: int, batch_size: int) -> list[str]:
    """Texts by HFLM.generate_until."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    loaded = model._require().loaded
    peer = HFLM(loaded.model, tokenizer=loaded.prompts.tokenizer, batch_size=batch_size, max_length=loaded.max_length)
    options = {"until": [STOP], "max_gen_toks": tokens, "do_sample": False}
    requests = [Instance("generate_until", {}, (prompt, dict(options)), index) for index, prompt in enumerate(asked)]
    texts: list[str] = peer.generate_until(requests, disable_tqdm=True)
    return texts


def run(n_prompts: int = 64, tokens: int = 64, batch_sizes: tuple[int, ...] = (8, 64)) -> None:
    """Ours, the peer with each batch size, ours again; a line for each batch size."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)  # numpy's too: threads that wait for each other count as work
    model = opened(Transformers(SMOLLM2, device="cpu", threads=1))
    asked = prompts(n_prompts)
    found: dict[str, list[str]] = {}

    def timed(name: str, call: Any) -> tuple[float, float]:
        return seconds(lambda _: found.__setitem__(name, call()), None)

    mine = [timed("ours", lambda: ours(model, asked, tokens))]
    theirs = {size: timed(str(size), lambda size=size: peers(model, asked, tokens, size)) for size in batch_sizes}
    mine.append(timed("again", lambda: ours(model, asked, tokens)))
    for name, texts in found.items():
        different = [index for index, pair in enumerate(zip(texts, found["ours"])) if pair[0] != pair[1]]
        assert not different, (name, [(found["ours"][index], texts[index]) for index in different])
    wall, cpu = (min(times) for times in zip(*mine))
    read = [len(model._require().loaded.prompts.encode(prompt)) for prompt in asked]
    line(*HEADER)
    for size, (peer_wall, peer_cpu) in theirs.items():
        line(f"greedy text, lm_eval with batch_size {size}", f"{n_prompts} prompts, {sum(read):,} tokens, {tokens} new",
             f"{wall:.1f} ({cpu:.1f})", f"{peer_wall:.1f} ({peer_cpu:.1f})",
             f"{peer_wall / wall:.1f}x ({peer_cpu / cpu:.1f}x)", f"{AT_LEAST:g}x")
    model.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 64], help="of the peer")
    given = parser.parse_args()
    run(given.prompts, given.tokens, tuple(given.batch_sizes))


if __name__ == "__main__":
    main()

"""Rows of a batch that begin alike: keys and values of the common beginning are computed and held once for all of them.

Attention is told of the common part by a function of its own; models whose attention does not let itself be replaced, or that
come to other numbers, are found by a trial and get their rows one by one in full (:class:`harness.models.plainrows.PlainRows`).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from harness.models.devices import is_out_of_memory, padded
from harness.models.packing import shortest_window
from harness.models.plainrows import REFUSALS, alone, forward
from harness.models.prefixattention import Prefix, additive, attending, behind, read_prefix
from harness.models.prefixes import PrefixCache

_CHUNK = 64
"""Columns that are set aside at a time for tokens to come: what is there is copied once for so many steps."""

_ENOUGH, _ALIKE = 512, 0.8
"""Prompts are read together up to so many padded tokens whatever their lengths, beyond that if they are at least this share of
the longest: more tokens at a time make a product no faster, and padding costs as much as tokens."""

_LONGEST = 8192
"""Masks of longer prompts, of the square of the length, would take gigabytes."""


class SharedRows:
    """Texts that are being written behind one prefix. Rows may come and go at any step.

    Tokens of a row stand at the right: the last of every row in column ``_end - 1``, the first of row i in ``_starts[i]``.
    """

    refills = True

    def __init__(self, model: Any, prefix: Prefix) -> None:
        self.model, self.prefix = model, prefix
        self._stored: list[tuple[Any, Any]] = []
        self._starts: list[int] = []
        self._end = 0
        self._columns = 0

    def admit(self, prompts: Sequence[Sequence[int]], budget: int) -> Any:
        """Read what these prompts have behind the prefix (a token at least), under ``budget`` padded tokens at a time.

        Logits after the last token, ``float32[prompts, vocabulary]``. The new rows stand behind those that are there.
        """
        import torch

        skipped = len(self.prefix.tokens)
        # Repeats of one prompt are read once.
        places: dict[tuple[int, ...], int] = {}
        index = [places.setdefault(tuple(prompt[skipped:]), len(places)) for prompt in prompts]
        distinct = list(places)
        order = sorted(range(len(distinct)), key=lambda i: -len(distinct[i]))
        lines: list[int] = []
        logits, fresh = [], []
        while order:
            group, order = _alike(budget, order, distinct)
            cache = _Fresh(self.prefix)
            logits.append(self._read([distinct[i] for i in group], cache))
            fresh.append(cache.layers)
            lines += group
        chosen = [lines.index(i) for i in index]
        self._join([len(distinct[i]) for i in index], chosen, fresh)
        return torch.cat(logits)[torch.tensor(chosen, device=self.model.device)]

    def advance(self, tokens: Sequence[int]) -> Any:
        """Give every row its next token: logits after it, ``float32[rows, vocabulary]``."""
        import torch

        if self._end == self._columns:
            self._resize(len(self._starts), 0)
        device, skipped = self.model.device, len(self.prefix.tokens)
        starts = torch.tensor(self._starts, device=device)[:, None]
        first = min(self._starts)
        columns = torch.arange(first, self._end + 1, device=device)
        mask = additive((columns < starts)[:, None, None], skipped, self.model.dtype)
        positions = skipped + self._end - starts
        ids = torch.tensor(list(tokens), device=device)[:, None]
        cache = _Growing(self.prefix, self._stored, len(tokens), first, self._end)
        logits = self._forward(ids, mask, positions, cache)
        self._end += 1
        return logits

    def retire(self, finished: Sequence[int]) -> list[int]:
        """Take rows out. The last rows move to their places: gives, a row that is left, the index that it had."""
        order = list(range(len(self._starts)))
        for index in sorted(finished, reverse=True):
            last = len(order) - 1
            if index < last:
                for keys, values in self._stored:
                    keys[index].copy_(keys[last])
                    values[index].copy_(values[last])
                order[index], self._starts[index] = order[last], self._starts[last]
            order.pop()
            self._starts.pop()
        return order

    def _read(self, rows: Sequence[Sequence[int]], cache: _Fresh) -> Any:
        """Logits after the last token of each row; keys and values go into the cache."""
        ids, real = padded(rows, "left", self.model.device)
        width, skipped = ids.shape[1], len(self.prefix.tokens)
        later = ids.new_ones(width, width).triu(1).bool()
        mask = additive((later | ~real.bool()[:, None, :])[:, None], skipped, self.model.dtype)
        positions = (real.cumsum(1) - 1).clamp(min=0) + skipped
        return self._forward(ids, mask, positions, cache)

    def _forward(self, ids: Any, mask: Any, positions: Any, cache: Any) -> Any:
        with attending(self.model):
            return forward(self.model, ids, attention_mask=mask, position_ids=positions, past_key_values=cache)

    def _join(self, lengths: list[int], lines: list[int], fresh: Sequence[Sequence[tuple[Any, Any]]]) -> None:
        """Put the new rows beside the old: row i has ``lengths[i]`` tokens at the end of line ``lines[i]`` of what was read."""
        before = len(self._starts)
        if not self._stored:
            self._stored = [(keys[:0, :, :0], values[:0, :, :0]) for keys, values in fresh[0]]
        self._resize(before + len(lengths), max(lengths))
        self._starts += [self._end - length for length in lengths]
        where = [(group, line) for group, layers in enumerate(fresh) for line in range(len(layers[0][0]))]
        for layer, stored in enumerate(self._stored):
            for row, (length, line) in enumerate(zip(lengths, lines), start=before):
                group, place = where[line]
                for kept, read in zip(stored, fresh[group][layer]):
                    kept[row, :, self._end - length : self._end] = read[place, :, read.shape[2] - length :]

    def _resize(self, rows: int, width: int) -> None:
        """Room for so many rows of ``width`` tokens and some to come; columns that no row uses any more are given up."""
        first = min(self._starts, default=self._end)
        live, used = len(self._starts), self._end - first
        end = max(width, used)
        self._columns = end + _CHUNK
        for layer, pair in enumerate(self._stored):
            # Zeros: what is not written yet must not be NaN, which a weight of 0 does not take away.
            bigger = tuple(old.new_zeros(rows, old.shape[1], self._columns, old.shape[3]) for old in pair)
            for new, old in zip(bigger, pair):
                new[:live, :, end - used : end] = old[:live, :, first : self._end]
            self._stored[layer] = (bigger[0], bigger[1])
        self._starts = [start - first + end - used for start in self._starts]
        self._end = end


class _Fresh:
    """The cache that a model is given with prompts: it keeps what every layer brings."""

    def __init__(self, prefix: Prefix) -> None:
        self.prefix = prefix
        self.layers: list[tuple[Any, Any]] = []

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return len(self.prefix.tokens)

    def update(self, keys: Any, values: Any, layer_idx: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        assert layer_idx == len(self.layers)
        self.layers.append((keys, values))
        return behind(self.prefix, layer_idx, keys), values


class _Growing:
    """The cache that a model is given with one token a row: it writes them into column ``end`` of what is stored."""

    def __init__(self, prefix: Prefix, stored: Sequence[tuple[Any, Any]], rows: int, first: int, end: int) -> None:
        self.prefix, self.stored = prefix, stored
        self.rows, self.first, self.end = rows, first, end

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return len(self.prefix.tokens) + self.end - self.first

    def update(self, keys: Any, values: Any, layer_idx: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        seen = []
        for stored, new in zip(self.stored[layer_idx], (keys, values)):
            stored[: self.rows, :, self.end] = new[:, :, 0]
            seen.append(stored[: self.rows, :, self.first : self.end + 1])
        return behind(self.prefix, layer_idx, seen[0]), seen[1]


def _alike(budget: int, order: list[int], texts: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """The first of ``order``, longest first, that fit into ``budget`` padded tokens and are of much the same length, and the
    others. One at least, and shorter ones too where the product would be small without them."""
    widest = max(1, len(texts[order[0]]))
    size = 1
    while size < len(order) and (size + 1) * widest <= budget:
        if size * widest >= _ENOUGH and len(texts[order[size]]) < _ALIKE * widest:
            break
        size += 1
    return order[:size], order[size:]


# ── whether a model can ──


def objection(model: Any) -> str | None:
    """Why rows of this model must not share a prefix; None if they may.

    The model is tried: rows that come and go behind a prefix must get the logits that they have alone.
    """
    import torch

    if "position_ids" not in inspect.signature(model.forward).parameters:
        return "it takes no positions"
    tokens = torch.Generator().manual_seed(0)
    vocabulary = model.config.get_text_config().vocab_size
    drawn = torch.randint(vocabulary, (24,), generator=tokens).tolist()
    texts = [drawn[:8], drawn[8:11], drawn[11:18], drawn[18:22]]
    try:
        with torch.inference_mode():
            difference = _trial(model, texts)
    except REFUSALS as error:
        if is_out_of_memory(error):
            raise
        return f"it refuses a cache from outside ({type(error).__name__}: {error})"
    tolerance = 1e-4 if model.dtype == torch.float32 else 5e-2
    # Written so that NaN objects.
    return None if difference <= tolerance else f"on a probe its logits differed by {difference:.2g}, more than {tolerance:g}"


def _trial(model: Any, texts: list[list[int]]) -> float:
    """Mean difference of log-probabilities between rows behind a prefix and each text by itself."""
    start, one, two, three = texts
    rows = SharedRows(model, read_prefix(PrefixCache(model), start))
    rows.admit([start + one, start + two], 64)
    rows.advance([7, 8])
    rows.retire([0])
    rows.admit([start + three], 64)
    found = rows.advance([9, 7])
    wanted = [alone(model, [*start, *two, 8, 9]), alone(model, [*start, *three, 7])]
    return max(float((row.log_softmax(0) - other.log_softmax(0)).abs().mean()) for row, other in zip(found, wanted))


def fits(model: Any, longest: int, read: int) -> bool:
    """Whether rows of ``longest`` tokens in all, ``read`` of them read at once, may share a prefix in such a model."""
    window = shortest_window(model.config)
    return read <= _LONGEST and (window is None or longest <= window)



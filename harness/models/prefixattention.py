"""Attention of rows that begin alike: to keys and values of the common beginning, which are there once, and to the rows' own.

A function of ours takes the place of a model's attention. What it comes to is what rows with copies of the beginning would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness.models.prefixes import PrefixCache

_ATTENTION = "harness_shared_rows"
"""The name that the attention function has in the registry of transformers."""

_UNKNOWN = ("softcap", "s_aux", "sinks", "position_bias", "head_mask")
"""What some models ask of attention that the function here does not know of."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """Tokens and, a layer, their keys and values: ``[1, heads, tokens, width]`` each."""

    tokens: tuple[int, ...]
    layers: tuple[tuple[Any, Any], ...]


NO_PREFIX = Prefix((), ())


def read_prefix(cache: PrefixCache, tokens: Sequence[int]) -> Prefix:
    """What rows that begin with these tokens will share; of the cache's model. Raises TypeError where it cannot be shared."""
    if not tokens:
        return NO_PREFIX
    return Prefix(tuple(tokens), tuple((layer.keys, layer.values) for layer in cache.states(tokens).layers))


def behind(prefix: Prefix, layer: int, keys: Any) -> Any:
    """The keys, with word of what stands before them: attention functions are handed nothing else that could carry it."""
    keys = keys.view_as(keys)
    keys.harness_prefix = prefix.layers[layer] if prefix.layers else None
    return keys


@contextmanager
def attending(model: Any) -> Iterator[None]:
    """Within, the model's attention is the function below."""
    from transformers import AttentionInterface

    config = model.config.get_text_config()
    if config._attn_implementation != "sdpa":
        raise ValueError(f"its attention is {config._attn_implementation}, not sdpa")
    AttentionInterface.register(_ATTENTION, _attend)
    config._attn_implementation = _ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"


def additive(hidden: Any, prefix: int, dtype: Any) -> Any:
    """What is added to attention scores: 0, and the lowest number where ``hidden[rows, 1, queries, tokens]``."""
    import torch

    mask = torch.zeros((*hidden.shape[:3], prefix + hidden.shape[3]), dtype=dtype, device=hidden.device)
    mask[..., prefix:].masked_fill_(hidden, torch.finfo(dtype).min)
    return mask


def _attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **options: Any) -> tuple[Any, None]:
    """Attention to a prefix, where the keys bring one along, and to the rows' own tokens; ``attention_mask`` is for both."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    unknown = [name for name in _UNKNOWN if options.get(name) is not None]
    if unknown:
        raise ValueError(f"its attention has {' and '.join(unknown)}")
    prefix = key.harness_prefix
    if prefix is not None and query.shape[2] == 1:
        scaling = options.get("scaling")
        query = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
        return _attend_once(query, key, value, attention_mask, prefix), None
    if prefix is not None:
        key, value = (torch.cat([before.expand(len(own), -1, -1, -1), own], 2) for before, own in zip(prefix, (key, value)))
    if query.device.type != "cpu":
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)[0], None
    # Heads that share keys need no copies of them here, whereas accelerators have no fast way to do that under a mask.
    found = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=options.get("scaling"), enable_gqa=key.shape[1] < query.shape[1])
    return found.transpose(1, 2).contiguous(), None


def _attend_once(query: Any, key: Any, value: Any, mask: Any, prefix: tuple[Any, Any]) -> Any:
    """Attention of one token a row, ``[rows, 1, heads, width]``: all rows meet the prefix in one product a head."""
    import torch

    rows, heads, _, width = query.shape
    groups = key.shape[1]
    before_keys, before_values = prefix[0][0], prefix[1][0]
    length = before_keys.shape[1]
    query = query.reshape(rows, groups, heads // groups, width)
    together = query.transpose(0, 1).reshape(groups, -1, width)
    common = (together @ before_keys.transpose(1, 2)).view(groups, rows, -1, length).transpose(0, 1)
    own = query @ key.transpose(2, 3)
    weights = (torch.cat([common, own], 3) + mask).softmax(3, dtype=torch.float32).to(value.dtype)
    of_prefix = weights[..., :length].transpose(0, 1).reshape(groups, -1, length) @ before_values
    of_prefix = of_prefix.view(groups, rows, heads // groups, -1).transpose(0, 1)
    return (of_prefix + weights[..., length:] @ value).reshape(rows, 1, heads, -1)

"""A language model's output layer at chosen positions alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def logits_at(model: Any, rows: Any, columns: Any) -> Iterator[None]:
    """Within, the model's logits are ``[1, n, vocabulary]``: those at ``(rows[i], columns[i])`` alone.

    The states are picked on their way into the output layer, so that neither its product nor its result is ever made for
    positions that nobody asked for, while all that a model does after it (caps, scales) still happens.
    """

    def pick(_: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (arguments[0][rows, columns].unsqueeze(0), *arguments[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()

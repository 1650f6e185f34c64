"""What can be said of the requests to a local language model before its weights are loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.models.inputs import Inputs
from harness.models.prompts import Unanswerable
from harness.protocols import Size
from harness.types import Call, Generate, Key, LogLikelihood, Perplexity, Request


@dataclass(frozen=True, slots=True)
class Inspection:
    """An ``Inspector`` that knows the model's tokenizer and its limits, and so counts exactly."""

    inputs: Inputs
    make_signature: Callable[[], Mapping[str, Any]]

    def signature(self) -> Mapping[str, Any]:
        """The signature that the open model has. It imports torch where the device decides on the dtype."""
        return self.make_signature()

    def size(self, request: Request) -> Size:
        """Tokens as the output's usage will have them; none for a request that cannot be answered.

        Raises BackendError where a prompt is too long and ``truncation`` is error.
        """
        call = Call(Key(""), request)
        try:
            if isinstance(request, Generate):
                prompt, truncated = self.inputs.prompt(call)
                return Size(len(prompt), request.decoding.max_tokens, exact=True, truncated=truncated)
            pairs, truncated = self.inputs.pairs(call)
        except Unanswerable:
            return Size(0, 0, exact=True)
        return Size(sum(len(context) + len(scored) for context, scored in pairs), 0, exact=True, truncated=truncated)

    def render(self, request: Request) -> Mapping[str, Any]:
        """``text`` as the template made it, ``token_ids`` as they are read, with their pieces in ``tokens``, and ``truncated``.

        Of a LogLikelihood these are the prefix, and each of the ``continuations`` has its own. Of a Perplexity they are all
        that is read, and ``windows`` says in how many pieces. ``error`` alone where the request cannot be answered.
        """
        call = Call(Key(""), request)
        try:
            if isinstance(request, Generate):
                prompt, truncated = self.inputs.prompt(call)
                return self._shown(self.inputs.prompts.render(request.prompt), prompt) | {"truncated": truncated}
            pairs, truncated = self.inputs.pairs(call)
            if isinstance(request, Perplexity):
                read = [*(pairs[0][0] if pairs else ()), *(token for _, scored in pairs for token in scored)]
                return self._shown(request.text, read) | {"truncated": truncated, "windows": len(pairs)}
            assert isinstance(request, LogLikelihood)
            shown = self._shown(self.inputs.prompts.render(request.prefix), pairs[0][0] if pairs else ())
            scored = [self._shown(text, ids) for text, (_, ids) in zip(request.continuations, pairs)]
            return shown | {"truncated": truncated, "continuations": scored}
        except Unanswerable as error:
            return {"error": str(error)}

    def _shown(self, text: str, ids: Sequence[int]) -> dict[str, Any]:
        pieces = self.inputs.prompts.tokenizer.convert_ids_to_tokens(list(ids))
        return {"text": text, "token_ids": list(ids), "tokens": [str(piece) for piece in pieces]}

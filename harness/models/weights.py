"""Loads a causal language model's weights from a folder, as little disturbed and disturbing as transformers lets it be."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import BackendError, MissingDependency
from harness.models.precision import Attention, ComputedIn, Quantization


def load_causal_lm(
    folder: Path, device: str, dtype: ComputedIn, *, quantization: Quantization = "none", attention: Attention = "auto"
) -> Any:
    """The model on its device, in evaluation mode.

    Raises MissingDependency without torch and transformers, BackendError where the files are no causal language model.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        raise MissingDependency("transformers backend", ["torch", "transformers"], "models") from error
    options: dict[str, Any] = {"dtype": getattr(torch, dtype), "local_files_only": True}
    if attention != "auto":
        options["attn_implementation"] = attention
    if quantization != "none":
        # Quantised weights cannot be moved afterwards.
        options |= {"quantization_config": _quantised(quantization, options["dtype"]), "device_map": {"": device}}
    try:
        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(folder, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise BackendError(f"transformers backend: {folder} is no causal language model that can be loaded: {error}") from error
    return (model if quantization != "none" else model.to(device)).eval()


def _quantised(quantization: Quantization, dtype: Any) -> Any:
    from transformers import BitsAndBytesConfig

    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the log, the progress bars and the warnings of transformers, and leave its settings as they were."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep the cyclic garbage collector out of it: going through the objects of torch's and transformers' modules again and
    again, while they are imported and none of them is garbage, takes a sixth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

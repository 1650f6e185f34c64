"""Loads a causal language model's weights from a folder, as little disturbed and disturbing as transformers lets it be."""

from __future__ import annotations

import gc
import pickle
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import BackendError, MissingDependency
from harness.models.devices import is_out_of_memory
from harness.models.precision import Attention, ComputedIn, Quantization

_FAULTS = (OSError, ValueError, KeyError, ImportError, TypeError, AttributeError, RuntimeError, EOFError, MemoryError,
           pickle.UnpicklingError)
"""What is raised of files that are cut off, do not fit together, or are of another model."""

_SHOWN = 3


def load_causal_lm(
    folder: Path, device: str, dtype: ComputedIn, *, quantization: Quantization = "none", attention: Attention = "auto"
) -> Any:
    """The model on its device, in evaluation mode.

    Raises MissingDependency without torch and transformers, BackendError where the files are no causal language model, lack
    some of its weights, or do not fit into memory.
    """
    try:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        raise MissingDependency("transformers backend", ["torch", "transformers"], "models") from error
    options: dict[str, Any] = {"dtype": getattr(torch, dtype), "local_files_only": True, "output_loading_info": True}
    if attention != "auto":
        options["attn_implementation"] = attention
    if quantization != "none":
        # Quantised weights cannot be moved afterwards.
        options |= {"quantization_config": _quantised(quantization, options["dtype"]), "device_map": {"": device}}
    try:
        with quiet_transformers():
            model, info = AutoModelForCausalLM.from_pretrained(folder, **options)
            model = model if quantization != "none" else model.to(device)
    except (*_FAULTS, SafetensorError) as error:
        if is_out_of_memory(error):
            raise BackendError(f"transformers backend: {folder} does not fit into the memory of {device}: {error}") from error
        raise BackendError(f"transformers backend: {folder} is no causal language model that can be loaded: {error}") from error
    # What is missing was drawn at random, without a word; layers that are tied to others are not missing.
    if missing := sorted(info["missing_keys"]):
        raise BackendError(f"transformers backend: the weights in {folder} lack {_listed(missing)}, which "
                           f"{type(model).__name__} needs: they are not those of the whole causal language model that "
                           "config.json describes")
    return model.eval()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


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

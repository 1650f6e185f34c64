"""What a model computes in: the number format, quantised weights, the kernel of its attention; and what is not there."""

from __future__ import annotations

import importlib.util
from typing import Literal

from harness.errors import BackendError
from harness.models.sources import Say

ComputedIn = Literal["float32", "bfloat16", "float16"]
Dtype = Literal["auto"] | ComputedIn
Quantization = Literal["none", "int8", "int4"]
Attention = Literal["auto", "eager", "sdpa", "flash_attention_2"]


def choose_dtype(dtype: Dtype, device: str, say: Say) -> ComputedIn:
    """``dtype``, or for "auto": float32, but bfloat16 on a CUDA device, and float16 on one that cannot do that.

    Half precision that this CPU must imitate is told: it is several times slower there, not faster.
    """
    kind = device.partition(":")[0]
    if dtype == "auto":
        return _half_of_cuda() if kind == "cuda" else "float32"
    if kind == "cpu" and dtype != "float32" and not has_instructions_for(dtype):
        say(f"WARNING: this CPU has no instructions for {dtype}: everything is several times slower than in float32 (4 to 5 "
            "times were measured), and scores are less exact; write dtype: auto for what suits the device")
    return dtype


def _half_of_cuda() -> ComputedIn:
    import torch

    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


def has_instructions_for(dtype: ComputedIn) -> bool:
    """Whether this CPU multiplies numbers of this format by itself, as far as torch can tell."""
    import torch

    # Private, and absent in older versions: what cannot be found out is taken for no.
    probes = {"bfloat16": ("_is_avx512_bf16_supported", "_is_amx_tile_supported"), "float16": ("_is_amx_fp16_supported",)}
    return dtype == "float32" or any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes[dtype])


def check_quantization(quantization: Quantization, device: str) -> None:
    """Raises BackendError where quantised weights cannot be had: on everything but CUDA, and without the package for it."""
    if quantization == "none":
        return
    wanted = f"transformers backend: quantization: {quantization}"
    if device.partition(":")[0] != "cuda":
        raise BackendError(f"{wanted} is available on CUDA devices only, and this model would run on {device}: "
                           "write quantization: none")
    if missing := [package for package in ("bitsandbytes", "accelerate") if importlib.util.find_spec(package) is None]:
        raise BackendError(f"{wanted} needs {' and '.join(missing)}: pip install {' '.join(missing)}")


def check_attention(attention: Attention, device: str, dtype: ComputedIn) -> None:
    """Raises BackendError where flash attention was asked for and cannot be had."""
    if attention != "flash_attention_2":
        return
    wanted = "transformers backend: attention: flash_attention_2"
    if device.partition(":")[0] != "cuda" or dtype == "float32":
        raise BackendError(f"{wanted} is available in half precision on CUDA devices only, and this model would compute in "
                           f"{dtype} on {device}: write attention: auto")
    if importlib.util.find_spec("flash_attn") is None:
        raise BackendError(f"{wanted} needs the package flash-attn: pip install flash-attn, or write attention: auto")

"""Number formats, quantised weights and kernels of attention: what is chosen, and what is refused where it cannot be had."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from harness.errors import BackendError
from harness.models.precision import check_attention, check_quantization, choose_dtype

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("device", "has_bfloat16", "wanted"), [
    ("cpu", True, "float32"), ("mps", True, "float32"), ("cuda", True, "bfloat16"), ("cuda:1", False, "float16"),
])
def test_auto_is_half_precision_on_cuda_alone(
    monkeypatch: pytest.MonkeyPatch, device: str, has_bfloat16: bool, wanted: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_bfloat16 or including_emulation)
    said: list[str] = []
    assert (choose_dtype("auto", device, said.append), said) == (wanted, [])


@pytest.mark.parametrize(("flags", "dtype", "warned"), [
    ({}, "bfloat16", True), ({}, "float16", True), ({}, "float32", False),
    ({"_is_avx512_bf16_supported"}, "bfloat16", False), ({"_is_amx_tile_supported"}, "bfloat16", False),
    ({"_is_avx512_bf16_supported"}, "float16", True), ({"_is_amx_fp16_supported"}, "float16", False),
    (None, "bfloat16", True),  # a torch that cannot tell
])
def test_half_precision_that_a_cpu_must_imitate_is_told(
    monkeypatch: pytest.MonkeyPatch, flags: set[str] | None, dtype: Any, warned: bool
) -> None:
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_amx_fp16_supported"):
        if flags is None:
            monkeypatch.delattr(torch.cpu, probe, raising=False)
        else:
            monkeypatch.setattr(torch.cpu, probe, lambda probe=probe: probe in flags, raising=False)
    said: list[str] = []
    assert choose_dtype(dtype, "cpu", said.append) == dtype
    assert [message.startswith(f"WARNING: this CPU has no instructions for {dtype}") for message in said] == [True] * warned
    assert choose_dtype(dtype, "cuda", said.append) == dtype
    assert len(said) == warned


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_quantised_weights_need_cuda(device: str) -> None:
    check_quantization("none", device)
    with pytest.raises(BackendError, match=f"quantization: int8 is available on CUDA devices only, .* would run on {device}"):
        check_quantization("int8", device)


@pytest.mark.parametrize("absent", [["bitsandbytes"], ["bitsandbytes", "accelerate"]])
def test_quantised_weights_need_their_packages(monkeypatch: pytest.MonkeyPatch, absent: list[str]) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("harness.models.precision.importlib.util.find_spec",
                        lambda name: None if name in absent else found("json"))
    with pytest.raises(BackendError, match=f"quantization: int4 needs {' and '.join(absent)}: pip install {' '.join(absent)}"):
        check_quantization("int4", "cuda:0")
    check_quantization("none", "cuda:0")


@pytest.mark.parametrize(("device", "dtype"), [("cpu", "bfloat16"), ("cuda", "float32")])
def test_flash_attention_needs_half_precision_on_cuda(device: str, dtype: Any) -> None:
    with pytest.raises(BackendError, match=f"would compute in {dtype} on {device}: write attention: auto"):
        check_attention("flash_attention_2", device, dtype)
    for attention in ("auto", "sdpa", "eager"):
        check_attention(attention, device, dtype)


@pytest.mark.skipif(importlib.util.find_spec("flash_attn") is not None, reason="flash-attn is installed")
def test_flash_attention_needs_its_package() -> None:
    with pytest.raises(BackendError, match="needs the package flash-attn"):
        check_attention("flash_attention_2", "cuda", "bfloat16")

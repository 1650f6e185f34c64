"""A GGUF file as transformers reads models: converted to a folder of safetensors once, and kept."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import tempfile
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from harness.errors import BackendError, MissingDependency
from harness.models.sources import ModelFiles, Say, once, short_hash
from harness.models.weights import quiet_transformers

_CONVERSION = 1
"""Raised by every change of the conversion, so that files converted by an older one are not read."""

_DIGITS_APART = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
"""``tokenizer.ggml.pre`` values of tokenizers that split numbers into single digits before GPT-2's byte-level pattern
(as llama.cpp reads them: ``\\p{N}`` first)."""


def model_folder(files: ModelFiles, cache_dir: Path, say: Say) -> Path:
    """The folder that transformers loads: the source's own or, of a GGUF file, what it was converted to.

    Raises MissingDependency without torch, transformers, gguf and accelerate where there is something to convert, BackendError
    where it cannot be.
    """
    return _converted(files, cache_dir, say) if files.path.suffix == ".gguf" else files.path


def _converted(files: ModelFiles, cache_dir: Path, say: Say) -> Path:
    folder = cache_dir / "converted" / f"{short_hash(files.identity)}-v{_CONVERSION}"
    with once(folder) as absent:
        if absent:
            # transformers says what it lacks only in the middle of its work.
            packages = ("torch", "transformers", "gguf", "accelerate")
            if missing := [package for package in packages if importlib.util.find_spec(package) is None]:
                raise MissingDependency(f"reading {files.path.name}", missing, "models")
            say(f"converting {files.path.name} to safetensors (once; it is kept in {folder})")
            temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".converting-"))
            try:
                # The GGUF reader draws its bar with plain tqdm, which no setting of transformers reaches.
                with quiet_transformers(), redirect_stderr(io.StringIO()):
                    _convert(files.path, temporary)
                os.replace(temporary, folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    """Write a GGUF file's model, in float32, and its tokenizer as transformers keeps them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        source: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **source)
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **source)
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise BackendError(f"transformers backend: {gguf} cannot be converted: {error}") from error
    _restore_digit_splitting(tokenizer, gguf)
    # The weights are plain float32 by now; transformers refuses to save a model that still says it is quantised.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _restore_digit_splitting(tokenizer: Any, gguf: Path) -> None:
    """Put back the first step of the tokenizer that transformers' GGUF reader leaves out.

    What was compared for SmolLM2-135M-Instruct: vocabulary, merges, chat template, bos ``<|im_start|>`` (1), eos and pad
    ``<|im_end|>`` (2), unk ``<|endoftext|>`` (0) and "add no bos" are all carried by the file. Lost is how text is cut before
    the merges: its tokenizer.json has Digits(individual_digits) and then ByteLevel; the file says so by its name ``smollm``
    alone and the reader makes ByteLevel of everything. It shows where whitespace stands before a number: ``a\\n\\n1`` must
    be ``a ĊĊ 1`` and would be ``a Ċ Ċ 1``.
    """
    from gguf import GGUFReader

    field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    if field is None or field.contents() not in _DIGITS_APART:
        return
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    tokenizer.backend_tokenizer.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])

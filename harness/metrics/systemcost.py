"""What a model and a run take of a machine: size on disk, parameters, floating-point operations a token, peak memory."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import MetricError, MissingDependency

_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx", ".npz", ".h5", ".msgpack")
_LONGEST_HEADER = 100 * 2**20


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Bytes of the files that hold weights, and the numbers in them; ``parameters`` None where a file does not tell cheaply."""

    bytes: int
    parameters: int | None


def model_size(path: Path) -> ModelSize:
    """The size of a model on disk, from a file of weights or the folder that holds them.

    Parameters are read from the headers of safetensors and GGUF files, nothing is loaded; a matrix that is stored once and used
    twice (tied embeddings) counts once. Files of other formats leave ``parameters`` None. Where a folder has safetensors, its
    other copies of the weights are not counted.

    Raises MetricError where there are no weights or a header is not sound, MissingDependency for a GGUF without ``gguf``.
    """
    files = _weight_files(path)
    counts = [_parameters(file) for file in files]
    known = [count for count in counts if count is not None]
    return ModelSize(sum(file.stat().st_size for file in files), sum(known) if len(known) == len(counts) else None)


def flops_per_token(parameters: int, *, layers: int = 0, width: int = 0, context: int = 0) -> float:
    """An ESTIMATE of the floating-point operations of a forward pass of a dense transformer, for one token.

    2 · parameters + 2 · layers · context · width (Kaplan et al. 2020, table 1): a multiplication and an addition a weight, and
    attention over ``context`` tokens, of which a causal model sees half on average, in ``layers`` layers of attention width
    ``width``. ``parameters`` are those that take part in products: without an input embedding that is not also the output
    layer, and for a mixture of experts only those of the active ones. Norms, softmax and activations are left out. Training
    takes three times as much.

    >>> flops_per_token(175_000_000_000, layers=96, width=12288, context=2048)
    354831838208.0

    Raises MetricError for a negative number.
    """
    for name, value in (("parameters", parameters), ("layers", layers), ("width", width), ("context", context)):
        if not 0 <= value < math.inf:
            raise MetricError(f"flops_per_token: {name} must be a finite number ≥ 0, got {value!r}")
    return 2.0 * parameters + 2.0 * layers * context * width


def peak_memory() -> Mapping[str, int | None]:
    """The most memory that this process has had so far, in bytes.

    ``resident`` : of the machine (None on Windows). ``device`` : of the current CUDA device, where torch has worked on one.
    """
    return {"resident": _peak_resident(), "device": _peak_device()}


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _weight_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in _WEIGHTS and file.is_file()) if path.is_dir() else []
    if not found:
        raise MetricError(f"model_size: path must be a file of weights or a folder with some, got {str(path)!r}")
    return [file for file in found if file.suffix == ".safetensors"] or found


def _parameters(file: Path) -> int | None:
    if file.suffix == ".safetensors":
        return _in_safetensors(file)
    return _in_gguf(file) if file.suffix == ".gguf" else None


def _in_safetensors(file: Path) -> int:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if length <= _LONGEST_HEADER else b""
    try:
        tensors = {name: facts for name, facts in json.loads(header).items() if name != "__metadata__"}
        return sum(math.prod(facts["shape"]) for facts in tensors.values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MetricError(f"model_size: {str(file)!r} has no sound safetensors header: {error}") from error


def _in_gguf(file: Path) -> int:
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise MissingDependency("model_size of a GGUF file", ("gguf",), "models") from error
    return sum(int(tensor.n_elements) for tensor in GGUFReader(file).tensors)


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _peak_resident() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _peak_device() -> int | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())

"""``--device``: the same run on another device, for every model and role that runs here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from harness.config import ModelConfig, RunConfig
from harness.errors import UsageError


def on_device(config: RunConfig, device: str | None) -> RunConfig:
    """The run with every ``device:`` of its models and roles set to this one; None leaves them as they are.

    Raises UsageError where none of them has such a key.
    """
    if device is None:
        return config
    models = [*config.roles.values(), *(model for cell in config.cells for model in cell.models.values())]
    if not any(_has_device(model) for model in models):
        raise UsageError(f"--device {device}: no model of this run has a device to choose")
    moved: dict[int, ModelConfig] = {id(model): _moved(model, device) for model in models}
    cells = tuple(dataclasses.replace(cell, models=_swapped(cell.models, moved)) for cell in config.cells)
    roles = _swapped(config.roles, moved)
    document = _document(config, {"models": cells[0].models, "roles": roles})
    return dataclasses.replace(config, cells=cells, roles=roles, document=document)


def _has_device(model: ModelConfig) -> bool:
    return any(field.name == "device" and field.init for field in dataclasses.fields(type(model.backend)))  # type: ignore[arg-type]


def _moved(model: ModelConfig, device: str) -> ModelConfig:
    if not _has_device(model):
        return model
    backend = dataclasses.replace(model.backend, device=device)  # type: ignore[type-var]
    return dataclasses.replace(model, backend=backend, options={**model.options, "device": device})


def _swapped(models: Mapping[str, ModelConfig], moved: Mapping[int, ModelConfig]) -> dict[str, ModelConfig]:
    return {name: moved[id(model)] for name, model in models.items()}


def _document(config: RunConfig, moved: Mapping[str, Mapping[str, ModelConfig]]) -> dict[str, object]:
    """What the record keeps of the config says what was run, not what was written."""
    document = dict(config.document)
    for key, models in moved.items():
        written = document.get(key) or {}
        document[key] = {name: {**entry, **_device_of(models.get(name))} for name, entry in written.items()}
    return document


def _device_of(model: ModelConfig | None) -> dict[str, object]:
    return {} if model is None or not _has_device(model) else {"device": model.options["device"]}

"""Saving and loading: one safetensors file, whose header carries the settings as JSON.

One file, written beside its name and then renamed: an interrupted save leaves the old checkpoint or the new one.
"""

import json
import os
from dataclasses import asdict
from numbers import Integral
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from moe_lite.data import data_dir
from moe_lite.model.config import ModelConfig, from_dict
from moe_lite.model.experts import Dispatch
from moe_lite.model.routing import TopK
from moe_lite.model.transformer import MoELanguageModel

FORMAT, VERSION = "moe-lite", 1
MODEL = "model."  # before the names of its tensors


class CheckpointError(ValueError):
    """A file that is not a checkpoint of this model and version; says what was found and what was expected."""


def save(path: str | Path, model: MoELanguageModel, *, dtype=None, extra=None, extra_tensors=None) -> Path:
    """Write `model` to `path` atomically. dtype casts the weights (bfloat16 halves the file), not the selection bias.

    extra (JSON values) and extra_tensors travel along; `load_extra` returns them. A model that `torch.compile` wrapped
    is saved as what it wraps; parameters that share their memory are saved, and loaded, as tensors of their own. Raises
    CheckpointError for a path that cannot become a file (`check_path`).
    """
    path, model = check_path(path), getattr(model, "_orig_mod", model)
    # a selection bias grows by steps that bfloat16 would round away
    dtypes = {name: dtype if dtype and isinstance(t, nn.Parameter) else t.dtype for name, t in _state(model)}
    tensors = {MODEL + name: t.detach().to(dtypes[name]).cpu().contiguous() for name, t in _state(model)}
    owners = {t.data_ptr(): name for name, t in tensors.items()}  # of several that share memory the last
    tensors = {name: t if owners[t.data_ptr()] == name else t.clone() for name, t in tensors.items()}
    tensors |= {name: t.detach().cpu().contiguous() for name, t in (extra_tensors or {}).items()}
    header = {"format": FORMAT, "version": VERSION, "model": asdict(model.config), "extra": extra or {}}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(to_bytes(tensors, metadata={FORMAT: json.dumps(header)}))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def check_path(path: str | Path) -> Path:
    """The path with `~` resolved. Raises CheckpointError if no checkpoint can be written there: ask before training."""
    path = Path(path).expanduser()
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise CheckpointError(f"{path} is {kind}; expected the name of a file, such as model.safetensors.")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise CheckpointError(f"{path} cannot be written: {above} is no folder that can be written to.")
    return path


def load(
    path: str | Path, *, top_k_fn: TopK | None = None, dispatch_fn: Dispatch | None = None,
    device: str | torch.device = "cpu",
) -> MoELanguageModel:  # fmt: skip
    """The model in `path`, float32, in evaluation mode. Raises CheckpointError, or FileNotFoundError with the name.

    top_k_fn and dispatch_fn replace the model's own, as in `MoELanguageModel`.
    """
    header, tensors = _read(path)
    try:
        config = from_dict(ModelConfig, header["model"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its model settings do not fit this version: {error}") from error
    model = MoELanguageModel(config, top_k_fn=top_k_fn, dispatch_fn=dispatch_fn)
    restore(model, tensors, path)
    return model.to(device).eval()


def restore(model: MoELanguageModel, tensors: dict[str, Tensor], path: str | Path) -> None:
    """Copy the weights of `tensors` into `model`; CheckpointError unless names and shapes agree exactly."""
    found = {
        name.removeprefix(MODEL).removeprefix("_orig_mod."): tensor  # the second: saved from a compiled model, once
        for name, tensor in tensors.items()
        if name.startswith(MODEL)
    }
    expected = dict(_state(model))
    if found.keys() != expected.keys():
        missing, surplus = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        raise CheckpointError(
            f"{path}: other tensors than the model has. Missing {missing[:3]}, surplus {surplus[:3]}."
        )
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(f"{path}: {name} is {tuple(tensor.shape)}, expected {tuple(expected[name].shape)}.")
    with torch.no_grad():
        for name, tensor in found.items():
            expected[name].copy_(tensor)


def load_extra(path: str | Path) -> tuple[dict, dict[str, Tensor]]:
    """The `extra` and all tensors of a checkpoint, as `save` was given them (weights have the prefix `model.`)."""
    header, tensors = _read(path)
    return header | header["extra"], tensors


def pretrained(
    n_experts: int = 8, *, top_k_fn: TopK | None = None, dispatch_fn: Dispatch | None = None
) -> MoELanguageModel:
    """One of the small models that the course ships, trained on its corpora with 2 of 4, 8 or 16 experts per token.

    32 has finer experts, a quarter as wide: 7 per token, and a shared one. 1 is their dense twin: as many FLOPs per
    token, one feed-forward network in each layer, no router.
    """
    path = shipped(n_experts)
    model = load(path, top_k_fn=top_k_fn, dispatch_fn=dispatch_fn)
    if model.config.n_experts != n_experts:
        raise CheckpointError(f"{path}: a model with {model.config.n_experts} experts, expected {n_experts}.")
    return model


def pretrained_record(n_experts: int = 8) -> dict:
    """How that model was trained, and its measured losses and loads (see data/README.md)."""
    path = shipped(n_experts).with_suffix(".json")
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise CheckpointError(f"{path}: expected the fields of a record, found {type(record).__name__}.")
    return record


def shipped_name(n_experts: int) -> str:
    """The name, without its ending, of the files that hold the model with so many experts."""
    return "dense" if n_experts == 1 else f"moe-e{n_experts}"


def shipped(n_experts: int) -> Path:
    """The file of the model with so many experts, its record beside it. ValueError if there is none."""
    if not isinstance(n_experts, Integral):
        came = f"{n_experts!r}, a {type(n_experts).__name__}"
        raise ValueError(f"n_experts is {came}; expected a whole number, such as 8.")
    folder = data_dir() / "checkpoints"
    path = folder / f"{shipped_name(n_experts)}.safetensors"
    if not path.is_file():
        there = [n for n in (1, 2, 4, 8, 16, 32, 64) if (folder / f"{shipped_name(n)}.safetensors").is_file()]
        raise ValueError(f"No shipped model with {n_experts} experts; there are models with {there}.")
    return path


def _state(model: MoELanguageModel):
    return model.state_dict(keep_vars=True).items()


def _read(path: str | Path) -> tuple[dict, dict[str, Tensor]]:
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"No checkpoint at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        size = path.stat().st_size
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({size:,} bytes): {error}. An interrupted copy? Expected a file "
            f"written by moe_lite.checkpoint.save."
        ) from error
    if FORMAT not in metadata:
        keys = ", ".join(sorted(metadata)) or "none"
        raise CheckpointError(f"{path}: a safetensors file of another program (metadata: {keys}), expected '{FORMAT}'.")
    try:
        header = json.loads(metadata[FORMAT])
        version = header["version"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its header '{FORMAT}' is not the JSON that save writes.") from error
    if version != VERSION:
        raise CheckpointError(f"{path}: format version {version}, this package reads version {VERSION}.")
    return header, tensors

"""The way back: a folder of transformers as a model of ours.

Weights are read as safetensors only, which hold numbers; a pickle can run code.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, no_grad

from moe_lite.checkpoint import CheckpointError
from moe_lite.hf.layouts import FIXED, LAYOUTS, SIZES, Layout, misfit, published, tensors_by_name
from moe_lite.model.config import ModelConfig
from moe_lite.model.transformer import MoELanguageModel

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

# Keys of config.json that change no logits: what else is returned or kept, labels, which tokens begin and end a text,
# where it came from. The last few are written by earlier versions, or act only together with a key that is refused.
WITHOUT_EFFECT = {
    "architectures", "model_type", "dtype", "torch_dtype", "transformers_version", "_name_or_path", "use_cache",
    "return_dict", "output_hidden_states", "output_attentions", "output_router_logits", "id2label", "label2id",
    "problem_type", "chunk_size_feed_forward", "is_encoder_decoder", "bos_token_id", "eos_token_id", "pad_token_id",
    "pretraining_tp", "max_window_layers",
}  # fmt: skip
ELSEWHERE = {"rope_parameters", "rope_theta", "rope_scaling", "head_dim", "router_aux_loss_coef"}  # see `_config`
UNUSED = {"qwen3_moe": {"intermediate_size", "sliding_window"}}  # widths of dense layers; use_sliding_window is refused


def load(folder: str | Path) -> MoELanguageModel:
    """The model in `folder`, float32, in evaluation mode, with the logits that it has in transformers.

    Reads what `export` writes and what `save_pretrained` does, experts one by one or stacked, in one file or several.
    What these layouts do not hold (which balancing loss, z-loss, implementation) has the defaults of `ModelConfig`;
    the coefficient of the balancing loss is K times that of transformers, whose loss is K times ours.
    Raises FileNotFoundError, or CheckpointError: a setting that our model does not have, named; weights that are only
    there as a pickle; tensors that are missing, unexpected or of another shape, named.
    """
    folder = Path(folder).expanduser()
    values = _values(folder)
    layout = LAYOUTS[values["model_type"]]
    model = MoELanguageModel(_config(folder / CONFIG, layout, values))
    try:
        found = published(_tensors(folder), layout)
    except ValueError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    ours = published(tensors_by_name(model, of=Tensor.detach), layout)  # the parameters' own memory
    _compare(folder, found, ours)
    with no_grad():
        for name, tensor in ours.items():
            tensor.copy_(found[name])
    return model.eval()


# ---- config.json -----------------------------------------------------------------------------------------------------


def _values(folder: Path) -> dict:
    """config.json, of a layout that is known."""
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"No {CONFIG} in {folder}; expected a folder that export or save_pretrained wrote.")
    values = _read_json(path)
    if values.get("model_type") not in LAYOUTS:
        told = f"model_type is {values.get('model_type')!r}, expected one of {', '.join(LAYOUTS)}"
        raise CheckpointError(f"{path}: {told}.")
    return values


def _read_json(path: Path) -> dict:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds a {type(values).__name__}, expected names with values.")
    return values


def _config(path: Path, layout: Layout, values: dict) -> ModelConfig:
    """Our settings. Defaults and names of earlier versions are left to the class in transformers."""
    kind = getattr(transformers, layout.architecture).config_class
    _refuse_unknown(path, layout, kind, values)
    try:
        theirs = kind.from_dict(values)
    except Exception as error:  # its own classes of errors, not derived from ValueError
        raise CheckpointError(f"{path}: transformers refuses it: {error}") from error
    rope = theirs.rope_parameters
    d_head = theirs.hidden_size / theirs.num_attention_heads
    need = {name: (getattr(theirs, name), value) for name, value in (FIXED | layout.fixed).items()}
    need["rope_type"] = rope["rope_type"], "default"
    need["partial_rotary_factor"] = rope.get("partial_rotary_factor", 1.0), 1.0
    need["head_dim"] = getattr(theirs, "head_dim", None) or d_head, d_head
    for name, (value, ours) in need.items():
        if value != ours:
            raise CheckpointError(f"{path}: {name} is {value!r}; a model of ours can only have {ours!r}.")
    found = {ours: getattr(theirs, key) for ours, key in (SIZES | layout.keys).items()}
    if not layout.sparse:
        found["n_experts"] = 1
    else:
        found["balance_coef"] = theirs.router_aux_loss_coef * theirs.num_experts_per_tok
    if layout.renorm_key:
        found["renorm"] = getattr(theirs, layout.renorm_key)
    try:
        config = ModelConfig(**found, qk_norm=layout.qk_norm, rope_theta=rope["rope_theta"])
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if told := misfit(layout, config):
        raise CheckpointError(f"{path}: {told}")
    return config


def _refuse_unknown(path: Path, layout: Layout, kind: type, values: Mapping) -> None:
    """Refuse keys that might change what the model computes: those of which nothing here knows."""
    known = {*known_keys(layout, values["model_type"]), *kind.attribute_map, *kind.attribute_map.values()}
    unknown = sorted(name for name, value in values.items() if name not in known and value is not None)
    if unknown:
        told = ", ".join(f"{name} = {values[name]!r}" for name in unknown[:3])
        raise CheckpointError(f"{path}: {told}: a model of ours has no such setting.")


def known_keys(layout: Layout, name: str) -> set[str]:
    """The keys of config.json that are read, demanded, or known to change no logits."""
    keys = {*SIZES.values(), *layout.keys.values(), *FIXED, *layout.fixed, *WITHOUT_EFFECT, *ELSEWHERE}
    return keys | UNUSED.get(name, set()) | ({layout.renorm_key} if layout.renorm_key else set())


# ---- tensors ---------------------------------------------------------------------------------------------------------


def _tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of the folder's safetensors files, under the names that they have there."""
    found: dict[str, Tensor] = {}
    for path in _files(folder):
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: not a whole safetensors file: {error}. An interrupted copy?") from error
        if twice := found.keys() & tensors.keys():
            raise CheckpointError(f"{path}: {min(twice)} is in another file of {folder}, too.")
        found |= tensors
    return found


def _files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        if pickles:
            raise CheckpointError(
                f"{folder}: the weights are only in {', '.join(pickles[:3])}, and opening a pickle runs whatever "
                f"program is in it. Expected {WEIGHTS}, which holds numbers alone and which save_pretrained writes."
            )
        raise FileNotFoundError(f"No {WEIGHTS} in {folder}.")
    names = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise CheckpointError(f"{folder / INDEX} has no weight_map from tensors to files.")
    for name in sorted(set(map(str, names.values()))):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise CheckpointError(f"{folder / INDEX}: {name!r} is not the name of a safetensors file of this folder.")
        if not (folder / name).is_file():
            raise FileNotFoundError(f"No {name} in {folder}, which {INDEX} names.")
    return [folder / name for name in sorted(set(names.values()))]


def _compare(folder: Path, found: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    """CheckpointError unless both have the same names, with shapes that agree and numbers that are not quantised."""
    both = found.keys() & ours.keys()
    wrong = {
        "missing": sorted(ours.keys() - both),
        "unexpected": sorted(found.keys() - both),
        "of another shape": [
            f"{name} {tuple(found[name].shape)}, expected {tuple(ours[name].shape)}"
            for name in sorted(both) if found[name].shape != ours[name].shape
        ],
        "no floating-point numbers": [
            f"{name} {found[name].dtype}" for name in sorted(both) if not found[name].is_floating_point()
        ],
    }  # fmt: skip
    told = [f"{len(names)} {what} ({_some(names)})" for what, names in wrong.items() if names]
    if told:
        raise CheckpointError(f"{folder}: other tensors than the model of its {CONFIG} has: {'; '.join(told)}.")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + ", …" * (len(names) > 3)

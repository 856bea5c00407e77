"""A folder that `transformers` reads. Written beside its name and then moved: it is there as a whole, or not at all."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from moe_lite.checkpoint import CheckpointError
from moe_lite.data import tokenizer
from moe_lite.hf import layouts, verifying
from moe_lite.hf.card import card
from moe_lite.model.transformer import MoELanguageModel

CONFIG, WEIGHTS, GENERATION, CARD = "config.json", "model.safetensors", "generation_config.json", "README.md"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
FILES = {CONFIG, WEIGHTS, GENERATION, CARD, TOKENIZER, TOKENIZER_CONFIG}


def export(
    model: MoELanguageModel, folder: str | Path, *, layout: str | None = None, record: Mapping | None = None,
    verify: bool = True, replace: bool = False,
) -> Path:  # fmt: skip
    """Write `model` to a new folder that `AutoModelForCausalLM.from_pretrained` reads; returns the folder.

    layout   mixtral, olmoe, qwen3_moe or llama; taken from the model's settings if None
    record   what is known of its training, as `checkpoint.pretrained_record` gives it: the losses go on the card
    verify   read the folder with transformers before it gets its name, and compare all weights and some logits
    replace  put the new folder in the place of one that an earlier export wrote

    The course's tokenizer comes with a model of its vocabulary. Settings that act in training only (jitter, capacity)
    are not held by these layouts; the card names them. Raises ValueError for a model that no layout holds, with the
    reason for each, and CheckpointError for a folder that is not empty or cannot be written, or would not be the same
    model; then it is not there.
    """
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    name = layouts.choose(model, layout)
    text = card(model, name, record)
    folder = _checked(folder, replace)
    partial, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("partial", "old"))
    try:
        partial.mkdir(parents=True)
        _write(partial, model, name, text)
        if verify:
            verifying.verify(model, partial)
        if folder.exists():
            os.replace(folder, old)
        os.replace(partial, folder)
    except (OSError, CheckpointError) as error:
        raise CheckpointError(f"{folder} was not written: {error}") from error
    finally:
        if old.exists() and not folder.exists():  # broken off between the two moves
            os.replace(old, folder)
        for left in (partial, old):
            shutil.rmtree(left, ignore_errors=True)
    return folder


def _checked(folder: str | Path, replace: bool) -> Path:
    folder = Path(folder).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder; expected the name of a new one.")
    above = next(parent for parent in folder.parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise CheckpointError(f"{folder} cannot be written: {above} is no folder that can be written to.")
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if foreign := sorted(there - FILES):
        raise CheckpointError(f"{folder} holds {', '.join(foreign[:3])}, which no export wrote: take another folder.")
    if there and not replace:
        raise CheckpointError(f"{folder} holds an earlier export. replace=True puts the new one in its place.")
    return folder


def _write(folder: Path, model: MoELanguageModel, name: str, text: str) -> None:
    dtype = str(model.embed.weight.dtype).removeprefix("torch.")
    _write_json(folder / CONFIG, layouts.settings(name, model.config) | {"torch_dtype": dtype})
    _write_json(folder / GENERATION, layouts.NO_TOKENS | {"do_sample": False})
    tensors = layouts.published(layouts.tensors_by_name(model, of=Tensor.detach), layouts.LAYOUTS[name])
    tensors = {key: tensor.cpu().clone().contiguous() for key, tensor in tensors.items()}  # none shares its memory
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CARD).write_text(text, encoding="utf-8")
    tokens = tokenizer()
    if model.config.vocab_size == tokens.get_vocab_size():
        tokens.save(str(folder / TOKENIZER))
        known = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": model.config.context_length}
        _write_json(folder / TOKENIZER_CONFIG, known | {"clean_up_tokenization_spaces": False})


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

"""Small models for the layouts of transformers, and ways to look at what came of them."""

import json
from pathlib import Path

import torch
from small import randn, small_model
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from moe_lite.model.transformer import MoELanguageModel

LAYOUTS = {
    # layout: changes to the small model that only this layout holds
    "mixtral": {},
    "olmoe": {"qk_norm": "full", "renorm": False},
    "qwen3_moe": {"qk_norm": "head"},
    "llama": {"n_experts": 1},
}
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def model_for(layout: str, **changes) -> MoELanguageModel:
    """In evaluation mode, with norms that have weights of their own; those of a fresh model are all 1."""
    model = small_model(**(LAYOUTS[layout] | changes))
    with torch.no_grad():
        for seed, parameter in enumerate(p for p in model.parameters() if p.dim() == 1):
            parameter.copy_(1 + 0.3 * randn(*parameter.shape, seed=seed))
    return model.eval()


def loaded(folder: Path) -> PreTrainedModel:
    """What transformers reads there; no tensor may be missing, unexpected or of another shape."""
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    return model.eval()


@torch.no_grad()
def logits_of(model, ids: Tensor) -> Tensor:
    return model(ids).logits


def config_of(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


def changed_config(folder: Path, **changes) -> Path:
    (folder / "config.json").write_text(json.dumps(config_of(folder) | changes))
    return folder

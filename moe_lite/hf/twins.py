"""The same model in `transformers`. Tests compare values with it, benchmarks compare times."""

import transformers
from torch import Tensor

from moe_lite.hf import layouts
from moe_lite.model.transformer import MoELanguageModel


def twin(model: MoELanguageModel, **settings) -> transformers.PreTrainedModel:
    """A `transformers` model with copies of `model`'s weights, in evaluation mode: equal ids give equal logits.

    Its class is Mixtral, OLMoE, Qwen3-MoE or Llama, as the model's settings ask. `settings` go to its configuration.
    Raises ValueError for settings that none of these has, those that act in training included.
    """
    name = layouts.choose(model, training=True)
    kind = getattr(transformers, layouts.LAYOUTS[name].architecture)
    other = kind(kind.config_class(**(layouts.settings(name, model.config) | settings)))
    other.load_state_dict(layouts.tensors_by_name(model, of=Tensor.detach), strict=True)
    return other.to(model.embed.weight.device).eval()

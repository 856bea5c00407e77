"""A text read by a model, once, as it reads in use."""

from collections.abc import Sequence

import torch

from moe_lite.model.transformer import LMOutput, MoELanguageModel, evaluating


@torch.no_grad()
def read(model: MoELanguageModel, ids: Sequence[int], **options: int) -> LMOutput:
    """The output for one text of token ids, in evaluation mode; the model keeps its own. options: such as top_k."""
    with evaluating(model):
        return model(torch.tensor([ids], device=model.embed.weight.device), **options)  # (1, N)

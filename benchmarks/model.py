"""The whole model that is trained and decoded, and one training step of it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moe_lite import ModelConfig, MoELanguageModel

CONFIG = ModelConfig(d_expert=256)  # 4 layers, D 128, E 8, K 2, vocabulary 2,048, balancing on
BATCH, LENGTH = 16, 128


def sizes(c: ModelConfig = CONFIG) -> str:
    shared = f" and {c.n_shared_experts} shared" if c.n_shared_experts else ""
    experts = f"F {c.d_expert}, E {c.n_experts}, K {c.top_k}{shared}"
    return f"L {c.n_layers}, D {c.d_model}, {experts}, V {c.vocab_size:,}"


@dataclass(frozen=True)
class Learner:
    """A model, and its loss and cross-entropy on ids (B, T)."""

    model: nn.Module
    losses: Callable[[Tensor], tuple[Tensor, Tensor]]


def learner_of(model: MoELanguageModel) -> Learner:
    def losses(ids: Tensor) -> tuple[Tensor, Tensor]:
        output = model(ids, targets_of(ids))
        return output.loss, output.cross_entropy

    return Learner(model, losses)


def targets_of(ids: Tensor) -> Tensor:
    """(B, T): the next token at each position; none at the last, as transformers shifts its labels."""
    return torch.cat([ids[:, 1:], torch.full_like(ids[:, :1], -100)], dim=1)


def random_ids(batch: int, length: int, device: torch.device | str = "cpu", below: int = CONFIG.vocab_size) -> Tensor:
    """(B, T) int64, the same in every run."""
    return torch.randint(below, (batch, length), generator=torch.Generator().manual_seed(0)).to(device)


def step(learner: Learner, ids: Tensor) -> Callable[[], None]:
    """One training step as `moe_lite.train` takes it, without drawing a batch."""
    parameters = list(learner.model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    learner.model.train()

    def one() -> None:
        optimizer.zero_grad()
        learner.losses(ids)[0].backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    return one

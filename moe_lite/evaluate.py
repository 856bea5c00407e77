"""Measuring a model on the validation split: loss by domain, who worked, and what a layer is given."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moe_lite.data import Corpus, validation_batches
from moe_lite.metrics import dead_experts, load_cv
from moe_lite.model.transformer import LMOutput, MoELanguageModel, evaluating


@dataclass(frozen=True)
class Evaluation:
    """Cross-entropy in nats per token by domain, and the load over all of the validation tokens."""

    loss: dict[str, float]
    load: Tensor  # (L, E) int64, of the sparse layers
    load_by_domain: dict[str, Tensor]  # (L, E) int64 each

    @property
    def mean_loss(self) -> float:
        """The mean over domains, each counting the same."""
        return sum(self.loss.values()) / len(self.loss)


@torch.no_grad()
def evaluate(
    model: MoELanguageModel, corpora: dict[str, Corpus], *, length: int | None = None, max_windows: int | None = None,
    top_k: int | None = None, batch_size: int = 16,
) -> Evaluation:  # fmt: skip
    """Measure on the validation split, nothing dropped; leaves the model, its mode and its counters as they were.

    length: tokens a window (default: the model's context); max_windows a domain (default: all of them);
    top_k: experts per token instead of the configured number.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    loss, loads = {}, {}
    try:
        batches = validation_batches(corpora, length or model.config.context_length, max_windows=max_windows)
        for domain, batch in batches.items():
            total, n_tokens, load = 0.0, 0, no_load(model)
            for ids, targets in zip(batch.ids.split(batch_size), batch.targets.split(batch_size), strict=True):
                output = model(ids.to(device), targets.to(device), top_k=top_k)
                counted = int((targets != -100).sum())
                total, n_tokens = total + output.cross_entropy.item() * counted, n_tokens + counted
                load = load + load_table(output, model)
            loss[domain], loads[domain] = total / n_tokens, load
    finally:
        model.train(was_training)
    return Evaluation(loss, torch.stack(list(loads.values())).sum(0), loads)


@torch.no_grad()
def tokens_into(part: nn.Module, model: MoELanguageModel, texts: Iterable[Tensor]) -> Tensor:
    """What `part` of the model is given while it reads texts, each ids (B, T): (N, D), N tokens of all texts together.

    Reads in evaluation mode, and leaves the mode as it was.
    """
    seen: list[Tensor] = []
    hook = part.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, -2)))
    try:
        with evaluating(model):
            for ids in texts:
                model(ids)
    finally:
        hook.remove()
    if not seen:
        raise ValueError(f"{type(part).__name__} was given nothing: is it a part of this model, and is there a text?")
    return torch.cat(seen)  # (N, D)


def report(model: MoELanguageModel, measured: Evaluation) -> str:
    """Validation loss by domain and the share of each expert, as text."""
    lines = ["", "validation loss, nats per token"]
    lines += [f"  {domain:12} {loss:6.3f}" for domain, loss in measured.loss.items()]
    lines += [f"  {'mean':12} {measured.mean_loss:6.3f}"]
    if not model.config.is_dense:
        lines += ["", f"share of assignments by expert, % (fair: {100 / model.config.n_choices:.1f})"]
        dead = dead_experts(measured.load).tolist()
        for i, load in enumerate(measured.load):
            shares = " ".join(f"{100 * share:5.1f}" for share in (load / load.sum()).tolist())
            layer = model.config.n_dense_layers + i + 1
            lines.append(f"  layer {layer}  {shares}   CV {load_cv(load).item():.2f}, dead {dead[i]}")
    return "\n".join(lines)


def no_load(model: MoELanguageModel) -> Tensor:
    shape = (0, 0) if model.config.is_dense else (model.config.n_sparse_layers, model.config.n_choices)
    return torch.zeros(shape, dtype=torch.int64)


def load_table(output: LMOutput, model: MoELanguageModel) -> Tensor:
    """(L, E) int64: assignments to each expert of each sparse layer in this pass; (0, 0) for a dense model."""
    return torch.stack([routing.load.cpu() for routing in output.routing]) if output.routing else no_load(model)

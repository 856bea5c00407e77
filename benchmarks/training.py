"""A whole training step: forward, balancing loss, backward, clipping, AdamW. Over a dense model of the same FLOPs."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmarks.contenders import close
from benchmarks.machine import waiting
from benchmarks.model import BATCH, CONFIG, LENGTH, Learner, learner_of, random_ids, sizes, step
from benchmarks.report import Row, rows_of
from moe_lite import ModelConfig, MoELanguageModel
from moe_lite.hf import twin
from moe_lite.lab.timing import interleaved
from moe_lite.metrics import flops_per_token
from moe_lite.model.config import dense_twin

Learners = dict[str, Learner]
CASES = {  # the second and the third are what the lessons train
    "training step": CONFIG,
    "training step, narrow experts": ModelConfig(),
    "training step, fine experts": ModelConfig(n_experts=32, top_k=7, d_expert=16, n_shared_experts=1),
}


def learners(config: ModelConfig = CONFIG, device: torch.device | str = "cpu") -> tuple[Learners, Learners]:
    """Dense models with equal weights, and sparse ones with equal weights."""
    dense = MoELanguageModel(dense_twin(config)).to(device)
    fast = MoELanguageModel(config).to(device)
    loop = MoELanguageModel(replace(config, implementation="loop")).to(device)
    coef = config.balance_coef / config.top_k  # transformers counts assignments per token, which gives K times ours
    settings = {"output_router_logits": True, "router_aux_loss_coef": coef}
    sparse = {"own sorted": learner_of(fast), "own loop": learner_of(loop)}
    for implementation in ("eager", "grouped_mm") if not config.n_shared_experts else ():  # Mixtral has none
        mixtral = twin(fast, experts_implementation=implementation, **settings)
        sparse[f"transformers Mixtral, {implementation}"] = _theirs(mixtral, coef)
    return {"own dense": learner_of(dense), "transformers Llama": _theirs(twin(dense))}, sparse


def compiled(config: ModelConfig, device: torch.device | str) -> Learner:
    """The same model through torch.compile, as TrainConfig(compile=True) trains it."""
    torch.compiler.reset()  # else what it knows of the case before counts against this one
    model = MoELanguageModel(config).to(device)  # with the weights of the others: they have the same seed
    return Learner(model, learner_of(torch.compile(model)).losses)


def training(
    rounds: int, threads: int, peak: float, device: torch.device, cases: Mapping[str, ModelConfig] = CASES
) -> list[Row]:  # fmt: skip
    """Milliseconds of a step on one batch of random tokens."""
    rows = []
    for case, config in cases.items():
        ids = random_ids(BATCH, LENGTH, device, config.vocab_size)
        dense, sparse = learners(config, device)
        sparse["own compiled"] = compiled(config, device)
        require_equal(dense, ids)
        require_equal(sparse, ids)
        steps = {name: waiting(step(learner, ids), device) for name, learner in (dense | sparse).items()}
        # forward and twice as much backward; a token sees half of the others on average
        flops = 3 * BATCH * LENGTH * flops_per_token(dense["own dense"].model, context=LENGTH // 2)
        rows += rows_of(
            interleaved(steps, rounds), section="train", case=case, threads=threads, over="own dense",
            flops=dict.fromkeys(steps, flops), peak=peak, note=f"{sizes(config)}, B {BATCH}, T {LENGTH}",
        )  # fmt: skip
    return rows


def require_equal(found: Learners, ids: Tensor) -> None:
    """AssertionError unless all have the cross-entropy of the first."""
    losses = {name: learner.losses(ids)[1].detach() for name, learner in found.items()}
    reference = next(iter(losses.values()))
    for name, loss in losses.items():
        close(loss, reference, f"{name}: its cross-entropy")


def _theirs(model: nn.Module, balance_coef: float = 0.0) -> Learner:
    def losses(ids: Tensor) -> tuple[Tensor, Tensor]:
        output = model(ids, labels=ids)
        balance = output.aux_loss if balance_coef else 0.0
        return output.loss, output.loss - balance_coef * balance

    return Learner(model, losses)

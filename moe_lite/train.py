"""Training as an iterator: each `next` is one optimizer step and gives a StepLog.

    run = train(model, corpora, TrainConfig(steps=400))
    for log in run:
        ...
    run.save("model.safetensors")          # at any step; `resume(path, corpora)` goes on to the same numbers

`python -m moe_lite.train` trains on the corpora and prints validation loss by domain and the load of every expert.
"""

import argparse
import math
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from moe_lite import checkpoint
from moe_lite.checkpoint import CheckpointError, load, save
from moe_lite.data import Corpus, load_corpora, sample_batch
from moe_lite.evaluate import Evaluation, evaluate, load_table, report
from moe_lite.metrics import count_parameters
from moe_lite.model.balance import quantile_bias_, remember_load_, soft_bias_step_, update_selection_bias_
from moe_lite.model.config import (
    ModelConfig,
    dense_twin,
    from_dict,
    is_not_negative,
    is_positive,
    is_positive_int,
    is_whole,
    require,
)  # fmt: skip
from moe_lite.model.routing import Router, Routing
from moe_lite.model.transformer import LMOutput, MoELanguageModel, one_mode

__all__ = [
    "Evaluation", "StepLog", "TrainConfig", "Training", "evaluate", "load", "resume", "save", "budgeted", "train"
]  # fmt: skip


BIAS_RULES = ("sign", "smebu", "quantile")


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Learning rate: linear warm-up, then cosine that would reach `min_lr_ratio · lr` at `steps`."""

    steps: int = 400
    batch_size: int = 16
    length: int = 128  # tokens a row
    lr: float = 2e-3
    warmup_steps: int = 40
    min_lr_ratio: float = 0.1
    weight_decay: float = 0.1  # matrices only
    clip_norm: float = 1.0
    bias_rule: str = "sign"  # how a selection bias is moved (balance.py)
    bias_step: float = 0.0  # for models with a selection bias; DeepSeek-V3 uses 0.001; "quantile" needs none
    bias_memory: float = 0.0  # share that stays at each step: of the momentum ("smebu": 0.5), of the bias ("quantile")
    bias_until: int | None = None  # the step after which the bias stands still; None: it never does
    freeze_router: bool = False  # the routers' weights stay as they were drawn
    compile: bool = False  # by torch.compile: a minute of waiting, then faster steps with one thread; other rounding
    seed: int = 0
    validate_every: int = 0  # 0: never during training
    validation_windows: int = 4  # a domain, while training

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "length"):
            require(self, name, is_positive_int, "a whole number of at least 1")
        for name in ("warmup_steps", "validate_every", "validation_windows", "seed"):
            require(self, name, is_whole, "a whole number of at least 0")
        require(self, "bias_until", lambda n: n is None or is_whole(n), "None or a whole number of at least 0")
        for name in ("lr", "clip_norm"):
            require(self, name, is_positive, "a number above 0")
        for name in ("weight_decay", "bias_step"):
            require(self, name, is_not_negative, "a number of at least 0")
        require(self, "min_lr_ratio", lambda r: 0 <= r <= 1, "a number from 0 to 1")
        for name in ("freeze_router", "compile"):
            require(self, name, lambda f: isinstance(f, bool), "True or False")
        require(self, "bias_rule", BIAS_RULES.__contains__, f"one of {BIAS_RULES}")
        require(self, "bias_memory", lambda m: is_not_negative(m) and m < 1, "a number from 0 to below 1")
        if self.bias_rule == "sign":
            require(self, "bias_memory", lambda m: not m, "0, because bias_rule='sign' remembers nothing")
        elif self.bias_rule == "quantile":
            require(self, "bias_step", lambda s: not s, "0, because bias_rule='quantile' computes the bias anew")
        else:
            require(self, "bias_step", bool, "a number above 0, because bias_rule='smebu' moves by steps")

    @property
    def moves_bias(self) -> bool:
        return self.bias_step > 0 or self.bias_rule == "quantile"


@dataclass(frozen=True)
class StepLog:
    """What one training step reports. The loss terms are those of the batch, before the update."""

    step: int  # 1 is the first
    tokens: int  # seen so far
    seconds: float  # spent in steps so far
    lr: float
    cross_entropy: float
    balance_loss: float
    z_loss: float
    load: Tensor  # (L, E) int64, assignments before dropping, of L sparse layers; (0, 0) for a dense model
    dropped: Tensor  # (L,) int64, assignments dropped
    validation: dict[str, float] | None  # cross-entropy by domain, where it was measured


class Training:
    """An iterator of StepLog. Stopping, an interrupt or an error leaves the model as the last whole step made it."""

    def __init__(
        self, model: MoELanguageModel, corpora: dict[str, Corpus], config: TrainConfig, *, device: torch.device | str
    ):
        if not corpora:
            raise ValueError("No corpora to train on: load_corpora() returned none of its domains.")
        if config.length > model.config.context_length:
            longest = model.config.context_length
            raise ValueError(f"length is {config.length}, more than the model's context_length of {longest}.")
        if config.moves_bias and not model.config.selection_bias:
            asked = f"bias_step is {config.bias_step}" if config.bias_step else "bias_rule='quantile' computes a bias"
            raise ValueError(f"{asked}, but the model has none: it needs selection_bias=True.")
        if config.bias_rule == "quantile" and (model.config.n_groups > 1 or model.config.select_on == "logit"):
            raise ValueError(
                "bias_rule is 'quantile', which compares scores of all experts: n_groups=1, select_on='score'."
            )
        self.model, self.corpora, self.config, self.device = model.to(device), corpora, config, torch.device(device)
        self.forward = torch.compile(self.model) if config.compile else self.model
        self.step, self.seconds = 0, 0.0
        self.generator = torch.Generator().manual_seed(config.seed)  # batches
        self.noise = torch.Generator(self.device).manual_seed(config.seed + 1)  # router jitter
        parameters = dict(model.named_parameters())
        if config.freeze_router:
            parameters = {name: p for name, p in parameters.items() if ".router." not in name}
        stands = {name: p.dim() > 1 and not name.endswith("_bias") for name, p in parameters.items()}
        matrices = [p for name, p in parameters.items() if stands[name]]
        vectors = [p for name, p in parameters.items() if not stands[name]]  # experts' biases are stacked
        groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.95), fused=True)
        self.trained = [*parameters.values()]
        self.momentum: dict[int, Tensor] = {}  # (E,) float32 by layer, of the biases (bias_rule="smebu")

    def __iter__(self) -> Iterator[StepLog]:
        return self

    def __next__(self) -> StepLog:
        if self.step >= self.config.steps:
            raise StopIteration
        began = time.perf_counter()
        lr = learning_rate(self.step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        state = self.generator.get_state(), self.noise.get_state()
        try:
            # a notebook may have switched gradients off, or write a text meanwhile, which needs another mode
            with torch.inference_mode(False), torch.enable_grad(), one_mode(self.model):
                self.model.train()
                output = self._gradients()
        except BaseException:  # an interrupt, too: the next step then draws the same batch
            self.generator.set_state(state[0])
            self.noise.set_state(state[1])
            raise
        self.optimizer.step()
        self._steer(output)
        self.step += 1
        self.seconds += time.perf_counter() - began
        return self._log(output, lr)

    def _gradients(self) -> LMOutput:
        batch = sample_batch(self.corpora, self.config.batch_size, self.config.length, self.generator)
        output = self._output(batch.ids.to(self.device), batch.targets.to(self.device))
        self._require_finite("loss", output.loss)
        self.model.zero_grad()
        output.loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.trained, self.config.clip_norm)
        self._require_finite("gradient's norm", norm)  # a finite loss can have an infinite slope
        return output

    def _output(self, ids: Tensor, targets: Tensor) -> LMOutput:
        """Of the compiled model; where compiling fails (no compiler, say), of the model itself from then on."""
        noise = self.noise.get_state()
        try:
            return self.forward(ids, targets, generator=self.noise)
        except Exception as error:
            if self.forward is self.model:
                raise
            reason = f"{error}".strip().partition("\n")[0]
            warnings.warn(f"torch.compile failed, so the model trains without it: {reason}", stacklevel=4)
            self.forward = self.model
        self.noise.set_state(noise)  # what failed may have drawn some
        return self.forward(ids, targets, generator=self.noise)

    def _require_finite(self, name: str, value: Tensor) -> None:
        if not value.isfinite():
            raise FloatingPointError(
                f"The {name} is {value.item()} at step {self.step + 1}; the model keeps the weights of step "
                f"{self.step}. Likely cause: a learning rate too large ({self.config.lr})."
            )

    @torch.no_grad()
    def _steer(self, output: LMOutput) -> None:
        """Move, by this batch's choices, what no gradient moves: biases, thresholds, remembered loads."""
        stands = self.config.bias_until is not None and self.step >= self.config.bias_until
        for routing in output.routing:
            router = self.model.blocks[routing.layer].feed_forward.router
            if router.bias is not None and self.config.moves_bias and not stands:
                self._move_bias(router, routing)
            if self.model.config.router == "expert_threshold":
                router.move(routing.of_real_tokens(routing.logits))
            if router.earlier is not None:
                remember_load_(router.earlier, routing.load)

    def _move_bias(self, router: Router, routing: Routing) -> None:
        config, bias = self.config, router.bias
        if config.bias_rule == "sign":
            update_selection_bias_(bias, routing.load, config.bias_step)
        elif config.bias_rule == "smebu":
            momentum = self.momentum.get(routing.layer, torch.zeros_like(bias)).to(bias.device)  # (E,)
            soft_bias_step_(bias, momentum, routing.load, config.bias_step, keep=config.bias_memory)
            self.momentum[routing.layer] = momentum
        else:
            scores = routing.of_real_tokens(routing.scores)  # (n, E)
            quantile_bias_(bias, scores, self.model.config.top_k, config.bias_memory)

    def _log(self, output: LMOutput, lr: float) -> StepLog:
        config = self.config
        validation = None
        if config.validate_every and self.step % config.validate_every == 0:
            measured = evaluate(self.model, self.corpora, length=config.length, max_windows=config.validation_windows)
            validation = measured.loss
        return StepLog(
            step=self.step,
            tokens=self.step * config.batch_size * config.length,
            seconds=self.seconds,
            lr=lr,
            cross_entropy=output.cross_entropy.item(),
            balance_loss=output.balance_loss.item(),
            z_loss=output.z_loss.item(),
            load=load_table(output, self.model),
            dropped=torch.tensor([int((r.load - r.load_kept).sum()) for r in output.routing], dtype=torch.int64),
            validation=validation,
        )

    def save(self, path: str | Path) -> Path:
        """Write model, optimizer, step and generators to `path`, atomically."""
        tensors = {"generator": self.generator.get_state(), "noise": self.noise.get_state()}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{name}": value for name, value in state.items()}
        tensors |= {f"momentum.{layer}": value for layer, value in self.momentum.items()}
        extra = {"train": asdict(self.config), "step": self.step, "seconds": self.seconds, "domains": [*self.corpora]}
        return save(path, self.model, extra=extra, extra_tensors=tensors)


def train(
    model: MoELanguageModel,
    corpora: dict[str, Corpus],
    config: TrainConfig | None = None,
    *,
    device: str | torch.device = "cpu",
) -> Training:
    """Train `model` in place, domains sampled in proportion to the square root of their size.

    Warns of a model whose selection bias is all that could balance it, and that `config` leaves where it is.
    """
    config = config or TrainConfig()
    c = model.config
    if c.selection_bias and not c.balance_coef and not config.moves_bias and not c.is_dense:
        warnings.warn(
            "Nothing balances the experts: the model has selection_bias=True and balance_coef=0, and bias_step is 0, "
            "so that its bias never moves. Train with TrainConfig(bias_step=0.001), or give the model a balance_coef.",
            stacklevel=2,
        )
    return Training(model, corpora, config, device=device)


def resume(
    path: str | Path,
    corpora: dict[str, Corpus],
    *,
    model: MoELanguageModel | None = None,
    device: str | torch.device = "cpu",
) -> Training:
    """Go on where `Training.save` stopped, to the same numbers. Raises CheckpointError for any other file.

    model: one of the same settings, with parts of your own, to load the weights into; the package's if None.
    """
    header, tensors = checkpoint.load_extra(path)
    if "train" not in header:
        raise CheckpointError(f"{path}: holds a model but no training to resume (no optimizer, no step).")
    if header["domains"] != [*corpora]:
        raise CheckpointError(f"{path}: was trained on {header['domains']}, these corpora are {[*corpora]}.")
    if model is None:
        model = load(path)
    else:
        checkpoint.restore(model, tensors, path)
    try:
        config = from_dict(TrainConfig, header["train"])
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its training settings do not fit this version: {error}") from error
    run = Training(model, corpora, config, device=device)
    run.step, run.seconds = header["step"], header["seconds"]
    run.generator.set_state(tensors["generator"])
    run.noise.set_state(tensors["noise"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
        elif name.startswith("momentum."):
            run.momentum[int(name.removeprefix("momentum."))] = tensor.to(run.device)
    run.optimizer.load_state_dict(run.optimizer.state_dict() | {"state": state})
    return run


T = TypeVar("T")


def budgeted(*, ci: T, normal: T, long: T) -> T:
    """How much of something a notebook does (steps of training, windows of text, rounds of timing), as $MOE_LITE_BUDGET
    says: "ci", "normal" (if it is not set) or "long"."""
    choices = {"ci": ci, "normal": normal, "long": long}
    chosen = os.environ.get("MOE_LITE_BUDGET") or "normal"
    if chosen not in choices:
        raise ValueError(f"MOE_LITE_BUDGET is {chosen!r}, expected one of {', '.join(choices)}.")
    return choices[chosen]


def learning_rate(step: int, config: TrainConfig) -> float:
    """Of the step after `step` whole ones: linear warm-up, then half a cosine."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    low = config.min_lr_ratio
    return config.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m moe_lite.train", description="Train a small MoE language model.")
    parser.add_argument("--steps", type=int, default=400, help="of 2,048 tokens (default 400)")
    parser.add_argument("--experts", type=int, default=8, help="1 is dense (default 8)")
    parser.add_argument("--top-k", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="with one thread: faster steps after a minute")
    parser.add_argument("--save", type=Path, help="where to write the checkpoint, also on Ctrl-C")
    parser.add_argument("--resume", type=Path, help="a checkpoint to go on from; other options are then its own")
    a = parser.parse_args(arguments)
    try:
        run = _prepared(a, corpora := load_corpora())
    except (AssertionError, OSError, RuntimeError, ValueError) as error:  # PyTorch asserts that it knows the device
        parser.error(str(error))
    count = count_parameters(run.model)
    print(f"{count.total:,} parameters, {count.active:,} active for a token, {torch.get_num_threads()} threads")
    try:
        for log in run:
            if log.step % 20 == 0 or log.step == run.config.steps:
                speed = log.tokens / log.seconds
                print(f"step {log.step:5}  cross-entropy {log.cross_entropy:.3f}  {speed:,.0f} tokens/s", flush=True)
    except KeyboardInterrupt:
        print(f"Stopped at step {run.step}; the model of that step is measured next.")
    if a.save:
        print(f"saved {run.save(a.save)}")
    print(report(run.model, evaluate(run.model, corpora)))


def _prepared(a: argparse.Namespace, corpora: dict[str, Corpus]) -> Training:
    """The training that the command line asks for; what cannot work is refused here, before the first step."""
    if a.save:
        checkpoint.check_path(a.save)
    if a.resume:
        return resume(a.resume, corpora, device=a.device)
    model = MoELanguageModel(_model_config(a.experts, a.top_k), seed=a.seed)
    warmup = min(TrainConfig.warmup_steps, a.steps // 10)  # else a short training would end while warming up
    config = TrainConfig(steps=a.steps, warmup_steps=warmup, seed=a.seed, compile=a.compile)
    return train(model, corpora, config, device=a.device)


def _model_config(n_experts: int, top_k: int) -> ModelConfig:
    if n_experts == 1:
        return dense_twin(ModelConfig())
    # one weight divided by itself is 1 whatever the router says: it would have no gradient
    return ModelConfig(n_experts=n_experts, top_k=top_k, renorm=top_k != 1)


if __name__ == "__main__":
    main()

"""Eight ways to build a sparse layer wrong that no error message reports: the model trains, and something is off.

Each is planted from the outside into a model that was built right.

model = MoELanguageModel(config)
FAILURES["bfloat16"].plant(model)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from moe_lite.model.routing import Router, Routing, route
from moe_lite.model.transformer import MoELanguageModel

TOO_LARGE = 30.0  # a coefficient; a usual one is 0.01
TOO_FULL = 0.5  # a capacity factor: half of all assignments cannot find room


@dataclass(frozen=True)
class Failure:
    """One thing gone wrong."""

    title: str
    what: str  # one sentence: what the code does
    plant: Callable[[MoELanguageModel], None]  # changes the model in place, before it is trained


# ---- in the settings -------------------------------------------------------------------------------------------------


def no_balancing(model: MoELanguageModel) -> None:
    model.config = replace(model.config, balance_coef=0.0, selection_bias=False)
    for layer in _layers(model):
        layer.router.bias = None


def coefficient_too_large(model: MoELanguageModel) -> None:
    model.config = replace(model.config, balance_coef=TOO_LARGE)


def not_renormalised(model: MoELanguageModel) -> None:
    for layer in _layers(model):
        layer.router.options["renorm"] = False


def too_little_capacity(model: MoELanguageModel) -> None:
    for layer in _layers(model):
        layer.capacity = TOO_FULL


# ---- in the router's code --------------------------------------------------------------------------------------------


class LeakyRouter(Router):
    """The weights are made of what the experts were chosen by, so the bias is in them."""

    def forward(self, x: Tensor, **options) -> Routing:
        routing = super().forward(x, **options)
        weights = (routing.scores + self.bias)[routing.token_ids, routing.expert_ids]  # (A,)
        total = weights.new_zeros(routing.n_tokens).index_add(0, routing.token_ids, weights)  # (N,)
        return replace(routing, weights=weights / total[routing.token_ids])


class TwiceSoftmaxRouter(Router):
    """The first softmax gives numbers between 0 and 1; the second takes those for logits."""

    def forward(self, x: Tensor, **options) -> Routing:
        routing = super().forward(x, **options)
        return replace(_choose_again(self, routing, routing.scores), logits=routing.logits)


class NoiseInEvaluationRouter(Router):
    """The jitter does not ask whether this is training."""

    def forward(self, x: Tensor, **options) -> Routing:
        if not self.training:
            noise = torch.rand(x.shape, generator=options.get("generator"), device=x.device)  # [0, 1)
            x = x * (1 + self.jitter * (2 * noise - 1))
        return super().forward(x, **options)


class BFloat16Router(Router):
    """Input and logits have the eight significant bits of bfloat16."""

    def forward(self, x: Tensor, **options) -> Routing:
        routing = super().forward(x.bfloat16(), **options)
        return _choose_again(self, routing, routing.logits.bfloat16().float())


def _choose_again(router: Router, routing: Routing, logits: Tensor) -> Routing:
    """The routing that other logits (N, E) give."""
    k = len(routing.token_ids) // routing.n_tokens
    return route(
        logits, k, bias=router.bias, layer=routing.layer, batch_shape=routing.batch_shape,
        token_mask=routing.token_mask, **router.options,
    )  # fmt: skip


def put_in(kind: type[Router]) -> Callable[[MoELanguageModel], None]:
    """What replaces every router by one of this kind with the same weights and settings."""

    def plant(model: MoELanguageModel) -> None:
        for layer in _layers(model):
            old = layer.router
            n_experts, d_model = old.weight.shape
            new = kind(
                d_model, n_experts, old.k, jitter=old.jitter, selection_bias=old.bias is not None, layer=old.layer,
                **old.options,
            )  # fmt: skip
            new.load_state_dict(old.state_dict())
            layer.router = new.to(old.weight.device).train(old.training)

    return plant


def _layers(model: MoELanguageModel) -> list:
    if model.config.is_dense:
        raise ValueError("A dense model has no router in which anything could go wrong.")
    return model.moe_layers


# ---- the list --------------------------------------------------------------------------------------------------------

HEALTHY = "healthy"
FAILURES: dict[str, Failure] = {
    "no_balancing": Failure(
        "no balancing",
        "The balancing loss has coefficient 0 and the selection bias is gone.",
        no_balancing,
    ),
    "coefficient_too_large": Failure(
        "coefficient far too large",
        f"The balancing loss has coefficient {TOO_LARGE:g}: being even counts more than the text.",
        coefficient_too_large,
    ),
    "bias_in_weights": Failure(
        "bias leaks into the weights",
        "The selection bias is added to the scores, and the sums are used as weights, too.",
        put_in(LeakyRouter),
    ),
    "softmax_twice": Failure(
        "softmax twice",
        "The scores go through a second softmax, which makes them nearly equal.",
        put_in(TwiceSoftmaxRouter),
    ),
    "not_renormalised": Failure(
        "weights not renormalised",
        "The scores of the dropped experts are gone, and the kept ones are not divided by their sum.",
        not_renormalised,
    ),
    "capacity_half": Failure(
        f"capacity factor {TOO_FULL:g}",
        "In training the experts together have room for half of the assignments.",
        too_little_capacity,
    ),
    "noise_in_evaluation": Failure(
        "jitter on in evaluation",
        "The router's input is multiplied by noise in evaluation, as it is in training.",
        put_in(NoiseInEvaluationRouter),
    ),
    "bfloat16": Failure(
        "router in bfloat16",
        "The router's input and logits are rounded to eight significant bits.",
        put_in(BFloat16Router),
    ),
}

"""From a token's vector to its experts: scores, choice, weights.

Every family of routers is a setting of `route`; `Router` only adds the learned matrix. Router arithmetic is
float32 whatever the rest of the model computes in (Switch Transformers, arXiv 2101.03961, section 2.4).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moe_lite.model.config import CHOICES
from moe_lite.model.fast import best_of, softmax_rows
from moe_lite.model.inputs import checked_mask

TopK = Callable[[Tensor, int], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Routing:
    """Which expert takes which token, and with what weight. Assignments are sorted by expert, then by token."""

    token_ids: Tensor  # (A,) int64
    expert_ids: Tensor  # (A,) int64
    weights: Tensor  # (A,)
    kept: Tensor  # (A,) bool; False: dropped, its expert was full, or there is none behind it (mlp)
    logits: Tensor  # (N, E) float32, with graph; before logit_scale and logit_softcap
    scores: Tensor  # (N, E) float32, with graph
    n_tokens: int
    n_experts: int
    layer: int = 0
    batch_shape: tuple[int, int] = (1, 0)  # (B, T), N = B·T
    token_mask: Tensor | None = None  # (N,) bool; False: padding, left out of loads and losses
    smooth_load: Tensor | None = None  # (E,) with graph: the load to be expected under fresh noise (noisy top-k)
    shared_weights: Tensor | None = None  # (N, S) weights of the shared experts (competing_shared); None: all 1
    state: Tensor | None = None  # (N, R) what the next layer's router reads (mlp)
    earlier: Tensor | None = None  # (E,) int64, loads of earlier batches that the balancing loss counts as well

    @cached_property
    def combine(self) -> Tensor:
        """(N, E): the weight of each expert for each token, 0 where not chosen or dropped."""
        combine = self.weights.new_zeros(self.n_tokens, self.n_experts)  # (N, E)
        return combine.index_put((self.token_ids, self.expert_ids), self.weights * self.kept)

    @cached_property
    def load(self) -> Tensor:
        """(E,) int64: assignments to each expert, before any is dropped; padding not counted."""
        return self._count(torch.ones_like(self.kept))

    @cached_property
    def load_kept(self) -> Tensor:
        """(E,) int64: assignments that found room."""
        return self._count(self.kept)

    @cached_property
    def top_k(self) -> tuple[Tensor, Tensor]:
        """weights (N, K) and expert_ids (N, K), largest weight first; ValueError where K differs among tokens."""
        if len(self.token_ids) % max(self.n_tokens, 1) or (self.per_token != self.per_token[:1]).any():
            counts = sorted(set(self.per_token.tolist()))
            raise ValueError(f"Tokens of this routing have {counts} experts each, so there is no (N, K) table of them.")
        by_token = self.token_ids.argsort(stable=True)  # (A,) token by token, experts ascending
        weights = self.weights[by_token].view(self.n_tokens, -1)  # (N, K)
        expert_ids = self.expert_ids[by_token].view(self.n_tokens, -1)  # (N, K)
        weights, order = weights.sort(dim=-1, descending=True, stable=True)
        return weights, expert_ids.gather(1, order)

    @cached_property
    def per_token(self) -> Tensor:
        """(N,) int64: how many experts each token was given."""
        return torch.bincount(self.token_ids, minlength=self.n_tokens)

    def of_real_tokens(self, rows: Tensor) -> Tensor:
        """rows (N, ...) of tokens that are not padding, without graph -> (n, ...)."""
        return rows.detach() if self.token_mask is None else rows.detach()[self.token_mask]

    def _count(self, chosen: Tensor) -> Tensor:
        if self.token_mask is not None:
            chosen = chosen & self.token_mask[self.token_ids]
        return torch.bincount(self.expert_ids[chosen], minlength=self.n_experts)


def top_k_route(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best experts of each token and their weights, renormalised to sum to 1 (Mixtral, arXiv 2401.04088).

    scores (N, E), non-negative -> weights (N, k), expert_ids (N, k) int64; best first, among equals the lower number.
    """
    values, expert_ids = top_k_stable(scores, k)
    return values / values.sum(dim=-1, keepdim=True), expert_ids


def top_k_stable(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Like `topk`, but among equal values the lower index comes first, on every machine."""
    n_experts = values.shape[-1]
    if not 1 <= k <= n_experts:
        raise ValueError(f"top-k with k={k} among {n_experts} experts: k must be from 1 to {n_experts}.")
    expert_ids = best_of(values.detach(), k)  # (N, k)
    return values.gather(1, expert_ids), expert_ids


SCORE_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": softmax_rows,
    "sigmoid": torch.sigmoid,
    "sqrtsoftplus": lambda z: F.softplus(z).sqrt(),
}


def route(
    logits: Tensor,
    k: int,
    *,
    score: str = "softmax",
    order: str = "score_first",
    renorm: bool = True,
    renorm_eps: float = 0.0,
    routed_scale: float = 1.0,
    logit_scale: float = 1.0,
    logit_softcap: float | None = None,
    bias: Tensor | None = None,
    select_on: str = "score",
    n_groups: int = 1,
    topk_groups: int = 1,
    group_score: str = "top2sum",
    group_fill: str = "-inf",
    chosen: Tensor | None = None,
    top_k_fn: TopK | None = None,
    layer: int = 0,
    batch_shape: tuple[int, int] | None = None,
    token_mask: Tensor | None = None,
) -> Routing:
    """Choose k experts for each token from the router's logits (N, E) float32.

    logit_scale, logit_softcap  first, z becomes scale · z, and then cap · tanh(z / cap)
    score        softmax over the experts, or for each alone a sigmoid (DeepSeek-V3, Llama 4) or sqrt(softplus(z))
    order        score_first: score, then keep the k best. topk_first: keep the k best logits, then score those
    renorm       divide the kept weights by their sum + renorm_eps (Mixtral; OLMoE and DeepSeek-V2 do not divide)
    routed_scale multiplies the weights (DeepSeek-V3: 2.5)
    bias (E,)    added for choosing only, never to the weights (DeepSeek-V3), to what select_on says: score or logit
    n_groups     experts stand in equal groups; only the topk_groups best groups may be chosen from. A group's value:
                 group_score max (DeepSeek-V2) or top2sum (DeepSeek-V3). Experts of the others become group_fill
    chosen (N, k) experts that were chosen already, by whatever rule; only the weights are computed
    top_k_fn     replaces choice and weights by your own function with the signature of `top_k_route`
    """
    _check_options(score, order, select_on, group_score, group_fill, on_scores=bias is not None or n_groups > 1)
    function, z = SCORE_FUNCTIONS[score], _bent(logits, logit_scale, logit_softcap)  # z (N, E)
    scores = function(z)  # (N, E)
    if top_k_fn is not None:
        # a copy: what the function does to its argument stays its own affair
        weights, expert_ids = checked(top_k_fn(scores.clone(), k), scores, k)  # (N, K), (N, K)
    elif chosen is not None:
        expert_ids, weights = chosen, scores.gather(1, chosen)  # (N, K), (N, K)
    elif order == "topk_first":
        expert_ids = best_of(z.detach(), k)  # (N, K)
        weights = function(z.gather(1, expert_ids))  # (N, K)
    else:
        selection = scores if select_on == "score" else z  # (N, E)
        if bias is not None:
            selection = selection + bias
        if n_groups > 1:
            selection = _mask_groups(selection, k, n_groups, topk_groups, group_score, group_fill)
        expert_ids = best_of(selection.detach(), k)  # (N, K)
        weights = scores.gather(1, expert_ids)  # (N, K) from the unbiased scores
    if renorm and top_k_fn is None:
        weights = weights / _total(weights, score, renorm_eps)
    if routed_scale != 1:
        weights = weights * routed_scale
    return assignments(weights, expert_ids, logits, scores, layer, batch_shape, token_mask)


def _bent(logits: Tensor, scale: float, softcap: float | None) -> Tensor:
    """scale · z, then softcap · tanh(z / softcap), which keeps |z| below softcap. Any shape -> the same."""
    z = logits if scale == 1 else logits * scale
    return z if softcap is None else (z / softcap).tanh() * softcap


def _total(weights: Tensor, score: str, eps: float) -> Tensor:
    """weights (N, K) -> (N, 1): what renormalising divides by."""
    total = weights.sum(dim=-1, keepdim=True)
    if eps:
        total = total + eps
    return total if score == "softmax" else total.clamp(min=1e-20)  # all-zero sigmoids would give 0/0


def _check_options(score: str, order: str, select_on: str, group_score: str, group_fill: str, on_scores: bool) -> None:
    given = {"score": score, "order": order, "select_on": select_on}
    for name, value in (given | {"group_score": group_score, "group_fill": group_fill}).items():
        if value not in CHOICES[name]:
            raise ValueError(f"{name} is {value!r}, expected one of {CHOICES[name]}.")
    if order == "topk_first" and on_scores:
        raise ValueError("order='topk_first' chooses among logits; bias and n_groups are defined on scores.")


def _mask_groups(selection: Tensor, k: int, n_groups: int, topk_groups: int, group_score: str, fill: str) -> Tensor:
    """(N, E) -> (N, E) with `fill` in every group that is not among the best; zero still wins over negatives."""
    n_experts = selection.shape[-1]
    if n_experts % n_groups or not 1 <= topk_groups <= n_groups or k > topk_groups * n_experts // n_groups:
        raise ValueError(
            f"k={k} experts cannot come from the best {topk_groups} of {n_groups} equal groups of {n_experts} experts."
        )
    grouped = selection.unflatten(-1, (n_groups, -1))  # (N, G, E/G)
    if group_score == "max":
        value = grouped.amax(dim=-1)  # (N, G)
    else:
        value = grouped.topk(min(2, grouped.shape[-1]), dim=-1).values.sum(dim=-1)  # (N, G)
    _, best = top_k_stable(value, topk_groups)  # (N, topk_groups)
    open_ = torch.zeros_like(value, dtype=torch.bool).scatter(1, best, True)  # (N, G)
    return grouped.masked_fill(~open_.unsqueeze(-1), float("-inf") if fill == "-inf" else 0.0).flatten(1)


def checked(result: object, scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """What a function passed in returned, or a TypeError/ValueError that says what is wrong with it."""
    if not (isinstance(result, tuple) and len(result) == 2 and all(isinstance(t, Tensor) for t in result)):
        raise TypeError(
            f"top_k_fn must return two tensors, weights and expert_ids; it returned {type(result).__name__}."
        )
    weights, expert_ids = result
    n_tokens, n_experts = scores.shape
    for name, tensor in (("weights", weights), ("expert_ids", expert_ids)):
        if tensor.shape != (n_tokens, k):
            raise ValueError(f"top_k_fn: {name} have shape {tuple(tensor.shape)}, expected (N, k) = {(n_tokens, k)}.")
    if not weights.is_floating_point():
        raise TypeError(f"top_k_fn: weights are {weights.dtype}, expected floating-point numbers.")
    if expert_ids.is_floating_point() or expert_ids.dtype == torch.bool:
        raise TypeError(f"top_k_fn: expert_ids are {expert_ids.dtype}, expected torch.int64.")
    if len(expert_ids) and not 0 <= int(expert_ids.min()) <= int(expert_ids.max()) < n_experts:
        low, high = int(expert_ids.min()), int(expert_ids.max())
        raise ValueError(f"top_k_fn: expert_ids run from {low} to {high}, but experts are 0 to {n_experts - 1}.")
    ordered = expert_ids.sort(dim=-1).values  # (N, K)
    twice = ordered[:, 1:] == ordered[:, :-1]  # (N, K-1)
    if twice.any():
        token, place = twice.nonzero()[0].tolist()
        expert = int(ordered[token, place])
        raise ValueError(f"top_k_fn: token {token} got expert {expert} twice; the k experts must differ.")
    return weights, expert_ids.long()


def assignments(weights, expert_ids, logits, scores, layer=0, batch_shape=None, token_mask=None) -> Routing:
    """The record of weights (N, K) and expert_ids (N, K), sorted by expert."""
    n_tokens, k = expert_ids.shape
    # stable: within an expert the tokens stay in order
    expert_ids, by_expert = expert_ids.flatten().sort(stable=True)  # (A,), (A,)
    return Routing(
        token_ids=by_expert // k, expert_ids=expert_ids, weights=weights.flatten().index_select(0, by_expert),
        kept=torch.ones_like(by_expert, dtype=torch.bool), logits=logits, scores=scores, n_tokens=n_tokens,
        n_experts=logits.shape[-1], layer=layer, batch_shape=batch_shape or (1, n_tokens), token_mask=token_mask,
    )  # fmt: skip


class Router(nn.Module):
    """One row of weights per expert; a token's logit for an expert is their dot product."""

    takes: tuple[str, ...] = ()  # settings of ModelConfig that a kind of router asks for by name
    steered: tuple[str, ...] = ("bias",)  # float32 buffers, moved by a rule in the trainer, never by a gradient

    def __init__(
        self, d_model: int, n_experts: int, top_k: int, *, jitter: float = 0.0, selection_bias: bool = False,
        router_bias: bool = False, balance_batches: int = 1, layer: int = 0, **options,
    ):  # fmt: skip
        """`options` go to `route`: those of `ModelConfig.routing_options`, and top_k_fn."""
        super().__init__()
        self.k, self.layer, self.jitter, self.options = top_k, layer, jitter, options
        self.weight = nn.Parameter(torch.empty(n_experts, d_model))
        self.logit_bias = nn.Parameter(torch.zeros(n_experts)) if router_bias else None
        self.register_buffer("bias", torch.zeros(n_experts) if selection_bias else None)
        window = torch.zeros(balance_batches - 1, n_experts, dtype=torch.int64)  # (W, E)
        self.register_buffer("earlier", window if balance_batches > 1 else None)  # loads of the last batches

    def _apply(self, fn, recurse=True):
        """What is steered stays float32 whatever the model becomes: bfloat16 would swallow small steps."""
        before = {name: tensor for name in self.steered if (tensor := getattr(self, name)) is not None}
        super()._apply(fn, recurse)
        for name, old in before.items():
            moved = getattr(self, name)
            setattr(self, name, moved.float() if old.is_meta else old.to(moved.device))
        return self

    def forward(
        self, x: Tensor, *, token_ids=None, generator=None, top_k=None, token_mask=None, before=None
    ) -> Routing:
        """x (B, T, D), or (N, D) as one row of tokens -> Routing of its N = B·T tokens.

        token_ids (B, T) is for routers that choose by the token itself (hash), before, the Routing of the layer before,
        for those that read its state (mlp); this one ignores both.
        top_k overrides the number of experts for this call; token_mask (B, T) bool marks padding with False.
        generator drives the jitter, which exists in training only.
        """
        flat = x.flatten(0, -2).float()  # (N, D)
        shape = {
            "layer": self.layer,
            "batch_shape": tuple(x.shape[:2]) if x.dim() == 3 else (1, len(flat)),
            "token_mask": None if token_mask is None else checked_mask(token_mask, x.shape[:-1]).flatten(),  # (N,)
        }
        routing = self.choose_experts(flat, top_k or self.k, generator, shape, token_ids=token_ids, before=before)
        if self.earlier is not None and self.training:
            routing = replace(routing, earlier=self.earlier.sum(dim=0))
        return routing

    def choose_experts(self, flat: Tensor, k: int, generator, shape: dict, **_) -> Routing:
        """What routers differ in. flat (N, D) float32; `shape` is what a Routing says of the batch.

        token_ids and before come as keywords, as `forward` was given them.
        """
        if self.training and self.jitter:
            noise = torch.rand(flat.shape, generator=generator, device=flat.device)  # (N, D) in [0, 1)
            flat = flat * (1 + self.jitter * (2 * noise - 1))  # the router's copy only; experts see x
        return route(self.logits(flat), k, bias=self.bias, **shape, **self.options)

    def logits(self, flat: Tensor) -> Tensor:
        """flat (N, D) -> (N, E) float32."""
        z = self.project(flat, self.weight)  # (N, E)
        return z if self.logit_bias is None else z + self.logit_bias.float()

    @staticmethod
    def project(flat: Tensor, weight: Tensor) -> Tensor:
        """flat (N, D), weight (E, D) -> (N, E) float32, also where autocast computes everything else in less."""
        with torch.autocast(flat.device.type, enabled=False):
            return F.linear(flat, weight.float())

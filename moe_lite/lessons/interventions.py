"""What changes if an expert is missing, or if another rule chooses? Lesson 08's twins of a model, to be evaluated.

Each of them shares the weights of the model that it was made from, and leaves that model as it was. Layers are counted
as in `model.blocks` and `Routing.layer`: from 0, dense ones included.
"""

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor, nn

from moe_lite.model.routing import Router, Routing, TopK, route, top_k_route, top_k_stable
from moe_lite.model.transformer import MoELanguageModel

# x (N, D) float32, token_ids (N,), k -> expert_ids (N, k): who takes each token. The weights stay the router's own.
Rule = Callable[[Tensor, Tensor, int], Tensor]


def twin_of(model: MoELanguageModel) -> MoELanguageModel:
    """A copy of the model in evaluation mode that shares all weights and buffers; settings of its routers are its own.

    If the model is trained further, the twin follows.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared).eval()


# ---- muting ----------------------------------------------------------------------------------------------------------


def without_experts(
    model: MoELanguageModel, experts: Collection[int] = (), layers: Collection[int] | None = None
) -> MoELanguageModel:
    """A twin of the model in which `experts` cannot be chosen in `layers` (default: in all sparse layers).

    Their columns are taken out of the scores before the choice, so the next best experts move up and the weights are
    made from the chosen ones by the router's own rule (renormalised, if it does that). Scores themselves stay as they
    are. Later layers see what the changed experts computed: a token may change its experts there because of it. If
    the model was given a top_k_fn, that function chooses, from the narrower scores. A model in evaluation mode is
    returned itself where nothing is muted. ValueError for experts or layers that are not there, and for routers that do
    not take the best scores.
    """
    if not experts:
        return twin_of(model) if model.training else model
    twin = twin_of(model)
    routers = routers_of(twin)
    if not routers:
        dense, theirs = "the model is dense", f"the routers of a {type(model).__name__} model are not ours"
        raise ValueError(f"No expert can be muted here: {dense if model.config.is_dense else theirs}.")
    if model.config.router not in ("top_k", "noisy_top_k", "normed"):
        raise ValueError(
            f"Muting is not possible with router={model.config.router!r}: it does not take the best scores."
        )
    for layer in _sparse(routers, routers if layers is None else layers):
        if layer in _ruled(twin):
            raise ValueError(f"Muting is not possible in layers[{layer}]: another rule chooses there (`with_routers`).")
        router = routers[layer]
        choose = router.options.get("top_k_fn") or _own_choice(router)
        router.options["top_k_fn"] = _without(choose, experts, len(router.weight))
    return twin


def _own_choice(router: Router) -> TopK:
    """The choice that this router makes from its scores alone, as a function like `top_k_route`."""
    options = router.options
    if router.bias is not None or options.get("n_groups", 1) > 1:
        raise ValueError("Muting is not possible in a router with a selection bias or with groups.")
    return top_k_route if options.get("renorm", True) or _softmax_of_kept(options) else top_k_stable


def _softmax_of_kept(options: Mapping) -> bool:
    """Whether the weights are a softmax over the chosen logits alone: the same as renormalised probabilities."""
    return options.get("order") == "topk_first" and options.get("score", "softmax") == "softmax"


def _without(choose: TopK, muted: Collection[int], n_experts: int) -> TopK:
    if absent := sorted(set(muted) - set(range(n_experts))):
        raise ValueError(f"experts are {absent}, but this model has the experts 0 to {n_experts - 1}.")
    open_ = torch.tensor([e for e in range(n_experts) if e not in muted], dtype=torch.int64)  # (E − muted,)

    def choose_open(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        result = choose(scores[:, open_.to(scores.device)], k)
        ids = result[1] if isinstance(result, tuple) and len(result) == 2 else None
        if not isinstance(ids, Tensor) or ids.is_floating_point():
            return result  # not a choice: the router says what is wrong with it
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < len(open_):
            low, high = int(ids.min()), int(ids.max())
            raise ValueError(f"top_k_fn: expert_ids run from {low} to {high}, but it was given {len(open_)} scores.")
        return result[0], open_.to(ids.device).index_select(0, ids.flatten()).view_as(ids)

    return choose_open


def top_k_without(scores: Tensor, k: int, muted: Sequence[int]) -> tuple[Tensor, Tensor]:
    """`top_k_route` among the experts that are not muted: scores (N, E) -> weights (N, k), expert_ids (N, k)."""
    allowed = scores.clone()
    allowed[:, list(muted)] = float("-inf")
    return top_k_route(allowed, k)


def control(load: Tensor, experts: Sequence[int]) -> list[int]:
    """As many other experts whose load together is nearest to that of `experts`: load (E,) -> their numbers.

    What muting these costs tells how much of a loss is due to an expert's load alone. For the loss on one domain, pass
    the load of that domain: an expert as busy in the whole text may hardly work there. Among equals the lower numbers.
    ValueError if too few others are left.
    """
    others = [e for e in range(len(load)) if e not in experts]
    if not 0 < len(experts) <= len(others):
        raise ValueError(f"{len(experts)} of {len(load)} experts: expected at least one, and as many others.")
    wanted = load[list(experts)].sum()
    return list(min(combinations(others, len(experts)), key=lambda group: abs(int(load[list(group)].sum() - wanted))))


class DomainExpert(NamedTuple):
    """Whether a domain has an expert of its own in a layer."""

    expert: int  # the candidate: of all experts the one with the largest share of the domain in its own assignments
    control: int  # the other expert with the nearest number of assignments of this domain
    holds: bool  # muting the candidate costs the domain more than muting the control, and more than any other domain


def domain_expert(counts: Tensor, effect: Tensor, domain: int) -> DomainExpert:
    """Judge from counts (E, D) and effect (E, D), the rise of each domain's loss with one expert muted, in nats."""
    load = counts.sum(dim=1)  # (E,)
    return judged(counts, effect, domain, int((counts[:, domain] / load.clamp(min=1)).argmax()))


def judged(counts: Tensor, effect: Tensor, domain: int, expert: int) -> DomainExpert:
    """The same for a candidate of any origin, such as one that was drawn: what the rule says without looking."""
    other = control(counts[:, domain], [expert])[0]
    mine, elsewhere = effect[expert, domain], effect[expert][torch.arange(effect.shape[1]) != domain]  # (), (D − 1,)
    return DomainExpert(expert, other, bool(mine > effect[other, domain] and (mine > elsewhere).all()))


# ---- another choice --------------------------------------------------------------------------------------------------


class RuledRouter(nn.Module):
    """A router whose experts are chosen by a rule; it only weighs them, by its own scores and its own settings."""

    def __init__(self, router: Router, rule: Rule):
        super().__init__()
        self.router, self.rule = router, rule

    def forward(self, x: Tensor, *, token_ids: Tensor, top_k: int | None = None, **given) -> Routing:
        """x (B, T, D), token_ids (B, T) -> Routing. Like `Router.forward`. ValueError for a choice that is none."""
        own, k = self.router(x, token_ids=token_ids, top_k=top_k, **given), top_k or self.router.k
        chosen = self.rule(x.flatten(0, -2).float(), token_ids.flatten(), k)  # (N, K)
        _check(chosen, own, k)
        options = self.router.options | ({"renorm": True} if _softmax_of_kept(self.router.options) else {})
        return route(
            own.logits, k, chosen=chosen, layer=own.layer, batch_shape=own.batch_shape, token_mask=own.token_mask,
            **options,
        )  # fmt: skip


def with_routers(model: MoELanguageModel, rules: Mapping[int, Rule]) -> MoELanguageModel:
    """A twin of the model whose layers choose by these rules, {layer: rule}; only who works is another.

    The weights are the model's own scores of the experts so chosen, renormalised if the model does that. ValueError for
    layers that are not sparse, and for a model whose choice or weights are another function's already.
    """
    if model.config.router not in ("top_k", "noisy_top_k"):
        raise ValueError(f"Rules take the place of router='top_k' or 'noisy_top_k', not of {model.config.router!r}.")
    twin = twin_of(model)
    routers = routers_of(twin)
    for layer in _sparse(routers, rules):
        if layer in _ruled(twin) or routers[layer].options.get("top_k_fn"):
            raise ValueError(f"layers[{layer}] chooses by a function that it was given; expected the router's own.")
        twin.blocks[layer].feed_forward.router = RuledRouter(routers[layer], rules[layer])
    return twin


def random_choice(n_experts: int, seed: int = 0) -> Rule:
    """Each token draws its experts, all different and all equally likely; a new draw each time that it is read."""
    generator = torch.Generator().manual_seed(seed)

    def draw(x: Tensor, token_ids: Tensor, k: int) -> Tensor:
        return torch.rand(len(x), n_experts, generator=generator).topk(k, dim=-1).indices.to(x.device)  # (N, k)

    return draw


def frozen_choice(n_experts: int, d_model: int, seed: int = 0) -> Rule:
    """The best of a router with random weights that nobody trained. It follows the token's vector x all the same."""
    weight = torch.randn(n_experts, d_model, generator=torch.Generator().manual_seed(seed))  # (E, D)
    return lambda x, token_ids, k: top_k_stable(Router.project(x, weight.to(x.device)), k)[1]  # (N, k)


def renumbered_choice(router: Router, by: int = 1) -> Rule:
    """The router's own choice with `by` added to each expert's number, around at E: equal tokens stay together."""

    def shift(x: Tensor, token_ids: Tensor, k: int) -> Tensor:
        return (top_k_stable(Router.project(x, router.weight), k)[1] + by) % len(router.weight)  # (N, k)

    return shift


def table_choice(table: Tensor) -> Rule:
    """Look the experts up by the token's id, as hash routing does: table (V, K), best first; k is at most K."""

    def look_up(x: Tensor, token_ids: Tensor, k: int) -> Tensor:
        if k > table.shape[1]:
            raise ValueError(f"top_k is {k}, but the table has {table.shape[1]} experts per token.")
        return table.to(x.device)[token_ids, :k]  # (N, k)

    return look_up


def token_table(token_ids: Tensor, expert_ids: Tensor, n_experts: int, vocab_size: int) -> Tensor:
    """The K experts that each token id got most often: token_ids (N,), expert_ids (N, K) -> (V, K) int64.

    Of all tables this one shares the most choices with these. Equals are ordered by their load in the whole text, so an
    id that never came gets the most loaded experts.
    """
    k = expert_ids.shape[1]
    pairs = token_ids[:, None] * n_experts + expert_ids  # (N, K)
    table = torch.bincount(pairs.flatten(), minlength=vocab_size * n_experts).view(vocab_size, n_experts)  # (V, E)
    load = table.sum(dim=0).double()  # (E,)
    return top_k_stable(table + load / (load.sum() + 1), k)[1]  # (V, K); what is added stays below 1


# ---- routers ---------------------------------------------------------------------------------------------------------


def routers_of(model: nn.Module) -> dict[int, Router]:
    """layer -> its router, for all sparse layers of a model of ours; {} for another one, and for a dense model."""
    return {module.layer: module for module in model.modules() if isinstance(module, Router)}


def _ruled(model: nn.Module) -> set[int]:
    return {module.router.layer for module in model.modules() if isinstance(module, RuledRouter)}


def _sparse(routers: Mapping[int, Router], layers: Iterable[int]) -> list[int]:
    layers = sorted(set(layers))
    if absent := [layer for layer in layers if layer not in routers]:
        raise ValueError(f"layers {absent} have no router; sparse layers of this model: {sorted(routers) or 'none'}.")
    return layers


def _check(chosen: Tensor, own: Routing, k: int) -> None:
    if chosen.shape != (own.n_tokens, k) or chosen.dtype != torch.int64:
        expected = f"{(own.n_tokens, k)} of torch.int64"
        raise ValueError(f"the rule chose {tuple(chosen.shape)} of {chosen.dtype}, expected (N, k) = {expected}.")
    ordered = chosen.sort(dim=-1).values  # (N, K)
    if chosen.numel() and not 0 <= int(ordered.min()) <= int(ordered.max()) < own.n_experts:
        low, high = int(ordered.min()), int(ordered.max())
        raise ValueError(f"the rule chose experts from {low} to {high}; there are 0 to {own.n_experts - 1}.")
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        raise ValueError("the rule gave a token the same expert twice; the k experts must differ.")

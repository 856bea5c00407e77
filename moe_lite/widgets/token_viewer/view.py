"""Which expert takes each token, as arrays: a model's `Routing` records, arranged by layer, token and choice."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from moe_lite.model.routing import Router, Routing, TopK, top_k_route, top_k_stable
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.kit.text import PAGE, TokenText
from moe_lite.widgets.kit.widget import CallbackError

MOST_EXPERTS = 255  # an expert is one byte, and 255 stands for none
BEFORE, AFTER, BOTH = SHOWN = ("before", "after", "both")


def require_viewable(model: object) -> None:
    """TypeError for what is neither a model of ours nor a `hf.Viewable`."""
    if not hasattr(getattr(model, "config", None), "n_experts"):
        theirs = hasattr(model, "get_input_embeddings")  # a model of transformers
        hint = " Wrap it: moe_lite.hf.Viewable(model)." if theirs else ""
        raise TypeError(f"{type(model).__name__} came, expected a MoELanguageModel.{hint}")


def checked_models(models: MoELanguageModel | Mapping[int, MoELanguageModel]) -> dict[int, MoELanguageModel]:
    """{n_experts: model}, fewest experts first. Raises ValueError for models that cannot share a viewer."""
    for model in models.values() if isinstance(models, Mapping) else (models,):
        require_viewable(model)
    if not isinstance(models, Mapping):
        models = {models.config.n_experts: models}
    for n_experts, model in models.items():
        if model.config.n_experts != n_experts:
            raise ValueError(f"models[{n_experts}] has {model.config.n_experts} experts; the key is the expert count.")
        if not 2 <= n_experts <= MOST_EXPERTS:
            raise ValueError(f"A model with {n_experts} experts: the viewer needs 2 to {MOST_EXPERTS} and a router.")
    layers = {model.config.n_sparse_layers for model in models.values()}
    if len(layers) != 1:
        raise ValueError(f"models have {sorted(layers)} layers; expected at least one model, all with equally many.")
    return dict(sorted(models.items()))


def check_before(before: MoELanguageModel | None, models: Mapping[int, MoELanguageModel]) -> None:
    """Raise ValueError unless `before` is None, or reads the same text as the one model does, expert by expert."""
    if before is None:
        return
    if len(models) != 1:
        raise ValueError(
            f"before is compared with one model, but models has {len(models)}: {', '.join(map(str, models))}."
        )
    (model,) = models.values()
    if before is model:
        raise ValueError("before is the model itself. Keep a copy from before the training: copy.deepcopy(model).")
    for name in ("n_experts", "n_layers", "vocab_size", "context_length"):
        then, now = getattr(before.config, name), getattr(model.config, name)
        if then != now:
            raise ValueError(f"before has {name} {then:,}, the model {now:,}; they must agree to be compared.")


@dataclass(frozen=True)
class Names:
    """What the model before and the one after are called: on the badge, over their texts, in the reading line."""

    before: str
    after: str
    source: str  # the badge of the model after

    @classmethod
    def of(cls, names: Sequence[str], source: str | None = None) -> "Names":
        if isinstance(names, str) or len(names) != 2:
            raise ValueError(f"names is {names!r}; expected two, of the model before and of the one after.")
        before, after = map(str, names)
        return cls(before, after, after if source is None else source)

    def badge(self, shown: str) -> str:
        return {BEFORE: self.before, AFTER: self.source, BOTH: f"{self.before} | {self.source}"}[shown]

    def caption(self, side: str) -> str:
        """What stands beside the word "before" or "after"; "" if that word is all."""
        name = getattr(self, side)
        return "" if name == side else name

    def closing(self, side: str) -> str:
        """What closes the reading line where one of the two is seen alone."""
        name = self.caption(side)
        return f" This is the model {side}, {name}." if name else f" This is the model {side}."

    def said(self) -> dict[str, dict[str, str]]:
        """All of it, for the script."""
        sides = (BEFORE, AFTER)
        return {
            "badges": {shown: self.badge(shown) for shown in SHOWN},
            "captions": {side: self.caption(side) for side in sides},
            "closing": {side: self.closing(side) for side in sides},
        }


NONE = -1  # no expert: where tokens have different numbers of experts, the shorter rows are padded


@dataclass(frozen=True)
class TokenRouting:
    """The tokens first…first+N−1 of a text in every sparse layer. Choice 0 is the expert with the largest weight."""

    experts: np.ndarray  # (L, N, K) int16, NONE where a token has fewer than K experts
    weights: np.ndarray  # (L, N, K) float32, as the experts' outputs are weighted
    scores: np.ndarray  # (L, N, E) float32, before the choice
    first: int = 0

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """L, N, K, E"""
        return *self.experts.shape, self.scores.shape[-1]

    @cached_property
    def load(self) -> np.ndarray:
        """(L, E) int64: assignments to each expert, all choices counted."""
        n_experts = self.scores.shape[-1]
        return np.stack([np.bincount(layer[layer != NONE], minlength=n_experts) for layer in self.experts])


@torch.no_grad()
def route_tokens(
    model: MoELanguageModel,
    text: TokenText,
    *,
    top_k: int | None = None,
    muted: Sequence[int] = (),
    first: int = 0,
    count: int = PAGE,
) -> TokenRouting:
    """Run the model on the windows that hold tokens first…first+count−1 and read its routing.

    A text longer than the model's context_length is read in consecutive windows of that length, each from an empty
    context, because the model never saw a longer one; so are the sections of the text. Only the windows asked for are
    run. Raises CallbackError or ValueError when the model's top_k_fn fails, ValueError for a text without tokens.
    """
    stop = min(first + count, len(text.ids))
    if stop <= first:
        raise ValueError(f"no tokens from {first} on: the text has {len(text.ids)}.")
    windows = text.windows(model.config.context_length, first, stop)
    longest = max(end - start for start, end in windows)
    ids = torch.zeros(len(windows), longest, dtype=torch.int64)  # (B, T), filled up on the right
    real = torch.zeros_like(ids, dtype=torch.bool)  # (B, T)
    for row, (start, end) in enumerate(windows):
        ids[row, : end - start] = torch.tensor(text.ids[start:end])
        real[row, : end - start] = True
    device = model.embed.weight.device
    output = without_experts(model, muted)(ids.to(device), top_k=top_k, token_mask=real.to(device))
    skip = first - windows[0][0]  # the first window may begin before the page
    shown = real.flatten().nonzero()[skip : skip + stop - first, 0].numpy()  # (N,) rows of the (B·T) tokens
    tables = [assignment_table(routing) for routing in output.routing]
    width = max(experts.shape[1] for experts, _ in tables)
    return TokenRouting(
        experts=np.stack([_padded(experts, width, NONE)[shown] for experts, _ in tables]),
        weights=np.stack([_padded(weights, width, 0)[shown] for _, weights in tables]),
        scores=np.stack([routing.scores.float().cpu().numpy()[shown] for routing in output.routing]),
        first=first,
    )


def route_moved(
    model: MoELanguageModel, text: TokenText, *, muted: Sequence[int] = (), **options: int
) -> tuple[TokenRouting, np.ndarray]:
    """`route_tokens`, and (L, N, K) bool: which tokens have another expert because `muted` are."""
    routing = route_tokens(model, text, muted=muted, **options)
    if not muted:
        return routing, np.zeros(routing.experts.shape, dtype=bool)
    return routing, routing.experts != route_tokens(model, text, **options).experts


def assignment_table(routing: Routing) -> tuple[np.ndarray, np.ndarray]:
    """experts (N, K) int16 and weights (N, K) float32, largest weight first, among equals the lower number."""
    tokens, experts = routing.token_ids.cpu().numpy(), routing.expert_ids.cpu().numpy()  # (A,), (A,)
    weights = routing.weights.detach().float().cpu().numpy()  # (A,)
    _check(routing.layer, tokens, experts, weights)
    order = np.lexsort((experts, -weights, tokens))
    counts = np.bincount(tokens, minlength=routing.n_tokens)  # (N,)
    rank = np.arange(len(tokens)) - np.repeat(counts.cumsum() - counts, counts)  # (A,) 0 for a token's first choice
    table = np.full((routing.n_tokens, counts.max()), NONE, dtype=np.int16)  # (N, K)
    table[tokens[order], rank] = experts[order]
    values = np.zeros(table.shape, dtype=np.float32)  # (N, K)
    values[tokens[order], rank] = weights[order]
    return table, values


def _check(layer: int, tokens: np.ndarray, experts: np.ndarray, weights: np.ndarray) -> None:
    """Refuse a choice that cannot be drawn: only a function that was passed in can make one."""
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        at = int(bad.argmax())
        raise ValueError(
            f"In layer {layer + 1} a token's weight for expert {experts[at]} is {weights[at]}; expected a number of at "
            f"least 0. Was a score divided by a sum of 0?"
        )
    pairs, counts = np.unique(np.stack([tokens, experts]), axis=1, return_counts=True)
    if (counts > 1).any():
        expert = pairs[1, counts.argmax()]
        raise ValueError(f"In layer {layer + 1} a token got expert {expert} twice; its experts must differ.")


def _padded(table: np.ndarray, width: int, filler: int) -> np.ndarray:
    return np.pad(table, ((0, 0), (0, width - table.shape[1])), constant_values=filler)


def without_experts(model: MoELanguageModel, muted: Sequence[int] = ()) -> MoELanguageModel:
    """A copy of the model that shares its weights, in evaluation mode, whose layers cannot choose the muted experts.

    Their columns are taken out of the scores before the choice, so the next best experts move up and the weights are
    made from the chosen ones by the router's own rule (renormalised, if it does that). Scores themselves stay as they
    are. Later layers see what the changed experts computed: a token may change its experts there because of it. If
    the model was given a top_k_fn, that function chooses, from the narrower scores. The model passed in is not touched,
    and it is what is returned where nothing has to be changed. ValueError for a model whose routers are not ours.
    """
    if muted and not _routers(model):
        raise ValueError(f"No expert can be muted here: the routers of a {type(model).__name__} model are not ours.")
    if not (muted or model.training or any(router.options.get("top_k_fn") for router in _routers(model))):
        return model
    if muted and model.config.router not in ("top_k", "noisy_top_k", "normed"):
        raise ValueError(
            f"Muting is not possible with router={model.config.router!r}: it does not take the best scores."
        )
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    twin = copy.deepcopy(model, shared).eval()
    for router in _routers(twin):
        given = router.options.get("top_k_fn")
        choose = _without(given or _own_choice(router), muted, router.weight.shape[0]) if muted else given
        router.options["top_k_fn"] = _named(choose, given) if given else choose
    return twin


def _routers(model: MoELanguageModel) -> list[Router]:
    return [module for module in model.modules() if isinstance(module, Router)]


def _own_choice(router: Router) -> TopK:
    """The choice that this router makes from its scores alone, as a function like `top_k_route`."""
    options = router.options
    if router.bias is not None or options.get("n_groups", 1) > 1:
        raise ValueError("Muting is not possible in a router with a selection bias or with groups.")
    softmax_of_kept = options.get("order") == "topk_first" and options.get("score", "softmax") == "softmax"
    return top_k_route if options.get("renorm", True) or softmax_of_kept else top_k_stable


def _without(choose: TopK, muted: Sequence[int], n_experts: int) -> TopK:
    open_ = torch.tensor([e for e in range(n_experts) if e not in muted])  # (E − muted,)

    def choose_open(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        result = choose(scores[:, open_.to(scores.device)], k)
        ids = result[1] if isinstance(result, tuple) and len(result) == 2 else None
        if not isinstance(ids, Tensor) or ids.is_floating_point():
            return result  # not a choice: the router says what is wrong with it
        return result[0], open_.to(ids.device).index_select(0, ids.flatten()).view_as(ids)  # IndexError: no such expert

    return choose_open


def _named(choose: TopK, given: TopK) -> TopK:
    """`choose`; what it raises is told with the name of the function that was given."""
    name = getattr(given, "__name__", type(given).__name__)

    def call(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        try:
            return choose(scores, k)
        except Exception as problem:
            raise CallbackError(f"{name} raised {type(problem).__name__}: {problem}") from problem

    return call

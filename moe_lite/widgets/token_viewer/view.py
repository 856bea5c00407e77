"""Which expert takes each token, as arrays: a model's `Routing` records, arranged by layer, token and choice."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch

from moe_lite.lessons.interventions import routers_of, twin_of, without_experts
from moe_lite.model.routing import Routing
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.kit.text import PAGE, TokenText
from moe_lite.widgets.kit.widget import called

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
    muted_in: Collection[int] | None = None,
    first: int = 0,
    count: int = PAGE,
) -> TokenRouting:
    """Run the model on the windows that hold tokens first…first+count−1 and read its routing.

    A text longer than the model's context_length is read in consecutive windows of that length, each from an empty
    context, because the model never saw a longer one; so are the sections of the text. Only the windows asked for are
    run. `muted_in`: the layers, as `Routing.layer`, that cannot choose the `muted` experts, None for all. Raises
    CallbackError or ValueError when the model's top_k_fn fails, ValueError for a text without tokens.
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
    output = watched(model, muted, muted_in)(ids.to(device), top_k=top_k, token_mask=real.to(device))
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
    model: MoELanguageModel, text: TokenText, *, muted: Sequence[int] = (), muted_in: Collection[int] | None = None,
    **options: int,
) -> tuple[TokenRouting, np.ndarray]:  # fmt: skip
    """`route_tokens`, and (L, N, K) bool: which tokens have another expert because `muted` are."""
    routing = route_tokens(model, text, muted=muted, muted_in=muted_in, **options)
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


def watched(
    model: MoELanguageModel, muted: Sequence[int] = (), layers: Collection[int] | None = None
) -> MoELanguageModel:
    """`without_experts`; what a function given as top_k_fn raises is told under its name, as a CallbackError."""
    if any(router.options.get("top_k_fn") for router in routers_of(model).values()):
        model = twin_of(model)
        for router in routers_of(model).values():
            if given := router.options.get("top_k_fn"):
                router.options["top_k_fn"] = partial(called, given)
    return without_experts(model, muted, layers)

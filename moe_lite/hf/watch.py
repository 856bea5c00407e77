"""Which expert takes which token in a model of `transformers`: what its routers returned, never what they should have.

Recomputing the choice from the logits goes wrong where a router adds a bias to choose (DeepSeek-V3, ERNIE 4.5,
MiniMax-M2) or closes groups of experts: the logits know nothing of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moe_lite import data
from moe_lite.model.routing import Routing
from moe_lite.model.transformer import LMOutput, MoELanguageModel, Sample, evaluating, sample_token

SOFTMAX, SIGMOID = (lambda logits: logits.softmax(dim=-1)), torch.sigmoid
# class of a router -> how it makes scores of its logits. Only `Routing.scores` is computed, to be looked at.
ROUTERS: dict[str, Callable[[Tensor], Tensor]] = {
    "MixtralTopKRouter": SOFTMAX, "OlmoeTopKRouter": SOFTMAX, "Qwen2MoeTopKRouter": SOFTMAX,
    "Qwen3MoeTopKRouter": SOFTMAX, "DeepseekV2TopkRouter": SOFTMAX, "DeepseekV3TopkRouter": SIGMOID,
    "GptOssTopKRouter": SOFTMAX, "Llama4Router": SIGMOID, "Ernie4_5_MoeTopKRouter": SOFTMAX,
    "MiniMaxM2TopKRouter": SIGMOID,
}  # fmt: skip


def trace(model: nn.Module, ids: Tensor, token_mask: Tensor | None = None) -> list[Routing]:
    """Run a model of `transformers` on ids (B, T) and return a Routing for each sparse layer, as our model does.

    Experts and weights are those that the router returned; `Routing.layer` is the decoder layer's number, from 0, dense
    ones counted. token_mask (B, T) is False for padding on the right. Runs without gradient in evaluation mode, and
    leaves the mode as it was. Raises TypeError for what is no model or no tensor, and ValueError for a model without
    routers that are known, with its modules' classes, and for ids or a mask that cannot be.
    """
    return _run(model, ids, token_mask).routing


def _run(model: nn.Module, ids: Tensor, token_mask: Tensor | None) -> LMOutput:
    found: list[Routing] = []
    if not isinstance(model, nn.Module):
        raise TypeError(f"{type(model).__name__} came, expected a model of transformers.")
    shape = _checked_shape(ids, token_mask)
    mask = None if token_mask is None else token_mask.bool()
    flat = None if mask is None else mask.flatten()  # (N,)

    def watch(name: str) -> Callable:
        layer = next((int(part) for part in name.split(".") if part.isdigit()), len(found))
        return lambda router, args, output: found.append(_routing(router, output, layer, shape, flat))

    handles = [router.register_forward_hook(watch(name)) for name, router in routers_of(model).items()]
    try:
        with torch.no_grad(), evaluating(model):
            attention_mask = None if mask is None else mask.long()
            logits = model(input_ids=ids, attention_mask=attention_mask, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    return LMOutput(logits, routing=found)


def _checked_shape(ids: Tensor, token_mask: Tensor | None) -> tuple[int, int]:
    """(B, T). TypeError for what is no tensor; ValueError for ids that are none, and a mask of another shape."""
    for name, value in (("ids", ids), ("token_mask", token_mask)):
        if not isinstance(value, Tensor) and not (name == "token_mask" and value is None):
            raise TypeError(f"{name}: {type(value).__name__} came, expected a tensor (B, T).")
    shape = tuple(ids.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"ids have shape {shape}, expected (B, T) with at least one token.")
    if ids.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"ids are {ids.dtype}, expected token numbers, torch.int64.")
    if token_mask is not None and tuple(token_mask.shape) != shape:
        raise ValueError(f"token_mask has shape {tuple(token_mask.shape)}, expected that of ids, {shape}.")
    return shape


def routers_of(model: nn.Module) -> dict[str, nn.Module]:
    """name -> module of each router. ValueError if there is none, or one of a class that is not known."""
    classes = {name: type(module).__name__ for name, module in model.named_modules()}
    unknown = sorted({kind for kind in classes.values() if "router" in kind.lower()} - {*ROUTERS})
    known = {name: module for name, module in model.named_modules() if classes[name] in ROUTERS}
    if unknown or not known:
        what = f"routers of a class that is not known, {', '.join(unknown)}" if unknown else "no router that is known"
        raise ValueError(
            f"{type(model).__name__} has {what}. Known are {', '.join(ROUTERS)}; its modules are of the classes "
            f"{', '.join(sorted(set(classes.values())))}."
        )
    return known


def _routing(router: nn.Module, output: object, layer: int, batch_shape: tuple, token_mask: Tensor | None) -> Routing:
    logits, weights, expert_ids = _returned(router, output)
    n_tokens, k = expert_ids.shape
    expert_ids, by_expert = expert_ids.flatten().sort(stable=True)  # (A,), (A,) in the order of all our records
    logits = logits.float()
    return Routing(
        token_ids=by_expert // k, expert_ids=expert_ids, weights=weights.flatten()[by_expert],
        kept=torch.ones_like(by_expert, dtype=torch.bool), logits=logits,
        scores=ROUTERS[type(router).__name__](logits), n_tokens=n_tokens, n_experts=logits.shape[-1], layer=layer,
        batch_shape=batch_shape, token_mask=token_mask,
    )  # fmt: skip


def _returned(router: nn.Module, output: object) -> tuple[Tensor, Tensor, Tensor]:
    """logits (N, E), weights (N, K) and expert_ids (N, K) int64, from what the router returned."""
    name = type(router).__name__
    if name == "Llama4Router":  # weights (N, E), 0 where not chosen, and logits
        weights, logits = output
        return logits, *weights.topk(router.top_k, dim=-1)
    parts = output if isinstance(output, tuple) else ()
    good = len(parts) == 3 and all(isinstance(t, Tensor) and t.dim() == 2 for t in parts)
    if not good or parts[1].shape != parts[2].shape or parts[2].is_floating_point():
        came = [tuple(t.shape) if isinstance(t, Tensor) else type(t).__name__ for t in parts] or type(output).__name__
        raise ValueError(
            f"{name} returned {came}; expected logits (N, E), weights (N, K) and expert numbers (N, K). Is it of "
            "another version of transformers?"
        )
    return parts


# ---- for the viewers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """What the viewers ask of a model's settings. Layers are sparse ones: dense layers have nothing to show."""

    n_experts: int
    top_k: int
    n_layers: int
    vocab_size: int
    context_length: int
    is_dense: bool = False

    @property
    def n_sparse_layers(self) -> int:
        return self.n_layers


class Viewable(nn.Module):
    """A model of `transformers` that `TokenViewer` and `GenerationViewer` can show, by way of `trace`.

    The viewers read and write the course's tokens, so the model must have its vocabulary: one that was exported, and
    perhaps trained further there. Its top-k stays, and no expert can be muted: both are ways of our own routers.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        if not hasattr(getattr(model, "config", None), "get_text_config"):
            ours = " The viewers take a model of ours as it is." if isinstance(model, MoELanguageModel) else ""
            raise TypeError(f"{type(model).__name__} came, Viewable expects a model of transformers.{ours}")
        config, n_known = model.config.get_text_config(), data.tokenizer().get_vocab_size()
        if config.vocab_size != n_known:
            raise ValueError(
                f"the model's vocabulary has {config.vocab_size:,} tokens; the viewers show the course's {n_known:,}."
            )
        self.model = model
        routings = trace(model, torch.zeros(1, 1, dtype=torch.int64, device=self.embed.weight.device))
        counts = {routing.n_experts for routing in routings}
        if len(counts) > 1:
            raise ValueError(
                f"the model's layers have {sorted(counts)} experts; the viewers need equally many in each."
            )
        self.config = Sizes(
            n_experts=counts.pop(), top_k=len(routings[0].token_ids), n_layers=len(routings),
            vocab_size=config.vocab_size, context_length=config.max_position_embeddings,
        )  # fmt: skip
        self.eval()

    @property
    def embed(self) -> nn.Module:
        return self.model.get_input_embeddings()

    def forward(self, ids: Tensor, *, top_k: int | None = None, token_mask: Tensor | None = None) -> LMOutput:
        """As our model: ids (B, T) -> logits (B, T, V) and a Routing for each sparse layer."""
        if top_k not in (None, self.config.top_k):
            raise ValueError(f"top_k is {top_k}; a model of transformers keeps its own, {self.config.top_k}.")
        return _run(self.model, ids, token_mask)

    @torch.no_grad()
    def generate(
        self, ids: Tensor, n_tokens: int, *, temperature: float = 1.0, generator: torch.Generator | None = None,
        sample: Sample = sample_token,
    ) -> Iterator[tuple[Tensor, LMOutput]]:  # fmt: skip
        """As our model, without a cache: the whole text is read again for each token."""
        for _ in range(n_tokens):
            output = self(ids)
            token = sample(output.logits[:, -1].float(), temperature, generator)  # (B,)
            yield token, output
            ids = torch.cat([ids, token[:, None]], dim=1)  # (B, T + 1)

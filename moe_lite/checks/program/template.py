"""My mixture of experts: a language model in one file, from text to text. It needs torch and tokenizers, no moe_lite.

    python my_moe.py            trains for 200 steps, compares its loss with the course's package, and writes
    python my_moe.py --help     what can be changed

A comment above each exercise's function says whose it is. Shapes: B batch, T time, N = B·T tokens, D width, H heads,
S head size, E experts, K experts per token, F expert width, V vocabulary.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

DATA = Path(os.environ.get("MOE_LITE_DATA") or Path(__file__).resolve().parents[3] / "data")
DOMAINS = ("shakespeare", "dialogue")  # read by default, where they have been built

# Cross-entropy of moe_lite's own training in its first steps: default settings, seed 0, float32, one thread. A test of
# the course computes these numbers anew.
PACKAGE_LOSS = {
    ("shakespeare", "dialogue"): {1: 7.654043, 5: 7.522639, 20: 6.522411},
    ("dialogue",): {1: 7.661007, 5: 7.431289, 20: 6.022448},
}


# ---- settings --------------------------------------------------------------------------------------------------------


# 5.2 expert_width: the package's
def expert_width(d_model: int, d_dense: int, n_experts: int, top_k: int, n_shared: int) -> tuple[int, float]:
    """The experts' width at equal work, and what the layer then costs beside the dense one."""
    active = top_k + n_shared
    d_expert = d_dense // active
    return d_expert, (3 * active * d_expert + n_experts) / (3 * d_dense)


@dataclass(frozen=True)
class Config:
    """The model; its fields have the names of moe_lite's ModelConfig."""

    vocab_size: int = 2048
    n_layers: int = 4
    d_model: int = 128
    n_heads: int = 4
    n_kv_heads: int = 2  # pairs of query heads share keys and values
    context_length: int = 256
    n_experts: int = 8
    top_k: int = 2
    n_shared_experts: int = 0
    d_dense: int = 128  # the width of the dense layer whose work the experts share
    balance_coef: float = 0.01
    z_coef: float = 0.001
    capacity_factor: float | None = None  # in training only; None drops nothing
    bias_step: float = 0.0  # above 0: a bias on the scores keeps the experts busy

    @property
    def d_expert(self) -> int:
        return expert_width(self.d_model, self.d_dense, self.n_experts, self.top_k, self.n_shared_experts)[0]

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_heads

    @property
    def is_dense(self) -> bool:
        return self.n_experts == 1


# ---- attention, and one feed-forward network -------------------------------------------------------------------------


# 1.5 causal_attention: the package's
def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Each token's weighted sum of the values up to its own position.

    q, k, v (B, H, T, S) -> out (B, H, T, S)
    """
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


# 1.2 swiglu: the package's
def swiglu(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
    """w_down · (silu(w_gate · x) ⊙ (w_up · x)) for each token.

    x (N, D), w_gate (F, D), w_up (F, D), w_down (D, F) -> y (N, D)
    """
    return F.linear(F.silu(F.linear(x, w_gate)) * F.linear(x, w_up), w_down)


def rotate(x: Tensor) -> Tensor:
    """Rotary positions: pair i of a head turns by position · 10000^(-2i/S). x (B, H, T, S) -> like x."""
    n_tokens, d_head = x.shape[-2:]
    speed = 10_000.0 ** (-torch.arange(0, d_head, 2).float() / d_head)  # (S/2,)
    angle = torch.arange(n_tokens).float()[:, None] * speed  # (T, S/2)
    a, b = x.chunk(2, dim=-1)  # (B, H, T, S/2), (B, H, T, S/2)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], dim=-1)


class Attention(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.query = nn.Linear(c.d_model, c.n_heads * c.d_head, bias=False)
        self.key = nn.Linear(c.d_model, c.n_kv_heads * c.d_head, bias=False)
        self.value = nn.Linear(c.d_model, c.n_kv_heads * c.d_head, bias=False)
        self.out = nn.Linear(c.n_heads * c.d_head, c.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        parts = (self.query(x), self.key(x), self.value(x))
        q, k, v = (part.unflatten(-1, (-1, self.c.d_head)).transpose(1, 2) for part in parts)  # (B, heads, T, S)
        k, v = (part.repeat_interleave(self.c.n_heads // self.c.n_kv_heads, dim=1) for part in (rotate(k), v))
        return self.out(causal_attention(rotate(q), k, v).transpose(1, 2).flatten(2))


class SwiGLU(nn.Module):
    def __init__(self, d_model: int, width: int):
        super().__init__()
        self.gate_up = nn.Parameter(torch.empty(2 * width, d_model))
        self.down = nn.Parameter(torch.empty(d_model, width))

    def forward(self, x: Tensor) -> Tensor:
        return swiglu(x, *self.gate_up.chunk(2), self.down)


# ---- router ----------------------------------------------------------------------------------------------------------


# 3.1 router_scores: the package's
def router_scores(x: Tensor, w_router: Tensor) -> Tensor:
    """How much each token would like each expert.

    x (N, D), w_router (E, D) -> scores (N, E) float32, rows summing to 1
    """
    return F.linear(x.float(), w_router.float()).softmax(dim=-1)


# 3.2 top_k_route: the package's
def top_k_route(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best experts of each token and their weights, renormalised to sum to 1.

    scores (N, E) -> weights (N, k), expert_ids (N, k) int64
    """
    values, expert_ids = scores.sort(dim=-1, descending=True, stable=True)  # (N, E), (N, E)
    return values[:, :k] / values[:, :k].sum(dim=-1, keepdim=True), expert_ids[:, :k]


# 7.3 choose_and_move: the package's
def choose_and_move(scores: Tensor, bias: Tensor, k: int, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """Choose with the bias, weigh without it, and move it for the next batch.

    scores (N, E), bias (E,) -> weights (N, k), expert_ids (N, k) int64, new_bias (E,)
    """
    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]  # (N, k)
    weights = scores.gather(1, expert_ids)  # (N, k)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias)).to(bias.dtype)  # (E,)
    new_bias = bias + step * (load.mean() - load).sign()
    return weights / weights.sum(dim=1, keepdim=True), expert_ids, new_bias


# 7.1 keep_within_capacity: the package's
def keep_within_capacity(expert_ids: Tensor, n_experts: int, factor: float) -> tuple[int, Tensor]:
    """How many choices an expert takes, and which ones those are.

    expert_ids (N, K) int64 -> capacity, kept (N, K) bool
    """
    capacity = math.ceil(round(factor * expert_ids.numel() / n_experts, 6))
    chosen = F.one_hot(expert_ids.flatten(), n_experts)  # (N·K, E)
    number = (chosen.cumsum(dim=0) * chosen).sum(dim=1)  # (N·K,) 1 is the first at its expert
    return capacity, (number <= capacity).view_as(expert_ids)


class Routing(NamedTuple):
    weights: Tensor  # (N, K)
    expert_ids: Tensor  # (N, K)
    scores: Tensor  # (N, E)
    logits: Tensor  # (N, E)


class Router(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.weight = nn.Parameter(torch.empty(c.n_experts, c.d_model))
        self.bias = self.next_bias = torch.zeros(c.n_experts)  # moved by a rule, not by a gradient

    def forward(self, x: Tensor) -> Routing:
        """x (B, T, D), or (N, D) -> Routing of its N tokens."""
        c, flat = self.c, x.flatten(0, -2)  # (N, D)
        scores, logits = router_scores(flat, self.weight), F.linear(flat.float(), self.weight)  # (N, E), (N, E)
        if c.bias_step:
            weights, expert_ids, self.next_bias = choose_and_move(scores, self.bias, c.top_k, c.bias_step)
        else:
            weights, expert_ids = top_k_route(scores, c.top_k)
        if self.training and c.capacity_factor is not None:  # a token that finds no room keeps its residual only
            weights = weights * keep_within_capacity(expert_ids, c.n_experts, c.capacity_factor)[1]
        return Routing(weights, expert_ids, scores, logits)


# ---- dispatch, experts, combine --------------------------------------------------------------------------------------


# 4.2 dispatch_order: the package's
def dispatch_order(expert_ids: Tensor, n_experts: int) -> tuple[Tensor, Tensor]:
    """Where each expert's rows come from, and how many it has.

    expert_ids (N, K) -> order (N·K,) int64, counts (E,) int64
    """
    flat = expert_ids.flatten()  # (N·K,)
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts)


# 4.3 combine: the package's
def combine(out: Tensor, order: Tensor, weights: Tensor) -> Tensor:
    """Sorted answers back to their tokens, weighted and summed.

    out (N·K, D), order (N·K,), weights (N, K) -> y (N, D)
    """
    y = out.new_zeros(len(weights), out.shape[1])  # (N, D)
    return y.index_add(0, order // weights.shape[1], out * weights.flatten()[order, None])


class Experts(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.gate_up = nn.Parameter(torch.empty(c.n_experts, 2 * c.d_expert, c.d_model))
        self.down = nn.Parameter(torch.empty(c.n_experts, c.d_model, c.d_expert))

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """x (N, D) -> (N, D): each expert on its own slice of the sorted tokens."""
        order, counts = dispatch_order(routing.expert_ids, len(self.down))  # (N·K,), (E,)
        rows = x.index_select(0, order // routing.expert_ids.shape[1])  # (N·K, D)
        slices = zip(rows.split(counts.tolist()), *self.gate_up.chunk(2, dim=1), self.down, strict=True)
        out = torch.cat([swiglu(*one) for one in slices if len(one[0])])  # (N·K, D)
        return combine(out, order, routing.weights)


# ---- the sparse layer, and the language model around it --------------------------------------------------------------


# 5.1 moe_layer: the package's
def moe_layer(x: Tensor, router: object, experts: object, shared: object) -> tuple[Tensor, object]:
    """Route, compute, add the shared expert, restore the shape.

    x (B, T, D) -> y (B, T, D), routing
    """
    routing, flat = router(x), x.flatten(0, 1)  # Routing, (N, D)
    y = experts(flat, routing)  # (N, D)
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing


class MoELayer(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.router, self.experts = Router(c), Experts(c)
        self.shared = SwiGLU(c.d_model, c.n_shared_experts * c.d_expert) if c.n_shared_experts else None

    def forward(self, x: Tensor) -> tuple[Tensor, Routing]:
        return moe_layer(x, self.router, self.experts, self.shared)


class Block(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.attention_norm, self.attention = nn.RMSNorm(c.d_model, eps=1e-5), Attention(c)
        self.feed_forward_norm, self.feed_forward = nn.RMSNorm(c.d_model, eps=1e-5), MoELayer(c)

    def forward(self, x: Tensor) -> tuple[Tensor, Routing]:
        x = x + self.attention(self.attention_norm(x))
        y, routing = self.feed_forward(self.feed_forward_norm(x))
        return x + y, routing


class Model(nn.Module):
    def __init__(self, c: Config, seed: int = 0):
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c.vocab_size, c.d_model)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.n_layers))
        self.norm = nn.RMSNorm(c.d_model, eps=1e-5)
        self.head = nn.Linear(c.d_model, c.vocab_size, bias=False)
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:  # what writes to the residual stream starts smaller, as in GPT-2
                writes = name.endswith(("attention.out.weight", "down"))
                std = 0.02 / ((2 * c.n_layers) ** 0.5 if writes else 1)
                nn.init.normal_(parameter, 0, std, generator=generator)

    def forward(self, ids: Tensor) -> tuple[Tensor, list[Routing]]:
        """ids (B, T) -> logits (B, T, V) of each next token, and each layer's Routing."""
        x, routings = self.embed(ids), []  # (B, T, D)
        for block in self.blocks:
            x, routing = block(x)
            routings.append(routing)
        return self.head(self.norm(x)), routings


# ---- loss and balancing ----------------------------------------------------------------------------------------------


# 1.1 cross_entropy: the package's
def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cost of the targets, in nats; positions with target −100 are left out.

    logits (N, V), targets (N,) int64 -> loss ()
    """
    return F.cross_entropy(logits, targets, ignore_index=-100)


# 6.2 load_balancing_loss: the package's
def load_balancing_loss(scores: Tensor, expert_ids: Tensor) -> Tensor:
    """The Switch loss of one layer.

    scores (N, E), expert_ids (N, K) -> scalar
    """
    n_experts = scores.shape[1]
    share = torch.bincount(expert_ids.flatten(), minlength=n_experts).to(scores.dtype) / expert_ids.numel()  # (E,)
    return n_experts * (share * scores.mean(dim=0)).sum()


# 6.4 router_z_loss: the package's
def router_z_loss(logits: Tensor) -> Tensor:
    """Mean squared log-partition of the router.

    logits (N, E) -> scalar
    """
    return logits.logsumexp(dim=-1).square().mean()


def losses(model: Model, ids: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, list[Routing]]:
    """ids, targets (B, T) -> the loss to be minimised, its cross-entropy, and each layer's Routing."""
    logits, routings = model(ids)
    prediction = cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
    balance = torch.stack([load_balancing_loss(r.scores, r.expert_ids) for r in routings]).mean()
    z = torch.stack([router_z_loss(r.logits) for r in routings]).mean()
    return prediction + model.c.balance_coef * balance + model.c.z_coef * z, prediction, routings


# ---- training --------------------------------------------------------------------------------------------------------


def read_tokens(domains: list[str]) -> dict[str, Tensor]:
    """domain -> its training text as token ids (n,)."""
    tokenizer = Tokenizer.from_file(str(DATA / "tokenizer.json"))
    texts = {d: (DATA / "corpus" / f"{d}.train.txt").read_bytes().decode("utf-8") for d in domains}
    return {domain: torch.tensor(tokenizer.encode(text).ids) for domain, text in texts.items()}


def batch(corpora: dict[str, Tensor], size: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random windows -> ids (B, T), and targets (B, T), the next token at each position."""
    texts = list(corpora.values())
    sizes = torch.tensor([len(text) for text in texts], dtype=torch.float64)
    chosen = torch.multinomial(sizes.sqrt(), size, replacement=True, generator=generator)  # (B,) a domain each
    places = torch.rand(size, dtype=torch.float64, generator=generator)  # (B,) in [0, 1)
    starts = (places * (sizes[chosen] - length)).long()  # (B,)
    pairs = zip(chosen.tolist(), starts.tolist(), strict=True)
    rows = torch.stack([texts[text][start : start + length + 1] for text, start in pairs])  # (B, T+1)
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def learning_rate(step: int, steps: int, highest: float = 2e-3, warmup: int = 40) -> float:
    """A linear warm-up, then half a cosine down to a tenth."""
    if step < warmup:
        return highest * (step + 1) / warmup
    return highest * (0.1 + 0.45 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))))


def move_biases(model: Model) -> None:
    for block in model.blocks:
        block.feed_forward.router.bias = block.feed_forward.router.next_bias.detach()


def train(
    model: Model, corpora: dict[str, Tensor], steps: int, seed: int = 0, size: int = 16, length: int = 128
) -> Iterator[tuple[int, float, list[Routing]]]:
    """Train in place; yields for each step its number from 1, the cross-entropy before the update, the Routings."""
    generator = torch.Generator().manual_seed(seed)
    matrices, vectors = ([p for p in model.parameters() if (p.dim() > 1) == many] for many in (True, False))
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        loss, prediction, routings = losses(model.train(), *batch(corpora, size, length, generator))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        move_biases(model)
        yield step + 1, prediction.item(), routings


# ---- what it holds, and how evenly its experts work ------------------------------------------------------------------


# 1.3 count_dense: the package's
def count_dense(config: Config, context: int) -> tuple[int, int]:
    """What a dense model holds, and what it costs for one token that looks at `context` tokens."""
    total, _, flops = count_moe(config, context)
    return total, flops


# 5.3 count_moe: the package's
def count_moe(config: Config, context: int) -> tuple[int, int, int]:
    """Total and active parameters, and forward FLOPs for one token."""
    c = config
    vocabulary, expert = c.vocab_size * c.d_model, 3 * c.d_model * c.d_expert
    attention = 2 * c.d_model * (c.n_heads + c.n_kv_heads) * c.d_head
    held, used, router = c.n_experts + c.n_shared_experts, c.top_k + c.n_shared_experts, c.n_experts * c.d_model
    if c.n_experts == 1:
        held, used, router = 1, 1, 0
    norms = (2 * c.n_layers + 1) * c.d_model
    common = 2 * vocabulary + norms + c.n_layers * (attention + router)
    total, active = (common + c.n_layers * n * expert for n in (held, used))
    return total, active, 2 * (active - vocabulary - norms) + 4 * c.n_layers * c.n_heads * c.d_head * context


# 0.1 expert_load: the package's
def expert_load(expert_ids: Tensor, n_experts: int) -> Tensor:
    """How many assignments each expert got.

    expert_ids (N, K) int64 -> load (E,) int64
    """
    return torch.bincount(expert_ids.flatten(), minlength=n_experts)


# 6.1 load_statistics: the package's
def load_statistics(load: Tensor) -> tuple[float, float, float, int]:
    """How evenly one layer's experts are used.

    load (E,) int64 -> entropy, cv, max_violation, dead
    """
    mean, shares = load.double().mean(), load.double() / load.sum()
    entropy, cv = torch.special.entr(shares).sum() / math.log(len(load)), load.double().std(correction=0) / mean
    return entropy.item(), cv.item(), (load.max() / mean - 1).item(), int((load < 0.01 * mean).sum())


def size_report(c: Config) -> str:
    total, active, flops = count_moe(c, c.context_length)
    dense = replace(c, n_experts=1, top_k=1, n_shared_experts=0)
    dense_total, dense_flops = count_dense(dense, c.context_length)
    return (
        f"{total:,} parameters, {active:,} of them active for a token, {flops:,} FLOPs per token\n"
        f"(dense, with feed-forward layers of the same work: {dense_total:,} parameters, {dense_flops:,} FLOPs)"
    )


def load_report(routings: list[Routing], n_experts: int) -> str:
    lines = []
    for layer, routing in enumerate(routings, start=1):
        load = expert_load(routing.expert_ids, n_experts)  # (E,)
        _, cv, _, dead = load_statistics(load)
        shares = " ".join(f"{100 * share:5.1f}" for share in (load / load.sum()).tolist())
        lines.append(f"layer {layer}: each expert's share, % {shares}   CV {cv:.2f}, dead {dead}")
    return "\n".join(lines)


# ---- sampling --------------------------------------------------------------------------------------------------------


# 1.4 sample_token: the package's
def sample_token(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """One token a row, drawn from softmax(logits / temperature); at 0 the most probable.

    logits (B, V) -> token_ids (B,) int64
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(dim=-1), 1, generator=generator)[:, 0]


@torch.no_grad()
def generate(model: Model, ids: list[int], n_tokens: int, temperature: float, seed: int = 0) -> list[int]:
    """The prompt's ids with `n_tokens` more; what lies further back than the context is not looked at."""
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n_tokens):
        logits, _ = model(torch.tensor([ids[-model.c.context_length :]]))  # (1, T, V)
        ids = [*ids, int(sample_token(logits[:, -1].float(), temperature, generator))]
    return ids


# ---- the program -----------------------------------------------------------------------------------------------------


def arguments() -> tuple[argparse.Namespace, Config]:
    parser = argparse.ArgumentParser(description="Train my mixture of experts, compare its loss, and let it write.")
    parser.add_argument("--steps", type=int, default=200, help="of 2,048 tokens (default 200)")
    parser.add_argument("--domains", nargs="+", default=(), help="texts to read, such as: shakespeare dialogue python")
    parser.add_argument("--prompt", default="Customer:")
    parser.add_argument("--tokens", type=int, default=80, help="how many to write (default 80)")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    for field in fields(Config):
        kind = float if field.default is None else type(field.default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    a = parser.parse_args()
    built = [path.name.removesuffix(".train.txt") for path in (DATA / "corpus").glob("*.train.txt")]
    a.domains = a.domains or [domain for domain in DOMAINS if domain in built]
    if not a.domains or not {*a.domains} <= {*built}:
        parser.error(f"{DATA / 'corpus'} has the texts {sorted(built)}, asked for: {a.domains or [*DOMAINS]}.")
    return a, Config(**{field.name: getattr(a, field.name) for field in fields(Config)})


def main() -> None:
    a, c = arguments()
    torch.set_num_threads(a.threads)
    package = PACKAGE_LOSS.get(tuple(a.domains), {}) if (c, a.seed) == (Config(), 0) else {}
    if not package:
        print("The package's loss is recorded for the default settings only: nothing is compared here.")
    print(size_report(c))
    model, corpora = Model(c, a.seed), read_tokens(a.domains)
    for step, loss, routings in train(model, corpora, a.steps, a.seed):
        if step in package:
            same = "equal to 1e-4" if abs(loss - package[step]) < 1e-4 else "NOT equal to 1e-4"
            print(f"step {step:4}  cross-entropy {loss:.4f}, the package's {package[step]:.4f}: {same}", flush=True)
        elif step % 20 == 0 or step == a.steps:
            print(f"step {step:4}  cross-entropy {loss:.4f}", flush=True)
        if step == a.steps:
            print(load_report(routings, c.n_experts))
    tokenizer = Tokenizer.from_file(str(DATA / "tokenizer.json"))
    print("\n" + tokenizer.decode(generate(model, tokenizer.encode(a.prompt).ids, a.tokens, a.temperature, a.seed)))


if __name__ == "__main__":
    main()

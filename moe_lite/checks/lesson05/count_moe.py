"""Exercise 5.3, count_moe: what a sparse model holds, what of it works on a token, and what that costs."""

from collections.abc import Callable
from dataclasses import dataclass

from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.lesson01 import count_slips as dense_slips
from moe_lite.checks.lesson01.count_slips import look_back, mistakes, table, vectors
from moe_lite.model.config import ModelConfig

NAMES = ("total", "active", "flops")


def totals(config: ModelConfig, context: int) -> tuple[int, int, int]:
    """A config -> total and active parameters, and FLOPs for one token that looks at `context` tokens."""
    outside = attention(config) + router(config) + 2 * table(config) + vectors(config)
    active = outside + working(config) * one_expert(config)
    products = active - table(config) - vectors(config)  # the embedding is a lookup, norms are no matrices
    return outside + held(config) * one_expert(config), active, 2 * products + look_back(config, context)


def attention(c: ModelConfig) -> int:
    """Weights of the four attention matrices, all layers."""
    return c.n_layers * 2 * c.d_model * (c.n_heads + c.n_kv_heads) * c.d_head


def one_expert(c: ModelConfig) -> int:
    """Weights of one expert's three matrices in each layer; of the whole feed-forward in a dense model."""
    return 3 * c.n_layers * c.d_model * c.d_expert


def router(c: ModelConfig) -> int:
    """Weights of all routers."""
    return 0 if c.is_dense else c.n_layers * c.n_experts * c.d_model


def held(c: ModelConfig) -> int:
    """Experts in a layer, shared ones among them."""
    return 1 if c.is_dense else c.n_experts + c.n_shared_experts


def working(c: ModelConfig) -> int:
    """Experts that work on one token."""
    return 1 if c.is_dense else c.top_k + c.n_shared_experts


# ---- inputs ----------------------------------------------------------------------------------------------------------

SIZES = (
    "vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_expert", "n_experts", "top_k", "n_shared_experts",
)  # fmt: skip


def cases() -> tuple[Case, ...]:
    # V, D, L, H, H_kv, F, E, K, shared; and the context
    plain = (
        trial(1009, 60, 7, 6, 2, 37, 11, 5, 3, context=53),
        trial(523, 120, 7, 10, 2, 43, 16, 4, 1, context=59),
        trial(263, 84, 11, 14, 2, 31, 8, 4, 1, context=90),
    )
    unshared = (trial(331, 48, 3, 4, 2, 29, 9, 2, 0, context=41), trial(613, 72, 4, 6, 3, 23, 7, 1, 0, context=67))
    dense = (
        trial(97, 24, 3, 4, 2, 53, 1, 2, 0, context=19), trial(311, 36, 4, 6, 6, 71, 1, 1, 0, context=29),
        trial(127, 40, 2, 4, 2, 61, 1, 1, 3, context=23, note="dense, so n_shared_experts=3 means nothing"),
    )  # fmt: skip
    edges = (
        trial(151, 40, 1, 4, 2, 17, 6, 2, 1, context=1, note="one layer, one token"),
        trial(173, 56, 2, 4, 4, 13, 5, 5, 2, context=31, note="K = E"),
    )
    large = (trial(32_000, 4096, 32, 32, 8, 14_336, 8, 2, 0, context=2048, note="Mixtral's sizes"),)
    return (
        Case("three whole numbers", plain, (FORM,)),
        Case("no memory", plain[:1], (INPUT, REPEAT)),
        Case("all parameters", plain, ("total",)),
        Case("active parameters", plain, ("active",)),
        Case("FLOPs", plain, ("flops",)),
        Case("no shared expert", unshared, NAMES),
        Case("dense models", dense, NAMES),
        Case("one layer, K = E, a large model", edges + large, NAMES),
    )


def trial(*sizes: int, context: int, note: str = "", context_length: int = 0) -> Trial:
    """`context` is never the config's own context_length."""
    fields = dict(zip(SIZES, sizes, strict=True))
    config = ModelConfig(**fields, renorm=fields["top_k"] > 1, context_length=context_length or 2 * context + 50)
    told = "dense" if config.is_dense else f"{config.top_k} of {config.n_experts} and {config.n_shared_experts} shared"
    return Trial((config, context), note or f"V={config.vocab_size}, {told}")


def drawn(seed: int, V: int, L: int, W: int, H: int, M: int, F: int, E: int, K: int, S: int, T: int) -> tuple:
    """2·W numbers for each of H heads make D; H is a multiple of M, the key-value heads; S shared experts."""
    n_heads = -(-H // M) * M
    return trial(V, 2 * W * n_heads, L, n_heads, M, F, E, K, S, context=T).args


def extremes(seed: int) -> tuple[Trial, ...]:
    return (
        trial(48, 48, 3, 6, 2, 48, 48, 2, 1, context=48, note="V = D = F = E = T = 48"),
        trial(64, 64, 2, 8, 8, 64, 4, 4, 4, context=64, note="E = K = S = 4"),
        trial(97, 24, 3, 4, 2, 53, 1, 1, 2, context=19, note="dense, n_shared_experts=2 means nothing"),
        trial(97, 24, 3, 4, 2, 53, 5, 2, 1, context=0, note="a context of 0"),
        trial(97, 24, 3, 4, 2, 53, 5, 2, 1, context=500, context_length=100, note="a context of 500 of 100"),
        trial(97, 24, 3, 4, 2, 53, 5, 2, 1, context=9, context_length=100, note="the same config, a context of 9"),
        trial(32_001, 2002, 3, 7, 7, 1001, 9, 3, 1, context=77, note="numbers that float32 cannot hold"),
    )


DRAWN = Drawn(
    drawn, {"V": 97, "L": 3, "W": 7, "H": 6, "M": 2, "F": 41, "E": 8, "K": 4, "S": 5, "T": 19},
    at_most=(("K", "E"), ("M", "H")), long="V", thousands=250_001,
    extremes=extremes,
)  # fmt: skip


# ---- mistakes: what a wrong step adds to the right numbers -----------------------------------------------------------

Change = Callable[[ModelConfig, int], float]


@dataclass(frozen=True)
class Slip:
    """One wrong step: what it adds to `total`, `active` and `flops`."""

    title: str
    sentence: str
    total: Change | None = None
    active: Change | None = None
    flops: Change | None = None

    def added(self, name: str, config: ModelConfig, context: int) -> float:
        change = getattr(self, name)
        return change(config, context) if change else 0


def in_all(title: str, sentence: str, weights: Callable[[ModelConfig], float]) -> Slip:
    """A slip in weights that are held, work on every token, and cost two FLOPs each."""
    return Slip(
        title, sentence, total=lambda c, n: weights(c), active=lambda c, n: weights(c),
        flops=lambda c, n: 2 * weights(c),
    )  # fmt: skip


def at_work(title: str, sentence: str, weights: Callable[[ModelConfig], float]) -> Slip:
    """A slip in what works on a token."""
    return Slip(title, sentence, active=lambda c, n: weights(c), flops=lambda c, n: 2 * weights(c))


def layer(c: ModelConfig, experts: float) -> float:
    """Weights of one block, with so many experts."""
    return (attention(c) + router(c) + experts * one_expert(c)) / c.n_layers


OF_DENSE = (
    in_all("A dense model has no router", "With `n_experts` = 1 there is nothing to choose.",
           lambda c: c.n_layers * c.d_model if c.is_dense else 0),
    at_work("A dense model has one network, always at work", "`top_k` means nothing to it: ask for `is_dense` first.",
            lambda c: (c.top_k - 1) * one_expert(c) if c.is_dense else 0),
    in_all("A dense model has no shared experts", "`n_shared_experts` means nothing to it: its one network is all.",
           lambda c: c.n_shared_experts * one_expert(c) if c.is_dense else 0),
    at_work("A dense model is left without its feed-forward", "Its one network works on every token.",
            lambda c: -one_expert(c) if c.is_dense else 0),
)  # fmt: skip
OF_EXPERTS = (
    Slip("Only the active experts are counted", "`total` holds all experts, also those that are not chosen.",
         total=lambda c, n: (working(c) - held(c)) * one_expert(c)),
    Slip("Only one expert is counted", "There are `n_experts` in each layer, and the shared ones.",
         total=lambda c, n: (1 - held(c)) * one_expert(c)),
    Slip("The shared experts are missing", "They are held besides the `n_experts` that are chosen from.",
         total=lambda c, n: -(held(c) - c.n_experts) * one_expert(c)),
    Slip("The experts are missing", "Each has three matrices, D × F.", total=lambda c, n: -held(c) * one_expert(c)),
    Slip("One matrix of each expert is missing", "An expert has three: gate, up and down.",
         total=lambda c, n: -held(c) * one_expert(c) / 3, active=lambda c, n: -working(c) * one_expert(c) / 3,
         flops=lambda c, n: -2 * working(c) * one_expert(c) / 3),
    at_work("All experts are active", "Only the `top_k` chosen ones and the shared ones work on a token.",
            lambda c: (held(c) - working(c)) * one_expert(c)),
    at_work("All chosen-from experts are active", "Of the `n_experts` only `top_k` work on a token.",
            lambda c: (c.n_experts - working(c)) * one_expert(c) if not c.is_dense else 0),
    at_work("The shared experts do not rest", "They work on every token, beside the `top_k` chosen ones.",
            lambda c: -(held(c) - c.n_experts) * one_expert(c)),
    at_work("The shared experts do not rest", "A share K / E of them was counted. They always work, all of them.",
            lambda c: (held(c) - c.n_experts) * one_expert(c) * (c.top_k / c.n_experts - 1)),
    at_work("Only one expert is active", "`top_k` chosen experts and the shared ones work on a token.",
            lambda c: (1 - working(c)) * one_expert(c)),
    at_work("One chosen expert and the shared ones", "`top_k` experts are chosen.",
            lambda c: (1 - c.top_k) * one_expert(c) if not c.is_dense else 0),
    at_work("No expert is active", "`top_k` chosen experts and the shared ones work on a token.",
            lambda c: -working(c) * one_expert(c)),
    Slip("A share of everything", "A share K / E of all parameters was taken. Only experts rest; attention, embedding, "
         "head, router, norms and shared experts work on every token.",
         active=lambda c, n: totals(c, n)[0] * c.top_k / c.n_experts - totals(c, n)[1] if not c.is_dense else 0),
    Slip("A share of everything", "A share (K + shared) / (E + shared) of all parameters was taken. Only experts rest.",
         active=lambda c, n: totals(c, n)[0] * working(c) / held(c) - totals(c, n)[1]),
)  # fmt: skip
OF_THE_ROUTER = (
    in_all("The router is missing", "Each layer has a matrix (E, D) that scores every expert, for every token.",
           lambda c: -router(c)),
    in_all("Only one router is counted", "Each of the `n_layers` layers has its own.",
           lambda c: router(c) / c.n_layers - router(c)),
    in_all("The router scores shared experts", "Shared experts are not chosen, so it has no row for them.",
           lambda c: c.n_layers * (held(c) - c.n_experts) * c.d_model),
    in_all("The router has no bias", "It is a matrix (E, D) and nothing else.",
           lambda c: 0 if c.is_dense else c.n_layers * c.n_experts),
    at_work("The router is always active", "It scores all E experts, also those that are not chosen.",
            lambda c: 0 if c.is_dense else c.n_layers * (c.top_k - c.n_experts) * c.d_model),
)  # fmt: skip
OF_ACTIVE = (
    Slip("One vocabulary matrix is missing", "Embedding and head both count as active, as in `metrics`.",
         active=lambda c, n: -table(c)),
    Slip("Both vocabulary matrices are missing", "Embedding and head count as active, as in `metrics`.",
         active=lambda c, n: -2 * table(c)),
    Slip("The norms are missing", "They work on every token.", active=lambda c, n: -vectors(c)),
    Slip("Embedding and norms are missing", "Left out of the FLOPs, they still count as active parameters.",
         active=lambda c, n: -table(c) - vectors(c)),
    Slip("Only the experts are counted", "Attention, embedding, head, router and norms are active, too.",
         active=lambda c, n: working(c) * one_expert(c) - totals(c, n)[1]),
)  # fmt: skip
OF_FLOPS = (
    Slip("Two FLOPs for every active parameter", "The embedding is a lookup and the norms are no matrices; attention "
         "also compares and mixes `context` tokens.",
         flops=lambda c, n: 2 * totals(c, n)[1] - totals(c, n)[2]),
    Slip("The FLOPs of all parameters", "Experts that are not chosen cost nothing, and the embedding is a lookup.",
         flops=lambda c, n: 2 * totals(c, n)[0] - totals(c, n)[2]),
    Slip("The factor 2 is missing", "Each weight costs a multiplication and an addition.",
         flops=lambda c, n: -totals(c, n)[2] / 2),
    Slip("The factor 2 is missing", "Each weight of a matrix costs a multiplication and an addition.",
         flops=lambda c, n: -(totals(c, n)[2] - look_back(c, n)) / 2),
    Slip("The FLOPs of all tokens", "Return the cost of one token; yours is that of `context` tokens.",
         flops=lambda c, n: (n - 1) * totals(c, n)[2]),
    Slip("The FLOPs of training", "Three times as many: the backward pass is in it. Count the forward pass only.",
         flops=lambda c, n: 2 * totals(c, n)[2]),
    Slip("Half of attention's scores and mix", "The scores cost 2·H·S for each token looked at, and so does the mix.",
         flops=lambda c, n: -look_back(c, n) / 2),
    Slip("Scores and mix twice", "The scores cost 2·H·S for each token looked at, and so does the mix.",
         flops=lambda c, n: look_back(c, n)),
)  # fmt: skip
OF_LAYERS = (
    Slip("Only one block is counted", "There are `n_layers` blocks, each with its matrices and two vectors.",
         total=lambda c, n: (1 - c.n_layers) * (layer(c, held(c)) + 2 * c.d_model),
         active=lambda c, n: (1 - c.n_layers) * (layer(c, working(c)) + 2 * c.d_model),
         flops=lambda c, n: 2 * (1 - c.n_layers) * layer(c, working(c))),
    Slip("Only one layer has experts", "Each of the `n_layers` layers has its own.",
         total=lambda c, n: (1 / c.n_layers - 1) * held(c) * one_expert(c),
         active=lambda c, n: (1 / c.n_layers - 1) * working(c) * one_expert(c),
         flops=lambda c, n: 2 * (1 / c.n_layers - 1) * working(c) * one_expert(c)),
)  # fmt: skip
# lesson 01's, in what sparse and dense models have in common: the same weights are missing or too many
COMMON = {
    "One vocabulary matrix is missing", "A vocabulary matrix is counted twice", "Keys and values have fewer heads",
    "Query and out have too few heads", "Keys or values are missing", "Query or out is missing",
    "Attention's matrices are missing", "Everything is multiplied by the layers", "The norms are missing",
    "The last norm is missing", "One norm a block is missing", "Only the last norm is counted",
    "One norm too many in each block", "The embedding is no product", "The vectors do not count",
    "Not every parameter is multiplied", "The output head is missing", "Attention's scores and mix are missing",
    "Scores and mix in one layer only", "Scores and mix of the key heads only", "Scores and mix of one head only",
    "The size of a head is missing", "A context for each of its tokens", "The length of the context is given",
    "The length of the context is missing", "Both vocabulary matrices are missing",
}  # fmt: skip


def carried(slip: dense_slips.Slip) -> Slip:
    def parameters(c: ModelConfig, n: int) -> float:
        return slip.added("n_parameters", c, n)

    return Slip(slip.title, slip.sentence, parameters, parameters, lambda c, n: slip.added("flops", c, n))


SHARED_SLIPS = tuple(carried(slip) for slip in dense_slips.SLIPS if slip.title in COMMON)
SLIPS = (*OF_DENSE, *OF_EXPERTS, *OF_THE_ROUTER, *OF_ACTIVE, *OF_FLOPS, *OF_LAYERS, *SHARED_SLIPS)

COUNT_MOE = Exercise(
    id="5.3", name="count_moe", parameters=("config", "context"), sizes="VDLHKSFTEkG",
    outputs=tuple(Output(name, whole=True) for name in NAMES), reference=totals, cases=cases,
    mistakes=mistakes(SLIPS, totals),
    drawn=DRAWN,
    hints=(
        "Only one thing differs between `total` and `active`: how many of a layer's experts count. Everything "
        "else works on every token, also the router and the shared experts. And what does your formula give for a "
        "dense config?",
        "Give each kind of weight a line, as in 1.3; the experts get a number held and a number at work. `flops` is "
        "twice the active weights that are matrix products, and what attention does with `context` tokens.",
    ),
    minutes=15, lines="about 10 lines",
    done="Three numbers that a model card often mixes up: what is held, what works on a token, what that costs.",
)  # fmt: skip

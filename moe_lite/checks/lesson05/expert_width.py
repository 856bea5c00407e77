"""Exercise 5.2, expert_width: experts of such a width that a sparse layer costs what a dense one costs."""

import math
from collections.abc import Callable
from functools import partial

from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import off


def reference(d_model: int, d_dense: int, n_experts: int, top_k: int, n_shared: int) -> tuple[int, float]:
    """d_expert, and the sparse layer's FLOPs per token over the dense one's."""
    active = top_k + n_shared
    d_expert = d_dense // active
    sparse = 2 * d_model * (3 * d_expert * active + n_experts)
    return d_expert, sparse / (2 * d_model * 3 * d_dense)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    # D, the dense width, E, K, shared experts; the width does not divide evenly
    plain = (trial(64, 172, 8, 2, 1), trial(48, 203, 16, 3, 2), trial(96, 259, 12, 4, 1))
    even = (trial(32, 120, 8, 2, 1), trial(128, 512, 16, 3, 5))
    unshared = (trial(80, 171, 8, 2, 0), trial(56, 145, 6, 1, 0))
    extreme = (trial(16, 41, 256, 8, 1), trial(24, 6, 9, 4, 2), trial(4096, 14_339, 64, 6, 2))
    both = ("d_expert", "ratio")
    return (
        Case("a whole number and a float", plain, (FORM,)),
        Case("no memory", plain[:1], (INPUT, REPEAT)),
        Case("width", plain, ("d_expert",)),
        Case("ratio", plain, ("ratio",)),
        Case("widths that divide evenly", even, both),
        Case("no shared expert", unshared, both),
        Case("many experts, narrow ones", extreme, both),
    )


def trial(*sizes: int) -> Trial:
    d_model, d_dense, n_experts, top_k, n_shared = sizes
    return Trial(sizes, f"{top_k} of {n_experts} and {n_shared} shared, instead of {d_dense}")


def drawn(seed: int, D: int, F: int, E: int, K: int, S: int) -> tuple:
    """A dense width of at least one number for each active expert."""
    return D, max(F, K + S), E, K, S


def extremes(seed: int) -> tuple[Trial, ...]:
    return (
        trial(4096, 14_336, 8, 2, 0),
        trial(16, 3999, 2000, 2000, 0),
        trial(7, 100_003, 5, 1, 0),
        trial(64, 2**24 + 1, 8, 1, 0),
    )


DRAWN = Drawn(
    drawn,
    {"D": 64, "F": 172, "E": 8, "K": 3, "S": 2},
    at_most=(("K", "E"),),
    long="D",
    thousands=131_072,
    extremes=extremes,
)


# ---- mistakes --------------------------------------------------------------------------------------------------------
# d_model, d_dense, n_experts, top_k, n_shared are d, w, e, k, s here, and f the right width

width = partial(off, "d_expert")


def ratio(title: str, rule: Callable[[int, int, int, int, int, int], float], say: str) -> Mistake:
    return off("ratio", title, lambda *sizes: float(rule(*sizes, reference(*sizes)[0])), say)


MISTAKES = (
    width("Divided by the number of experts", lambda d, w, e, k, s: w // e, "the width was shared out among all "
          "experts. Only K of them, and the shared ones, work on a token."),
    width("Divided by all experts", lambda d, w, e, k, s: w // (e + s), "the width was shared out among all experts. "
          "Only K of them, and the shared ones, work on a token."),
    width("The shared experts are forgotten", lambda d, w, e, k, s: w // k, "the width was shared out among the K "
          "chosen ones. Shared experts work on every token, and are as wide."),
    width("The shared experts alone", lambda d, w, e, k, s: w // s if s else w, "the K chosen experts work on a token "
          "as well."),
    width("One of the shared experts counts", lambda d, w, e, k, s: w // (k + 1), "there are `n_shared` shared "
          "experts, not always one."),
    width("Rounded up", lambda d, w, e, k, s: math.ceil(w / (k + s)), "this is too wide: the active experts would cost "
          "more than the dense network."),
    width("Rounded to the nearest", lambda d, w, e, k, s: round(w / (k + s)), "where it was rounded up, the active "
          "experts cost more than the dense network."),
    width("Not a whole width", lambda d, w, e, k, s: w / (k + s), "a width is a whole number of rows: round down, "
          "`//`."),
    width("One too narrow", lambda d, w, e, k, s: w // (k + s) - 1, "one more still fits."),
    width("The router was paid from the width", lambda d, w, e, k, s: (3 * w - e) // (3 * (k + s)), "the router's cost "
          "was taken off first. Here the experts alone are compared; the ratio shows the router."),
    width("Multiplied, not divided", lambda d, w, e, k, s: w * (k + s), "the more experts work on a token, the "
          "narrower each has to be."),
    width("The dense width itself", lambda d, w, e, k, s: w, "each expert is as wide as the dense network, so the "
          "layer costs as many times as much as experts are active."),
    width("The model's width, not the dense network's", lambda d, w, e, k, s: d // (k + s), "`d_model` was shared out. "
          "It is `d_dense` that the experts have to share."),
    ratio("The router is forgotten", lambda d, w, e, k, s, f: f * (k + s) / w, "the router is a matrix (E, D) that "
          "every token goes through: it belongs to the sparse layer's FLOPs."),
    ratio("The router is counted three times", lambda d, w, e, k, s, f: (f * (k + s) + e) / w, "an expert has three "
          "matrices, the router one."),
    ratio("The router is counted twice", lambda d, w, e, k, s, f: (3 * f * (k + s) + 2 * e) / (3 * w), "each weight "
          "costs 2 FLOPs, in the router as in the experts: the factors cancel."),
    ratio("Half the router", lambda d, w, e, k, s, f: (6 * f * (k + s) + e) / (6 * w), "each weight costs 2 FLOPs, in "
          "the router as in the experts."),
    ratio("The router of chosen experts only", lambda d, w, e, k, s, f: (3 * f * (k + s) + k) / (3 * w), "the router "
          "gives every expert a score, also those that are not chosen."),
    ratio("The router scores shared experts", lambda d, w, e, k, s, f: (3 * f * (k + s) + e + s) / (3 * w), "shared "
          "experts are never chosen, so the router has no row for them."),
    ratio("The router is taken off", lambda d, w, e, k, s, f: (3 * f * (k + s) - e) / (3 * w), "its cost is added to "
          "that of the experts."),
    ratio("The router is on both sides", lambda d, w, e, k, s, f: (3 * f * (k + s) + e) / (3 * w + e), "a dense layer "
          "has no router."),
    ratio("The router has no width", lambda d, w, e, k, s, f: (3 * d * f * (k + s) + e) / (3 * d * w), "the router "
          "multiplies D numbers for each expert: E · D weights."),
    ratio("The shared experts are forgotten", lambda d, w, e, k, s, f: (3 * f * k + e) / (3 * w), "shared experts work "
          "on every token, and cost FLOPs."),
    ratio("All experts are counted", lambda d, w, e, k, s, f: (3 * f * (e + s) + e) / (3 * w), "FLOPs are spent in the "
          "K chosen experts and the shared ones; the others hold parameters, and rest."),
    ratio("All experts are counted", lambda d, w, e, k, s, f: (3 * f * e + e) / (3 * w), "FLOPs are spent in the K "
          "chosen experts and the shared ones; the others hold parameters, and rest."),
    ratio("Only one expert is counted", lambda d, w, e, k, s, f: (3 * f + e) / (3 * w), "K chosen experts and the "
          "shared ones work on a token."),
    ratio("The ratio is upside down", lambda d, w, e, k, s, f: 3 * w / (3 * f * (k + s) + e), "divide the "
          "sparse layer's FLOPs by the dense one's: above 1 means that sparse costs more."),
    ratio("The ratio ignores the rounding", lambda d, w, e, k, s, f: 1 + e / (3 * w), "the ratio is that of a layer "
          "with `d_dense / active` wide experts. Use the whole width that you return."),
    ratio("The ratio over the active width", lambda d, w, e, k, s, f: (3 * f * (k + s) + e) / (3 * f * (k + s)), "the "
          "sparse layer was divided by its own experts' FLOPs. Divide by those of the dense network, `d_dense` wide."),
    ratio("Two matrices, not three", lambda d, w, e, k, s, f: (2 * f * (k + s) + e) / (2 * w), "a SwiGLU has three: "
          "gate, up and down."),
    ratio("In percent", lambda d, w, e, k, s, f: 100 * (3 * f * (k + s) + e) / (3 * w), "1 means as much as the dense "
          "layer."),
    ratio("The difference, not the ratio", lambda d, w, e, k, s, f: (3 * f * (k + s) + e) / (3 * w) - 1, "this says "
          "how much more it is. Return the quotient, which is near 1."),
    ratio("FLOPs, not their ratio", lambda d, w, e, k, s, f: 2 * d * (3 * f * (k + s) + e), "these are the sparse "
          "layer's FLOPs. Divide by the dense one's."),
    ratio("Rounded down", lambda d, w, e, k, s, f: (3 * f * (k + s) + e) // (3 * w), "`//` drops what stands behind "
          "the point; a ratio is divided with `/`."),
)  # fmt: skip

EXPERT_WIDTH = Exercise(
    id="5.2", name="expert_width", parameters=("d_model", "d_dense", "n_experts", "top_k", "n_shared"), sizes="DFEKS",
    outputs=(Output("d_expert", whole=True), Output("ratio", real=True)), reference=reference, cases=cases,
    mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "How many experts work on one token, and how wide would they be together? That is what may not exceed the "
        "dense width. The router comes afterwards, in the ratio only.",
        "The width is one whole division. For the ratio count weights that a token meets: three matrices for each "
        "active expert, one matrix (E, D) for the router; over three matrices of the dense network. A factor common to "
        "all cancels.",
    ),
    minutes=8, lines="about 4 lines",
    done="Sparse and dense cost the same now, up to the router: what differs in the losses is not the arithmetic.",
)  # fmt: skip

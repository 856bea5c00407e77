"""Exercise 3.1, router_scores: from token vectors to scores, in float32."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import as_float, close, dtype_text, listed, number
from moe_lite.checks.engine.exercise import FORM, Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import not_finite, sign, turned, wrong
from moe_lite.checks.engine.say import said

F16, BF16 = torch.float16, torch.bfloat16


def reference(x: Tensor, w_router: Tensor) -> Tensor:
    """x (N, D), w_router (E, D), any floating type -> scores (N, E) float32, rows sum to 1."""
    logits = logits_of(x, w_router)  # (N, E)
    powers = (logits - logits.detach().amax(dim=1, keepdim=True)).exp()  # (N, E), at most 1
    return powers / powers.sum(dim=1, keepdim=True)


def logits_of(x: Tensor, w_router: Tensor) -> Tensor:
    """One dot product for each token and expert, in float32."""
    return (x.float()[:, None, :] * w_router.float()[None, :, :]).sum(dim=-1)  # (N, E)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 9, 6, 5), random(2, 5, 8, 7))
    low = (random(3, 7, 16, 5, BF16, BF16), random(4, 6, 24, 9, BF16, BF16))
    mixed = (random(5, 8, 6, 4, F64, F64), random(6, 5, 7, 6, F16, F32), random(7, 4, 9, 5, BF16, F64))
    one_token = random(9, 1, 6, 5)
    form, twice = (*plain, mixed[0], one_token), (plain[0], mixed[0])
    first, last = inputs.usual(form, plain, gradient=(0, 1), again=twice, through=plain[:1])
    return (
        *first,
        Case("scores", plain, ("scores",)),
        Case("bfloat16 input", low, (FORM, "scores")),
        Case("other types", mixed, (FORM, "scores")),
        Case("large logits", (random(8, 6, 5, 4, scale=120.0),), ("scores",)),
        *last,
    )


def random(
    seed: int, n_tokens: int, width: int, n_experts: int, x_dtype: torch.dtype = F32, w_dtype: torch.dtype = F32,
    scale: float = 1.0,
) -> Trial:  # fmt: skip
    g = inputs.generator(seed)
    x = (torch.randn(n_tokens, width, generator=g) * scale).to(x_dtype)  # (N, D)
    w_router = (torch.randn(n_experts, width, generator=g) * 0.8).to(w_dtype)  # (E, D)
    types = inputs.note(seed, x_dtype) + (f" x and {dtype_text(w_router)} w_router" if x_dtype != w_dtype else "")
    return Trial((x, w_router), types)


def drawn(seed: int, N: int, D: int, E: int) -> tuple:
    """In float32, which the scores are whatever comes in."""
    return inputs.distinct(2 * seed, N, D).float(), inputs.distinct(2 * seed + 1, E, D).float()


def extremes(seed: int) -> tuple[Trial, ...]:
    x, w = drawn(seed, 7, 4, 5)
    return (
        Trial((torch.zeros_like(x), w), "x all 0"),
        Trial((x, torch.zeros_like(w)), "w_router all 0"),
        Trial(
            ((x * 1e3).round(), (w * 4).round()), "logits in the thousands, of whole numbers"
        ),  # so nothing is rounded
        Trial((x.bfloat16(), w.bfloat16()), "bfloat16"),
        Trial((x, w.bfloat16()), "float32 x, bfloat16 w_router"),
    )


DRAWN = Drawn(drawn, {"N": 7, "D": 4, "E": 5}, gradient=(0, 1), float32=False, extremes=extremes, steep=True)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def of(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A rule on the logits."""
    return lambda x, w: change(logits_of(x, w))


def cosine(x: Tensor, w_router: Tensor) -> Tensor:
    normalise = torch.nn.functional.normalize
    return logits_of(normalise(x.float(), dim=-1), normalise(w_router.float(), dim=-1)).softmax(dim=-1)


def overflow(a: Attempt) -> str:
    got = a.got["scores"]
    return (
        f"{int((~got.isfinite()).sum())} of {got.numel()} scores are nan or inf: the largest logit is "
        f"{number(float(logits_of(*a.args).max()))}, and float32 ends at exp(88). Subtract each row's largest logit "
        "first; softmax does."
    )


def short_type(a: Attempt) -> str:
    """The name of the short floating type among the arguments, or nothing."""
    return next((dtype_text(given) for given in a.args if given.dtype in (F16, BF16)), "")


def low_precision(a: Attempt) -> bool:
    """Right up to the rounding of the input's type, and that type is a short one."""
    got, expected = a.got["scores"], a.expected["scores"]
    if not short_type(a) or got.shape != expected.shape or got.dtype != F32:
        return False
    return not close(got, expected) and close(got, expected, within=0.05)


def digits_lost(a: Attempt) -> str:
    got, expected = (as_float(scores).flatten() for scores in (a.got["scores"], a.expected["scores"]))
    worst = int((got - expected).abs().argmax())
    return (
        f"Right for float32 input; with {short_type(a)} a score is {number(float(got[worst]), 4)}, expected "
        f"{number(float(expected[worst]), 4)}. Its digits were lost before your cast: cast `x` and `w_router` first, "
        "then multiply."
    )


KEPT_TYPE = "The scores keep the input's type"


def kept_type(a: Attempt) -> Note | None:
    """Also where the values are right: float64 has more digits than are asked for."""
    got = a.got.get("scores")
    if got is None or got.dtype == F32 or got.dtype not in (given.dtype for given in a.args):
        return None
    return Note(
        KEPT_TYPE,
        f"`scores` should be float32 whatever comes in; here {dtype_text(got)} came out. Cast `x` and `w_router` "
        "before the product, and do not cast the scores back.",
    )


MISTAKES = (
    sign("Rows and columns have changed places", turned("scores"), "`scores` should be (N, E) = {right.scores.shape}, "
         "one row for each token; yours is {scores.shape}. `x @ w_router.T` has one row per token."),
    wrong("The softmax is missing", logits_of, "Yours are the logits: row 0 runs from {scores[0].min} to "
          "{scores[0].max} and sums to {scores[0].sum}. Softmax makes them positive, with sum 1."),
    wrong("Softmax over the tokens", of(lambda z: z.softmax(dim=0)), lambda a: said("Your columns sum to {columns}, "
          "your rows to {scores.rows}. Each token has scores for all experts, which sum to 1: `dim=-1`.", a,
          columns=listed(a.got["scores"].sum(dim=0).tolist()[:3]))),
    wrong("One softmax over the whole array", of(lambda z: z.flatten().softmax(0).view_as(z)), "All your scores "
          "together sum to 1; each row should. Your rows sum to {scores.rows}."),
    wrong("Sigmoid, not softmax", of(torch.sigmoid), "Your rows sum to {scores.rows}: a sigmoid looks at each expert "
          "alone. Softmax lets them share."),
    wrong("Sigmoid, then divided by its sum", of(lambda z: z.sigmoid() / z.sigmoid().sum(dim=-1, keepdim=True)), "Rows "
          "sum to 1, but the largest score is {scores.max}, expected {right.scores.max}: softmax takes `exp` where you "
          "took a sigmoid."),
    wrong("Only the best expert has a score", of(lambda z: (z == z.amax(dim=-1, keepdim=True)).float()), "Your rows "
          "are one 1 and zeros. Scores say how much: every expert has some, the best has most."),
    wrong("Lengths were divided out", cosine, "The largest score is {scores.max}, expected {right.scores.max}: your "
          "vectors were normalised first. The logit is the plain dot product."),
    wrong("The logarithm of the scores", of(lambda z: z.log_softmax(dim=-1)), "Yours are at most {scores.max}, and "
          "their `exp` is right: `log_softmax` where `softmax` is meant."),
    wrong("Logits divided by their sum", of(lambda z: z / z.sum(dim=-1, keepdim=True)), "Your rows sum to 1, but the "
          "smallest score is {scores.min}. Logits can be negative: `exp` comes before the division."),
    wrong("The exp is not divided by its sum", of(torch.exp), "Your rows sum to {scores.rows}. Softmax is `exp`, then "
          "division by the sum of the row."),
    wrong("Softmax was applied twice", of(lambda z: z.softmax(dim=-1).softmax(dim=-1)), "Rows sum to 1, but the "
          "largest score is {scores.max}, expected {right.scores.max}: a second softmax flattens the first."),
    wrong("Logits are divided by √D", lambda x, w: (logits_of(x, w) / x.shape[1] ** 0.5).softmax(dim=-1), "The largest "
          "score is {scores.max}, expected {right.scores.max}: attention scales its products, a router does not."),
    wrong("The logits' signs are flipped", of(lambda z: (-z).softmax(dim=-1)), "The worst expert has the highest "
          "score: softmax was taken of minus the logits."),
    sign("`exp` overflows", not_finite, overflow),
    sign("Computed in the input's type", low_precision, digits_lost),
    Mistake(kept_type, title=KEPT_TYPE, answer=lambda names, args: (reference(*args).to(args[0].dtype),)),
)  # fmt: skip

ROUTER_SCORES = Exercise(
    id="3.1", name="router_scores", parameters=("x", "w_router"), sizes="NDE",
    outputs=(Output("scores", "N, E", expert_columns=True),), reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "A token's logit for an expert is a dot product; all of them at once are one matrix product. Softmax turns a "
        "row of logits into a row that sums to 1.",
        "Call `.float()` on both inputs first. `x @ w_router.T` has shape (N, E); softmax goes along the experts.",
    ),
    minutes=8, lines="about 2 lines", done="Scores in float32, whatever the model computes in.",
)  # fmt: skip

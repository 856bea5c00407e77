"""Exercise 3.1, router_scores: from token vectors to scores, in float32."""

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import as_float, close, dtype_text, listed, number, shape_text
from moe_lite.checks.engine.exercise import (
    FORM,
    GRADIENT,
    INPUT,
    REPEAT,
    Attempt,
    Case,
    Exercise,
    Mistake,
    Note,
    Output,
    Trial,
)
from moe_lite.checks.engine.mistakes import row_sums, ruled, seen

F16, BF16, F32, F64 = torch.float16, torch.bfloat16, torch.float32, torch.float64


def reference(x: Tensor, w_router: Tensor) -> Tensor:
    """x (N, D), w_router (E, D), any floating type -> scores (N, E) float32, rows sum to 1."""
    logits = logits_of(x, w_router)  # (N, E)
    powers = (logits - logits.detach().amax(dim=1, keepdim=True)).exp()  # (N, E), at most 1
    return powers / powers.sum(dim=1, keepdim=True)


def logits_of(x: Tensor, w_router: Tensor) -> Tensor:
    """One dot product for each token and expert, in float32."""
    return (x.float()[:, None, :] * w_router.float()[None, :, :]).sum(dim=-1)  # (N, E)


def cases() -> tuple[Case, ...]:
    plain = (_random(1, 9, 6, 5), _random(2, 5, 8, 7))
    low = (_random(3, 7, 16, 5, BF16, BF16), _random(4, 6, 24, 9, BF16, BF16))
    mixed = (_random(5, 8, 6, 4, F64, F64), _random(6, 5, 7, 6, F16, F32), _random(7, 4, 9, 5, BF16, F64))
    single = _random(9, 1, 6, 5)  # one token
    large = (_random(8, 6, 5, 4, F32, F32, scale=120.0),)
    gradient = Trial(plain[0].args, plain[0].note, gradient=(0, 1))
    return (
        Case("shapes and types", (*plain, mixed[0], single), (FORM,)),
        Case("input unchanged, no memory", (plain[0], mixed[0]), (INPUT, REPEAT)),
        Case("scores", plain, ("scores",)),
        Case("bfloat16 input", low, (FORM, "scores")),
        Case("other types", mixed, (FORM, "scores")),
        Case("large logits", large, ("scores",)),
        Case("gradient", (gradient,), (GRADIENT,)),
    )


def _random(
    seed: int, n_tokens: int, width: int, n_experts: int, x_dtype: torch.dtype = F32, w_dtype: torch.dtype = F32,
    scale: float = 1.0,
) -> Trial:  # fmt: skip
    g = inputs.generator(seed)
    x = (torch.randn(n_tokens, width, generator=g) * scale).to(x_dtype)  # (N, D)
    w_router = (torch.randn(n_experts, width, generator=g) * 0.8).to(w_dtype)  # (E, D)
    types = inputs.note(seed, x_dtype) + (f" x and {dtype_text(w_router)} w_router" if x_dtype != w_dtype else "")
    return Trial((x, w_router), types)


def _got(attempt: Attempt) -> Tensor:
    return attempt.got["scores"]


def _overflows(attempt: Attempt) -> bool:
    got = _got(attempt)
    return got.shape == attempt.expected["scores"].shape and not torch.isfinite(got).all()


def _low_precision(attempt: Attempt) -> bool:
    """Right up to the rounding of the input's type, and that type is a short one."""
    got, expected = _got(attempt), attempt.expected["scores"]
    if not _short(attempt) or got.shape != expected.shape or got.dtype != F32:
        return False
    off = (as_float(got) - as_float(expected)).abs().max()
    return not close(got, expected) and bool(off < 0.05)


def _short(attempt: Attempt) -> str:
    """The name of the short floating type among the arguments, or nothing."""
    return next((dtype_text(a) for a in attempt.args if a.dtype in (F16, BF16)), "")


def _low_precision_sentence(attempt: Attempt) -> str:
    got, expected = as_float(_got(attempt)), as_float(attempt.expected["scores"])
    worst = int((got - expected).abs().argmax())
    return (
        f"Right for float32 input; with {_short(attempt)} a score is {number(float(got.flatten()[worst]), 4)}, "
        f"expected {number(float(expected.flatten()[worst]), 4)}. Its digits were lost before your cast: cast `x` and "
        "`w_router` first, then multiply."
    )


def _kept_type(attempt: Attempt) -> Note | None:
    got = attempt.got.get("scores")
    if got is None or got.dtype == F32 or got.dtype not in (attempt.args[0].dtype, attempt.args[1].dtype):
        return None
    return Note(
        "The scores keep the input's type",
        f"`scores` should be float32 whatever comes in; here {dtype_text(got)} came out. Cast `x` and `w_router` "
        "before the product.",
    )


def _transposed(attempt: Attempt) -> bool:
    got, expected = _got(attempt), attempt.expected["scores"]
    return got.shape == expected.T.shape and got.shape != expected.shape


def _cosine(x: Tensor, w_router: Tensor) -> Tensor:
    normalise = torch.nn.functional.normalize
    return logits_of(normalise(x.float(), dim=-1), normalise(w_router.float(), dim=-1)).softmax(dim=-1)


def _of(change) -> object:
    """A rule on the logits."""
    return lambda x, w: change(logits_of(x, w))


MISTAKES = (
    seen("Rows and columns have changed places", _transposed, lambda a:
         f"`scores` should be (N, E) = {shape_text(a.expected['scores'])}, one row for each token; yours is "
         f"{shape_text(_got(a))}. `x @ w_router.T` has one row a token."),
    ruled("The softmax is missing", _of(lambda z: z), lambda a:
          f"Yours are the logits: row 0 runs from {number(float(_got(a)[0].min()))} to "
          f"{number(float(_got(a)[0].max()))} and sums to {row_sums(a, 'scores').split(',')[0].split(' ')[0]}. "
          "Softmax makes them positive, with sum 1."),
    ruled("Softmax over the tokens", _of(lambda z: z.softmax(dim=0)), lambda a:
          f"Your columns sum to {listed(_got(a).sum(dim=0).tolist()[:3])}, your rows to {row_sums(a, 'scores')}. Each "
          "token shares itself out among the experts: `dim=-1`."),
    ruled("One softmax over the whole array", _of(lambda z: z.flatten().softmax(0).view_as(z)), lambda a:
          f"All your scores together sum to 1; each row should. Your rows sum to {row_sums(a, 'scores')}."),
    ruled("Sigmoid, not softmax", _of(torch.sigmoid), lambda a:
          f"Your rows sum to {row_sums(a, 'scores')}: a sigmoid looks at each expert alone. Softmax lets them share."),
    ruled("Sigmoid, then divided by its sum", _of(lambda z: z.sigmoid() / z.sigmoid().sum(dim=-1, keepdim=True)),
          lambda a: f"Rows sum to 1, but the largest score is {number(float(_got(a).max()))}, expected "
          f"{number(float(a.expected['scores'].max()))}: softmax takes `exp` where you took a sigmoid."),
    ruled("Only the best expert has a score", _of(lambda z: (z == z.amax(dim=-1, keepdim=True)).float()),
          "Your rows are one 1 and zeros. Scores say how much: every expert has some, the best has most."),
    ruled("Lengths were divided out", _cosine, lambda a:
          f"The largest score is {number(float(_got(a).max()))}, expected {number(float(a.expected['scores'].max()))}: "
          "your vectors were normalised first. The logit is the plain dot product."),
    ruled("The logarithm of the scores", _of(lambda z: z.log_softmax(dim=-1)), lambda a:
          f"Yours are at most {number(float(_got(a).max()))}, and their `exp` is right: `log_softmax` where `softmax` "
          "is meant."),
    ruled("Logits divided by their sum", _of(lambda z: z / z.sum(dim=-1, keepdim=True)), lambda a:
          f"Your rows sum to 1, but the smallest score is {number(float(_got(a).min()))}. Logits can be negative: "
          "`exp` comes before the division."),
    ruled("The exp is not divided by its sum", _of(torch.exp), lambda a:
          f"Your rows sum to {row_sums(a, 'scores')}. Softmax is `exp`, then division by the sum of the row."),
    ruled("Softmax was applied twice", _of(lambda z: z.softmax(dim=-1).softmax(dim=-1)), lambda a:
          f"Rows sum to 1, but the largest score is {number(float(_got(a).max()))}, expected "
          f"{number(float(a.expected['scores'].max()))}: a second softmax flattens the first."),
    ruled("Logits are divided by √D", lambda x, w: (logits_of(x, w) / x.shape[1] ** 0.5).softmax(dim=-1), lambda a:
          f"The largest score is {number(float(_got(a).max()))}, expected {number(float(a.expected['scores'].max()))}: "
          "attention scales its products, a router does not."),
    ruled("The logits' signs are turned", _of(lambda z: (-z).softmax(dim=-1)),
          "The worst expert has the highest score: softmax was taken of minus the logits."),
    seen("`exp` overflows", _overflows, lambda a:
         f"{int((~torch.isfinite(_got(a))).sum())} of {_got(a).numel()} scores are nan or inf: the largest logit is "
         f"{number(float(logits_of(*a.args).max()))}, and float32 ends at exp(88). Subtract each row's largest logit "
         "first; softmax does."),
    seen("Computed in the input's type", _low_precision, _low_precision_sentence),
    Mistake(_kept_type),
)  # fmt: skip

ROUTER_SCORES = Exercise(
    id="3.1",
    name="router_scores",
    parameters=("x", "w_router"),
    sizes="NDE",
    outputs=(Output("scores", "N, E", expert_columns=True),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "A token's logit for an expert is a dot product; all of them at once are one matrix product. Softmax turns a "
        "row of logits into a row that sums to 1.",
        "Call `.float()` on both inputs first. `x @ w_router.T` has shape (N, E); softmax goes along the experts.",
    ),
    minutes=8,
    lines="about 2 lines",
    done="Scores in float32, whatever the model computes in.",
)

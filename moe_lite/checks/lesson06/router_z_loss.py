"""Exercise 6.4, router_z_loss: the mean squared log of the sum of exponentials."""

from functools import partial

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import not_finite, off, sign


def reference(logits: Tensor) -> Tensor:
    """logits (N, E) -> mean squared logsumexp, ()."""
    most = logits.detach().amax(dim=1, keepdim=True)  # (N, 1)
    return ((logits - most).exp().sum(dim=1).log() + most[:, 0]).square().mean()


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 7, 5), random(2, 4, 9), random(3, 11, 6, F32))
    large = (Trial((torch.tensor([[1000.0, 3.0, 999.0], [-800.0, -801.0, -900.0]], dtype=F64),), "logits of 1,000"),)
    zero = (Trial((torch.zeros(3, 8, dtype=F64),), "all logits 0"),)
    first, last = inputs.usual(plain, plain, gradient=(0,), through=plain[:1], name="a scalar")
    return (
        *first,
        Case("mean squared log of the sum", plain, ("loss",)),
        Case("no opinion", zero, ("loss",)),
        Case("large logits", large, ("loss",)),
        *last,
    )


def random(seed: int, n_tokens: int, n_experts: int, dtype: torch.dtype = F64) -> Trial:
    note = f"{inputs.note(seed, dtype)}, {n_tokens} tokens, {n_experts} experts"
    return Trial((inputs.logits(seed, n_tokens, n_experts, dtype),), note)


def drawn(seed: int, N: int, E: int) -> tuple:
    return (inputs.distinct(seed, N, E),)


def extremes(seed: int) -> tuple[Trial, ...]:
    logits = drawn(seed, 7, 5)[0]
    return (
        Trial((logits + 1e7,), "logits near ten million, float64"),
        Trial((logits - 1e4,), "logits near -10,000"),
        Trial((logits * 1e3,), "logits far from each other"),
        Trial((torch.zeros(7, 1, dtype=F64),), "one expert, logits all 0"),
        Trial((logits - logits.logsumexp(dim=1, keepdim=True),), "every log Σ exp 0"),
    )


DRAWN = Drawn(drawn, {"N": 7, "E": 5}, gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------

loss = partial(off, "loss")

MISTAKES = (
    sign("`exp` overflows", not_finite, "Your loss is not finite for large logits: `exp` of 1,000 is infinite, and "
         "`exp` of −1,000 is rounded to 0, whose log is −∞. `torch.logsumexp` takes the largest logit out first."),
    loss("The square is missing", lambda z: z.logsumexp(dim=1).mean(), "log Σ exp is squared for each token: the term "
         "pulls to 0 from both sides."),
    loss("Squared after the mean", lambda z: z.logsumexp(dim=1).mean().square(), "square for each token, then take the "
         "mean. A token above and one below 0 must not cancel."),
    loss("The sum over tokens", lambda z: z.logsumexp(dim=1).square().sum(), "take the *mean* over tokens: twice as "
         "many must not double it."),
    loss("Over the tokens, not over the experts", lambda z: z.logsumexp(dim=0).square().mean(), "logsumexp goes over "
         "the experts of one token, dimension 1."),
    loss("Over everything at once", lambda z: z.logsumexp(dim=(0, 1)).square(), "one log Σ exp *for each token*, over "
         "its experts."),
    loss("The log of a mean", lambda z: (z.logsumexp(dim=1) - torch.tensor(z.shape[1]).log()).square().mean(), "the "
         "exponentials are summed, not averaged. All logits 0 give (log E)²."),
    loss("The log is missing", lambda z: z.exp().sum(dim=1).square().mean(), "take the log of each sum before "
         "squaring."),
    loss("The logits' own squares", lambda z: z.square().mean(), "this keeps logits small too, but it is another loss: "
         "squared is log Σ exp of each token."),
    loss("The logits' own squares", lambda z: z.square().sum(dim=1).mean(), "squared is log Σ exp of each token, not "
         "the logits."),
    loss("The largest logit alone", lambda z: z.amax(dim=1).square().mean(), "log Σ exp is near the largest logit, but "
         "the others count as well."),
    loss("The largest logit is not put back",
         lambda z: (z - z.amax(dim=1, keepdim=True)).logsumexp(dim=1).square().mean(), "taking the largest logit out "
         "before `exp` is right; after the log it has to be added again."),
    loss("Squared too early", lambda z: z.square().logsumexp(dim=1).mean(), "the logits were squared. Squared is log Σ "
         "exp of the logits as they are."),
    loss("Softmax first", lambda z: z.softmax(dim=1).logsumexp(dim=1).square().mean(), "the loss is of the logits. "
         "After a softmax their size is gone."),
    loss("Softmax first", lambda z: z.log_softmax(dim=1).logsumexp(dim=1).square().mean(), "after `log_softmax` log Σ "
         "exp is 0 for every token."),
    loss("A root too many", lambda z: z.logsumexp(dim=1).square().mean().sqrt(), "no root: the mean of the squares."),
    loss("The coefficient is inside", lambda z: 0.001 * z.logsumexp(dim=1).square().mean(), "yours is a thousandth of "
         "it. The coefficient is multiplied outside, by the training, as with the balancing loss."),
    loss("Half of it", lambda z: z.logsumexp(dim=1).square().mean() / 2, "there is no factor ½ in front."),
)  # fmt: skip

ROUTER_Z_LOSS = Exercise(
    id="6.4", name="router_z_loss", parameters=("logits",), sizes="NE", outputs=(Output("loss"),), reference=reference,
    cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Three things in a row, in this order: for each token one number, its square, the mean.",
        "`torch.logsumexp(logits, dim=-1)` is log Σ exp over the experts of each token, and does not overflow.",
    ),
    minutes=5, lines="about 1 line",
    done="Large positive logits now cost something. Softmax alone does not see how large they are.",
)  # fmt: skip

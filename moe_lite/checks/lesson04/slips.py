"""What 4.1, 4.3, 4.4 and 4.5 can get wrong alike: the form of y, and the weights of the answers."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import decimals_that_differ, first_difference, number
from moe_lite.checks.engine.exercise import Attempt, Mistake
from moe_lite.checks.engine.mistakes import one_wrong, sign, turned


def of_y(title: str, rule: Callable[..., Tensor], say: str) -> Mistake:
    """A mistake recognised by y's numbers, whatever was computed on the way; told with the first that differs."""
    return one_wrong("y", title, rule, lambda a: f"{first_off(a)}: {say}")


def first_off(attempt: Attempt) -> str:
    """`y[0, 2]` is 0.31, expected −0.20."""
    got, expected = attempt.got["y"], attempt.expected["y"]
    n, d = first_difference(got, expected)
    mine, right = got[n, d].item(), expected[n, d].item()
    decimals = decimals_that_differ([(mine, right)])
    return f"`y[{n}, {d}]` is {number(mine, decimals)}, expected {number(right, decimals)}"


def of_form(hint: str = "") -> tuple[Mistake, ...]:
    """y is (D, N), or nothing is summed: it has N·K rows, or is (N, K, D)."""

    def row_a_choice(attempt: Attempt) -> bool:
        k = attempt.args[attempt.parameters.index("weights")].shape[1]
        n_tokens, width = attempt.expected["y"].shape
        return k > 1 and tuple(attempt.got["y"].shape) in ((n_tokens * k, width), (n_tokens, k, width))

    return (
        sign("Rows and columns have changed places", turned("y"), "`y` is {y.shape}; one row per token is expected, "
             "{right.y.shape}."),
        sign("A row for each choice", row_a_choice, "`y` is {y.shape}: the K answers of a token still stand apart. "
             f"They are added into its one row, {{right.y.shape}}{hint}."),
    )  # fmt: skip


INSTEAD = {  # of the weights (N, K)
    "The weights are missing": torch.ones_like,
    "A mean instead of weights": lambda w: torch.ones_like(w) / w.shape[1],
    "Divided by the number of choices": lambda w: w / w.shape[1],
    "The weights are applied twice": lambda w: w * w,
    "The weights were normalised": lambda w: w / w.sum(dim=1, keepdim=True),
    "The weight of the first choice for all": lambda w: w[:, :1].expand_as(w),
    "The weight of the last choice for all": lambda w: w[:, -1:].expand_as(w),
    "All weights of the token at once": lambda w: w.sum(dim=1, keepdim=True).expand_as(w),
    "The mean of the token's weights": lambda w: w.mean(dim=1, keepdim=True).expand_as(w),
    "The weights are in the opposite order": lambda w: w.flip(1),
    "A weight of another token": lambda w: w.flatten()[: len(w), None].expand_as(w),
    "Only the first choice counts": lambda w: w * (torch.arange(w.shape[1]) == 0),
    "Only the last choice is left": lambda w: w * (torch.arange(w.shape[1]) == w.shape[1] - 1),
}


def wrong_weights(answer: Callable[[Callable], Callable[..., Tensor]], say: dict[str, str]) -> tuple[Mistake, ...]:
    """Mistakes by their titles, with the exercise's own sentences.

    answer: the exercise's answer if a rule makes other weights (N, K) of those given.
    """
    return tuple(of_y(title, answer(INSTEAD[title]), sentence) for title, sentence in say.items())


def last_expert_wins(weights: Tensor, expert_ids: Tensor) -> Tensor:
    """The weights (N, K) that count in a loop over experts that writes where it should add."""
    return weights * (expert_ids == expert_ids.amax(dim=1, keepdim=True))

"""Exercise 4.5, padded_forward: every expert computes as many rows as the fullest one, in one batched product."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_lite.checks.engine.exercise import FORM, GRADIENT, INPUT, REPEAT, Attempt, Case, Exercise, Mistake, Output
from moe_lite.checks.engine.mistakes import one_of, seen
from moe_lite.checks.lesson04 import sparse_forward as plain_sorted
from moe_lite.checks.lesson04.products import ALL_AT_ONCE
from moe_lite.checks.lesson04.tokens import first_off


def reference(x: Tensor, weights: Tensor, expert_ids: Tensor, gate_up: Tensor, down: Tensor) -> tuple[Tensor, int]:
    """x (N, D), weights and expert_ids (N, K), gate_up (E, 2F, D), down (E, D, F) -> y (N, D), rows computed."""
    chosen = expert_ids[:, :, None] == torch.arange(len(down))  # (N, K, E)
    longest = int(chosen.sum(dim=(0, 1)).max())
    block = x.new_zeros(len(down), longest, x.shape[1])  # (E, longest, D)
    expert = expert_ids.flatten()  # (N·K,)
    place = (chosen.flatten(0, 1).cumsum(dim=0) - 1).gather(1, expert[:, None])[:, 0]  # (N·K,) among the expert's own
    block = block.index_put((expert, place), x.repeat_interleave(expert_ids.shape[1], dim=0))
    gate, up = (block @ gate_up.mT).chunk(2, dim=-1)  # (E, longest, F), (E, longest, F)
    out = ((F.silu(gate) * up) @ down.mT)[expert, place]  # (N·K, D)
    return (out.unflatten(0, weights.shape) * weights[:, :, None]).sum(dim=1), len(down) * longest


def cases() -> tuple[Case, ...]:
    t, both = plain_sorted.trials(), ("y", "n_rows")
    return (
        Case("shapes and types", t["types"], (FORM,)),
        Case("input unchanged, no memory", t["plain"][:1], (INPUT, REPEAT)),
        Case("equal to the loop", t["plain"] + t["other"], ("y",)),
        Case("rows computed", t["plain"] + t["other"], ("n_rows",)),
        Case("experts without tokens", t["silent"], both),
        Case("K = 1; all tokens alike", t["edges"], both),
        Case("E times the fullest, all at once", t["plain"] + t["many"], ("rows", "products")),
        Case("gradients", plain_sorted.gradient_of(t["plain"][:2] + t["silent"][:1]), (GRADIENT,)),
    )


def _counts(expert_ids: Tensor, down: Tensor) -> Tensor:
    """(E,) int64."""
    return torch.bincount(expert_ids.flatten(), minlength=len(down))


def _n_rows(title: str, rule: Callable[[Tensor, Tensor], float], sentence: str) -> Mistake:
    """`rule` of counts (E,) and expert_ids (N, K)."""

    def value(*args: Tensor) -> Tensor:
        return torch.tensor(rule(_counts(args[2], args[4]), args[2]))

    return one_of("n_rows", title, value, lambda a: f"{_rows_text(a)}: {sentence}")


def _rows_text(attempt: Attempt) -> str:
    counts = _counts(attempt.args[2], attempt.args[4]).tolist()
    return (
        f"`n_rows` is {attempt.got['n_rows'].item():,g}, expected {attempt.expected['n_rows'].item()}, for slices of "
        f"{', '.join(map(str, counts))}"
    )


def _with_padding(place: int) -> Callable[..., Tensor]:
    """The answer if every row of padding stands for this place, and is added like any other."""

    def rule(x: Tensor, weights: Tensor, ids: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
        counts = _counts(ids, down)
        token = (place % ids.numel()) // ids.shape[1]
        gate, up = (gate_up @ x[token]).chunk(2, dim=-1)  # (E, F), (E, F)
        answers = (down @ (F.silu(gate) * up)[:, :, None])[:, :, 0]  # (E, D)
        extra = ((counts.max() - counts)[:, None] * answers).sum(dim=0) * weights.flatten()[place]  # (D,)
        y = plain_sorted.reference(x, weights, ids, gate_up, down)
        return y.index_add(0, torch.tensor([token]), extra[None])

    return rule


def _padding(title: str, place: int, sentence: str) -> Mistake:
    return one_of("y", title, _with_padding(place), lambda a: f"{first_off(a)}: {sentence}")


def _computed(attempt: Attempt) -> str:
    return (
        f"{int(attempt.got['rows'])} rows went through experts, expected E times the fullest = "
        f"{int(attempt.expected['rows'])}"
    )


def _each_alone(attempt: Attempt) -> bool:
    return int(attempt.got["products"]) > 3


def _all_tokens(attempt: Attempt) -> bool:
    return not attempt.right("rows") and int(attempt.got["rows"]) == len(attempt.args[4]) * len(attempt.args[0])


def _not_seen(attempt: Attempt) -> bool:
    return int(attempt.got["rows"]) == 0


OF_PADDING = (
    _padding("Padding is added to token 0", 0, "rows of padding stand for place 0 and are added to its token, once for "
             "each. Leave them out when you put rows back, or give them weight 0."),
    _padding("Padding is added to the last token", -1, "rows of padding stand for place −1, which is the last one, and "
             "are added to its token. Leave them out when you put rows back, or give them weight 0."),
)  # fmt: skip
OF_ROWS = (
    _n_rows("The rows needed, not those computed", lambda c, ids: ids.numel(), "this is N · K, without padding. Every "
            "expert computes as many as the fullest."),
    _n_rows("The padding alone", lambda c, ids: len(c) * int(c.max()) - ids.numel(), "these are the rows that are "
            "thrown away. Asked are all that are computed."),
    _n_rows("One expert's rows", lambda c, ids: int(c.max()), "this is the fullest expert's count. There are E blocks "
            "of this length."),
    _n_rows("As long as there are tokens", lambda c, ids: len(c) * len(ids), "this is E · N. A block is as long as the "
            "largest count, not as the list of tokens."),
    _n_rows("As long as there are choices", lambda c, ids: len(c) * ids.numel(), "this is E · N · K. A block is as "
            "long as the largest count."),
    _n_rows("Silent experts are left out", lambda c, ids: int((c > 0).sum()) * int(c.max()), "experts without tokens "
            "have a block of padding, too."),
    _n_rows("The longest by number", lambda c, ids: len(c) * int(ids.max()), "the largest expert *number* was taken "
            "for the largest count."),
    _n_rows("K blocks, not E", lambda c, ids: ids.shape[1] * int(c.max()), "there is a block for every expert."),
    _n_rows("The average, not the fullest", lambda c, ids: len(c) * -(-ids.numel() // len(c)), "blocks of average "
            "length have no room for the fullest expert's rows."),
)  # fmt: skip
OF_THE_WORK = (
    seen("A product for each expert", _each_alone, lambda a:
         f"{int(a.got['products'])} matrix products were computed. Blocks of one length can go through all experts at "
         "once: (E, n, D) times (E, D, 2F) is a single product."),
    seen("Padded to all tokens", _all_tokens, lambda a:
         f"{_computed(a)}: every block is as long as the list of tokens. The largest count is long enough."),
    seen("Written as a sum", _not_seen, "No matrix product was seen. `*` and `sum` keep all the numbers in between; "
         "`@` on three dimensions does it in one product."),
    seen("Other rows than `n_rows`", lambda a: not a.right("rows"), lambda a: f"{_computed(a)}."),
)  # fmt: skip

PADDED_FORWARD = Exercise(
    id="4.5",
    name="padded_forward",
    parameters=("x", "weights", "expert_ids", "gate_up", "down"),
    sizes="NDKEfF",  # f is two F
    outputs=(Output("y", "N, D"), Output("n_rows", whole=True)),
    reference=reference,
    cases=cases,
    mistakes=(
        *plain_sorted.OF_FORM,
        *OF_PADDING,
        *plain_sorted.OF_THE_ORDER,
        *plain_sorted.OF_THE_WEIGHTS,
        *plain_sorted.OF_THE_EXPERT,
        *OF_ROWS,
        *OF_THE_WORK,
    ),
    hints=(
        "Give every sorted row two numbers: its expert, and its place in the expert's own block. They are an address "
        "in a block (E, longest, D) of zeros, for going there and for coming back.",
        "The place is the row's position in the sorted order minus the start of its expert's slice, `counts.cumsum(0) "
        "- counts`. `block @ gate_up.mT` is one product for all; read the answers at the same (expert, place).",
    ),
    minutes=15,
    lines="about 10 lines",
    done="One product for all experts, paid with rows that nobody asked for: `n_rows` against N · K says how many.",
    stretch=True,
    watch=ALL_AT_ONCE,
)

"""Exercise 4.5, padded_forward: every expert computes as many rows as the fullest one, in one batched product."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import GRADIENT, Attempt, Case, Exercise, Mistake, Output
from moe_lite.checks.engine.mistakes import one_wrong, sign
from moe_lite.checks.lesson04.products import ALL_AT_ONCE
from moe_lite.checks.lesson04.slips import of_y
from moe_lite.checks.lesson04.sparse_forward import DRAWN, OF_Y, reference as without_padding, trials


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
    t = trials()
    first, _ = inputs.usual(t["form"], t["plain"])
    return (
        *first,
        Case("equal to the loop", t["plain"] + t["other"], ("y",)),
        Case("rows computed", t["plain"] + t["other"], ("n_rows",)),
        Case("experts without tokens", t["silent"], ("y", "n_rows")),
        Case("K = 1; all tokens alike", t["ends"], ("y", "n_rows")),
        Case("E times the fullest, all at once", t["plain"] + t["many"], ("rows", "products")),
        Case("gradients", t["gradients"], (GRADIENT,)),
    )


# ---- mistakes --------------------------------------------------------------------------------------------------------


def counts_of(expert_ids: Tensor, down: Tensor) -> Tensor:
    return torch.bincount(expert_ids.flatten(), minlength=len(down))  # (E,)


def off(title: str, rule: Callable[[Tensor, Tensor], float], say: str) -> Mistake:
    """Another number of rows: by a rule of counts (E,) and expert_ids (N, K)."""

    def n_rows(x: Tensor, weights: Tensor, expert_ids: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
        return torch.tensor(rule(counts_of(expert_ids, down), expert_ids))

    def sentence(a: Attempt) -> str:
        counts = counts_of(a.args[2], a.args[4]).tolist()
        return (
            f"`n_rows` is {a.got['n_rows'].item():,g}, expected {a.expected['n_rows']}, for slices of "
            f"{', '.join(map(str, counts))}: {say}"
        )

    return one_wrong("n_rows", title, n_rows, sentence)


def with_padding(place: int) -> Callable[..., Tensor]:
    """The answer if every row of padding stands for this place, and is added like any other."""

    def rule(x: Tensor, weights: Tensor, ids: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
        counts = counts_of(ids, down)
        token = (place % ids.numel()) // ids.shape[1]
        gate, up = (gate_up @ x[token]).chunk(2, dim=-1)  # (E, F), (E, F)
        answers = (down @ (F.silu(gate) * up)[:, :, None])[:, :, 0]  # (E, D)
        extra = ((counts.max() - counts)[:, None] * answers).sum(dim=0) * weights.flatten()[place]  # (D,)
        return without_padding(x, weights, ids, gate_up, down).index_add(0, torch.tensor([token]), extra[None])

    return rule


def all_tokens(a: Attempt) -> bool:
    return not a.right("rows") and int(a.got["rows"]) == len(a.args[4]) * len(a.args[0])


COMPUTED = "{rows} rows went through experts; E times the fullest count is {right.rows}"

MISTAKES = (
    *OF_Y,
    of_y("Padding is added to token 0", with_padding(0), "rows of padding stand for place 0 and are added to its "
         "token, once for each. Leave them out when you put rows back, or give them weight 0."),
    of_y("Padding is added to the last token", with_padding(-1), "rows of padding stand for place −1, which is the "
         "last one, and are added to its token. Leave them out when you put rows back, or give them weight 0."),
    off("The rows needed, not those computed", lambda c, ids: ids.numel(), "this is N · K, without padding. Every "
        "expert computes as many as the fullest."),
    off("The padding alone", lambda c, ids: len(c) * int(c.max()) - ids.numel(), "these are the rows that are thrown "
        "away. Return all rows that are computed."),
    off("One expert's rows", lambda c, ids: int(c.max()), "this is the fullest expert's count. There are E blocks of "
        "this length."),
    off("As long as there are tokens", lambda c, ids: len(c) * len(ids), "this is E · N. A block is as long as the "
        "largest count, not as the list of tokens."),
    off("As long as there are choices", lambda c, ids: len(c) * ids.numel(), "this is E · N · K. A block is as long as "
        "the largest count."),
    off("Silent experts are left out", lambda c, ids: int((c > 0).sum()) * int(c.max()), "experts without tokens have "
        "a block of padding, too."),
    off("The longest by number", lambda c, ids: len(c) * int(ids.max()), "the largest expert *number* was taken for "
        "the largest count."),
    off("K blocks, not E", lambda c, ids: ids.shape[1] * int(c.max()), "there is a block for every expert."),
    off("The average, not the fullest", lambda c, ids: len(c) * -(-ids.numel() // len(c)), "blocks of average length "
        "have no room for the fullest expert's rows."),
    sign("A product for each expert", lambda a: int(a.got["products"]) > 3, "{products} matrix products were computed. "
         "Blocks of one length can go through all experts at once: (E, n, D) times (E, D, 2F) is a single product."),
    sign("Padded to all tokens", all_tokens, COMPUTED + ": every block is as long as the list of tokens. The largest "
         "count is long enough."),
    sign("Written as a sum", lambda a: int(a.got["rows"]) == 0, "No matrix product was seen. `*` and `sum` keep all "
         "the numbers in between; `@` on three dimensions does it in one product."),
    sign("Other rows than `n_rows`", lambda a: not a.right("rows"), COMPUTED + "."),
)  # fmt: skip

PADDED_FORWARD = Exercise(
    id="4.5", name="padded_forward", parameters=("x", "weights", "expert_ids", "gate_up", "down"), sizes="NDKEfF",
    outputs=(Output("y", "N, D"), Output("n_rows", whole=True)), reference=reference, cases=cases, mistakes=MISTAKES,
    watch=ALL_AT_ONCE, stretch=True,
    drawn=DRAWN,
    hints=(
        "Give every sorted row two numbers: its expert, and its place in the expert's own block. They are an address "
        "in a block (E, longest, D) of zeros, for going there and for coming back.",
        "The place is the row's position in the sorted order minus the start of its expert's slice, `counts.cumsum(0) "
        "- counts`. `block @ gate_up.mT` is one product for all; read the answers at the same (expert, place).",
    ),
    minutes=15, lines="about 10 lines",
    done="One product for all experts, paid for with rows that nobody needs: `n_rows` against N · K says how many.",
)  # fmt: skip

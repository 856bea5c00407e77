"""The dispatch of a few tokens, as numbers: a routing, the order that a function makes of it, and what is put back."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from moe_lite.lessons import dispatch
from moe_lite.model.routing import Routing
from moe_lite.widgets.kit.widget import called, name_of

Order = Callable[[Tensor, int], tuple[Tensor, Tensor]]  # like dispatch.dispatch_order
Combine = Callable[[Tensor, Tensor, Tensor], Tensor]  # like dispatch.combine

SAME = 1e-4  # weights closer than this differ by rounding


@dataclass(frozen=True)
class Choices:
    """The routing of N tokens with K experts each. Place n·K + j is token n's j-th choice, largest weight first."""

    names: tuple[str, ...]  # N
    experts: tuple[int, ...]  # (N·K,)
    weights: tuple[float, ...]  # (N·K,)
    kept: tuple[bool, ...]  # (N·K,) False: dropped, its expert was full
    n_experts: int

    @property
    def k(self) -> int:
        return len(self.experts) // len(self.names)

    @cached_property
    def load(self) -> tuple[int, ...]:
        """(E,): how often each expert was chosen."""
        return tuple(self.experts.count(e) for e in range(self.n_experts))


@dataclass(frozen=True)
class Dispatch:
    """Row i of the sorted rows holds place order[i]; rows are cut into one slice per expert, counts[e] rows long."""

    choices: Choices
    order: tuple[int, ...]  # (N·K,)
    counts: tuple[int, ...]  # (E,)
    put_back: tuple[tuple[float, ...], ...]  # (N, N·K): with what weight token n receives the answer of row i
    author: str = ""  # the name of the function that made the order, "" for the package's
    combiner: str = ""  # the same for what puts back

    @property
    def n_tokens(self) -> int:
        return len(self.choices.names)

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """(N·K,): the token of each row, order // K."""
        return tuple(place // self.choices.k for place in self.order)

    @cached_property
    def owners(self) -> tuple[int, ...]:
        """(N·K,): the expert that the router chose for what each row holds."""
        return tuple(self.choices.experts[place] for place in self.order)

    @cached_property
    def slices(self) -> tuple[int, ...]:
        """(N·K,): the expert in whose slice each row stands, which computes it."""
        return tuple(e for e, count in enumerate(self.counts) for _ in range(count))

    @cached_property
    def strays(self) -> tuple[int, ...]:
        """Rows in the slice of an expert that is not theirs."""
        pairs = zip(self.owners, self.slices, strict=True)
        return tuple(i for i, (owner, slice_) in enumerate(pairs) if owner != slice_)

    @cached_property
    def doubled(self) -> dict[int, int]:
        """place -> how often it stands in the order, where that is more than once."""
        return {place: times for place, times in sorted(Counter(self.order).items()) if times > 1}

    @cached_property
    def missing(self) -> tuple[int, ...]:
        """Places that the order leaves out."""
        return tuple(sorted(set(range(len(self.order))) - set(self.order)))

    @cached_property
    def dropped(self) -> tuple[int, ...]:
        """Rows whose expert was full: they are not computed."""
        return tuple(i for i, place in enumerate(self.order) if not self.choices.kept[place])

    @cached_property
    def misput(self) -> tuple[tuple[int, int, float], ...]:
        """(token, row, the weight it should have): where the answer of a row reaches a token with another weight."""
        found = []
        for n, shares in enumerate(self.put_back):
            for i, share in enumerate(shares):
                place = self.order[i]
                due = self.choices.weights[place] if self.tokens[i] == n and self.choices.kept[place] else 0.0
                if abs(share - due) > SAME:
                    found.append((n, i, due))
        return tuple(found)


def choices_of(routing: Routing, names: tuple[str, ...]) -> Choices:
    """The first len(names) tokens of a routing. Raises ValueError where K differs among tokens."""
    n = len(names)
    weights, experts = (table[:n].detach().cpu() for table in routing.top_k)  # (N, K), (N, K)
    kept = torch.zeros(routing.n_tokens, routing.n_experts, dtype=torch.bool)  # (all tokens, E)
    kept[routing.token_ids.cpu(), routing.expert_ids.cpu()] = routing.kept.cpu()
    return Choices(
        names=names,
        experts=tuple(experts.flatten().tolist()),
        weights=tuple(weights.float().flatten().tolist()),
        kept=tuple(kept[:n].gather(1, experts).flatten().tolist()),
        n_experts=routing.n_experts,
    )


def dispatch_of(choices: Choices, order: Order | None = None, combine: Combine | None = None) -> Dispatch:
    """Sort and put back by the functions given, the package's where there is none. An order that can be drawn is
    drawn, right or wrong.

    Raises CallbackError for what a function raises, TypeError or ValueError for an order that cannot be cut into
    slices, or a combination that is not (N, D).
    """
    k = choices.k
    expert_ids = torch.tensor(choices.experts).view(-1, k)  # (N, K)
    result = called(order or dispatch.dispatch_order, expert_ids, choices.n_experts)
    places, counts = _checked_order(name_of(order), result, expert_ids.numel(), choices.n_experts)
    weights = (torch.tensor(choices.weights) * torch.tensor(choices.kept)).view(-1, k)  # (N, K) 0 where dropped
    # answers that tell rows apart: row i answers with a 1 in column i, so y[n, i] is its weight in token n
    answers = torch.eye(len(places))  # (N·K, N·K)
    y = called(combine or dispatch.combine, answers, places.clone(), weights)  # (N, N·K)
    return Dispatch(
        choices=choices,
        order=tuple(places.tolist()),
        counts=tuple(counts.tolist()),
        put_back=tuple(map(tuple, _checked_sum(name_of(combine), y, (len(weights), len(places))).tolist())),
        author=_author(order, dispatch.dispatch_order),
        combiner=_author(combine, dispatch.combine),
    )


def _author(function: object, packages: object) -> str:
    return "" if function in (None, packages) else name_of(function)


def _checked_order(name: str, result: object, n_rows: int, n_experts: int) -> tuple[Tensor, Tensor]:
    if not (isinstance(result, tuple | list) and len(result) == 2 and all(isinstance(t, Tensor) for t in result)):
        raise TypeError(f"{name} must return two tensors, order and counts; it returned {type(result).__name__}.")
    order, counts = (tensor.detach().cpu() for tensor in result)
    for what, tensor, letters, length in (("order", order, "N·K", n_rows), ("counts", counts, "E", n_experts)):
        if tensor.shape != (length,) or tensor.dtype != torch.int64:
            raise ValueError(
                f"{name}: {what} has shape {tuple(tensor.shape)} and dtype {tensor.dtype}, expected "
                f"({letters},) = ({length},) and torch.int64.{_cause(what, tensor, length)}"
            )
    if not 0 <= int(order.min()) <= int(order.max()) < n_rows:
        wrong = next(place for place in order.tolist() if not 0 <= place < n_rows)
        raise ValueError(f"{name}: order holds {wrong}, but places n·K + j go from 0 to {n_rows - 1}.")
    if int(counts.min()) < 0 or int(counts.sum()) != n_rows:
        raise ValueError(
            f"{name}: counts {counts.tolist()} sum to {int(counts.sum())}, but N·K = {n_rows} rows are to be cut "
            "into slices: one count for each choice of an expert."
        )
    return order, counts


def _cause(what: str, tensor: Tensor, length: int) -> str:
    if what == "counts" and tensor.dim() == 1 and len(tensor) < length:
        return " An expert without rows has its place, too, with a 0."
    if what == "order" and tensor.numel() == length:
        return " Were the choices flattened before sorting?" if tensor.dim() != 1 else ""
    return ""


def _checked_sum(name: str, y: object, shape: tuple[int, int]) -> Tensor:
    if not isinstance(y, Tensor):
        raise TypeError(f"{name} must return one tensor (N, D); it returned {type(y).__name__}.")
    if y.shape != shape or not y.is_floating_point() or not y.isfinite().all():
        raise ValueError(
            f"{name} returned {tuple(y.shape)} {y.dtype} for answers (N·K, D) = {(shape[1], shape[1])}; "
            f"expected (N, D) = {shape}, finite floating-point numbers."
        )
    return y.detach().cpu().float()


WAYS = ("plain loop", "sorted dispatch", "all experts on all")
HEADS = ("operations, this routing", "gathers and scatters", "calls with rows", "rows computed", "time, of plain loop")


@dataclass(frozen=True)
class Work:
    """One line of the table."""

    way: str
    moves: str  # times that rows are gathered or scattered, and what is searched or sorted before
    calls: int  # experts that are given at least one row
    rows: int


def works(now: Dispatch) -> tuple[Work, ...]:
    """The three ways, for the rows that are kept. The loop takes the router's choices, sorting takes `now.order`."""
    choices, n_rows = now.choices, len(now.order)
    needed = {e for e, kept in zip(choices.experts, choices.kept, strict=True) if kept}
    called = {now.slices[i] for i in range(n_rows) if i not in now.dropped}
    return (
        Work(WAYS[0], f"{2 * len(needed)}, after {choices.n_experts} masks", len(needed), sum(choices.kept)),
        Work(WAYS[1], "2, after 1 sort", len(called), n_rows - len(now.dropped)),
        Work(WAYS[2], "0", choices.n_experts, choices.n_experts * now.n_tokens),
    )


def table(now: Dispatch, times: Mapping[str, float]) -> list[list[str]]:
    """The head and one row a way, as texts; the column of times only if there are any."""
    rows = [[w.way, w.moves, f"{w.calls:,}", f"{w.rows:,}"] for w in works(now)]
    if not times:
        return [list(HEADS[:4]), *rows]
    return [list(HEADS), *([*row, f"{times[row[0]]:.2f}" if row[0] in times else "–"] for row in rows)]


def checked_times(times: Mapping[str, float] | None) -> dict[str, float]:
    """Raises ValueError for a way that the table does not have."""
    unknown = [name for name in times or {} if name not in WAYS]
    if unknown:
        raise ValueError(f"times has {unknown}; expected some of {list(WAYS)}, each a time over the plain loop's.")
    return {name: float(value) for name, value in (times or {}).items()}


@dataclass(frozen=True)
class CodeLine:
    """A name and an array; `lit` entries are the focused token's, `bad` ones doubled or in a wrong slice."""

    name: str
    values: tuple[int, ...]
    lit: frozenset[int] = frozenset()
    bad: frozenset[int] = frozenset()

    @property
    def entries(self) -> list[list]:
        """[text, class] of each value, commas and brackets attached."""
        last = len(self.values) - 1
        texts = [f"{'[' if i == 0 else ''}{v}{']' if i == last else ','}" for i, v in enumerate(self.values)] or ["[]"]
        return [[text, "bad" if i in self.bad else "lit" if i in self.lit else ""] for i, text in enumerate(texts)]


def sorted_lines(now: Dispatch, token: int) -> list[CodeLine]:
    """order, order // K and counts; token −1 for none."""
    lit = frozenset(i for i, t in enumerate(now.tokens) if t == token)
    bad = frozenset(now.strays) | {i for i, place in enumerate(now.order) if place in now.doubled}
    wrong = frozenset(e for e, (a, b) in enumerate(zip(now.counts, now.choices.load, strict=True)) if a != b)
    return [
        CodeLine("order", now.order, lit, bad),
        CodeLine("order // K", now.tokens, lit, bad),
        CodeLine("counts", now.counts, bad=wrong),
    ]


def flat_lines(now: Dispatch, token: int) -> list[CodeLine]:
    """What is to be sorted: expert_ids.flatten(), place by place."""
    k = now.choices.k
    return [CodeLine("flat", now.choices.experts, frozenset(range(token * k, token * k + k)))]


def loop_lines(now: Dispatch, expert: int, token: int) -> list[CodeLine]:
    """What `(expert_ids == e).nonzero()` finds in the expert's turn: tokens, and which of their choices."""
    places = [p for p, e in enumerate(now.choices.experts) if e == expert]
    tokens = tuple(place // now.choices.k for place in places)
    lit = frozenset(i for i, t in enumerate(tokens) if t == token)
    choice = tuple(place % now.choices.k for place in places)
    return [CodeLine("e", (expert,)), CodeLine("token", tokens, lit), CodeLine("choice", choice, lit)]

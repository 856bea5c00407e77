"""What each way of computing a sparse layer does for one routing: operations counted, arrays as code has them."""

from collections.abc import Mapping
from dataclasses import dataclass

from moe_lite.widgets.dispatch_view_data import Dispatch

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

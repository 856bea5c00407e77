"""What the dispatch view looks at, stage, way of computing, token or slice in focus, and which lines that lights."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from moe_lite.widgets.dispatch_view.view import Dispatch

WIDEST, NARROWEST = 812, 520  # px that the picture is drawn for
TOKENS, SLICES, BACK, HEIGHT = 26, 164, 312, 372  # tops of the three rows; of the whole
BOX = 28  # height of tokens and of sorted rows
STACK, CELL = 71, 18  # middle of a token's first choice before sorting, height of a choice
WIDEST_ROW = 46


@dataclass(frozen=True)
class Places:
    """A picture of `width` px: N token boxes above each other's copies, E slices between."""

    now: Dispatch
    width: int

    @property
    def left(self) -> int:
        """Where the figure begins, right of its labels."""
        return 93 if self.width >= 700 else 66

    @property
    def pitch(self) -> float:
        return min(90, (self.width - self.left) / self.now.n_tokens)

    @property
    def box(self) -> float:
        """Width of a token's box."""
        return self.pitch - (10 if self.pitch >= 60 else 4)

    def token_x(self, n: int) -> float:
        """The middle of a token."""
        spare = self.width - self.left - self.pitch * self.now.n_tokens
        return self.left + spare / 2 + self.pitch * (n + 0.5)

    def choice_x(self, n: int, j: int) -> float:
        """Where the line of a token's j-th choice begins."""
        step = min(14, (self.box - 8) / self.now.choices.k)
        return self.token_x(n) + (j - (self.now.choices.k - 1) / 2) * step

    def stack_y(self, j: int) -> float:
        """The middle of a token's j-th choice, before it is sorted."""
        return STACK + j * (CELL + 2)

    @property
    def gap(self) -> int:
        return 10 if self.now.choices.n_experts <= 8 else 4

    @property
    def slot(self) -> int:
        """The narrowest slice: as wide as its expert's badge."""
        return 20 if self.now.choices.n_experts <= 8 else 18

    @cached_property
    def row(self) -> float:
        """Width of a sorted row: the widest at which all slices fit."""
        room = self.width - self.left - self.gap * (len(self.now.counts) - 1)
        low, high = 1.0, float(WIDEST_ROW)
        for _ in range(20):
            middle = (low + high) / 2
            fits = sum(max(count * middle, self.slot) for count in self.now.counts) <= room
            low, high = (middle, high) if fits else (low, middle)
        return low

    @cached_property
    def slices(self) -> tuple[tuple[float, float], ...]:
        """(E,) of (left, width)."""
        widths = [max(count * self.row, self.slot) for count in self.now.counts]
        x = self.left + max(0, self.width - self.left - sum(widths) - self.gap * (len(widths) - 1)) / 2
        places = []
        for width in widths:
            places.append((x, width))
            x += width + self.gap
        return tuple(places)

    def row_x(self, i: int) -> float:
        """The middle of a sorted row."""
        return self._first_rows[self.now.slices[i]] + i * self.row

    @cached_property
    def _first_rows(self) -> tuple[float, ...]:
        """(E,): where row 0 would have its middle if all rows before the slice were as wide as its own."""
        starts = accumulate(self.now.counts, initial=0)
        slices = zip(self.slices, self.now.counts, starts, strict=False)
        return tuple(left + (wide - count * self.row) / 2 + (0.5 - s) * self.row for (left, wide), count, s in slices)

    def letters(self) -> int:
        """Characters of code that fit into a token's box."""
        return max(1, int((self.box - 2) / (6.65 if self.small else 7.25)))

    @property
    def small(self) -> bool:
        """Whether tokens are written in 11 px instead of 12."""
        return self.box < 46


STAGES = {
    "loop": ("1 tokens", "2 mask", "3 compute", "4 put back"),
    "sorted": ("1 tokens", "2 sort", "3 compute", "4 put back"),
}
LAST = 4


@dataclass(frozen=True)
class Look:
    """The settings that route nothing."""

    stage: int = LAST  # 1 to 4
    way: str = "sorted"  # or "loop"
    token: int = 0
    picked: int = -1  # the slice that was clicked; in the loop the expert whose turn it is

    @property
    def turn(self) -> int:
        return max(0, self.picked)

    @property
    def by_token(self) -> bool:
        """Whether the focused token's lines stand out, not a slice's."""
        return self.way == "sorted" and self.picked < 0


def shown_rows(now: Dispatch, look: Look) -> frozenset[int]:
    """Rows that stand in their slices: none before sorting, in the loop those of the turn."""
    rows = range(len(now.order)) if look.stage > 1 else ()
    return frozenset(i for i in rows if look.way == "sorted" or now.slices[i] == look.turn)


def lit_rows(now: Dispatch, look: Look) -> frozenset[int]:
    """Rows whose way from the token is drawn in full ink."""
    if look.by_token:
        return frozenset(i for i, token in enumerate(now.tokens) if token == look.token)
    return frozenset(i for i, e in enumerate(now.slices) if e == look.turn)


def returns(now: Dispatch) -> list[tuple[int, int]]:
    """(token, row): which answers reach which token."""
    return [(n, i) for n, shares in enumerate(now.put_back) for i, share in enumerate(shares) if share != 0]


def lit_returns(now: Dispatch, look: Look) -> frozenset[tuple[int, int]]:
    """Ways back that are drawn in full ink."""
    lit = lit_rows(now, look)
    return frozenset((n, i) for n, i in returns(now) if (n == look.token if look.by_token else i in lit))


def terms(now: Dispatch, look: Look) -> list[tuple[float, int]]:
    """(weight, row) of each answer that the focused token receives, largest first; in the loop in this turn."""
    shares = enumerate(now.put_back[look.token])
    mine = [(share, i) for i, share in shares if share != 0 and (look.way == "sorted" or now.slices[i] == look.turn)]
    return sorted(mine, key=lambda term: (-term[0], term[1]))

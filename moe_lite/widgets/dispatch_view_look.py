"""What the dispatch view looks at, stage, way of computing, token or slice in focus, and which lines that lights."""

from dataclasses import dataclass

from moe_lite.widgets.dispatch_view_data import Dispatch

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

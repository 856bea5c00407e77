"""The budget explorer in words: numbers as it prints them, its reading line and its notes."""

from moe_lite.look.words import percent
from moe_lite.widgets.budget_explorer.view import ABOUT, LETTERS, SIZES, BudgetView, Counted

NAMES = {"parameters": "parameters", "flops": "FLOPs per token"}
UNCOUNTED = "embedding 0: a lookup · norms not counted"
OWN = "your own shape"
_UNITS = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand"))


def amount(number: int) -> str:
    """Three digits and a word: 7_241_732_096 -> "7.24 billion"; below 1,000 the number itself."""
    for unit, word in _UNITS:
        value = float(f"{number / unit:.3g}")
        if value >= 1:
            digits = 0 if value >= 100 else 1 if value >= 10 else 2
            return f"{value:,.{digits}f} {word}"
    return str(number)


def exact(number: int) -> str:
    """With thousands separated; what would fill the line, in powers of ten."""
    text = f"{number:,}" if abs(number) < 10**15 else f"{number:.3e}"
    return text.replace("-", "−")


def count_text(mine: Counted, kind: str, true: int, most: int = 20) -> str:
    """ "count_dense gives 7,241,732,096: equal", or by how much it is off. Names longer than `most` are cut."""
    number = getattr(mine, kind)
    name = mine.name if len(mine.name) <= most else f"{mine.name[: most - 1]}…"
    off = number - true
    verdict = "equal" if off == 0 else f"{exact(abs(off))} too {'many' if off > 0 else 'few'}"
    return f"{name} gives {exact(number)}: {verdict}"


def reading(view: BudgetView, before: BudgetView | None) -> str:
    """Where parameters and FLOPs sit; after a move, what it changed."""
    held, worked = (percent(view.shares(kind)["feed-forward"]) for kind in NAMES)
    now = (
        f"Of {amount(view.budget.total_parameters)} parameters {held} sit in the feed-forward networks, "
        f"and {worked} of the FLOPs a token costs at context {view.context:,}."
    )
    return now if before is None or before == view else f"{now} {_change(view, before)}"


def _change(view: BudgetView, before: BudgetView) -> str:
    """What became of the feed-forward's share, and of the other that moved most."""
    kind = "flops" if before.config == view.config else "parameters"
    was, now = _grouped(before, kind), _grouped(view, kind)
    other = max(("the vocabulary’s", "attention’s"), key=lambda name: abs(now[name] - was[name]))
    first, second = (_moved(was[name], now[name]) for name in ("feed-forward", other))
    named = "FLOPs" if kind == "flops" else kind
    return f"{_moves(view, before)}: of the {named}, the feed-forward’s share {first} and {other} {second}."


def _moves(view: BudgetView, before: BudgetView) -> str:
    """ "D from 128 to 256 and L from 4 to 8"; whole shapes by their names."""
    if view.name != before.name and view.name:
        return f"From {_named(before)} to {_named(view)}"
    pairs = {name: (getattr(before.config, name), getattr(view.config, name)) for name in SIZES}
    pairs["context"] = (before.context, view.context)
    changes = [f"{LETTERS[name]} from {a:,} to {b:,}" for name, (a, b) in pairs.items() if a != b]
    text = " and ".join(changes) or "Other heads"
    return text[0].upper() + text[1:]


def _named(view: BudgetView) -> str:
    return f"“{view.name}”" if view.name else OWN


def _grouped(view: BudgetView, kind: str) -> dict[str, float]:
    """Shares as one speaks of them: embedding and head are the vocabulary's."""
    shares = view.shares(kind)
    vocabulary = shares["embedding"] + shares["head"]
    return {
        "feed-forward": shares["feed-forward"],
        "the vocabulary’s": vocabulary,
        "attention’s": shares["attention"],
    }


def _moved(was: float, now: float) -> str:
    a, b = percent(was), percent(now)
    if a == b:
        return f"stays at {b}"
    return f"{'grows' if now > was else 'shrinks'} from {a} to {b}"


def note(view: BudgetView, corrections: list[str]) -> str:
    """What was corrected, the heads, and whose shape it is."""
    config = view.config
    heads = "1 query head" if config.n_heads == 1 else f"{config.n_heads} query heads"
    shared = f"{heads} of size {config.d_head}, {config.n_kv_heads} for keys and values."
    return " ".join([*corrections, shared, ABOUT.get(view.name, "")]).strip()


def setting(view: BudgetView) -> str:
    """The sizes on one line, for pages without sliders."""
    sizes = " · ".join(f"{LETTERS[name]} {getattr(view.config, name):,}" for name in SIZES)
    return f"{view.name or OWN} · {sizes} · context {view.context:,}"

"""The dispatch view in words: what a picture shows, and what is wrong with an order that was passed in."""

from moe_lite.look.words import number
from moe_lite.widgets.dispatch_view.layout import LAST, Look, terms
from moe_lite.widgets.dispatch_view.view import Dispatch, works
from moe_lite.widgets.kit.parts import Parts, experts_named, listed_parts

EMPTY = "No token: give DispatchView a text."
NAMED = 3  # wrong rows that are named; the rest is counted
_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def low(n: int) -> str:
    """5 -> "₅" """
    return str(n).translate(_LOW)


def sum_text(now: Dispatch, look: Look) -> str:
    """What the focused token receives: "0.85 · f₅(x) + 0.15 · f₁(x)"; in the loop what its turn adds, or "".

    An answer computed from another token's row has that token's number: f₅(x₃).
    """
    texts = []
    for share, i in terms(now, look):
        x = "x" if now.tokens[i] == look.token else f"x{low(now.tokens[i])}"
        texts.append(f"{_share(share)} · f{low(now.slices[i])}({x})")
    if look.way == "loop":
        return f"+ {texts[0]}" if texts else ""
    return " + ".join(texts) or "0"


def _share(value: float) -> str:
    """A weight as figures print it; a small one is not zero."""
    return "<0.01" if 0 < value < 0.005 else number(value)


def reading_parts(now: Dispatch, look: Look) -> Parts:
    """The reading line: what is wrong, if something is, otherwise what the stage shows of the token or slice."""
    if look.way == "loop":
        return _turn(now, look)
    wrong = _wrong(now)
    if wrong:
        return wrong
    if look.picked >= 0:
        return _slice(now, look.picked)
    return [*_STAGES[look.stage](now, look), *_dropped(now, look)]


def fault(now: Dispatch) -> dict:
    """For the error box: an order that is no permutation, counts that are not the choices'; {} if there is none."""
    if now.missing:
        k = now.choices.k
        twice = [f"place {p} (token {p // k}) {_times(times)}" for p, times in now.doubled.items()]
        never = f"{_many('place', now.missing)} (token {', '.join(str(p // k) for p in now.missing[:NAMED])}) never"
        clauses = "".join(listed_parts([*_cut(twice), never]))
        what = f"{now.author or 'dispatch_order'}: order is not a permutation."
        return {"what": what, "instead": f"It holds {clauses}. They are framed."}
    for e, (count, load) in enumerate(zip(now.counts, now.choices.load, strict=True)):
        if count != load:
            what = f"{now.author or 'dispatch_order'}: counts do not match the choices."
            return {
                "what": what,
                "instead": f"counts[{e}] is {count}, but expert {e} was chosen {load} times. The slices are drawn "
                "as counts cut them.",
            }
    return {}


def _times(times: int) -> str:
    return "twice" if times == 2 else f"{times} times"


def _many(noun: str, values: tuple[int, ...]) -> str:
    return f"{noun}{'s' if len(values) > 1 else ''} {''.join(listed_parts(_cut([str(v) for v in values])))}"


def _cut(texts: list[str]) -> list[str]:
    return texts if len(texts) <= NAMED + 1 else [*texts[:NAMED], f"{len(texts) - NAMED} more"]


def _name(now: Dispatch, token: int) -> Parts:
    return [f"Token {token} ", {"code": now.choices.names[token]}]


def _numbers(values: list[int] | tuple[int, ...]) -> str:
    return "".join(listed_parts([str(v) for v in values]))


def _places(now: Dispatch, token: int) -> range:
    return range(token * now.choices.k, (token + 1) * now.choices.k)


def _experts_of(now: Dispatch, token: int) -> list[int]:
    return [now.choices.experts[p] for p in _places(now, token)]


# ---- a right order, stage by stage -----------------------------------------------------------------------------------


def _tokens(now: Dispatch, look: Look) -> Parts:
    places = _places(now, look.token)
    weights = _numbers_of([_share(now.choices.weights[p]) for p in places])
    return [
        f"The router sends token {look.token} ", {"code": now.choices.names[look.token]}, " to ",
        *experts_named(_experts_of(now, look.token)), f" with {weights}: place",
        f"{'s' if len(places) > 1 else ''} {_numbers(places)} of the {len(now.order)} choices.",
    ]  # fmt: skip


def _numbers_of(texts: list[str]) -> str:
    return f"weight{'s' if len(texts) > 1 else ''} {''.join(listed_parts(texts))}"


def _sort(now: Dispatch, look: Look) -> Parts:
    rows = [i for i, t in enumerate(now.tokens) if t == look.token]
    n, k = now.n_tokens, now.choices.k
    return [
        f"{n} tokens × {k} = {n * k} rows stand expert by expert, and within a slice in the order of the text. ",
        *_name(now, look.token), f" is row{'s' if len(rows) > 1 else ''} {_numbers(rows)}.", *_empty(now),
    ]  # fmt: skip


def _compute(now: Dispatch, look: Look) -> Parts:
    _, mine, everything = works(now)
    return [
        f"{mine.calls} expert{'s work' if mine.calls > 1 else ' works'} on {mine.rows} rows, each on a slice of "
        f"neighbouring rows. All experts on all tokens would be {everything.rows} rows.", *_empty(now),
    ]  # fmt: skip


def _put_back(now: Dispatch, look: Look) -> Parts:
    experts = [now.choices.experts[p] for p in _places(now, look.token) if now.choices.kept[p]]
    if not experts:
        return [*_name(now, look.token), " has no row left that is computed: nothing is put back.", *_empty(now)]
    one = len(experts) == 1
    return [
        *_name(now, look.token), " is copied into the slice of " if one else " is copied into the slices of ",
        *experts_named(experts), ", computed there beside its neighbours, and ",
        "weighted and put back where it came from." if one else "added up where it came from.", *_empty(now),
    ]  # fmt: skip


_STAGES = {1: _tokens, 2: _sort, 3: _compute, 4: _put_back}


def _empty(now: Dispatch) -> Parts:
    idle = [e for e, count in enumerate(now.counts) if count == 0]
    if not idle:
        return []
    if len(idle) > 4:
        return [f" {len(idle)} of {now.choices.n_experts} experts got nothing and have nothing to compute."]
    verbs = "has" if len(idle) == 1 else "have"
    who = experts_named(idle)
    return [f" {who[0].capitalize()}", *who[1:], f" got nothing and {verbs} nothing to compute."]


def _dropped(now: Dispatch, look: Look) -> Parts:
    if not now.dropped:
        return []
    lost = [now.owners[i] for i in now.dropped if now.tokens[i] == look.token]
    count = f" {len(now.dropped)} row{'s are' if len(now.dropped) > 1 else ' is'} dropped: no room in the slice."
    if not lost:
        return [count]
    who = experts_named(sorted(lost))
    return [count, f" Token {look.token} gets nothing from ", *who, "."]


def _slice(now: Dispatch, expert: int) -> Parts:
    rows = [i for i, e in enumerate(now.slices) if e == expert]
    if not rows:
        return ["Expert ", {"expert": expert}, " has an empty slice: no token chose it."]
    which = f"row {rows[0]}" if len(rows) == 1 else f"rows {rows[0]} to {rows[-1]}"
    tokens = f"token{'s' if len(rows) > 1 else ''} {_numbers([now.tokens[i] for i in rows])}"
    return ["Expert ", {"expert": expert}, f" has {which} of the {len(now.order)}: {tokens}, computed in one call."]


# ---- the plain loop --------------------------------------------------------------------------------------------------


def _turn(now: Dispatch, look: Look) -> Parts:
    expert, n = look.turn, len(now.order)
    tokens = [p // now.choices.k for p, e in enumerate(now.choices.experts) if e == expert]
    begin = ["The turn of expert ", {"expert": expert}, f": it searches all {n} choices"]
    if not tokens:
        return [*begin, " and finds none of its own, so it is not called."]
    found = f"token{'s' if len(tokens) > 1 else ''} {_numbers(tokens)}"
    if look.stage == 1:
        return [*begin, f" and will find {found}."]
    them = "them" if len(tokens) > 1 else "it"
    acts = [f"finds {found}", f"gathers {them}"]
    acts += [f"computes {them} in one call"] if look.stage > 2 else []
    acts += ["adds the weighted answers where they came from"] if look.stage == LAST else []
    return [*begin, ", ", *listed_parts(acts), "."]


# ---- a wrong order ---------------------------------------------------------------------------------------------------


def _wrong(now: Dispatch) -> Parts:
    """What is not as it should be, rows named. Empty for a right dispatch."""
    if now.missing:
        n = len(now.missing)
        lost = "1 choice is never computed, another row" if n == 1 else f"{n} choices are never computed, as many rows"
        return [f"{lost} once too often.", *_strays(now, " ")]
    if now.strays:
        return _strays(now)
    if now.misput:
        return _misput(now)
    return []


def _strays(now: Dispatch, begin: str = "") -> Parts:
    if not now.strays:
        return []
    parts: Parts = []
    for i in now.strays[:NAMED]:
        word = f"{begin}Row" if not parts else ", row"
        parts += [f"{word} {i} (token {now.tokens[i]}) in the slice of expert ", {"expert": now.slices[i]},
                  " belongs to expert ", {"expert": now.owners[i]}]  # fmt: skip
    count, n = len(now.strays), len(now.order)
    stand = "stands in a slice that is not its own" if count == 1 else "stand in slices that are not their own"
    return [*parts, f". {count} of {n} rows {stand}: another expert computes them." if count > 1 else "."]


def _misput(now: Dispatch) -> Parts:
    n, i, due = now.misput[0]
    count = len({token for token, _, _ in now.misput})
    got = number(now.put_back[n][i])
    return [
        *_name(now, n), f" receives {got} of row {i}, the answer of expert ", {"expert": now.slices[i]}, " to token ",
        f"{now.tokens[i]}; it should be {number(due)}. {count} of {now.n_tokens} tokens get a wrong sum.",
    ]  # fmt: skip

"""The capacity view in words: its key figures and reading line."""

from moe_lite.look.words import percent
from moe_lite.widgets.capacity_view.view import NO_LIMIT, Rooms
from moe_lite.widgets.kit.parts import Parts, code

SERVED = {
    "position": "earlier tokens first",
    "score": "highest score first",
    "first_choice": "all first choices first",
}


def factor_text(factor: float) -> str:
    return "no limit" if factor == NO_LIMIT else f"{factor:g}"


def facts(now: Rooms) -> list[list[str]]:
    """Key figures as [value, what it is]."""
    capacity = "∞" if now.factor == NO_LIMIT else f"{now.capacity:,}"
    return [
        [capacity, "rows in an expert's table"],
        [f"{now.asked - now.dropped:,} of {now.asked:,}", "choices find room"],
        [percent(now.dropped / now.asked), "are dropped"],
        [f"{len(now.alone):,}", f"{'token has' if len(now.alone) == 1 else 'tokens have'} no expert at all"],
        *([] if now.factor == NO_LIMIT else [[f"{now.empty:,} of {now.rows:,}", "rows of all tables are empty"]]),
    ]


def reading(now: Rooms) -> Parts:
    """What the limit does to this text."""
    busiest = max(range(now.n_experts), key=now.load.__getitem__)
    fair = now.asked / now.n_experts
    asked = f": {now.load[busiest]} choices, where {fair:.4g} would be its fair share."
    fullest = ["The fullest is expert ", {"expert": busiest}, asked]
    if now.factor == NO_LIMIT:
        return ["Without a limit every choice finds room. ", *fullest]
    shares = "one fair share" if now.factor == 1 else f"{now.factor:g} fair shares"
    begin = f"With room for {shares}, rounded up, each expert takes {now.capacity}, {SERVED[now.priority]}: "
    if not now.dropped:
        return [begin, f"all {now.asked} choices find room. ", *fullest]
    return [begin, f"{now.dropped} of {now.asked} choices are dropped. ", *_tokens(now), *fullest]


def _tokens(now: Rooms) -> list[str]:
    """What that means for the tokens."""
    alone, short = len(now.alone), now.short
    said = []
    if short:
        said.append(f"{short} token{'s lose some of their' if short > 1 else ' loses some of its'} experts. ")
    if alone:
        said.append(f"{alone} token{'s have' if alone > 1 else ' has'} no expert left, only the residual. ")
    return said


# ---- one token -------------------------------------------------------------------------------------------------------


def ordinal(choice: int) -> str:
    return ("first", "second", "third", "fourth")[choice] if choice < 4 else f"{choice + 1}th"


def said_of(now: Rooms, token: int) -> dict:
    """What is said of a token, in pieces: who it is, each of its choices as [expert, place from 0, whether there is
    room, words for that], and what that comes to."""
    face = now.faces[token]
    who = [code(face), *([f" (a part of {face.part_of})"] if face.part_of else []), f", token {token}: "]
    return {
        "who": who,
        "choices": [
            [expert, place, kept, _choice(now, choice, expert, kept, place)]
            for choice, ((expert, kept), place) in enumerate(zip(now.choices[token], now.places[token], strict=True))
        ],
        "so": _so(now, token),
    }


def token_sentence(now: Rooms, token: int, choice: int | None = None) -> Parts:
    """All that is said of a token, or of one of its choices; the script puts it together in the same way."""
    said = said_of(now, token)
    pieces = said["choices"] if choice is None else [said["choices"][choice]]
    joined = [part for i, (*_, parts) in enumerate(pieces) for part in (*(["; "] if i else []), *parts)]
    return [*said["who"], *joined, *(said["so"] if choice is None else ["."])]


def _choice(now: Rooms, choice: int, expert: int, kept: bool, place: int) -> Parts:
    where = f", place {place + 1} of {now.load[expert]}: "
    return [f"{ordinal(choice)} choice, expert ", {"expert": expert}, where, f"finds {'' if kept else 'no '}room"]


def _so(now: Rooms, token: int) -> Parts:
    choices = now.choices[token]
    left = [(expert, weight) for (expert, kept), weight in zip(choices, now.weights[token], strict=True) if kept]
    if not choices:
        return ["no expert has chosen it."]
    if not left:
        return [". No expert answers it: only the residual carries it on."]
    if len(left) < len(choices) and len(left) == 1:
        expert, weight = left[0]
        return [". Expert ", {"expert": expert}, f" alone answers it, with weight {weight:.2f}."]
    return ["."]


def legend(now: Rooms) -> list[tuple[str, str]]:
    """The signs that are to be seen as (class, what it means)."""
    most = max(map(len, now.choices))
    later = {2: "second choice", 3: "second or third choice"}.get(most, "later choice")
    lost = {1: "token that lost its expert", 2: "token that lost both its experts"}
    signs = [
        ("in", "first choice", True),
        ("in later", later, most > 1),
        ("out", "choice that finds no room", now.dropped > 0),
        ("gone", lost.get(most, "token that lost all its experts"), any(now.choices[token] for token in now.alone)),
        ("none", "token that no expert chose", not all(now.choices)),
        ("free", "empty row", any(now.free)),
    ]
    return [(look, text) for look, text, seen in signs if seen]

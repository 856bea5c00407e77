"""The model as one line, with the parts that a lesson is about marked: what stands at the top of every lesson."""

from collections.abc import Iterable
from html import escape

from moe_lite.course import outline
from moe_lite.look.picture import Picture
from moe_lite.look.svg import drawn_only, figure, framed
from moe_lite.look.words import listed

N_EXPERTS, LIT = 8, (1, 5)  # experts drawn, and the two that work on the token
WIDTH, HEIGHT, Y = 724, 224, 96  # Y: the line that the token travels on
BOX = 32  # height of a part
STEP = 15  # from one expert to the next
# left edge and width of each part that is a box
PLACES = {
    "embed": (84, 60),
    "attention": (164, 78),
    "router": (278, 64),
    "feed-forward": (340, 116),
    "combine": (476, 68),
    "head": (610, 52),
}
EXPERTS = (386, 46)
FRAME = (154, 442, 20, 188)  # the block: left, width, top, height
SPLIT, PLUS = 256, 572  # where the residual leaves the line, and where it is added again
DENSE = ("embed", "attention", "feed-forward", "residual", "head")
SPARSE = ("embed", "attention", "router", "experts", "combine", "residual", "head")
DASHED = ' stroke-dasharray="3 3"'
NOW = ("today", "small")  # states of today's parts
KEY = {
    "built": "Solid: built in an earlier lesson.",
    "today": "Thick and blue: today.",
    "small": "Dashed and blue: today, on toy data.",
    "to come": "Dashed: to come; until then the package's own stands in.",
}
LEFT_OUT = "Not drawn: the norms, and attention's own residual."

_CSS = """
font:13px/1.4 var(--jp-ui-font-family,system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif);
color:var(--fg);max-width:812px;margin:4px 0 8px;
svg{display:block;max-width:100%;height:auto}
text{fill:var(--fg);font-size:13px;text-anchor:middle}
text.d{fill:var(--fg2);font-size:12px}text.now{fill:var(--brandInk);font-size:12px;font-weight:600}
text.n{font-size:11px;font-weight:700;fill:var(--fg2)}text.n.on{fill:var(--onTint)}
text.l{text-anchor:start}text.t{text-anchor:start;font-size:12px;
font-family:var(--jp-code-font-family,Menlo,Consolas,"DejaVu Sans Mono",monospace)}
.wire{stroke:var(--line1);fill:none}.faint{stroke:var(--line);fill:none}
.path{stroke:var(--m);stroke-width:2;fill:none}
.part{fill:var(--bg);stroke:var(--fg2)}.lit{fill:var(--t);stroke:var(--m)}
.today{stroke:var(--brand);stroke-width:2.5}.around{fill:none}
p{margin:6px 0 0;font-size:12px;color:var(--fg2)}
"""


def model_diagram(today: int) -> Picture:
    """Where lesson `today` sits in the model: parts built before it, its own, and those to come.

    Raises CourseError, a ValueError, if there is no such lesson.
    """
    here = outline.lesson(today)
    parts = DENSE if today == 1 else SPARSE
    states = {part: _state(part, here) for part in (*parts, "block")}
    drawn = [_frame(states["block"], here), _wires(), _residual(states["residual"], here)]
    drawn += [_box(part, states[part], here) for part in parts if part in PLACES]
    drawn += [_experts(states["experts"], here)] if "experts" in parts else [_arrow(SPLIT, 340), _arrow(456, PLUS - 8)]
    drawn += [_whole(here)] if "model" in here.today else []
    words = _words(parts, states, here)
    alt = f"The model as one line: {_line(parts)}. {words}"
    svg = figure("".join(drawn), WIDTH, HEIGHT, alt, inline=True)
    shown = {states[part] for part in parts} | ({"today"} if {"model", "block"} & {*here.today} else set())
    key = " ".join(KEY[state] for state in KEY if state in shown)
    caption = f"<p>{escape(words)}</p><p>{key if today else KEY['to come']} {LEFT_OUT}</p>"
    return Picture(framed("model", _CSS, drawn_only(svg), caption), alt)


def _state(part: str, here: outline.Lesson) -> str:
    """ "today", "small" (today, but the model's own comes later), "built" or "to come"."""
    own = outline.course().model[part]
    if part in here.today:
        return "small" if own > here.number else "today"
    return "built" if own < here.number else "to come"


def _words(parts: Iterable[str], states: dict[str, str], here: outline.Lesson) -> str:
    """The picture in words, as caption and for those who cannot see it."""
    if not here.number:
        return "The whole model, nothing built yet."
    if "model" in here.today:
        return "Today: the whole model."
    if "block" in here.today:
        return "Today: the parts of the block, put together."
    named = {state: [part for part in parts if states[part] == state] for state in KEY}
    said = [f"Today: {listed(named['today'])}."] if named["today"] else []
    if named["small"]:
        later = sorted({outline.course().model[part] for part in named["small"]})
        said.append(f"Today, on toy data: {listed(named['small'])}. The model gets its own in {_lessons(later)}.")
    if named["built"] and here.number < outline.course().model["block"]:
        said.append(f"Built so far: {listed(named['built'])}.")
    if named["to come"]:
        said.append(f"To come: {listed(named['to come'])}.")
    return " ".join(said)


def _lessons(numbers: list[int]) -> str:
    return f"lesson{'s' * (len(numbers) > 1)} {listed([f'{n:02d}' for n in numbers])}"


def _line(parts: tuple[str, ...]) -> str:
    inside = [part for part in parts if part not in ("embed", "residual", "head")]
    inside = [f"{N_EXPERTS} experts of which two work" if part == "experts" else part for part in inside]
    return f"tokens, embed, four blocks of {listed(inside)} with a residual around, head, the next token"


# ---- pieces of SVG ---------------------------------------------------------------------------------------------------


def _look(state: str, kind: str = "part") -> str:
    """Class and stroke of a shape in a state."""
    dashed = DASHED if state in ("to come", "small") else ""
    return f'class="{kind}{" today" if state in NOW else ""}"{dashed}'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(text)}</text>'


def _number(part: str, state: str, here: outline.Lesson, x: float, y: float, before: str = "", kind: str = "") -> str:
    """The lesson below a part: the one that builds it, or today's."""
    if state in NOW:
        return _text(x, y, f"{before}today · {here.label}", f"now {kind}")
    return _text(x, y, f"{before}{outline.course().model[part]:02d}", f"d {kind}")


def _box(part: str, state: str, here: outline.Lesson) -> str:
    x, width = PLACES[part]
    rect = f'<rect x="{x}" y="{Y - BOX / 2:g}" width="{width}" height="{BOX}" rx="3" {_look(state)}/>'
    return rect + _text(x + width / 2, Y + 4.5, part) + _number(part, state, here, x + width / 2, Y + BOX / 2 + 15)


def _frame(state: str, here: outline.Lesson) -> str:
    x, width, top, height = FRAME
    look = _look("built" if state == "to come" else state, "wire")
    rect = f'<rect x="{x}" y="{top}" width="{width}" height="{height}" rx="6" {look}/>'
    label = _text(x + 10, top + 17, "block, 4 times", "d l")
    return rect + label + (_text(x + 98, top + 17, f"today · {here.label}", "now l") if state == "today" else "")


def _whole(here: outline.Lesson) -> str:
    rect = f'<rect x="76" y="8" width="594" height="{HEIGHT - 10}" rx="8" class="around today"/>'
    return rect + _text(84, 28, f"today · {here.label}", "now l")


def _arrow(start: float, end: float, y: float = Y) -> str:
    return f'<path class="wire" d="M{start:g} {y}H{end:g}m-5 -3.5l5 3.5l-5 3.5"/>'


def _wires() -> str:
    """The tokens at both ends, and the arrows that every version of the model has."""
    ends = [_text(0, Y + 4, "def aver…", "t"), _text(686, Y + 4, "age_…", "t")]
    places = [(66, 83), (144, 163), (PLUS + 8, 609), (662, 683)]
    return "".join([*ends, *(_arrow(*place) for place in places)])


def _residual(state: str, here: outline.Lesson) -> str:
    """The way around: from behind attention to the plus."""
    low = FRAME[2] + FRAME[3] - 22
    kind = "around today" if state == "today" else "wire"
    line = f'<path class="wire" d="M242 {Y}H{SPLIT}"/>'
    line += f'<path class="{kind}" d="M{SPLIT} {Y}V{low}H{PLUS}V{Y + 8}"{DASHED if state == "to come" else ""}/>'
    plus = f'<circle cx="{PLUS}" cy="{Y}" r="8" {_look(state)}/><path class="wire" d="M{PLUS - 4} {Y}h8m-4 -4v8"/>'
    label = "residual: the token itself"
    mark = _text(SPLIT + 156, low + 15, f"today · {here.label}", "now l") if state == "today" else ""
    return line + plus + _text(SPLIT + 4, low + 15, label, "d l") + mark


def _experts(state: str, here: outline.Lesson) -> str:
    """Router to experts to combine: the unlit ways first, so that the lit ones lie on top."""
    x, width = EXPERTS
    left, right = PLACES["router"][0] + PLACES["router"][1], PLACES["combine"][0]
    order = [*(e for e in range(N_EXPERTS) if e not in LIT), *LIT]
    drawn = [_arrow(SPLIT, 277), _arrow(544, PLUS - 9)]
    for expert in order:
        lit = expert in LIT
        y = Y + STEP * (expert - (N_EXPERTS - 1) / 2)
        way, middle = "path" if lit else "faint", (left + x) / 2
        drawn.append(f'<g class="e{expert}">')
        drawn.append(f'<path class="{way}" d="M{left} {Y}C{middle:g} {Y} {middle:g} {y:g} {x} {y:g}"/>')
        middle = (x + width + right) / 2
        drawn.append(f'<path class="{way}" d="M{x + width} {y:g}C{middle:g} {y:g} {middle:g} {Y} {right} {Y}"/>')
        look = _look("built" if state in NOW else state, "lit" if lit else "part")
        drawn.append(f'<rect x="{x}" y="{y - 6.5:g}" width="{width}" height="13" rx="2" {look}/>')
        drawn.append(_text(x + width / 2, y + 4, str(expert), "n on" if lit else "n") + "</g>")
    if state in NOW:
        drawn.append(
            f'<rect x="{x - 5}" y="{Y - 4 * STEP - 4}" width="{width + 10}" height="{8 * STEP + 8}" rx="4" '
            f"{_look(state, 'around')}/>"
        )
    return "".join(drawn) + _number("experts", state, here, x + width / 2, Y + 4 * STEP + 17, "experts · ")

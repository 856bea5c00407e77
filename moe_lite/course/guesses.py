"""A prediction with a number: typed before the cell that answers it, kept, and shown beside what came out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from moe_lite.course import progress
from moe_lite.look.picture import Picture
from moe_lite.look.svg import drawn_only, figure, framed
from moe_lite.look.words import listed

NONE_MADE = "You made no guess: it is typed in place of None."
WIDTH, ROW, LEFT, RIGHT = 520, 44, 12, 30  # px: of the figure, of one number, around its axis

_CSS = """
font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--fg);max-width:520px;
p{margin:2px 0}.dim{color:var(--fg2);font-size:12px}
svg{display:block;max-width:100%;height:auto}
text{fill:var(--fg2);font-size:11px;text-anchor:middle}line{stroke:var(--line1)}
.you{fill:var(--bg);stroke:var(--fg);stroke-width:1.5}.is{fill:var(--brand)}
.gap{stroke:var(--fg2);stroke-dasharray:2 2}
"""


@dataclass(frozen=True)
class Guess:
    """What a learner expects of some numbers; None where nothing was guessed."""

    place: str
    numbers: Mapping[str, float | None]
    earlier: frozenset[str] = frozenset()  # those that were not typed now, but kept from an earlier time

    def beside(self, **found: float) -> Picture:
        """Each number as it came out, beside what was guessed; a guess that no result answers is named."""
        pairs = {name: (self.numbers.get(name), number_of(name, value)) for name, value in found.items()}
        said = [_sentence(name, *pair, " earlier" * (name in self.earlier)) for name, pair in pairs.items()]
        rows = [f"<p>{escape(text)}</p>{_drawn(text, *pair)}" for text, pair in zip(said, pairs.values(), strict=True)]
        none_made = all(guessed is None for guessed, _ in pairs.values())
        notes = [NONE_MADE] if none_made else []
        if unasked := [name for name, value in self.numbers.items() if value is not None and name not in found]:
            notes.append(f"No result here is called {listed(unasked)}; asked for: {listed([*found])}.")
        dim = [f'<p class="dim">{escape(note)}</p>' for note in notes]
        return Picture(framed("guess", _CSS, *rows, *dim), " ".join([*said, *notes[none_made:]]))


def guess(place: str, **numbers: float | None) -> Guess:
    """Keep guesses for one place of a lesson: `mine = guess("6.0", busiest=4, idle=None)`.

    None takes the number that was kept there earlier, if there is one. Raises ValueError for what is no number.
    """
    typed = {name: number_of(name, value) for name, value in numbers.items() if value is not None}
    if typed:
        progress.keep_guesses(place, typed)
    kept = progress.load().guesses.get(place, {})
    earlier = frozenset(kept.keys() & numbers.keys() - typed.keys())
    return Guess(place, {name: typed.get(name, kept.get(name)) for name in numbers}, earlier)


def number_of(name: str, value: object) -> float:
    try:
        number = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} is {value!r}; expected a number without a unit, such as 4 or 0.5, or None.")
    return number


def _sentence(name: str, guessed: float | None, found: float, when: str) -> str:
    words, said = name.replace("_", " "), "" if guessed is None else f"you said {_text(guessed)}{when}, it is "
    return f"{words}: {said}{_text(found)}"


def _text(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"
    return text.replace("-", "\u2212")


def _drawn(alt: str, guessed: float | None, found: float) -> str:
    """Both on one axis from 0; nothing where there is no guess."""
    if guessed is None:
        return ""
    low, high = min(0.0, guessed, found), max(0.0, guessed, found)
    x = [LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / ((high - low) or 1) for value in (0.0, guessed, found)]
    zero, you, now = (f"{place:.1f}" for place in x)
    body = f'<line x1="{LEFT}" y1="16" x2="{WIDTH - RIGHT}" y2="16"/><line x1="{zero}" y1="11" x2="{zero}" y2="21"/>'
    body += f'<line class="gap" x1="{you}" y1="16" x2="{now}" y2="16"/>'
    body += f'<circle class="is" cx="{now}" cy="16" r="6"/><circle class="you" cx="{you}" cy="16" r="5"/>'
    apart = abs(x[1] - x[2]) > 40
    body += f'<text x="{now}" y="36">it is</text>' + (f'<text x="{you}" y="36">you</text>' if apart else "")
    return drawn_only(figure(body, WIDTH, ROW, alt, inline=True))

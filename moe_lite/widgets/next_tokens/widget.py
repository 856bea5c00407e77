"""Next-token bars: what comes next, and how sure is the model?"""

import html

import torch
from traitlets import Dict, Float, Int, List, Unicode, validate

from moe_lite import data
from moe_lite.model.transformer import MoELanguageModel, Sample, sample_token
from moe_lite.widgets.kit.parts import plain, rich
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, script, style
from moe_lite.widgets.next_tokens.drawing import bars_html, text_html
from moe_lite.widgets.next_tokens.view import Drawn, Guess, LastLogits, draw, guess, running, visible
from moe_lite.widgets.next_tokens.words import BY_HABIT, EMPTY, drawn_text, others_name, reading_parts, tenths

HOTTEST = 2.0
TEMPERATURES = tuple(i / 10 for i in range(21))
MOST_DRAWN = 500
NEARBY = 60  # characters of the text that stand before what was drawn


class NextTokens(MoEWidget):
    """The most probable next tokens after a text, at any temperature, and tokens drawn one after the other.

    model        dense or sparse, with the course's vocabulary; its logits are kept, so a temperature moves at once
    text         what it goes on from; the box can be edited, `reset` brings this text back
    temperature  0 to 2; 0 takes the most probable token
    sample       a function like `transformer.sample_token(logits (1, V), temperature, generator) -> (1,)`: draws
    n_shown      how many tokens have a bar of their own

    Traits: text, temperature, n_drawn (raise it to draw, lower it to take back). A text longer than the model's
    context is cut to its last tokens, and a note says so. Raises ValueError for a model with another vocabulary; what
    `sample` does wrong is shown in the widget and kept in `error`, and nothing is drawn.
    """

    question = Unicode("What comes next, and how sure is the model?").tag(sync=True)
    inputs = ("text", "temperature", "n_drawn")
    _esm = script("next_tokens/script.js")
    _css = style("next_tokens/style.css")

    text = Unicode(help="The text before all that is drawn.").tag(**FROM_PAGE)
    temperature = Float(1.0, help="Logits are divided by it; 0 takes the most probable.").tag(**FROM_PAGE)
    n_drawn = Int(help="Tokens drawn after the text.").tag(**FROM_PAGE)
    figure = Dict(help="Rows (name, printed, share, share before); all others as one row.").tag(sync=True)
    line = Dict(help="The end of the text, and what was drawn after it.").tag(sync=True)
    parts = List(help="The reading line in pieces.").tag(sync=True)
    note = Unicode(help="What was corrected or left out.").tag(sync=True)
    fixed = Dict(help="What does not change: the first text, temperatures, sentences.").tag(sync=True)

    @validate("text")
    def _whole_characters(self, proposal: dict) -> str:
        """Half of a surrogate pair cannot be sent to the page; it becomes "?", as in `data.encode`."""
        return _whole(proposal["value"])

    def __init__(
        self,
        model: MoELanguageModel,
        text: str,
        *,
        temperature: float = 1.0,
        sample: Sample = sample_token,
        n_shown: int = 12,
    ):
        n_known, n_tokens = data.tokenizer().get_vocab_size(), model.config.vocab_size
        if n_tokens != n_known:
            raise ValueError(f"The model has vocab_size {n_tokens:,}; the course’s tokenizer knows {n_known:,} tokens.")
        if not 1 <= n_shown <= n_tokens:
            raise ValueError(f"n_shown is {n_shown}, expected 1 to {n_tokens:,}, the vocabulary.")
        self.model, self.sample, self.n_shown = model, sample, n_shown
        self.guess: Guess | None = None  # what is shown; None while there is no text
        self.drawn: list[Drawn] = []
        self._before: Guess | None = None  # what was shown before the last move
        self._followed = ("", 0)  # text and number of draws, as last computed
        self._logits = LastLogits(model)
        self._generator = torch.Generator().manual_seed(0)
        config = model.config
        super().__init__(
            text=text,
            temperature=temperature,
            source="dense model" if config.is_dense else f"{config.n_experts}-expert model",
            fixed={
                "text": text.encode(errors="replace").decode(),
                "temperatures": list(TEMPERATURES),
                "empty": EMPTY,
                "zero": BY_HABIT,
            },
        )

    def refresh(self) -> None:
        """Run the model again: its weights have changed since."""
        self._logits.kept.clear()
        self._computed = None
        self._recompute()

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Follow the text, draw or take back, then show what comes next."""
        if self.new_move():
            self._before = self.guess
        notes = self._correct()
        ids = tuple(data.encode(self.text))
        try:
            if ids:
                self._draw(ids)
        finally:
            self.n_drawn = len(self.drawn)
            self._followed = (self.text, self.n_drawn)
            self._show(ids, notes)

    def _correct(self) -> list[str]:
        """A new text ends what was drawn after the old one; settings out of range are brought into it."""
        notes, (text, n_drawn) = [], self._followed
        if self.text != text:
            self.drawn = []
            self.n_drawn = 0 if self.n_drawn == n_drawn else self.n_drawn
        wanted = self.temperature
        self.temperature = min(max(0.0, wanted), HOTTEST)
        if self.temperature != wanted:
            said = f"The temperature was {wanted:g}, but it goes from 0 to {HOTTEST:g}"
            notes.append(f"{said}: now it is {self.temperature:g}.")
        if self.n_drawn > MOST_DRAWN:
            notes.append(f"At most {MOST_DRAWN} tokens are drawn after a text.")
        self.n_drawn = min(max(0, self.n_drawn), MOST_DRAWN)
        return notes

    def _draw(self, ids: tuple[int, ...]) -> None:
        """Make `drawn` as long as n_drawn asks for: all of it or, when `sample` fails, nothing."""
        drawn = self.drawn[: self.n_drawn]
        while len(drawn) < self.n_drawn:
            place = ids + tuple(d.token for d in drawn)
            logits = self._logits(place)
            token = draw(self.sample, logits, self.temperature, self._generator)
            then = guess(place, logits, self.temperature)
            drawn.append(Drawn(token, float(then.shares[token]), then.rank(token), self.temperature))
        self.drawn = drawn

    # ---- figure ------------------------------------------------------------------------------------------------------

    def _show(self, ids: tuple[int, ...], notes: list[str]) -> None:
        if not ids:
            self.guess, self.figure, self.line = None, {}, {}
            self.reading, self.parts, self.note = EMPTY, [EMPTY], " ".join(notes)
            return
        place, context = ids + tuple(d.token for d in self.drawn), self.model.config.context_length
        self.guess = guess(place, self._logits(place), self.temperature)
        if len(place) > context:
            notes.append(f"The model reads {context} tokens at once: of {len(place):,}, the last {context} count.")
        self.note = " ".join(notes)
        self.parts = reading_parts(self.guess, self.n_shown)
        self.reading = plain(self.parts)
        self.figure, self.line = self._bars(), self._line()

    def _bars(self) -> dict:
        """Rows for the bars. Ticks stand where only the temperature has moved: other places have other tokens."""
        now, before = self.guess, self._before
        if before is not None and (before.place != now.place or before.temperature == now.temperature):
            before = None
        rows = [
            _row(visible(token), *(None if g is None else float(g.shares[token]) for g in (now, before)))
            for token in now.shown(self.n_shown)
        ]
        n_others = len(now.shares) - self.n_shown
        # added up, not 1 minus what is shown: whether that leaves a last bit depends on the number of threads
        rest = (None if g is None else float(g.shares[g.order[self.n_shown :]].sum()) for g in (now, before))
        return {"rows": rows, "others": _row(others_name(n_others), *rest) if n_others else []}

    def _line(self) -> dict:
        last = self.text.rsplit("\n", 1)[-1]
        n, n_tokens = len(self.drawn), self.model.config.vocab_size
        return {
            "tail": last if len(last) <= NEARBY else f"…{last[-NEARBY:]}",
            "drawn": [[running(d.token), drawn_text(d, i, n, n_tokens)] for i, d in enumerate(self.drawn)],
        }

    def twin(self) -> str:
        if self.guess is None:
            return self.error_html()
        note = f'<p class="note">{html.escape(self.note)}</p>' if self.note else ""
        return f"{self.error_html()}{text_html(self.line, self.text)}{bars_html(self.figure)}{note}"

    def reading_html(self) -> str:
        return rich(self.parts, 1)


def _whole(text: str) -> str:
    return text.encode(errors="replace").decode()


def _row(name: str, share: float, was: float | None) -> list:
    return [name, tenths(share), round(share, 6), None if was is None else round(was, 6)]

"""The router stepper: how do a router's logits become weights?"""

import html
import math

from torch import Tensor
from traitlets import Bool, Dict, Enum, Float, Int, Unicode, validate

from moe_lite.checkpoint import pretrained
from moe_lite.look.svg import drawn_only
from moe_lite.look.words import number
from moe_lite.model.routing import TopK, top_k_route
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.kit.parts import plain, rich
from moe_lite.widgets.kit.token_rows import given_rows, model_rows
from moe_lite.widgets.kit.widget import MoEWidget, badge_html, name_of, script, style
from moe_lite.widgets.router_stepper.drawing import FOOT, ROW, TOP, WIDEST, StepperDrawing, columns_for
from moe_lite.widgets.router_stepper.view import RULES, Step, step_view
from moe_lite.widgets.router_stepper.words import EMPTY, notes, ordinal, reading_parts, setting_text

SENTENCE = "Are we all met? def area(r): return"
MOST_EXPERTS = 16
TEMPERATURES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0)


class RouterStepper(MoEWidget):
    """One token on its way through a router: logits, scores, top-k, weights, all computed by `routing.route`.

    sentence   its tokens are shown one at a time (None: SENTENCE); with `logits` it only names their rows
    model      whose router; the shipped model with 16 experts if None, so that E can go up to 16. With the slider at
               E the figure shows the model's first E experts, and its badge says so
    layer      the sparse layer, counted from 1
    route      a function like `routing.top_k_route`: chooses and weighs wherever scores come first and are
               renormalised, with softmax and with sigmoid. In the other settings, which it cannot stand for, the
               package's rule does, and a note says so
    logits     (N, E) float: these instead of a model's
    n_experts, top_k   where the sliders begin; the rest are traits: temperature, rule ("softmax", "topk",
               "sigmoid"), renorm, token (from 0), edits {expert: logit moved by hand}

    Sliders that contradict each other are corrected, and a note says so. A token's edits end with the next token.
    Raises ValueError for a layer or logits that do not fit; what `route` does wrong is shown in the widget and kept
    in `error`, and the last good figure stays.
    """

    question = Unicode("How do a router’s logits become weights?").tag(sync=True)
    inputs = ("n_experts", "top_k", "temperature", "rule", "renorm", "token", "edits", "width")
    _esm = script("router_stepper/script.js")
    _css = style("router_stepper/style.css")

    n_experts = Int(8, help="Experts shown: the first of them.").tag(sync=True)
    top_k = Int(2, help="Experts that the token keeps.").tag(sync=True)
    temperature = Float(1.0, help="Logits are divided by it.").tag(sync=True)
    rule = Enum(list(RULES), default_value="softmax", help="The order of scoring and choosing.").tag(sync=True)
    renorm = Bool(True, help="Divide the kept scores by their sum.").tag(sync=True)
    token = Int(0, help="The token's place in the sentence, from 0; negative from the end.").tag(sync=True)
    edits = Dict(help="Logits moved by hand, {expert: logit}.").tag(sync=True)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(sync=True)
    figure = Unicode(help="The SVG.").tag(sync=True)
    parts = Dict(help="The reading line in pieces, the note, the token, where logits can be dragged.").tag(sync=True)
    fixed = Dict(help="What does not change: temperatures, rules, how many experts and tokens.").tag(sync=True)

    @validate("edits")
    def _keyed_as_in_json(self, proposal: dict) -> dict[str, float]:
        """{3: 1} is {"3": 1.0}: the page knows only text as keys. Raises ValueError for what is no logit's number."""
        return {str(int(expert)): float(value) for expert, value in proposal["value"].items()}

    def __init__(
        self,
        sentence: str | None = None,
        *,
        model: MoELanguageModel | None = None,
        layer: int = 1,
        route: TopK | None = None,
        logits: Tensor | None = None,
        n_experts: int = 8,
        top_k: int = 2,
        token: int = -1,
    ):
        self.route = route
        if logits is None:
            self.rows = model_rows(model or pretrained(MOST_EXPERTS), SENTENCE if sentence is None else sentence, layer)
        else:
            self.rows = given_rows(logits, sentence)
        self.step: Step | None = None  # what is shown
        self._before: Step | None = None  # what was shown before the last move
        self._token: int | None = None
        super().__init__(
            n_experts=n_experts,
            top_k=top_k,
            token=token,
            fixed={
                "temperatures": list(TEMPERATURES),
                "rules": [[key, rule.label] for key, rule in RULES.items()],
                "experts": min(self.rows.logits.shape[1], MOST_EXPERTS),
                "tokens": len(self.rows.logits),
            },
        )

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Correct the settings, route the token, draw it beside what was shown before the move."""
        if not self.fixed["tokens"]:
            self.reading, self.parts = EMPTY, {"reading": [EMPTY]}
            return
        if self.new_move():
            self._before = self.step
        note = self._correct()
        try:
            step = self._view(self.route)
        except Exception:  # of a reader's rule: the widget shows it, beside the last step or the package's rule
            if self.step is None:
                self._show(self._view(None), "Shown instead: the package's rule.")
            raise
        self._show(step, note, name_of(self.route) if self.route not in (None, top_k_route) else "")

    def _correct(self) -> str:
        """Bring the settings into range; a sentence for each that contradicted another, or ""."""
        corrected = []
        n, most = self.fixed["tokens"], self.fixed["experts"]
        token = min(max(0, self.token + n if self.token < 0 else self.token), n - 1)
        if self._token not in (None, token):
            self.edits = {}
        self.token = self._token = token
        low, high = TEMPERATURES[0], TEMPERATURES[-1]
        limits = {
            "n_experts": ("E", 2, most, f"there are 2 to {most} experts"),
            "temperature": ("T", low, high, f"it goes from {low} to {high}"),
        }
        for trait, (name, smallest, largest, why) in limits.items():
            self._clamp(trait, name, smallest, largest, why, corrected)
        self._clamp("top_k", "top-k", 1, self.n_experts, f"{self.n_experts} experts are shown", corrected)
        return " ".join(filter(None, [self.rows.cut, *corrected]))

    def _clamp(self, trait: str, name: str, low: float, high: float, why: str, corrected: list[str]) -> None:
        wanted = getattr(self, trait)
        setattr(self, trait, min(max(low, wanted), high))
        if getattr(self, trait) != wanted:
            corrected.append(f"{name} was {wanted:g}, but {why}: now it is {getattr(self, trait):g}.")

    # ---- figure ------------------------------------------------------------------------------------------------------

    def logits(self) -> Tensor:
        """(E,): the token's logits for the experts shown, moved ones as moved."""
        row = self.rows.logits[self.token, : self.n_experts].clone()
        for expert, value in self.edits.items():
            if int(expert) < self.n_experts:
                row[int(expert)] = value
        return row

    def _view(self, function: TopK | None) -> Step:
        return step_view(
            self.logits(), k=self.top_k, temperature=self.temperature, rule=self.rule, renorm=self.renorm,
            top_k_fn=function, token=self.token, text=self.rows.name(self.token),
        )  # fmt: skip

    def _show(self, step: Step, note: str, function: str = "") -> None:
        self.step = step
        words = reading_parts(step, self._before)
        self.reading = plain(words)
        self.source = self.rows.badge(self.n_experts, moved=bool(self.edits))
        self.figure = self._drawing(self.width).svg(self.reading)
        self.parts = {
            "reading": words,
            "note": notes(step, note, function),
            "sentence": self.rows.sentence(step.token),
            "token": step.token,
            "grips": self._grips(),
        }

    def _drawing(self, width: int) -> StepperDrawing:
        before = self._before
        if before is not None and (before.stopped or before.token != self.step.token or before == self.step):
            before = None
        return StepperDrawing(self.step, before, self.rows.span, columns_for(width), self.rows.formula)

    def _grips(self) -> dict:
        """Where the script lays its inputs for dragging logits, in px of the SVG."""
        columns = columns_for(self.width)
        return {
            "low": self.rows.span[0], "high": self.rows.span[1], "left": columns.logits, "length": columns.logits_width,
            "width": columns.width, "top": TOP, "row": ROW, "foot": FOOT,
            "values": [z if math.isfinite(z) else None for z in self.step.logits],
        }  # fmt: skip

    # ---- static twin -------------------------------------------------------------------------------------------------

    def twin(self) -> str:
        problem = self.error_html()
        if self.step is None:
            return problem
        before, token, after = map(html.escape, self.parts["sentence"])
        setting = f'<div class="sent"><code dir="auto">{before}<b>{token}</b>{after}</code></div>'
        svg = self._drawing(WIDEST).svg(self.reading)
        note = f'<p class="note">{html.escape(self.parts["note"])}</p>'
        setting += f'<p class="note">{setting_text(self.step)}</p>'
        return f"{problem}{setting}{drawn_only(svg)}{_table(self.step)}{note}"

    def reading_html(self) -> str:
        return rich(self.parts["reading"], self.step.n_experts if self.step else self.n_experts)


def _table(step: Step) -> str:
    """The same numbers as a table, for pages that cannot show SVG."""
    heads = "".join(f"<th>{text}</th>" for text in ("expert", "logit", "score", f"top {step.k}", "weight"))
    rows = ""
    for e in range(step.n_experts):
        rank = ordinal(step.chosen.index(e) + 1) if e in step.chosen else "×"
        cells = (badge_html(e, step.n_experts), number(step.logits[e]), number(step.scores[e]), rank,
                 number(step.weights[e]) if e in step.chosen else "0")  # fmt: skip
        rows += f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    return f"<table><tr>{heads}</tr>{rows}</table>"

"""The dispatch view: how does a sparse layer save work?"""

from collections.abc import Mapping
from dataclasses import replace

from traitlets import Dict, Enum, Int, Unicode

from moe_lite.checkpoint import pretrained
from moe_lite.look.svg import drawn_only
from moe_lite.model.routing import Routing
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.dispatch_view.drawing import DispatchDrawing, arrays_html, slices_html, table_html
from moe_lite.widgets.dispatch_view.layout import LAST, STAGES, WIDEST, Look
from moe_lite.widgets.dispatch_view.view import (
    Choices,
    Combine,
    Dispatch,
    Order,
    checked_times,
    choices_of,
    dispatch_of,
    flat_lines,
    loop_lines,
    sorted_lines,
    table,
)
from moe_lite.widgets.dispatch_view.words import EMPTY, fault, reading_parts
from moe_lite.widgets.kit.parts import code, plain, rich
from moe_lite.widgets.kit.reading import read
from moe_lite.widgets.kit.text import token_text
from moe_lite.widgets.kit.widget import MoEWidget, script, style

SHIPPED = (4, 8, 16)
MOST_TOKENS = 14
MOST_CHOICES = 4
PACKAGES = "Drawn instead: the package's own order."


class DispatchView(MoEWidget):
    """A few tokens on their way through a sparse layer: copied into one slice per expert, computed, and put back.

    text     its first 14 tokens are routed by a real model; or a `Routing`, whose tokens have numbers for names
    models   one MoELanguageModel, or {n_experts: model} for a slider over E; the shipped ones with 4, 8 and 16
             experts if None
    layer    the sparse layer, counted from 1
    order    a function like `dispatch.dispatch_order`, called with the routing of each move: what it returns is drawn,
             right or wrong. Rows in a slice of another expert, doubled and missing ones are framed and named
    combine  a function like `dispatch.combine`: the lines back and the sum under a token are what it makes of answers
             that can be told apart
    times    {"plain loop": 1.0, "sorted dispatch": …, "all experts on all": …}, measured times over the plain loop's:
             a column of the table
    n_experts, top_k   where the sliders begin; the other traits: stage (1 to 4), way ("sorted", "loop"), token (from
             0), picked (the slice whose rows stand out, −1 for none; in the loop the expert whose turn it is)

    Raises ValueError for a layer, models or times that do not fit. What a function passed in does wrong is shown in the
    widget and kept in `error`; an order that cannot be drawn is replaced by the package's, and that is said.
    """

    question = Unicode("How does a sparse layer save work?").tag(sync=True)
    inputs = ("n_experts", "top_k", "stage", "way", "token", "picked", "width")
    _esm = script("dispatch_view/script.js")
    _css = style("dispatch_view/style.css")

    n_experts = Int(8, help="Which of the models.").tag(sync=True)
    top_k = Int(2, help="Experts a token.").tag(sync=True)
    stage = Int(LAST, help="1 tokens, 2 sort, 3 compute, 4 put back.").tag(sync=True)
    way = Enum(list(STAGES), default_value="sorted", help="Sorted dispatch or the plain loop.").tag(sync=True)
    token = Int(0, help="The token in focus, from 0; negative from the end.").tag(sync=True)
    picked = Int(-1, help="The expert whose slice is in focus, −1 for none.").tag(sync=True)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(sync=True)
    figure = Unicode(help="The SVG.").tag(sync=True)
    parts = Dict(help="The reading line in pieces, the note, arrays and table as texts.").tag(sync=True)
    fixed = Dict(help="What does not change: the models' numbers of experts, the names of the stages.").tag(sync=True)

    def __init__(
        self,
        text: str | Routing,
        *,
        models: MoELanguageModel | Mapping[int, MoELanguageModel] | None = None,
        layer: int = 1,
        top_k: int = 2,
        n_experts: int = 8,
        order: Order | None = None,
        combine: Combine | None = None,
        times: Mapping[str, float] | None = None,
        token: int = 0,
    ):
        self.order, self.combine, self.times, self.layer = order, combine, checked_times(times), layer
        self.routing = text if isinstance(text, Routing) else None
        self.now: Dispatch | None = None  # what is shown
        self._dispatched: dict[tuple[int, int], tuple[Dispatch, Exception | None]] = {}
        if self.routing is None:
            self._read(text, models)
            experts = sorted(self.models)
        else:
            experts, n_experts, top_k = [text.n_experts], text.n_experts, text.top_k[1].shape[1]
            self.total, self.names = text.n_tokens, tuple(f"x[{i}]" for i in range(min(text.n_tokens, MOST_TOKENS)))
        fixed = {"experts": experts, "given": self.routing is not None, "stages": STAGES, "tokens": len(self.names)}
        super().__init__(n_experts=n_experts, top_k=top_k, token=token, fixed=fixed)

    def _read(self, text: str, models: MoELanguageModel | Mapping[int, MoELanguageModel] | None) -> None:
        if models is None:
            models = {n: pretrained(n) for n in SHIPPED}
        elif not isinstance(models, Mapping):
            models = {models.config.n_experts: models}
        for n, model in models.items():
            n_layers = model.config.n_sparse_layers
            if n != model.config.n_experts or not 1 <= self.layer <= n_layers:
                raise ValueError(
                    f"models[{n}] has {model.config.n_experts} experts and {n_layers} sparse layers; expected {n} "
                    f"experts and a layer {self.layer}, counted from 1."
                )
        if not models:
            raise ValueError("models is empty; expected {n_experts: model} or None for the shipped ones.")
        self.models = dict(models)
        tokens = token_text((("", text),))
        self.total, self.ids = len(tokens.ids), tokens.ids[:MOST_TOKENS]
        self.names = tuple(code(face)["code"] for face in tokens.faces[: len(self.ids)])

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Correct the settings, route and dispatch if that is new, draw."""
        if not self.names:
            self.reading, self.parts = EMPTY, {"reading": [EMPTY]}
            return
        note = self._correct()
        own, problem = self._dispatch()
        self.now = own
        if self.way == "loop":
            self.now = own if not own.author and not own.combiner else dispatch_of(own.choices)
        self._show(note)
        if self.way == "sorted" and problem is not None:
            with self.errors_shown(PACKAGES):
                raise problem
        elif self.way == "sorted":
            self.error = fault(own)

    def _correct(self) -> str:
        """Bring the settings into range; a sentence for each that contradicted another, or ""."""
        said = []
        if self.total > len(self.names):
            said.append(f"The first {len(self.names)} of {self.total:,} tokens are shown.")
        experts = self.fixed["experts"]
        if self.n_experts not in experts:
            near = min(experts, key=lambda n: abs(n - self.n_experts))
            said.append(f"There is no model with {self.n_experts} experts: now it is {near}.")
            self.n_experts = near
        most = self.top_k if self.routing else min(MOST_CHOICES, self.n_experts)
        if not 1 <= self.top_k <= most:
            now = min(max(1, self.top_k), most)
            said.append(f"top-k was {self.top_k}, but it goes from 1 to {most} here: now it is {now}.")
            self.top_k = now
        self.stage = min(max(1, self.stage), LAST)
        n = len(self.names)
        self.token = min(max(0, self.token + n if self.token < 0 else self.token), n - 1)
        lowest = 0 if self.way == "loop" else -1
        self.picked = min(max(lowest, self.picked), self.n_experts - 1)
        return " ".join(said)

    def _dispatch(self) -> tuple[Dispatch, Exception | None]:
        """The dispatch of this E and top-k, and what went wrong if it had to be the package's instead."""
        key = self.n_experts, self.top_k
        if key not in self._dispatched:
            choices = self._choices()
            try:
                self._dispatched[key] = dispatch_of(choices, self.order, self.combine), None
            except Exception as problem:  # whatever a learner's function raises or returns
                self._dispatched[key] = dispatch_of(choices), problem
        return self._dispatched[key]

    def _choices(self) -> Choices:
        if self.routing is not None:
            return choices_of(self.routing, self.names)
        output = read(self.models[self.n_experts], self.ids, top_k=self.top_k)
        return choices_of(output.routing[self.layer - 1], self.names)

    # ---- figure ------------------------------------------------------------------------------------------------------

    @property
    def look(self) -> Look:
        return Look(self.stage, self.way, self.token, self.picked)

    def _show(self, note: str) -> None:
        words = reading_parts(self.now, self.look)
        self.reading = plain(words)
        by = [name for name in (self.now.author, self.now.combiner) if name]
        self.source = " · ".join([self._origin(), *([f"by {' and '.join(by)}"] if by else [])])
        self.figure = DispatchDrawing(self.now, self.look, self.width, live=True).svg(self.reading)
        self.parts = {
            "reading": words,
            "note": note,
            "arrays": [[line.name, line.entries] for line in self._lines(self.look)],
            "table": table(self.now, self.times),
            "chosen": list(STAGES).index(self.way),
            "top_k": self.top_k if self.routing else min(MOST_CHOICES, self.n_experts),
        }

    def _origin(self) -> str:
        return "a routing as given" if self.routing else f"{self.n_experts}-expert model, layer {self.layer}"

    def _lines(self, look: Look) -> list:
        if look.stage == 1:
            return flat_lines(self.now, look.token)
        if look.way == "loop":
            return loop_lines(self.now, look.turn, look.token)
        return sorted_lines(self.now, look.token if look.by_token else -1)

    # ---- static twin -------------------------------------------------------------------------------------------------

    def twin(self) -> str:
        """The last stage, whatever stage is shown: the whole way."""
        problem = self.error_html()
        if self.now is None:
            return problem
        look = replace(self.look, stage=LAST)
        svg = DispatchDrawing(self.now, look, WIDEST).svg(plain(reading_parts(self.now, look)))
        setting = f"{self.n_experts} experts · top-{self.top_k} · {table(self.now, {})[1 + self.parts['chosen']][0]}"
        setting += f". {self.parts['note']}" if self.parts["note"] else ""
        return (
            f'{problem}<p class="note">{setting}</p>{drawn_only(svg)}'
            f"{slices_html(self.now)}{arrays_html(self._lines(look))}"
            f"{table_html(self.parts['table'], self.parts['chosen'])}"
        )

    def reading_html(self) -> str:
        if self.now is None:
            return self.reading
        return rich(reading_parts(self.now, replace(self.look, stage=LAST)), self.n_experts)

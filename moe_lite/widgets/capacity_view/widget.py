"""The capacity view: which tokens find no room?"""

import html
import math

from traitlets import Dict, Float, Int, Unicode

from moe_lite.checkpoint import pretrained
from moe_lite.model.config import PRIORITIES
from moe_lite.model.routing import Routing
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.capacity_view.drawing import (
    NARROWEST,
    WIDEST,
    Queues,
    badge_width,
    drawing,
    legend_html,
    table_html,
    text_html,
    token_look,
)
from moe_lite.widgets.capacity_view.view import NO_LIMIT, Rooms, rooms
from moe_lite.widgets.capacity_view.words import SERVED, factor_text, facts, reading, said_of, token_sentence
from moe_lite.widgets.kit.parts import plain, rich
from moe_lite.widgets.kit.reading import read
from moe_lite.widgets.kit.text import Face, token_text
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, script, style

MOST_TOKENS = 256
MOST_CHOICES = 4
NO_TOKEN = "Give a text with at least one token."
FACTORS = (0.25, 0.5, 0.75, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0, NO_LIMIT)


class CapacityView(MoEWidget):
    """A text, and above each expert's capacity the choices that find no room.

    text      its first 256 tokens are routed by a model; or a `Routing`, whose tokens have numbers for names
    model     a sparse MoELanguageModel; the shipped one with 8 experts if None
    layer     counted from 1; the last one if None
    factor    capacity over the fair share N · K / E, rounded up; None: no limit. One of 0.25 … 4
    priority  "position", "score" or "first_choice", as in `balance.drop_over_capacity`

    Nothing is trained and nothing is computed with the tokens that are left: the view shows one layer's routing, as
    the model makes it without a limit, and who would be dropped there. `pinned` is the token, counted from 0, whose
    places are framed; −1 for none.

    Raises ValueError for settings that do not fit.
    """

    question = Unicode("Which tokens find no room?").tag(sync=True)
    inputs = ("factor", "priority", "layer", "top_k", "width")
    _esm = script("token_viewer/parts.js", "capacity_view/script.js")
    _css = style("token_viewer/style.css", "capacity_view/style.css")

    factor = Float(1.25, help="Capacity over the fair share; 0: no limit.").tag(**FROM_PAGE)
    priority = Unicode("position", help="Who is served first.").tag(**FROM_PAGE)
    layer = Int(1, help="From 1.").tag(**FROM_PAGE)
    top_k = Int(2, help="Experts per token.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(**FROM_PAGE)
    pinned = Int(-1, help="The token whose places are framed; −1: none.").tag(**FROM_PAGE)
    figure = Unicode(help="Legend and queues, HTML.").tag(sync=True)
    view = Dict(help="Key figures, the reading line in pieces, a note, what is said of each token.").tag(sync=True)
    fixed = Dict(help="What does not change: steps of the sliders, names of the priorities, tokens.").tag(sync=True)

    def __init__(
        self, text: str | Routing, *, model: MoELanguageModel | None = None, layer: int | None = None,
        top_k: int | None = None, factor: float | None = 1.25, priority: str = "position",
    ):  # fmt: skip
        self.model, self.routing = model, text if isinstance(text, Routing) else None
        self._routed: dict[tuple[int, int], Routing] = {}
        if self.routing is None:
            self.model = pretrained(8) if model is None else model
            if self.model.config.is_dense:
                raise ValueError("The model is dense: it has no experts that could be full. Pass a sparse one.")
            tokens = token_text((("", text),))
            self.total, self.ids, self.faces = len(tokens.ids), tokens.ids[:MOST_TOKENS], tokens.faces[:MOST_TOKENS]
            n_layers, n_experts = self.model.config.n_sparse_layers, self.model.config.n_experts
            top_k = self.model.config.top_k if top_k is None else top_k
        else:
            self.total = self.routing.n_tokens
            self.faces = tuple(Face(f"x[{i}]") for i in range(self.total))
            n_layers, n_experts, top_k = 1, self.routing.n_experts, 1
        layer, factor = n_layers if layer is None else layer, NO_LIMIT if factor is None else float(factor)
        if not 1 <= layer <= n_layers:
            raise ValueError(f"layer is {layer}, expected 1 to {n_layers}.")
        if not math.isfinite(factor) or factor < 0:
            raise ValueError(f"factor is {factor}, expected a number above 0, or None for no limit.")
        if priority not in PRIORITIES:
            raise ValueError(f"priority is {priority!r}, expected one of {', '.join(PRIORITIES)}.")
        choices = min(MOST_CHOICES, n_experts) if self.routing is None else 0
        if choices and not 1 <= top_k <= choices:
            raise ValueError(f"top_k is {top_k}, expected 1 to {choices}.")
        steps = sorted({*FACTORS, factor} - {NO_LIMIT})
        fixed = {
            "factors": [*steps, NO_LIMIT], "priorities": [[name, SERVED[name]] for name in PRIORITIES],
            "layers": n_layers if self.routing is None else 0, "choices": choices, "experts": n_experts,
            "narrowest": NARROWEST, "widest": WIDEST, "numeral": badge_width(n_experts),
            "tokens": [face.sent() for face in self.faces],
        }  # fmt: skip
        super().__init__(factor=factor, priority=priority, layer=layer, top_k=top_k, fixed=fixed)

    def now(self) -> Rooms:
        """What is shown."""
        return rooms(tuple(self.faces), self._routing(), self.factor, self.priority)

    def compute(self) -> None:
        """Route if that is new, serve, draw."""
        if not self.faces:
            self.view, self.figure = {"facts": [], "parts": [NO_TOKEN], "note": "", "tokens": []}, ""
            self.reading = NO_TOKEN
            return
        now = self.now()
        parts = reading(now)
        note = (
            f"The first {len(self.faces)} of {self.total:,} tokens are shown." if self.total > len(self.faces) else ""
        )
        tokens = [said_of(now, n) | {"look": token_look(now, n)} for n in range(len(now.faces))]
        self.reading = plain(parts)
        self.view = {"facts": facts(now), "parts": parts, "note": note, "tokens": tokens}
        self.source = self._origin()
        self.figure = drawing(now, self.width, self.reading)

    def _routing(self) -> Routing:
        if self.routing is not None:
            return self.routing
        key = self.layer, self.top_k
        if key not in self._routed:
            routings = read(self.model, self.ids, top_k=self.top_k).routing
            self._routed |= {(layer, self.top_k): routing for layer, routing in enumerate(routings, start=1)}
        return self._routed[key]

    def _origin(self) -> str:
        if self.routing is not None:
            return "a routing as given"
        return f"{self.model.config.n_experts}-expert model, layer {self.layer}"

    # ---- static twin -------------------------------------------------------------------------------------------------

    def twin(self) -> str:
        if not self.faces:
            return self.error_html()
        now = self.now()
        known = " · ".join(f"{value} {name}" for value, name in self.view["facts"])
        setting = f"capacity factor {factor_text(self.factor)} · {SERVED[self.priority]}"
        setting += "" if self.routing is not None else f" · top-{self.top_k} · layer {self.layer}"
        pinned = self._pinned()
        picture = Queues(now, WIDEST).svg(self.reading, pinned=pinned)
        return (
            f'{self.error_html()}<p class="note">{html.escape(setting)}. {html.escape(known)}. {self.view["note"]}</p>'
            f"{text_html(now, pinned)}{legend_html(now)}"
            f'<div class="pic queues" hidden="hidden">{picture}</div>{table_html(now)}'
        )

    def reading_html(self) -> str:
        pinned = self._pinned()
        parts = self.view["parts"] if pinned < 0 else token_sentence(self.now(), pinned)
        return rich(parts, self.fixed["experts"])

    def _pinned(self) -> int:
        """The pinned token, or −1 where there is none."""
        return self.pinned if 0 <= self.pinned < len(self.faces) else -1

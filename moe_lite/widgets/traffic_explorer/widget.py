"""The traffic explorer: what travels between the devices that a layer's experts are spread over?"""

import html
from dataclasses import fields

from traitlets import Bool, Dict, Int, Unicode

from moe_lite.look.svg import drawn_only
from moe_lite.widgets.kit.held_out import there
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, script, style
from moe_lite.widgets.traffic_explorer.drawing import (
    NARROWEST,
    TWIN,
    WIDEST,
    Loads,
    Matrix,
    legend_html,
    loads_table,
    matrix_table,
)
from moe_lite.widgets.traffic_explorer.view import (
    COUNTS,
    DEVICES,
    LIMITS,
    PLACEMENTS,
    TEXTS,
    Setting,
    Traffic,
    travels,
)
from moe_lite.widgets.traffic_explorer.words import (
    COPIES_FIRST,
    LIMIT_FIRST,
    POINT,
    keys,
    loads_text,
    matrix_text,
    note,
    room_correction,
    sentence,
    settings_text,
    source,
    told,
    top_k_correction,
)

SETTINGS = tuple(field.name for field in fields(Setting))


class TrafficExplorer(MoEWidget):
    """One layer of a shipped model, its experts on several devices: what its tokens' choices send from one to another.

    n_experts  of the shipped model: 8, 16 or 32
    layer      the sparse layer shown, counted from 1
    devices    2, 4 or 8; each holds as many experts
    top_k      experts per token, 1 to 8: the model is asked with this number in all its layers
    limit      1, 2 or 4: a token's experts come from so many devices at most (DeepSeek-V2, arXiv 2405.04434, section
               2.2.2), in the layer shown; None for no limit
    placement  "neighbours", "load" (`traffic.places_by_load`) or "copies" (`traffic.balanced` with one more slot per
               device, `traffic.to_copies`); the latter two know the load of the texts shown, without a limit
    once       whether a vector is sent once per device, however many of the token's experts are there, or once for each
    texts      "mixed": text r of all domains lives on device r % M. "kinds": each device has the texts of one domain

    Tokens are those of validation texts; where these have not been built, the widget says so and reads pieces of
    samples. All arguments are traits. Raises ValueError for settings that cannot be; a trait that is set so is set
    back, and the widget says why. What no longer fits beside a new setting follows it, and the widget says so, too.
    """

    question = Unicode("What travels between devices?").tag(sync=True)
    inputs = (*SETTINGS, "width")
    _esm = script("traffic_explorer/script.js")
    _css = style("traffic_explorer/style.css")

    n_experts = Int(16, help="Of the shipped model.").tag(**FROM_PAGE)
    layer = Int(1, help="The layer shown, from 1.").tag(**FROM_PAGE)
    devices = Int(4, help="That the experts are spread over.").tag(**FROM_PAGE)
    top_k = Int(2, help="Experts per token.").tag(**FROM_PAGE)
    limit = Int(None, allow_none=True, help="Devices that a token's experts may come from.").tag(**FROM_PAGE)
    placement = Unicode("neighbours", help="Which experts stand where.").tag(**FROM_PAGE)
    once = Bool(True, help="A vector is sent once per device.").tag(**FROM_PAGE)
    texts = Unicode("mixed", help="Whose texts live where.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figures; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The matrix, SVG.").tag(sync=True)
    loads = Unicode(help="The load of each device, SVG.").tag(sync=True)
    note = Unicode(help="What the settings mean, and what was corrected.").tag(sync=True)
    view = Dict(help="Sentences, key figures, and where the cells stand.").tag(sync=True)
    fixed = Dict(help="What does not change.").tag(sync=True)

    def __init__(
        self,
        *,
        n_experts: int = 16,
        layer: int = 1,
        devices: int = 4,
        top_k: int = 2,
        limit: int | None = None,
        placement: str = "neighbours",
        once: bool = True,
        texts: str = "mixed",
        question: str | None = None,
    ):
        self.now = Setting(n_experts, layer, devices, top_k, limit, placement, once, texts)  # what is shown
        self._before: Setting | None = None  # what was shown before the last move
        self._complaint: dict[str, str] = {}  # stays until a setting other than the width changes
        self._corrected = ""
        fixed = {
            "counts": list(COUNTS), "devices": list(DEVICES), "limits": list(LIMITS), "point": POINT,
            "placements": list(PLACEMENTS.items()), "texts": list(TEXTS.items()), "width": [NARROWEST, WIDEST],
        }  # fmt: skip
        settings = {name: getattr(self.now, name) for name in SETTINGS}
        super().__init__(fixed=fixed, **settings, **({} if question is None else {"question": question}))

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Follow the settings; what cannot be is set back."""
        asked = {name: getattr(self, name) for name in SETTINGS}
        if asked != {name: getattr(self.now, name) for name in SETTINGS}:
            if self.new_move():
                self._before = self.now
            self._complaint, self._corrected = {}, ""
            try:
                self.now = self._next(asked)
            except ValueError as problem:
                self._complaint = {"what": str(problem), "instead": "What was shown stays.", "details": ""}
            for name in SETTINGS:
                setattr(self, name, getattr(self.now, name))
        self._show(self._traffic(self.now))
        self.error = self._complaint

    def _next(self, asked: dict) -> Setting:
        """The setting that is asked for; what does not fit beside what has just moved follows it. ValueError if there
        is none."""
        free = Setting(**(asked | {"limit": None}))
        limit = asked["limit"]
        if limit is None or limit not in LIMITS:
            return Setting(**asked)
        limit_moved = limit != self.now.limit
        if free.placement == "copies":
            if limit_moved == (free.placement != self.now.placement):
                return Setting(**asked)  # which of the two is meant is not known
            self._corrected = LIMIT_FIRST if limit_moved else COPIES_FIRST
            return Setting(**(asked | ({"placement": "neighbours"} if limit_moved else {"limit": None})))
        if free.fits(limit) and (limit_moved or limit < free.devices):
            return Setting(**asked)
        if limit_moved and free.top_k == self.now.top_k and limit <= free.devices:
            top_k = limit * free.per_device
            self._corrected = top_k_correction(top_k, limit)
            return Setting(**(asked | {"top_k": top_k}))
        if limit_moved:
            return Setting(**asked)
        fitting = next((other for other in LIMITS if limit < other < free.devices and free.fits(other)), None)
        self._corrected = room_correction(free, limit, fitting)
        return Setting(**(asked | {"limit": fitting}))

    # ---- figures -----------------------------------------------------------------------------------------------------

    @staticmethod
    def _traffic(setting: Setting) -> Traffic:
        return travels(setting, there())

    def _note(self, view: Traffic) -> str:
        return " ".join(filter(None, [self._corrected, note(view)]))

    def _show(self, view: Traffic) -> None:
        setting, matrix = view.setting, Matrix(view, live=True)
        self.reading = sentence(view, self._traffic(self._before) if self._before else None)
        self.source, self.note = source(view), self._note(view)
        self.figure = matrix.svg("traffic between devices")
        self.loads = Loads(view, self.width).svg(loads_text(view))
        self.view = {
            "experts": setting.n_experts, "layers": setting.n_layers, "most_k": setting.most_k,
            "open": [limit for limit in LIMITS if limit < setting.devices], "places": matrix.places(),
            "told": told(view), "keys": keys(view), "legend": legend_html(view),
        }  # fmt: skip

    def twin(self) -> str:
        view = self._traffic(self.now)
        matrix = Matrix(view).svg(matrix_text(view)) + legend_html(view)
        figures = "".join(f"<li><b>{value}</b> {html.escape(name)}</li>" for value, name in keys(view))
        return (
            f'{self.error_html()}<p class="note">{html.escape(settings_text(view.setting))}</p>'
            f'<div class="two">{drawn_only(matrix)}{matrix_table(view)}<ul class="figures">{figures}</ul></div>'
            f"{drawn_only(Loads(view, TWIN).svg(loads_text(view)))}{loads_table(view)}"
            f'<p class="note">{html.escape(self._note(view))}</p>'
        )

"""The serving explorer: when does a mixture cost as much as a dense model of its active size?"""

import html

from traitlets import Dict, Float, Int, Unicode

from moe_lite.families import PublishedModel
from moe_lite.lab.hosting import accelerator as accelerator_named, accelerators
from moe_lite.look.svg import drawn_only
from moe_lite.model.config import ModelConfig
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, script, style
from moe_lite.widgets.serving_explorer.bars import Bars, legend_html, table_html
from moe_lite.widgets.serving_explorer.drawing import NARROWEST, TWIN, WIDEST, Lines
from moe_lite.widgets.serving_explorer.view import BITS, MOST, STEPS, ServingView, mixtures, record_of
from moe_lite.widgets.serving_explorer.words import (
    BADGE,
    HOW,
    bars_text,
    lines_text,
    note,
    sentence,
    setting,
    sources_html,
)

SETTINGS = ("batch", "context", "bits", "utilisation", "dollars")


class ServingExplorer(MoEWidget):
    """A mixture and two imagined dense models, of its active and of its whole size, generating on the same machines.

    model        the name of a published mixture, a PublishedModel, or a ModelConfig
    accelerator  a name of `hosting.accelerators()`; each model gets as many as hold the mixture's weights and one text
    batch        texts at a time, 1 to 2,048
    context      tokens of each text
    bits         of a weight: 16, 8 or 4; keys and values have 16
    utilisation  percent of the time that the accelerators are busy
    dollars      per hour and accelerator; None for what it was offered for

    Time (seconds), bytes and FLOPs are those of `lessons.serving.step`, prices (dollars per million tokens) those of
    `price_per_million`: computed from published figures, lower bounds of time and price. All of these are traits;
    another accelerator brings its own price, unless `dollars` is set as well. Raises ValueError for a model that is not
    known, is dense or has an encoder, and for settings that cannot be; a trait that is set so is set back, and the
    widget says why.
    """

    question = Unicode(
        "When does a mixture cost as much as a dense model of its active size, and when as much as one of its whole "
        "size?"
    ).tag(sync=True)
    inputs = ("model", "accelerator", *SETTINGS, "width")
    _esm = script("serving_explorer/script.js")
    _css = style("serving_explorer/style.css")

    model = Unicode(help="The mixture's name.").tag(**FROM_PAGE)
    accelerator = Unicode(help="The accelerator's name.").tag(**FROM_PAGE)
    batch = Int(16, help="Texts at a time.").tag(**FROM_PAGE)
    context = Int(4096, help="Tokens of each text.").tag(**FROM_PAGE)
    bits = Int(16, help="Of a weight.").tag(**FROM_PAGE)
    utilisation = Int(50, help="Percent of the time that the accelerators are busy.").tag(**FROM_PAGE)
    dollars = Float(1.0, help="Per hour and accelerator.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figures; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The lines, SVG.").tag(sync=True)
    bars = Unicode(help="What a step moves and computes, SVG.").tag(sync=True)
    note = Unicode(help="What has to be known of these settings.").tag(sync=True)
    view = Dict(help="Where the axis stands, how many accelerators, where figures come from.").tag(sync=True)
    fixed = Dict(help="What does not change: models, accelerators, steps of the sliders, how it is made.").tag(
        sync=True
    )

    def __init__(
        self,
        model: str | PublishedModel | ModelConfig = "Mixtral-8x7B",
        *,
        batch: int = 16,
        context: int = 4096,
        accelerator: str = "H100 SXM",
        bits: int = 16,
        utilisation: int = 50,
        dollars: float | None = None,
        question: str | None = None,
    ):
        record, one = record_of(model), accelerator_named(accelerator)
        dollars = one.dollars_per_hour if dollars is None else dollars
        self.now = ServingView(record, one, batch, context, bits, utilisation, dollars)  # what is shown
        self.records = {record.name: record} | {name: record_of(name) for name in mixtures()}
        self._before: ServingView | None = None  # what was shown before the last move
        self._complaint: dict[str, str] = {}  # stays until a setting other than the width changes
        fixed = {
            "models": [*self.records], "accelerators": [*accelerators()], "bits": list(BITS), "most": MOST,
            "steps": {name: list(steps) for name, steps in STEPS.items()}, "width": [NARROWEST, WIDEST],
            "how": list(HOW),
        }  # fmt: skip
        told = {} if question is None else {"question": question}
        super().__init__(fixed=fixed, **self._settings(self.now), **told)

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Compute what the settings ask for; those that cannot be are set back."""
        if self.new_move():
            self._before = self.now
        asked = {name: getattr(self, name) for name in ("model", "accelerator", *SETTINGS)}
        if asked != self._settings(self.now):
            self._complaint = {}
            try:
                self.now = self._next()
            except ValueError as problem:
                self._complaint = {"what": str(problem), "instead": "What was shown stays.", "details": ""}
            for name, value in self._settings(self.now).items():
                setattr(self, name, value)
        self._show(self.now)
        self.error = self._complaint

    @staticmethod
    def _settings(view: ServingView) -> dict[str, object]:
        """The settings that a view stands for."""
        own = {name: getattr(view, name) for name in SETTINGS}
        return {"model": view.model.name, "accelerator": view.accelerator.name, **own, "dollars": float(view.dollars)}

    def _next(self) -> ServingView:
        """The view that the settings ask for. ValueError if there is none."""
        record = self.records[self.model] if self.model in self.records else record_of(self.model)
        own = {name: getattr(self, name) for name in SETTINGS}
        one = accelerator_named(self.accelerator)
        if one != self.now.accelerator and self.dollars == self.now.dollars:
            own["dollars"] = one.dollars_per_hour
        return ServingView(record, one, **own)

    # ---- figures -----------------------------------------------------------------------------------------------------

    def _show(self, view: ServingView) -> None:
        self.reading, self.source, self.note = sentence(view), BADGE, note(view)
        lines = Lines(view, self._before, self.width, live=True)
        self.figure = lines.svg(lines_text(view, self.reading))
        self.bars = Bars(view, self._before, self.width).svg(bars_text(view))
        moved = 'class="was"' in self.figure + self.bars
        self.view = {
            "axis": lines.places(), "n": view.n_machines, "sources": sources_html(view), "legend": legend_html(moved),
        }  # fmt: skip

    def twin(self) -> str:
        view = self.now
        lines = drawn_only(Lines(view, None, TWIN).svg(lines_text(view, self.reading)))
        bars = drawn_only(legend_html() + Bars(view, None, TWIN).svg(bars_text(view))) + table_html(view)
        beside = f"{html.escape(self.note)} {sources_html(view)}".strip()
        made = f"<summary>How it is computed</summary>{html.escape(' '.join(HOW))}"
        settings = html.escape(setting(view))
        return (
            f'{self.error_html()}<p class="note">{settings}</p>{lines}{bars}'
            f'<p class="note">{beside}</p><details class="note how">{made}</details>'
        )

"""The model calculator: how much of a model works on each token, and what must be kept in memory?"""

import html
from collections.abc import Mapping, Sequence

from traitlets import Dict, Int, Unicode

from moe_lite.families import PublishedModel, published
from moe_lite.model.config import ModelConfig
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, script, style
from moe_lite.widgets.model_calculator.drawing import NARROWEST, WIDEST, Bars, memory, strip, twin
from moe_lite.widgets.model_calculator.view import (
    COMPARED,
    SIZES,
    STEPS,
    CalculatorView,
    choosable,
    pasted,
    record_of,
    resized,
    sizes_of,
)
from moe_lite.widgets.model_calculator.words import (
    CONVENTIONS,
    cache,
    captions,
    heading,
    memory_note,
    note,
    reading,
    setting,
    sums,
)


class ModelCalculator(MoEWidget):
    """A model's parameters in total and for one token, its sums, and the cards that hold its weights.

    model    the name of a published model (`families.published()` lists them), a PublishedModel, or a ModelConfig
    compare  names or PublishedModels that stay for scale; the longest of them sets it

    All counts are `families.count`'s. Traits: preset, n_experts, top_k, d_expert, convention ("all",
    "without_embedding" or "body"), free (percent of each card), context (for the key-value cache), config (the text of
    a config.json; once read it is one of the presets). A preset brings its own experts; with other ones it becomes
    "yours", with a bar of its own. Raises ValueError for a model that is not known; a setting that cannot be is shown
    in the widget and set back.
    """

    question = Unicode("How much of a model works on each token, and what must be kept in memory?").tag(sync=True)
    inputs = ("preset", *SIZES, "convention", "free", "context", "config", "width")
    _esm = script("model_calculator/script.js")
    _css = style("model_calculator/style.css")

    preset = Unicode(help="The model's name; the sliders may have changed it.").tag(**FROM_PAGE)
    n_experts = Int(help="Experts E in a layer; 0 in a dense model.").tag(**FROM_PAGE)
    top_k = Int(help="Experts per token.").tag(**FROM_PAGE)
    d_expert = Int(help="Width F inside an expert.").tag(**FROM_PAGE)
    convention = Unicode("all", help="What is counted.").tag(**FROM_PAGE)
    free = Int(10, help="Percent of each card's memory that weights leave free.").tag(**FROM_PAGE)
    context = Int(8192, help="Tokens in the key-value cache.").tag(**FROM_PAGE)
    config = Unicode(help="The text of a config.json.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The bars, SVG.").tag(sync=True)
    strip = Unicode(help="The model taken apart, SVG.").tag(sync=True)
    memory = Unicode(help="Precision × card, an HTML table.").tag(sync=True)
    note = Unicode(help="What was published, and what is not counted.").tag(sync=True)
    view = Dict(help="Presets with their sizes, texts around the strip, the cache.").tag(sync=True)
    fixed = Dict(help="What does not change: steps of the sliders, names of the conventions.").tag(sync=True)

    def __init__(
        self,
        model: str | PublishedModel | ModelConfig = "Mixtral-8x7B",
        *,
        compare: Sequence[str | PublishedModel] = COMPARED,
    ):
        base = record_of(model)
        self.now = CalculatorView(base, base, tuple(map(record_of, compare)))  # what is shown
        self.presets = {base.name: base} | {name: published(name) for name in published()}
        self._before: CalculatorView | None = None  # what was shown before the last move
        self._read = ""  # the config.json that was read last
        self._complaint: dict[str, str] = {}  # stays until a setting other than the width changes
        fixed = {
            "steps": STEPS, "conventions": [list(pair) for pair in CONVENTIONS.items()], "width": [NARROWEST, WIDEST],
            "legend": memory_note(),
        }  # fmt: skip
        super().__init__(preset=base.name, fixed=fixed, **sizes_of(base))

    def suggest(self, views: Mapping[str, Mapping[str, object]]) -> "ModelCalculator":
        """As for every widget; a view that names a preset has that one's experts where it sets no others."""
        completed = {}
        for words, settings in views.items():
            own = sizes_of(self._record(settings["preset"])) if "preset" in settings else {}
            completed[words] = own | dict(settings)
        return super().suggest(completed)

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Count what the settings ask for; those that cannot be are set back."""
        if self.new_move():
            self._before = self.now
        if self._asked_for() != self._settings(self.now) or self._unread:
            self._complaint = {}
            try:
                self.now = self._next()
            except ValueError as problem:
                self._complaint = {"what": str(problem), "instead": "What was shown stays.", "details": ""}
            self.presets[self.now.base.name] = self.now.base
            for name, value in self._settings(self.now).items():
                setattr(self, name, value)
        self._show(self.now)
        self.error = self._complaint

    def _asked_for(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.inputs if name not in ("config", "width")}

    @staticmethod
    def _settings(view: CalculatorView) -> dict[str, object]:
        """The settings that a view stands for."""
        others = {name: getattr(view, name) for name in ("convention", "free", "context")}
        return {"preset": view.base.name, **sizes_of(view.model), **others}

    @property
    def _unread(self) -> bool:
        return self.config != self._read

    def _next(self) -> CalculatorView:
        """The view that the settings ask for. ValueError if there is none."""
        base, sizes = self.now.base, {name: getattr(self, name) for name in SIZES}
        if self._unread:
            self._read = self.config
            if self.config.strip():
                base = pasted(self.config)
                sizes = sizes_of(base)
        elif self.preset != base.name:
            base = self._record(self.preset)
            if sizes == sizes_of(self.now.model):  # only the name is new
                sizes = sizes_of(base)
        model = resized(base, sizes)
        if model.top_k < sizes["top_k"]:
            most = choosable(base, sizes["n_experts"])
            what = f"top-k {sizes['top_k']:,} is more than {most:,} expert{'s' * (most > 1)}."
            self._complaint = {"what": what, "instead": f"Showing {model.top_k:,}.", "details": ""}
        return CalculatorView(base, model, self.now.compare, self.convention, self.free, self.context)

    def _record(self, name: object) -> PublishedModel:
        return self.presets[name] if name in self.presets else published(str(name))

    # ---- figure ------------------------------------------------------------------------------------------------------

    def _show(self, view: CalculatorView) -> None:
        self.reading, self.note = reading(view), note(view)
        self.source = "counted from sizes"
        self.figure = Bars(view, self._before, self.width).svg(self.reading)
        self.strip, self.memory = strip(view, self.width), memory(view)
        self.view = {
            "presets": [[name, *sizes_of(model).values()] for name, model in self.presets.items()],
            "base": sizes_of(view.base),
            "changed": view.changed, "sparse": view.sparse, "choosable": choosable(view.base, view.model.n_experts),
            "heading": heading(view), "captions": list(captions(view)), "sums": list(sums(view)), "cache": cache(view),
        }  # fmt: skip

    def twin(self) -> str:
        settings, below = (html.escape(text) for text in (setting(self.now), f"{cache(self.now)} {self.note}".strip()))
        figures = twin(self.now, self.reading)
        return f'{self.error_html()}<p class="note">{settings}</p>{figures}<p class="note">{below}</p>'

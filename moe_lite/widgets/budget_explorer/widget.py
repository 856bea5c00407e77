"""The budget explorer: where do a model's parameters and FLOPs sit?"""

import html
from collections.abc import Mapping

from traitlets import Dict, Int, Unicode

from moe_lite.look.svg import drawn_only
from moe_lite.look.words import percent
from moe_lite.model.config import ModelConfig
from moe_lite.widgets.budget_explorer.drawing import TWIN, WIDEST, BudgetDrawing
from moe_lite.widgets.budget_explorer.view import (
    COURSE,
    HIGHEST,
    LETTERS,
    LOWEST,
    PRESETS,
    SIZES,
    STEPS,
    BudgetView,
    Count,
    Counted,
    counted,
    same_shape,
    shaped,
)
from moe_lite.widgets.budget_explorer.words import NAMES, OWN, amount, exact, note, reading, setting
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, script, style

YOURS = "your model"


class BudgetExplorer(MoEWidget):
    """The parameters and the FLOPs per token of a dense model, by part, for any width, depth and vocabulary.

    config   a dense ModelConfig to begin with; the course's if None
    presets  {name: dense ModelConfig} to choose from; if None, the course's model and three of published shape
    count    a function like `count_dense(config, context) -> (parameters, flops)`: what it gives is shown beside

    The counts are `metrics.budget`'s: no model is built. Traits: preset, d_model, n_layers, d_expert, vocab_size,
    context. Sizes between the presets' belong to no model; heads keep the size that they have in the preset last
    chosen, where it divides the width. Sizes out of range are corrected, and a note says so. Raises ValueError for a
    config with experts; what `count` does wrong is shown in the widget and kept in `error`.
    """

    question = Unicode("Where do a model’s parameters and FLOPs sit?").tag(sync=True)
    inputs = ("preset", *SIZES, "context", "width")
    _esm = script("budget_explorer/script.js")
    _css = style("budget_explorer/style.css")

    preset = Unicode(help="The shape's name; empty for one of your own.").tag(**FROM_PAGE)
    d_model = Int(help="Width D of the vectors between layers.").tag(**FROM_PAGE)
    n_layers = Int(help="Depth L.").tag(**FROM_PAGE)
    d_expert = Int(help="Width F inside a feed-forward network.").tag(**FROM_PAGE)
    vocab_size = Int(help="Tokens V that the model knows.").tag(**FROM_PAGE)
    context = Int(help="Tokens that a token attends to.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The SVG.").tag(sync=True)
    note = Unicode(help="Corrections, heads, and whose shape it is.").tag(sync=True)
    fixed = Dict(help="What does not change: presets, and the steps of the sliders.").tag(sync=True)

    def __init__(
        self,
        config: ModelConfig | None = None,
        *,
        presets: Mapping[str, ModelConfig] | None = None,
        count: Count | None = None,
    ):
        self.presets = dict(PRESETS if presets is None else presets)
        first = self._begin_with(config)
        self.count = count
        self.view: BudgetView | None = None  # what is shown
        self._before: BudgetView | None = None  # what was shown before the last move
        self._base = self._followed = first  # the preset whose heads are used, and the one last taken over
        begin = self.presets[first]
        super().__init__(
            preset=first,
            context=begin.context_length if config is None else config.context_length,
            fixed={"presets": list(self.presets), "own": OWN, "steps": self._steps()},
            **{name: getattr(begin, name) for name in SIZES},
        )

    def _begin_with(self, config: ModelConfig | None) -> str:
        """The name of the first shape; a config that is no preset becomes one."""
        if config is not None:
            same = [name for name, preset in self.presets.items() if same_shape(preset, config)]
            if not same:
                self.presets = {YOURS: config} | self.presets
            first = same[0] if same else YOURS
        else:
            first = COURSE if COURSE in self.presets else next(iter(self.presets), None)
        if first is None:
            raise ValueError("presets is empty and no config was passed: there is no shape to begin with.")
        for name, preset in self.presets.items():
            if not preset.is_dense:
                raise ValueError(
                    f"{name!r} has {preset.n_experts} experts; expected a dense model: pass dense_twin(config)."
                )
        return first

    def _steps(self) -> dict[str, list[int]]:
        """Where the sliders can stand: round numbers and every preset's."""
        own = {name: {getattr(preset, name) for preset in self.presets.values()} for name in SIZES}
        return {name: sorted({*steps, *own.get(name, ())}) for name, steps in STEPS.items()}

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Correct the settings, count, draw the shape beside the one before the move."""
        if self.new_move():
            self._before = self.view
        self._follow_preset()
        view = self._corrected()
        self.view, mine = view, None
        if self.count is not None:
            with self.errors_shown("The bars show the package’s counts."):
                mine = counted(self.count, view)
        self._show(view, mine)

    def _follow_preset(self) -> None:
        """A preset that was chosen puts its sizes on the sliders."""
        if self.preset == self._followed:
            return
        if self.preset not in self.presets:
            unknown, self.preset = self.preset, self._followed
            raise ValueError(f"There is no preset {unknown!r}; there are {', '.join(self.presets)}.")
        self._base = self.preset
        for name in SIZES:
            setattr(self, name, getattr(self.presets[self.preset], name))

    def _corrected(self) -> BudgetView:
        """The shape that the sliders make, brought into range, and its name."""
        corrections = [text for name in LETTERS if (text := self._clamp(name))]
        base = self.presets[self._base]
        config = shaped(base, {name: getattr(self, name) for name in SIZES})
        if config.d_head != base.d_head:
            corrections.append(f"D is no multiple of {base.d_head}, the size of a head: heads are smaller here.")
        self.preset = self._followed = self._base if same_shape(config, base) else ""
        view = BudgetView(config, self.context, self.preset)
        self.note = note(view, corrections)
        return view

    def _clamp(self, name: str) -> str:
        wanted = getattr(self, name)
        nearest = min(max(LOWEST[name], wanted), HIGHEST[name])
        why = f"it goes from {LOWEST[name]:,} to {HIGHEST[name]:,}"
        if name == "d_model" and nearest % 2:
            nearest, why = nearest + 1, "rotary positions pair its numbers"
        setattr(self, name, nearest)
        return "" if nearest == wanted else f"{LETTERS[name]} was {wanted:,}, but {why}: now it is {nearest:,}."

    # ---- figure ------------------------------------------------------------------------------------------------------

    def _show(self, view: BudgetView, mine: Counted | None) -> None:
        self._mine = mine
        self.reading = reading(view, self._before)
        self.figure = self._drawing(self.width).svg(self.reading)

    def _drawing(self, width: int) -> BudgetDrawing:
        before = None if self._before == self.view else self._before
        return BudgetDrawing(self.view, before, self._mine, width)

    def twin(self) -> str:
        sizes, text = html.escape(setting(self.view)), html.escape(self.note)
        svg = self._drawing(TWIN).svg(self.reading)
        figure = drawn_only(svg) + _table(self.view)
        return f'{self.error_html()}<p class="note">{sizes}</p>{figure}<p class="note">{text}</p>'


def _table(view: BudgetView) -> str:
    """The same numbers as a table, for pages that cannot show SVG."""
    heads = "".join(f"<th>{text}</th>" for text in ("part", "parameters", "share", "FLOPs per token", "share"))
    columns: list[list[str]] = [[*view.budget.parameters, "all"]]
    for kind in NAMES:
        amounts = getattr(view.budget, kind)
        columns.append([*map(amount, amounts.values()), exact(sum(amounts.values()))])
        columns.append([*(html.escape(percent(share)) for share in view.shares(kind).values()), "100 %"])
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in zip(*columns, strict=True))
    return f"<table><tr>{heads}</tr>{rows}</table>"

"""The results explorer: is a mixture of experts better, at equal tokens, FLOPs, seconds or bytes?"""

import html
import math
from collections.abc import Iterable, Sequence

from traitlets import Dict, Float, Int, List, Unicode

from moe_lite.lab.comparison import AXES, DENSE_TOTAL
from moe_lite.lab.runs import in_order
from moe_lite.look.svg import drawn_only
from moe_lite.look.words import listed
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, script, style
from moe_lite.widgets.results_explorer.drawing import (
    NARROWEST,
    TWIN,
    WIDEST,
    ResultsDrawing,
    look,
    mark_html,
    shape,
    summary_html,
    table_html,
)
from moe_lite.widgets.results_explorer.view import PAIR, SPENT, Finding, Model, Scene, find, models, scene, summary
from moe_lite.widgets.results_explorer.words import EMPTY, HOW, alternative, amount_text, badge, note, quoted, sentence


class ResultsExplorer(MoEWidget):
    """Recorded trainings over tokens, FLOPs, seconds or bytes, and two of their models compared on each.

    names    of the recordings to choose from; those of the comparison if None
    within   the budgets whose trainings are there, such as ("0.5M", "1M", "2M"); all if None
    axis     "tokens", "FLOPs", "seconds" or "bytes"
    pair     the two that are compared
    shown    the models that are drawn, the pair always among them; the pair and the dense model with as many
             parameters as a mixture if None
    budget   whose curves are drawn, such as "2M"; "" for all. The ends of all trainings always are
    at       the amount of the axis at which the pair is compared; 0 for the most that both of them spent
    question what the figure answers

    axis, first, second (the pair), shown, budget and at are traits. Another axis brings the marker back to the most
    that both spent there, unless `at` is set as well. What is compared comes from `comparison.equal`: the ends of
    trainings, and between two budgets what is read from the line that joins them. A setting that cannot be is corrected
    or set back, and the widget says so. Raises ValueError for a name without a recording or an unknown budget.
    """

    question = Unicode("Is a mixture of experts better, and at equal what?").tag(sync=True)
    inputs = ("axis", "first", "second", "shown", "budget", "at", "width")
    _esm = script("results_explorer/script.js")
    _css = style("results_explorer/style.css")

    axis = Unicode("tokens", help="What is equal where two models are compared.").tag(**FROM_PAGE)
    first = Unicode(PAIR[0], help="The first model of the pair.").tag(**FROM_PAGE)
    second = Unicode(PAIR[1], help="The second one.").tag(**FROM_PAGE)
    shown = List(Unicode(), help="Names of the models that are drawn.").tag(**FROM_PAGE)
    budget = Unicode("", help="The budget whose curves are drawn; empty for all.").tag(**FROM_PAGE)
    at = Float(0.0, help="The amount of the axis at which the pair is compared; 0: the most of both.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The SVG.").tag(sync=True)
    view = Dict(help="Marker, verdicts as HTML, note: what the script shows beside the figure.").tag(sync=True)
    fixed = Dict(help="What does not change: axes, budgets, models with their marks, how it is made.").tag(sync=True)

    def __init__(
        self,
        names: Iterable[str] | None = None,
        axis: str = "tokens",
        pair: tuple[str, str] = PAIR,
        *,
        within: Sequence[str] | None = None,
        shown: Iterable[str] | None = None,
        budget: str = "",
        at: float = 0.0,
        question: str | None = None,
    ):
        self.models = models(names, within)
        self.now: Scene | None = None
        self.found: Finding | None = None  # of the pair, where the marker stands
        self.rows: list[Finding] = []  # of the pair, one for each axis
        self._good: dict[str, object] = {}  # the settings that were shown last
        first, second = self._pair(pair)
        drawn = [*dict.fromkeys([first, second, DENSE_TOTAL])] if shown is None else [*shown]
        if shown is None:
            drawn = [name for name in drawn if name in self.models]
        self.budgets = in_order({name for model in self.models.values() for name in model.budgets})
        fixed = {
            "axes": list(AXES), "budgets": self.budgets, "width": [NARROWEST, WIDEST],
            "models": [[name, one.title, one.short, look(one), shape(one)] for name, one in self.models.items()],
            "how": list(HOW),
        }  # fmt: skip
        super().__init__(
            axis=axis, first=first, second=second, shown=drawn, budget=budget, at=at, fixed=fixed,
            **({} if question is None else {"question": question}),
        )  # fmt: skip

    def _pair(self, pair: tuple[str, str]) -> tuple[str, str]:
        """The pair to begin with: of the usual one, what is not among the models is replaced by the next that is."""
        if isinstance(pair, str) or len(pair) != 2:
            raise ValueError(f"pair is {pair!r}; expected the names of two models.")
        if tuple(pair) != PAIR or not self.models:
            return tuple(pair)
        there = [name for name in PAIR if name in self.models]
        others = [name for name in self.models if name not in there]
        first = PAIR[0] if PAIR[0] in there else (others or there)[0]
        rest = [name for name in others if name != first] or [first]
        return first, PAIR[1] if PAIR[1] in there else rest[0]

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Correct the settings, compare the pair, draw the trainings."""
        if not self.models:
            self.reading, self.view = EMPTY, {"note": ""}
            return
        complaint = self._set_back()
        if self.axis != self._good.get("axis", self.axis) and self.at == self._good["at"]:
            self.at = 0.0
        pair = self.models[self.first], self.models[self.second]
        now = self._scene(pair)
        corrected = self._correct(now)
        if corrected:
            now = self._scene(pair)
        self.now, self.rows = now, summary(*pair)
        self.found = find(*pair, self.axis, self.at or None)
        self._good = {name: getattr(self, name) for name in self.inputs}
        self._tell(corrected)
        if complaint:
            self.error = complaint

    def _scene(self, pair: tuple[Model, Model]) -> Scene:
        drawn = [model for name, model in self.models.items() if name in (*self.shown, self.first, self.second)]
        return scene(drawn, pair, self.axis, self.budget, self.at)

    def _set_back(self) -> dict[str, str]:
        """Names that cannot be become those shown last; what to say of it, or {}."""
        said, instead, good = [], [], self._good
        if self.axis not in AXES:
            said.append(f"There is no axis {self.axis!r}; there are {listed([*AXES])}.")
            self.axis = good.get("axis", "tokens")
            instead.append(self.axis)
        if self.budget not in ("", *self.budgets):
            said.append(f"There is no budget {self.budget!r}; there are {listed(self.budgets)}, and '' for all.")
            self.budget = good.get("budget", "")
            instead.append(f"the curves of {self.budget or 'all budgets'}")
        for place, trait in enumerate(("first", "second")):
            if getattr(self, trait) not in self.models:
                said.append(self._unknown(getattr(self, trait)))
                default = [*self.models][min(place, len(self.models) - 1)]
                setattr(self, trait, good.get(trait, default))
                instead.append(quoted(self.models[getattr(self, trait)]))
        if strangers := [name for name in self.shown if name not in self.models]:
            said += [self._unknown(name) for name in strangers]
            self.shown = [name for name in self.shown if name in self.models]
            instead.append("the others")
        return {"what": " ".join(said), "instead": f"Showing {listed(instead)}.", "details": ""} if said else {}

    def _unknown(self, name: str) -> str:
        return f"No model {name!r} among those of this figure; it has {listed([*self.models])}."

    def _correct(self, now: Scene) -> list[str]:
        """Bring the marker onto the axis; a sentence if it was not there."""
        if self.at == 0 or now.at is None:
            self.at = 0.0 if not math.isfinite(self.at) else self.at
            return []
        low, high = now.stops[0], now.stops[-1]
        inside = min(max(low, self.at), high) if math.isfinite(self.at) else 0.0
        if math.isclose(inside, self.at, rel_tol=1e-9):
            return []
        was, self.at = self.at, inside
        ends = f"this axis goes from {amount_text(self.axis, low)} to {amount_text(self.axis, high)}"
        return [f"The models were to be compared at {was:g} {self.axis}, but {ends}."]

    # ---- figure ------------------------------------------------------------------------------------------------------

    def _tell(self, corrected: list[str]) -> None:
        """Set everything that the script draws."""
        now = self.now
        self.reading, self.source = sentence(self.found), badge(now)
        drawing = self._drawing(self.width, live=True)
        self.figure = drawing.svg(alternative(now, self.reading)) if now.traces else ""
        marker = {}
        if now.at is not None:
            marker = drawing.places() | {"stops": now.stops, "at": now.at, "most": self.at == 0}
            marker["texts"] = [amount_text(self.axis, stop) for stop in now.stops]
            marker["says"] = amount_text(self.axis, now.at)
        self.view = {
            "marker": marker, "table": summary_html(self.rows, self.axis), "note": note(now, corrected),
            "curves": self.axis in SPENT,
        }  # fmt: skip

    def _drawing(self, width: int, live: bool = False) -> ResultsDrawing:
        return ResultsDrawing(self.now, width, live)

    # ---- static twin -------------------------------------------------------------------------------------------------

    def twin(self) -> str:
        problem = self.error_html()
        if self.now is None:
            return problem
        pair = [self.models[name] for name in (self.first, self.second)]
        names = " against ".join(f"{mark_html(model)}{html.escape(model.title)}" for model in pair)
        svg = self._drawing(TWIN).svg(alternative(self.now, self.reading)) if self.now.traces else ""
        figure = drawn_only(svg) + table_html(self.now) if svg else ""
        notes = f"{self.view['note']} {' '.join(HOW)}"
        return (
            f'{problem}<p class="note">{names}</p>{figure}{summary_html(self.rows, self.axis)}'
            f'<p class="note">{html.escape(notes)}</p>'
        )

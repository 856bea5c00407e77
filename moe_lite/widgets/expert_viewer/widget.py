"""The expert viewer: which domains does an expert take, and what does the model lose without it?"""

import html
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from traitlets import Bool, Dict, Int, Unicode, validate

from moe_lite.data import Corpus
from moe_lite.lab.live import LiveRun
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.expert_viewer.drawing import domains_html, heatmap_html, ramp_html, text_html, top_html
from moe_lite.widgets.expert_viewer.view import Bench, Card, Changes, LayerTable, Shown, checked
from moe_lite.widgets.expert_viewer.words import (
    EMPTY,
    UNREAD,
    about_changes,
    about_expert,
    about_text,
    facts_of,
    measured_note,
)
from moe_lite.widgets.kit.background import BackgroundWidget
from moe_lite.widgets.kit.parts import Parts, plain, rich
from moe_lite.widgets.kit.text import token_text
from moe_lite.widgets.kit.widget import FROM_PAGE, badge_html, script, style
from moe_lite.widgets.token_viewer import MOST_EXPERTS, NONE, ORDINALS, route_moved

TEXT = "Il y avait une erreur : def add(a, b): return a + b donne la somme, dit-elle."


class ExpertViewer(BackgroundWidget):
    """One layer's experts: who takes which domain, what one expert takes, and what is lost without it.

    models    one MoELanguageModel, or {n_experts: model} for a slider over the expert counts
    corpora   {domain: Corpus}, as `load_corpora()` gives them: `windows` windows of held-out text of each are read
    text      shown token by token with its experts; the box can be edited
    layer     the sparse layer shown, counted from 1
    expert    the selected one; the one with the highest lift for any domain if None
    windows   per domain, of the model's context_length each: for the heatmap and for the losses
    question  what the figure answers

    A column of the heatmap or a token of the text selects an expert. Muting routes the text again without the selected
    expert in this layer, and measures in the background what each domain's loss changes by, and the same without the
    expert's control there: of the layer's other experts the one with the nearest number of this domain's assignments.
    Losses are measured once per model, layer, expert and domain. `mute()` waits until they are there. Setting `domain`
    selects the expert with the highest lift for it: `suggest({"python's expert": {"domain": "python"}, "mute it":
    {"muted": True}})`. Another expert, layer or model ends the muting. Raises ValueError for arguments that do not fit;
    what goes wrong later, such as in a learner's top_k_fn, is shown in the widget and kept in `error`.
    """

    question = Unicode("Does each domain have its expert?").tag(sync=True)
    inputs = ("text", "n_experts", "layer", "expert", "domain", "choice", "muted")
    _esm = script("token_viewer/parts.js", "expert_viewer/script.js")
    _css = style("token_viewer/style.css", "expert_viewer/style.css")

    text = Unicode(help="The text whose tokens are shown.").tag(**FROM_PAGE)
    n_experts = Int(help="Which of the models.").tag(**FROM_PAGE)
    layer = Int(1, help="The sparse layer shown, from 1.").tag(**FROM_PAGE)
    expert = Int(0, help="The selected expert.").tag(**FROM_PAGE)
    domain = Unicode(help="Selects the expert with the highest lift for it, and empties itself.").tag(**FROM_PAGE)
    choice = Int(0, help="The choice shown: 0 the expert with the largest weight, 1 the second, …").tag(**FROM_PAGE)
    muted = Bool(False, help="Whether the selected expert cannot be chosen in this layer.").tag(**FROM_PAGE)
    page = Dict(help="The tokens of the text.").tag(sync=True)
    view = Dict(help="Figures as HTML, experts of the tokens, sentences.").tag(sync=True)
    fixed = Dict(help="What does not change.").tag(sync=True)

    @validate("text")
    def _whole_characters(self, proposal: dict) -> str:
        """Half of a surrogate pair cannot be sent to the page; it becomes "?", as in `data.encode`."""
        return proposal["value"].encode(errors="replace").decode()

    def __init__(
        self,
        models: MoELanguageModel | Mapping[int, MoELanguageModel],
        corpora: Mapping[str, Corpus],
        text: str = TEXT,
        *,
        layer: int = 1,
        expert: int | None = None,
        windows: int = 4,
        question: str | None = None,
    ):
        self.models = checked(models, corpora, windows)
        n_experts = 8 if 8 in self.models else next(iter(self.models))
        n_layers = self.models[n_experts].config.n_sparse_layers
        if not 1 <= layer <= n_layers:
            raise ValueError(f"layer is {layer}; expected 1 to {n_layers}.")
        if expert is not None and not 0 <= expert < n_experts:
            raise ValueError(f"expert is {expert}; expected 0 to {n_experts - 1}.")
        self.bench = Bench(self.models, corpora, windows)
        self.shown: Shown | None = None
        self.live: LiveRun[str] | None = None  # the newest measuring
        self._measuring: tuple | None = None  # what it measures: `Shown.muting`
        self._failed: dict[tuple, dict] = {}  # of such, what went wrong
        self._corrected = ""
        super().__init__(
            text=text, n_experts=n_experts, layer=layer, expert=-1 if expert is None else expert,
            fixed={"counts": list(self.models), "ordinals": ORDINALS, "empty": EMPTY, "ramp": ramp_html()},
            **({} if question is None else {"question": question}),
        )  # fmt: skip

    def mute(self) -> "ExpertViewer":
        """Mute the selected expert and wait until the losses are measured: a cell that ends with this shows them."""
        self.muted = True
        if self.live is not None:
            self.live.wait()
        return self

    def refresh(self) -> None:
        """Read and measure anew: the models' weights have changed since."""
        self._stop()
        self.bench.forget()
        self._failed, self._computed, self._measuring = {}, None, None
        self._recompute()

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Correct the settings, read the model and route the text if that is new, measure, draw."""
        self.reading = self.reading or UNREAD
        corrected = self._correct()
        layer = self.bench.layer(self.n_experts, self.layer - 1)
        corrected += self._select(layer)
        problem = {}
        if self.muted:
            with self.errors_shown("Nothing is muted."):
                shown = self._routed(layer)
            problem, self.muted = self.error, not self.error
        if not self.muted:
            shown = self._routed(layer)
        if self.shown is None or shown.text != self.shown.text:
            n = 0 if shown.routing is None else shown.routing.shape[1]
            self.page = {"tokens": [face.sent() for face in shown.text.faces[:n]], "sections": shown.sections}
        self.shown, self._corrected = shown, " ".join(corrected)
        self._measure()
        self.tell()
        self.error = problem or self.error

    def _correct(self) -> list[str]:
        """Bring model, layer and choice into range; a sentence for each that was not."""
        said = []
        if self.n_experts not in self.models:
            nearest = min(self.models, key=lambda n: abs(n - self.n_experts))
            counts = ", ".join(map(str, self.models))
            said.append(f"No model with {self.n_experts} experts was passed; there are {counts}. Showing {nearest}.")
            self.n_experts = nearest
        config = self.models[self.n_experts].config
        layer = min(max(1, self.layer), config.n_sparse_layers)
        if layer != self.layer:
            said.append(f"There is no layer {self.layer}: the layers are 1 to {config.n_sparse_layers}.")
            self.layer = layer
        self.choice = min(max(0, self.choice), min(config.top_k, len(ORDINALS)) - 1)
        return said

    def _select(self, layer: LayerTable) -> list[str]:
        """The expert that `domain` asks for, or one that exists. Another selection than before ends a muting."""
        said, n, before = [], self.n_experts, self.shown
        domain, self.domain = self.domain, ""
        if domain in layer.domains:
            self.expert = layer.best(domain)
        elif domain:
            said.append(f"No domain {domain} was read; there are {', '.join(layer.domains)}.")
        if before is None and self.expert == -1:
            self.expert = layer.best()
        if not 0 <= self.expert < n:
            if before and before.n_experts == n:
                said.append(f"There is no expert {self.expert}: the experts are 0 to {n - 1}.")
            self.expert = min(max(0, self.expert), n - 1)
        if before and before.muted and (before.n_experts, before.at, before.expert) != (n, self.layer, self.expert):
            self.muted = False
        return said

    def _routed(self, layer: LayerTable) -> Shown:
        """The text, routed without the selected expert if that is muted."""
        before, options, card = self.shown, {}, Card.of(layer, self.expert)
        shown = Shown(self.layer, layer, card, self.muted, token_text((("", self.text),)), None, None)
        if self.muted:
            self._check_mutable()
            options = {"muted": [self.expert], "muted_in": [shown.place]}
        if not shown.text.ids:
            return shown
        if before and before.layer.reading is layer.reading and before.routed_as == shown.routed_as:
            return replace(shown, routing=before.routing, moved=before.moved)  # it has all layers
        routing, moved = route_moved(self.models[self.n_experts], shown.text, **options)
        return replace(shown, routing=routing, moved=moved if self.muted else None)

    def _check_mutable(self) -> None:
        k, n = self.models[self.n_experts].config.top_k, self.n_experts
        if k >= n:
            raise ValueError(f"Each token takes {k} of {n} experts: without one of them there are too few.")

    # ---- losses ------------------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        """Measure in the background what the muted expert needs and is not known yet."""
        key = self.shown.muting if self.muted else None
        if self.live is not None and not self.live.over and self._measuring == key:
            return
        self._stop()
        self._measuring = key
        if key is None or key in self._failed or self.bench.changes(*key).complete:
            return
        self.live = LiveRun(self.bench.steps(*key), on_step=lambda _: self._told(key))
        self.live.on_change(lambda run: self._follow(run, key))
        self.live.start()

    def _stop(self) -> None:
        if self.live is not None:
            self.live.stop()

    def _told(self, key: tuple) -> None:
        """A domain is measured, in the background: show it, unless something else is shown by now."""
        with self._mutex, self.hold_sync():
            if self._measuring == key:
                self.tell()

    def _follow(self, run: LiveRun, key: tuple) -> None:
        """A measuring has begun, ended or failed."""
        if run.error is None:
            return
        with self._mutex, self.hold_sync():
            with self.errors_shown("The losses that were measured stay."):
                raise run.error
            self._failed[key] = self.error
            self.tell()

    def set_state(self, sync_data: dict) -> None:
        with self._mutex:  # page and background take turns
            super().set_state(sync_data)

    @property
    def changes(self) -> Changes | None:
        """What is lost without the muted expert, as far as it is measured; None if none is muted."""
        return self.bench.changes(*self.shown.muting) if self.shown and self.shown.muted else None

    # ---- figure ------------------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Set everything that the script draws."""
        shown, words = self.shown, self.reading_parts()
        self.error = self._failed.get(shown.muting, {}) if shown.muted else {}
        self.reading = plain(words)
        self.source = f"{shown.n_experts}-expert model, layer {shown.at}"
        chosen = [] if shown.routing is None else shown.chosen()
        self.view = {
            "experts": shown.n_experts, "expert": shown.expert, "layer": shown.at, "muted": shown.muted,
            "layers": len(shown.layer.reading.layers), "k": shown.layer.reading.experts.shape[-1],
            "heat": heatmap_html(shown, live=True), "caption": self._caption(),
            "chosen": np.where(chosen == NONE, MOST_EXPERTS, chosen).tolist() if len(chosen) else [],
            "moved": [] if shown.moved is None else shown.moved[shown.at - 1].tolist(),
            "domains": domains_html(shown.card, shown.layer, self.changes),
            "facts": facts_of(shown.card, shown.n_experts), "top": top_html(shown.card, shown.n_experts),
            "reading": words, "corrected": self._corrected, "note": self._measured_note(),
        }  # fmt: skip

    def reading_parts(self) -> Parts:
        shown, changes = self.shown, self.changes
        if changes:
            return about_changes(changes, shown.layer, shown.at)
        return about_expert(shown.layer, shown.card, shown.at)

    def _caption(self) -> str:
        return f'<p class="note">{rich(about_text(self.shown, self.choice), self.shown.n_experts)}</p>'

    def _measured_note(self) -> str:
        shown, length = self.shown, self.models[self.shown.n_experts].config.context_length
        if not shown.muted:
            return ""
        return measured_note(self.changes, self.bench.windows, length, shown.n_experts)

    # ---- static twin -------------------------------------------------------------------------------------------------

    def twin(self) -> str:
        shown, problem = self.shown, self.error_html()
        if shown is None:
            return problem
        facts = "".join(
            f"<div><b>{html.escape(value)}</b><span> {html.escape(what)}</span></div>"
            for value, what in facts_of(shown.card, shown.n_experts)
        )
        badge, muted = badge_html(shown.expert, shown.n_experts), ", muted" if shown.muted else ""
        domains = domains_html(shown.card, shown.layer, self.changes)
        return (
            f"{problem}{heatmap_html(shown)}{ramp_html()}{self._caption()}{text_html(shown, self.choice)}"
            f'<div class="who"><div class="title">Expert {badge} in layer {shown.at}{muted}</div></div>'
            f'<div class="keys">{facts}</div>'
            f'<div class="card"><div>{domains}</div><div>{top_html(shown.card, shown.n_experts)}</div></div>'
            f'<p class="note">{html.escape(self._measured_note())}</p>'
        )

    def reading_html(self) -> str:
        return rich(self.reading_parts(), self.shown.n_experts) if self.shown else html.escape(self.reading)

"""The expert viewer: which domains does an expert take, and what does the model lose without it?"""

import html
from collections.abc import Mapping

import numpy as np
from traitlets import Bool, Dict, Int, Unicode, validate

from moe_lite.data import Corpus
from moe_lite.lab.live import LiveRun
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.expert_viewer.drawing import domains_html, heatmap_html, ramp_html, text_html, top_html
from moe_lite.widgets.expert_viewer.view import Bench, Card, Changes, LayerTable, checked
from moe_lite.widgets.expert_viewer.words import (
    EMPTY,
    about_changes,
    about_expert,
    about_text,
    facts_of,
    measured_note,
)
from moe_lite.widgets.kit.background import BackgroundWidget
from moe_lite.widgets.kit.parts import Parts, plain, rich
from moe_lite.widgets.kit.text import PAGE, TokenText, token_text
from moe_lite.widgets.kit.widget import FROM_PAGE, badge_html, script, style
from moe_lite.widgets.token_viewer import MOST_EXPERTS, NONE, ORDINALS, TokenRouting, route_moved

TEXT = "Il y avait une erreur : def add(a, b): return a + b donne la somme, dit-elle."


class ExpertViewer(BackgroundWidget):
    """One layer's experts: who takes which domain, what one expert takes, and what is lost without it.

    models    one MoELanguageModel, or {n_experts: model} for a slider over the expert counts
    corpora   {domain: Corpus}, as `load_corpora()` gives them: `windows` windows of held-out text of each are read
    text      shown token by token with its experts; the box can be edited
    layer     the sparse layer shown, counted from 1
    expert    the selected one; the one with the highest lift for any domain if None
    windows   per domain, of the model's context_length each: for the heatmap and for the losses

    A column of the heatmap or a token of the text selects an expert. Muting routes the text again without the selected
    expert in this layer, and measures in the background what each domain's loss changes by, and the same without its
    control: the other expert of the layer whose load is nearest. Losses are measured once per model, layer and expert.
    `mute()` waits until they are there. Setting `domain` selects the expert with the highest lift for it:
    `suggest({"python's expert": {"domain": "python"}, "mute it": {"muted": True}})`. Another expert, layer or model
    ends the muting. Raises ValueError for arguments that do not fit; what goes wrong later, such as in a learner's
    top_k_fn, is shown in the widget and kept in `error`.
    """

    question = Unicode("Does each domain have its expert?").tag(sync=True)
    inputs = ("text", "n_experts", "layer", "expert", "domain", "choice", "muted")
    _esm = script("token_viewer/parts.js", "expert_viewer/script.js")
    _css = style("token_viewer/style.css", "expert_viewer/style.css")

    text = Unicode(help="The text whose tokens are shown.").tag(**FROM_PAGE)
    n_experts = Int(help="Which of the models.").tag(**FROM_PAGE)
    layer = Int(1, help="The sparse layer shown, from 1.").tag(**FROM_PAGE)
    expert = Int(0, help="The selected expert.").tag(**FROM_PAGE)
    domain = Unicode(help="Set it to select the expert with the highest lift for this domain; it empties itself.").tag(
        **FROM_PAGE
    )
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
        **traits: str,
    ):
        self.models = checked(models, corpora, windows)
        n_experts = 8 if 8 in self.models else next(iter(self.models))
        n_layers = self.models[n_experts].config.n_sparse_layers
        if not 1 <= layer <= n_layers:
            raise ValueError(f"layer is {layer}; expected 1 to {n_layers}.")
        if expert is not None and not 0 <= expert < n_experts:
            raise ValueError(f"expert is {expert}; expected 0 to {n_experts - 1}.")
        self.bench = Bench(self.models, corpora, windows)
        self.now: LayerTable | None = None  # what is shown
        self.card: Card | None = None
        self.routing: TokenRouting | None = None  # of the text; None while there is no token
        self.moved: np.ndarray | None = None  # (L, N, K) bool: which tokens have another expert because one is muted
        self.shown_text: TokenText = token_text(())
        self.live: LiveRun[str] | None = None  # the newest measuring
        self._measuring: tuple | None = None  # what it measures
        self._routed: tuple | None = None  # what the routing was computed from
        self._followed: tuple | None = None  # model, layer, expert and muting, as last computed
        self._failed: dict[tuple, dict] = {}  # what went wrong with a measuring
        super().__init__(
            text=text, n_experts=n_experts, layer=layer, expert=-1 if expert is None else expert,
            fixed={"counts": list(self.models), "ordinals": ORDINALS, "empty": EMPTY, "ramp": ramp_html()},
            **traits,
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
        self._failed = {}
        self._routed = self._computed = None
        self._recompute()

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Correct the settings, read the model and route the text if that is new, measure, draw."""
        corrected = self._correct()
        self.now = self.bench.layer(self.n_experts, self.layer - 1)
        corrected += self._select()
        self.card = Card.of(self.now, self.expert)
        problem = {}
        try:
            self._route()
        except Exception:
            if not self.muted:
                raise
            with self.errors_shown("Nothing is muted."):
                self._check_mutable()
                raise
            problem, self.muted = self.error, False
            self._route()
        self._followed = self.n_experts, self.layer, self.expert, self.muted
        self._note = " ".join(corrected)
        if self.muted:
            self._measure()
        else:
            self._stop()
        self.tell()
        self.error = self.error or problem

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

    def _select(self) -> list[str]:
        """The expert that `domain` asks for, or one that exists. Another selection than before ends a muting."""
        said, n = [], self.n_experts
        domain, self.domain = self.domain, ""
        if domain in self.now.domains:
            self.expert = self.now.best(domain)
        elif domain:
            said.append(f"No domain {domain} was read; there are {', '.join(self.now.domains)}.")
        if self.expert == -1 and self._followed is None:
            self.expert = self.now.best()
        if not 0 <= self.expert < n:
            if self._followed and self._followed[0] == n:
                said.append(f"There is no expert {self.expert}: the experts are 0 to {n - 1}.")
            self.expert = min(max(0, self.expert), n - 1)
        if self._followed and self._followed[3] and self._followed[:3] != (n, self.layer, self.expert):
            self.muted = False
        return said

    # ---- text --------------------------------------------------------------------------------------------------------

    @property
    def _place(self) -> int:
        """The layer shown, as `Routing.layer`."""
        return self.now.reading.layers[self.layer - 1]

    def _route(self) -> None:
        muting = (self._place, self.expert) if self.muted else None
        key = self.text, self.n_experts, muting
        if key == self._routed:
            return
        text = token_text((("", self.text),))
        routing = moved = None
        if text.ids:
            layers = {} if muting is None else {"muted": [self.expert], "muted_in": [self._place]}
            routing, moved = route_moved(self.models[self.n_experts], text, **layers)
        self.routing, self.moved, self._routed = routing, moved if self.muted else None, key
        if text != self.shown_text or not self.page:
            n = len(routing.experts[0]) if routing else 0
            sections = [(name, a, min(b, n)) for name, a, b in text.sections]
            self.shown_text = text
            self.page = {"tokens": [face.sent() for face in text.faces[:n]], "sections": sections}

    def _check_mutable(self) -> None:
        k, n = self.models[self.n_experts].config.top_k, self.n_experts
        if k >= n:
            raise ValueError(f"Each token takes {k} of {n} experts: without one of them there are too few.")

    # ---- losses ------------------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        """Measure in the background what is not known yet."""
        key = self.n_experts, self._place, self.expert, self.now.control(self.expert)
        running = self.live is not None and not self.live.over and self._measuring == key
        if running or key in self._failed or self.bench.changes(*key).complete:
            return
        self._stop()
        self._measuring = key
        self.live = LiveRun(self.bench.steps(*key), on_step=lambda _: self._told(key))
        self.live.on_change(lambda run: self._follow(run, key))
        self.live.start()

    def _stop(self) -> None:
        if self.live is not None:
            self.live.stop()

    def _told(self, key: tuple) -> None:
        """A domain is measured, in the background: show it, unless something else is shown by now."""
        with self._mutex, self.hold_sync():
            if self._measuring == key and self.muted:
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
        if not self.muted or self.now is None:
            return None
        return self.bench.changes(self.n_experts, self._place, self.expert, self.now.control(self.expert))

    # ---- figure ------------------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Set everything that the script draws."""
        n = self.n_experts
        words = self.reading_parts()
        key = (n, self._place, self.expert, self.now.control(self.expert))
        self.error = self._failed.get(key, {}) if self.muted else {}
        self.reading = plain(words)
        self.source = f"{n}-expert model, layer {self.layer}"
        chosen, moved = self._chosen()
        self.view = {
            "experts": n, "expert": self.expert, "layers": self.models[n].config.n_sparse_layers,
            "k": 0 if chosen is None else chosen.shape[1],
            "heat": heatmap_html(self.now, self.layer, self.expert, self.muted, live=True),
            "caption": self._caption(),
            "chosen": [] if chosen is None else np.where(chosen == NONE, MOST_EXPERTS, chosen).tolist(),
            "moved": [] if moved is None else moved.tolist(),
            "facts": facts_of(self.card, n),
            "domains": self._domains(), "top": top_html(self.card, n),
            "muted": self.muted, "reading": words, "corrected": self._note, "note": self._measured_note(),
        }  # fmt: skip

    def reading_parts(self) -> Parts:
        changes = self.changes
        return (
            about_changes(changes, self.now, self.layer) if changes else about_expert(self.now, self.card, self.layer)
        )

    def _chosen(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Of the text in this layer: the experts (N, K), and which of them are others because one is muted."""
        if self.routing is None:
            return None, None
        row = self.layer - 1
        return self.routing.experts[row], None if self.moved is None else self.moved[row]

    def _caption(self) -> str:
        chosen, moved = self._chosen()
        if chosen is None:
            return f'<p class="note">{EMPTY}</p>'
        cut = ""
        if len(self.shown_text.ids) > PAGE:
            cut = f" The first {PAGE} of {len(self.shown_text.ids):,} tokens are shown."
        words = rich(about_text(self.expert, chosen, moved, self.choice), self.n_experts)
        return f'<p class="note">{words}{cut}</p>'

    def _domains(self) -> str:
        full = max((self.now.table.double() / self.now.table.sum(dim=1, keepdim=True).clamp(min=1)).max().item(),
                   *self.card.fair)  # fmt: skip
        return domains_html(self.card, self.now.domains, self.n_experts, full, self.changes)

    def _measured_note(self) -> str:
        if not self.muted:
            return ""
        length = self.models[self.n_experts].config.context_length
        return measured_note(self.changes, self.now, self.bench.windows, length)

    # ---- static twin -------------------------------------------------------------------------------------------------

    def twin(self) -> str:
        problem = self.error_html()
        if self.now is None or self.card is None:
            return problem
        facts = "".join(f"<div><b>{html.escape(value)}</b><span>{html.escape(what)}</span></div>"
                        for value, what in facts_of(self.card, self.n_experts))  # fmt: skip
        muted = ", muted" if self.muted else ""
        badge = badge_html(self.expert, self.n_experts)
        return (
            f"{problem}{heatmap_html(self.now, self.layer, self.expert, self.muted)}{ramp_html()}"
            f"{self._caption()}{self._text_html()}"
            f'<div class="who"><h4>Expert {badge} in layer {self.layer}{muted}</h4></div>'
            f'<div class="keys">{facts}</div>'
            f'<div class="card"><div>{self._domains()}</div><div>{top_html(self.card, self.n_experts)}</div></div>'
            f'<p class="note">{html.escape(self._measured_note())}</p>'
        )

    def _text_html(self) -> str:
        chosen, moved = self._chosen()
        if chosen is None:
            return ""
        changed = np.zeros(len(chosen), dtype=bool) if moved is None else moved[:, self.choice]  # (N,)
        off = ~changed if self.muted else chosen[:, self.choice] != self.expert
        marks = off.tolist(), changed.tolist()
        return text_html(
            self.routing, self.page["sections"], self.shown_text.faces, self.layer - 1, self.choice, *marks
        )

    def reading_html(self) -> str:
        return rich(self.reading_parts(), self.n_experts) if self.card else html.escape(self.reading)

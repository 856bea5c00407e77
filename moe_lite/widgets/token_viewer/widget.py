"""The token viewer: which expert takes each token?"""

from collections.abc import Mapping, Sequence

from traitlets import Bool, Dict, Int, List, Unicode, validate

from moe_lite import data
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.kit.parts import Parts, plain, rich
from moe_lite.widgets.kit.text import PAGE, TokenText, token_text
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, script, style
from moe_lite.widgets.token_viewer.page import (
    failures_of,
    loss_text,
    page_data,
    pair_data,
    pair_reading,
    routed_data,
    sides_html,
)
from moe_lite.widgets.token_viewer.view import (
    AFTER,
    BEFORE,
    BOTH,
    SHOWN,
    Names,
    TokenRouting,
    check_before,
    checked_models,
    route_moved,
)
from moe_lite.widgets.token_viewer.words import EMPTY, ORDINALS, SENTENCES, UNROUTED, reading_of


class TokenViewer(MoEWidget):
    """Text, each token tinted and numbered by the expert that a real model's router gives it.

    models   one MoELanguageModel, or {n_experts: model} for a slider over the expert counts that were trained
    text     what to show, or {name: text} for several, each read by itself, its name in the margin; or
    domains  names from `data.DOMAINS`: the samples of these
    records  {n_experts: pretrained_record(n_experts)}: shows the measured validation loss beside top-k
    layer    the sparse layer shown, counted from 1
    top_k    experts per token, the model's own number if None
    source   the badge beside the question, e.g. "your model · step 400"; taken from the records if None
    before   the model at an earlier step: a control shows the text before, after, or both. `models` is then one
             model, with as many layers and experts. Expert 5 of a model trained apart is not the same expert 5
    names    what the model before and the one after are called, e.g. ("step 0", "step 400")

    Layer, choice, opacity, filter and pointing work in the page; text, expert count, top-k, muting and paging run the
    model. Muting an expert routes again with a model whose layers cannot choose it (`without_experts`); a bar marks
    the tokens whose expert changed. A text longer than the model's context is read in consecutive windows of that
    length, each from an empty context. Raises ValueError for models, text and domains that do not fit together; what
    goes wrong later, such as in a learner's top_k_fn, is shown in the widget and kept in `error`.
    """

    question = Unicode("Which expert takes each token?").tag(sync=True)
    inputs = ("text", "domains", "n_experts", "top_k", "muted", "first", "layer", "choice", "pinned", "picked",
              "shown")  # fmt: skip
    _esm = script("token_viewer/parts.js", "token_viewer/script.js")
    _css = style("token_viewer/style.css")

    text = Unicode(help="The text; the samples' when domains are chosen.").tag(**FROM_PAGE)
    domains = List(Unicode(), help="Domains whose samples are shown; empty for a text of one's own.").tag(**FROM_PAGE)
    n_experts = Int(help="Which of the models.").tag(**FROM_PAGE)
    top_k = Int(help="Experts a token.").tag(**FROM_PAGE)
    muted = List(Int(), help="Experts that no layer may choose.").tag(**FROM_PAGE)
    first = Int(help="The first token of the page.").tag(**FROM_PAGE)
    layer = Int(1, help="The layer shown, from 1.").tag(**FROM_PAGE)
    choice = Int(0, help="The choice shown: 0 the expert with the largest weight, 1 the second, …").tag(**FROM_PAGE)
    pinned = Int(-1, help="The token of the page whose scores stay, −1 for none.").tag(**FROM_PAGE)
    picked = List(Int(), help="Experts whose tokens keep their tint; empty for all.").tag(**FROM_PAGE)
    by_weight = Bool(False, help="Weight as opacity.").tag(**FROM_PAGE)
    shown = Unicode(AFTER, help="Which model's routing is seen: before, after, or both.").tag(**FROM_PAGE)
    page = Dict(help="Tokens and sections of the page.").tag(sync=True)
    routed = Dict(help="Routing of the page, all layers, as bytes.").tag(sync=True)
    routed_before = Dict(help="The same of the model before; empty if there is none.").tag(sync=True)
    note = Unicode(help="What was corrected, in one sentence.").tag(sync=True)
    fixed = Dict(help="What does not change: expert counts, samples, sentences.").tag(sync=True)

    @validate("text")
    def _whole_characters(self, proposal: dict) -> str:
        """Half of a surrogate pair cannot be sent to the page; it becomes "?", as in `data.encode`."""
        return proposal["value"].encode(errors="replace").decode()

    def __init__(
        self,
        models: MoELanguageModel | Mapping[int, MoELanguageModel],
        text: str | Mapping[str, str] | None = None,
        *,
        domains: Sequence[str] | None = None,
        records: Mapping[int, Mapping] | None = None,
        layer: int = 1,
        top_k: int | None = None,
        source: str | None = None,
        before: MoELanguageModel | None = None,
        names: Sequence[str] = (BEFORE, AFTER),
    ):
        self.models = checked_models(models)
        check_before(before, self.models)
        self.before = before
        self.names = None if before is None else Names.of(names, source)
        self.records = dict(records or {})
        self.routing: TokenRouting | None = None  # what is shown; None while there is no token
        self.routing_before: TokenRouting | None = None  # of the model before, if there is one
        self.shown_text: TokenText = token_text(())
        self._routed_key: tuple | None = None  # what that routing was computed from
        self._followed: tuple[str, ...] = ()
        if text is not None and domains is not None:
            raise ValueError("text and domains were both given: domains shows the samples of these, text your own.")
        named = dict(text) if isinstance(text, Mapping) else {}
        self.samples = dict(data.SAMPLES) | named
        self._check_domains(domains or ())
        n_experts = 8 if 8 in self.models else next(iter(self.models))
        self._source = source
        super().__init__(
            text="" if named else text or "",
            domains=list(domains or named),
            n_experts=n_experts,
            top_k=self.models[n_experts].config.top_k if top_k is None else top_k,
            layer=layer,
            shown=AFTER if before is None else BOTH,
            fixed={"counts": list(self.models), "samples": list(self.samples), "say": SENTENCES, "empty": EMPTY,
                   "ordinals": ORDINALS, "names": self.names.said() if self.names else {}},
        )  # fmt: skip

    def compute(self) -> None:
        """Correct the settings, run the model if something it depends on has changed, write the reading line."""
        self._follow_text()
        changed = self._route_key() != self._routed_key
        if changed:
            self.note = self._correct()
        self._correct_view()
        try:
            if changed:
                self._route()
                self._routed_key = self._route_key()  # not after a failure: the next change tries again
        finally:
            _, n, k, _ = self.routing.shape if self.routing else (0, 0, 1, 0)
            self.choice = min(max(0, self.choice), min(k, len(ORDINALS)) - 1)
            self.pinned = self.pinned if 0 <= self.pinned < n else -1
            self.picked = sorted({e for e in self.picked if 0 <= e < self.n_experts})
            self.source = self.names.badge(self.shown) if self.names else self.source
            self.reading = plain(self.reading_parts())

    def refresh(self) -> None:
        """Run the model again: its weights have changed since."""
        self._routed_key = self._computed = None
        self._recompute()

    # ---- settings ----------------------------------------------------------------------------------------------------

    def _route_key(self) -> tuple:
        return self.text, tuple(self.domains), self.n_experts, self.top_k, tuple(self.muted), self.first

    def _follow_text(self) -> None:
        """Domains that were chosen put their samples into `text`; a text of one's own ends the choice of domains."""
        if tuple(self.domains) != self._followed and self.domains:
            self._check_domains(self.domains)
            self.text = self._joined_samples()
        elif self.domains and self.text != self._joined_samples():
            self.domains = []
        self._followed = tuple(self.domains)

    def _check_domains(self, domains: Sequence[str]) -> None:
        if unknown := set(domains) - set(self.samples):
            raise ValueError(f"No such domain: {', '.join(sorted(unknown))}. There are {', '.join(self.samples)}.")

    def _joined_samples(self) -> str:
        return "\n\n".join(self.samples[domain] for domain in self.domains)

    def _correct(self) -> str:
        """Bring model, muted experts and top-k into range; a sentence that says what was changed, or ""."""
        notes = []
        if self.n_experts not in self.models:
            nearest = min(self.models, key=lambda n: abs(n - self.n_experts))
            counts = ", ".join(map(str, self.models))
            notes.append(f"No model with {self.n_experts} experts was passed; there are {counts}. Showing {nearest}.")
            self.n_experts = nearest
        n, wanted = self.n_experts, self.top_k
        self.muted = sorted({e for e in self.muted if 0 <= e < n})
        if len(self.muted) == n:
            notes.append(f"One expert must stay: expert {self.muted[-1]} is not muted.")
            self.muted = self.muted[:-1]
        left = n - len(self.muted)
        self.top_k = min(max(1, wanted), left)
        if self.top_k != wanted:
            reason = f"{left} experts that are not muted" if self.muted else f"{n} experts"
            notes.append(f"top-k was {wanted}; with {reason} it is {self.top_k}.")
        return " ".join(notes)

    def _correct_view(self) -> None:
        n_layers = self.models[self.n_experts].config.n_sparse_layers
        nearest = min(max(1, self.layer), n_layers)
        if nearest != self.layer:
            what = f"This model has no layer {self.layer}."
            self.error = {"what": what, "instead": f"It has layers 1 to {n_layers}. Showing {nearest}."}
            self.layer = nearest
        if self.shown not in (possible := SHOWN if self.names else (AFTER,)):
            what = f"shown is {self.shown!r}, expected {', '.join(possible)}."
            self.error = {"what": what, "instead": f"Showing {possible[-1]}."}
            self.shown = possible[-1]

    # ---- figure ------------------------------------------------------------------------------------------------------

    def _route(self) -> None:
        sections = tuple((d, self.samples[d]) for d in self.domains) or (("", self.text),)
        text = token_text(sections)
        model = self.models[self.n_experts]
        if text != self.shown_text:
            self.first, self.pinned = 0, -1
        self.first = min(max(0, self.first), max(0, len(text.ids) - 1)) // PAGE * PAGE
        if not text.ids:
            self.routing, self.shown_text, self.page, self.routed, self.routed_before = None, text, {}, {}, {}
            return
        options = {"top_k": self.top_k, "first": self.first, "muted": self.muted}
        before, moved_before = None, None
        if self.names:
            with failures_of(BEFORE, self.names):
                before, moved_before = route_moved(self.before, text, **options)
        with failures_of(AFTER, self.names):
            routing, moved = route_moved(model, text, **options)
        if self.routing and routing.first != self.routing.first:
            self.pinned = -1
        self.routing, self.routing_before, self.shown_text = routing, before, text
        record = self.records.get(self.n_experts, {})
        recorded = f"recorded · step {record['step']:,}" if "step" in record else ""
        self.source = recorded if self._source is None else self._source
        self.page = page_data(text, routing, model.config.context_length)
        sent = {"top_k": self.top_k, "muted": self.muted}
        loss = loss_text(record.get("val_loss_by_top_k", {}), self.top_k, model.config.top_k)
        self.routed = routed_data(routing, moved, self.muted) | sent | {"loss": loss}
        if self.names:
            pair = pair_data((before, routing), (moved_before, moved), self.muted)
            self.routed |= pair
            self.routed_before = (
                routed_data(before, moved_before, self.muted) | sent | {"full": pair["full"], "loss": ""}
            )

    def reading_parts(self) -> Parts:
        """The reading line: about the pinned token, else the picked experts, else the layer; then what muting moved."""
        if self.routing is None:
            return [UNROUTED if self.text else EMPTY]
        at = (self.layer - 1, self.choice, self.pinned, self.picked)
        if self.shown == BOTH:
            return pair_reading((self.routing_before, self.routing), self.routed, self.shown_text, *at)
        early = self.shown == BEFORE
        seen, sent = (self.routing_before, self.routed_before) if early else (self.routing, self.routed)
        closing = [self.names.closing(self.shown)] if self.names else []
        return reading_of(seen, self.shown_text, *at) + sent["moves"][self.layer - 1][self.choice] + closing

    def twin(self) -> str:
        if self.routing is None:
            return self.error_html()
        routings = {AFTER: self.routing} | ({BEFORE: self.routing_before} if self.names else {})
        seen = {side: routings[side] for side in (SHOWN[:2] if self.shown == BOTH else [self.shown])}
        return self.error_html() + sides_html(seen, self.names, self.shown_text, self.layer - 1, self.choice)

    def reading_html(self) -> str:
        return rich(self.reading_parts(), self.routing.shape[-1] if self.routing else self.n_experts)

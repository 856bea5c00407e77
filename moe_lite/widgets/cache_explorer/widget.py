"""The cache explorer: which experts does a request touch, and which of them does a small memory hold?"""

import html
from dataclasses import fields

from traitlets import Dict, Int, Unicode, validate

from moe_lite.lab.live import LiveRun
from moe_lite.look.svg import drawn_only
from moe_lite.widgets.cache_explorer.batches import (
    Speeds,
    Touched,
    speeds_legend,
    speeds_table,
    touched_legend,
    touched_table,
)
from moe_lite.widgets.cache_explorer.drawing import NARROWEST, TWIN, WIDEST, Charts, Strip, legend_html, rules_table
from moe_lite.widgets.cache_explorer.view import (
    COUNTS,
    DOMAINS,
    MOST_NEW,
    MOST_TEXTS,
    ROUNDS,
    RULES,
    Batch,
    Setting,
    Written,
    held_out,
    measuring,
    there,
    write,
)
from moe_lite.widgets.cache_explorer.words import (
    EMPTY,
    POINT,
    batch_sentence,
    batch_settings,
    charts_text,
    cut_note,
    keys,
    missing_note,
    room_note,
    rule_how,
    sentence,
    settings_text,
    speed_sentence,
    speeds_text,
    strip_text,
    told,
    touched_text,
)
from moe_lite.widgets.kit.background import BackgroundWidget
from moe_lite.widgets.kit.widget import FROM_PAGE, script, style

TEXT = (
    "Le baron était un des plus puissants seigneurs de la Westphalie.\n"
    "def neighbors(G, node):\n    return"
)  # fmt: skip
SETTINGS = tuple(field.name for field in fields(Setting))
KEPT = "What was measured before stays."


class CacheExplorer(BackgroundWidget):
    """A text that a shipped model reads and goes on writing, and a memory with room for some of a layer's experts.

    text       the prompt; the box can be edited
    n_experts  of the shipped model: 8, 16 or 32
    layer      the sparse layer shown, counted from 1
    slots      experts per layer that fit into memory: as many as a token needs, up to all
    rule       what makes room: "lru", "lfu", "favourites" or "belady", the rules of `lessons.expert_cache`
    new        tokens that are written, always the most probable: 1 to 96
    batch      texts at a time, 1 to 64, for the experts that one decoding step touches
    domain     of these texts: one of the corpora, or "mixed"

    The prompt is read in one step, then there is one step per new token; what is counted are the steps of writing.
    Batches are counted on validation texts; where these have not been built, the widget says so. Measure here, or
    `measure()`, times `lab.decoding.decoding_speeds` in the background. All arguments are traits. Raises ValueError for
    settings that cannot be; a trait that is set so is set back, and the widget says why.
    """

    question = Unicode("Which experts does a request touch, and which of them must be loaded?").tag(sync=True)
    inputs = (*SETTINGS, "measures", "width")
    _esm = script("cache_explorer/script.js")
    _css = style("cache_explorer/style.css")

    text = Unicode(help="The prompt.").tag(**FROM_PAGE)
    n_experts = Int(16, help="Of the shipped model.").tag(**FROM_PAGE)
    layer = Int(1, help="The layer shown, from 1.").tag(**FROM_PAGE)
    slots = Int(4, help="Experts per layer that fit.").tag(**FROM_PAGE)
    rule = Unicode("lru", help="What makes room.").tag(**FROM_PAGE)
    new = Int(40, help="Tokens that are written.").tag(**FROM_PAGE)
    batch = Int(8, help="Texts at a time.").tag(**FROM_PAGE)
    domain = Unicode("mixed", help="Of these texts.").tag(**FROM_PAGE)
    measures = Int(help="Counts how often Measure here was pressed.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figures; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The strip, SVG.").tag(sync=True)
    charts = Unicode(help="Other rules and other room, SVG.").tag(sync=True)
    touched = Unicode(help="Experts that a batch touches, SVG.").tag(sync=True)
    speeds = Unicode(help="Measured speeds, SVG; empty where nothing was measured.").tag(sync=True)
    note = Unicode(help="What the rule does, and what was corrected.").tag(sync=True)
    view = Dict(help="Sentences, legends, and where the columns stand.").tag(sync=True)
    fixed = Dict(help="What does not change.").tag(sync=True)

    @validate("text")
    def _whole_characters(self, proposal: dict) -> str:
        """Half of a surrogate pair cannot be sent to the page; it becomes "?", as in `data.encode`."""
        return proposal["value"].encode(errors="replace").decode()

    def __init__(
        self,
        text: str = TEXT,
        *,
        n_experts: int = 16,
        layer: int = 1,
        slots: int = 4,
        rule: str = "lru",
        new: int = 40,
        batch: int = 8,
        domain: str = "mixed",
        question: str | None = None,
    ):
        self.now = Setting(text, n_experts, layer, slots, rule, new, batch, domain)  # what is shown
        self.measured: dict[tuple[int, str], dict[int, float]] = {}  # n_experts, domain -> tokens per second by batch
        self.live: LiveRun[dict[int, float]] | None = None  # the newest measuring
        self._pressed = 0  # of `measures`, those that were followed
        self._complaint: dict[str, str] = {}  # stays until a setting other than the width changes
        self._corrected = ""
        fixed = {
            "counts": list(COUNTS), "rules": list(RULES.items()), "domains": list(DOMAINS), "new": MOST_NEW,
            "texts": MOST_TEXTS, "width": [NARROWEST, WIDEST], "empty": EMPTY, "point": POINT, "legend": legend_html(),
        }  # fmt: skip
        settings = {name: getattr(self.now, name) for name in SETTINGS}
        super().__init__(fixed=fixed, **settings, **({} if question is None else {"question": question}))

    def measure(self) -> "CacheExplorer":
        """Time the model on this machine and wait: a cell that ends with this shows what was measured."""
        self.measures += 1
        if self.live is not None:
            self.live.wait()
        return self

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Follow settings and button; what cannot be is set back."""
        asked = {name: getattr(self, name) for name in SETTINGS}
        if asked != {name: getattr(self.now, name) for name in SETTINGS}:
            self._complaint, self._corrected = {}, ""
            try:
                self.now = self._next(asked)
            except ValueError as problem:
                self._complaint = {"what": str(problem), "instead": "What was shown stays.", "details": ""}
            for name in SETTINGS:
                setattr(self, name, getattr(self.now, name))
        if self.measures != self._pressed:
            self._pressed = self.measures
            self._measure()
        self.tell()

    def _next(self, asked: dict) -> Setting:
        """The setting that is asked for. Another model brings `slots` into its range. ValueError if there is none."""
        if asked["n_experts"] != self.now.n_experts and asked["n_experts"] in COUNTS:
            k = Setting(asked["text"], asked["n_experts"], slots=asked["n_experts"]).top_k
            slots = min(max(k, asked["slots"]), asked["n_experts"])
            if slots != asked["slots"]:
                self._corrected = room_note(asked["n_experts"], k, slots)
            asked = asked | {"slots": slots}
        return Setting(**asked)

    # ---- measuring, in the background --------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return self.live is not None and not self.live.over

    def _measure(self) -> None:
        if self._busy:
            return
        key, self._complaint = (self.now.n_experts, self.now.domain), {}
        self.live = LiveRun(measuring(self.now), on_step=lambda speeds: self._take(key, speeds))
        self.live.on_change(self._follow)
        self.live.start()

    def _take(self, key: tuple[int, str], speeds: dict[int, float]) -> None:
        """A round is over."""
        with self._mutex, self.hold_sync():
            self.measured[key] = speeds
            self.tell()

    def _follow(self, run: LiveRun) -> None:
        """The measuring has begun, ended or failed."""
        if not run.over:
            return
        with self._mutex, self.hold_sync():
            if run.error is not None:
                with self.errors_shown(KEPT):
                    raise run.error
                self._complaint = self.error
            self.tell()

    def set_state(self, sync_data: dict) -> None:
        with self._mutex:  # page and background take turns
            super().set_state(sync_data)

    # ---- figures -----------------------------------------------------------------------------------------------------

    def _shown(self) -> tuple[Written | None, Batch, dict[int, float]]:
        """What was written, the batch, and the speeds measured for it."""
        setting = self.now
        batch = Batch(setting, held_out(setting.n_experts, there()))
        return write(setting), batch, self.measured.get((setting.n_experts, setting.domain), {})

    def tell(self) -> None:
        """Set everything that the script draws."""
        setting, (written, batch, speeds) = self.now, self._shown()
        self.reading = sentence(setting, written)
        self.source = f"{setting.n_experts}-expert model, computed from its choices"
        self.note = self._note(written, batch)
        strip = None if written is None else Strip(setting, written, self.width)
        self.figure = strip.svg(strip_text(setting, written)) if strip else ""
        charts = Charts(setting, written, self.width).svg(charts_text(setting, written)) if written else ""
        self.charts = charts
        self.touched = Touched(batch).svg(touched_text(batch))
        self.speeds = Speeds(batch, speeds).svg(speeds_text(batch, speeds)) if speeds else ""
        self.view = {
            "experts": setting.n_experts, "k": setting.top_k, "layers": setting.n_layers,
            "places": strip.places() if strip else {}, "told": told(setting, written),
            "batch": batch_sentence(batch), "missing": missing_note(batch), "keys": keys(batch),
            "lines": touched_legend(batch), "speeds": speed_sentence(batch, speeds) if speeds else "",
            "speed_lines": speeds_legend(), "busy": self._progress(),
        }  # fmt: skip
        self.error = self._complaint

    def _note(self, written: Written | None, batch: Batch) -> str:
        sampled = not batch.held_out.texts
        return " ".join(filter(None, [self._corrected, cut_note(self.now, written), rule_how(self.now, sampled)]))

    def _progress(self) -> str:
        """What the button says while it cannot be pressed."""
        return f"Measuring, round {min(len(self.live.logs) + 1, ROUNDS)} of {ROUNDS}…" if self._busy else ""

    # ---- static twin -------------------------------------------------------------------------------------------------

    def twin(self) -> str:
        setting, (written, batch, speeds) = self.now, self._shown()
        parts = [self.error_html()]
        if written is not None:
            strip = Strip(setting, written, TWIN).svg(strip_text(setting, written))
            charts = Charts(setting, written, TWIN).svg(charts_text(setting, written))
            parts += [f'<p class="prompt">{html.escape(setting.text)}</p>', paragraph(settings_text(setting))]
            parts += [drawn_only(strip + legend_html()), drawn_only(charts) + rules_table(setting, written)]
        parts.append(paragraph(self._note(written, batch)))
        parts += [
            '<p class="sub">A batch of texts</p>',
            paragraph(batch_settings(setting)),
            paragraph(missing_note(batch)),
        ]
        lines = Touched(batch).svg(touched_text(batch)) + touched_legend(batch)
        parts += [drawn_only(lines) + touched_table(batch), paragraph(batch_sentence(batch), "said")]
        if speeds:
            figure = Speeds(batch, speeds).svg(speeds_text(batch, speeds)) + speeds_legend()
            parts += [
                drawn_only(figure) + speeds_table(batch, speeds),
                paragraph(speed_sentence(batch, speeds), "said"),
            ]
        return "".join(parts)


def paragraph(text: str, look: str = "note") -> str:
    return f'<p class="{look}">{html.escape(text)}</p>' if text else ""

"""The bias controller: can loads be evened out without a loss?"""

import html

from traitlets import Dict, Float, Int, Unicode

from moe_lite.lessons.admission import BiasRule
from moe_lite.look.svg import drawn_only
from moe_lite.widgets.bias_controller.drawing import NARROWEST, WIDEST, drawing, table_html
from moe_lite.widgets.bias_controller.view import RULES, STEPS, Controlled, Settings, control
from moe_lite.widgets.bias_controller.words import before_text, facts, reading
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, name_of, script, style

SIZES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
BATCHES = (32, 64, 128, 256, 512, 1024)
DRIFTS = (0.0, 0.01, 0.03, 0.1)
FREEZE = (0, 50, 100, 150, STEPS)
MOST = 16  # experts


KEPT = 32  # runs


class BiasController(MoEWidget):
    """Two hundred batches, a router whose experts are not equally liked, and a bias moved after each batch.

    n_experts, top_k   of the layer, 2 to 16 experts
    step, drift, n_tokens, frozen_from   where the sliders begin
    choose    a function (scores (N, E), bias (E,), k, step) -> weights, expert_ids (N, k), new bias (E,), to be had
              beside the two rules
    seed      of scores and batches

    Not a training: scores are random numbers with a fixed liking for some experts, so that the rule alone is seen. The
    run before the last move stays in the picture, pale.
    What `choose` raises or returns wrongly is shown and kept in `error`.
    """

    question = Unicode("Can a rule even out the loads, without a loss?").tag(sync=True)
    inputs = ("step", "n_tokens", "drift", "frozen_from", "rule", "width")
    _esm = script("bias_controller/script.js")
    _css = style("bias_controller/style.css")

    step = Float(0.01, help="By how much the bias moves.").tag(**FROM_PAGE)
    n_tokens = Int(256, help="Tokens of a batch.").tag(**FROM_PAGE)
    drift = Float(0.0, help="How far the liking moves at each step.").tag(**FROM_PAGE)
    frozen_from = Int(STEPS, help="The step from which the bias stands still.").tag(**FROM_PAGE)
    rule = Unicode("sign", help="sign, difference, or the name of the function passed in.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The SVG.").tag(sync=True)
    view = Dict(help="Key figures and the reading line in pieces.").tag(sync=True)
    fixed = Dict(help="What does not change: steps of the sliders, names of the rules.").tag(sync=True)

    def __init__(
        self, *, n_experts: int = 8, top_k: int = 2, step: float = 0.01, n_tokens: int = 256, drift: float = 0.0,
        frozen_from: int = STEPS, choose: BiasRule | None = None, seed: int = 0,
    ):  # fmt: skip
        if not 2 <= n_experts <= MOST or not 1 <= top_k < n_experts:
            raise ValueError(
                f"n_experts is {n_experts}, top_k {top_k}; expected 2 to {MOST} experts, and fewer of them for a token."
            )
        if step < 0 or drift < 0 or n_tokens < 1:
            raise ValueError(
                f"step is {step}, drift {drift}, n_tokens {n_tokens}; none may be negative, and a batch has a token."
            )
        self.n_experts, self.top_k, self.seed = n_experts, top_k, seed
        self.rules: dict[str, BiasRule] = dict(RULES)
        if choose is not None:
            self.rules = {name_of(choose): choose} | self.rules
        self.now: Controlled | None = None  # the last run without an error
        self.before: Controlled | None = None  # the run before the last move
        self._runs: dict[tuple[Settings, str], Controlled] = {}  # the last ones that were made, oldest first
        fixed = {
            "sizes": sorted({*SIZES, float(step)}), "batches": sorted({*BATCHES, n_tokens}),
            "drifts": sorted({*DRIFTS, float(drift)}), "freeze": sorted({*FREEZE, frozen_from}),
            "rules": [[name, name] for name in self.rules], "steps": STEPS, "narrowest": NARROWEST, "widest": WIDEST,
        }  # fmt: skip
        super().__init__(
            step=float(step), n_tokens=n_tokens, drift=float(drift), frozen_from=frozen_from,
            rule=next(iter(self.rules)), fixed=fixed, source="a simulation",
        )  # fmt: skip

    def compute(self) -> None:
        """Run the two hundred batches and draw."""
        settings = Settings(
            self.n_experts, self.top_k, self.n_tokens, self.step, self.drift, self.frozen_from, self.seed
        )
        if self.rule not in self.rules:
            raise ValueError(f"rule is {self.rule!r}, expected one of {', '.join(self.rules)}.")
        moved = self.new_move()
        if self.now is None or (settings, self.rule) != (self.now.settings, self.now.rule):  # not only another width
            now = self._run(settings)
            self.now, self.before = now, self.now if moved else self.before
        parts = reading(self.now)
        self.reading = plain(parts)
        self.view = {"facts": facts(self.now), "parts": parts, "note": before_text(self.now, self.before)}
        self.figure = drawing(self.now, self.before, self.width, self.reading)

    def _run(self, settings: Settings) -> Controlled:
        """The run of these settings, made once: a hand goes back and forth."""
        key = settings, self.rule
        if key not in self._runs:
            if len(self._runs) == KEPT:
                del self._runs[next(iter(self._runs))]
            self._runs[key] = control(settings, self.rules[self.rule], self.rule)
        return self._runs[key]

    def twin(self) -> str:
        if self.now is None:
            return self.error_html()
        setting = f"{self.n_experts} experts, top-{self.top_k} · step {self.step:g} · {self.n_tokens} tokens per batch"
        setting += f" · drift {self.drift:g} · {self.rule}"
        before = f'<p class="note">{html.escape(self.view["note"])}</p>' if self.before is not None else ""
        known = " · ".join(f"{value} {name}" for value, name in self.view["facts"])
        return (
            f'{self.error_html()}<p class="note">{html.escape(setting)}</p>'
            f"{drawn_only(self.figure)}{table_html(self.now)}"
            f'<p class="note">{html.escape(known)}</p>{before}'
        )

"""The expert partition: how do several small networks divide a problem?"""

import html
import time
from typing import ClassVar

from traitlets import Dict, Int, Unicode

from moe_lite.lab.live import LiveRun
from moe_lite.lessons.mixture import (
    LOSSES,
    PROBLEMS,
    Gate,
    Loss,
    Mixture,
    MixtureLog,
    mixture_nll,
    responsibilities,
    soft_gate,
    train,
)
from moe_lite.look.svg import drawn_only
from moe_lite.widgets.expert_partition.drawing import WIDEST, drawing
from moe_lite.widgets.expert_partition.view import Fit, look
from moe_lite.widgets.expert_partition.words import facts, reading, status
from moe_lite.widgets.kit.background import BackgroundWidget
from moe_lite.widgets.kit.parts import plain, rich
from moe_lite.widgets.kit.widget import FROM_PAGE, script, style

MOST = 8  # experts
FRAMES, LEAST_STEPS = 40, 15  # drawings of a training; steps between two of them, at least
PATIENCE = 5.0  # seconds to wait for a step to end before another training begins


class ExpertPartition(BackgroundWidget):
    """Trains a mixture of small networks in the background and draws, while it learns, which expert answers where.

    task        "1-D" or "2-D", n_experts 1 to 8, loss "competitive" or "cooperative": where the controls begin
    gate, nll, responsible   stand in for `soft_gate`, `mixture_nll` (the competitive loss) and `responsibilities`
    steps       of each training; pace: seconds to rest after each drawing, else it is over too soon to see

        run = partition.start()      # or press Start; a control that is moved later starts anew
        await run.done()             # raises what training raised
        partition.mixture            # of the newest training

    Each start with the same settings begins from another random start. What `gate`, `nll` or `responsible` raise is
    shown and kept in `error`.
    """

    question = Unicode("How do several small networks divide a problem?").tag(sync=True)
    inputs = ("task", "n_experts", "loss", "presses", "width")
    _esm = script("expert_partition/script.js")
    _css = style("expert_partition/style.css")
    tasks: ClassVar[tuple[str, ...]] = tuple(PROBLEMS)

    task = Unicode("1-D", help="Key of PROBLEMS.").tag(**FROM_PAGE)
    n_experts = Int(4, help="1 to 8.").tag(**FROM_PAGE)
    loss = Unicode("competitive", help="Key of LOSSES.").tag(**FROM_PAGE)
    presses = Int(help="Presses of the button: start, or stop what runs.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The SVG.").tag(sync=True)
    view = Dict(help="State, button, status, key figures and reading line.").tag(sync=True)

    def __init__(
        self, *, task: str = "1-D", n_experts: int = 4, loss: str = "competitive", gate: Gate = soft_gate,
        nll: Loss = mixture_nll, responsible: Loss = responsibilities, steps: int = 600, pace: float = 0.04,
    ):  # fmt: skip
        self._gate, self._losses = gate, LOSSES | {"competitive": nll}
        self._responsible, self.steps, self.pace = responsible, steps, pace
        self.fit: Fit | None = None  # the newest one, which may not have begun
        self._begun: dict[tuple, int] = {}  # trainings begun, by settings
        self._wanted: tuple = ()  # settings of the newest training
        self._pressed, self._problem = 0, {}
        _checked(task, n_experts, loss)
        super().__init__(task=task, n_experts=n_experts, loss=loss)

    # ---- what a cell calls -------------------------------------------------------------------------------------------

    def start(
        self, n_experts: int | None = None, *, loss: str | None = None, task: str | None = None, seed: int | None = None
    ) -> LiveRun[MixtureLog]:
        """Begin a training, with the controls' settings where none are given; one that is under way is stopped."""
        wanted = (task or self.task, self.n_experts if n_experts is None else n_experts, loss or self.loss)
        _checked(*wanted)
        self._end()
        self._wanted = wanted
        self.task, self.n_experts, self.loss = wanted
        number = self._begun.get(wanted, 0)
        self._begun[wanted] = number + 1
        return self._begin(number if seed is None else seed)

    def stop(self) -> None:
        """End after the step that is being taken."""
        if self._trains:
            self.fit.live.stop()

    @property
    def mixture(self) -> Mixture:
        """Of the newest training, as the last whole step left it."""
        if not self._trains:
            raise RuntimeError("Nothing has been trained yet: press Start, or call start().")
        return self.fit.mixture

    # ---- a training --------------------------------------------------------------------------------------------------

    @property
    def _trains(self) -> bool:
        """Whether the newest fit has begun."""
        return self.fit is not None and self.fit.live is not None

    def _end(self) -> None:
        """Stop what runs; what it still reports is ignored."""
        old, self.fit = self.fit, None
        if old is not None and old.live is not None:
            old.live.stop()
            old.live.wait(PATIENCE)

    def _begin(self, seed: int) -> LiveRun[MixtureLog]:
        fit = self._prepared(*self._wanted, seed)
        steps = train(
            fit.mixture, fit.problem, loss=self._losses[fit.loss], steps=self.steps,
            responsible=self._responsible,
        )  # fmt: skip
        fit.live = LiveRun(steps, on_step=lambda log: self._stepped(fit, log))
        fit.live.on_change(lambda run: self._changed(fit))
        self.fit, self._problem = fit, {}
        return fit.live.start()

    def _prepared(self, task: str, n_experts: int, loss: str, seed: int) -> Fit:
        mixture = Mixture(int(task[0]), n_experts, seed=seed, gate=self._gate)
        return Fit(task, loss, seed, mixture, self._responsible, self.steps)

    def _stepped(self, fit: Fit, log: MixtureLog) -> None:
        """In the training's thread: draw now and then, never wait for the page."""
        if log.step % max(LEAST_STEPS, self.steps // FRAMES) == 0:
            self._draw(fit, 0.0)
            time.sleep(self.pace)

    def _changed(self, fit: Fit) -> None:
        if fit.live.error is not None and fit is self.fit:
            with self.errors_shown("What the last whole step left stays."):
                raise fit.live.error
            self._problem = self.error
        self._draw(fit, 1.0)

    def _draw(self, fit: Fit, patience: float) -> None:
        if fit is self.fit:
            self.draw(patience)

    # ---- drawing -----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Follow the button and the controls, then draw."""
        pressed, self._pressed = self.presses != self._pressed, self.presses
        settings = self.task, self.n_experts, self.loss
        _checked(*settings)
        moved = settings != self._wanted
        if pressed and not moved and self._trains and self.fit.state == "running":
            self.stop()
        elif pressed or (moved and self._trains):
            self.start()
        elif moved:
            self._wanted, self.fit = settings, self._prepared(*settings, 0)
        self.tell()

    def tell(self) -> None:
        """Set everything that the script draws."""
        fit, self.error = self.fit, self._problem
        if fit is None:  # between two trainings
            return
        running = fit.state in ("running", "stopping")
        button = "■ Stop" if running else "▶ Start again" if self._trains else "▶ Start"
        told = {"running": running, "button": button, "status": status(fit), "progress": fit.step / fit.total}
        self.view = {"facts": [], "parts": [told["status"]]} | self.view | told
        if self._problem:  # its functions cannot be trusted to draw
            return
        seen = look(fit)
        parts = reading(fit, seen)
        self.view = told | {"facts": facts(fit, seen), "parts": parts}
        self.source = "live" if running else f"step {fit.step:,}" if fit.step else ""
        self.reading = plain(parts)
        self.figure = drawing(fit, seen, self.width, self.reading)

    def reading_html(self) -> str:
        return rich(self.view["parts"], self.n_experts)

    def twin(self) -> str:
        experts = "1 expert" if self.n_experts == 1 else f"{self.n_experts} experts"
        loss = f"{self.loss} · " * (self.n_experts > 1)  # with one expert the two losses are equal
        settings = f"{self.task} · {experts} · {loss}{self.view['status']}"
        known = " · ".join(f"{name} {value}" for value, name in self.view["facts"])
        return (
            f'{self.error_html()}<p class="note">{html.escape(settings)}</p>'
            f'{drawn_only(self.figure)}<p class="note">{html.escape(known)}</p>'
        )


def _checked(task: str, n_experts: int, loss: str) -> None:
    if task not in PROBLEMS:
        raise ValueError(f"task is {task!r}, expected one of {', '.join(PROBLEMS)}.")
    if not isinstance(n_experts, int) or not 1 <= n_experts <= MOST:
        raise ValueError(f"n_experts is {n_experts!r}, expected 1 to {MOST}.")
    if loss not in LOSSES:
        raise ValueError(f"loss is {loss!r}, expected one of {', '.join(LOSSES)}.")

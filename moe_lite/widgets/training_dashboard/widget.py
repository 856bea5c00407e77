"""The training dashboard: is it learning, and is every expert working?"""

import html
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from traitlets import Dict, Int, Unicode

from moe_lite import checkpoint as checkpoints
from moe_lite.data import Corpus
from moe_lite.lab.live import LiveRun
from moe_lite.lab.runs import Recording
from moe_lite.look.svg import drawn_only
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.train import StepLog, TrainConfig, Training, resume, train
from moe_lite.widgets.kit.background import BackgroundWidget
from moe_lite.widgets.kit.parts import plain, rich
from moe_lite.widgets.kit.widget import FROM_PAGE, script, style
from moe_lite.widgets.training_dashboard.drawing import TWIN, WIDEST, DashboardDrawing
from moe_lite.widgets.training_dashboard.view import Curve, DashboardRun, curve_of
from moe_lite.widgets.training_dashboard.words import DEAD_MEANS, run_name, view_of

Build = Callable[[int, int], MoELanguageModel]
EVERY = 0.4  # seconds between two drawings while training
SAVE_EVERY = 30.0  # seconds between two checkpoints
PATIENCE = 20.0  # seconds to wait for a step to end before another training begins


class TrainingDashboard(BackgroundWidget):
    """Trains language models in the background, and shows loss, speed, and the load of every expert while it does.

    build       (n_experts, top_k) -> MoELanguageModel, untrained; n_experts 1 asks for a dense model
    corpora     what to train on, as `load_corpora` gives them
    config      steps, batch, learning rate, seed; the same for every training of this dashboard
    n_experts, top_k   where the sliders begin; `choices` are the expert counts they offer
    beside      {name: Curve}: recorded curves, drawn in grey
    checkpoint  a file that is written, atomically, every half minute and whenever training rests or ends

        run = dashboard.start()      # or press Start
        await run.done()             # buttons answer meanwhile; raises what training raised
        dashboard.model              # of the newest training, also while it is paused or after it was stopped

    The sliders make the next training; its curve is drawn beside the earlier ones. In one kernel one dashboard trains
    at a time: another one, or the same cell run again, stops it. What `build` or training raises is shown and kept in
    `error`; the curve and the model of the last whole step stay.
    """

    question = Unicode("Is it learning, and is every expert working?").tag(sync=True)
    inputs = ("n_experts", "top_k", "at", "picked", "presses", "halts", "width")
    _esm = script("training_dashboard/script.js")
    _css = style("training_dashboard/style.css")
    _open: ClassVar[weakref.WeakSet] = weakref.WeakSet()  # dashboards of this kernel

    n_experts = Int(8, help="Experts of the next training; 1 is dense.").tag(**FROM_PAGE)
    top_k = Int(2, help="Experts per token, of the next training.").tag(**FROM_PAGE)
    at = Int(0, help="The step that is looked at; 0 follows the training.").tag(**FROM_PAGE)
    picked = Unicode(help='"layer,expert" from 0, whose load over all steps is drawn; empty for none.').tag(**FROM_PAGE)
    presses = Int(help="Presses of Start, Pause, Resume.").tag(**FROM_PAGE)
    halts = Int(help="Presses of Stop.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The SVG.").tag(sync=True)
    view = Dict(help="State, status, key figures, reading line: what `view_of` gives.").tag(sync=True)
    fixed = Dict(help="What does not change: choices, what dead means.").tag(sync=True)

    def __init__(
        self,
        build: Build,
        corpora: Mapping[str, Corpus],
        config: TrainConfig | None = None,
        *,
        n_experts: int = 8,
        top_k: int = 2,
        choices: Iterable[int] = (1, 2, 4, 8, 16),
        beside: Mapping[str, Curve | Recording | DashboardRun] | None = None,
        checkpoint: str | Path | None = None,
        device: str = "cpu",
    ):
        for other in [*type(self)._open]:
            other.stop()
        self.build, self.corpora, self.config, self.device = build, dict(corpora), config or TrainConfig(), device
        self.beside = {name: curve_of(curve, self.config.steps) for name, curve in (beside or {}).items()}
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.runs: list[DashboardRun] = []  # oldest first
        self._drawn = self._saved = 0.0
        self._followed = (0, 0)  # presses and halts, as last computed
        self._problem: dict = {}
        offered = sorted({n_experts, *choices})
        super().__init__(n_experts=n_experts, top_k=top_k, fixed={"experts": offered, "most": 8, "dead": DEAD_MEANS})
        type(self)._open.add(self)

    # ---- what a cell calls -------------------------------------------------------------------------------------------

    def start(self, n_experts: int | None = None, top_k: int | None = None) -> LiveRun[StepLog]:
        """Begin a training, with the sliders' settings where none are given; one that is under way is stopped."""
        n = self.n_experts if n_experts is None else n_experts
        k = min(self.top_k, n) if top_k is None else top_k
        self._end_others()
        training = train(self.build(n, k), self.corpora, self.config, device=self.device)
        return self._begin(n, k, training)

    def go_on(self) -> LiveRun[StepLog]:
        """Begin where the training in `checkpoint` was when it was written last."""
        if self.checkpoint is None:
            raise ValueError("This dashboard has no checkpoint file: pass checkpoint=… when you make it.")
        header, _ = checkpoints.load_extra(self.checkpoint)
        n, k = header["model"]["n_experts"], header["model"]["top_k"]
        self._end_others()
        return self._begin(n, k, resume(self.checkpoint, self.corpora, model=self.build(n, k), device=self.device))

    def pause(self) -> None:
        """Rest after the step that is being taken."""
        if self.runs:
            self.runs[-1].live.pause()

    def resume(self) -> None:
        """Go on."""
        if self.runs:
            self.runs[-1].live.resume()

    def stop(self) -> None:
        """End after the step that is being taken."""
        if self.runs:
            self.runs[-1].live.stop()

    @property
    def model(self) -> MoELanguageModel:
        """Of the newest training, as the last whole step left it."""
        if not self.runs:
            raise RuntimeError("Nothing has been trained yet: press Start, or call start().")
        return self.runs[-1].model

    # ---- trainings ---------------------------------------------------------------------------------------------------

    def _end_others(self) -> None:
        for dashboard in [*type(self)._open]:
            dashboard.stop()
            if dashboard.runs:
                dashboard.runs[-1].live.wait(PATIENCE)

    def _begin(self, n_experts: int, top_k: int, training: Training) -> LiveRun[StepLog]:
        name = run_name(n_experts, top_k)
        again = sum(run.name.split(" #")[0] == name for run in self.runs)
        run = DashboardRun(f"{name} #{again + 1}" if again else name, n_experts, top_k, training)
        run.live = LiveRun(training, on_step=lambda log: self._stepped(run))
        run.live.on_change(lambda _: self._changed(run))
        self._saved, self._problem = time.monotonic(), {}
        self.runs.append(run)
        self.at = 0
        return run.live.start()

    def _stepped(self, run: DashboardRun) -> None:
        """In the training's thread: save now and then, draw now and then, never wait for the page."""
        now = time.monotonic()
        if self.checkpoint is not None and now - self._saved > SAVE_EVERY:
            self._save(run)
        if now - self._drawn > EVERY and self.draw(0.0):
            self._drawn = time.monotonic()

    def _changed(self, run: DashboardRun) -> None:
        """The training has begun, rests, goes on, ends or failed."""
        if run.state in ("paused", "stopped", "finished", "failed") and run.logs:
            self._save(run)
        if run.live.error is not None:
            with self.errors_shown("The curve and the model of the last whole step stay."):
                raise run.live.error
            self._problem = self.error
        self.draw(1.0)
        self.renew_twins()

    def _save(self, run: DashboardRun) -> None:
        self._saved = time.monotonic()
        if self.checkpoint is None:
            return
        with self.errors_shown("Training goes on; nothing was saved."):
            run.training.save(self.checkpoint)
        self._problem = self.error

    # ---- drawing -----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Follow buttons and sliders, then draw."""
        self.top_k = min(self.top_k, self.n_experts)
        presses, halts = self._followed
        self._followed = (self.presses, self.halts)
        if self.presses != presses:
            with self.errors_shown():
                self._press()
            self._problem = self.error
        if self.halts != halts:
            self.stop()
        self.tell()

    def _press(self) -> None:
        """The main button: start, pause or resume."""
        state = self.runs[-1].state if self.runs else "ready"
        {"running": self.pause, "paused": self.resume}.get(state, self.start)()

    def tell(self) -> None:
        """Set everything that the script draws."""
        run = self.runs[-1] if self.runs else None
        saved_in = self.checkpoint.name if self.checkpoint else ""
        view = view_of(run, self.at, self.config, saved_in, len(self.runs), self.beside.values())
        drawing = self._drawing(view["shown"], self.width, live=True)
        self.view = view | {"axis": drawing.places()}
        self.source, self.reading, self.error = view["source"], plain(view["parts"]), self._problem
        self.figure = drawing.svg(self.reading)

    def _drawing(self, step: int, width: int, live: bool = False) -> DashboardDrawing:
        picked = None
        if self.picked and self.runs and self.runs[-1].logs:
            layer, expert = map(int, self.picked.split(","))
            shape = self.runs[-1].logs[0].load.shape
            picked = (layer, expert) if layer < shape[0] and expert < shape[1] else None
        runs = [run for run in self.runs if run.logs or run is self.runs[-1]]
        return DashboardDrawing(runs, self.beside, step, width, picked, self.config.steps, live)

    def reading_html(self) -> str:
        return rich(self.view["parts"], self.view["experts"])

    def twin(self) -> str:
        view = self.view
        facts = (f"<td>{html.escape(value)}</td><td>{html.escape(name)}</td>" for value, name in view["facts"])
        svg = self._drawing(view["shown"], min(self.width, TWIN)).svg(self.reading) if self.runs or self.beside else ""
        return (
            f'{self.error_html()}<p class="note">{html.escape(view["status"])}</p>'
            f'<table class="facts">{"".join(f"<tr>{row}</tr>" for row in facts)}</table>'
            f'{drawn_only(svg)}<p class="note">{html.escape(view["validation"])}</p>'
        )

"""The balance lab: what does fairness cost?"""

import base64
import html
import time
from collections.abc import Mapping
from pathlib import Path

from traitlets import Dict, Float, Int, Unicode

from moe_lite.data import Corpus, load_corpora
from moe_lite.lab.live import LiveRun
from moe_lite.lab.sweeps import BIN, FACTORS, Grid, Recorder, grid as shipped
from moe_lite.look.svg import drawn_only
from moe_lite.model.balance import BalanceLoss
from moe_lite.train import StepLog
from moe_lite.widgets.balance_lab.drawing import LabDrawing
from moe_lite.widgets.balance_lab.save import csv_text, png_bytes
from moe_lite.widgets.balance_lab.view import TRAINED, Column, most_uneven_layer, prepared, step_shown, text_at
from moe_lite.widgets.balance_lab.words import (
    NO_BIN,
    NOT_RECORDED,
    Look,
    reading,
    rows,
    signs_html,
    text_html,
    text_says,
    title,
)
from moe_lite.widgets.kit.background import BackgroundWidget
from moe_lite.widgets.kit.parts import plain, rich
from moe_lite.widgets.kit.widget import FROM_PAGE, script, style

MOST, MOST_LIVE = 4, 2  # columns; trainings at a time
EVERY = 0.4  # seconds between two drawings while training
TOLD = ("coefficient", "top_k", "seed", "layer", "picked", "at", "looked", "room")  # the reading line is about the last
WIDEST, TWIN = 860, 760


class BalanceLab(BackgroundWidget):
    """Trainings side by side on the same data: who gets how much, step by step, and what it does to the loss.

    grid          recorded trainings (the course's own if None): the sliders choose among them
    corpora       for new trainings (`load_corpora()` if None); steps: of a new training, as many as recorded if None
    balance_loss  a loss of your own for new trainings: the Routing of every layer -> scalar

        run = lab.start()            # or press Train this; settings are the sliders', keywords override them
        await run.done()
        lab.to_csv("lab.csv"); lab.to_png("lab.png")

    The first column is the training without balancing; the second follows the coefficient. Two trainings run at a time,
    another start stops the older one. What training raises is shown, kept in `error`, and raised by `done()`.

    On the page, the upper half looks at what was recorded: its controls stand above the strips, the step under them.
    What sets up and starts a training, and what one text does, is folded below.
    """

    question = Unicode("What does fairness cost?").tag(sync=True)
    inputs = ("coefficient", "top_k", "seed", "layer", "at", "picked", "looked", "room", "command", "width", *TRAINED)
    _esm = script("balance_lab/script.js")
    _css = style("token_viewer/style.css", "balance_lab/style.css")  # for the tokens of the text

    coefficient = Float(0.01, help="Of the balancing loss; one of the recorded ones.").tag(**FROM_PAGE)
    top_k = Int(2, help="Experts per token.").tag(**FROM_PAGE)
    seed = Int(0, help="Of the recorded training that is shown, and of the next one.").tag(**FROM_PAGE)
    layer = Int(-1, help="The layer shown, from 0; −1 for the most uneven one.").tag(**FROM_PAGE)
    at = Int(0, help="The step that is looked at; 0 for the end.").tag(**FROM_PAGE)
    picked = Int(0, help="The expert whose numbers are printed.").tag(**FROM_PAGE)
    looked = Int(0, help="The column whose text is shown.").tag(**FROM_PAGE)
    room = Float(0.0, help="Capacity factor at which the text is shown; 0: no limit.").tag(**FROM_PAGE)
    n_experts = Int(32, help="Of the next training.").tag(**FROM_PAGE)
    z_coef = Float(0.0, help="Of the next training.").tag(**FROM_PAGE)
    bias_step = Float(0.0, help="Of the next training's selection bias; 0: it has none.").tag(**FROM_PAGE)
    capacity_factor = Float(0.0, help="Of the next training; 0: no limit.").tag(**FROM_PAGE)
    jitter = Float(0.0, help="Of the next training.").tag(**FROM_PAGE)
    command = Unicode(help='"train 3": what a button asked for, and a count.').tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The SVG.").tag(sync=True)
    heads = Unicode(help="What the columns are called, as HTML that Python wrote and escaped.").tag(sync=True)
    text = Unicode(help="The standard text, as HTML that Python wrote and escaped.").tag(sync=True)
    view = Dict(help="Names of columns, state, the step shown, where the axes are, reading line.").tag(sync=True)
    fixed = Dict(help="What the sliders offer.").tag(sync=True)
    file = Dict(help="A file for the page to save: name, base64 data.").tag(sync=True)

    def __init__(
        self, grid: Grid | None = None, *, corpora: Mapping[str, Corpus] | None = None, steps: int | None = None,
        balance_loss: BalanceLoss | None = None, **sliders,
    ):  # fmt: skip
        """sliders: where they begin, such as coefficient=0.1 or top_k=1."""
        self.grid = grid or shipped()
        self.corpora, self.steps, self.balance_loss = corpora, steps or self.grid.train.steps, balance_loss
        self.extra: list[Column] = []  # kept and live ones, oldest first
        self._moving: list[Column] = []  # those that follow the sliders
        self._done, self._problem, self._drawn, self._moved, self._last = "", {}, 0.0, "", {}
        choices = {"coefficient": self.grid.coefficients, "top_k": self.grid.top_ks, "seed": self.grid.seeds, **TRAINED}
        fixed = {name: [*values] for name, values in choices.items()}
        fixed |= {"layers": self.grid.model.n_layers, "steps": self.steps, "bin": BIN, "signs": signs_html()}
        fixed |= {"rooms": [0.0, *FACTORS]}
        super().__init__(fixed=fixed, **({"n_experts": self.grid.model.n_experts} | sliders))

    @property
    def columns(self) -> list[Column]:
        return [*self._moving, *self.extra]

    # ---- what a cell calls -------------------------------------------------------------------------------------------

    def start(self, **settings) -> LiveRun[StepLog]:
        """Begin a training beside the others, with the sliders' settings where none are given.

        settings: balance_coef, top_k, seed, and those of TRAINED. Raises ValueError for what a model cannot be.
        """
        chosen = {"balance_coef": self.coefficient, "top_k": self.top_k, "seed": self.seed}
        chosen |= {name: getattr(self, name) for name in TRAINED} | settings
        if self.corpora is None:
            self.corpora = load_corpora()
        column, recorder, steps = prepared(self.grid, self.corpora, self.steps, self.balance_loss, chosen)
        column.live = LiveRun(steps, on_step=lambda log: self._stepped(column, recorder, log))
        column.live.on_change(lambda run: self._changed(column, recorder))
        self._problem, self._moved = {}, "training"
        self._make_room(column)
        return column.live.start()

    def stop(self) -> None:
        """End every training after the step that is being taken."""
        for column in self._training():
            column.live.stop()

    def to_csv(self, path: str | Path) -> Path:
        """Everything that the columns hold, one line for each run, bin of steps, layer and expert."""
        Path(path).write_text(csv_text(self.columns), encoding="utf-8")
        return Path(path)

    def to_png(self, path: str | Path) -> Path:
        """Strips and measures of the layer shown."""
        Path(path).write_bytes(png_bytes(self.columns, self._layer()))
        return Path(path)

    # ---- trainings ---------------------------------------------------------------------------------------------------

    def _training(self) -> list[Column]:
        return [column for column in self.extra if column.training]

    def _make_room(self, column: Column) -> None:
        """The oldest training ends if there are too many, the oldest live column leaves if there is no place."""
        for old in self._training()[: -(MOST_LIVE - 1)]:
            old.live.stop()
        while len(self.columns) >= MOST:
            leaving = next((old for old in self.extra if old.live), self.extra[0])
            if leaving.live:
                leaving.live.stop()
            self.extra.remove(leaving)
        self.extra.append(column)

    def _stepped(self, column: Column, recorder: Recorder, log: StepLog) -> None:
        """In the training's thread: draw now and then, never wait for the page."""
        recorder.add(log)
        if log.step % recorder.bin_steps == 0 and time.monotonic() - self._drawn > EVERY:
            column.run = recorder.run()
            self.draw(0.0)
            self._drawn = time.monotonic()

    def _changed(self, column: Column, recorder: Recorder) -> None:
        column.run = recorder.run()
        if column.state in ("finished", "stopped", "failed"):
            self._moved = "training"
        if column.live.error is not None:
            with self.errors_shown("Its column stays as the last whole bin of steps left it."):
                raise column.live.error
            self._problem = self.error
        self.draw(1.0)

    # ---- drawing -----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Follow buttons and sliders, then draw."""
        self.layer = min(max(self.layer, -1), self.grid.model.n_layers - 1)
        self.picked = min(max(self.picked, 0), self.grid.model.n_experts - 1)
        self.looked = max(self.looked, 0)
        self._notice()
        self._moving = [self._recorded(0.0)] if 0.0 in self.grid.coefficients else []
        if self.coefficient or not self._moving:
            self._moving.append(self._recorded(self.coefficient))
        if self.command != self._done:
            self._done = self.command
            with self.errors_shown():
                self._obey(self.command.split())
            self._problem = self.error
        self.tell()

    def _notice(self) -> None:
        """Keep what the last move was of: the reading line is about that."""
        watched = {name: getattr(self, name) for name in TOLD}
        moved = [name for name in TOLD if self._last and watched[name] != self._last[name]]
        self._moved = moved[0] if moved else self._moved
        self._last = watched

    def _recorded(self, coefficient: float) -> Column:
        run = self.grid.run(coefficient, self.top_k, self.seed)
        return Column(run, seeds=self.grid.losses(coefficient, self.top_k), total=self.grid.train.steps)

    def _obey(self, words: list[str]) -> None:
        """A button: train, pause, stop, keep, remove <column>, csv, png."""
        what, trainings = words[0], self._training()
        if what == "train":
            self.start()
        elif what == "stop":
            self.stop()
        elif what == "pause":
            for column in trainings:
                column.live.resume() if column.state == "paused" else column.live.pause()
        elif what == "keep":
            self._make_room(self._moving[-1])  # the next move of a slider makes another
        elif what == "remove":
            column = self.columns[int(words[1])]
            if column.live:
                column.live.stop()
            self.extra.remove(column)
        else:
            data = csv_text(self.columns).encode() if what == "csv" else png_bytes(self.columns, self._layer())
            self.file = {"name": f"balance-lab.{what}", "data": base64.b64encode(data).decode(), "count": words[-1]}

    def _layer(self) -> int:
        return most_uneven_layer(self.columns) if self.layer < 0 else self.layer

    def tell(self) -> None:
        """Set everything that the script draws."""
        columns, layer = self.columns, self._layer()
        text, said = self._text()
        look = Look(layer, self.at, self.picked, self._moved, said if self._moved in ("looked", "room") else "")
        parts = reading(columns, self._subject(), look)
        drawing = LabDrawing(columns, layer, self.at, self.picked, self.width, movable=True)
        running = [column.state for column in self._training()]
        live = sum(column.live is not None for column in columns)
        self.view = {
            "parts": parts, "layer": layer, "columns": [title(column) for column in columns],
            "fixed": len(self._moving), "running": "paused" if running and set(running) == {"paused"} else len(running),
            "newest": step_shown(columns, 0), "shown": step_shown(columns, self.at), "axis": drawing.places(),
            "experts": drawing.n_experts,
        }  # fmt: skip
        self.source = f"{live} live · {len(columns) - live} recorded" if live else f"{len(columns)} recorded"
        self.reading, self.error = plain(parts), self._problem
        self.heads, self.figure, self.text = drawing.heads(), drawing.svg(self.reading), text

    def _subject(self) -> Column | None:
        """The column that the reading line sets against the first one: what has moved, or the newest."""
        moved = self._moving if self._moved in ("coefficient", "top_k", "seed") else self.columns
        return moved[-1] if moved else None

    def _text(self) -> tuple[str, str]:
        """The standard text as one column routes it, and the sentence about it; a note where that was not recorded."""
        column, layer = self.columns[min(self.looked, len(self.columns) - 1)], self._layer()
        found = text_at(column, layer, self.at, self.room or None)
        if found is None:
            why = NOT_RECORDED if column.run.steps else f"The training {NO_BIN}"
            return f"<i>{why}</i>", why
        k = column.run.choices.shape[3]
        said = text_says(column, layer, self.at, self.room, found[1], k)
        return text_html(self.grid.tokens, *found, k, column.n_experts), said

    def reading_html(self) -> str:
        return rich(self.view["parts"], self.view["experts"])

    def twin(self) -> str:
        columns, layer = self.columns, self._layer()
        head = "".join(f'<th scope="col">{html.escape(title(column))}</th>' for column in columns)
        body = "".join(
            f'<tr><th scope="row">{html.escape(name)}</th>{"".join(f"<td>{value}</td>" for value in values)}</tr>'
            for name, *values in rows(columns, layer, self.at)
        )
        picture = LabDrawing(columns, layer, self.at, self.picked, min(self.width, TWIN)).html(self.reading)
        table = f"<table><caption>layer {layer + 1}</caption><tr><td></td>{head}</tr>{body}</table>"
        return f"{self.error_html()}{drawn_only(picture)}{table}"

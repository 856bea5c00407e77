"""What all widgets have in common: style sheet, script, error box, and the picture that stays without a kernel."""

import asyncio
import html
import re
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import anywidget
from IPython.display import DisplayHandle, display
from traitlets import Dict, Int, List, Unicode

from moe_lite.look import palette
from moe_lite.look.svg import NO_MATH

_WIDGETS = Path(__file__).parents[1]
# for traits that the page sets: no echo from the kernel, which could undo what the hand has moved on to since
FROM_PAGE = {"sync": True, "echo_update": False}
KERNEL_GONE = "A picture. Run the cell to move it."
CALM = 1.0  # seconds without a change after which the saved twin is brought up to date
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# In JupyterLab a live widget whose kernel has gone is a line of error: it is hidden under the twin that says the same.
NO_LIVE_WIDGET = (
    ".jp-OutputArea-child:has(.mx.twin[data-of]) + .jp-OutputArea-child:not(:has(.mx)):has(.jupyter-widgets)"
    "{display:none}"
)


class CallbackError(Exception):
    """A learner's function failed inside a widget: the message is shown as it is, the cause's traceback as details."""


def name_of(function: object) -> str:
    return getattr(function, "__name__", type(function).__name__)


def called(function: Callable, *args: object) -> object:
    """function(*args) of a learner's function; CallbackError under its name if it raises."""
    try:
        return function(*args)
    except Exception as problem:
        raise CallbackError(f"{name_of(function)} raised {type(problem).__name__}: {problem}") from problem


def script(*names: str) -> str:
    """The JavaScript module of a widget: the shared helpers of kit.js, then each file, named from widgets/.

    The last one is in the widget's own folder and holds `function render({ model, el })`; the module's export is added
    here.
    """
    parts = [(_WIDGETS / name).read_text(encoding="utf-8") for name in ("kit/kit.js", *names)]
    return "\n".join([f'const FOLDER = "{_folder(names)}";', *parts, "export default { render };\n"])


def style(*names: str) -> str:
    """The style sheet of a widget: the palette's colours, kit.css and each file, named from widgets/, the last one in
    the widget's own folder. Each stands inside `.mx.<folder> { … }`, as the root of the widget is marked, live and as a
    twin: all widgets of a page share it, and none may change another's look. Without comments and line breaks.
    """
    sheets = [(_WIDGETS / name).read_text(encoding="utf-8") for name in ("kit/kit.css", *names)]
    return "".join(scoped(sheet, _folder(names)) for sheet in (palette.css_variables("&"), *sheets))


def scoped(sheet: str, folder: str) -> str:
    """A sheet inside the root of one widget, by CSS nesting: & is the root, other selectors mean what is in it."""
    text = re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL))
    text = re.sub(r" *([{};,]) +", r"\1", text).strip()
    return f".mx.{folder}{{{text}}}"


def _folder(names: tuple[str, ...]) -> str:
    return Path(names[-1]).parent.name


def badge_html(expert: int, n_experts: int) -> str:
    """An expert's numeral on its tint. The tint also stands inline, for pages that drop style sheets."""
    return f'<span class="n {palette.expert_class(expert, n_experts)}" {inline_tint(expert, n_experts)}>{expert}</span>'


def inline_tint(expert: int, n_experts: int) -> str:
    """A style attribute with the light theme's colours; the style sheet, where there is one, overrides it by theme."""
    colour, ink = palette.tint(expert, n_experts), palette.ROLES["light"]["onTint"]
    return f'style="background-color:{colour};color:{ink}"'


class MoEWidget(anywidget.AnyWidget):
    """Base of the course's widgets.

    A subclass sets `_esm = script(...)`, `_css = style(...)`, `question`, a synced trait with the question as default,
    and `inputs`, the names of the traits that the kernel must work on. It writes `compute()`, which reads the inputs
    and sets what the script draws, and `twin()`, the same figure as HTML that needs no script. `compute` runs once
    after any change of the inputs, whether a control or Python made it. What it raises is shown in the widget and kept
    in `error`.

    Displayed, it leaves two outputs: its twin, and the live widget, which hides the twin while it is on the page. So
    the twin is seen wherever the live one is not: in a saved notebook whose kernel has gone, in one that is not
    trusted, on a page without scripts. The twin follows what is shown, a second after the last change.
    """

    folder: ClassVar[str] = ""  # of the subclass: the class of its root, in which its style sheet holds
    inputs: ClassVar[tuple[str, ...]] = ()

    question = Unicode(help="What the figure answers.").tag(sync=True)

    source = Unicode(help="The badge beside the question: where the numbers come from.").tag(sync=True)
    reading = Unicode(help="The sentence under the figure, written from its data.").tag(sync=True)
    error = Dict(help="Empty, or: what was wrong, what was done instead, details.").tag(sync=True)
    asked = Int(help="Requests that the script has made.").tag(**FROM_PAGE)
    answered = Int(help="Requests that the kernel has answered; the script then sends the next.").tag(sync=True)
    gesture = Int(help="Counts presses: moves of one press are one move, and share their ticks.").tag(sync=True)
    twin_of = Unicode(help="Marks the twin that the live widget hides.").tag(sync=True)
    suggested = List(Dict(), help="Of `suggest`: words and their settings.").tag(sync=True)

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if cls.__module__.startswith("moe_lite.widgets."):
            cls.folder = cls.__module__.split(".")[2]

    def __init__(self, **traits):
        super().__init__(twin_of=uuid.uuid4().hex[:12], **traits)
        self._displayed: deque[DisplayHandle] = deque(maxlen=8)  # its twins in the notebook; older ones are run over
        self._loop: asyncio.AbstractEventLoop | None = None  # the kernel's
        self._renewal: asyncio.TimerHandle | None = None
        self._computed: tuple | None = None
        self._computing = False
        self._seen = (0, 0)  # requests and presses of the script, so far
        self._recompute()
        self.observe(self._recompute, names=[*self.inputs, "asked"])
        self.observe(self._twin_is_old)

    def compute(self) -> None:
        """Read the inputs, set the traits that the script draws and the reading line."""
        raise NotImplementedError

    def twin(self) -> str:
        """The figure as HTML, without controls, inside the root element."""
        raise NotImplementedError

    def static_html(self, of: str = "") -> str:
        """The static twin with its style sheet: what a page without kernel or script shows. `of` marks it for the live
        widget, which hides it."""
        sentence = self.reading_html().replace(" %", "&nbsp;%")  # a number and its sign stay on one line
        reading = f'<p class="read">{sentence} <span class="dim">{KERNEL_GONE}</span></p>'
        tag = f'<span class="tag">{html.escape(self.source)}</span>' if self.source else ""
        head = f'<div class="hd"><span class="q">{html.escape(self.question)}</span>{tag}</div>'
        named = f'role="group" aria-label="{html.escape(self.question)}"' + (f' data-of="{of}"' if of else "")
        root = f'<div class="mx {self.folder} twin {NO_MATH}" {named}>'
        style = self._css + (NO_LIVE_WIDGET if of else "")
        return f"<style>{style}</style>{root}{head}{self.twin()}{reading}</div>"

    def reading_html(self) -> str:
        """The reading line of the twin; a subclass may put badges into it."""
        return html.escape(self.reading)

    def suggest(self, views: Mapping[str, Mapping[str, object]]) -> "MoEWidget":
        """Put a button under the question for each of `views`, {words: {trait: value}}: it sets the widget so, and what
        it moved lights up. Returns the widget itself.

        Raises ValueError for a trait that no control of this widget moves.
        """
        for words, settings in views.items():
            if unknown := sorted(settings.keys() - set(self.inputs)):
                known = ", ".join(self.inputs)
                raise ValueError(f"{words!r} sets {unknown[0]}, which nothing on the widget moves; it has {known}.")
        self.suggested = [{"words": words, "settings": dict(settings)} for words, settings in views.items()]
        return self

    def new_move(self) -> bool:
        """Whether what is computed now is a move of its own: Python made it, or a new press. Ask once for each."""
        asked, gesture = self._seen
        self._seen = (self.asked, self.gesture)
        return self.asked == asked or self.gesture != gesture

    def error_html(self) -> str:
        """The error for the twin, without details; "" if there is none."""
        if not self.error:
            return ""
        what, instead = html.escape(self.error["what"]), html.escape(self.error["instead"])
        return f'<div class="err"><b>{what}</b> {instead}</div>'

    @contextmanager
    def errors_shown(self, instead: str = "The last good figure stays.") -> Iterator[None]:
        """Run the block; what it raises goes into `error`, with the traceback as details, and is shown."""
        self.error = {}
        try:
            yield
        except Exception as problem:  # whatever a learner's function raises belongs on the screen
            speaks = isinstance(problem, (CallbackError, ValueError, TypeError))
            what = str(problem) if speaks else f"{type(problem).__name__}: {problem}"
            origin = problem.__cause__ or problem if isinstance(problem, CallbackError) else problem
            details = "".join(traceback.format_exception(origin))
            self.error = {"what": what, "instead": instead, "details": details}

    def _recompute(self, _change: object = None) -> None:
        """Compute once for each new set of inputs: `compute` may correct inputs itself (a slider out of range)."""
        if self._computing:
            return
        self._computing = True
        try:
            with self.hold_sync():
                if self._inputs() != self._computed:
                    with self.errors_shown():
                        self.compute()
                    self._computed = self._inputs()
                self.answered = self.asked
        finally:
            self._computing = False

    def _inputs(self) -> tuple:
        values = (getattr(self, name) for name in self.inputs)
        return tuple(tuple(value) if isinstance(value, list) else value for value in values)

    # ---- in a notebook -----------------------------------------------------------------------------------------------

    def twin_bundle(self) -> dict[str, str]:
        """The twin as the data of an output: the picture, and the reading line as its text."""
        return {"text/html": self.static_html(of=self.twin_of), "text/plain": self.reading}

    def _ipython_display_(self) -> None:
        """Display the twin, then the live widget without a text: for that there is the twin."""
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:  # not in a kernel: nothing moves the widget, and the twin stays as it is
            self._loop = None
        self._displayed.append(display(self.twin_bundle(), raw=True, display_id=True))
        data, metadata = self._repr_mimebundle_()
        display({WIDGET_VIEW: data[WIDGET_VIEW]}, metadata=metadata, raw=True)

    def renew_twins(self) -> None:
        """Bring the twins in the notebook up to date, from any thread; a change does it a second later by itself."""
        self._in_the_kernel(self._renew_twins)

    def _twin_is_old(self, _change: object) -> None:
        self._in_the_kernel(self._wait_for_calm)

    def _in_the_kernel(self, call: Callable[[], None]) -> None:
        if self._displayed and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    def _wait_for_calm(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        self._renewal = self._loop.call_later(CALM, self._renew_twins)

    def _renew_twins(self) -> None:
        bundle = self.twin_bundle()
        for handle in self._displayed:
            handle.update(bundle, raw=True)


def without_mark(twin: str) -> str:
    """The HTML of a displayed twin as it is kept where no live widget can stand beside it."""
    return re.sub(r' data-of="\w*"', "", twin.replace(NO_LIVE_WIDGET, ""))

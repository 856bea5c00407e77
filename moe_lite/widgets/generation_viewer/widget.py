"""The generation viewer: which experts make each new token?"""

from traitlets import Dict, Float, Int, Unicode, validate

from moe_lite import data
from moe_lite.lab.live import LiveRun
from moe_lite.model.transformer import MoELanguageModel, Sample, sample_token
from moe_lite.widgets.generation_viewer.drawing import News, generation_html, prompt_data
from moe_lite.widgets.generation_viewer.view import (
    Generation,
    Made,
    check_models,
    cut_prompt,
    make_tokens,
    paced,
    read_prompt,
)
from moe_lite.widgets.generation_viewer.words import EMPTY, HOW, SENTENCES, ending, layer_parts, token_parts
from moe_lite.widgets.kit.background import BackgroundWidget
from moe_lite.widgets.kit.parts import Parts, plain, rich
from moe_lite.widgets.kit.widget import FROM_PAGE, script, style
from moe_lite.widgets.token_viewer import ORDINALS

HOTTEST = 2.0
TEMPERATURES = tuple(i / 10 for i in range(21))
SEEDS = tuple(range(20))
PER_SECOND = 15  # new tokens, at most: each is one message to the page, and can be followed by eye


class GenerationViewer(BackgroundWidget):
    """A model goes on from a prompt; each new token appears with the experts that made it, and their shares build up.

    model        a sparse MoELanguageModel with the course's vocabulary
    prompt       what it goes on from; the box can be edited
    n_tokens     how many new tokens; a prompt that leaves no room for them is cut to its last tokens
    temperature  0 to 2; 0 takes the most probable token
    seed         the same seed gives the same text
    layer        the sparse layer shown, counted from 1; if None, the second, where there is one: in the first of the
                 shipped model with 8 experts, one or two of them are the first choice of most that is written
    sample       a function like `transformer.sample_token(logits (1, V), temperature, generator) -> (1,)`: draws
    dense        a dense model that goes on from the same prompt beside it
    source       the badge beside the question, e.g. "your model · step 400"

    The experts shown with a new token are those of the position before it, where it was predicted. Bars: of all
    assignments at these positions, each expert's share; ticks: its share of the prompt's. Generate, or `start()`,
    draws in the background and returns the LiveRun; `run()` waits. Temperature, seed and prompt hold from the next
    start on. Raises ValueError for models and numbers that do not fit; what `sample` or a router does wrong is shown
    in the widget and kept in `error`, and what was generated stays.
    """

    question = Unicode("Which experts make each new token?").tag(sync=True)
    inputs = ("prompt", "temperature", "seed", "layer", "choice", "pinned", "starts", "stops", "lacking")
    _esm = script("token_viewer/parts.js", "generation_viewer/script.js")
    _css = style("token_viewer/style.css", "generation_viewer/style.css")

    prompt = Unicode(help="The text to go on from.").tag(**FROM_PAGE)
    temperature = Float(0.8, help="Logits are divided by it; 0 takes the most probable.").tag(**FROM_PAGE)
    seed = Int(help="Of the generator that `sample` draws with.").tag(**FROM_PAGE)
    layer = Int(1, help="The layer shown, from 1.").tag(**FROM_PAGE)
    choice = Int(0, help="The choice shown: 0 the expert with the largest weight, 1 the second, …").tag(**FROM_PAGE)
    pinned = Int(-1, help="The new token that the reading line is about, −1 for none.").tag(**FROM_PAGE)
    starts = Int(help="Counts how often Generate was pressed.").tag(**FROM_PAGE)
    stops = Int(help="Counts how often Stop was pressed.").tag(**FROM_PAGE)
    lacking = Int(help="Counts how often the page has asked for all tokens again.").tag(**FROM_PAGE)
    state = Unicode("ready", help="ready, running, stopped, finished or failed.").tag(sync=True)
    prompted = Dict(help="The prompt that is shown, and its shares.").tag(sync=True)
    news = Dict(help="The tokens since the last message.").tag(sync=True)
    note = Unicode(help="What was corrected, in one sentence.").tag(sync=True)
    fixed = Dict(help="What does not change.").tag(sync=True)

    @validate("prompt")
    def _whole_characters(self, proposal: dict) -> str:
        """Half of a surrogate pair cannot be sent to the page; it becomes "?", as in `data.encode`."""
        return proposal["value"].encode(errors="replace").decode()

    def __init__(
        self,
        model: MoELanguageModel,
        prompt: str,
        *,
        n_tokens: int = 60,
        temperature: float = 0.8,
        seed: int = 0,
        layer: int | None = None,
        sample: Sample = sample_token,
        dense: MoELanguageModel | None = None,
        source: str | None = None,
    ):
        check_models(model, dense)
        self.context = min(m.config.context_length for m in (model, dense) if m is not None)
        if not 1 <= n_tokens < self.context:
            raise ValueError(
                f"n_tokens is {n_tokens}, expected 1 to {self.context - 1}: the model reads {self.context}."
            )
        self.model, self.dense, self.sample, self.n_tokens = model, dense, sample, n_tokens
        self.generation: Generation | None = None  # what is shown; None while there is no prompt
        self.live: LiveRun | None = None  # the newest run
        self._news: News | None = None
        self._followed = (None, 0, 0, 0)  # prompt, starts, stops and lacking, as last computed
        self._problem: dict = {}  # what went wrong with what is shown
        self._pause = 1 / PER_SECOND
        super().__init__(
            prompt=prompt,
            temperature=temperature,
            seed=seed,
            layer=min(2, model.config.n_sparse_layers) if layer is None else layer,
            source=f"{model.config.n_experts}-expert model" if source is None else source,
            fixed={"temperatures": TEMPERATURES, "seeds": SEEDS, "say": SENTENCES, "empty": EMPTY, "how": HOW,
                   "ordinals": ORDINALS, "names": self._names() if dense is not None else []},
        )  # fmt: skip

    def start(self) -> LiveRun:
        """Go on from the prompt, in the background. Raises ValueError where there is nothing to go on from."""
        before = self.live
        self.starts += 1
        if self.live is before:
            raise ValueError(self.error.get("what", EMPTY))
        return self.live

    def stop(self) -> None:
        """End the generation after the token it is at."""
        self.stops += 1

    def run(self) -> "GenerationViewer":
        """Go on from the prompt and wait until it is done: a cell that ends with this shows a picture with text."""
        self._pause = 0
        try:
            self.start().wait()
        finally:
            self._pause = 1 / PER_SECOND
        return self

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Follow prompt and buttons, then say what is shown."""
        self.note = self._correct()
        prompt, starts, stops, lacking = self._followed
        self._followed = (self.prompt, self.starts, self.stops, self.lacking)
        if self.starts != starts:
            self._start()
        elif self.prompt != prompt and not (self.generation and self.generation.made):
            self._read()  # what has been written stays until the next start
        if self.stops != stops and self.state == "running":
            self.live.stop()
        if self.lacking != lacking and self._news:
            self._news.forget()
            self.tell()
        self.pinned = self.pinned if self.generation and 0 <= self.pinned < len(self.generation.made) else -1
        self.error = self._problem
        self.reading = plain(self.reading_parts())

    def _correct(self) -> str:
        """Bring layer, choice and temperature into range; a sentence that says what was changed, or ""."""
        notes, config = [], self.model.config
        limits = {"layer": (1, config.n_sparse_layers), "temperature": (0.0, HOTTEST)}
        for name, (low, high) in limits.items():
            wanted = getattr(self, name)
            setattr(self, name, min(max(low, wanted), high))
            if getattr(self, name) != wanted:
                notes.append(f"{name} was {wanted:g}; it goes from {low:g} to {high:g}.")
        self.choice = min(max(0, self.choice), min(config.top_k, len(ORDINALS)) - 1)
        n_read = self.context - self.n_tokens
        if (n := len(data.encode(self.prompt))) > n_read:
            notes.append(f"The model reads {self.context} tokens at once, {self.n_tokens} of them new: of the prompt's "
                         f"{n:,} the last {n_read} are read.")  # fmt: skip
        return " ".join(notes)

    # ---- generation --------------------------------------------------------------------------------------------------

    def _read(self) -> bool:
        """Read the prompt into a new generation, with the settings of now; False where that cannot be."""
        ids = data.encode(self.prompt)
        read = cut_prompt(ids, self.n_tokens, self.context)
        with self.errors_shown():
            load = read_prompt(self.model, read) if read else None
        self._problem = self.error
        if self.error:
            return False
        self.state, self.pinned, self.generation, self._news = "ready", -1, None, None
        if read:
            self.generation = Generation(
                read, load, len(read) < len(ids), self.model.config.top_k, self.n_tokens, self.temperature, self.seed
            )
            self._news = News(self.generation, self.starts)
        self.prompted = prompt_data(self.generation) if read else {}
        self.tell()
        return bool(read)

    def _start(self) -> None:
        if self.live is not None:
            self.live.stop()
        if not self._read():
            return
        generation = self.generation
        steps = make_tokens(self.model, generation.prompt, self.n_tokens, temperature=self.temperature,
                            seed=self.seed, sample=self.sample, dense=self.dense)  # fmt: skip
        self.state = "running"
        self.live = LiveRun(paced(steps, self._pause), on_step=lambda made: self._take(generation, made))
        self.live.on_change(self._follow_run)
        self.live.start()

    def _take(self, generation: Generation, made: Made) -> None:
        """A new token, from the background: show it, unless another run has begun since."""
        with self._mutex, self.hold_sync():
            if generation is self.generation:
                generation.made.append(made)
                self.tell()

    def _follow_run(self, run: LiveRun) -> None:
        """The run has begun, ended or failed."""
        with self._mutex, self.hold_sync():
            if run is not self.live or run.state not in ("stopped", "finished", "failed"):
                return
            self.state = run.state
            if run.error is not None:
                with self.errors_shown("What was generated stays."):
                    raise run.error
                self._problem = self.error
            self.tell()

    def tell(self) -> None:
        """The difference to the last message, and the reading line."""
        self.news = self._news.message(self.state) if self._news else {}
        self.reading = plain(self.reading_parts())

    # ---- the page and the background take turns ----------------------------------------------------------------------

    def set_state(self, sync_data: dict) -> None:
        with self._mutex:
            super().set_state(sync_data)

    # ---- words and picture -------------------------------------------------------------------------------------------

    def reading_parts(self) -> Parts:
        """About the pinned token, else about the layer."""
        if self.generation is None:
            return [EMPTY]
        if self.pinned >= 0:
            return token_parts(self.generation, self.layer - 1, self.pinned)
        return layer_parts(self.generation, self.layer - 1) + ending(self.generation, self.state)

    def reading_html(self) -> str:
        return rich(self.reading_parts(), self.model.config.n_experts)

    def twin(self) -> str:
        if self.generation is None:
            return self.error_html()
        at = (self.layer - 1, self.choice, self.state, self._names())
        return self.error_html() + generation_html(self.generation, *at)

    def _names(self) -> tuple[str, str]:
        return f"{self.model.config.n_experts} experts", "dense"

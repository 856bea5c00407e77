"""The serving explorer in words: numbers as it prints them, its sentence, its notes, and where figures come from."""

import html
import math
from urllib.parse import urlsplit

from moe_lite.lab.hosting import GIB
from moe_lite.lessons.serving import Step
from moe_lite.look.words import percent
from moe_lite.widgets.serving_explorer.view import ACTIVE, MIXTURE, WHOLE, ServingView

BADGE = "computed from published figures, not measured"
BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
FLOPS = ((1e15, "PFLOPs"), (1e12, "TFLOPs"), (1e9, "GFLOPs"), (1e6, "MFLOPs"))
TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
COUNTS = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))
PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
ALIKE = 0.05  # part by which two times may differ and still be called about the same
EQUAL = 0.005  # and the same
DENSE = {ACTIVE: "dense, active size", WHOLE: "dense, whole size"}
SHORTER = 24  # characters of a name in a figure
HOW = (
    "A step gives every text of the batch one more token. It takes as long as the slower of two things, moving its "
    "bytes and computing its FLOPs (the roofline).",
    "The weights that every token uses, and each expert that at least one token chooses, are read once per step; the "
    "keys and values of a text are read for its own token alone.",
    "Tokens are taken to choose experts evenly at random. Real choices are alike within a text, so they touch fewer.",
    "The dense models are imagined: they have the mixture's attention and its keys and values, and as many weights in "
    "the feed-forward as the mixture uses for a token (active size) or holds (whole size).",
    "All three have the same accelerators: as many as hold the mixture's weights and one text, with 10 % of the memory "
    "kept free. These share the work evenly and never wait for each other.",
    "Not counted: starting kernels, messages between accelerators, reading prompts. So real times and prices are "
    "higher.",
)


# ---- numbers ---------------------------------------------------------------------------------------------------------


def digits(value: float) -> str:
    """Three of them: 2.048 -> "2.05", 204.8 -> "205"; thousands with commas."""
    if value <= 0:
        return "0"
    value = float(f"{value:.3g}") if value < 1000 else value  # 9.999 is 10.0
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"


def scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    """In the largest unit of which there is at least one, else in the smallest."""
    size, unit = next(((size, unit) for size, unit in units if value >= 0.9995 * size), units[-1])
    return f"{digits(value / size)} {unit}"


def bytes_text(n: float) -> str:
    return scaled(n, BYTES)


def time_text(seconds: float) -> str:
    return scaled(seconds, TIMES)


def flops_text(n: float) -> str:
    return scaled(n, FLOPS)


def parameters_text(n: int) -> str:
    return scaled(n, COUNTS)


def speed_text(speed: float) -> str:
    """Tokens per second."""
    size, letter = next(((size, letter) for size, letter in PREFIXES[:-1] if speed >= 10 * size), (1.0, ""))
    return f"{digits(speed / size)} {letter}".strip()


def tick_text(value: float) -> str:
    """A round number of tokens per second: 20000 -> "20 k"."""
    size, letter = next(((size, letter) for size, letter in PREFIXES if value >= 0.9995 * size), (1.0, ""))
    return f"{value / size:g} {letter}".strip()


def dollars_text(value: float) -> str:
    """Two decimals; below a dime two digits: 0.0421 -> "$0.042"."""
    if value >= 0.1 or value <= 0:
        return f"${value:,.2f}"
    return f"${value:.{1 - math.floor(math.log10(value))}f}"


def experts_text(view: ServingView) -> str:
    """Of how many experts in a layer: "7.2 of 8" """
    touched, n = view.touched, view.model.n_experts
    if n - touched < 0.05:
        return f"all {n:,}"
    return f"{touched:.0f} of {n:,}" if touched == int(touched) else f"{touched:.1f} of {n:,}"


def texts(n: int) -> str:
    return "one text" if n == 1 else f"{n:,} texts"


def hosts(view: ServingView) -> str:
    return f"{view.n_machines:,} × {view.accelerator.name}"


def short_name(name: str) -> str:
    return name if len(name) <= SHORTER else f"{name[: SHORTER - 1]}…"


def name_of(view: ServingView, key: str) -> str:
    """One of the three models in the figure."""
    return DENSE.get(key, short_name(view.model.name))


# ---- the sentence ----------------------------------------------------------------------------------------------------


def sentence(view: ServingView) -> str:
    """What a step of the mixture waits for, how long it takes beside the dense models, and the price of tokens."""
    return f"{_step(view)} {_price(view)}"


def _step(view: ServingView) -> str:
    found = view.step(MIXTURE)
    compared = f"{beside(view.ratio())}, and {beside_whole(view.ratio(over=WHOLE))}"
    if view.fits(MIXTURE):
        return (
            f"With {texts(view.batch)} at a time on {hosts(view)}, a step of {view.model.name} {waits(found)}: "
            f"{time_text(found.seconds)}. That is {compared}."
        )
    of_active = view.room[ACTIVE]
    also = (
        f", and for {of_active:,} beside those of a dense model of its active size"
        if of_active > view.room[MIXTURE]
        else ""
    )
    many = "does" if view.batch == 1 else "do"
    return (
        f"{texts(view.batch)[0].upper()}{texts(view.batch)[1:]} of {view.context:,} tokens {many} not fit: "
        f"{hosts(view)} {'has' if view.n_machines == 1 else 'have'} room for {view.room[MIXTURE]:,} beside the weights "
        f"of {view.model.name}{also}. With the memory for it, a step {waits(found)}: {time_text(found.seconds)}, "
        f"{compared}."
    )


def waits(found: Step) -> str:
    """What a step does most of, from the verb on."""
    if found.bound == "bandwidth":
        return f"moves {bytes_text(found.bytes)} and waits for bandwidth"
    return f"computes {flops_text(found.flops)} and waits for arithmetic"


def beside(ratio: float) -> str:
    """The mixture's time over that of the dense model of its active size."""
    other = "a dense model of its active size takes"
    if abs(ratio - 1) <= ALIKE:
        return f"{'' if abs(ratio - 1) <= EQUAL else 'about '}as long as {other}"
    return f"{ratio:.{1 if ratio < 9.95 else 0}f} times as long as {other}"


def beside_whole(ratio: float) -> str:
    """Over that of the one of its whole size, which is never faster."""
    other = "one of its whole size"
    if ratio >= 1 - ALIKE:
        return f"{'' if ratio >= 1 - EQUAL else 'about '}as long as {other}"
    return f"{percent(ratio)} of the time of {other}"


def _price(view: ServingView) -> str:
    batch = min(view.batch, view.room[MIXTURE])
    fitting = "" if view.fits(MIXTURE) else f" With the {batch:,} that {'fits' if batch == 1 else 'fit'},"
    they = "it is" if view.n_machines == 1 else "they are"
    busy = {50: "half of the time", 100: "all of the time"}.get(view.utilisation, f"{view.utilisation} % of the time")
    hour = f"{dollars_text(view.dollars)} per hour and accelerator"
    cost = f"a million tokens cost at least {dollars_text(view.price(MIXTURE, batch))}"
    if fitting:
        return f"{fitting.strip()} {cost}, at {hour}, if {they} busy {busy}."
    return f"At {hour}, and if {they} busy {busy}, {cost}."


# ---- beside the figures ----------------------------------------------------------------------------------------------


def cost_text(view: ServingView, key: str) -> str:
    """Speed and price of one of the three at the chosen batch, at best."""
    if not view.fits(key):
        return f"does not fit: room for {texts(view.room[key])}"
    return f"≤ {speed_text(view.speed(key))} tokens/s · ≥ {dollars_text(view.price(key))} per million"


def detail(view: ServingView, key: str) -> str:
    """What of one of the three the batch uses."""
    if key == MIXTURE:
        return f"{experts_text(view)} experts per layer touched"
    return f"all of its {parameters_text(view.parameters(key))} parameters"


def note(view: ServingView) -> str:
    """What has to be known of these settings."""
    said = []
    if view.model.zero_experts:
        said.append(
            f"A token of {view.model.name} may choose experts without weights: then less is touched than shown."
        )
    if view.bits < 16:
        said.append(f"Weights of {view.bits} bits are counted without scales, and multiplied at the speed of 16 bits.")
    return " ".join(said)


def sources_html(view: ServingView) -> str:
    """Figures and price of the accelerator, with links, as HTML."""
    one = view.accelerator
    machine = one.machine
    figures = (
        f"{machine.memory / GIB:,.0f} GiB, {machine.bandwidth / 1e9:,.0f} GB/s and {machine.flops / 1e12:,.0f} TFLOP/s "
        "with 16 bits"
    )
    low, high = map(dollars_text, one.range)
    range_ = low if low == high else f"{low} to {high}"
    return (
        f"Upper bounds, not measurements: what one {html.escape(one.name)} can do by its vendor's figures, {figures} "
        f"({link(one.source)}). It was offered for {range_} per hour ({html.escape(one.price_date)}, "
        f"{link(one.price_source)})."
    )


def link(address: str) -> str:
    host = urlsplit(address).netloc.removeprefix("www.")
    return f'<a href="{html.escape(address)}" target="_blank" rel="noopener">{html.escape(host)}</a>'


def setting(view: ServingView) -> str:
    """The settings on one line, for pages without controls."""
    return (
        f"{view.model.name} on {hosts(view)} · batch {view.batch:,} · context {view.context:,} · weights of "
        f"{view.bits} bits · busy {view.utilisation} % · {dollars_text(view.dollars)} per hour and accelerator"
    )


def lines_text(view: ServingView, text: str) -> str:
    """The upper figure for those who do not see it: each model's speed at a few batches, then the sentence."""
    said = []
    for key in view.footprints:
        speeds = ", ".join(f"{speed_text(view.speed(key, batch))} at {batch:,}" for batch in (1, 16, 256, 2048))
        said.append(f"{name_of(view, key)}: {speeds}; room for {texts(view.room[key])}")
    return f"Tokens per second over batch, at most. {'. '.join(said)}. {text}"


def bars_text(view: ServingView) -> str:
    """The lower figure for those who do not see it."""
    said = []
    for key in view.footprints:
        found = view.step(key)
        said.append(
            f"{name_of(view, key)}, {detail(view, key)}: moving {bytes_text(found.bytes)} takes "
            f"{time_text(found.moving)}, computing {flops_text(found.flops)} takes {time_text(found.computing)}, "
            f"{cost_text(view, key)}"
        )
    return f"A step with {texts(view.batch)}. {'. '.join(said)}."

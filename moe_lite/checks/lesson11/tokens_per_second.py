"""Exercise 11.3, tokens_per_second: a step takes as long as the slower of moving its bytes and computing its FLOPs."""

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import (
    FORM,
    INPUT,
    REPEAT,
    Attempt,
    Case,
    Drawn,
    Exercise,
    Mistake,
    Note,
    Output,
    Trial,
)
from moe_lite.checks.engine.mistakes import one_wrong, sign
from moe_lite.checks.engine.say import said
from moe_lite.checks.lesson11.fields import of_record
from moe_lite.lessons.serving import Footprint, Machine, experts_touched, step, tokens_per_second

FIELDS = ("common_bytes", "expert_bytes", "cache_bytes", "common_flops", "expert_flops", "n_experts", "top_k")
ON_MACHINE = ("bandwidth", "flops")

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    # bytes: common, per expert, cache per text; FLOPs: common, per expert; E, K, batch; computing over moving
    moving = (
        trial(1210, 340, 56, 910, 260, 9, 2, 5, 0.45),
        trial(870, 410, 95, 640, 330, 16, 4, 3, 0.71),
        trial(2300, 150, 31, 1700, 120, 12, 3, 7, 0.22),
    )
    computing = (
        trial(940, 280, 47, 420, 530, 11, 3, 6, 1.6),
        trial(1530, 190, 62, 1330, 870, 8, 2, 21, 2.9),
        trial(660, 370, 18, 580, 290, 13, 5, 4, 1.2),
    )
    one = (trial(1110, 230, 74, 960, 310, 10, 3, 1, 0.6), trial(720, 260, 83, 610, 190, 6, 2, 1, 1.7))
    dense = (
        trial(1900, 0, 65, 1600, 0, 0, 0, 8, 0.5), trial(1400, 0, 53, 1200, 0, 0, 0, 12, 2.2),
        trial(1050, 330, 44, 890, 240, 0, 0, 5, 0.8, note="a dense model; the size of an expert means nothing"),
    )  # fmt: skip
    edges = (
        trial(830, 270, 58, 710, 220, 7, 7, 4, 0.7), trial(950, 310, 39, 780, 250, 5, 5, 3, 1.3),
        trial(1270, 29, 71, 990, 23, 256, 8, 9, 0.6), trial(1180, 37, 66, 1020, 31, 128, 1, 70, 1.5),
    )  # fmt: skip
    # Mixtral 8x7B with 4 bits per weight on an H100, and texts of 4,096 or of 256 tokens
    weights, embedding, h100 = (737_282_048, 2_818_572_288), 65_536_000, Machine(80 * 2**30, 3.35e12, 989e12)
    long = Footprint(*weights, 536_870_912, 5_096_079_360, 11_274_289_152, 8, 2, embedding)
    short = Footprint(*weights, 33_554_432, 3_082_813_440, 11_274_289_152, 8, 2, embedding)
    mixtral = tuple(
        Trial((model, h100, batch), f"Mixtral 8x7B on an H100, {tokens} tokens per text, batch {batch:,}")
        for model, tokens, batch in ((long, "4,096", 1), (long, "4,096", 16), (long, "4,096", 64), (short, "256", 1024))
    )
    return (
        Case("a float", (moving[0], computing[0], moving[1]), (FORM,)),
        Case("no memory", moving[:1], (INPUT, REPEAT)),
        Case("moving takes longer", moving, ("tokens",)),
        Case("computing takes longer", computing, ("tokens",)),
        Case("one text", one, ("tokens",)),
        Case("dense models", dense, ("tokens",)),
        Case("K = E, many experts", edges, ("tokens",)),
        Case("Mixtral 8x7B on an H100", mixtral, ("tokens",)),
    )


def trial(*numbers: float, note: str = "") -> Trial:
    """The fields of a model, a batch, and how much longer than moving its bytes a step computes."""
    *sizes, batch, ratio = numbers
    model, bandwidth = Footprint(*sizes), 1000.0
    moved = step(model, Machine(0.0, bandwidth, 1.0), batch).moving
    speed = float(f"{batch * model.flops / (ratio * moved):.4g}")
    told = note or (f"{model.top_k} of {model.n_experts:,} experts" if model.n_experts else "a dense model")
    slower = "moving" if ratio < 1 else "computing"
    return Trial((model, Machine(80_000.0, bandwidth, speed), batch), f"{told}, batch {batch:,}, {slower} takes longer")


def drawn(seed: int, C: int, X: int, W: int, F: int, G: int, E: int, K: int, N: int) -> tuple:
    """C and X bytes, W of cache, F and G FLOPs, and N texts."""
    return trial(C, X, W, F, G, E, K, N, (0.3, 2.6, 0.8, 1.35)[seed % 4]).args


def extremes(seed: int) -> tuple[Trial, ...]:
    machine = Machine(48_000.0, 1000.0, 2600.0)
    whole = Machine(48_000, 900, 700)
    return (
        Trial((Footprint(*[8] * 7), machine, 8), "all numbers 8"),
        Trial((Footprint(310, 90, 20, 170, 60, 12, 3), whole, 10), "bandwidth and flops are whole numbers"),
        Trial((Footprint(700, 0, 20, 400, 0, 0, 0), whole, 1), "a dense model and one text"),
        Trial((Footprint(310, 90, 0, 170, 60, 12, 3), machine, 10), "no cache"),
        trial(1100, 3, 40, 900, 2, 10_000, 1, 1, 0.9),
        trial(1100, 3, 40, 900, 2, 10_000, 16, 1_000_000, 0.5),
        trial(1100, 3, 40, 900, 2, 10_000, 16, 1_000_000, 1.5),
        trial(41_000_000_000, 2_500_000_000, 900_000_000, 36_000_000_000, 5_000_000_000, 384, 8, 1000 + seed, 1.1),
    )


DRAWN = Drawn(
    drawn, {"C": 1201, "X": 347, "W": 59, "F": 911, "G": 263, "E": 9, "K": 4, "N": 6}, at_most=(("K", "E"),),
    long="N", thousands=3001, float32=False, extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------

Part = Callable[[Footprint, int], float]  # of a model and a batch
Rule = Callable[[Footprint, Machine, int], Tensor]


def touched(m: Footprint, n: int) -> float:
    return experts_touched(m.n_experts, m.top_k, n)


def share(m: Footprint) -> float:
    """K/E, and 0 where there is no expert."""
    return m.top_k / m.n_experts if m.n_experts else 0.0


def speed(
    *, common: Part = lambda m, n: m.common_bytes, experts: Part = touched,
    cache: Part = lambda m, n: n * m.cache_bytes, flops: Part = lambda m, n: n * m.flops,
    join: Callable[[float, float], float] = max,
    answer: Callable[[int, float], float] = lambda n, seconds: n / seconds,
) -> Rule:  # fmt: skip
    """The right rule, with some of its parts computed in another way. experts: how many are read."""

    def rule(model: Footprint, machine: Machine, batch: int) -> Tensor:
        moved = common(model, batch) + experts(model, batch) * model.expert_bytes + cache(model, batch)
        seconds = join(moved / machine.bandwidth, flops(model, batch) / machine.flops)
        return torch.tensor(answer(batch, seconds) if seconds else math.inf, dtype=torch.float64)

    return rule


def nothing(m: Footprint, n: int) -> float:
    return 0


def exchanged(model: Footprint, machine: Machine, batch: int) -> Tensor:
    return speed()(model, Machine(machine.memory, machine.flops, machine.bandwidth), batch)


def numbers(a: Attempt) -> dict[str, str]:
    """What the right answer is made of, for sentences."""
    model, machine, batch = a.args
    one = step(model, machine, batch)
    return {
        "E": f"{model.n_experts:,}", "K": f"{model.top_k:,}", "touched": number(touched(model, batch), 3),
        "most": f"{min(model.n_experts, model.top_k * batch):,}", "choices": f"{model.top_k * batch:,}",
        "moving": number(one.moving, 4), "computing": number(one.computing, 4), "seconds": number(one.seconds, 4),
        "made": f"{batch:,} tokens" if batch > 1 else "1 token",
    }  # fmt: skip


def tokens(title: str, rule: Rule, say: str) -> Mistake:
    return one_wrong("tokens", title, rule, lambda a: told(say, a))


def told(say: str, a: Attempt) -> str:
    return said(LEAD + say[0].lower() + say[1:], a, **numbers(a))


def no_speed(a: Attempt) -> bool:
    """0, inf or nan for a dense model."""
    mine = float(a.got["tokens"])
    return a.args[0].n_experts == 0 and (mine == 0 or not math.isfinite(mine))


def all_that_counts(a: Attempt) -> str:
    """For a step that is wrong in some way that has no name."""
    experts = TOUCHED if a.args[0].n_experts else "This model has no experts."
    return told(f"{experts} {BOTH} So the step takes {{seconds}} s, and it makes {{made}}. Compare these "
                "numbers with yours, one by one.", a)  # fmt: skip


LEAD = "`tokens` is {tokens.beside:3}, for {note}: "
TOUCHED = "The batch touches {touched} of {E} experts on average."
OWN = "Every token is computed by its own {K} experts, so the step takes {batch:,} times the FLOPs of one token."
BOTH = "Moving takes {moving} s and computing {computing} s."

MISTAKES = (
    tokens("FLOPs of all experts", speed(flops=lambda m, n: n * (m.common_flops + m.n_experts * m.expert_flops)),
           "you computed all {E} experts for every token. All of them are in memory, but "
           "every token is computed by its own {K} experts only."),
    tokens("FLOPs of the touched experts", speed(flops=lambda m, n: n * (m.common_flops + touched(m, n)
           * m.expert_flops)), "you computed the {touched} experts that the batch touches for every token. " + OWN),
    tokens("FLOPs of the touched experts", speed(flops=lambda m, n: n * m.common_flops + touched(m, n)
           * m.expert_flops), "you computed each of the {touched} touched experts once. An expert computes anew for "
           "every token that chose it. " + OWN),
    tokens("The experts' FLOPs are missing", speed(flops=lambda m, n: n * m.common_flops), "you left out the FLOPs of "
           "the experts. " + OWN),
    tokens("The FLOPs of one expert", speed(flops=lambda m, n: n * (m.common_flops + min(m.n_experts, 1)
           * m.expert_flops)), "you computed one expert per token. " + OWN),
    tokens("The common FLOPs are missing", speed(flops=lambda m, n: n * m.top_k * m.expert_flops), "you computed the "
           "experts alone. `common_flops` are spent on every token as well."),
    tokens("The FLOPs of one token", speed(flops=lambda m, n: m.flops), "you computed one token. " + OWN),
    tokens("The experts' FLOPs of one token", speed(flops=lambda m, n: n * m.common_flops + m.top_k * m.expert_flops),
           "you computed the experts of one token. " + OWN),
    tokens("FLOPs are counted twice", speed(flops=lambda m, n: 2 * n * m.flops), "the FLOPs have a factor of 2 too "
           "many. `common_flops` and `expert_flops` are FLOPs already, not parameters."),
    tokens("All experts are read", speed(experts=lambda m, n: m.n_experts), "you read all {E} experts. " + TOUCHED
           + " The others are not read."),
    tokens("Only K experts are read", speed(experts=lambda m, n: m.top_k), "you read {K} experts. That is right for "
           "one text, but the tokens of {batch:,} texts choose different ones. " + TOUCHED),
    tokens("As if no two tokens chose the same expert", speed(experts=lambda m, n: min(m.n_experts, m.top_k * n)),
           "you read min(E, K · batch) = {most} experts, but some of the {choices} choices fall on the same expert. "
           + TOUCHED),
    tokens("Experts are read once per token", speed(experts=lambda m, n: m.top_k * n), "you read K · batch = {choices} "
           "experts. One that several tokens chose is read once. " + TOUCHED),
    tokens("A mean is no whole number", speed(experts=lambda m, n: round(touched(m, n))), "you rounded the number of "
           "experts. It is a mean, and stays as it is: {touched}."),
    tokens("A mean is no whole number", speed(experts=lambda m, n: math.floor(touched(m, n))), "you rounded the number "
           "of experts down. It is a mean, and stays as it is: {touched}."),
    tokens("A mean is no whole number", speed(experts=lambda m, n: math.ceil(touched(m, n))), "you rounded the number "
           "of experts up. It is a mean, and stays as it is: {touched}."),
    tokens("A token's experts are all different", speed(experts=lambda m, n: experts_touched(m.n_experts,
           min(m.n_experts, 1), m.top_k * n)), "you used (1 − 1/E)^(K · batch), as if a token could choose one expert "
           "twice. It chooses {K} different ones, and leaves an expert alone with probability 1 − K/E. " + TOUCHED),
    tokens("As if every token chose one expert", speed(experts=lambda m, n: experts_touched(m.n_experts,
           min(m.n_experts, 1), n)), "you used (1 − 1/E)^batch. A token chooses {K} experts, and leaves one alone with "
           "probability 1 − K/E. " + TOUCHED),
    tokens("The experts that are left alone", speed(experts=lambda m, n: m.n_experts * (1 - share(m)) ** n), "you "
           "read the experts that no token chose, E · (1 − K/E)^batch. The others are read. " + TOUCHED),
    tokens("Left alone by every token", speed(experts=lambda m, n: m.n_experts * (1 - share(m) ** n)), "you took "
           "(K/E)^batch from 1, which leaves out the experts that *every* token chose. Leave out those that no token "
           "chose, (1 − K/E)^batch. " + TOUCHED),
    tokens("Left alone by every token", speed(experts=lambda m, n: m.n_experts * share(m) ** n), "you read the experts "
           "that *every* token chose, E · (K/E)^batch. One token is enough. " + TOUCHED),
    tokens("A share of the experts", speed(experts=lambda m, n: 1 - (1 - share(m)) ** n), "you read a share of one "
           "expert. 1 − (1 − K/E)^batch is the probability that an expert is touched; there are {E}. " + TOUCHED),
    tokens("`//` makes 0 of K/E", speed(experts=lambda m, n: m.n_experts * (1 - (1 - int(share(m))) ** n)), "`//` "
           "rounds K/E down to 0, so no expert is read. Divide with `/`. " + TOUCHED),
    tokens("The experts are not read", speed(experts=nothing), "the weights of the experts are missing. " + TOUCHED),
    tokens("The common weights are not read", speed(common=nothing), "`common_bytes` is missing in what is moved."),
    tokens("The cache is forgotten", speed(cache=nothing), "the caches are missing in what is moved. Each of {batch:,} "
           "texts has one, of {model.cache_bytes:,} bytes."),
    tokens("The cache of one text", speed(cache=lambda m, n: m.cache_bytes), "you read one cache. Each of {batch:,} "
           "texts has its own, of {model.cache_bytes:,} bytes."),
    tokens("Weights are read once per step", speed(common=lambda m, n: n * m.common_bytes,
           experts=lambda m, n: n * m.top_k), "you read the weights again for each of {batch:,} tokens. They are read "
           "once per step, however many tokens use them."),
    tokens("Weights are read once per step", speed(common=lambda m, n: n * m.common_bytes), "you read `common_bytes` "
           "for each of {batch:,} tokens. They are read once per step, however many tokens use them."),
    tokens("Weights are read once per step", speed(common=lambda m, n: n * m.common_bytes,
           experts=lambda m, n: n * touched(m, n)), "you read the weights again for each of {batch:,} tokens. They are "
           "read once per step, however many tokens use them."),
    tokens("Weights are read once per step", speed(experts=lambda m, n: n * touched(m, n)), "you read the touched "
           "experts again for each of {batch:,} tokens. They are read once per step, however many tokens use them."),
    tokens("The two times are added", speed(join=lambda moving, computing: moving + computing), "you added the two "
           "times. " + BOTH + " They overlap, so the step takes as long as the slower one."),
    tokens("The faster of the two", speed(join=min), "you took the shorter time. " + BOTH + " The step ends when both "
           "are done, so it takes as long as the slower one."),
    tokens("Only moving counts", speed(join=lambda moving, computing: moving), "you took the time for moving. " + BOTH
           + " The slower of the two counts."),
    tokens("Only computing counts", speed(join=lambda moving, computing: computing), "you took the time for "
           "computing. " + BOTH + " The slower of the two counts."),
    tokens("Of one text, not of the batch", speed(answer=lambda n, seconds: 1 / seconds), "these are steps per second, "
           "or tokens per second of one text. In a step, each of {batch:,} texts gets one token."),
    tokens("Seconds, not tokens per second", speed(answer=lambda n, seconds: seconds), "that is how many seconds a "
           "step takes. It makes {batch:,} tokens: divide them by the seconds."),
    tokens("Seconds, not tokens per second", speed(answer=lambda n, seconds: seconds / n), "these are seconds per "
           "token. Divide the other way round."),
    tokens("Seconds, not tokens per second", speed(answer=lambda n, seconds: n * seconds), "you multiplied the tokens "
           "by the seconds. Divide {batch:,} tokens by the seconds of a step, {seconds}."),
    tokens("Bandwidth and FLOPs per second have changed places", exchanged, "bytes are divided by `machine.bandwidth`, "
           "and FLOPs by `machine.flops`. You exchanged the two."),
    tokens("A whole number of tokens", speed(answer=lambda n, seconds: n // seconds), "the number is rounded down. "
           "Return a float as it comes out."),
    tokens("A whole number of tokens", speed(answer=lambda n, seconds: round(n / seconds)), "the number is rounded. "
           "Return a float as it comes out."),
    sign("A dense model has a speed, too", no_speed, LEAD + "where `n_experts` is 0, no expert is read or computed. "
         "All the rest stays as it is: common weights, caches and common FLOPs."),
    sign("The step takes another time", lambda a: True, all_that_counts),
)  # fmt: skip


def without_experts(match: re.Match, line: Line, exercise: Exercise) -> Note:
    """Most likely K/E."""
    sentence = (
        "A dense model has `n_experts` = 0, so K/E cannot be computed for it. No expert is read then: ask for "
        "`n_experts` with an `if` before you divide by it."
    )
    return Note("A dense model has no experts", sentence)


TOKENS_PER_SECOND = Exercise(
    id="11.3", name="tokens_per_second", parameters=("model", "machine", "batch"), sizes="CXWFGEKN",
    outputs=(Output("tokens", real=True),), reference=tokens_per_second, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    causes=((ZeroDivisionError, r"", without_experts), *of_record(Footprint, "model", FIELDS),
            *of_record(Machine, "machine", ON_MACHINE)),
    hints=(
        "Compute two times for one step: that for moving bytes and that for computing. For each part ask: once per "
        "step, or once per text? And which experts does it mean: all, the touched ones, or the K of a token?",
        "Three things are moved: the common weights once, the touched experts once, and a cache per text. Two things "
        "are computed per token: the common FLOPs, and those of K experts. The step takes the `max` of the two times "
        "and makes `batch` tokens. With E = 0, leave the formula with K/E out.",
    ),
    minutes=12, lines="about 7 lines",
    done="Your function says which of the two a batch waits for, and how fast the same model serves many texts.",
)  # fmt: skip

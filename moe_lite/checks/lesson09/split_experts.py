"""Exercise 9.1, split_experts: finer experts and shared ones at the same size and the same work (DeepSeekMoE)."""

from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.inputs import F64
from moe_lite.checks.engine.mistakes import sign
from moe_lite.model.config import CHOICES, ModelConfig


def reference(config: ModelConfig, parts: int, shared: int) -> ModelConfig:
    """The same size and the same work, with finer experts (DeepSeekMoE, arXiv 2401.06066, section 3)."""
    n_experts, top_k, d_expert, n_shared = right(config.n_experts, config.top_k, config.d_expert, parts, shared)
    return replace(config, n_experts=n_experts, top_k=top_k, d_expert=d_expert, n_shared_experts=n_shared)


def right(E: int, K: int, F: int, m: int, s: int) -> tuple[int, int, int, int]:
    return m * E - s, m * K - s, F // m, s


# ---- a config as numbers ---------------------------------------------------------------------------------------------

SIZES = ("n_experts", "top_k", "d_expert", "n_shared_experts")
OTHERS = tuple(f for f in fields(ModelConfig) if f.name not in SIZES)
LARGEST = 2**53  # no size of a model; float64 holds every whole number up to here


def settings(config: ModelConfig) -> Tensor:
    """Every setting as a number, the four sizes first: (1, 1, settings) float64, in a form that no card draws."""
    others = [as_number(f.name, getattr(config, f.name)) for f in OTHERS]
    return torch.tensor([[[*(min(getattr(config, name), LARGEST) for name in SIZES), *others]]], dtype=F64)


def as_number(name: str, value: object) -> float:
    if isinstance(value, str):
        return CHOICES[name].index(value)
    return -1 if value is None else min(value, LARGEST)


def as_setting(field, number: float) -> object:
    """What `as_number` was made of."""
    if isinstance(field.default, str):
        return CHOICES[field.name][int(number)]
    if isinstance(field.default, (bool, int)):
        return type(field.default)(number)
    return None if number < 0 else number


def four(value: Tensor) -> tuple[int, int, int, int]:
    """n_experts, top_k, d_expert and n_shared_experts."""
    return tuple(int(number) for number in value[0, 0, : len(SIZES)])


# ---- inputs ----------------------------------------------------------------------------------------------------------

SHAPE = ("vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_expert", "n_experts", "top_k")
DEEPSEEK = {"score": "sigmoid", "selection_bias": True, "routed_scale": 2.5, "z_coef": 0.0}
GPT_OSS = {"order": "topk_first", "router_bias": True, "qk_norm": "head"}
PLAIN = {"renorm": False, "balance_coef": 0.02, "capacity_factor": 1.25, "logit_softcap": 30.0}


def cases() -> tuple[Case, ...]:
    # V, D, L, heads, key-value heads, F, E and K
    plain = (
        trial(97, 48, 7, 8, 4, 60, 13, 5, parts=3, shared=2, **DEEPSEEK),
        trial(101, 60, 7, 6, 3, 64, 19, 5, parts=4, shared=2, **GPT_OSS),
        trial(89, 72, 4, 9, 3, 50, 12, 2, parts=5, shared=6, **PLAIN),
    )
    unshared = (small(8, 2, 64, parts=4, shared=0), small(6, 1, 36, parts=2, shared=0))
    uncut = (small(8, 3, 64, parts=1, shared=0), small(8, 3, 64, parts=1, shared=2))
    most = (small(5, 2, 24, parts=3, shared=5), small(7, 3, 40, parts=2, shared=5))
    paper = (small(16, 2, 5632, parts=4, shared=1),)
    first, _ = inputs.usual(plain[:2], plain, name="a ModelConfig")
    return (
        *first,
        Case("cut and shared", plain, ("new_config",)),
        Case("no shared experts, s = 0", unshared, ("new_config",)),
        Case("experts that are not cut, m = 1", uncut, ("new_config",)),
        Case("all chosen parts but one are shared", most, ("new_config",)),
        Case("16 experts, 2 per token, m = 4, s = 1", paper, ("new_config",)),
    )


def trial(*shape: int, parts: int, shared: int, **others) -> Trial:
    config = ModelConfig(**dict(zip(SHAPE, shape, strict=True)), **others)
    sizes = f"E = {config.n_experts}, K = {config.top_k}, F = {config.d_expert}"
    return Trial((config, parts, shared), f"{sizes}, m = {parts}, s = {shared}")


def small(n_experts: int, top_k: int, d_expert: int, parts: int, shared: int, vocab_size: int = 97) -> Trial:
    """Without renormalising, so that a single choice is no odd one."""
    shape = (vocab_size, 32, 2, 4, 2, d_expert, n_experts, top_k)
    return trial(*shape, parts=parts, shared=shared, renorm=False, score="sigmoid")


def drawn(seed: int) -> tuple:
    """Small sizes, all of them drawn: K below E, and m a divisor of F."""
    g = inputs.generator(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=g))

    parts, top_k = draw(2, 6), draw(2, 5)
    d_expert, n_experts = parts * draw(3, 20), top_k + draw(1, 9)
    return small(n_experts, top_k, d_expert, parts, draw(1, parts * top_k - 1)).args


def extremes(seed: int) -> tuple[Trial, ...]:
    found = (
        small(2, 1, 8, parts=1, shared=0),
        small(2, 1, 8, parts=8, shared=7),
        small(4, 3, 4, parts=4, shared=4),
        small(6, 5, 36, parts=6, shared=6, vocab_size=6),
        small(512, 22, 2688, parts=2, shared=1),
        small(128, 8, 33_554_442, parts=3, shared=23),
    )
    return tuple(Trial(one.args, one.note + (", V = 6" if one.args[0].vocab_size == 6 else "")) for one in found)


DRAWN = Drawn(drawn, {}, long="", wide="", extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------

Rule = Callable[[int, int, int, int, int], tuple[int, int, int, int]]  # of E, K, F, m, s: the four sizes
USED = (
    "A token used {K} · {F} = {used_before:,} of expert width before, and {k} routed and {S} shared {experts} of width "
    "{f} use {used:,}. "
)
HELD = (
    "The layer held {E} · {F} = {held_before:,} of expert width before, and {n} routed and {S} shared {experts} of "
    "width {f} hold {held:,}. "
)


def cut(title: str, rule: Rule, say: str, more: Callable[[Attempt], str] = lambda a: "") -> Mistake:
    """The four sizes as `rule` gives them, whatever the other settings are."""

    def fits(a: Attempt) -> bool:
        return "new_config" in a.got and four(a.got["new_config"]) == tuple(rule(*given(a)))

    def shows(a: Attempt) -> bool:
        return fits(a) and four(a.got["new_config"]) != four(a.expected["new_config"])

    return sign(title, shows, lambda a: f"{filled(say, a)} {more(a)}".rstrip(), fits=fits)


def given(a: Attempt) -> tuple[int, int, int, int, int]:
    """E, K, F, m and s."""
    config, parts, shared = a.args
    return config.n_experts, config.top_k, config.d_expert, parts, shared


def filled(sentence: str, a: Attempt) -> str:
    (E, K, F, m, s), (n, k, f, S) = given(a), four(a.got["new_config"])
    right_n, right_k, right_f, _ = four(a.expected["new_config"])
    return sentence.format(
        E=E, K=K, F=F, m=m, s=s, n=n, k=k, f=f, S=S, right_n=right_n, right_k=right_k, right_f=right_f, parts=m * E,
        used=(k + S) * f, used_before=K * F, held=(n + S) * f, held_before=E * F, chosen=m * K,
        experts="expert" if S == 1 else "experts",
    ).rstrip()  # fmt: skip


def budgets(a: Attempt) -> str:
    """What a token uses and the layer holds, where it is not as much as before; else what is to be cut and shared."""
    (E, K, F, m, s), (n, k, f, S) = given(a), four(a.got["new_config"])
    broken = (USED if (k + S) * f != K * F else "") + (HELD if (n + S) * f != E * F else "")
    if broken == USED + HELD:
        return filled(broken + "Neither should change.", a)
    if broken:
        return filled(broken + "That should not change.", a)
    parts = f"become {m} parts each, {F // m} wide" if m > 1 else "stay whole"
    shares = "none of them is shared" if not s else f"{s} of them {'is' if s == 1 else 'are'} shared"
    return f"A token uses and the layer holds as much as before, but the {E} experts {parts}, and {shares}."


def uncut_without_shared(a: Attempt) -> bool:
    E, K, F, m, s = given(a)
    return s == 0 and m > 1 and four(a.got["new_config"]) == (E, K, F, 0)


def others_changed(a: Attempt) -> list[str]:
    """Settings beside the four sizes that are not what they were."""
    got, was = (value["new_config"][0, 0, len(SIZES) :] for value in (a.got, a.expected))
    pairs = zip(OTHERS, got.tolist(), was.tolist(), strict=True)
    return [
        f"`{f.name}` is {as_setting(f, mine)!r} and was {as_setting(f, before)!r}"
        for f, mine, before in pairs
        if not close(torch.tensor(mine, dtype=F64), torch.tensor(before, dtype=F64))
    ]


def lost(a: Attempt) -> bool:
    return four(a.got["new_config"]) == four(a.expected["new_config"]) and bool(others_changed(a))


def lost_sentence(a: Attempt) -> str:
    changed = others_changed(a)
    more = f", and {len(changed) - 3} more differ" if len(changed) > 3 else ""
    return (
        f"The experts are right, but {', '.join(changed[:3])}{more}. Every other setting stays as it is: `replace` "
        "takes over whatever it is not told to change."
    )


def one_size(a: Attempt) -> Note | None:
    """All of the four sizes that are wrong; the first one gives the title."""
    if not a.got or a.all_right:
        return None
    pairs = zip(SIZES, four(a.got["new_config"]), four(a.expected["new_config"]), strict=True)
    found = [(name, f"`{name}` is {mine:,}, expected {wanted:,}") for name, mine, wanted in pairs if mine != wanted]
    if not found:
        return None
    told = "; ".join(text for _, text in found)
    return Note(f"`{found[0][0]}` is not right yet", f"With {a.trial.note}, {told}. {budgets(a)}")


MISTAKES = (
    cut("Nothing has changed", lambda E, K, F, m, s: (E, K, F, 0), "Your config still has {E} experts of width {F}, "
        "{K} per token and none shared. Each of the {E} becomes {m} parts, and {s} of all parts are shared."),
    cut("The shared experts come on top", lambda E, K, F, m, s: (m * E, m * K, F // m, s), HELD + "The {s} shared "
        "experts are some of the {parts} parts: take them off both numbers, what is held and what is chosen."),
    cut("The layer holds more than before", lambda E, K, F, m, s: (m * E, m * K - s, F // m, s), HELD + "The {s} "
        "shared experts are some of the {parts} parts, so {right_n} remain to be chosen from."),
    cut("A token uses more than before", lambda E, K, F, m, s: (m * E - s, m * K, F // m, s), USED + "The {s} shared "
        "experts are part of a token's work, so it chooses {right_k} of the others."),
    cut("No expert is shared", lambda E, K, F, m, s: (m * E - s, m * K - s, F // m, 0), "The {s} parts are taken off "
        "the routed experts, but `n_shared_experts` is still 0: the layer has lost them. " + HELD),
    cut("No expert is shared", lambda E, K, F, m, s: (m * E, m * K, F // m, 0), "The cut is right, but all {parts} "
        "parts are routed experts. {s} of them are to be shared."),
    cut("The experts keep their width", lambda E, K, F, m, s: (m * E - s, m * K - s, F, s), "There are {m} times as "
        "many experts, each still of width {f}. " + HELD + "A part is {F} / {m} = {right_f} wide."),
    cut("The experts keep their width", lambda E, K, F, m, s: (m * E, m * K, F, s), "There are {m} times as many "
        "experts, each still of width {f}. " + HELD + "A part is {F} / {m} = {right_f} wide, and the shared experts "
        "are some of the parts."),
    cut("The experts become wider", lambda E, K, F, m, s: (m * E - s, m * K - s, F * m, s), "An expert of width {F} is "
        "cut into {m} parts, and yours are {f} wide. A part is {F} / {m} = {right_f} wide."),
    *(cut("A token still chooses as many as before", lambda E, K, F, m, s, off=off: (m * E - s, K - off * s, F // m, s),
          USED + "A part does {m} times less work than a whole expert, so a token needs {m} · {K} = {chosen} parts, "
          "shared ones included.") for off in (0, 1)),
    *(cut("There are as many experts as before", lambda E, K, F, m, s, off=off: (E - off * s, m * K - s, F // m, s),
          HELD + "Each of the {E} experts becomes {m}, which makes {parts} parts.") for off in (0, 1)),
    *(cut("Only the width is cut", lambda E, K, F, m, s, off=off: (E - off * s, K - off * s, F // m, s), "The experts "
          "are {m} times narrower, but not {m} times as many. ", budgets) for off in (0, 1)),
    *(cut("Taken away before the cut", lambda E, K, F, m, s, rule=rule: (max(1, m * (E - s)), rule(K, m, s), F // m, s),
          "You took {s} whole experts away and cut the others. Cut all {E} first: {s} of the {parts} parts are shared.")
      for rule in (lambda K, m, s: max(1, m * (K - s)), lambda K, m, s: m * K - s)),
    cut("Cut once too often", lambda E, K, F, m, s: ((m + 1) * E - s, (m + 1) * K - s, max(1, F // (m + 1)), s), "You "
        "cut each expert into {m} + 1 parts. `parts` is the number of parts, not of cuts: {m}, each {right_f} wide."),
    sign("Nothing is cut where nothing is shared", uncut_without_shared, lambda a: filled("With s = 0 your config "
         "still has {E} experts of width {F}. Each becomes {m} parts here, too, and none of them is shared.", a)),
    *(cut("The shared experts count as whole ones", lambda E, K, F, m, s, off=off: (m * E - (m if off else 1) * s,
      max(1, m * K - (m if off else 1) * s), F // m, m * s), "Your layer has {S} shared experts. {s} *parts* are "
          "shared, each {right_f} wide: they are counted after the cut.") for off in (0, 1)),
    *(cut("The shared experts are added", lambda E, K, F, m, s, on=on: (m * E + s, m * K + on * s, F // m, s), HELD +
          "The {s} shared experts are taken from the parts: subtract them.") for on in (-1, 1)),
    cut("The experts are not cut", lambda E, K, F, m, s: (E - s, K - s, F, s), "Some experts are shared, but all are "
        "still {f} wide, and there are {n} and {S} of them. Cut each of the {E} into {m} parts first."),
    cut("`parts` and `shared` have changed places", lambda E, K, F, m, s: (s * E - m, s * K - m, F // s if s else F, m),
        "You cut each expert into {s} parts and share {m} of them. It is the other way round: {m} parts of each, {s} "
        "of them shared."),
    sign("Another setting has changed", lost, lost_sentence),
    Mistake(one_size),
)  # fmt: skip


def picture(attempt: Attempt, outputs: dict[str, Tensor]) -> Tensor:
    """The four sizes, (4,) int64."""
    return torch.tensor(four(outputs["new_config"]))


SPLIT_EXPERTS = Exercise(
    id="9.1", name="split_experts", parameters=("config", "parts", "shared"), sizes="VDLHMSFEKZms",
    outputs=(Output("new_config", kind=ModelConfig, tensor_of=settings),), reference=reference, cases=cases,
    mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Cut first, and count the parts: how many are there, and how many of them does a token use, if its work stays "
        "the same? The shared ones are among both.",
        "Four settings change: `n_experts` and `top_k` are each multiplied by m and then made smaller by s, "
        "`d_expert` is divided, and `n_shared_experts` is s. `replace` takes the config first, then the settings by "
        "name. `//` keeps the width a whole number.",
    ),
    minutes=8, lines="about 5 lines",
    in_program=False,
    done="The same size, the same work, finer experts. 16 experts with 2 per token, m = 4 and s = 1 are what "
    "DeepSeekMoE's paper compares: 63 routed experts, 7 of them chosen, and 1 shared.",
    picture=("n_experts, top_k, d_expert, n_shared_experts", picture),
)  # fmt: skip

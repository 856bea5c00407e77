"""Exercise 9.4, from_words: a router's settings, from its description."""

import math
import re
import warnings
from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.compare import close, first_difference, listed, number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.mistakes import sign
from moe_lite.model.config import ROUTERS, ModelConfig
from moe_lite.model.transformer import build_router


def reference(n_experts: int, top_k: int) -> ModelConfig:
    """The settings of the router that is described (OpenAIPrivacyFilterTopKRouter in transformers)."""
    return ModelConfig(
        n_experts=n_experts, top_k=top_k, order="topk_first", router_bias=True, routed_scale=1 / top_k
    )  # fmt: skip


# ---- what is compared ------------------------------------------------------------------------------------------------

D_MODEL, N_TOKENS, MOST_EXPERTS = 16, 7, 2000
DENSE, OTHER_ROUTER, ZERO_EXPERTS, JITTER, TOO_MANY = range(5)  # why no weights are compared
OF_THE_RULE = {"n_experts", "top_k", "router", "selection_bias", "router_bias"} | ModelConfig().routing_options().keys()
OTHERS = sorted((f for f in fields(ModelConfig) if f.name not in OF_THE_RULE), key=lambda f: f.name != "gate_on")


def shares(config: ModelConfig) -> Tensor:
    """What fixed tokens give each expert by a config's router, (N, E); or (1, 1, 2): why that is not compared, and a
    number that says more.

    One more row, where settings beside the router's have changed: which is the first (`OTHERS`), and how many.
    All routers have the same random parameters, whatever else they have. The width of the tokens is always the same.
    """
    if (reason := not_compared(config)) is not None:
        return torch.tensor([[reason]], dtype=torch.float32)
    with warnings.catch_warnings():  # what its maker has been told once
        warnings.simplefilter("ignore")
        router = build_router(replace(config, d_model=D_MODEL, n_heads=1, n_kv_heads=1)).eval()
    parts = {"weight": router.weight, "logit_bias": router.logit_bias, "bias": router.bias}
    with torch.no_grad():
        for name, part in parts.items():
            if part is not None:
                part.copy_(random(name, *part.shape))
        combine = router(random("tokens", N_TOKENS, D_MODEL)).combine  # (N, E)
    changed = [i for i, f in enumerate(OTHERS) if getattr(config, f.name) != f.default]
    if not changed:
        return combine
    told = torch.zeros(1, config.n_experts)
    told[0, :2] = torch.tensor([changed[0], len(changed)])
    return torch.cat([combine, told])


def not_compared(config: ModelConfig) -> list[float] | None:
    if config.is_dense:
        return [DENSE, 0]
    if config.router != "top_k":
        return [OTHER_ROUTER, ROUTERS.index(config.router)]
    if config.n_zero_experts:
        return [ZERO_EXPERTS, min(config.n_zero_experts, MOST_EXPERTS)]
    if config.jitter:
        return [JITTER, config.jitter]
    return [TOO_MANY, 0] if config.n_experts > MOST_EXPERTS else None


SEEDS = {"weight": 0, "logit_bias": 1, "bias": 2, "tokens": 3}


def random(name: str, *shape: int) -> Tensor:
    """float32, the same in each call for a name and a shape; small enough that no logit decides alone."""
    drawn = torch.randn(*shape, generator=inputs.generator(SEEDS[name]))
    return drawn if name == "tokens" else 0.4 * drawn


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (trial(8, 3), trial(16, 5), trial(11, 2))
    first, _ = inputs.usual(plain, plain, name="a ModelConfig with these two")
    return (
        *first,
        Case("what each token gives each expert", plain, ("config",)),
        Case("4 of 32 and 6 of 64 experts", (trial(32, 4), trial(64, 6)), ("config",)),
        Case("all experts, and one fewer", (trial(7, 7), trial(7, 6), trial(2, 2)), ("config",)),
    )


def trial(n_experts: int, top_k: int) -> Trial:
    return Trial((n_experts, top_k), f"n_experts={n_experts}, top_k={top_k}")


def drawn(seed: int) -> tuple:
    """Small whole numbers."""
    g = inputs.generator(seed)
    top_k = int(torch.randint(2, 10, (), generator=g))
    return top_k + int(torch.randint(1, 30, (), generator=g)), top_k


def extremes(seed: int) -> tuple[Trial, ...]:
    return (*(trial(k, k) for k in (3, 4, 9)), trial(3, 2), trial(128, 4), trial(256, 8), trial(700, 22))


DRAWN = Drawn(drawn, {}, long="", wide="", extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def weights(attempt: Attempt) -> Tensor | None:
    """What tokens give the experts (N, E), where it could be compared."""
    got = attempt.got.get("config")
    return got[:N_TOKENS] if got is not None and got.dim() == 2 else None


def as_described(attempt: Attempt) -> bool:
    got = weights(attempt)
    return got is not None and close(got, attempt.expected["config"])


def rule(title: str, config: Callable[[int, int], ModelConfig], say: str) -> Mistake:
    """A config whose router gives the same weights as `config(n_experts, top_k)`."""
    made: dict[tuple[int, int], Tensor] = {}

    def fits(a: Attempt) -> bool:
        if a.args not in made:
            made[a.args] = shares(config(*a.args))
        return weights(a) is not None and close(weights(a), made[a.args])

    def shows(a: Attempt) -> bool:
        return fits(a) and not as_described(a)

    return sign(title, shows, lambda a: f"{where(a)}. {said(say, a)}", fits=fits)


def said(sentence: str, a: Attempt) -> str:
    n_experts, top_k = a.args
    return sentence.format(E=n_experts, K=top_k, inverse=number(1 / top_k, 3), rows=row_sums(a))


def row_sums(a: Attempt) -> str:
    """One number where all tokens have the same."""
    sums = weights(a).sum(dim=1)  # (N,)
    return number(float(sums[0]), 3) if close(sums, sums[:1].expand_as(sums)) else listed(sums.tolist(), 3)


def where(a: Attempt) -> str:
    """The first token and expert that differ."""
    got, right = weights(a), a.expected["config"]
    n, e = first_difference(got, right)
    mine, wanted = float(got[n, e]), float(right[n, e])
    start = f"With {a.trial.note} and random weights, token {n} "
    if not mine or not wanted:
        verb = "does not choose" if not mine else "chooses"
        return start + f"{verb} expert {e} by your settings, and {'does' if wanted else 'does not'} by the description"
    return (
        start
        + f"gives expert {e} the weight {number(mine, 4)} by your settings, {number(wanted, 4)} by the description"
    )


def model(**settings) -> Callable[[int, int], ModelConfig]:
    """What `settings` make of (n_experts, top_k); one that follows from top_k is a function of it."""

    def config(n_experts: int, top_k: int) -> ModelConfig:
        found = {name: value(top_k) if callable(value) else value for name, value in settings.items()}
        return ModelConfig(**{"n_experts": n_experts, "top_k": top_k} | found)

    return config


def inverse(top_k: int) -> float:
    return 1 / top_k


def number_of_experts(a: Attempt) -> bool:
    return weights(a) is not None and weights(a).shape[1] != a.args[0]


def same_form(a: Attempt) -> bool:
    return weights(a) is not None and weights(a).shape == a.expected["config"].shape and not as_described(a)


def per_token(a: Attempt) -> int:
    return int((weights(a)[0] != 0).sum())


def number_per_token(a: Attempt) -> bool:
    got = weights(a)
    return got is not None and not number_of_experts(a) and bool(((got != 0).sum(dim=1) != a.args[1]).all())


def factor(a: Attempt) -> float | None:
    """What all weights are too large by, where it is one number."""
    got, right = weights(a), a.expected["config"]
    if got is None or got.shape != right.shape or not bool(((got != 0) == (right != 0)).all()):
        return None
    ratio = float(got.sum() / right.sum())
    return ratio if close(got, right * ratio) and abs(ratio - 1) > 1e-4 else None


def one_scale(a: Attempt) -> bool:
    return factor(a) is not None


def constant_scale(a: Attempt) -> bool:
    """Right experts and proportions, and a scale that no K of the trial explains: a number written into the code."""
    ratio = factor(a)
    if ratio is None:
        return False
    scale, top_k = ratio / a.args[1], a.args[1]
    return not any(math.isclose(scale, s, rel_tol=1e-4) for s in (1, top_k))


def scale_sentence(a: Attempt) -> str:
    scale = factor(a) / a.args[1]
    return (
        f"With {a.trial.note}, the right experts get weights in the right proportion, but they sum to "
        f"{row_sums(a)} per token: a scale of {number(scale, 3)}. The description divides by K = {a.args[1]}, "
        f"so the scale is {number(1 / a.args[1], 3)}. Does it follow from `top_k`?"
    )


def others_changed(a: Attempt) -> bool:
    return as_described(a) and len(a.got["config"]) > N_TOKENS


def others_sentence(a: Attempt) -> str:
    first, how_many = map(int, a.got["config"][N_TOKENS, :2])
    name, more = OTHERS[first].name, how_many - 1
    if name == "gate_on":
        return "`gate_on` is not its default: where the weights act is a part of the rule."
    beside = f", and {more} more {'is' if more == 1 else 'are'} not" if more else ""
    return (
        f"The router does what the description says, but `{name}` is not at its default{beside}. The description is "
        "about the router alone: leave everything else as it is."
    )


def reason(a: Attempt, kind: int) -> bool:
    got = a.got.get("config")
    return got is not None and got.dim() == 3 and int(got[0, 0, 0]) == kind


def because(kind: int, title: str, say: Callable[[float], str]) -> Mistake:
    return sign(title, lambda a: reason(a, kind), lambda a: say(float(a.got["config"][0, 0, 1])))


UNKNOWN = (
    because(DENSE, "One expert is no mixture", lambda value: "Your config has `n_experts` = 1: a dense model, which "
            "has no router at all. Give it the number of experts that comes in."),
    because(OTHER_ROUTER, "A router of another kind", lambda value: f"Your config has router={ROUTERS[int(value)]!r}, "
            "a rule of its own kind. The description begins with a linear layer and takes the K largest logits: that "
            "is the usual router, the default. What it does otherwise is said by other settings."),
    because(ZERO_EXPERTS, "Experts that compute nothing", lambda value: f"Your config has n_zero_experts={int(value)}. "
            "The description knows no such experts: leave that at its default."),
    because(JITTER, "Jitter that nobody asked for", lambda value: f"Your config has jitter={number(value)}, noise on "
            "what the router sees in training. The description knows of none: leave that at its default."),
    because(TOO_MANY, "Far too many experts", lambda value: f"Your config has more than {MOST_EXPERTS:,} experts. Give "
            "it the number that comes in."),
)  # fmt: skip

BIAS_CHOOSES = "The bias does not weigh"
MISTAKES = (
    *UNKNOWN,
    sign("Another number of experts", number_of_experts, lambda a: f"Your config has {weights(a).shape[1]} experts. "
         f"The function was given n_experts={a.args[0]} and top_k={a.args[1]}."),
    sign("Another number of experts per token", number_per_token, lambda a: f"With your config, token 0 uses "
         f"{per_token(a)} experts. The function was given top_k={a.args[1]}."),
    *(rule(BIAS_CHOOSES, model(selection_bias=True, routed_scale=inverse, **more), "`selection_bias` is added for "
           "choosing only, and a rule moves it. The bias of the description is trained, and it is part of the logits: "
           "it chooses and weighs.") for more in ({}, {"select_on": "logit"})),
    *(rule(BIAS_CHOOSES, model(selection_bias=True, **more), "Two things. `selection_bias` is added for choosing only; "
           "the bias of the description is part of the logits, so it chooses and weighs. And each weight is divided by "
           "K = {K}.") for more in ({}, {"select_on": "logit"})),
    rule("Two biases", model(selection_bias=True, router_bias=True, routed_scale=inverse), "The description has one "
         "bias, which is part of the logits. Yours has `selection_bias` as well, which moves the choice once more."),
    rule("The bias is missing", model(order="topk_first", routed_scale=inverse), "The linear layer of the description "
         "has a bias, one number per expert, that is trained with it: yours has none."),
    rule("Bias and division are missing", model(), "That is the default, Mixtral's router. The description adds two "
         "things to it: a bias in the linear layer, and a division of each weight by K = {K}."),
    rule("The weights are not divided by K", model(order="topk_first", router_bias=True), "Your weights sum to {rows} "
         "per token: that is gpt-oss's router. The description then divides each weight by K = {K}, so they sum to "
         "{inverse}."),
    rule("Multiplied by K", model(order="topk_first", router_bias=True, routed_scale=float), "Your weights sum to "
         "{rows} per token. `routed_scale` multiplies the weights: to divide by K = {K}, it must be {inverse}."),
    *(rule("The softmax runs over all experts", model(router_bias=True, renorm=False, **more), "Your weights are "
           "shares of all {E} experts and sum to {rows} per token. In the description the softmax sees only the {K} "
           "logits that are kept" + also) for more, also in (({"routed_scale": inverse}, "."),
           ({}, ", and each weight is then divided by {K}."))),
    *(rule("Sigmoid, not softmax", model(router_bias=True, score="sigmoid", routed_scale=scale, **more), "Your experts "
           "are scored by a sigmoid, each alone. The description takes a softmax over the kept logits.")
      for scale in (inverse, 1.0) for more in ({}, {"renorm": False}, {"order": "topk_first"},
                                               {"order": "topk_first", "renorm": False})),
    rule("The logits are divided, not the weights", model(order="topk_first", router_bias=True, logit_scale=inverse),
         "`logit_scale` divides the logits before the softmax, and your weights sum to {rows} per token. The "
         "description divides the weights: `routed_scale`."),
    rule("Divided by K + 1", model(order="topk_first", router_bias=True, renorm_eps=float), "Your weights sum to "
         "{rows} per token: `renorm_eps` is added to their sum, which is 1 after this softmax, and renormalising "
         "divides by 1 + {K}. The description divides by K = {K}; `routed_scale` multiplies."),
    rule("Divided by K twice", model(order="topk_first", router_bias=True, renorm_eps=lambda top_k: top_k - 1.0,
         routed_scale=inverse), "Your weights sum to {rows} per token: `renorm_eps` has divided them by K = {K}, and "
         "`routed_scale` does so once more."),
    rule("Divided by the number of experts", lambda E, K: ModelConfig(n_experts=E, top_k=K, router_bias=True,
         routed_scale=1 / E), "Your weights sum to {rows} per token, which is 1 / {E}. The description divides by K = "
         "{K}, the number of experts that are kept."),
    sign("The scale is another number", constant_scale, scale_sentence),
    sign("The router is another one", same_form,
         lambda a: f"{where(a)}. The description has four parts: a bias in the logits, the choice, the softmax, the "
         "division. Which setting stands for each?"),
    sign("Another setting has changed", others_changed, others_sentence),
)  # fmt: skip


# ---- what ModelConfig refuses ----------------------------------------------------------------------------------------


def bias_of_the_wrong_kind(match: re.Match, line: Line, exercise: Exercise) -> Note:
    """Unless the groups are what does not go with the order."""
    if "selection_bias" not in line.function:
        return not_in_the_description(match, line, exercise)
    return Note(
        "The bias is of the wrong kind",
        "`selection_bias` only chooses: it is added to scores, and `order='topk_first'` chooses before there are any. "
        "The bias of the description is trained and part of the logits, so it chooses and weighs: it is `router_bias`.",
    )


def swapped_numbers(match: re.Match, line: Line, exercise: Exercise) -> Note:
    sentence = (
        f"Your config chooses `top_k` = {match[1]} of `n_experts` = {match[2]} experts, more than there are. The "
        "function is given `n_experts` first, then `top_k`: have they changed places?"
    )
    return Note("More experts chosen than there are", sentence)


def not_in_the_description(match: re.Match, line: Line, exercise: Exercise) -> Note:
    sentence = match[1][0].upper() + match[1][1:]
    sentence += " Which sentence of the description asks for this setting?"
    return Note("Settings that contradict each other", f"`ModelConfig` refuses these settings together. {sentence}")


CAUSES = (
    (ValueError, r"ModelConfig: (order='topk_first' chooses among logits.+)$", bias_of_the_wrong_kind),
    (ValueError, r"ModelConfig: top_k is (\d+), expected at most n_experts=(\d+)\.", swapped_numbers),
    (ValueError, r"ModelConfig: (?!\w+ is .*, expected )(.+)$", not_in_the_description),
)


def picture(attempt: Attempt, outputs: dict[str, Tensor]) -> Tensor | None:
    """(N, E), where there is one."""
    return outputs["config"][:N_TOKENS] if outputs["config"].dim() == 2 else None


FROM_WORDS = Exercise(
    id="9.4", name="from_words", parameters=("n_experts", "top_k"), sizes="EK",
    outputs=(Output("config", kind=ModelConfig, tensor_of=shares),), reference=reference, cases=cases,
    mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Take the description sentence by sentence. A bias that is part of the logits both chooses and weighs: two "
        "settings are called a bias, and only one of them does that. Then ask what the softmax sees, and what happens "
        "after it.",
        "Beside `n_experts` and `top_k` three settings play a part: `router_bias`, `order` and `routed_scale`. The "
        "last one multiplies, so what must it be to divide by K?",
    ),
    minutes=8, lines="about 3 lines",
    in_program=False,
    done="You have set up the router of OpenAI's privacy filter: transformers calls the class "
    "OpenAIPrivacyFilterTopKRouter. It is gpt-oss's rule, with each weight divided by K.",
    picture=("weights by expert (N, E)", picture), causes=CAUSES,
)  # fmt: skip

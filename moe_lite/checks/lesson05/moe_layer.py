"""Exercise 5.1, moe_layer: route, compute, add the shared expert; with the package's own modules."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, first_difference, shape_text
from moe_lite.checks.engine.exercise import GRADIENT, Attempt, Case, Drawn, Exercise, Mistake, Output, Trial, Watch
from moe_lite.checks.engine.inputs import F64, with_gradient
from moe_lite.checks.engine.mistakes import one_wrong, sign
from moe_lite.model.experts import Experts, SwiGLU
from moe_lite.model.routing import Router, Routing


def reference(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> tuple[Tensor, Routing]:
    """x (B, T, D) -> y (B, T, D), routing."""
    flat, routing = x.flatten(0, 1), router(x)  # (N, D)
    y = experts(flat, routing)  # (N, D)
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    # B, T, D; E, K, F and the shared expert's width
    plain = (random(1, 2, 7, 4, 5, 2, 3, 9), random(2, 3, 4, 8, 7, 3, 5, 11), random(3, 4, 2, 6, 3, 2, 5, 8))
    alone = (random(4, 2, 5, 4, 6, 2, 3, 0), random(5, 3, 2, 6, 4, 1, 5, 0))
    edges = (random(6, 1, 6, 4, 5, 2, 3, 7), random(7, 5, 1, 4, 3, 1, 2, 6), random(8, 1, 1, 4, 5, 3, 2, 6))
    other = (random(11, 2, 7, 4, 5, 2, 3, 9),)  # the shape of the first, other values: nothing may be left over
    gradient = with_gradient(plain[:1], 0, 1, 2, 3) + with_gradient(alone[:1], 0, 1, 2)
    first, _ = inputs.usual((plain[0], in_float32(plain[1]), plain[2]), plain)
    return (
        *first,
        Case("experts and shared expert", plain + other, ("y", "routing", "experts input")),
        Case("no shared expert", alone, ("y", "routing", "experts input")),
        Case("one text, one token", edges, ("y", "routing", "experts input")),
        Case("each part asked once", plain + alone, ("router calls", "router input", "experts calls", "shared calls")),
        Case("the parts' answers stay as they are", plain + alone, ("changed answers",)),
        Case("gradient of every part", gradient, (GRADIENT,)),
    )


def random(
    seed: int, n_batch: int, length: int, d_model: int, n_experts: int, k: int, d_expert: int, d_shared: int
) -> Trial:
    x = torch.randn(n_batch, length, d_model, dtype=F64, generator=inputs.generator(seed)).round(decimals=3)
    router = made(f"Router({d_model}, {n_experts}, {k})", Router(d_model, n_experts, k), seed)
    experts = made(f"Experts({n_experts}, {d_model}, {d_expert})", Experts(n_experts, d_model, d_expert), seed + 0.5)
    shared = made(f"SwiGLU({d_model}, {d_shared})", SwiGLU(d_model, d_shared), seed + 0.25) if d_shared else None
    return Trial((x, router, experts, shared), inputs.note(seed, F64))


def made(code: str, module: nn.Module, start: float) -> nn.Module:
    """A part that a learner can make again: `code_needs` and `as_code` are shown with the input."""
    module = filled(module.double(), start)
    module.code_needs = "from moe_lite.checks.lesson05.moe_layer import Experts, Router, SwiGLU, filled"
    module.as_code = f"filled({code}.double(), {start:g})"
    return module


def filled(module: nn.Module, start: float) -> nn.Module:
    """The same parameters in every place: numbers of a wave, none of them alike, small enough to be harmless."""
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            places = torch.arange(parameter.numel(), dtype=F64)
            parameter.copy_((start + number + 1.7 * places + 0.01 * places**2).sin().view_as(parameter))
    return module


def in_float32(trial: Trial) -> Trial:
    """The modules are copies, for `.float()` changes them in place."""
    x, *modules = trial.args
    copies = [copy.deepcopy(module).float() for module in modules]
    for one in copies:
        one.as_code += ".float()"
    return Trial((x.float(), *copies), trial.note.replace("float64", "float32"))


class WithoutParts(nn.ModuleList):
    """A shared expert that is an empty list of modules, and gives back what it is given."""

    code_needs, as_code = "from moe_lite.checks.lesson05.moe_layer import WithoutParts", "WithoutParts()"

    def forward(self, x: Tensor) -> Tensor:
        return x


EMPTY = "a shared expert without parts of its own"


def drawn(seed: int, B: int, T: int, D: int, E: int, k: int, F: int, G: int) -> tuple:
    return random(seed, B, T, D, E, k, F, G).args


def extremes(seed: int) -> tuple[Trial, ...]:
    x, *parts = drawn(seed, 2, 7, 4, 5, 2, 3, 9)
    return (
        Trial((torch.zeros_like(x), *parts), "x all 0"),
        Trial((x * 1e3, *parts), "x in the thousands"),
        Trial((x, *parts[:2], WithoutParts()), EMPTY),
    )


DRAWN = Drawn(
    drawn, {"B": 2, "T": 7, "D": 4, "E": 5, "k": 3, "F": 6, "G": 9}, at_most=(("k", "E"),), long="T", thousands=1100,
    gradient=(0, 1, 2, 3), float32=False, extremes=extremes,
)  # fmt: skip


# ---- what is asked of the parts --------------------------------------------------------------------------------------


@contextmanager
def asked(args: tuple) -> Iterator[dict[str, Tensor]]:
    """Counts the calls of each part and the answers that are written to, and keeps the shapes that the router and the
    experts saw.

    Experts that are given texts (B, T, D) compute as if they had been given tokens (N, D): so the check can name it.
    """
    calls: dict[str, list[tuple[int, ...]]] = {name: [] for name in ("router", "experts", "shared")}
    hooks = [
        part.register_forward_pre_hook(
            lambda module, given, named, to=calls[name]: to.append(shape_of(given, named)), with_kwargs=True
        )
        for name, part in zip(calls, args[1:], strict=True)
        if part is not None
    ]
    answers: list[tuple[Tensor, int]] = []  # each with how often it was written to
    hooks += [
        part.register_forward_hook(lambda module, given, y: answers.append((y, y._version)))
        for part in args[2:]
        if part is not None
    ]
    hooks.append(args[2].register_forward_pre_hook(flattened, with_kwargs=True))
    hooks.append(args[2].register_forward_hook(lambda module, given, y: restored(y, calls["experts"][-1])))
    found: dict[str, Tensor] = {}
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
    found |= {f"{name} calls": torch.tensor(len(shapes)) for name, shapes in calls.items()}
    for name in ("router", "experts"):
        found[f"{name} input"] = torch.tensor(calls[name][0] if calls[name] else (), dtype=torch.int64)
    found["changed answers"] = torch.tensor(sum(y._version > before for y, before in answers))


def shape_of(given: tuple, named: dict) -> tuple[int, ...]:
    """Of the first tensor that a part was given, () if there is none."""
    return next((tuple(value.shape) for value in (*given, *named.values()) if isinstance(value, Tensor)), ())


def flattened(module: nn.Module, given: tuple, named: dict) -> tuple[tuple, dict]:
    """Texts (B, T, D) among the arguments become tokens (N, D)."""

    def flat(value: object) -> object:
        return value.flatten(0, 1) if isinstance(value, Tensor) and value.dim() == 3 else value

    return tuple(flat(value) for value in given), {name: flat(value) for name, value in named.items()}


def restored(y: Tensor, given: tuple[int, ...]) -> Tensor:
    """y (N, D) in the shape (B, T, D) that the experts were given, if it was one."""
    return y.view(given) if len(given) == 3 else y


WATCHED = ("router calls", "experts calls", "shared calls", "router input", "experts input", "changed answers")
ASKED = Watch(tuple(Output(name) for name in WATCHED), asked)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def wrong_y(title: str, rule: Callable[..., Tensor], say: str) -> Mistake:
    return one_wrong("y", title, rule, f"{{y.first:4}}: {say}")


def layer(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    return reference(x, router, experts, shared)[0]


def chosen(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    """What the chosen experts give, without the shared one."""
    return layer(x, router, experts, None)


def shared_alone(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    return torch.zeros_like(x) if shared is None else shared(x)


def one_kind(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    """The shared expert where there is one, else the chosen ones."""
    return chosen(x, router, experts, None) if shared is None else shared(x)


def averaged(x: Tensor, *parts) -> Tensor:
    return layer(x, *parts) / (1 if parts[-1] is None else 2)


def shared_weighed(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    """The shared expert multiplied by a token's largest weight."""
    largest = router(x).top_k[0][:, :1].view(*x.shape[:2], 1).to(x.dtype)  # (B, T, 1)
    return chosen(x, router, experts, None) + largest * shared_alone(x, router, experts, shared)


def shared_after(x: Tensor, *parts) -> Tensor:
    """The shared expert works on what the chosen ones give."""
    y = chosen(x, *parts)
    return y + shared_alone(y, *parts)


def shared_on_top(x: Tensor, *parts) -> Tensor:
    """The same, and the chosen ones' answer is not added to its own."""
    y = chosen(x, *parts)
    return y if parts[-1] is None else shared_alone(y, *parts)


def turned(x: Tensor, *parts) -> Tensor:
    """Tokens laid out text by text, and folded back as if position by position."""
    n_batch, length, width = x.shape
    return layer(x, *parts).flatten(0, 1).view(length, n_batch, width).transpose(0, 1)


def flat(a: Attempt) -> bool:
    return a.got["y"].shape == a.expected["y"].flatten(0, 1).shape


def calls(a: Attempt, part: str) -> int:
    return int(a.got[f"{part} calls"])


def uncalled(a: Attempt) -> list[str]:
    """Parts that took no part, though they were given."""
    return [p for p in ("router", "experts", "shared") if calls(a, p) == 0 and int(a.expected[f"{p} calls"])]


def left_out(a: Attempt) -> bool:
    """The shared expert without parts takes no part."""
    return a.trial.note == EMPTY and close(a.got["y"], chosen(*a.args))


MISTAKES = (
    sign("The answer stays flat", flat, "`y` is {y.shape}, one row per token. The block around the layer expects "
         "texts: return it in the shape of `x`, {right.y.shape}."),
    wrong_y("The shared expert is missing", chosen, "the chosen experts are there; `shared(flat)` is to be added when "
            "there is one."),
    wrong_y("The chosen experts are missing", one_kind, "only the shared expert is in `y`. The chosen experts' sum "
            "comes first, the shared expert is added."),
    wrong_y("The token itself is added", lambda x, *parts: x + layer(x, *parts), "`x` is in the sum as well. The block "
            "around the layer adds it; here it would count twice."),
    wrong_y("The shared expert has a weight", shared_weighed, "the shared expert's answer is multiplied by a weight of "
            "the router. It is added as it is, for every token."),
    wrong_y("The shared expert sees the wrong thing", shared_on_top, "the shared expert was given the experts' answer. "
            "It works on the same tokens as they do, beside them."),
    wrong_y("The shared expert sees the wrong thing", shared_after, "the shared expert was given the experts' answer. "
            "It works on the same tokens as they do, beside them."),
    wrong_y("A mean instead of a sum", averaged, "experts and shared expert were averaged. They are added."),
    wrong_y("The shared expert is added twice", lambda *args: layer(*args) + shared_alone(*args), "`shared(flat)` is "
            "in the sum two times."),
    wrong_y("Nothing was computed", lambda x, *parts: torch.zeros_like(x), "all of `y` is 0."),
    wrong_y("The token comes back as it went in", lambda x, *parts: x, "`y` is `x`."),
    wrong_y("Texts and positions have changed places", turned, "tokens were laid out text by text, and folded back "
            "position by position. Use the shape of `x` itself."),
    sign("The router is asked twice", lambda a: calls(a, "router") > 1, "`router` was called {router calls} times. "
         "Keep what it returns: a second routing costs as much again, and in training, with jitter, it differs "
         "from the one that the experts were given."),
    sign("The experts are asked twice", lambda a: calls(a, "experts") > 1, "`experts` was called {experts calls} "
         "times, and it is the expensive part of the layer. Call it once, with all tokens."),
    sign("The shared expert is asked twice", lambda a: calls(a, "shared") > 1, "`shared` was called {shared calls} "
         "times. Call it once, with all tokens."),
    sign("The router sees flat tokens", lambda a: len(a.got["router input"]) == 2, lambda a:
         f"`router` was given {shape_text(a.args[0].flatten(0, 1))}. Give it `x` itself, {shape_text(a.args[0])}: "
         "the routing keeps `batch_shape`, and so knows which tokens belong to one text."),
    sign("The experts were given (B, T, D)", lambda a: len(a.got["experts input"]) == 3, lambda a:
         f"`experts` was given {shape_text(a.args[0])}, the texts. The package's experts take all tokens in one long "
         f"row, (N, D): `x.flatten(0, 1)` is {shape_text(a.args[0].flatten(0, 1))}."),
    sign("An answer is changed in place", lambda a: int(a.got["changed answers"]) > 0, "The numbers are right, but "
         "what `experts` or `shared` gave was written to (`+=`, `add_`): a hook that has kept it now holds something "
         "else. `y = y + …` makes a new tensor."),
    sign("`if shared:` asks whether it has parts", left_out, "A list of modules that is empty counts as false in `if "
         "shared:`, so the shared expert that was given here was left out. Ask `if shared is not None:`."),
    sign("`.forward` instead of a call", lambda a: a.right("y") and bool(uncalled(a)), lambda a:
         f"Right numbers, but `{uncalled(a)[0]}` was not called: its `forward` was, or its matrices were used. "
         "Hooks, by which the course looks into a model, only see a call."),
)  # fmt: skip


def picture(attempt: Attempt, outputs: dict[str, Tensor]) -> Tensor | None:
    """(T, D) of the first text that differs."""
    got, expected = attempt.got["y"], attempt.expected["y"]
    if got.shape != expected.shape or close(got, expected):
        return None
    return outputs["y"][first_difference(got, expected)[0]]


OUTPUTS = (Output("y", "B, T, D"), Output("routing", kind=Routing, tensor_of=lambda routing: routing.combine))
MOE_LAYER = Exercise(
    id="5.1", name="moe_layer", parameters=("x", "router", "experts", "shared"), sizes="BTDEfFgG", outputs=OUTPUTS,
    reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "The experts do not care which text a token comes from, but the router's record keeps the texts apart. So one "
        "of the parts gets `x` as it is, and the others get it as one long list of tokens.",
        "Call the router with (B, T, D); flatten the first two dimensions for the experts, which also take the "
        "routing; add the shared expert's answer if it is not None; give the sum the shape of `x`, and return the "
        "routing beside it.",
    ),
    minutes=8, lines="about 5 lines", done="A complete sparse layer, made of parts that it is given.",
    picture=("y of the first text that differs (T, D)", picture), watch=ASKED,
)  # fmt: skip

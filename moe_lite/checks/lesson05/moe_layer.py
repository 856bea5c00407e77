"""Exercise 5.1, moe_layer: route, compute, add the shared expert; with the package's own modules."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, decimals_that_differ, first_difference, number, shape_text
from moe_lite.checks.engine.exercise import (
    FORM,
    GRADIENT,
    INPUT,
    REPEAT,
    Attempt,
    Case,
    Exercise,
    Mistake,
    Output,
    Trial,
    Watch,
)
from moe_lite.checks.engine.mistakes import one_of, seen
from moe_lite.model.experts import Experts, SwiGLU
from moe_lite.model.routing import Router, Routing

F32, F64 = torch.float32, torch.float64


def filled(module: nn.Module, start: float) -> nn.Module:
    """The same parameters in every place: numbers of a wave, none of them alike, small enough to be harmless."""
    with torch.no_grad():
        for number_, parameter in enumerate(module.parameters()):
            places = torch.arange(parameter.numel(), dtype=F64)
            parameter.copy_((start + number_ + 1.7 * places + 0.01 * places**2).sin().view_as(parameter))
    return module


def reference(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> tuple[Tensor, Routing]:
    """x (B, T, D) -> y (B, T, D), routing."""
    flat, routing = x.flatten(0, 1), router(x)  # (N, D)
    y = experts(flat, routing)  # (N, D)
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing


def cases() -> tuple[Case, ...]:
    # B, T, D; E, K, F and the shared expert's width
    plain = (_trial(1, 2, 7, 4, 5, 2, 3, 9), _trial(2, 3, 4, 8, 7, 3, 5, 11), _trial(3, 4, 2, 6, 3, 2, 5, 8))
    types = (plain[0], _typed(plain[1]), plain[2])
    alone = (_trial(4, 2, 5, 4, 6, 2, 3, 0), _trial(5, 3, 2, 6, 4, 1, 5, 0))
    edges = (_trial(6, 1, 6, 4, 5, 2, 3, 7), _trial(7, 5, 1, 4, 3, 1, 2, 6), _trial(8, 1, 1, 4, 5, 3, 2, 6))
    other = (_trial(11, 2, 7, 4, 5, 2, 3, 9),)  # the shape of the first, other values: nothing may be left over
    gradient = (_with_gradient(plain[0], (0, 1, 2, 3)), _with_gradient(alone[0], (0, 1, 2)))
    asked = ("router calls", "router input", "experts calls", "shared calls")
    return (
        Case("shapes and types", types, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("experts and shared expert", plain + other, ("y", "routing")),
        Case("no shared expert", alone, ("y", "routing")),
        Case("one text, one token", edges, ("y", "routing")),
        Case("each part asked once", plain + alone, asked),
        Case("gradient of every part", gradient, (GRADIENT,)),
    )


def _trial(
    seed: int, n_batch: int, length: int, d_model: int, n_experts: int, k: int, d_expert: int, d_shared: int
) -> Trial:
    x = torch.randn(n_batch, length, d_model, dtype=F64, generator=inputs.generator(seed)).round(decimals=3)
    router = _made(f"Router({d_model}, {n_experts}, {k})", Router(d_model, n_experts, k), seed)
    experts = _made(f"Experts({n_experts}, {d_model}, {d_expert})", Experts(n_experts, d_model, d_expert), seed + 0.5)
    shared = _made(f"SwiGLU({d_model}, {d_shared})", SwiGLU(d_model, d_shared), seed + 0.25) if d_shared else None
    return Trial((x, router, experts, shared), inputs.note(seed, F64))


def _made(code: str, module: nn.Module, start: float) -> nn.Module:
    made = filled(module.double(), start)
    made.code_needs = "from moe_lite.checks.lesson05.moe_layer import Experts, Router, SwiGLU, filled"
    made.as_code = f"filled({code}.double(), {start:g})"
    return made


def _typed(trial: Trial) -> Trial:
    """The same in float32; the modules are copies, for `.float()` changes them in place."""
    x, *modules = trial.args
    args = x.float(), *(_as_float(module) for module in modules)
    return Trial(args, trial.note.replace("float64", "float32"))


def _as_float(module: nn.Module) -> nn.Module:
    copied = copy.deepcopy(module).float()
    copied.as_code = f"{module.as_code}.float()"
    return copied


def _with_gradient(trial: Trial, positions: tuple[int, ...]) -> Trial:
    return Trial(trial.args, trial.note, gradient=positions)


@contextmanager
def _asked(args: tuple) -> Iterator[dict[str, Tensor]]:
    """Counts the calls of each part, and keeps the shape that the router saw."""
    _, *parts = args
    calls: dict[str, list[tuple[int, ...]]] = {name: [] for name in ("router", "experts", "shared")}
    hooks = [
        part.register_forward_pre_hook(lambda module, given, to=calls[name]: to.append(_shape(given)))
        for name, part in zip(calls, parts, strict=True)
        if part is not None
    ]
    found: dict[str, Tensor] = {}
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
    found |= {f"{name} calls": torch.tensor(len(shapes)) for name, shapes in calls.items()}
    found["router input"] = torch.tensor(calls["router"][0] if calls["router"] else (), dtype=torch.int64)


def _shape(given: tuple) -> tuple[int, ...]:
    return tuple(given[0].shape) if given and isinstance(given[0], Tensor) else ()


ASKED = Watch(
    (Output("router calls"), Output("experts calls"), Output("shared calls"), Output("router input")),
    _asked,
)


def _y(title: str, rule: Callable[..., Tensor], sentence: str) -> Mistake:
    return one_of("y", title, rule, lambda a: f"{_first(a)}: {sentence}")


def _first(attempt: Attempt) -> str:
    """The first number that differs: `y[0, 0, 2]` is 0.31, expected −0.20."""
    got, expected = attempt.got["y"], attempt.expected["y"]
    index = first_difference(got, expected)
    mine, right = got[index].item(), expected[index].item()
    decimals = decimals_that_differ([(mine, right)], start=4)
    return f"`y[{', '.join(map(str, index))}]` is {number(mine, decimals)}, expected {number(right, decimals)}"


def _experts_only(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    return reference(x, router, experts, None)[0]


def _shared_only(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    return torch.zeros_like(x) if shared is None else shared(x)


def _shared_if_any(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    return _experts_only(x, router, experts, None) if shared is None else shared(x)


def _averaged(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    return _all(x, router, experts, shared) / (1 if shared is None else 2)


def _shared_weighed(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    """The shared expert multiplied by a token's largest weight."""
    largest = router(x).top_k[0][:, :1].view(*x.shape[:2], 1).to(x.dtype)  # (B, T, 1)
    return _experts_only(x, router, experts, shared) + largest * _shared_only(x, router, experts, shared)


def _shared_on_answer(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    y = _experts_only(x, router, experts, shared)
    return y if shared is None else shared(y)


def _shared_after(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    y = _experts_only(x, router, experts, shared)
    return y if shared is None else y + shared(y)


def _all(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    return reference(x, router, experts, shared)[0]


def _turned(x: Tensor, router: Router, experts: Experts, shared: SwiGLU | None) -> Tensor:
    """Tokens laid out text by text, and folded back as if position by position."""
    n_batch, length, width = x.shape
    return _all(x, router, experts, shared).flatten(0, 1).view(length, n_batch, width).transpose(0, 1)


def _flat(attempt: Attempt) -> bool:
    return close(attempt.got["y"], attempt.expected["y"].flatten(0, 1))


def _flat_shape(attempt: Attempt) -> bool:
    got, expected = attempt.got["y"], attempt.expected["y"]
    return got.shape == expected.flatten(0, 1).shape


def _called(attempt: Attempt, part: str) -> int:
    return int(attempt.got[f"{part} calls"])


def _flat_to_router(attempt: Attempt) -> bool:
    return len(attempt.got["router input"]) == 2


def _uncalled(attempt: Attempt) -> list[str]:
    """Parts that took no part, though they were given."""
    return [
        part
        for part in ("router", "experts", "shared")
        if _called(attempt, part) == 0 and int(attempt.expected[f"{part} calls"])
    ]


def _picture(attempt: Attempt, outputs: dict[str, Tensor]) -> Tensor | None:
    """(T, D) of the first text that differs."""
    got, expected = attempt.got["y"], attempt.expected["y"]
    if got.shape != expected.shape or close(got, expected):
        return None
    return outputs["y"][first_difference(got, expected)[0]]


MISTAKES = (
    seen("The answer stays flat", lambda a: _flat(a) or _flat_shape(a), lambda a:
         f"`y` is {shape_text(a.got['y'])}, one row a token. The block around the layer goes on with texts: give it "
         f"back in the shape of `x`, {shape_text(a.expected['y'])}."),
    _y("The shared expert is missing", _experts_only, "the chosen experts are there; `shared(flat)` is to be added "
       "when there is one."),
    _y("The chosen experts are missing", _shared_if_any, "only the shared expert is in `y`. The chosen experts' sum "
       "comes first, the shared expert is added."),
    _y("The token itself is added", lambda x, *rest: x + _all(x, *rest), "`x` is in the sum as well. The block around "
       "the layer adds it; here it would count twice."),
    _y("The shared expert has a weight", _shared_weighed, "the shared expert's answer is multiplied by a weight of the "
       "router. It is added as it is, for every token."),
    _y("The shared expert sees the wrong thing", _shared_on_answer, "the shared expert was given the experts' answer. "
       "It works on the same tokens as they do, beside them."),
    _y("The shared expert sees the wrong thing", _shared_after, "the shared expert was given the experts' answer. It "
       "works on the same tokens as they do, beside them."),
    _y("A mean instead of a sum", _averaged, "experts and shared "
       "expert were averaged. They are added."),
    _y("The shared expert is added twice", lambda *args: _all(*args) + _shared_only(*args), "`shared(flat)` is in the "
       "sum two times."),
    _y("Nothing was computed", lambda x, *rest: torch.zeros_like(x), "all of `y` is 0."),
    _y("The token comes back as it went in", lambda x, *rest: x, "`y` is `x`."),
    _y("Texts and positions have changed places", _turned, "tokens were laid out text by text, and folded back "
       "position by position. Use the shape of `x` itself."),
    seen("The router is asked twice", lambda a: _called(a, "router") > 1, lambda a:
         f"`router` was called {_called(a, 'router')} times. Keep what it gives: a second routing costs as much, and "
         "with jitter, in training, it is another one than the experts had."),
    seen("The experts are asked twice", lambda a: _called(a, "experts") > 1, lambda a:
         f"`experts` was called {_called(a, 'experts')} times: the expensive part of the layer. Once with all tokens "
         "is enough."),
    seen("The shared expert is asked twice", lambda a: _called(a, "shared") > 1, lambda a:
         f"`shared` was called {_called(a, 'shared')} times. Once with all tokens is enough."),
    seen("The router sees flat tokens", _flat_to_router, lambda a:
         f"`router` was given {shape_text(a.args[0].flatten(0, 1))}. Give it `x` itself, {shape_text(a.args[0])}: "
         "the routing keeps `batch_shape`, and so knows which tokens belong to one text."),
    seen("`.forward` instead of a call", lambda a: a.right("y") and bool(_uncalled(a)), lambda a:
         f"Right numbers, but `{_uncalled(a)[0]}` was not called: its `forward` was, or its matrices were used. "
         "Hooks, by which the course looks into a model, only see a call."),
)  # fmt: skip

MOE_LAYER = Exercise(
    id="5.1",
    name="moe_layer",
    parameters=("x", "router", "experts", "shared"),
    sizes="BTDEfFgG",  # f is two F; g and G: the shared expert's
    outputs=(
        Output("y", "B, T, D"),
        Output("routing", kind=Routing, tensor_of=lambda routing: routing.combine),
    ),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "The experts do not care which text a token comes from, the router's record does. So one of the parts gets `x` "
        "as it is, the others get it as one long list of tokens.",
        "Call the router with (B, T, D); flatten the first two dimensions for the experts, which also take the "
        "routing; add the shared expert's answer if it is not None; give the sum the shape of `x`, and return the "
        "routing beside it.",
    ),
    minutes=8,
    lines="about 5 lines",
    done="A complete sparse layer, made of parts that it is given.",
    picture=("y of the first text that differs (T, D)", _picture),
    watch=ASKED,
)

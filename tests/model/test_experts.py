"""The experts: the loop is the reference, the sorted dispatch must equal it (moe_lite/model/experts.py)."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from small import randn, small_experts
from torch import Tensor

from moe_lite.model.balance import drop_over_capacity
from moe_lite.model.experts import PLAIN, Experts, Form, SwiGLU, swiglu
from moe_lite.model.routing import Routing, route

D, FF = 6, 7


def test_swiglu_by_hand():
    # gate (1, −2)·x and up (3, 1)·x of x = (2, 1): 0 and 7; silu(0) = 0, so the first output is 0
    x = torch.tensor([[2.0, 1.0]])
    gate_up = torch.tensor([[1.0, -2.0], [1.0, -1.0], [3.0, 1.0], [0.0, 2.0]])
    # second unit: gate 1, up 2: silu(1) · 2 = 2 · 0.731059 = 1.462117; down takes it once and three times
    down = torch.tensor([[1.0, 1.0], [5.0, 3.0]])
    torch.testing.assert_close(swiglu(x, gate_up, down), torch.tensor([[1.462117, 4.386351]]))


def test_dense_network_is_the_same_function():
    network = SwiGLU(D, FF)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(randn(*parameter.shape))
    x = randn(2, 3, D)
    torch.testing.assert_close(network(x), swiglu(x.view(6, D), network.gate_up, network.down).view(2, 3, D))


def test_forms_by_hand():
    # gate (2, −1, 9), up (3, 0.5, −9)
    h = torch.tensor([2.0, -1.0, 9.0, 3.0, 0.5, -9.0])
    silu = [2 * 0.880797, -1 * 0.268941, 9 * 0.999877]  # g · σ(g)
    expected = torch.tensor([silu[0] * 3, silu[1] * 0.5, silu[2] * -9])
    torch.testing.assert_close(Form()(h), expected, atol=1e-4, rtol=0)
    # a clamp of 1.5 makes the gates (1.5, −1, 1.5) and the ups (1.5, 0.5, −1.5); 1.5 · σ(1.5) = 1.5 · 0.817574
    expected = torch.tensor([1.226362 * 1.5, silu[1] * 0.5, 1.226362 * -1.5])
    torch.testing.assert_close(Form(clamp=1.5)(h), expected, atol=1e-4, rtol=0)
    # GELU by tanh: g/2 · (1 + tanh(0.797885 · (g + 0.044715 g³))), so 2 · 0.977298, −0.158808 and 9; Φ would give
    # 2 · 0.977250 and −0.158655, which is not near enough
    expected = torch.tensor([1.954598 * 3, -0.158808 * 0.5, 9 * -9])
    torch.testing.assert_close(Form("geglu")(h), expected, atol=1e-5, rtol=0)
    # σ(1.702 · 1.5) = σ(2.553) = 0.927780, σ(−1.702) = 0.154193; ups + 1 are (2.5, 1.5, −0.5)
    expected = torch.tensor([1.5 * 0.927780 * 2.5, -0.154193 * 1.5, 1.5 * 0.927780 * -0.5])
    torch.testing.assert_close(Form("quick_geglu", 1.5)(h), expected, atol=1e-4, rtol=0)
    assert Form("relu2")(h).tolist() == [4, 0, 81, 9, 0.25, 0]
    assert [Form(kind).rows(5) for kind in ("swiglu", "geglu", "quick_geglu", "relu2")] == [10, 10, 10, 5]


# ---- one truth for both ways -----------------------------------------------------------------------------------------


def one(experts: Experts, e: int, x: Tensor) -> Tensor:
    if experts.form == PLAIN and experts.down_bias is None:
        return swiglu(x, experts.gate_up[e], experts.down[e])
    bias = (0, 0) if experts.down_bias is None else (experts.gate_up_bias[e], experts.down_bias[e])
    return experts.form(x @ experts.gate_up[e].T + bias[0]) @ experts.down[e].T + bias[1]


def dense(experts: Experts, x: Tensor, routing: Routing, gate_on: str) -> Tensor:
    """Every expert on every token, weighted by the table `combine`: no dispatch at all."""
    y = torch.zeros_like(x)
    for e in range(routing.n_experts):
        weight = routing.combine[:, e, None]
        y = y + (one(experts, e, x * weight) * (weight != 0) if gate_on == "input" else one(experts, e, x) * weight)
    return y


def gradients(compute, experts: Experts, x: Tensor, logits: Tensor, make_routing, gate_on: str) -> list[Tensor]:
    """The output of x + experts(x) and the gradients of x, logits and weights for an uneven loss."""
    x, logits = x.clone().requires_grad_(), logits.clone().requires_grad_()
    experts.zero_grad()
    y = x + compute(experts, x, make_routing(logits), gate_on)  # the residual: a graph even where all is dropped
    (y * randn(*y.shape, seed=9, dtype=torch.float64)).sum().backward()
    leaves = [x, logits, *experts.parameters()]
    return [y.detach()] + [leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in leaves]


def forward(experts: Experts, x: Tensor, routing: Routing, gate_on: str) -> Tensor:
    return experts(x, routing, gate_on=gate_on)


DROPPED = {
    "none": lambda routing: routing,
    "over capacity": lambda routing: drop_over_capacity(routing, 1 + routing.n_tokens // 4),
    "one expert's": lambda routing: replace(routing, kept=routing.expert_ids != 0),
    "every second": lambda routing: replace(routing, kept=torch.arange(len(routing.kept)) % 2 == 0),
    "all": lambda routing: replace(routing, kept=torch.zeros_like(routing.kept)),
}
SIZES = [
    (1, 1, 1),
    (1, 1, 5),
    (2, 1, 1),
    (4, 2, 1),
    (4, 4, 3),
    (5, 2, 33),
    (8, 3, 20),
    (16, 2, 3),
    (64, 1, 9),
    (3, 3, 8),
]


@pytest.mark.parametrize("gate_on", ["output", "input"])
@pytest.mark.parametrize("dropped", DROPPED)
@pytest.mark.parametrize(("n_experts", "k", "n_tokens"), SIZES)
def test_sorted_equals_loop_equals_dense_in_value_and_gradient(n_experts, k, n_tokens, dropped, gate_on):
    x = randn(n_tokens, D, seed=1, dtype=torch.float64)
    logits = randn(n_tokens, n_experts, seed=2, dtype=torch.float64)

    def make_routing(logits: Tensor) -> Routing:
        return DROPPED[dropped](route(logits, k, renorm=False))

    fast, loop = (small_experts(n_experts, D, FF, name) for name in ("sorted", "loop"))
    reference = gradients(dense, loop, x, logits, make_routing, gate_on)
    for experts in (loop, fast):
        found = gradients(forward, experts, x, logits, make_routing, gate_on)
        torch.testing.assert_close(found, reference, atol=1e-10, rtol=1e-10)
    if dropped == "none":
        assert all(tensor.abs().max() > 1e-3 for tensor in reference[:1] + reference[3:])


FORMS = [
    (Form("quick_geglu", 0.4), True),
    (Form("quick_geglu"), False),
    (Form(clamp=0.4), False),
    (PLAIN, True),
    (Form("geglu"), False),
    (Form("geglu", 0.4), True),
    (Form("relu2"), False),
    (Form("relu2"), True),
]


@pytest.mark.parametrize("gate_on", ["output", "input"])
@pytest.mark.parametrize("dropped", DROPPED)
@pytest.mark.parametrize(("form", "bias"), FORMS, ids=str)
@pytest.mark.parametrize(("n_experts", "k", "n_tokens"), [(1, 1, 1), (5, 2, 33), (16, 2, 3)])
def test_other_forms_are_the_same_both_ways(form, bias, n_experts, k, n_tokens, dropped, gate_on):
    x = randn(n_tokens, D, seed=1, dtype=torch.float64)
    logits = randn(n_tokens, n_experts, seed=2, dtype=torch.float64)

    def make_routing(logits: Tensor) -> Routing:
        return DROPPED[dropped](route(logits, k, renorm=False))

    fast, loop = (small_experts(n_experts, D, FF, name, form=form, bias=bias) for name in ("sorted", "loop"))
    reference = gradients(dense, loop, x, logits, make_routing, gate_on)
    for experts in (loop, fast):
        found = gradients(forward, experts, x, logits, make_routing, gate_on)
        torch.testing.assert_close(found, reference, atol=1e-10, rtol=1e-10)
    if dropped == "none":
        assert all(tensor.abs().max() > 1e-3 for tensor in reference[:1] + reference[3:])


@pytest.mark.parametrize(("form", "bias"), FORMS, ids=str)
def test_other_forms_under_autocast_and_for_one_token(form, bias):
    fast, loop = (small_experts(5, D, FF, name, form=form, bias=bias).float() for name in ("sorted", "loop"))
    routing = route(randn(1, 5, seed=1), 2)
    with torch.no_grad():
        exact = loop(randn(1, D), routing)
        torch.testing.assert_close(fast(randn(1, D), routing), exact)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = fast(randn(1, D), routing)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), exact, atol=0.1, rtol=0.02)


@pytest.mark.parametrize("implementation", ["sorted", "loop"])
def test_experts_without_tokens_get_zero_gradient(implementation):
    experts = small_experts(6, D, FF, implementation)
    logits = torch.tensor([0.0, 5, 0, 0, 4, 0], dtype=torch.float64).expand(7, 6)
    experts(randn(7, D, dtype=torch.float64), route(logits, 2)).square().sum().backward()
    worked = [bool(gradient.abs().max() > 0) for gradient in experts.gate_up.grad]
    assert worked == [False, True, False, False, True, False]
    assert experts.down.grad.isfinite().all() and (experts.down.grad[[0, 2, 3, 5]] == 0).all()


@pytest.mark.parametrize("implementation", ["sorted", "loop"])
def test_tokens_may_have_different_numbers_of_experts(implementation):
    # expert 0 takes tokens 0 and 2, expert 1 takes token 2, expert 2 nothing; token 1 has no expert
    experts, x = small_experts(3, D, FF, implementation), randn(3, D, dtype=torch.float64)
    routing = Routing(
        token_ids=torch.tensor([0, 2, 2]), expert_ids=torch.tensor([0, 0, 1]),
        weights=torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64), kept=torch.ones(3, dtype=torch.bool),
        logits=torch.zeros(3, 3), scores=torch.zeros(3, 3), n_tokens=3, n_experts=3,
    )  # fmt: skip
    first, second = (swiglu(x, experts.gate_up[e], experts.down[e]) for e in (0, 1))
    expected = torch.stack([0.5 * first[0], torch.zeros(D, dtype=torch.float64), 2 * first[2] + 3 * second[2]])
    torch.testing.assert_close(experts(x, routing), expected, atol=1e-12, rtol=0)


def test_gate_on_input_differs_from_gate_on_output():
    experts, x = small_experts(4, D, FF), randn(5, D, dtype=torch.float64)
    routing = route(randn(5, 4, seed=2, dtype=torch.float64), 1, renorm=False)
    difference = experts(x, routing, gate_on="input") - experts(x, routing)
    assert difference.abs().max() > 0.1  # SwiGLU is not homogeneous


def test_both_ways_repeat_bit_by_bit():
    x, routing = randn(200, D, dtype=torch.float64), route(randn(200, 5), 2)
    for implementation in ("sorted", "loop"):
        experts = small_experts(5, D, FF, implementation)
        assert torch.equal(experts(x, routing), experts(x, routing))


@pytest.mark.parametrize("gate_on", ["output", "input"])
@pytest.mark.parametrize("low", [True, False])
def test_both_ways_agree_in_value_and_gradient_in_float32_and_under_autocast(low, gate_on):
    def results(implementation: str, autocast: bool) -> list[Tensor]:
        experts, x = small_experts(5, D, FF, implementation).float(), randn(50, D).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            y = experts(x, route(randn(50, 5), 2), gate_on=gate_on)
        y.float().square().sum().backward()
        tensors = [y.detach().float(), x.grad, experts.gate_up.grad, experts.down.grad]
        assert all(t.dtype == torch.float32 for t in tensors)
        return tensors

    exact = results("loop", autocast=False)
    for implementation in ("sorted", "loop"):
        for found, expected in zip(results(implementation, autocast=low), exact, strict=True):
            error = (found - expected).norm() / expected.norm()
            assert error < (0.03 if low else 1e-6)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match=r"implementation is 'fast', expected one of \('sorted', 'loop'\)"):
        Experts(2, D, FF, "fast")
    with pytest.raises(ValueError, match=r"gate_on is 'both', expected one of \('output', 'input'\)"):
        small_experts(2, D, FF)(randn(3, D, dtype=torch.float64), route(randn(3, 2), 1), gate_on="both")


def test_weights_of_one_are_the_plain_sum_of_the_experts():
    experts, x = small_experts(2, D, FF), randn(3, D, dtype=torch.float64)
    routing = route(torch.zeros(3, 2, dtype=torch.float64), 2, routed_scale=2.0)  # 0.5 each, times 2
    both = F.silu(x @ experts.gate_up[0, :FF].T) * (x @ experts.gate_up[0, FF:].T) @ experts.down[0].T
    both = both + F.silu(x @ experts.gate_up[1, :FF].T) * (x @ experts.gate_up[1, FF:].T) @ experts.down[1].T
    torch.testing.assert_close(experts(x, routing), both, atol=1e-12, rtol=0)


# ---- one token -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate_on", ["output", "input"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kept", [[True, True, True], [True, False, True], [False, False, False]])
def test_one_token_without_gradient_equals_the_loop(gate_on, dtype, kept):
    experts, loop = (small_experts(5, D, FF, way).to(dtype) for way in ("sorted", "loop"))
    x, routing = randn(1, D).to(dtype), replace(route(randn(1, 5, seed=1), 3), kept=torch.tensor(kept))
    with torch.no_grad():
        y, expected = (each(x, routing, gate_on=gate_on) for each in (experts, loop))
    assert y.dtype == dtype
    torch.testing.assert_close(y, expected, **({"atol": 0.1, "rtol": 0.02} if dtype == torch.bfloat16 else {}))


def test_one_token_under_autocast_has_the_type_of_many():
    experts, routing = small_experts(5, D, FF, "sorted").float(), route(randn(1, 5, seed=1), 2)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        y = experts(randn(1, D), routing)
    many = experts(randn(1, D), routing)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), many, atol=0.1, rtol=0.02)


def test_own_dispatch_is_refused_where_assignments_are_dropped_or_the_input_is_weighed():
    experts, x = Experts(5, D, FF, dispatch_fn=lambda x, *rest: x), randn(8, D)
    routing = route(randn(8, 5, seed=1), 2)
    assert torch.equal(experts(x, routing), x)
    with pytest.raises(ValueError, match="dispatch_fn weighs outputs and drops nothing; .* 5 dropped"):
        experts(x, replace(routing, kept=torch.arange(16) >= 5))
    with pytest.raises(ValueError, match="dispatch_fn weighs outputs and drops nothing; here gate_on='input'"):
        experts(x, routing, gate_on="input")

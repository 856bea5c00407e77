"""Answers to exercise 1.2, swiglu: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def einsum(x, w_gate, w_up, w_down):
    gate = torch.einsum("nd,fd->nf", x, w_gate)
    up = torch.einsum("nd,fd->nf", x, w_up)
    return torch.einsum("nf,df->nd", gate * torch.sigmoid(gate) * up, w_down)


@right
def functional(x, w_gate, w_up, w_down):
    return F.linear(F.silu(F.linear(x, w_gate)) * F.linear(x, w_up), w_down)


@wrong("The gradient for `x` is nan")
def one_product_for_both(x, w_gate, w_up, w_down):
    gate, up = (x @ torch.cat([w_gate, w_up]).T).chunk(2, dim=-1)
    return (w_down @ (gate / (1 + torch.exp(-gate)) * up).T).T


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("No gradient reaches `w_gate`")
def detached_gate(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.silu(gate.detach()) * up) @ w_down.T


@wrong("Two matrices do not fit")
def down_not_transposed(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.silu(gate) * up) @ w_down


@wrong("Not a number for strong gates")
def exp_overflows(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate * gate.exp() / (1 + gate.exp()) * up) @ w_down.T


@wrong("The sign in the sigmoid is turned")
def exp_without_minus(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate / (1 + torch.exp(gate)) * up) @ w_down.T


@wrong(ANY)
def first_token_for_all(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    y = (F.silu(gate) * up) @ w_down.T
    return y[:1].expand(len(x), -1)


@wrong("`y` has the wrong type")
def float32(x, w_gate, w_up, w_down):
    x, w_gate, w_up, w_down = (t.float() for t in (x, w_gate, w_up, w_down))
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.silu(gate) * up) @ w_down.T


@wrong("The gate was multiplied in twice")
def gate_times_silu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate * F.silu(gate) * up) @ w_down.T


@wrong("The same matrix twice")
def gate_twice(x, w_gate, w_up, w_down):
    gate = x @ w_gate.T
    up = x @ w_gate.T
    return (F.silu(gate) * up) @ w_down.T


@wrong("GELU, not silu")
def gelu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.gelu(gate) * up) @ w_down.T


@wrong("GELU, not silu")
def gelu_tanh(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.gelu(gate, approximate="tanh") * up) @ w_down.T


@wrong(ANY)
def half_precision(x, w_gate, w_up, w_down):
    dtype = x.dtype
    x, w_gate, w_up, w_down = (t.bfloat16() for t in (x, w_gate, w_up, w_down))
    gate, up = x @ w_gate.T, x @ w_up.T
    return ((F.silu(gate) * up) @ w_down.T).to(dtype)


@wrong("Your function changed its input")
def input_changed(x, w_gate, w_up, w_down):
    x *= 1.0
    x -= x.mean()
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.silu(gate) * up) @ w_down.T


@wrong("Wrong shape")
def matrix_first(x, w_gate, w_up, w_down):
    gate, up = w_gate @ x.T, w_up @ x.T
    return w_down @ (F.silu(gate) * up)


@wrong(ANY)
def mean_over_hidden(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.silu(gate) * up) @ w_down.T / w_gate.shape[0]


@wrong("No silu at all")
def no_activation(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate * up) @ w_down.T


@wrong("The gates are missing")
def no_gate(x, w_gate, w_up, w_down):
    return (x @ w_up.T) @ w_down.T


@wrong("No gradient reaches `x`")
def no_grad(x, w_gate, w_up, w_down):
    with torch.no_grad():
        gate, up = x @ w_gate.T, x @ w_up.T
        return (F.silu(gate) * up) @ w_down.T


@wrong("The values are missing")
def no_up(x, w_gate, w_up, w_down):
    return F.silu(x @ w_gate.T) @ w_down.T


@wrong("`w_down` is missing")
def no_way_back(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return F.silu(gate) * up


@wrong("Two matrices do not fit")
def none_transposed(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate, x @ w_up
    return (F.silu(gate) * up) @ w_down


@wrong("Nothing is returned")
def nothing_returned(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    y = (F.silu(gate) * up) @ w_down.T


@wrong("ReLU, not silu")
def relu(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate.relu() * up) @ w_down.T


@wrong("The input is added")
def residual(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return x + (F.silu(gate) * up) @ w_down.T


@wrong("Sigmoid, not silu")
def sigmoid(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate.sigmoid() * up) @ w_down.T


@wrong("silu on the result")
def silu_again_at_the_end(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return F.silu((F.silu(gate) * up) @ w_down.T)


@wrong("silu on the result")
def silu_at_the_end(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return F.silu((gate * up) @ w_down.T)


@wrong("silu after the product")
def silu_of_the_product(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return F.silu(gate * up) @ w_down.T


@wrong("silu on the input")
def silu_of_x(x, w_gate, w_up, w_down):
    h = F.silu(x)
    return ((h @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@wrong("silu on both sides")
def silu_twice(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.silu(gate) * F.silu(up)) @ w_down.T


@wrong("Softmax, not silu")
def softmax(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate.softmax(dim=-1) * up) @ w_down.T


@wrong("Softplus, not silu")
def softplus(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.softplus(gate) * up) @ w_down.T


@wrong("A sum, not a product")
def plus_in_place_of_times(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.silu(gate) + up) @ w_down.T


@wrong("Gates and values have changed places")
def swapped(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (gate * F.silu(up)) @ w_down.T


@wrong("tanh, not silu")
def tanh(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (torch.tanh(gate) * up) @ w_down.T


@wrong("silu of the values alone")
def up_gates_alone(x, w_gate, w_up, w_down):
    return F.silu(x @ w_up.T) @ w_down.T


@wrong("The same matrix twice")
def up_twice(x, w_gate, w_up, w_down):
    gate = x @ w_up.T
    up = x @ w_up.T
    return (F.silu(gate) * up) @ w_down.T


@wrong("The matrices were reshaped, not transposed")
def viewed(x, w_gate, w_up, w_down):
    gate = x @ w_gate.reshape(x.shape[1], -1)
    up = x @ w_up.reshape(x.shape[1], -1)
    return (F.silu(gate) * up) @ w_down.reshape(-1, x.shape[1])


@wrong("No gradient reaches `w_gate`")
def weights_detached(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.detach().T, x @ w_up.detach().T
    return (F.silu(gate) * up) @ w_down.T


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("A sum, not a product", ANY)
def add(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate.T) + (x @ w_up.T)) @ w_down.T


@blind("`y` is not right yet", ANY)
def float32_inside(x, w_gate, w_up, w_down):
    return ((F.silu(x.float() @ w_gate.float().T) * (x.float() @ w_up.float().T)) @ w_down.float().T).to(x.dtype)


@blind("No gradient reaches `w_gate`")
def gate_detached(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate.T).detach() * (x @ w_up.T)) @ w_down.T


@blind("GELU, not silu", ANY)
def blind_gelu(x, w_gate, w_up, w_down):
    return (F.gelu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@blind("`y` is not right yet", ANY)
def hardswish(x, w_gate, w_up, w_down):
    return (F.hardswish(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@blind("Softmax, not silu", ANY)
def normalised(x, w_gate, w_up, w_down):
    return ((x @ w_gate.T).softmax(-1) * (x @ w_up.T)) @ w_down.T


@blind("The input is added", ANY)
def blind_residual(x, w_gate, w_up, w_down):
    return x + (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@blind("Sigmoid, not silu", ANY)
def blind_sigmoid(x, w_gate, w_up, w_down):
    return ((x @ w_gate.T).sigmoid() * (x @ w_up.T)) @ w_down.T


@blind("The gradient for `x` differs", ANY)
def sigmoid_detached(x, w_gate, w_up, w_down):
    g = x @ w_gate.T
    return (g * g.sigmoid().detach() * (x @ w_up.T)) @ w_down.T


@blind("silu on the result", ANY)
def silu_after_down(x, w_gate, w_up, w_down):
    return F.silu(((x @ w_gate.T) * (x @ w_up.T)) @ w_down.T)


@blind("silu after the product", ANY)
def silu_of_product(x, w_gate, w_up, w_down):
    return F.silu((x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@blind("GELU, not silu", ANY)
def silu_with_beta_1_702(x, w_gate, w_up, w_down):
    g = x @ w_gate.T
    return ((g * (1.702 * g).sigmoid()) * (x @ w_up.T)) @ w_down.T


@blind("Gates and values have changed places", ANY)
def blind_swapped(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_up.T) * (x @ w_gate.T)) @ w_down.T


@wrong("The gradient for `x` is nan")  # right values: gate / inf is 0, but the gradient is inf / inf
def sigmoid_by_hand(x, w_gate, w_up, w_down):
    gate = x @ w_gate.T
    return (gate / (1 + (-gate).exp()) * (x @ w_up.T)) @ w_down.T

"""Answers to exercise 9.2, gated_shared_expert: right ones, and wrong ones with the message that they must get."""

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(x, routed, shared, w_gate):
    gate = torch.sigmoid(x @ w_gate)
    return routed + gate[:, None] * shared


@right
def by_sum(x, routed, shared, w_gate):
    gate = (x * w_gate).sum(dim=-1, keepdim=True).sigmoid()
    return torch.addcmul(routed, gate, shared)


@right
def by_einsum(x, routed, shared, w_gate):
    gate = torch.einsum("nd,d->n", x, w_gate).sigmoid()
    return torch.einsum("n,nd->nd", gate, shared) + routed


@right
def a_linear_layer(x, routed, shared, w_gate):
    return torch.nn.functional.linear(x, w_gate.unsqueeze(0)).sigmoid() * shared + routed


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Your function changed its input", "A change in place")
def routed_in_place(x, routed, shared, w_gate):
    routed += torch.sigmoid(x @ w_gate)[:, None] * shared
    return routed


@wrong("Your function changed its input", "A change in place")
def shared_in_place(x, routed, shared, w_gate):
    shared *= torch.sigmoid(x @ w_gate)[:, None]
    return routed + shared


@wrong("Two shapes do not fit")
def gate_without_a_column(x, routed, shared, w_gate):
    gate = torch.sigmoid(x @ w_gate)
    return routed + gate * shared


@wrong("Wrong where two sizes are equal")
def column_only_where_it_must(x, routed, shared, w_gate):
    gate = torch.sigmoid(x @ w_gate)
    if len(gate) == 1 or len(gate) != x.shape[1]:
        gate = gate[:, None]
    return routed + gate * shared


@wrong("The gradient for `x` is nan")
def sigmoid_by_hand(x, routed, shared, w_gate):
    gate = 1 / (1 + torch.exp(-(x @ w_gate)))
    return routed + gate[:, None] * shared


@wrong("`exp` overflows")
def sigmoid_by_another_hand(x, routed, shared, w_gate):
    z = (x @ w_gate).exp()
    return routed + (z / (1 + z))[:, None] * shared


@wrong("Nothing is returned")
def nothing(x, routed, shared, w_gate):
    routed + torch.sigmoid(x @ w_gate)[:, None] * shared


@wrong("Wrong shape")
def a_row_for_each_pair(x, routed, shared, w_gate):
    return routed + torch.sigmoid(x @ w_gate)[:, None, None] * shared


@wrong("Rows and columns have changed places")
def turned_over(x, routed, shared, w_gate):
    return routed.T + torch.sigmoid(x @ w_gate) * shared.T


@wrong("`y` has the wrong type")
def in_float32(x, routed, shared, w_gate):
    return as_asked(x.float(), routed.float(), shared.float(), w_gate.float())


@wrong("Wrong number of results", "Not a tensor")
def gate_as_well(x, routed, shared, w_gate):
    gate = torch.sigmoid(x @ w_gate)
    return routed + gate[:, None] * shared, gate


@wrong(ANY)
def twice_the_gate(x, routed, shared, w_gate):
    return routed + 2 * torch.sigmoid(x @ w_gate)[:, None] * shared


GATE = "torch.sigmoid(x @ w_gate)"
SUM = "routed + gate[:, None] * shared"
for name, title, put in (
    ("detached_gate", "No gradient reaches `x`", {"gate[:, None]": "gate.detach()[:, None]"}),
    ("detached_routed", "No gradient reaches `routed`", {"routed +": "routed.detach() +"}),
    ("detached_shared", "No gradient reaches `shared`", {"* shared": "* shared.data"}),
    ("no_sigmoid", "The sigmoid is missing", {GATE: "x @ w_gate"}),
    ("no_gate", "There is no gate", {SUM: "routed + shared"}),
    ("per_feature", "A gate per feature", {GATE: "torch.sigmoid(x * w_gate)", "gate[:, None]": "gate"}),
    ("over_tokens", "Softmax over the tokens", {GATE: "torch.softmax(x @ w_gate, dim=0)"}),
    ("over_features", "Softmax over the features", {GATE: "(x * w_gate).softmax(dim=-1)", "gate[:, None]": "gate"}),
    ("on_both", "The gate is on both", {SUM: "gate[:, None] * (routed + shared)"}),
    ("between_both", "The gate shares out between both", {SUM: "torch.lerp(routed, shared, gate[:, None])"}),
    ("on_the_routed", "The gate is on the wrong answer", {SUM: "gate[:, None] * routed + shared"}),
    ("of_shared", "The gate looks at the shared answer", {"x @ w_gate": "shared @ w_gate"}),
    ("of_routed", "The gate looks at the routed answer", {"x @ w_gate": "routed @ w_gate"}),
    ("of_the_batch", "One gate for all tokens", {"x @ w_gate": "(x @ w_gate).mean()", "gate[:, None]": "gate"}),
    ("tanh", "tanh, not sigmoid", {GATE: "torch.tanh(x @ w_gate)"}),
    ("hard", "The gate is open or shut", {GATE: "(x @ w_gate > 0).to(x.dtype)"}),
    ("only_shared", "The routed answers are missing", {"routed + ": ""}),
    ("mean_of_both", "A mean instead of a sum", {SUM: "(routed + gate[:, None] * shared) / 2"}),
):
    wrong(name, title, of=as_asked, put=put)

# ---- by readers of the text alone -----------------------------------------------------------------------------------


@blind("The token in place of the shared answer")
def gated_token(x, routed, shared, w_gate):
    return routed + (x @ w_gate).sigmoid()[:, None] * x

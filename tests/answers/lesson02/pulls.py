"""Answers to exercise 2.4, pulls: right ones, and wrong ones with the message that they must get."""

import torch
from answers import ANY, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(log_gates, outputs, targets, sigma):
    gates = log_gates.exp()
    y = (gates * outputs).sum(dim=-1, keepdim=True)
    t = targets[:, None]
    h = (log_gates - 0.5 * ((t - outputs) / sigma) ** 2).softmax(dim=-1)
    scale = sigma**2 * len(t)
    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2


@right
def autograd(log_gates, outputs, targets, sigma):
    outputs = outputs.detach().clone().requires_grad_()
    y = (log_gates.exp() * outputs).sum(dim=-1)
    blended = (0.5 * ((targets - y) / sigma) ** 2).sum()
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    each = -z.logsumexp(dim=-1).sum()
    return -torch.autograd.grad(blended, outputs)[0], -torch.autograd.grad(each, outputs)[0]


@right
def einsum(log_gates, outputs, targets, sigma):
    gates = log_gates.exp()
    gap = targets.unsqueeze(1) - outputs
    blend_gap = targets - torch.einsum("ne,ne->n", gates, outputs)
    z = log_gates - gap.pow(2) / (2 * sigma**2)
    h = (z - z.logsumexp(dim=1, keepdim=True)).exp()
    return torch.einsum("ne,n->ne", gates, blend_gap) / sigma**2, h * gap / sigma**2


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


wrong(
    "blend_for_own",
    "The competitive pull looks at the blend",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (t - y) / sigma**2, h * (t - y) / sigma**2"
    },
)
wrong(
    "competitive_no_sigma",
    "σ is missing",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (t - y) / sigma**2, h * (t - outputs)"
    },
)
wrong(
    "competitive_sigma_once",
    "σ is not squared",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (t - y) / sigma**2, h * (t - outputs) / sigma"
    },
)
wrong(
    "competitive_sign",
    "The competitive pull has the wrong sign",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (t - y) / sigma**2, h * (outputs - t) / sigma**2"
    },
)
wrong(
    "cooperative_sign",
    "The cooperative pull has the wrong sign",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (y - t) / sigma**2, h * (t - outputs) / sigma**2"
    },
)
wrong(
    "divided_by_h",
    "Divided by the responsibility",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (t - y) / sigma**2, (t - outputs) / h / sigma**2"
    },
)
wrong(
    "gates_for_h",
    "The competitive pull uses the gates",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (t - y) / sigma**2, gates * (t - outputs) / sigma**2"
    },
)
wrong(
    "gradients",
    "The gradients, not the pulls",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return -gates * (t - y) / sigma**2, -h * (t - outputs) / sigma**2"
    },
)
wrong(
    "h_for_gates",
    "The cooperative pull uses responsibilities",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return h * (t - y) / sigma**2, h * (t - outputs) / sigma**2"
    },
)
wrong(
    "log_gates",
    "The gates are logarithms",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return log_gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2"
    },
)
wrong(
    "no_gate",
    "The cooperative pull has no gate",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return ((t - y) / sigma**2).expand_as(h), h * (t - outputs) / sigma**2"
    },
)
wrong(
    "no_h",
    "The competitive pull has no weight",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (t - y) / sigma**2, (t - outputs) / sigma**2"
    },
)
wrong(
    "no_sigma",
    "σ is missing",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (t - y), h * (t - outputs)"
    },
)
wrong(
    "of_the_mean",
    "Divided by the number of rows",
    of=as_asked,
    put={
        "gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "gates * (t - y) / scale, h * (t - outputs) / scale"
    },
)
wrong(
    "one_result",
    "Wrong number of results",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return h * (t - outputs) / sigma**2"
    },
)
wrong(
    "own_gap",
    "The cooperative pull looks at the expert's own gap",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (t - outputs) / sigma**2, h * (t - outputs) / sigma**2"
    },
)
wrong(
    "plain_mean",
    "The blend is a plain mean",
    of=as_asked,
    put={"scale = sigma**2 * len(t)": "y = outputs.mean(dim=-1, keepdim=True)"},
)
wrong(
    "sigma_once",
    "σ is not squared",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return gates * (t - y) / sigma, h * (t - outputs) / sigma"
    },
)
wrong(
    "stacked",
    ANY,
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return torch.stack([gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2])"
    },
)
wrong(
    "swapped",
    "`cooperative` and `competitive` have changed places",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return h * (t - outputs) / sigma**2, gates * (t - y) / sigma**2"
    },
)
wrong(
    "twice",
    "Twice the pull",
    of=as_asked,
    put={
        "scale = sigma**2 * len(t)\n    return gates * (t - y) / sigma**2, h * (t - outputs) / sigma**2": "return 2 * gates * (t - y) / sigma**2, 2 * h * (t - outputs) / sigma**2"
    },
)
wrong(
    "underflows",
    ANY,
    of=as_asked,
    put={
        "h = (log_gates - 0.5 * ((t - outputs) / sigma) ** 2).softmax(dim=-1)": "fit = gates * (-0.5 * ((t - outputs) / sigma) ** 2).exp()",
        "scale = sigma**2 * len(t)": "h = fit / fit.sum(dim=-1, keepdim=True)",
    },
)
wrong(
    "eps_beside_sigma",
    "A small number is added to σ",
    of=as_asked,
    put={"gates = log_gates.exp()": "gates, sigma = log_gates.exp(), (sigma**2 + 1e-8) ** 0.5"},
)

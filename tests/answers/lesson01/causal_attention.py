"""Answers to exercise 1.5, causal_attention: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(q, k, v):
    T, S = q.shape[-2:]
    scores = q @ k.transpose(-2, -1) / S**0.5
    past = torch.ones(T, T).tril().bool()
    weights = scores.masked_fill(~past, float("-inf")).softmax(dim=-1)
    return weights @ v


@right
def added_mask(q, k, v):
    T, S = q.shape[2], q.shape[3]
    mask = torch.full((T, T), float("-inf"), dtype=q.dtype).triu(1)
    weights = F.softmax(torch.matmul(q, k.mT) / S**0.5 + mask, dim=-1)
    return torch.matmul(weights, v)


@right
def einsum(q, k, v):
    T = q.shape[2]
    scores = torch.einsum("bhts,bhus->bhtu", q, k) * q.shape[-1] ** -0.5
    position = torch.arange(T)
    scores = torch.where(position[:, None] >= position, scores, -torch.inf)
    return torch.einsum("bhtu,bhus->bhts", scores.softmax(dim=-1), v)


@right
def exp_by_hand(q, k, v):
    T, S = q.shape[-2:]
    scores = (q / S**0.5) @ k.transpose(2, 3)
    future = torch.ones(T, T).triu(1) == 1
    scores = scores.masked_fill(future, -1e12)
    powers = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return (powers @ v) / powers.sum(dim=-1, keepdim=True)


@right
def library(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


wrong("by_root_d", "Divided by √(H·S)", of=as_asked, put={"S**0.5": "(q.shape[1] * S) ** 0.5"})
wrong("by_root_h", "Divided by √H", of=as_asked, put={"S**0.5": "q.shape[1] ** 0.5"})
wrong("by_root_t", "Divided by √T", of=as_asked, put={"S**0.5": "T**0.5"})
wrong("by_s", "Divided by S, not by √S", of=as_asked, put={"S**0.5": "S"})
wrong("eight_positions", "Two shapes do not fit", of=as_asked, put={"q.shape[-2:]": "8, 64"})
wrong(
    "exp_overflows",
    "`exp` overflows",
    of=as_asked,
    put={
        'weights = scores.masked_fill(~past, float("-inf")).softmax(dim=-1)': "weights = scores.exp() * past\n    weights = weights / weights.sum(dim=-1, keepdim=True)"
    },
)
wrong("fill_far_too_high", ANY, of=as_asked, put={'float("-inf")': "-2.0"})
wrong("fill_too_high", "The mask's number is not low enough", of=as_asked, put={'float("-inf")': "-1000.0"})
wrong("float32", "`out` has the wrong type", of=as_asked, put={"weights @ v": "(weights @ v).float()"})
wrong(
    "float_mask",
    "A mask is made of True and False",
    of=as_asked,
    put={"torch.ones(T, T).tril().bool()": "torch.ones(T, T).tril()", "~past": "1 - past"},
)
wrong(
    "heads_for_time",
    "Heads look at heads",
    of=as_asked,
    put={
        "T, S = q.shape[-2:]": "q, k, v = (t.transpose(1, 2) for t in (q, k, v))\n    T, S = q.shape[-2:]",
        "weights @ v": "(weights @ v).transpose(1, 2)",
    },
)
wrong(
    "heads_side_by_side",
    "Heads and positions in another order",
    of=as_asked,
    put={"weights @ v": "(weights @ v).transpose(1, 2).flatten(2)"},
)
wrong(
    "input_changed",
    "Your function changed its input",
    of=as_asked,
    put={"scores = q @ k.transpose(-2, -1) / S**0.5": "q /= S**0.5\n    scores = q @ k.transpose(-2, -1)"},
)
wrong("keys_mixed", "Keys instead of values", of=as_asked, put={"weights @ v": "weights @ k"})
wrong("keys_not_transposed", "Two matrices do not fit", of=as_asked, put={"k.transpose(-2, -1)": "k"})
wrong("mask_inverted", "The mask is the wrong way round", of=as_asked, put={"~past": "past"})
wrong(
    "mask_inverted_low",
    "The mask is the wrong way round",
    of=as_asked,
    put={'scores.masked_fill(~past, float("-inf"))': "scores.masked_fill(past, -1e9)"},
)
wrong(
    "mask_turned",
    "The mask is the wrong way round",
    of=as_asked,
    put={"torch.ones(T, T).tril": "torch.ones(T, T).triu"},
)
wrong(
    "masked_after",
    "Masked after the softmax",
    of=as_asked,
    put={'scores.masked_fill(~past, float("-inf")).softmax(dim=-1)': "scores.softmax(dim=-1) * past"},
)
wrong("masked_with_zero", "Masked with 0", of=as_asked, put={'float("-inf")': "0.0"})
wrong(
    "mean_over_heads",
    "All heads have the same weights",
    of=as_asked,
    put={"q @ k.transpose(-2, -1) / S**0.5": "(q @ k.transpose(-2, -1) / S**0.5).mean(dim=1, keepdim=True)"},
)
wrong(
    "multiplied_by_mask",
    "Masked with 0",
    of=as_asked,
    put={'scores.masked_fill(~past, float("-inf"))': "scores.mul(past)"},
)
wrong("no_grad", "No gradient reaches `q`", of=as_asked, put={"scores.masked_fill": "scores.detach().masked_fill"})
wrong(
    "no_mask",
    "There is no mask",
    of=as_asked,
    put={
        'past = torch.ones(T, T).tril().bool()\n    weights = scores.masked_fill(~past, float("-inf")).softmax(dim=-1)': "weights = scores.softmax(dim=-1)"
    },
)
wrong(
    "no_scale", "The scale is missing", of=as_asked, put={"q @ k.transpose(-2, -1) / S**0.5": "q @ k.transpose(-2, -1)"}
)
wrong(
    "no_softmax",
    "There is no softmax",
    of=as_asked,
    put={'scores.masked_fill(~past, float("-inf")).softmax(dim=-1)': "scores * past"},
)
wrong("nothing_returned", "Nothing is returned", of=as_asked, put={"return weights @ v": "out = weights @ v"})
wrong(
    "one_ahead",
    "The mask ends one position too late",
    of=as_asked,
    put={"torch.ones(T, T).tril()": "torch.ones(T, T).tril(1)"},
)
wrong(
    "only_exp",
    "The exps are not divided by their sum",
    of=as_asked,
    put={'scores.masked_fill(~past, float("-inf")).softmax(dim=-1)': 'scores.masked_fill(~past, float("-inf")).exp()'},
)
wrong(
    "over_heads",
    "Softmax over the heads",
    of=as_asked,
    put={'scores.masked_fill(~past, float("-inf")).softmax(dim=-1)': "scores.softmax(dim=1) * past"},
)
wrong("over_heads_masked", ANY, of=as_asked, put={"dim=-1": "dim=1"})
wrong("over_queries", "Softmax over the queries", of=as_asked, put={"dim=-1": "dim=-2"})
wrong(
    "own_masked",
    "A position does not see itself",
    of=as_asked,
    put={"torch.ones(T, T).tril()": "torch.ones(T, T).tril(-1)"},
)
wrong(
    "own_masked_low",
    "A position does not see itself",
    of=as_asked,
    put={"torch.ones(T, T).tril()": "torch.ones(T, T).tril(diagonal=-1)", 'float("-inf")': "-1e9"},
)
wrong("queries_mixed", "Queries instead of values", of=as_asked, put={"weights @ v": "weights @ q"})
wrong("queries_with_queries", "Queries instead of keys", of=as_asked, put={"k.transpose": "q.transpose"})
wrong("reshaped_keys", ANY, of=as_asked, put={"k.transpose(-2, -1)": "k.reshape(k.shape[0], k.shape[1], S, T)"})
wrong(
    "running_mean",
    "Every earlier position weighs the same",
    of=as_asked,
    put={"weights @ v": "v.cumsum(dim=2) / torch.arange(1, T + 1, dtype=v.dtype)[:, None]"},
)
wrong(
    "scaled_after",
    "The scale comes after the softmax",
    of=as_asked,
    put={"q @ k.transpose(-2, -1) / S**0.5": "q @ k.transpose(-2, -1)", "weights @ v": "weights / S**0.5 @ v"},
)
wrong(
    "sigmoid",
    "Sigmoid, not softmax",
    of=as_asked,
    put={
        'scores.masked_fill(~past, float("-inf")).softmax(dim=-1)': 'scores.masked_fill(~past, float("-inf")).sigmoid()'
    },
)
wrong(
    "swapped",
    "Queries and keys have changed places",
    of=as_asked,
    put={"q @ k.transpose(-2, -1)": "k @ q.transpose(-2, -1)"},
)
wrong(
    "time_before_heads",
    "Heads and positions in another order",
    of=as_asked,
    put={"weights @ v": "(weights @ v).transpose(1, 2)"},
)
wrong(
    "times_root",
    "Multiplied by √S",
    of=as_asked,
    put={"q @ k.transpose(-2, -1) / S**0.5": "q @ k.transpose(-2, -1) * S**0.5"},
)
wrong(
    "uniform",
    "Every earlier position weighs the same",
    of=as_asked,
    put={"scores.masked_fill": "(0 * scores).masked_fill"},
)
wrong("v_turned", "Wrong shape", of=as_asked, put={"weights @ v": "(weights @ v).transpose(-2, -1)"})
wrong("values_detached", "No gradient reaches `v`", of=as_asked, put={"weights @ v": "weights @ v.detach()"})
wrong("weights_returned", "The weights come back", of=as_asked, put={"weights @ v": "weights"})
wrong("weights_turned", "Weights are turned over", of=as_asked, put={"weights @ v": "weights.transpose(-2, -1) @ v"})
wrong(
    "zero_times_infinity",
    "0 times −inf",
    of=as_asked,
    put={'scores.masked_fill(~past, float("-inf"))': '(scores + (~past) * float("-inf"))'},
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("No gradient reaches `q`", ANY)
def detached_weights(q, k, v):
    T, S = q.shape[-2:]
    s = q @ k.transpose(-2, -1) / S**0.5
    return s.masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(), -torch.inf).softmax(-1).detach() @ v


def att(q, k, v, mask=True, scale=None, fill=-torch.inf, dim=-1):
    T, S = q.shape[-2:]
    s = q @ k.transpose(-2, -1) / (scale or S**0.5)
    if mask:
        s = s.masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(), fill)
    return s.softmax(dim) @ v


@blind("Softmax over the queries", ANY)
def dim_2(q, k, v):
    return att(q, k, v, dim=-2)


@blind("`exp` overflows", ANY)
def exp_no_max(q, k, v):
    T, S = q.shape[-2:]
    e = (q @ k.transpose(-2, -1) / S**0.5).exp() * torch.ones(T, T).tril().to(q.dtype)
    return (e / e.sum(-1, keepdim=True)) @ v


@blind("Masked with 0", ANY)
def fill_0(q, k, v):
    return att(q, k, v, fill=0.0)


@blind("`out` is not right yet", ANY)
def fill_1(q, k, v):
    return att(q, k, v, fill=-1.0)


@blind("`out` is not right yet", ANY)
def fill_10(q, k, v):
    return att(q, k, v, fill=-10.0)


@blind("Queries and keys have changed places", ANY)
def k_q(q, k, v):
    return att(k, q, v)


@blind("Masked after the softmax", ANY)
def mask_after(q, k, v):
    T, S = q.shape[-2:]
    s = (q @ k.transpose(-2, -1) / S**0.5).softmax(-1)
    return (s * torch.ones(T, T).tril().to(s.dtype)) @ v


@blind("Every earlier position weighs the same", ANY)
def mean_of_past(q, k, v):
    return v.cumsum(-2) / torch.arange(1, v.shape[-2] + 1).to(v.dtype)[:, None]


@blind("There is no mask", ANY)
def blind_no_mask(q, k, v):
    return att(q, k, v, mask=False)


@blind("The scale is missing", ANY)
def blind_no_scale(q, k, v):
    return att(q, k, v, scale=1.0)


@blind("Divided by √T", ANY)
def scale_by_t(q, k, v):
    return att(q, k, v, scale=q.shape[-2] ** 0.5)


@blind("Divided by S, not by √S", ANY)
def scale_s(q, k, v):
    return att(q, k, v, scale=q.shape[-1])


@blind("The mask ends one position too late", ANY)
def tril_1(q, k, v):
    T, S = q.shape[-2:]
    s = q @ k.transpose(-2, -1) / S**0.5
    return s.masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(1), -torch.inf).softmax(-1) @ v


@blind("The mask is the wrong way round", ANY)
def triu(q, k, v):
    T, S = q.shape[-2:]
    s = q @ k.transpose(-2, -1) / S**0.5
    return s.masked_fill(~torch.ones(T, T, dtype=torch.bool).triu(), -torch.inf).softmax(-1) @ v


@wrong("Masked with +∞")
def plus_infinity(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    later = torch.ones(q.shape[2], q.shape[2]).triu(1).bool()
    return scores.masked_fill(later, float("inf")).softmax(dim=-1) @ v


@wrong("Masked after the softmax")
def minus_infinity_after(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    later = torch.ones(q.shape[2], q.shape[2]).triu(1).bool()
    return scores.softmax(dim=-1).masked_fill(later, float("-inf")) @ v


@wrong("Large scores are made smaller")
def clamped_scores(q, k, v):
    T, S = q.shape[-2:]
    scores = (q @ k.mT / S**0.5).clamp(-50, 50)
    return scores.masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(), -torch.inf).softmax(dim=-1) @ v


wrong("clamped_late", "Large scores are made smaller", of=clamped_scores, put={"clamp(-50, 50)": "clamp(max=1000)"})


@wrong("`exp` is 0 for all")
def nan_replaced(q, k, v):
    T, S = q.shape[-2:]
    powers = (q @ k.mT / S**0.5).masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(), -torch.inf).clamp(max=80).exp()
    return (powers / powers.sum(dim=-1, keepdim=True)).nan_to_num() @ v

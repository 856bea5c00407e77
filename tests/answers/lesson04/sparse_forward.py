"""Answers to exercise 4.4, sparse_forward: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=len(gate_up))
    slices = x[order // k].split(counts.tolist())
    answers = []
    for rows, w_in, w_out in zip(slices, gate_up.unbind(0), down.unbind(0), strict=True):
        gate, up = (rows @ w_in.T).chunk(2, dim=-1)
        answers.append((F.silu(gate) * up) @ w_out.T)
    out = torch.cat(answers) * weights.flatten()[order, None]
    return torch.zeros_like(x).index_add(0, order // k, out)


@right
def put_another_way(x, weights, expert_ids, gate_up, down):
    flat = expert_ids.flatten()
    order = flat.argsort(stable=True)
    token = order // expert_ids.shape[1]
    sizes = torch.bincount(flat, minlength=len(gate_up)).tolist()
    answers = []
    for rows, w_in, w_out in zip(x[token].split(sizes), gate_up.unbind(0), down.unbind(0), strict=False):
        gate, up = F.linear(rows, w_in).chunk(2, dim=-1)
        answers.append(F.linear(F.silu(gate) * up, w_out))
    weighted = torch.cat(answers) * weights.flatten()[order, None]
    return torch.zeros_like(x).index_add(0, token, weighted)


@wrong("A search for each expert")
def loop(x, weights, expert_ids, gate_up, down):
    y = torch.zeros_like(x)
    for e in range(gate_up.shape[0]):
        n, j = torch.where(expert_ids == e)
        half = down.shape[2]
        gate, up = x[n] @ gate_up[e, :half].T, x[n] @ gate_up[e, half:].T
        y = y.index_add(0, n, (gate * gate.sigmoid() * up) @ down[e].T * weights[n, j].unsqueeze(-1))
    return y


@right
def permutation_as_a_product(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order = flat.argsort(stable=True)
    send = F.one_hot(order // k, len(x)).to(x.dtype)
    answers = []
    slices = (send @ x).split(torch.bincount(flat, minlength=len(gate_up)).tolist())
    for rows, w_in, w_out in zip(slices, gate_up, down, strict=True):
        gate, up = (rows @ w_in.T).tensor_split(2, dim=1)
        answers.append((F.silu(gate) * up) @ w_out.T)
    return send.T @ (torch.cat(answers) * weights.take(order).unsqueeze(1))


@right
def skips_the_silent(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.reshape(-1), expert_ids.shape[1]
    order, y, start = flat.sort(stable=True).indices, torch.zeros(x.shape, dtype=x.dtype), 0
    for e, count in enumerate(torch.bincount(flat, minlength=len(down)).tolist()):
        places = order[start : start + count]
        start += count
        if count:
            gate, up = F.linear(x[places // k], gate_up[e]).chunk(2, dim=-1)
            out = F.linear(F.silu(gate) * up, down[e])
            y = y.index_add(0, places // k, out * weights[places // k, places % k, None])
    return y


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Every expert computes every token")
def all_on_all(x, weights, expert_ids, gate_up, down):
    combine = weights.new_zeros(len(x), len(gate_up)).scatter(1, expert_ids, weights)
    y = torch.zeros_like(x)
    for e, (w_in, w_out) in enumerate(zip(gate_up, down, strict=True)):
        gate, up = F.linear(x, w_in).chunk(2, dim=-1)
        y = y + combine[:, e, None] * F.linear(F.silu(gate) * up, w_out)
    return y


@wrong("Every expert computes every token")
def all_on_all_einsum(x, weights, expert_ids, gate_up, down):
    combine = weights.new_zeros(len(x), len(gate_up)).scatter(1, expert_ids, weights)
    gate, up = torch.einsum("nd,efd->nef", x, gate_up).chunk(2, dim=-1)
    return torch.einsum("nef,edf,ne->nd", F.silu(gate) * up, down, combine)


@wrong("Many small products")
def choice_by_choice(x, weights, expert_ids, gate_up, down):
    y = torch.zeros_like(x)
    for j in range(weights.shape[1]):
        for e in range(len(gate_up)):
            n = (expert_ids[:, j] == e).nonzero().flatten()
            gate, up = F.linear(x[n], gate_up[e]).chunk(2, dim=-1)
            y = y.index_add(0, n, F.linear(F.silu(gate) * up, down[e]) * weights[n, j, None])
    return y


@wrong("Rows and columns have changed places")  # W x for column vectors, as on paper, and never turned back
def column_vectors(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=len(gate_up))
    columns = x.T[:, order // k].split(counts.tolist(), dim=1)
    answers = []
    for column, w_in, w_out in zip(columns, gate_up, down):
        gate, up = (w_in @ column).chunk(2, dim=0)
        answers.append(w_out @ (F.silu(gate) * up))
    out = torch.cat(answers, dim=1) * weights.flatten()[order]
    return torch.zeros_like(x.T).index_add(1, order // k, out)


@wrong("More rows than needed")
def padded(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=len(gate_up))
    place = torch.arange(len(order)) - (counts.cumsum(0) - counts)[flat[order]]
    block = x.new_zeros(len(gate_up), int(counts.max()), x.shape[1]).index_put((flat[order], place), x[order // k])
    gate, up = (block @ gate_up.mT).chunk(2, dim=-1)
    out = ((F.silu(gate) * up) @ down.mT)[flat[order], place] * weights.flatten()[order, None]
    return torch.zeros_like(x).index_add(0, order // k, out)


@wrong("Many small products")
def row_by_row(x, weights, expert_ids, gate_up, down):
    rows = []
    for n in range(len(x)):
        row = 0
        for weight, e in zip(weights[n], expert_ids[n].tolist(), strict=True):
            gate, up = (gate_up[e] @ x[n]).chunk(2)
            row = row + weight * (down[e] @ (F.silu(gate) * up))
        rows.append(row)
    return torch.stack(rows)


@wrong("Nothing was written")
def thrown_away(x, weights, expert_ids, gate_up, down):
    y = torch.zeros_like(x)
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=len(gate_up))
    slices = x[order // k].split(counts.tolist())
    answers = []
    for rows, w_in, w_out in zip(slices, gate_up.unbind(0), down.unbind(0), strict=True):
        gate, up = (rows @ w_in.T).chunk(2, dim=-1)
        answers.append((F.silu(gate) * up) @ w_out.T)
    out = torch.cat(answers) * weights.flatten()[order, None]
    y.index_add(0, order // k, out)
    return y


@wrong("Weighted before the expert")
def weights_first(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=len(gate_up))
    slices = (x[order // k] * weights.flatten()[order, None]).split(counts.tolist())
    answers = []
    for rows, w_in, w_out in zip(slices, gate_up.unbind(0), down.unbind(0), strict=True):
        gate, up = (rows @ w_in.T).chunk(2, dim=-1)
        answers.append((F.silu(gate) * up) @ w_out.T)
    out = torch.cat(answers) * 1
    return torch.zeros_like(x).index_add(0, order // k, out)


wrong("choices_first", "Rows in the wrong slices", of=as_asked, put={"flat.argsort": "expert_ids.T.flatten().argsort"})
wrong(
    "counts_cut_off",
    "Slices and experts do not belong together",
    of=as_asked,
    put={
        "torch.bincount(flat, minlength=len(gate_up))": "torch.bincount(flat)[torch.bincount(flat) > 0]",
        "strict=True": "strict=False",
    },
)
wrong(
    "counts_from_unique",
    "Slices and experts do not belong together",
    of=as_asked,
    put={
        "torch.bincount(flat, minlength=len(gate_up))": "flat.unique(return_counts=True)[1]",
        "strict=True": "strict=False",
    },
)
wrong(
    "counts_of_first_choices",
    "The slices do not add up",
    of=as_asked,
    put={"torch.bincount(flat, minlength=len(gate_up))": "torch.bincount(expert_ids[:, 0], minlength=len(gate_up))"},
)
wrong("detached_down", "No gradient reaches `down`", of=as_asked, put={"w_out.T": "w_out.data.T"})
wrong(
    "detached_experts", "No gradient reaches `gate_up`", of=as_asked, put={"gate_up.unbind": "gate_up.detach().unbind"}
)
wrong("detached_gate", "The gradient for `x` differs", of=as_asked, put={"F.silu(gate)": "F.silu(gate).detach()"})
wrong("detached_rows", "No gradient reaches `x`", of=as_asked, put={"x[order // k]": "x.detach()[order // k]"})
wrong(
    "detached_weights",
    "No gradient reaches `weights`",
    of=as_asked,
    put={"weights.flatten": "weights.detach().flatten"},
)
wrong("down_not_transposed", "Two matrices do not fit", of=as_asked, put={"w_out.T": "w_out"})
wrong(
    "expert_order",
    "A row for each choice",
    of=as_asked,
    put={"torch.zeros_like(x).index_add(0, order // k, out)": "out"},
)
wrong(
    "first_weight",
    "The weight of the first choice for all",
    of=as_asked,
    put={"weights.flatten()[order, None]": "weights[order // k, :1]"},
)
wrong("float32_zeros", "Two types do not fit", of=as_asked, put={"torch.zeros_like(x)": "torch.zeros(x.shape)"})
wrong(
    "gate_and_up_swapped",
    "Gate and up have changed places",
    of=as_asked,
    put={"(rows @ w_in.T).chunk(2, dim=-1)": "(rows @ w_in.T).chunk(2, dim=-1)[::-1]"},
)
wrong(
    "gates_and_ups_in_turns",
    "Gates and ups taken in turns",
    of=as_asked,
    put={"(rows @ w_in.T).chunk(2, dim=-1)": "(rows @ w_in.T).unflatten(1, (-1, 2)).unbind(2)"},
)
wrong("gelu", "Another function than silu", of=as_asked, put={"F.silu": "F.gelu"})
wrong(
    "inverse",
    "The permutation the wrong way round",
    of=as_asked,
    put={"torch.zeros_like(x).index_add(0, order // k, out)": "out[order].view(*weights.shape, -1).sum(dim=1)"},
)
wrong(
    "no_minlength",
    "Lists of different length",
    of=as_asked,
    put={"torch.bincount(flat, minlength=len(gate_up))": "torch.bincount(flat)"},
)
wrong("no_silu", "There is no silu", of=as_asked, put={"F.silu(gate)": "gate"})
wrong("no_weights", "The weights are missing", of=as_asked, put={"weights.flatten()[order, None]": "1"})
wrong(
    "normalised",
    "The weights were normalised",
    of=as_asked,
    put={"weights.flatten": "(weights / weights.sum(dim=1, keepdim=True)).flatten"},
)
wrong(
    "not_put_back",
    "The rows were not put back",
    of=as_asked,
    put={"torch.zeros_like(x).index_add(0, order // k, out)": "out.view(*weights.shape, -1).sum(dim=1)"},
)
wrong(
    "overwrites",
    "One answer overwrites the other",
    of=as_asked,
    put={"torch.zeros_like(x).index_add": "torch.zeros_like(x).index_copy"},
)
wrong("places_as_tokens", "An index is too large", of=as_asked, put={"x[order // k]": "x[order]"})
wrong("residual", "The token itself is added", of=as_asked, put={"torch.zeros_like(x)": "x"})
wrong("rows_by_choice", "Places were counted choice by choice", of=as_asked, put={"x[order // k]": "x[order % len(x)]"})
wrong("rows_not_sorted", "Rows were not sorted", of=as_asked, put={"x[order // k]": "x.repeat_interleave(k, dim=0)"})
wrong(
    "rows_repeated", "Places were counted choice by choice", of=as_asked, put={"x[order // k]": "x.repeat(k, 1)[order]"}
)
wrong("sigmoid", "Sigmoid, not silu", of=as_asked, put={"F.silu(gate)": "gate.sigmoid()"})
wrong(
    "silu_of_product",
    "Silu after the product",
    of=as_asked,
    put={"(F.silu(gate) * up) @ w_out.T": "F.silu(gate * up) @ w_out.T"},
)
wrong("silu_on_up", "Gate and up have changed places", of=as_asked, put={"F.silu(gate) * up": "gate * F.silu(up)"})
wrong(
    "weights_in_place",
    "Your function changed its input",
    of=as_asked,
    put={
        "flat, k = expert_ids.flatten(), expert_ids.shape[1]": "weights /= weights.sum(dim=1, keepdim=True)\n    flat, k = expert_ids.flatten(), expert_ids.shape[1]"
    },
)
wrong(
    "weights_inverse",
    "The weights were sorted the wrong way round",
    of=as_asked,
    put={"order, None": "order.argsort(), None"},
)
wrong(
    "weights_not_sorted",
    "The weights were not sorted with the rows",
    of=as_asked,
    put={"weights.flatten()[order, None]": "weights.reshape(-1, 1)"},
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("Every expert computes every token", ANY)  # every expert computes every token
def blind_all_on_all(x, weights, expert_ids, gate_up, down):
    y = torch.zeros_like(x)
    for e in range(len(gate_up)):
        gate, up = F.linear(x, gate_up[e]).chunk(2, dim=-1)
        y = y + F.linear(F.silu(gate) * up, down[e]) * (weights * (expert_ids == e)).sum(dim=1, keepdim=True)
    return y


@blind("No gradient reaches `gate_up`", ANY)  # experts get no gradient
def blind_detached_experts(x, weights, expert_ids, gate_up, down):
    flat = expert_ids.flatten()
    order = flat.argsort(stable=True)
    token = order // expert_ids.shape[1]
    sizes = torch.bincount(flat, minlength=len(gate_up)).tolist()
    answers = []
    for rows, w_in, w_out in zip(
        x[token].split(sizes), gate_up.detach().unbind(0), down.detach().unbind(0), strict=False
    ):
        gate, up = F.linear(rows, w_in).chunk(2, dim=-1)
        answers.append(F.linear(F.silu(gate) * up, w_out))
    weighted = torch.cat(answers) * weights.flatten()[order, None]
    return torch.zeros_like(x).index_add(0, token, weighted)


@blind("`y` is not right yet", ANY)  # every slice goes to the next expert
def experts_shifted(x, weights, expert_ids, gate_up, down):
    flat = expert_ids.flatten()
    order = flat.argsort(stable=True)
    token = order // expert_ids.shape[1]
    sizes = torch.bincount(flat, minlength=len(gate_up)).tolist()
    answers = []
    for rows, w_in, w_out in zip(
        x[token].split(sizes), gate_up.roll(1, 0).unbind(0), down.roll(1, 0).unbind(0), strict=False
    ):
        gate, up = F.linear(rows, w_in).chunk(2, dim=-1)
        answers.append(F.linear(F.silu(gate) * up, w_out))
    weighted = torch.cat(answers) * weights.flatten()[order, None]
    return torch.zeros_like(x).index_add(0, token, weighted)


@blind("`y` is not right yet", ANY)  # the matrices of expert 0 for every slice
def first_expert_for_all(x, weights, expert_ids, gate_up, down):
    flat = expert_ids.flatten()
    order = flat.argsort(stable=True)
    token = order // expert_ids.shape[1]
    sizes = torch.bincount(flat, minlength=len(gate_up)).tolist()
    answers = []
    for rows, _w_in, _w_out in zip(x[token].split(sizes), gate_up.unbind(0), down.unbind(0), strict=False):
        gate, up = F.linear(rows, gate_up[0]).chunk(2, dim=-1)
        answers.append(F.linear(F.silu(gate) * up, down[0]))
    weighted = torch.cat(answers) * weights.flatten()[order, None]
    return torch.zeros_like(x).index_add(0, token, weighted)


@blind("One answer overwrites the other", ANY)  # one of the K answers overwrites the others
def blind_overwrites(x, weights, expert_ids, gate_up, down):
    flat = expert_ids.flatten()
    order = flat.argsort(stable=True)
    token = order // expert_ids.shape[1]
    sizes = torch.bincount(flat, minlength=len(gate_up)).tolist()
    answers = []
    for rows, w_in, w_out in zip(x[token].split(sizes), gate_up.unbind(0), down.unbind(0), strict=False):
        gate, up = F.linear(rows, w_in).chunk(2, dim=-1)
        answers.append(F.linear(F.silu(gate) * up, w_out))
    weighted = torch.cat(answers) * weights.flatten()[order, None]
    y = torch.zeros_like(x)
    y[token] = weighted
    return y


@blind("Weighted before the expert", ANY)  # weights multiply what goes into the experts
def weighted_before(x, weights, expert_ids, gate_up, down):
    flat = expert_ids.flatten()
    order = flat.argsort(stable=True)
    token = order // expert_ids.shape[1]
    sizes = torch.bincount(flat, minlength=len(gate_up)).tolist()
    answers = []
    for rows, w_in, w_out in zip(
        (x[token] * weights.flatten()[order, None]).split(sizes), gate_up.unbind(0), down.unbind(0), strict=False
    ):
        gate, up = F.linear(rows, w_in).chunk(2, dim=-1)
        answers.append(F.linear(F.silu(gate) * up, w_out))
    weighted = torch.cat(answers)
    return torch.zeros_like(x).index_add(0, token, weighted)


blind("blind_gelu", "Another function than silu", ANY, of=put_another_way, put={"F.silu": "F.gelu"})  # gelu for silu
# up is passed through silu, gate is not
blind("halves_swapped", "Gate and up have changed places", ANY, of=put_another_way, put={"gate, up": "up, gate"})
# gate and up are taken as every second row
blind(
    "interleaved",
    "Gates and ups taken in turns",
    ANY,
    of=put_another_way,
    put={"F.linear(rows, w_in).chunk(2, dim=-1)": "(F.linear(rows, w_in)[:, ::2], F.linear(rows, w_in)[:, 1::2])"},
)
# no weights at all
blind(
    "blind_no_weights",
    "The weights are missing",
    ANY,
    of=put_another_way,
    put={"torch.cat(answers) * weights.flatten()[order, None]": "torch.cat(answers)"},
)
# sizes without the zeros, so later experts get their neighbour's rows
blind(
    "only_used_experts",
    "Slices and experts do not belong together",
    ANY,
    of=put_another_way,
    put={"torch.bincount(flat, minlength=len(gate_up))": "flat.unique(return_counts=True)[1]"},
)
# weights are detached
blind(
    "router_gets_nothing",
    "No gradient reaches `weights`",
    ANY,
    of=put_another_way,
    put={"weights.flatten": "weights.detach().flatten"},
)
# rows come back in sorted order, summed in pairs
blind(
    "sorted_rows_returned",
    "The rows were not put back",
    ANY,
    of=put_another_way,
    put={"torch.zeros_like(x).index_add(0, token, weighted)": "weighted.view(len(x), -1, x.shape[1]).sum(dim=1)"},
)
# weights as they stand
blind(
    "weights_unsorted",
    "The weights were not sorted with the rows",
    ANY,
    of=put_another_way,
    put={"weights.flatten()[order, None]": "weights.flatten()[:, None]"},
)


@wrong("An index is too large")
def places_for_tokens(x, weights, expert_ids, gate_up, down):
    order = expert_ids.flatten().argsort(stable=True)
    rows = x[order]
    return rows


@wrong("A matrix for each row")
def matrices_by_row(x, weights, expert_ids, gate_up, down):
    order = expert_ids.flatten().argsort(stable=True)
    expert, token = expert_ids.flatten()[order], order // expert_ids.shape[1]
    gate, up = torch.bmm(gate_up[expert], x[token, :, None]).chunk(2, dim=1)
    out = torch.bmm(down[expert], F.silu(gate) * up).squeeze(-1)
    return torch.zeros_like(x).index_add(0, token, out * weights.flatten()[order, None])


# ---- rows kept between the calls ------------------------------------------------------------------------------------

_answers = {}


@wrong("A change in place")
def one_table_of_answers(x, weights, expert_ids, gate_up, down):
    flat = expert_ids.flatten()
    order = flat.argsort(stable=True)
    token = order // expert_ids.shape[1]
    sizes = torch.bincount(flat, minlength=len(gate_up)).tolist()
    out = _answers.setdefault((len(order), x.shape[1], x.dtype), x.new_zeros(len(order), x.shape[1])).detach()
    done = 0
    for rows, w_in, w_out in zip(x[token].split(sizes), gate_up.unbind(0), down.unbind(0), strict=True):
        gate, up = F.linear(rows, w_in).chunk(2, dim=-1)
        out[done : done + len(rows)] = F.linear(F.silu(gate) * up, w_out)
        done += len(rows)
    return torch.zeros_like(x).index_add(0, token, out * weights.flatten()[order, None])


wrong(
    "cloned_without_gradient",
    "No gradient reaches `x`",
    of=one_table_of_answers,
    put={
        "    done = 0": "    with torch.no_grad():\n        x = x.clone()\n    done = 0",
        "_answers.setdefault((len(order), x.shape[1], x.dtype), x.new_zeros(len(order), x.shape[1])).detach()": "x.new_zeros(len(order), x.shape[1])",
    },
)

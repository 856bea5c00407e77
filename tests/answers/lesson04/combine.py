"""Answers to exercise 4.3, combine: right ones, and wrong ones with the message that they must get."""

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def inverse_and_einsum(out, order, weights):
    back = out[order.argsort()].view(*weights.shape, -1)
    return torch.einsum("nk,nkd->nd", weights, back)


@right
def row_by_row(out, order, weights):
    rows = [0] * len(weights)
    for answer, place in zip(out, order.tolist(), strict=True):
        n, j = divmod(place, weights.shape[1])
        rows[n] = rows[n] + weights[n, j] * answer
    return torch.stack(rows)


@right
def scatter(out, order, weights):
    weighted = torch.empty_like(out).index_copy(0, order, out) * weights.reshape(-1, 1)
    return weighted.unflatten(0, weights.shape).sum(1)


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("No gradient reaches `out`")
def detached_out(out, order, weights):
    k = weights.shape[1]
    weighted = out.detach() * weights.flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


@wrong("No gradient reaches `weights`")
def detached_weights(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.detach().flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


@wrong("Divided by N, not by K")
def divided_by_n(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // len(weights), weighted)


@wrong("Only the first choice counts")
def first_choice(out, order, weights):
    return out[order.argsort()].view(*weights.shape, -1)[:, 0] * weights[:, :1]


@wrong("The weight of the first choice for all")
def first_weight(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights[order // k, :1]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


@wrong("Two types do not fit")
def float32_zeros(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.flatten()[order, None]
    return torch.zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


@wrong("Places were counted choice by choice")
def folded_by_choice(out, order, weights):
    n, k = weights.shape
    back = out[order.argsort()] * weights.flatten().unsqueeze(-1)
    return back.view(k, n, -1).sum(dim=0)


@wrong("Your function changed its input", "A change in place")
def in_place(out, order, weights):
    out *= weights.flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // weights.shape[1], out)


@wrong("The permutation the wrong way round")
def inverse(out, order, weights):
    return (out[order].view(*weights.shape, -1) * weights.unsqueeze(-1)).sum(dim=1)


@wrong("A mean instead of weights")
def mean(out, order, weights):
    return out[order.argsort()].view(*weights.shape, -1).mean(dim=1)


@wrong("The weights are missing")
def no_weights(out, order, weights):
    k = weights.shape[1]
    weighted = out * 1
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


@wrong("The weights were normalised")
def normalised(out, order, weights):
    k = weights.shape[1]
    weighted = out * (weights / weights.sum(dim=1, keepdim=True)).flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


@wrong("The rows were not put back")
def not_put_back(out, order, weights):
    return torch.einsum("nk,nkd->nd", weights, out.view(*weights.shape, -1))


@wrong("A row for each choice")
def not_summed(out, order, weights):
    return out[order.argsort()].view(*weights.shape, -1) * weights.unsqueeze(-1)


@wrong("An index is too large")
def order_as_tokens(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order, weighted)


@wrong("A row for each choice")
def order_as_tokens_many_rows(out, order, weights):
    weighted = out * weights.flatten()[order, None]
    return torch.zeros_like(out).index_add(0, order, weighted)


@wrong("One answer overwrites the other")
def overwrites(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    for row, place in zip(out, order.tolist(), strict=True):
        n, j = divmod(place, weights.shape[1])
        y[n] = row * weights[n, j]
    return y


@wrong("One answer overwrites the other", ANY)
def plus_equals(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    y[order // weights.shape[1]] += out * weights.flatten()[order, None]
    return y


@wrong("The remainder, not the token")
def remainder(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order % k, weighted)


@wrong("Places were counted choice by choice")
def remainder_by_n(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order % len(weights), weighted)


@wrong("The weights are applied twice")
def squared(out, order, weights):
    k = weights.shape[1]
    weighted = out * (weights**2).flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


@wrong("All weights of the token at once")
def sum_of_weights(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights[order // k].sum(dim=1, keepdim=True)
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


@wrong("Nothing was written")
def thrown_away(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    y.index_add(0, order // weights.shape[1], out * weights.flatten()[order, None])
    return y


@wrong("Rows and columns have changed places")
def transposed(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.flatten()[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted).T


@wrong("Divided by the number of choices")
def weighted_mean(out, order, weights):
    back = out[order.argsort()].view(*weights.shape, -1)
    return (back * weights.unsqueeze(-1)).mean(dim=1)


@wrong("No gradient reaches `weights`")
def weights_as_list(out, order, weights):
    k = weights.shape[1]
    weighted = out * torch.tensor(weights.flatten().tolist(), dtype=out.dtype)[order, None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


@wrong("The weights were sorted the wrong way round")
def weights_inverse(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.flatten()[order.argsort(), None]
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


@wrong("The weights were not sorted with the rows")
def weights_not_sorted(out, order, weights):
    k = weights.shape[1]
    weighted = out * weights.reshape(-1, 1)
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // k, weighted)


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("Your function changed its input", ANY)  # multiplies out in place
def changes_out(out, order, weights):
    n, k = weights.shape
    with torch.no_grad():
        out.mul_(weights.flatten()[order, None])
    return out.new_zeros(n, out.shape[1]).index_add(0, order // k, out)


@blind("No gradient reaches `out`", ANY)  # the answers are detached
def blind_detached_out(out, order, weights):
    n, k = weights.shape
    back = out.detach()[order.argsort()].view(n, k, -1)
    return (back * weights[:, :, None]).sum(dim=1)


@blind("Divided by N, not by K", ANY)  # token = place // N
def blind_divided_by_n(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    return y.index_add(0, (order // len(weights)).clamp(max=len(weights) - 1), out * weights.flatten()[order, None])


@blind("One answer overwrites the other", ANY)  # indexed assignment keeps one of the K answers
def last_row_wins(out, order, weights):
    k = weights.shape[1]
    y = out.new_zeros(len(weights), out.shape[1])
    y[order // k] = out * weights.flatten()[order, None]
    return y


@blind("Divided by the number of choices", ANY)  # mean over K instead of the sum
def mean_of_answers(out, order, weights):
    n, k = weights.shape
    back = out[order.argsort()].view(n, k, -1)
    return (back * weights[:, :, None]).mean(dim=1)


@blind("Places were counted choice by choice", ANY)  # token = place % K
def modulo(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    return y.index_add(0, order % len(weights), out * weights.flatten()[order, None])


@blind("The weights are missing", ANY)  # the answers are added as they are
def blind_no_weights(out, order, weights):
    n, k = weights.shape
    return out[order.argsort()].view(n, k, -1).sum(dim=1)


@blind("The weights were normalised", ANY)  # divides by the sum of the weights
def blind_normalised(out, order, weights):
    n, k = weights.shape
    back = out[order.argsort()].view(n, k, -1)
    return (back * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)


@blind("The permutation the wrong way round", ANY)  # applies order where its inverse is needed
def order_applied_twice(out, order, weights):
    n, k = weights.shape
    return (out[order].view(n, k, -1) * weights[:, :, None]).sum(dim=1)


@blind("One answer overwrites the other", ANY)  # y[index] += loses repeated rows
def blind_plus_equals(out, order, weights):
    k = weights.shape[1]
    y = out.new_zeros(len(weights), out.shape[1])
    y[order // k] += out * weights.flatten()[order, None]
    return y


@blind("The rows were not put back", ANY)  # rows are taken as if they were in token order
def unsorted_view(out, order, weights):
    n, k = weights.shape
    return (out.view(n, k, -1) * weights[:, :, None]).sum(dim=1)


@blind("The weights were not sorted with the rows", ANY)  # weights are not brought into the order of the rows
def weights_as_they_stand(out, order, weights):
    k = weights.shape[1]
    y = out.new_zeros(len(weights), out.shape[1])
    return y.index_add(0, order // k, out * weights.flatten()[:, None])


# ---- right until the sweep ------------------------------------------------------------------------------------------


@blind("Wrong for extreme values")
def blind_reciprocal(out, order, weights):
    token = (order * (1.0 / weights.shape[1])).long()
    return out.new_zeros(len(weights), out.shape[1]).index_add(0, token, out * weights.flatten()[order, None])

"""Answers to exercise 8.2, mutual_information: right ones, and wrong ones with the message that they must get."""

import math

import numpy as np
import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def over_the_cells_seen(counts):
    p = counts.double() / counts.sum()
    expected = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    seen = p > 0
    return (p[seen] * (p[seen] / expected[seen]).log2()).sum().item()


@right
def of_entropies(counts):
    def entropy(p):
        p = p[p > 0]
        return -(p * p.log2()).sum()

    p = counts.double() / counts.sum()
    return float(entropy(p.sum(0)) + entropy(p.sum(1)) - entropy(p.flatten()))


@right
def with_xlogy(counts):
    p = counts.to(torch.float64) / counts.sum()
    e, c = p.sum(1), p.sum(0)
    nats = torch.special.xlogy(p, p).sum() - torch.special.xlogy(e, e).sum() - torch.special.xlogy(c, c).sum()
    return (nats / torch.log(torch.tensor(2.0, dtype=torch.float64))).item()


@right
def in_python(counts):
    rows = counts.tolist()
    total = sum(map(sum, rows))
    by_row = [sum(r) for r in rows]
    by_col = [sum(c) for c in zip(*rows)]
    bits = 0.0
    for e, r in enumerate(rows):
        for c, n in enumerate(r):
            if n:
                bits += n / total * math.log2(n * total / (by_row[e] * by_col[c]))
    return bits


@right
def in_numpy(counts):
    p = counts.numpy() / counts.numpy().sum()
    q = np.outer(p.sum(1), p.sum(0))
    with np.errstate(all="ignore"):
        return float(np.nansum(p * np.log2(p / q)))


@right
def where(counts):
    p = counts.double() / counts.double().sum()
    q = torch.einsum("e,c->ec", p.sum(1), p.sum(0))
    t = torch.where(p > 0, p * (torch.log2(p) - torch.log2(q)), 0.0)
    return float(t.sum())


@right
def given(counts):
    c = counts.double()
    n = c.sum()
    py = c.sum(0) / n
    out = 0.0
    for row in c:
        if row.sum() == 0:
            continue
        cond = row / row.sum()
        ok = cond > 0
        out += (row.sum() / n * (cond[ok] * (cond[ok] / py[ok]).log2()).sum()).item()
    return out


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("0 · log 0")
def nan_at_zero(counts):
    p = counts.double() / counts.sum()
    return (p * (p / (p.sum(1, keepdim=True) * p.sum(0, keepdim=True))).log2()).sum().item()


@wrong("Nats, not bits")
def nats(counts):
    p = counts.double() / counts.sum()
    e = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    s = p > 0
    return (p[s] * (p[s] / e[s]).log()).sum().item()


@wrong("The logarithms are not weighted")
def unweighed(counts):
    p = counts.double() / counts.sum()
    e = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    return (p[p > 0] / e[p > 0]).log2().sum().item()


@wrong("Compared with even cells")
def even(counts):
    p = counts.double() / counts.sum()
    p = p[p > 0]
    return (p * (p * counts.numel()).log2()).sum().item()


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("Nearly right")
def shares_in_float32(counts):
    p = counts / counts.sum()
    q = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    m = p > 0
    return (p[m] * torch.log2(p[m] / q[m])).sum().item()


@blind("Nearly right")
def late_double(counts):
    p = (counts / counts.sum()).double()
    q = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    m = p > 0
    return (p[m] * torch.log2(p[m] / q[m])).sum().item()


@blind("Nearly right")
def clamp(counts):
    p = (counts.double() / counts.sum()).clamp(min=1e-6)
    q = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    return (p * torch.log2(p / q)).sum().item()


@blind("Nearly right")
def eps(counts):
    p = counts.double() / counts.sum()
    q = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    return (p * torch.log2((p + 1e-9) / (q + 1e-9))).sum().item()


@blind("A whole number is too large for int64")
def overflow(counts):
    total = counts.sum()
    rows, cols = counts.sum(1, keepdim=True), counts.sum(0, keepdim=True)
    m = counts > 0
    ratio = (counts * total).double() / (rows * cols).double()
    return (counts.double()[m] / total * ratio[m].log2()).sum().item()


@blind("0 · log 0")
def tiny_eps(counts):
    p = counts.double() / counts.sum()
    q = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    return (p * torch.log2(p / q + 1e-12)).sum().item()


@blind("0 · log 0")
def only_margins(counts):
    c = counts[counts.sum(1) > 0][:, counts.sum(0) > 0].double()
    p = c / c.sum()
    q = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    return (p * torch.log2(p / q)).sum().item()


@blind("Experts count alike, whatever their load")
def row_weights(counts):
    p = counts.double() / counts.sum()
    q = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    w = p / p.sum(1, keepdim=True).clamp(min=1e-300)
    m = p > 0
    return (w[m] * torch.log2(p[m] / q[m])).sum().item()


@blind("The expected share has one factor only")
def only_columns(counts):
    p = counts.double() / counts.sum()
    m = p > 0
    q = p.sum(0, keepdim=True).expand_as(p)
    return (p[m] * torch.log2(p[m] / q[m])).sum().item()


@blind(ANY)
def relu(counts):
    p = counts.double() / counts.sum()
    q = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    m = p > 0
    return (p[m] * torch.log2(p[m] / q[m]).clamp(min=0)).sum().item()


@blind("Two shapes do not fit")
def no_keepdim(counts):
    p = counts.double() / counts.sum()
    q = p.sum(0) * p.sum(1)
    m = p > 0
    return (p[m] * torch.log2((p / q)[m])).sum().item()


@blind("Not a plain float")
def a_tensor(counts):
    p = counts.double() / counts.sum()
    q = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    m = p > 0
    return (p[m] * torch.log2(p[m] / q[m])).sum()


@blind("Nearly right")
def ratio_in_float32(counts):
    c = counts.float()
    n = c.sum()
    ratio = c * n / (c.sum(1, keepdim=True) * c.sum(0, keepdim=True))
    return (c / n * torch.where(c > 0, ratio.log2(), 0.0)).sum().item()

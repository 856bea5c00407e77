"""Answers to exercise 8.2, mutual_information: right ones, and wrong ones with the message that they must get."""

import torch
from answers import right, wrong

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


@wrong("The logarithms are not weighed")
def unweighed(counts):
    p = counts.double() / counts.sum()
    e = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    return (p[p > 0] / e[p > 0]).log2().sum().item()


@wrong("Compared with even cells")
def even(counts):
    p = counts.double() / counts.sum()
    p = p[p > 0]
    return (p * (p * counts.numel()).log2()).sum().item()

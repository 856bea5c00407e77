"""Answers to exercise 8.3, information_and_chance: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong


def table(expert_ids, labels, n_experts, n_labels):
    pairs = expert_ids * n_labels + labels[:, None]
    return torch.bincount(pairs.flatten(), minlength=n_experts * n_labels).reshape(n_experts, n_labels)


def bits(counts):
    p = counts.double() / counts.sum()
    e = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    s = p > 0
    return (p[s] * (p[s] / e[s]).log2()).sum().item()


# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def round_by_round(expert_ids, labels, orders, n_experts, n_labels):
    information = bits(table(expert_ids, labels, n_experts, n_labels))
    rounds = [bits(table(expert_ids, labels[order], n_experts, n_labels)) for order in orders]
    return information, sum(rounds) / len(rounds)


@right
def all_at_once(expert_ids, labels, orders, n_experts, n_labels):
    chance = 0.0
    for shuffled in labels[orders]:
        chance += bits(table(expert_ids, shuffled, n_experts, n_labels)) / len(orders)
    return bits(table(expert_ids, labels, n_experts, n_labels)), chance


@right
def batched(expert_ids, labels, orders, n_experts, n_labels):
    every = torch.cat([labels[None], labels[orders]])
    a = F.one_hot(expert_ids, n_experts).sum(1).double()
    t = torch.einsum("ne,rnc->rec", a, F.one_hot(every, n_labels).double())
    p = t / t.sum((1, 2), keepdim=True)
    q = p.sum(1, keepdim=True) * p.sum(2, keepdim=True)
    bits = torch.where(p > 0, p * (p / q).log2(), torch.zeros(())).sum((1, 2))
    return bits[0].item(), bits[1:].mean().item()


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Chance is taken off already")
def corrected(expert_ids, labels, orders, n_experts, n_labels):
    rounds = [bits(table(expert_ids, labels[o], n_experts, n_labels)) for o in orders]
    chance = sum(rounds) / len(rounds)
    return bits(table(expert_ids, labels, n_experts, n_labels)) - chance, chance


@wrong("The order is read the other way round")
def scattered(expert_ids, labels, orders, n_experts, n_labels):
    rounds = []
    for order in orders:
        shuffled = torch.empty_like(labels)
        shuffled[order] = labels
        rounds.append(bits(table(expert_ids, shuffled, n_experts, n_labels)))
    return bits(table(expert_ids, labels, n_experts, n_labels)), sum(rounds) / len(rounds)


@wrong("Nothing was shuffled")
def both_moved(expert_ids, labels, orders, n_experts, n_labels):
    rounds = [bits(table(expert_ids[o], labels[o], n_experts, n_labels)) for o in orders]
    return bits(table(expert_ids, labels, n_experts, n_labels)), sum(rounds) / len(rounds)


@wrong("0 · log 0")
def nan_in_chance(expert_ids, labels, orders, n_experts, n_labels):
    def information(counts):
        p = counts.double() / counts.sum()
        return (p * (p / (p.sum(1, keepdim=True) * p.sum(0, keepdim=True))).log2()).sum().item()

    rounds = [information(table(expert_ids, labels[o], n_experts, n_labels)) for o in orders]
    return information(table(expert_ids, labels, n_experts, n_labels)), sum(rounds) / len(rounds)


@wrong("`information` and `chance` have changed places")
def swapped(expert_ids, labels, orders, n_experts, n_labels):
    return round_by_round(expert_ids, labels, orders, n_experts, n_labels)[::-1]


@wrong("The tables were added before the information was taken")
def pooled(expert_ids, labels, orders, n_experts, n_labels):
    total = sum(table(expert_ids, labels[o], n_experts, n_labels) for o in orders)
    return bits(table(expert_ids, labels, n_experts, n_labels)), bits(total)


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("The shuffles pile up")
def cumulative(expert_ids, labels, orders, n_experts, n_labels):
    information = bits(table(expert_ids, labels, n_experts, n_labels))
    rounds = []
    for o in orders:
        labels = labels[o]
        rounds.append(bits(table(expert_ids, labels, n_experts, n_labels)))
    return information, sum(rounds) / len(rounds)


@blind("Your function changed its input")
def in_place(expert_ids, labels, orders, n_experts, n_labels):
    information = bits(table(expert_ids, labels, n_experts, n_labels))
    rounds = []
    for o in orders:
        labels[:] = labels[o]
        rounds.append(bits(table(expert_ids, labels, n_experts, n_labels)))
    return information, sum(rounds) / len(rounds)


@blind("A single round, divided by R")
def early_return(expert_ids, labels, orders, n_experts, n_labels):
    information = bits(table(expert_ids, labels, n_experts, n_labels))
    total = 0.0
    for o in orders:
        total += bits(table(expert_ids, labels[o], n_experts, n_labels))
        return information, total / len(orders)


@blind("A round is missing")
def minus_one(expert_ids, labels, orders, n_experts, n_labels):
    rounds = [bits(table(expert_ids, labels[orders[r]], n_experts, n_labels)) for r in range(len(orders) - 1)]
    return bits(table(expert_ids, labels, n_experts, n_labels)), sum(rounds) / max(1, len(rounds))


@blind("The true labels count as a round")
def with_true(expert_ids, labels, orders, n_experts, n_labels):
    i = bits(table(expert_ids, labels, n_experts, n_labels))
    rounds = [i] + [bits(table(expert_ids, labels[o], n_experts, n_labels)) for o in orders]
    return i, sum(rounds) / len(rounds)


@blind("Divided by the number of tokens")
def by_n(expert_ids, labels, orders, n_experts, n_labels):
    rounds = [bits(table(expert_ids, labels[o], n_experts, n_labels)) for o in orders]
    return bits(table(expert_ids, labels, n_experts, n_labels)), sum(rounds) / len(labels)


@blind("Only the first choice is counted")
def first_choice(expert_ids, labels, orders, n_experts, n_labels):
    return round_by_round(expert_ids[:, :1], labels, orders, n_experts, n_labels)


@blind(ANY)
def assignments(expert_ids, labels, orders, n_experts, n_labels):
    K = expert_ids.shape[1]
    flat, lab = expert_ids.reshape(-1, 1), labels.repeat(K)
    rounds = []
    for o in orders:
        big = torch.cat([o + k * len(labels) for k in range(K)])
        rounds.append(bits(table(flat, lab[big], n_experts, n_labels)))
    return bits(table(expert_ids, labels, n_experts, n_labels)), sum(rounds) / len(rounds)


@blind("Two answers to one question")
def own(expert_ids, labels, orders, n_experts, n_labels):
    rounds = [bits(table(expert_ids, labels[torch.randperm(len(labels))], n_experts, n_labels)) for _ in orders]
    return bits(table(expert_ids, labels, n_experts, n_labels)), sum(rounds) / len(rounds)


@blind("The order is read the other way round")
def experts(expert_ids, labels, orders, n_experts, n_labels):
    rounds = [bits(table(expert_ids[o], labels, n_experts, n_labels)) for o in orders]
    return bits(table(expert_ids, labels, n_experts, n_labels)), sum(rounds) / len(rounds)


@blind("Not a plain float")
def a_tensor(expert_ids, labels, orders, n_experts, n_labels):
    rounds = [bits(table(expert_ids, labels[o], n_experts, n_labels)) for o in orders]
    return bits(table(expert_ids, labels, n_experts, n_labels)), torch.tensor(rounds).double().mean()

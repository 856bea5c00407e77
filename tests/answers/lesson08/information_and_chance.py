"""Answers to exercise 8.3, information_and_chance: right ones, and wrong ones with the message that they must get."""

import torch
from answers import right, wrong


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

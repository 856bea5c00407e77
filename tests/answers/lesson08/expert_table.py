"""Answers to exercise 8.1, expert_table: right ones, and wrong ones with the message that they must get."""

import numpy as np
import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def pairs_counted(expert_ids, labels, n_experts, n_labels):
    pairs = expert_ids * n_labels + labels[:, None]
    return torch.bincount(pairs.flatten(), minlength=n_experts * n_labels).reshape(n_experts, n_labels)


@right
def one_hot_product(expert_ids, labels, n_experts, n_labels):
    chosen = F.one_hot(expert_ids, n_experts).sum(1)
    return chosen.T @ F.one_hot(labels, n_labels)


@right
def added_in_place(expert_ids, labels, n_experts, n_labels):
    table = torch.zeros(n_experts, n_labels, dtype=torch.int64)
    index = (expert_ids.reshape(-1), labels.repeat_interleave(expert_ids.shape[1]))
    return table.index_put_(index, torch.ones_like(index[0]), accumulate=True)


@right
def label_by_label(expert_ids, labels, n_experts, n_labels):
    return torch.stack(
        [torch.bincount(expert_ids[labels == c].flatten(), minlength=n_experts) for c in range(n_labels)], 1
    )


@right
def in_loops(expert_ids, labels, n_experts, n_labels):
    counts = torch.zeros(n_experts, n_labels, dtype=torch.int64)
    for n in range(len(labels)):
        for e in expert_ids[n]:
            counts[e, labels[n]] += 1
    return counts


@right
def einsum(expert_ids, labels, n_experts, n_labels):
    a = F.one_hot(expert_ids, n_experts).double()
    b = F.one_hot(labels, n_labels).double()
    return torch.einsum("nke,nc->ec", a, b).long()


@right
def in_python(expert_ids, labels, n_experts, n_labels):
    rows = [[0] * n_labels for _ in range(n_experts)]
    for experts, label in zip(expert_ids.tolist(), labels.tolist()):
        for e in experts:
            rows[e][label] += 1
    return torch.tensor(rows)


@right
def in_numpy(expert_ids, labels, n_experts, n_labels):
    counts = np.zeros((n_experts, n_labels), dtype=np.int64)
    np.add.at(counts, (expert_ids.numpy(), labels.numpy()[:, None]), 1)
    return torch.from_numpy(counts)


@right
def masks(expert_ids, labels, n_experts, n_labels):
    return torch.stack(
        [torch.stack([(expert_ids[labels == c] == e).sum() for c in range(n_labels)]) for e in range(n_experts)]
    )


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Labels in rows, experts in columns")
def turned(expert_ids, labels, n_experts, n_labels):
    return torch.stack(
        [torch.bincount(expert_ids[labels == c].flatten(), minlength=n_experts) for c in range(n_labels)]
    )


@wrong("A pair is counted once, however often it comes")
def plus_one(expert_ids, labels, n_experts, n_labels):
    table = torch.zeros(n_experts, n_labels, dtype=torch.int64)
    table[expert_ids, labels[:, None]] += 1
    return table


@wrong("Choices and labels do not belong together")
def repeated(expert_ids, labels, n_experts, n_labels):
    pairs = expert_ids.flatten() * n_labels + labels.repeat(expert_ids.shape[1])
    return torch.bincount(pairs, minlength=n_experts * n_labels).view(n_experts, n_labels)


@wrong("Only the first choice is counted")
def argmax_like(expert_ids, labels, n_experts, n_labels):
    pairs = expert_ids[:, 0] * n_labels + labels
    return torch.bincount(pairs, minlength=n_experts * n_labels).view(n_experts, n_labels)


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("A pair is counted once, however often it comes")
def lost_per_k(expert_ids, labels, n_experts, n_labels):
    counts = torch.zeros(n_experts, n_labels, dtype=torch.int64)
    for k in range(expert_ids.shape[1]):
        counts[expert_ids[:, k], labels] += 1
    return counts


@blind("Choices and labels do not belong together")
def zipped(expert_ids, labels, n_experts, n_labels):
    counts = torch.zeros(n_experts, n_labels, dtype=torch.int64)
    for e, c in zip(expert_ids.flatten(), labels):
        counts[e, c] += 1
    return counts


@blind("The size comes from the largest number that occurs")
def seen(expert_ids, labels, n_experts, n_labels):
    counts = torch.zeros(int(expert_ids.max()) + 1, int(labels.max()) + 1, dtype=torch.int64)
    for n in range(len(labels)):
        for e in expert_ids[n]:
            counts[e, labels[n]] += 1
    return counts


@blind("`bincount` without `minlength`")
def no_minlength(expert_ids, labels, n_experts, n_labels):
    return torch.bincount((expert_ids * n_labels + labels[:, None]).flatten()).view(n_experts, n_labels)


@blind("Labels in rows, experts in columns")
def viewed(expert_ids, labels, n_experts, n_labels):
    cells = labels[:, None] * n_experts + expert_ids
    return torch.bincount(cells.flatten(), minlength=n_experts * n_labels).view(n_experts, n_labels)


@blind("All rows are the same")
def same_list(expert_ids, labels, n_experts, n_labels):
    rows = [[0] * n_labels] * n_experts
    for experts, label in zip(expert_ids.tolist(), labels.tolist()):
        for e in experts:
            rows[e][label] += 1
    return torch.tensor(rows)


@blind("Shares, not counts")  # nan for a label that no token has
def shares(expert_ids, labels, n_experts, n_labels):
    c = (F.one_hot(expert_ids, n_experts).sum(1).T @ F.one_hot(labels, n_labels)).float()
    return c / c.sum(0, keepdim=True)


@blind("Assignments are missing")
def off_by_one(expert_ids, labels, n_experts, n_labels):
    counts = torch.zeros(n_experts, n_labels, dtype=torch.int64)
    for n in range(len(labels) - 1):
        for e in expert_ids[n]:
            counts[e, labels[n]] += 1
    return counts


@blind("Too many assignments")
def ones(expert_ids, labels, n_experts, n_labels):
    cells = expert_ids * n_labels + labels[:, None]
    return 1 + torch.bincount(cells.flatten(), minlength=n_experts * n_labels).view(n_experts, n_labels)


@blind("Assignments are missing")
def width(expert_ids, labels, n_experts, n_labels):
    cells = expert_ids * n_experts + labels[:, None]
    return torch.bincount(cells.flatten(), minlength=n_experts * n_labels)[: n_experts * n_labels].view(
        n_experts, n_labels
    )


@blind("A pair is counted once, however often it comes")
def with_any(expert_ids, labels, n_experts, n_labels):
    counts = torch.zeros(n_experts, n_labels, dtype=torch.int64)
    counts[expert_ids, labels[:, None]] = 1
    return counts


@blind("Your function changed its input")
def mutates(expert_ids, labels, n_experts, n_labels):
    expert_ids *= n_labels
    expert_ids += labels[:, None]
    return torch.bincount(expert_ids.flatten(), minlength=n_experts * n_labels).view(n_experts, n_labels)


@blind(ANY)
def no_labels(expert_ids, labels, n_experts, n_labels):
    return F.one_hot(expert_ids, n_experts).sum(1)


@blind("Not a tensor")
def a_list(expert_ids, labels, n_experts, n_labels):
    rows = [[0] * n_labels for _ in range(n_experts)]
    for experts, label in zip(expert_ids.tolist(), labels.tolist()):
        for e in experts:
            rows[e][label] += 1
    return rows

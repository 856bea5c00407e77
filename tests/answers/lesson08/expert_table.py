"""Answers to exercise 8.1, expert_table: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import right, wrong

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

"""Answers to exercise 1.1, cross_entropy: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    return F.cross_entropy(logits, targets)


@wrong("Close, but not equal")
def in_float32(logits, targets):
    kept = targets.ge(0)
    log_p = torch.log_softmax(logits.float(), dim=1)[kept]
    return -log_p.gather(1, targets[kept].unsqueeze(1)).mean()


@right
def library(logits, targets):
    return F.cross_entropy(logits, targets, ignore_index=-100)


@right
def loop(logits, targets):
    costs = []
    for row, target in zip(logits, targets.tolist(), strict=True):
        if target != -100:
            highest = row.max()
            costs.append(highest + (row - highest).exp().sum().log() - row[target])
    return sum(costs) / len(costs)


@right
def one_hot(logits, targets):
    counted = (targets != -100).to(logits.dtype)  # (N,)
    one_hot = F.one_hot(targets.clamp(min=0), logits.shape[1])  # (N, V)
    costs = -(logits.log_softmax(dim=-1) * one_hot).sum(dim=-1)  # (N,)
    return (costs * counted).sum() / counted.sum()


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("That is the accuracy")
def accuracy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    return (logits.argmax(dim=-1) == targets).float().mean()


@wrong("The best class, not the target")
def best_class(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    best = logits.argmax(dim=-1)
    return -logits.log_softmax(-1).gather(1, best[:, None]).mean()


@wrong("Class 0 is left out")
def class_zero_dropped(logits, targets):
    kept = targets > 0
    logits, targets = logits[kept], targets[kept]
    return (logits.logsumexp(1) - logits.gather(1, targets[:, None])[:, 0]).mean()


@wrong(ANY)
def constant(logits, targets):
    return logits.sum() * 0 + 1.6


@wrong("That is the entropy")
def entropy(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    p = logits.softmax(-1)
    return -(p * p.log()).sum(dim=-1).mean()


@wrong("`exp` overflows")
def exp_overflows(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    p = torch.exp(logits)
    p = p / p.sum(dim=-1, keepdim=True)
    return -torch.log(p[rows, targets]).mean()


@wrong(ANY)
def half_the_digits(logits, targets):
    return F.cross_entropy(logits.bfloat16(), targets)


@wrong("−100 counted as class 0")
def ignored_clamped(logits, targets):
    targets = targets.clamp(min=0)
    own = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
    return (logits.logsumexp(1) - own).mean()


@wrong("−100 used as an index")
def ignored_in_a_loop(logits, targets):
    total = 0
    for row, target in zip(logits, targets, strict=True):
        total = total + row.logsumexp(0) - row[target]
    return total / len(targets)


@wrong("−100 used as an index")
def ignored_is_an_index(logits, targets):
    log_p = logits.log_softmax(dim=-1)
    return -log_p[torch.arange(len(targets)), targets].mean()


@wrong("−100 used as an index")
def ignored_is_gathered(logits, targets):
    log_p = logits.log_softmax(dim=-1)
    return -log_p.gather(1, targets[:, None]).mean()


@wrong("−100 used as an index")
def ignored_is_one_hot(logits, targets):
    one_hot = F.one_hot(targets, logits.shape[1])
    return -(one_hot * logits.log_softmax(-1)).sum(dim=-1).mean()


@wrong("Your function changed its input")
def input_changed(logits, targets):
    targets[targets == -100] = 0
    logits -= logits.max(dim=-1, keepdim=True).values
    return F.cross_entropy(logits, targets)


@wrong(ANY)
def label_smoothing(logits, targets):
    return F.cross_entropy(logits, targets, label_smoothing=0.1)


@wrong("The gradient for `logits` differs")
def logsumexp_detached(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    with torch.no_grad():
        norm = logits.logsumexp(dim=-1)
    return (norm - logits[rows, targets]).mean()


@wrong("Divided by the targets that do not count, too")
def mean_over_all_rows(logits, targets):
    counted = targets != -100
    own = logits.gather(1, targets.clamp(min=0)[:, None])[:, 0]
    cost = logits.logsumexp(dim=-1) - own
    return (cost * counted).mean()


@wrong("Divided by the number of classes")
def mean_over_classes(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    one_hot = F.one_hot(targets, logits.shape[1])
    return -(one_hot * logits.log_softmax(dim=-1)).mean()


@wrong("No gradient reaches `logits`")
def new_tensor(logits, targets):
    costs = [(row.logsumexp(0) - row[t]).item() for row, t in zip(logits, targets, strict=True) if t != -100]
    return torch.tensor(sum(costs) / len(costs))


@wrong("Nothing is returned")
def nothing_returned(logits, targets):
    loss = F.cross_entropy(logits, targets)
    print(loss)


@wrong("One softmax over the whole table")
def one_softmax(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    p = logits.exp() / logits.exp().sum()
    return -p[rows, targets].log().mean()


@wrong("The target's logit is missing")
def only_logsumexp(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    return logits.logsumexp(dim=-1).mean()


@wrong("Not a tensor")
def python_float(logits, targets):
    total, n = 0.0, 0
    for row, target in zip(logits, targets, strict=True):
        if target != -100:
            total += (row.logsumexp(0) - row[target]).item()
            n += 1
    return total / n


@wrong("One loss for each target")
def reduction_none(logits, targets):
    return F.cross_entropy(logits, targets, reduction="none")


@wrong("Targets are shifted by one")
def shifted(logits, targets):
    logits, targets = logits[:-1], targets[1:]
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    rows = torch.arange(len(targets))
    return -logits.log_softmax(-1)[rows, targets].mean()


@wrong("Targets are shifted by one")
def shifted_back(logits, targets):
    return F.cross_entropy(logits[1:], targets[:-1])


@wrong("Softmax over the positions")
def softmax_over_kept_positions(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    p = F.softmax(logits, dim=0)
    return -p.gather(1, targets[:, None]).log().mean()


@wrong("Softmax over the positions")
def softmax_over_positions(logits, targets):
    kept = targets != -100
    log_p = logits.log_softmax(dim=0)
    return -log_p[kept].gather(1, targets[kept][:, None]).mean()


@wrong("Softmax was applied twice")
def softmax_twice(logits, targets):
    return F.cross_entropy(logits.softmax(dim=-1), targets)


@wrong("Divided by the number of classes")
def sum_over_classes_number(logits, targets):
    kept = targets != -100
    logits, targets = logits[kept], targets[kept]
    own = logits.log_softmax(-1).gather(1, targets[:, None])
    return -own.sum() / logits.shape[1]


wrong(
    "largest_logit_added",
    "`exp` overflows",
    of=one_softmax,
    put={
        "p = logits.exp() / logits.exp().sum()": "up = logits + logits.amax(dim=-1, keepdim=True)",
        "-p[rows, targets].log().mean()": "(up.exp().sum(dim=-1).log() - up[rows, targets]).mean()",
    },
)
wrong(
    "largest_of_all_subtracted_then_softmax",
    "The logarithm of 0",
    of=one_softmax,
    put={
        "p = logits.exp() / logits.exp().sum()": "powers = (logits - logits.max()).exp()\n    p = powers / powers.sum(dim=-1, keepdim=True)"
    },
)
wrong(
    "least_logit_subtracted",
    "`exp` overflows",
    of=one_softmax,
    put={
        "p = logits.exp() / logits.exp().sum()": "low = logits - logits.amin(dim=-1, keepdim=True)",
        "-p[rows, targets].log().mean()": "(low.exp().sum(dim=-1).log() - low[rows, targets]).mean()",
    },
)

wrong("all_zero_rows", ANY, of=as_asked, put={"rows = torch.arange(len(targets))": "logits = logits.clamp(-1, 1)"})
wrong(
    "detached",
    "No gradient reaches `logits`",
    of=as_asked,
    put={"rows = torch.arange(len(targets))": "logits = logits.detach()"},
)
wrong(
    "eps_in_log",
    "The loss has a ceiling",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-(logits.softmax(dim=-1)[rows, targets] + 1e-9).log().mean()"},
)
wrong(
    "item",
    "Not a tensor",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "(-logits.log_softmax(dim=-1)[rows, targets].mean()).item()"},
)
wrong(
    "kept_dimension",
    "A number in brackets",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-logits.log_softmax(dim=-1)[rows, targets].mean(dim=0, keepdim=True)"},
)
wrong(
    "log10",
    "The logarithm to base 10",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-torch.log10(logits.softmax(-1)[rows, targets]).mean()"},
)
wrong(
    "log2",
    "Bits, not nats",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-logits.softmax(dim=-1)[rows, targets].log2().mean()"},
)
wrong(
    "log_of_softmax",
    "The logarithm of 0",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-logits.softmax(dim=-1)[rows, targets].log().mean()"},
)
wrong(
    "log_of_the_mean",
    "The mean comes before the logarithm",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-logits.softmax(dim=-1)[rows, targets].mean().log()"},
)
wrong(
    "logit_added",
    "The logit was added, not taken away",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "(logits.logsumexp(dim=-1) + logits[rows, targets]).mean()"},
)
wrong(
    "logsumexp_by_hand",
    "`exp` overflows",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "(logits.exp().sum(dim=-1).log() - logits[rows, targets]).mean()"},
)
wrong(
    "minus_probability",
    "The logarithm is missing",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-logits.softmax(dim=-1)[rows, targets].mean()"},
)
wrong(
    "no_logsumexp",
    "The log-sum-exp is missing",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-logits[rows, targets].mean()"},
)
wrong(
    "one_for_each",
    "One loss for each target",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-logits.log_softmax(dim=-1)[rows, targets]"},
)
wrong(
    "one_minus_probability",
    "The logarithm is missing",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "(1 - logits.softmax(dim=-1)[rows, targets]).mean()"},
)
wrong(
    "perplexity",
    "That is the perplexity",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "(-logits.log_softmax(dim=-1)[rows, targets].mean()).exp()"},
)
wrong(
    "probability",
    "The logarithm is missing",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "logits.softmax(dim=-1)[rows, targets].mean()"},
)
wrong(
    "probability_clamped",
    "The loss has a ceiling",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-logits.softmax(dim=-1)[rows, targets].clamp(min=1e-12).log().mean()"},
)
wrong(
    "sigmoid",
    "Sigmoid, not softmax",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-F.logsigmoid(logits[rows, targets]).mean()"},
)
wrong(
    "sign_forgotten",
    "The sign is missing",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "logits.log_softmax(dim=-1)[rows, targets].mean()"},
)
wrong(
    "sum_for_mean",
    "A sum, not a mean",
    of=as_asked,
    put={"F.cross_entropy(logits, targets)": "-logits.log_softmax(dim=-1)[rows, targets].sum()"},
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("−100 counted as class 0", ANY)
def clamp_targets(logits, targets):
    lp = logits.log_softmax(-1)
    return -lp[torch.arange(len(targets)), targets.clamp(min=0)].mean()


@blind("The loss has a ceiling", ANY)
def clamped_prob(logits, targets):
    m = targets != -100
    p = logits.softmax(-1)[m]
    return -p[torch.arange(len(p)), targets[m]].clamp(min=1e-9).log().mean()


@blind("No gradient reaches `logits`", ANY)
def blind_detached(logits, targets):
    m = targets != -100
    lp = logits.detach()[m].log_softmax(-1)
    return -lp[torch.arange(len(lp)), targets[m]].mean()


@blind("`loss` is not right yet", ANY)
def eps_inside_log(logits, targets):
    m = targets != -100
    p = logits.softmax(-1)[m]
    return -(p[torch.arange(len(p)), targets[m]] + 1e-6).log().mean()


@blind("`loss` is not right yet", ANY)
def float16_half(logits, targets):
    m = targets != -100
    lp = logits[m].half().log_softmax(-1)
    return -lp[torch.arange(len(lp)), targets[m]].mean().float()


@blind("The logarithm of 0", ANY)
def ignore_all_negative(logits, targets):
    logits = logits - logits.max()
    m = targets != -100
    e = logits.exp()
    p = e / e.sum(-1, keepdim=True)
    p = p[m]
    return -p[torch.arange(len(p)), targets[m]].log().mean()


@blind("−100 used as an index", ANY)
def ignores_100_marker_indexes_from_end(logits, targets):
    lp = logits.log_softmax(-1)
    return -lp[torch.arange(len(targets)), targets].mean()


@blind("Your function changed its input", ANY)
def inplace_on_logits(logits, targets):
    with torch.no_grad():
        logits -= logits.amax(-1, keepdim=True)
    m = targets != -100
    lp = logits[m].log_softmax(-1)
    return -lp[torch.arange(len(lp)), targets[m]].mean()


@blind("No gradient reaches `logits`", ANY)
def blind_item(logits, targets):
    m = targets != -100
    lp = logits[m].log_softmax(-1)
    return torch.tensor((-lp[torch.arange(len(lp)), targets[m]].mean()).item())


@blind("Divided by the targets that do not count, too", ANY)
def mean_over_all_n(logits, targets):
    m = targets != -100
    lp = logits.log_softmax(-1)
    t = targets.clamp(min=0)
    l = -lp.gather(1, t[:, None])[:, 0] * m
    return l.mean()


@blind("`loss` is not right yet", ANY)
def median(logits, targets):
    m = targets != -100
    lp = logits[m].log_softmax(-1)
    return -lp[torch.arange(len(lp)), targets[m]].median()


@blind("`exp` overflows", ANY)
def overflow_naive(logits, targets):
    m = targets != -100
    p = logits.exp() / logits.exp().sum(-1, keepdim=True)
    p = p[m]
    return -p[torch.arange(len(p)), targets[m]].log().mean()


@blind("A number in brackets", ANY)
def shape_1(logits, targets):
    m = targets != -100
    lp = logits[m].log_softmax(-1)
    return -lp[torch.arange(len(lp)), targets[m]].mean(0, keepdim=True)


@blind("Targets are shifted by one", ANY)
def shifts_targets(logits, targets):
    l, t = logits[:-1], targets[1:]
    m = t != -100
    lp = l[m].log_softmax(-1)
    return -lp[torch.arange(len(lp)), t[m]].mean()


@blind("Softmax over the positions", ANY)
def sum_of_mean_squares(logits, targets):
    m = targets != -100
    lp = logits[m].log_softmax(0)
    return -lp[torch.arange(len(lp)), targets[m]].mean()


@wrong("`exp` is 0 in a whole row")
def one_maximum_for_all(logits, targets):
    counts = targets != -100
    logits, targets = logits[counts] - logits[counts].max(), targets[counts]
    return (logits.exp().sum(-1).log() - logits.gather(1, targets[:, None])[:, 0]).mean()


wrong(
    "maximum_with_0",
    "`exp` is 0 in a whole row",
    of=one_maximum_for_all,
    put={"- logits[counts].max()": "- logits[counts].amax(1, keepdim=True).clamp(min=0)"},
)

"""Answers to exercise 7.3, choose_and_move: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(scores, bias, k, step):
    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias)).to(bias.dtype)
    new_bias = bias + step * (load.mean() - load).sign()
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, new_bias


@right
def put_another_way(scores, bias, k, step):
    def choose(scores, bias, k):
        order = (scores + bias).argsort(dim=-1, descending=True, stable=True)
        expert_ids = order[:, :k]
        weights = scores.gather(1, expert_ids)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return weights, expert_ids

    weights, expert_ids = choose(scores, bias, k)
    right = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(right.flatten(), minlength=len(bias)).to(bias.dtype)
    return weights, expert_ids, bias + step * (load.mean() - load).sign()


@right
def topk_free(scores, bias, k, step):
    order = (scores + bias).sort(dim=1, descending=True, stable=True).indices
    ids = order[:, :k]
    kept = torch.take_along_dim(scores, ids, dim=1)
    load = F.one_hot(ids, len(bias)).sum(dim=(0, 1))
    fair = len(scores) * k / len(bias)
    new_bias = bias.clone()
    new_bias[load > fair] -= step
    new_bias[load < fair] += step
    return kept / kept.sum(dim=1, keepdim=True), ids, new_bias


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("An expert is chosen twice")  # the best by score, and beside it the best by score + bias: often the same
def best_score_stays(scores, bias, k, step):
    first = scores.argmax(dim=1, keepdim=True)
    others = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, : k - 1]
    expert_ids = torch.cat([first, others], dim=1)
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias)).to(bias.dtype)
    new_bias = bias + step * (load.mean() - load).sign()
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, new_bias


@wrong(ANY)
def moved_first(scores, bias, k, step):
    ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(ids.flatten(), minlength=len(bias)).to(bias.dtype)
    new_bias = bias + step * (load.mean() - load).sign()
    expert_ids = (scores + new_bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, new_bias


@wrong("The load of another choice")
def without_bias(scores, bias, k, step):
    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(scores.sort(dim=1, descending=True).indices[:, :k].flatten(), minlength=len(bias)).to(
        bias.dtype
    )
    new_bias = bias + step * (load.mean() - load).sign()
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, new_bias


wrong("ascending", "The smallest are kept", of=as_asked, put={"descending=True": "descending=False"})
wrong(
    "at_the_mean",
    "At the mean it stays",
    of=as_asked,
    put={"step * (load.mean() - load).sign()": "torch.where(load < load.mean(), step, -step)"},
)
wrong(
    "best_scores",
    "The weights of the best scores",
    of=as_asked,
    put={"scores.gather(1, expert_ids)": "scores.sort(dim=1, descending=True).values[:, :k]"},
)
wrong(
    "by_number",
    ANY,
    of=as_asked,
    put={
        "(scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]": "(scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k].sort(dim=1).values"
    },
)
wrong("detached", "No gradient reaches `scores`", of=as_asked, put={"scores.gather": "scores.detach().gather"})
wrong(
    "difference",
    "The difference, not its sign",
    of=as_asked,
    put={"(load.mean() - load).sign()": "(load.mean() - load)"},
)
wrong("direction", "The wrong direction", of=as_asked, put={"load.mean() - load": "load - load.mean()"})
wrong(
    "equal",
    "All weights are equal",
    of=as_asked,
    put={"kept / kept.sum(dim=1, keepdim=True)": "torch.full_like(kept, 1 / k)"},
)
wrong("fair_of_one", "The fair share of one choice", of=as_asked, put={"load.mean()": "len(scores) / len(bias)"})
wrong("first_choices", "Only first choices are counted", of=as_asked, put={"expert_ids.flatten()": "expert_ids[:, 0]"})
wrong(
    "fullest",
    "Only the fullest moves",
    of=as_asked,
    put={"bias + step * (load.mean() - load).sign()": "bias - step * F.one_hot(load.argmax(), len(bias))"},
)
wrong("ignored", "The bias is ignored", of=as_asked, put={"scores + bias": "scores"})
wrong(
    "in_place",
    "Your function changed its input",
    of=as_asked,
    put={"bias + step * (load.mean() - load).sign()": "bias.add_(step * (load.mean() - load).sign())"},
)
wrong(
    "in_the_sum", "The bias is in the sum", of=as_asked, put={"kept.sum": "(scores + bias).gather(1, expert_ids).sum"}
)
wrong(
    "last_k_of_ascending",
    "The order is worst first",
    of=as_asked,
    put={
        "(scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]": "(scores + bias).sort(dim=1, stable=True).indices[:, -k:]"
    },
)
wrong("leaked", "The bias leaks into the weights", of=as_asked, put={"scores.gather": "(scores + bias).gather"})
wrong(
    "leaked_raw",
    "The bias leaks into the weights",
    of=as_asked,
    put={"scores.gather": "(scores + bias).gather", "kept / kept.sum(dim=1, keepdim=True)": "kept"},
)
wrong("median", "The median, not the mean", of=as_asked, put={"load.mean": "load.median"})
wrong(
    "move_alone",
    "The move alone",
    of=as_asked,
    put={"bias + step * (load.mean() - load).sign()": "step * (load.mean() - load).sign()"},
)
wrong(
    "no_minlength",
    ANY,
    of=as_asked,
    put={"torch.bincount(expert_ids.flatten(), minlength=len(bias))": "torch.bincount(expert_ids.flatten())"},
)
wrong(
    "no_step",
    "The step is forgotten",
    of=as_asked,
    put={"step * (load.mean() - load).sign()": "(load.mean() - load).sign()"},
)
wrong(
    "of_shares",
    "The difference, not its sign",
    of=as_asked,
    put={"(load.mean() - load).sign": "(load.mean() - load) / load.sum"},
)
wrong(
    "only_down",
    "Nobody goes up",
    of=as_asked,
    put={"(load.mean() - load).sign()": "(load.mean() - load).sign().clamp(max=0)"},
)
wrong(
    "only_up",
    "Nobody goes down",
    of=as_asked,
    put={"(load.mean() - load).sign()": "(load.mean() - load).sign().clamp(min=0)"},
)
wrong("over_all", "Divided by the sum over all experts", of=as_asked, put={"kept.sum": "scores.sum"})
wrong(
    "over_tokens",
    "The sum runs over the tokens",
    of=as_asked,
    put={"kept.sum(dim=1, keepdim=True)": "kept.sum(dim=0, keepdim=True)"},
)
wrong("raw", "The weights are not divided", of=as_asked, put={"kept / kept.sum(dim=1, keepdim=True)": "kept"})
wrong(
    "relative",
    "The difference, not its sign",
    of=as_asked,
    put={"(load.mean() - load).sign": "(load.mean() - load) / load.mean"},
)
wrong(
    "scores",
    "Scores in place of loads",
    of=as_asked,
    put={"torch.bincount(expert_ids.flatten(), minlength=len(bias)).to(bias.dtype)": "scores.mean(dim=0).detach()"},
)
wrong(
    "softmax",
    "Softmax over the chosen",
    of=as_asked,
    put={"kept / kept.sum(dim=1, keepdim=True)": "kept.softmax(dim=1)"},
)
wrong(
    "softmax_leaked",
    "Softmax over the chosen",
    of=as_asked,
    put={"scores.gather": "(scores + bias).gather", "kept / kept.sum(dim=1, keepdim=True)": "kept.softmax(dim=1)"},
)
wrong("stays", "The bias does not move", of=as_asked, put={"bias + step * (load.mean() - load).sign()": "bias.clone()"})
wrong("subtracted", "The bias is subtracted", of=as_asked, put={"scores + bias": "scores - bias"})
wrong(
    "worst_first",
    ANY,
    of=as_asked,
    put={
        "(scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]": "(scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k].flip(1)"
    },
)

wrong(
    "bias_multiplied", "The bias is multiplied", of=as_asked, put={"(scores + bias).sort": "(scores * (1 + bias)).sort"}
)
wrong("times_bias", "The bias is multiplied", of=as_asked, put={"(scores + bias).sort": "(scores * bias).sort"})

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("No gradient reaches `scores`")
def choose_all_without_grad(scores, bias, k, step):
    def choose(scores, bias, k):
        with torch.no_grad():
            order = (scores + bias).argsort(dim=-1, descending=True, stable=True)
            expert_ids = order[:, :k]
            weights = scores.gather(1, expert_ids)
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return weights, expert_ids

    weights, expert_ids = choose(scores, bias, k)
    right = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(right.flatten(), minlength=len(bias)).to(bias.dtype)
    return weights, expert_ids, bias + step * (load.mean() - load).sign()


@blind("The bias leaks into the weights")
def choose_bias_in_weights(scores, bias, k, step):
    def choose(scores, bias, k):
        biased = scores + bias.detach()
        values, expert_ids = biased.sort(dim=-1, descending=True, stable=True)
        weights = values[:, :k]
        expert_ids = expert_ids[:, :k]
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return weights, expert_ids

    weights, expert_ids = choose(scores, bias, k)
    right = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(right.flatten(), minlength=len(bias)).to(bias.dtype)
    return weights, expert_ids, bias + step * (load.mean() - load).sign()


@blind("Divided before the bias came")
def choose_normalises_before_bias(scores, bias, k, step):
    def choose(scores, bias, k):
        probs = scores / scores.sum(dim=-1, keepdim=True)
        order = (probs + bias).argsort(dim=-1, descending=True, stable=True)
        expert_ids = order[:, :k]
        weights = probs.gather(1, expert_ids)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return weights, expert_ids

    weights, expert_ids = choose(scores, bias, k)
    right = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(right.flatten(), minlength=len(bias)).to(bias.dtype)
    return weights, expert_ids, bias + step * (load.mean() - load).sign()


@blind("Ordered by score")
def choose_ordered_by_weight(scores, bias, k, step):
    def choose(scores, bias, k):
        order = (scores + bias).argsort(dim=-1, descending=True, stable=True)
        expert_ids = order[:, :k]
        weights = scores.gather(1, expert_ids)
        weights, again = weights.sort(dim=-1, descending=True, stable=True)
        expert_ids = expert_ids.gather(1, again)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return weights, expert_ids

    weights, expert_ids = choose(scores, bias, k)
    right = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    load = torch.bincount(right.flatten(), minlength=len(bias)).to(bias.dtype)
    return weights, expert_ids, bias + step * (load.mean() - load).sign()


@blind("Your function changed its input")
def move_in_place(scores, bias, k, step):
    def move(bias, load, step):
        direction = torch.sign(load.sum() - load * load.numel()).to(bias.dtype)
        with torch.no_grad():
            bias += step * direction
        return bias

    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias))
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, move(bias, load, step)


@blind("At the mean it stays")
def move_mean_goes_down(scores, bias, k, step):
    def move(bias, load, step):
        below = load * load.numel() < load.sum()
        delta = torch.where(below, step, -step).to(bias.dtype)
        return bias + delta

    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias))
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, move(bias, load, step)


@blind("The mean of the chosen ones")
def move_mean_of_used(scores, bias, k, step):
    def move(bias, load, step):
        used = load > 0
        mean = load[used].double().mean()
        direction = torch.sign(mean - load).to(bias.dtype)
        return bias + step * direction

    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias))
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, move(bias, load, step)


@blind("The median, not the mean")
def move_median(scores, bias, k, step):
    def move(bias, load, step):
        direction = torch.sign(load.median() - load).to(bias.dtype)
        return bias + step * direction

    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias))
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, move(bias, load, step)


@blind("The difference, not its sign")
def move_proportional(scores, bias, k, step):
    def move(bias, load, step):
        mean = load.double().mean()
        error = (mean - load) / mean
        return bias + (step * error).to(bias.dtype)

    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias))
    return kept / kept.sum(dim=1, keepdim=True), expert_ids, move(bias, load, step)


blind(
    "move_integer_mean",
    "The mean is rounded down",
    of=move_median,
    put={
        "direction = torch.sign(load.median() - load).to(bias.dtype)": "mean = load.sum() // load.numel()\n        direction = torch.sign(mean - load).to(bias.dtype)"
    },
)
blind(
    "move_multiplies",
    "Multiplied, not added",
    of=move_median,
    put={
        "load.median() - load": "load.sum() - load * load.numel()",
        "bias + step * direction": "bias * (1 + step * direction)",
    },
)
blind(
    "move_only_up",
    "Nobody goes down",
    of=move_median,
    put={
        "direction = torch.sign(load.median() - load).to(bias.dtype)": "below = (load * load.numel() < load.sum()).to(bias.dtype)",
        "step * direction": "step * below",
    },
)
blind(
    "move_returns_double",
    "`new_bias` has the wrong type",
    of=move_median,
    put={
        "direction = torch.sign(load.median() - load).to(bias.dtype)": "load = load.double()\n        direction = torch.sign(load.mean() - load)"
    },
)
blind(
    "move_wrong_direction",
    "The wrong direction",
    of=move_median,
    put={"load.median() - load": "load * load.numel() - load.sum()"},
)

blind(
    "choose_bias_ignored", "The bias is ignored", of=put_another_way, put={"(scores + bias).argsort": "scores.argsort"}
)
blind(
    "choose_not_normalised",
    "The weights are not divided",
    of=put_another_way,
    put={
        "weights = weights / weights.sum(dim=-1, keepdim=True)\n        return weights, expert_ids": "return weights, expert_ids"
    },
)
blind(
    "choose_softmax_weights",
    "Softmax over the chosen",
    of=put_another_way,
    put={
        "weights = scores.gather(1, expert_ids)\n        weights = weights / weights.sum(dim=-1, keepdim=True)": "weights = F.softmax(scores.gather(1, expert_ids), dim=-1)"
    },
)
blind(
    "choose_sum_over_all",
    "Divided by the sum over all experts",
    of=put_another_way,
    put={
        "weights = scores.gather(1, expert_ids)": "probs = scores / scores.sum(dim=-1, keepdim=True)",
        "weights / weights.sum(dim=-1, keepdim=True)": "probs.gather(1, expert_ids)",
    },
)
blind(
    "choose_swapped_return",
    "`weights` and `expert_ids` have changed places",
    of=put_another_way,
    put={"        return weights, expert_ids": "        return expert_ids, weights"},
)
blind(
    "choose_ties_higher_first",
    "Ties are broken the wrong way",
    of=put_another_way,
    put={
        "(scores + bias).argsort(dim=-1, descending=True, stable=True)": "(scores + bias).argsort(dim=-1, stable=True).flip(-1)"
    },
)


@wrong("Nearly equal scores are taken for equal")
def ranked_in_bfloat16(scores, bias, k, step):
    expert_ids = (scores + bias).bfloat16().sort(dim=-1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias)).to(bias.dtype)
    return kept / kept.sum(dim=-1, keepdim=True), expert_ids, bias + step * (load.mean() - load).sign()


@wrong("Ties are broken the wrong way")
def sort_without_stable(scores, bias, k, step):
    expert_ids = (scores + bias).sort(dim=-1, descending=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    load = torch.bincount(expert_ids.flatten(), minlength=len(bias)).to(bias.dtype)
    return kept / kept.sum(dim=-1, keepdim=True), expert_ids, bias + step * (load.mean() - load).sign()


wrong(
    "small_eps",
    "A small number is added to the sum",
    of=as_asked,
    put={"kept / kept.sum(dim=1, keepdim=True)": "kept / (kept.sum(dim=1, keepdim=True) + 1e-9)"},
)


@wrong("The answer is the input itself")
def nothing_to_move(scores, bias, k, step):
    weights, expert_ids, new_bias = as_asked(scores, bias, k, step)
    return weights, expert_ids, bias if torch.equal(new_bias, bias) else new_bias


@wrong("The mean is taken off")
def centred(scores, bias, k, step):
    weights, expert_ids, new_bias = as_asked(scores, bias, k, step)
    return weights, expert_ids, new_bias - new_bias.mean()

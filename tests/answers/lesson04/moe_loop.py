"""Answers to exercise 4.1, moe_loop: right ones, and wrong ones with the message that they must get."""

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])
    return y


@right
def put_another_way(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        if len(token):
            y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])
    return y


@right
def lists_of_tokens(x, weights, expert_ids, experts):
    rows = [torch.zeros_like(row) for row in x]
    for number, expert in enumerate(experts):
        found = [(n, ids.index(number)) for n, ids in enumerate(expert_ids.tolist()) if number in ids]
        if found:
            for (n, j), answer in zip(found, expert(torch.stack([x[n] for n, _ in found])), strict=True):
                rows[n] = rows[n] + weights[n, j] * answer
    return torch.stack(rows)


@right
def sorted_slices(x, weights, expert_ids, experts):
    k, flat = expert_ids.shape[1], expert_ids.flatten()
    order = flat.argsort(stable=True)
    slices = x[order // k].split(torch.bincount(flat, minlength=len(experts)).tolist())
    out = torch.cat([expert(rows) for expert, rows in zip(experts, slices, strict=True)])
    return torch.zeros_like(x).index_add(0, order // k, out * weights.flatten()[order, None])


@right
def where(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e in range(len(experts)):
        mine = (expert_ids == e).any(dim=1)
        if mine.any():
            w = torch.where(expert_ids == e, weights, 0).sum(dim=1)[mine]
            y[mine] += experts[e](x[mine]) * w.unsqueeze(-1)
    return y


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("All experts are added up")
def all_added_up(x, weights, expert_ids, experts):
    return sum(expert(x) for expert in experts)


@wrong("Every expert computes every token")
def all_on_all(x, weights, expert_ids, experts):
    combine = weights.new_zeros(len(x), len(experts)).scatter(1, expert_ids, weights)
    return sum(combine[:, e, None] * expert(x) for e, expert in enumerate(experts))


@wrong("Every expert computes every token")
def all_on_all_masked_input(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        chosen = expert_ids == e
        mine = chosen.any(dim=1, keepdim=True)
        y = y + expert(x * mine) * (weights * chosen).sum(dim=1, keepdim=True)
    return y


@wrong("A row for each choice")
def answers_joined(x, weights, expert_ids, experts):
    parts = []
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        parts.append(expert(x[token]) * weights[token, choice, None])
    return torch.cat(parts)


@wrong("Several calls of one expert")
def choice_by_choice(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for j in range(weights.shape[1]):
        for e, expert in enumerate(experts):
            mine = expert_ids[:, j] == e
            y[mine] += expert(x[mine]) * weights[mine, j, None]
    return y


@wrong("Place j instead of expert `expert_ids[:, j]`")
def expert_of_the_place(x, weights, expert_ids, experts):
    return sum(experts[j](x) * weights[:, j, None] for j in range(weights.shape[1]))


@wrong("Your function changed its input")
def in_the_input(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])
    with torch.no_grad():
        x.copy_(y)
    return y


@wrong("Only the last choice is left")
def made_anew_for_each_choice(x, weights, expert_ids, experts):
    for j in range(weights.shape[1]):
        y = torch.zeros_like(x)
        for e, expert in enumerate(experts):
            mine = expert_ids[:, j] == e
            y[mine] = expert(x[mine]) * weights[mine, j, None]
    return y


@wrong("More rows than chose the expert")
def more_rows_than_needed(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        k = weights.shape[1]
        mine = token.repeat_interleave(k)
        y = y.index_add(0, mine, expert(x[mine]) * weights[token, choice, None].repeat_interleave(k, dim=0) / k)
    return y


@wrong("No gradient reaches `x`")
def no_grad(x, weights, expert_ids, experts):
    with torch.no_grad():
        y = torch.zeros_like(x)
        for e, expert in enumerate(experts):
            token, choice = (expert_ids == e).nonzero(as_tuple=True)
            y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])
        return y


@wrong("An index is too large")
def places_as_tokens(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        place = (expert_ids.flatten() == e).nonzero().flatten()
        y = y.index_add(0, place, expert(x[place]) * weights.flatten()[place, None])
    return y


@wrong("One call for each row")
def token_by_token(x, weights, expert_ids, experts):
    rows = []
    for n in range(len(x)):
        parts = [w * experts[e](x[n : n + 1]) for w, e in zip(weights[n], expert_ids[n].tolist(), strict=True)]
        rows.append(sum(parts))
    return torch.cat(rows)


@wrong("One call for each row")
def vector_by_vector(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for n in range(len(x)):
        for j in range(weights.shape[1]):
            y[n] += weights[n, j] * experts[int(expert_ids[n, j])](x[n])
    return y


wrong(
    "added_to_a_copy",
    "Nothing was written",
    of=as_asked,
    put={
        "y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])": "y[token].add_(expert(x[token]) * weights[token, choice, None])"
    },
)
wrong(
    "before_the_expert",
    "Weighted before the expert",
    of=as_asked,
    put={"expert(x[token]) * weights[token, choice, None]": "expert(x[token] * weights[token, choice, None])"},
)
wrong("detached_input", "No gradient reaches `x`", of=as_asked, put={"x[token]": "x.detach()[token]"})
wrong(
    "detached_weights",
    "No gradient reaches `weights`",
    of=as_asked,
    put={"weights[token, choice, None]": "weights.detach()[token, choice, None]"},
)
wrong(
    "first_column_only",
    "Only the first choice counts",
    of=as_asked,
    put={
        "token, choice = (expert_ids == e).nonzero(as_tuple=True)": "mine = expert_ids[:, 0] == e",
        "y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])": "y[mine] = expert(x[mine]) * weights[mine, :1]",
    },
)
wrong(
    "first_weight",
    "The weight of the first choice for all",
    of=as_asked,
    put={"weights[token, choice, None]": "weights[token, :1]"},
)
wrong("float32_zeros", "Two types do not fit", of=as_asked, put={"torch.zeros_like(x)": "torch.zeros(x.shape)"})
wrong(
    "index_add_thrown_away",
    "Nothing was written",
    of=as_asked,
    put={
        "y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])": "y.index_add(0, token, expert(x[token]) * weights[token, choice, None])"
    },
)
wrong("index_copy", "The second expert overwrites the first", of=as_asked, put={"y.index_add": "y.index_copy"})
wrong(
    "last_expert_left_out",
    "The last expert is left out",
    of=as_asked,
    put={"enumerate(experts)": "enumerate(experts[:-1])"},
)
wrong("mean", "Divided by the number of choices", of=as_asked, put={"return y": "return y / weights.shape[1]"})
wrong(
    "no_weights",
    "The weights are missing",
    of=as_asked,
    put={"expert(x[token]) * weights[token, choice, None]": "expert(x[token])"},
)
wrong(
    "normalised",
    "The weights were normalised",
    of=as_asked,
    put={
        "y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])": "w = weights[token, choice] / weights[token].sum(dim=1)\n        y = y.index_add(0, token, expert(x[token]) * w[:, None])"
    },
)
wrong(
    "overwrites",
    "The second expert overwrites the first",
    of=as_asked,
    put={
        "y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])": "y[token] = expert(x[token]) * weights[token, choice, None]"
    },
)
wrong("residual", "The token itself is added", of=as_asked, put={"return y": "return x + y"})
wrong(
    "sum_of_weights",
    "All weights of the token at once",
    of=as_asked,
    put={"weights[token, choice, None]": "weights[token].sum(dim=1, keepdim=True)"},
)
wrong("transposed", "Rows and columns have changed places", of=as_asked, put={"return y": "return y.T"})
wrong(
    "weights_of_place_n",
    "A weight of another token",
    of=as_asked,
    put={"weights[token, choice, None]": "weights.flatten()[token, None]"},
)
wrong(
    "weights_twice",
    "The weights are applied twice",
    of=as_asked,
    put={"weights[token, choice, None]": "weights[token, choice, None] ** 2"},
)

wrong("first_expert_left_out", "The first expert is left out", of=put_another_way, put={"len(token)": "e"})

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("`y` is not right yet", ANY)  # a token keeps only the answer with the largest weight
def largest_weight_wins(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    best = weights.argmax(dim=1)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        keep = best[token] == choice
        if len(token):
            y = y.index_add(0, token, expert(x[token]) * (weights[token, choice] * keep)[:, None])
    return y


@blind("Several calls of one expert", ANY)  # each expert is called once for every choice, K times
def once_per_choice(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for j in range(weights.shape[1]):
        for e, expert in enumerate(experts):
            token = (expert_ids[:, j] == e).nonzero()[:, 0]
            if len(token):
                y = y.index_add(0, token, expert(x[token]) * weights[token, j, None])
    return y


# every expert computes all tokens, the mask comes afterwards
blind(
    "everything_masked",
    "Every expert computes every token",
    ANY,
    of=as_asked,
    put={
        "token, choice = (expert_ids == e).nonzero(as_tuple=True)": "w = (weights * (expert_ids == e)).sum(dim=1, keepdim=True)",
        "y.index_add(0, token, expert(x[token]) * weights[token, choice, None])": "y + expert(x) * w",
    },
)

# starts from x instead of zeros
blind(
    "adds_the_residual", "The token itself is added", ANY, of=put_another_way, put={"torch.zeros_like(x)": "x.clone()"}
)
# only the first choice of each token is computed
blind(
    "first_choice_only",
    "Only the first choice counts",
    ANY,
    of=put_another_way,
    put={
        "token, choice = (expert_ids == e).nonzero(as_tuple=True)": "token = (expert_ids[:, 0] == e).nonzero()[:, 0]",
        "token, choice, None": "token, 0, None",
    },
)
# the sum is kept in float32 whatever comes in
blind(
    "float32_sum",
    "`y` has the wrong type",
    ANY,
    of=put_another_way,
    put={
        "torch.zeros_like(x)": "torch.zeros(x.shape)",
        "expert(x[token]) * weights[token, choice, None]": "(expert(x[token]) * weights[token, choice, None]).float()",
    },
)
# weights go through .tolist(), so no gradient reaches them
blind(
    "item_weights",
    "No gradient reaches `weights`",
    ANY,
    of=put_another_way,
    put={
        "y = y.index_add(0, token, expert(x[token]) * weights[token, choice, None])": "w = torch.tensor(weights[token, choice].tolist(), dtype=x.dtype)\n            y = y.index_add(0, token, expert(x[token]) * w[:, None])"
    },
)
# weights are divided by their sum
blind(
    "renormalised_again",
    "The weights were normalised",
    ANY,
    of=put_another_way,
    put={
        "for e, expert in enumerate(experts):": "weights = weights / weights.sum(dim=-1, keepdim=True)\n    for e, expert in enumerate(experts):"
    },
)
# expert 0 is taken for "no expert"
blind(
    "skips_expert_zero",
    "The first expert is left out",
    ANY,
    of=put_another_way,
    put={"expert_ids == e": "(expert_ids == e) & (expert_ids != 0)"},
)
# the loop stops before the last expert
blind(
    "skips_last_expert",
    "The last expert is left out",
    ANY,
    of=put_another_way,
    put={
        "for e, expert in enumerate(experts):": "for e in range(len(experts) - 1):",
        "expert(x[token])": "experts[e](x[token])",
    },
)
# weights are read at column e, as if they had a column for each expert
blind(
    "weight_by_expert_number",
    "`y` is not right yet",
    ANY,
    of=put_another_way,
    put={"token, choice, None": "token, e % weights.shape[1], None"},
)
# the weight multiplies the input of the expert, not its answer
blind(
    "weighted_input",
    "Weighted before the expert",
    ANY,
    of=put_another_way,
    put={"expert(x[token]) * weights[token, choice, None]": "expert(x[token] * weights[token, choice, None])"},
)


wrong(
    "skips_weights_of_zero",
    ANY,
    of=put_another_way,
    put={"(expert_ids == e).nonzero": "((expert_ids == e) & (weights != 0)).nonzero"},
)


@wrong("A change in place")
def weighed_in_place(x, weights, expert_ids, experts):
    y = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        out = expert(x[token])
        out *= weights[token, choice, None]
        y = y.index_add(0, token, out)
    return y

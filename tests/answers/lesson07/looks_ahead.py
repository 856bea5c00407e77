"""Answers to exercise 7.5, looks_ahead: right ones, and wrong ones with the message that they must get."""

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores)[:n_past]
    for _ in range(100):
        other = scores.clone()
        other[n_past:] = torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)
        if not torch.allclose(choose(other)[:n_past], before):
            return True
    return False


@right
def noise(choose, scores, n_past):
    g = torch.Generator().manual_seed(1)
    past = choose(scores)[:n_past]
    for _ in range(200):
        noise = torch.randn(scores.shape, generator=g, dtype=scores.dtype)
        noise[:n_past] = 0
        if not torch.equal(choose(scores + noise)[:n_past], past):
            return True
    return False


@right
def softmax(choose, scores, n_past):
    g = torch.Generator().manual_seed(2)
    n, e = scores.shape
    for _ in range(300):
        future = (3 * torch.randn(n - n_past, e, generator=g, dtype=scores.dtype)).softmax(dim=1)
        now = choose(torch.cat([scores[:n_past], future]))
        if not torch.allclose(now[:n_past], choose(scores)[:n_past]):
            return True
    return False


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Always True")
def always(choose, scores, n_past):
    return True


@wrong("A rule that keeps to the past is blamed")  # whether it looks ahead anywhere, not whether rows before n_past do
def any_border(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    for n in range(1, len(scores)):
        before = choose(scores)[:n]
        for _ in range(100):
            other = scores.clone()
            other[n:] = torch.rand(other[n:].shape, generator=g, dtype=scores.dtype)
            if not torch.allclose(choose(other)[:n], before):
                return True
    return False


@wrong("Your function changed its input")
def in_place(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past]
    for _ in range(100):
        other = scores
        other[n_past:] = torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)
        if not torch.allclose(choose(other)[:n_past], before):
            return True
    return False


@wrong("Always False")
def never(choose, scores, n_past):
    return False


@wrong(ANY)
def tensor(choose, scores, n_past):
    other = scores.clone()
    other[n_past:] = 1 - other[n_past:]
    return (choose(other)[:n_past] != choose(scores)[:n_past]).any()


@wrong("The other way round")
def turned_round(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores)[:n_past]
    for _ in range(100):
        other = scores.clone()
        other[n_past:] = torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)
        if not torch.allclose(choose(other)[:n_past], before):
            return False
    return True


wrong(
    "all_rows",
    "Always True",
    of=as_asked,
    put={"choose(scores)[:n_past]": "choose(scores)", "choose(other)[:n_past]": "choose(other)"},
)
wrong(
    "flipped",
    ANY,
    of=as_asked,
    put={
        "range(100)": "range(1)",
        "torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)": "other[n_past:].flip(0)",
    },
)
wrong(
    "future_rows",
    "Always True",
    of=as_asked,
    put={"choose(scores)[:n_past]": "choose(scores)[n_past:]", "choose(other)[:n_past]": "choose(other)[n_past:]"},
)
wrong(
    "global_seed",
    ANY,
    of=as_asked,
    put={
        "g = torch.Generator().manual_seed(0)": "torch.manual_seed(0)",
        "torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)": "torch.rand(other[n_past:].shape, dtype=scores.dtype)",
    },
)
wrong(
    "inverted_once",
    "Too few futures are tried",
    of=as_asked,
    put={
        "range(100)": "range(1)",
        "torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)": "1 - other[n_past:]",
    },
)
wrong(
    "too_large",
    "A leak that few futures show",
    of=as_asked,
    put={"torch.rand(other[n_past:].shape": "1000 * torch.randn(other[n_past:].shape"},
)
wrong("number", ANY, of=as_asked, put={"return True": "return 1", "return False": "return 0"})
wrong(
    "one_row",
    ANY,
    of=as_asked,
    put={
        "range(100)": "range(1)",
        "other[n_past:] = torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)": "other[n_past] = torch.rand(other[n_past].shape, generator=g, dtype=scores.dtype)",
    },
)
wrong(
    "one_row_more",
    ANY,
    of=as_asked,
    put={
        "choose(scores)[:n_past]": "choose(scores)[: n_past + 1]",
        "choose(other)[:n_past]": "choose(other)[: n_past + 1]",
    },
)
wrong(
    "past_changed",
    "Always True",
    of=as_asked,
    put={
        "other[n_past:] = torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)": "other[:n_past] = torch.rand(other[:n_past].shape, generator=g, dtype=scores.dtype)"
    },
)
wrong(
    "shuffled",
    ANY,
    of=as_asked,
    put={
        "torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)": "other[n_past:][torch.randperm(len(scores) - n_past, generator=g)]"
    },
)
wrong(
    "who_only",
    "Which experts work, but not with what weight",
    of=as_asked,
    put={
        "choose(scores)[:n_past]": "(choose(scores)[:n_past] != 0).double()",
        "choose(other)[:n_past]": "(choose(other)[:n_past] != 0).double()",
    },
)
wrong(
    "zeros_once",
    "One change is not enough",
    of=as_asked,
    put={"range(100)": "range(1)", "torch.rand(other[n_past:].shape, generator=g, dtype=scores.dtype)": "0"},
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("Some leaks go unseen")
def all_must_differ(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    for _ in range(200):
        changed = scores.clone()
        changed[n_past:] = 3 * torch.randn(changed[n_past:].shape, generator=g, dtype=scores.dtype)
        if torch.equal(before, choose(changed)[:n_past]):
            return False
    return True


@blind("Always True")
def compares_all_rows(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone()).clone()
    for _ in range(200):
        changed = scores.clone()
        changed[n_past:] = 3 * torch.randn(changed[n_past:].shape, generator=g, dtype=scores.dtype)
        if not torch.equal(before, choose(changed)):
            return True
    return False


@blind("The future is cut off")
def cuts_off_future(choose, scores, n_past):
    full = choose(scores.clone())[:n_past]
    past = choose(scores[:n_past].clone())
    return not torch.allclose(full, past)


@blind("The global generator was touched")
def global_random(choose, scores, n_past):
    torch.manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    for _ in range(200):
        changed = scores.clone()
        changed[n_past:] = 3 * torch.randn(changed[n_past:].shape, dtype=scores.dtype)
        if not torch.equal(before, choose(changed)[:n_past]):
            return True
    return False


@blind("Some leaks go unseen")
def one_change(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    changed = scores.clone()
    changed[n_past:] = torch.rand(changed[n_past:].shape, generator=g, dtype=scores.dtype)
    after = choose(changed)[:n_past]
    return not torch.equal(before, after)


@blind("One change is not enough", "Some leaks go unseen")
def only_next_row(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    for _ in range(200):
        changed = scores.clone()
        row = changed[n_past : n_past + 1]
        changed[n_past : n_past + 1] = 3 * torch.randn(row.shape, generator=g, dtype=scores.dtype)
        if not torch.equal(before, choose(changed)[:n_past]):
            return True
    return False


@blind("Which experts work, but not with what weight")
def only_who_is_chosen(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past] != 0
    for _ in range(200):
        changed = scores.clone()
        changed[n_past:] = 3 * torch.randn(changed[n_past:].shape, generator=g, dtype=scores.dtype)
        after = choose(changed)[:n_past] != 0
        if not torch.equal(before, after):
            return True
    return False


@blind("Your function changed its input")
def overwrites_scores(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores)[:n_past].clone()
    for _ in range(200):
        changed = scores
        changed[n_past:] = 3 * torch.randn(changed[n_past:].shape, generator=g, dtype=scores.dtype)
        if not torch.equal(before, choose(changed)[:n_past]):
            return True
    return False


@blind("The same values in another order", "Some leaks go unseen")
def permutes_future(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    n_future = scores.shape[0] - n_past
    for _ in range(200):
        changed = scores.clone()
        order = torch.randperm(n_future, generator=g)
        changed[n_past:] = scores[n_past:][order]
        if not torch.allclose(before, choose(changed)[:n_past]):
            return True
    return False


@blind("Some leaks go unseen")
def tiny_noise(choose, scores, n_past):
    g = torch.Generator().manual_seed(0)
    before = choose(scores.clone())[:n_past].clone()
    for _ in range(200):
        changed = scores.clone()
        noise = torch.randn(changed[n_past:].shape, generator=g, dtype=scores.dtype)
        changed[n_past:] += 1e-4 * noise
        if not torch.allclose(before, choose(changed)[:n_past]):
            return True
    return False


wrong(
    "all_but_the_last_row",
    "Some leaks go unseen",
    of=as_asked,
    put={
        "if not torch.allclose(choose(other)[:n_past], before)": "if not torch.allclose(choose(other)[: n_past - 1], before[:-1])"
    },
)
wrong(
    "row_n_past_never_changes",
    "Some leaks go unseen",
    of=as_asked,
    put={
        "other[n_past:] = torch.rand(other[n_past:].shape": "other[n_past + 1 :] = torch.rand(other[n_past + 1 :].shape"
    },
)
wrong(
    "sums_of_rows",
    "Some leaks go unseen",
    of=as_asked,
    put={
        "if not torch.allclose(choose(other)[:n_past], before)": "if not torch.allclose(choose(other)[:n_past].sum(1), before.sum(1))"
    },
)
wrong(
    "their_mean",
    "Some leaks go unseen",
    of=as_asked,
    put={
        "if not torch.allclose(choose(other)[:n_past], before)": "if not torch.allclose(choose(other)[:n_past].mean(), before.mean())"
    },
)
wrong(
    "only_the_row_before",
    "Some leaks go unseen",
    of=as_asked,
    put={
        "if not torch.allclose(choose(other)[:n_past], before)": "if not torch.allclose(choose(other)[n_past - 1], before[-1])"
    },
)


wrong("ten_futures", "Too few futures are tried", of=as_asked, put={"range(100)": "range(10)"})
wrong(
    "a_few_futures",
    "Too few futures are tried",
    "Some leaks go unseen",
    "A leak that few futures show",
    of=as_asked,
    put={"range(100)": "range(5)"},
)

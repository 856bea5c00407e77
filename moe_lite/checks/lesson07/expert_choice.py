"""Exercises 7.4, expert_choice, and 7.5, looks_ahead: experts choose tokens, and who may know what."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import (
    FORM,
    GRADIENT,
    INPUT,
    QUIET,
    REPEAT,
    Attempt,
    Case,
    Exercise,
    Mistake,
    Output,
    Trial,
)
from moe_lite.checks.engine.mistakes import one_of, ruled, seen
from moe_lite.checks.lesson03.top_k_route import best
from moe_lite.checks.lesson07.keep_within_capacity import best_first, room

F32, F64 = torch.float32, torch.float64
Choose = Callable[[Tensor], Tensor]  # scores (N, E) -> weights (N, E), 0 where an expert does not work

# ---- 7.4 -------------------------------------------------------------------------------------------------------------


def taken(scores: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """scores (N, E) -> weights (E, C), token_ids (E, C) int64 (Zhou et al. 2022, arXiv 2202.09368)."""
    return best(scores.t(), capacity)


def taken_cases() -> tuple[Case, ...]:
    plain = (_scored(1, 11, 4, 5), _scored(2, 9, 5, 3), _scored(3, 13, 6, 4))
    levels = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=F64)
    ties = tuple(
        Trial((levels[torch.randint(0, 4, (20, 3), generator=inputs.generator(seed))], 7), f"seed {seed}, equal scores")
        for seed in (4, 5)
    )
    wide = (_scored(6, 5, 8, 2), _scored(7, 7, 3, 7), _scored(8, 6, 4, 1))
    gradient = (Trial(plain[0].args, plain[0].note, gradient=(0,)),)
    types = (plain[0], _scored(2, 9, 5, 3, F32), plain[2])
    both = ("weights", "token_ids")
    return (
        Case("shapes and types", types, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("each expert's best tokens", plain, ("token_ids",)),
        Case("weights", plain, ("weights",)),
        Case("ties", ties, ("token_ids",)),
        Case("more experts than tokens, C = N and C = 1", wide, both),
        Case("gradient", gradient, (GRADIENT,)),
    )


def _scored(seed: int, n_tokens: int, n_experts: int, capacity: int, dtype: torch.dtype = F64) -> Trial:
    """Scores whose columns are no more alike than their rows."""
    logits = inputs.logits(seed, n_experts, n_tokens).t()  # no near-ties in a column
    scores = logits.softmax(dim=1).round(decimals=4).to(dtype).contiguous()
    return Trial(
        (scores, capacity), f"{inputs.note(seed, dtype)}, {n_tokens} tokens, {n_experts} experts, C={capacity}"
    )


def _weights(title: str, rule: Callable[[Tensor, int], Tensor], sentence: str, other_shape: bool = False) -> Mistake:
    def text(attempt: Attempt) -> str:
        mine, right = float(attempt.got["weights"][0, 0]), float(attempt.expected["weights"][0, 0])
        return f"The first weight of expert 0 is {number(mine, 4)}, expected {number(right, 4)}: {sentence}"

    return one_of("weights", title, rule, text, other_shape)


def _tokens(title: str, rule: Callable[[Tensor, int], Tensor], sentence: str, other_shape: bool = False) -> Mistake:
    def text(attempt: Attempt) -> str:
        mine, right = attempt.got["token_ids"][0].tolist(), attempt.expected["token_ids"][0].tolist()
        return f"Expert 0 takes the tokens {mine}, expected {right}: {sentence}"

    return one_of("token_ids", title, rule, text, other_shape)


def _one_expert_each(scores: Tensor, capacity: int) -> Tensor:
    """A token that was taken is gone: experts in turn, from what is left."""
    free, rows = scores.t().double().clone(), []
    for e in range(len(free)):
        rows.append(best(free[e : e + 1], capacity)[1][0])
        free[:, rows[-1]] = -1
    return torch.stack(rows)


def _greedy_tokens(scores: Tensor, capacity: int) -> Tensor:
    """Tokens choose their best expert; an expert keeps the best of those."""
    mine = torch.where(scores == scores.amax(dim=1, keepdim=True), scores, -1.0)
    return best(mine.t(), capacity)[1]


def _ties_only(attempt: Attempt) -> bool:
    scores, got = attempt.args[0].t(), attempt.got["token_ids"]
    if got.shape != attempt.expected["token_ids"].shape or got.dtype != torch.int64 or attempt.right("token_ids"):
        return False
    if not ((got >= 0) & (got < scores.shape[1])).all():
        return False
    return torch.equal(scores.gather(1, got), scores.gather(1, attempt.expected["token_ids"]))


ALONG = "The tokens chose"

TAKEN_MISTAKES = (
    _tokens(ALONG, lambda s, c: best(s, c)[1], "you took the best experts of every token. Here an expert looks down "
            "its column, over all tokens: `scores.t()` lays its scores in a row.", True),
    _tokens(ALONG, lambda s, c: best(s, c)[1].t(), "you took the best experts of every token. Here an expert looks "
            "down its column, over all tokens.", True),
    _tokens("Reshaped, not transposed", lambda s, c: best(s.reshape(s.shape[1], len(s)), c)[1], "`reshape` and `view` "
            "cut the same values into other rows, and mix tokens and experts. `.t()` turns the table over."),
    _tokens("Rows are places, not experts", lambda s, c: taken(s, c)[1].t(), "the first dimension is the expert, the "
            "second its places: (E, C). Yours is turned over.", True),
    _tokens("All N tokens come back", lambda s, c: best(s.t(), len(s))[1], "only the C best of each expert are taken.",
            True),
    _tokens("The smallest scores are taken", lambda s, c: best(-s.t(), c)[1], "an expert takes the tokens that score "
            "*highest* for it. Sorted ascending?"),
    _tokens("The smallest scores are taken", lambda s, c: best(-s.t(), c)[1].flip(1), "an expert takes the tokens that "
            "score *highest* for it."),
    _tokens("Worst first", lambda s, c: taken(s, c)[1].flip(1), "the right tokens, in reverse: best first."),
    _tokens("In the order of the text", lambda s, c: taken(s, c)[1].sort(dim=1).values, "the right tokens, but best "
            "first is asked."),
    _tokens("Every token is taken once", _one_expert_each, "you took away what another expert had. Each expert chooses "
            "for itself: a token can be taken by several, or by none."),
    _tokens("Only those that like it best", _greedy_tokens, "you let tokens choose first. The expert takes its best "
            "tokens, whatever else these would prefer."),
    _tokens("The same tokens for all experts", lambda s, c: best(s.sum(1)[None], c)[1].expand(s.shape[1], -1), "each "
            "expert looks at its own column of scores."),
    _tokens("The same tokens for all experts", lambda s, c: best(s.amax(1)[None], c)[1].expand(s.shape[1], -1), "each "
            "expert looks at its own column of scores."),
    _tokens("The first tokens, whatever they score", lambda s, c: torch.arange(c).expand(s.shape[1], -1), "these are "
            "places, not the tokens with the highest scores."),
    _weights("Softmax over what was taken", lambda s, c: taken(s, c)[0].softmax(1), "the scores are taken as they "
             "are."),
    _weights("Divided by its sum", lambda s, c: taken(s, c)[0] / taken(s, c)[0].sum(1, True), "an expert's weights "
             "need not sum to 1; the scores are taken as they are."),
    _weights("Divided by the sum over the token", lambda s, c: (s / s.sum(1, True)).t().gather(1, taken(s, c)[1]),
             "the scores are taken as they are."),
    _weights("Softmax again", lambda s, c: s.softmax(1).t().gather(1, taken(s, c)[1]), "`scores` are scores "
             "already: take them as they are."),
    _weights("Softmax over the tokens", lambda s, c: s.softmax(0).t().gather(1, taken(s, c)[1]), "the scores are taken "
             "as they are, not compared among tokens."),
    _weights("All weights are 1", lambda s, c: torch.ones_like(taken(s, c)[0]), "how loud an expert speaks for a token "
             "is its score."),
    _weights("All weights are equal", lambda s, c: torch.full_like(taken(s, c)[0], 1 / c), "how loud an expert speaks "
             "for a token is its score."),
    _weights("Rows are places, not experts", lambda s, c: taken(s, c)[0].t(), "the first dimension is the expert, the "
             "second its places: (E, C).", True),
    _weights("Weights and tokens do not belong together", lambda s, c: taken(s, c)[0].flip(1), "the right weights in "
             "reverse: weight i belongs to token i of the same row."),
    seen("Ties are broken the wrong way", _ties_only, "Right except among equal scores: the earlier token comes first. "
         "`topk` promises nothing about equals; a stable sort does.", show="token_ids"),
)  # fmt: skip

EXPERT_CHOICE = Exercise(
    id="7.4",
    name="expert_choice",
    parameters=("scores", "capacity"),
    sizes="NEC",
    outputs=(Output("weights", "E, C"), Output("token_ids", "E, C")),
    reference=taken,
    cases=taken_cases,
    mistakes=TAKEN_MISTAKES,
    hints=(
        "Exercise 3.2 with rows and columns exchanged: what was a token is an expert now. And the weights stay as they "
        "are.",
        "With one row an expert (the table turned over) it is a single sort: values and indices come together, and the "
        "first columns of both are what is asked. Mind the order among equals.",
    ),
    minutes=6,
    lines="about 2 lines",
    done="Loads are even by construction, with no loss, no bias and nothing dropped. What it knows comes next.",
)


# ---- 7.5 -------------------------------------------------------------------------------------------------------------


def leaks(choose: Choose, scores: Tensor, n_past: int) -> bool:
    """Whether some change of the rows from n_past on changes the rows before it."""
    before, g = choose(scores.clone())[:n_past], inputs.generator(0)
    for attempt in range(100):
        other = scores.clone()
        other[n_past:] = torch.rand(other[n_past:].shape, dtype=other.dtype, generator=g) * (2 if attempt % 2 else 1)
        if not torch.allclose(choose(other)[:n_past], before):
            return True
    return False


def top_two(scores: Tensor) -> Tensor:
    """Each token for itself."""
    kept, ids = best(scores, 2)
    return torch.zeros_like(scores).scatter(1, ids, kept / kept.sum(1, True))


def first_come(scores: Tensor) -> Tensor:
    """Top-2 with a capacity, by place."""
    ids = best(scores, 2)[1]
    return top_two(scores) * torch.zeros_like(scores).scatter(1, ids, room(ids, _fair(scores)).to(scores.dtype))


def best_first_served(scores: Tensor) -> Tensor:
    """Top-2 with a capacity, largest weight first."""
    kept, ids = best(scores, 2)
    kept = (kept / kept.sum(1, True)) * room(ids, _fair(scores), best_first(kept / kept.sum(1, True)))
    return torch.zeros_like(scores).scatter(1, ids, kept)


def first_choices_first(scores: Tensor) -> Tensor:
    """Top-2 with a capacity, all first choices before any second one."""
    ids = best(scores, 2)[1]
    order = torch.arange(ids.numel()).view(ids.shape).t().flatten().tolist()
    return top_two(scores) * torch.zeros_like(scores).scatter(1, ids, room(ids, _fair(scores), order).to(scores.dtype))


def experts_choose(scores: Tensor) -> Tensor:
    weights, token_ids = taken(scores, _fair(scores))
    return torch.zeros_like(scores).t().scatter(1, token_ids, weights).t()


def experts_choose_by_half(scores: Tensor) -> Tensor:
    """Experts choose in each half of the text for itself."""
    half = len(scores) // 2
    return torch.cat([experts_choose(scores[:half]), experts_choose(scores[half:])])


def shared_scale(scores: Tensor) -> Tensor:
    """Top-2, all weights divided by the largest of the batch: the same experts, other weights."""
    return top_two(scores) / scores.amax()


def one_token_decides(scores: Tensor) -> Tensor:
    """Top-2, unless the last token's score for expert 0 is a middling one: then expert 0 works for nobody before."""
    answer = top_two(scores)
    if 0.3 < scores[-1, 0] < 0.6:
        answer[:-1, 0] = 0
    return answer


def _fair(scores: Tensor) -> int:
    return -(-2 * len(scores) // scores.shape[1])


RULES = {
    "tokens choose, top-2": (top_two, False),
    "capacity by position": (first_come, False),
    "experts choose": (experts_choose, True),
    "capacity, largest weight first": (best_first_served, True),
    "capacity, first choices first": (first_choices_first, True),
    "experts choose, each half for itself": (experts_choose_by_half, False),
    "weights divided by the largest score of all": (shared_scale, True),
    "the last token may close an expert": (one_token_decides, True),
}


def ahead_cases() -> tuple[Case, ...]:
    trials = {name: _asked(name) for name in RULES}
    clean = [trials[name] for name in ("tokens choose, top-2", "capacity by position")]
    return (
        Case("True or False", (clean[0], _asked("experts choose", 14, 5)), (FORM,)),
        Case("input unchanged, no memory", (trials["experts choose"],), (INPUT, REPEAT)),
        Case("rules that keep to the past", tuple(clean), ("answer",)),
        Case("experts that choose among all tokens", (trials["experts choose"],), ("answer",)),
        Case("leaks that show now and then", tuple(trials[name] for name in RULES if name.startswith("capacity, ") or
             name.startswith("the last")), ("answer",)),
        Case("weights that change, choices that do not", (trials["weights divided by the largest score of all"],),
             ("answer",)),
        Case("a border that holds", (trials["experts choose, each half for itself"],), ("answer",)),
        Case("torch's own generator is left alone", (clean[0],), (QUIET,)),
    )  # fmt: skip


def _asked(name: str, n_tokens: int = 12, n_experts: int = 4) -> Trial:
    """The first half of the tokens is the past; the last one scores expert 0 at 0.1."""
    scores = inputs.logits(21, n_tokens, n_experts).softmax(dim=1).round(decimals=4)
    scores[-1, 0] = 0.1
    return Trial((RULES[name][0], scores, n_tokens // 2), name)


def _answer(title: str, rule: Callable[[Choose, Tensor, int], bool], sentence: str) -> Mistake:
    def text(attempt: Attempt) -> str:
        return f"Yours says {bool(attempt.got['answer'])} of “{attempt.trial.note}”: {sentence}"

    return ruled(title, lambda *args: torch.tensor(rule(*args)), text)


def _after(choose: Choose, scores: Tensor, n_past: int, change: Callable[[Tensor], Tensor], rows: slice) -> bool:
    """Whether one change of the future rows changes `rows` of the answer."""
    other = scores.clone()
    other[n_past:] = change(scores[n_past:])
    return not torch.allclose(choose(other)[rows], choose(scores.clone())[rows])


def _who(choose: Choose) -> Choose:
    return lambda scores: (choose(scores) != 0).to(scores.dtype)


AHEAD_MISTAKES = (
    _answer("Always False", lambda choose, s, n: False, "an answer that never changes tells nothing. Change rows from "
            "`n_past` on, and compare the rows before."),
    _answer("Always True", lambda choose, s, n: True, "an answer that never changes tells nothing. Did you compare "
            "rows from `n_past` on, which you changed yourself, or change rows before it? Change later rows, compare "
            "earlier ones."),
    _answer("The other way round", lambda choose, s, n: not leaks(choose, s, n), "True is for a rule whose past *does* "
            "change."),
    _answer("Who works, but not how loudly", lambda choose, s, n: leaks(_who(choose), s, n), "you compared where "
            "weights are not 0. A past token whose weights change has looked ahead too."),
    _answer("One change is not enough", lambda choose, s, n: _after(choose, s, n, torch.zeros_like, slice(n)), "this "
            "leak shows only for some changes: a later token must want the same expert more. Try many different ones."),
    _answer("One change is not enough", lambda choose, s, n: _after(choose, s, n, lambda f: 1 - f, slice(n)), "this "
            "leak shows only for some changes. Try many different ones."),
    _answer("One change is not enough", lambda choose, s, n: _after(choose, s, n, lambda f: f * 2, slice(n)), "this "
            "leak shows only for some changes. Try many different ones."),
    _answer("The same values in another order", lambda choose, s, n: _after(choose, s, n, torch.flipud, slice(n)),
            "with later rows only exchanged, an expert finds the same best ones. Put *other* values there."),
    seen("Some leaks go unseen", lambda a: bool(a.expected["answer"]) and not bool(a.got["answer"]), lambda a:
         f"“{a.trial.note}” looks ahead, and yours says False. It shows for some changes only: try many, with scores "
         "small and large, in all later rows; and compare weights, not only choices."),
    seen("A rule that keeps to the past is blamed", lambda a: not bool(a.expected["answer"]) and bool(a.got["answer"]),
         lambda a: f"“{a.trial.note}” cannot see later rows, and yours says True. Which rows did you change, and which "
         "did you compare? Rows before `n_past` on both sides."),
)  # fmt: skip

LOOKS_AHEAD = Exercise(
    id="7.5",
    name="looks_ahead",
    parameters=("choose", "scores", "n_past"),
    sizes="NEP",  # P: n_past
    outputs=(Output("answer", kind=bool, tensor_of=torch.tensor),),
    reference=leaks,
    cases=ahead_cases,
    mistakes=AHEAD_MISTAKES,
    hints=(
        "Ask `choose` once with the scores as they are, and keep the past rows. Then ask again and again with other "
        "later rows, and compare the same past rows.",
        "`other = scores.clone(); other[n_past:] = torch.rand(..., generator=g)`; `torch.equal` or `torch.allclose` "
        "on `[:n_past]`; return True at the first difference, False after a hundred without.",
    ),
    minutes=10,
    lines="about 8 lines",
    done="A test for any routing rule, yours or a paper's: no look at its code is needed.",
    stretch=True,
)

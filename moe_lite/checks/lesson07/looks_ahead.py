"""Exercise 7.5, looks_ahead: whether a routing rule knows tokens that come later."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import QUIET, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import sign, wrong
from moe_lite.checks.lesson03.top_k_route import best
from moe_lite.checks.lesson07.expert_choice import taken
from moe_lite.checks.lesson07.keep_best import best_first
from moe_lite.checks.lesson07.keep_within_capacity import by_choice, room

Choose = Callable[[Tensor], Tensor]  # scores (N, E) -> weights (N, E), 0 where an expert does not work


def leaks(choose: Choose, scores: Tensor, n_past: int) -> bool:
    """Whether some change of the rows from n_past on changes the rows before it."""
    before, g = choose(scores.clone())[:n_past], inputs.generator(0)
    for attempt in range(100):
        other = scores.clone()
        other[n_past:] = torch.rand(other[n_past:].shape, dtype=other.dtype, generator=g) * (2 if attempt % 2 else 1)
        if not torch.allclose(choose(other)[:n_past], before):
            return True
    return False


# ---- rules to ask about ----------------------------------------------------------------------------------------------


def top_two(scores: Tensor) -> Tensor:
    """Each token for itself."""
    kept, ids = best(scores, 2)
    return torch.zeros_like(scores).scatter(1, ids, kept / kept.sum(1, True))


def first_come(scores: Tensor) -> Tensor:
    """Top-2 with a capacity, by place."""
    ids = best(scores, 2)[1]
    return top_two(scores) * torch.zeros_like(scores).scatter(1, ids, room(ids, fair(scores)).to(scores.dtype))


def best_first_served(scores: Tensor) -> Tensor:
    """Top-2 with a capacity, largest weight first."""
    kept, ids = best(scores, 2)
    kept = (kept / kept.sum(1, True)) * room(ids, fair(scores), best_first(kept / kept.sum(1, True)))
    return torch.zeros_like(scores).scatter(1, ids, kept)


def first_choices_first(scores: Tensor) -> Tensor:
    """Top-2 with a capacity, all first choices before any second one."""
    ids = best(scores, 2)[1]
    kept = room(ids, fair(scores), by_choice(ids)).to(scores.dtype)
    return top_two(scores) * torch.zeros_like(scores).scatter(1, ids, kept)


def experts_choose(scores: Tensor) -> Tensor:
    weights, token_ids = taken(scores, fair(scores))
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


def next_token_scales(scores: Tensor) -> Tensor:
    """Top-2, each token's weights multiplied by what the next token has for expert 0: a look at one row ahead."""
    answer = top_two(scores)
    answer[:-1] *= 1 + scores[1:, :1]
    return answer


def first_token_sees_the_end(scores: Tensor) -> Tensor:
    """Top-2, the first token's weights multiplied by what the last one has for expert 0; nobody else is touched."""
    answer = top_two(scores)
    answer[0] *= 1 + scores[-1, 0]
    return answer


def mirrored(scores: Tensor) -> Tensor:
    """Top-2; if the last token prefers an odd expert, all before it get theirs from the other end. Sums stay 1."""
    answer = top_two(scores)
    if scores[-1].argmax() % 2:
        answer[:-1] = answer[:-1].flip(1)
    return answer


def rarely(expert: int, scale: int) -> Choose:
    """Doubles all rows if a multiple of the last token's score for an expert is a little above a whole number: in one
    of eight futures, however scores are drawn."""

    def choose(scores: Tensor) -> Tensor:
        return scores * (2 if scores[-1, expert] * scale % 1 < 0.12 else 1)

    return choose


def fair(scores: Tensor) -> int:
    return -(-2 * len(scores) // scores.shape[1])


MIDDLING = "the last token may close an expert"
RARE = {
    f"rows doubled where {scale:,} · the last token's score for expert {expert} is just above a whole number":
    (rarely(expert, scale), True) for expert in range(4) for scale in (1000, 1700, 2300)
}  # fmt: skip
RULES = {
    "tokens choose, top-2": (top_two, False),
    "capacity by position": (first_come, False),
    "experts choose": (experts_choose, True),
    "capacity, largest weight first": (best_first_served, True),
    "capacity, first choices first": (first_choices_first, True),
    "experts choose, each half for itself": (experts_choose_by_half, False),
    "weights divided by the largest score of all": (shared_scale, True),
    MIDDLING: (one_token_decides, True),
    "each token sees the next one": (next_token_scales, True),
    "the first token sees the last one": (first_token_sees_the_end, True),
    "other experts, and sums that stay 1": (mirrored, True),
} | RARE


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    trials = {name: asked(name) for name in RULES}
    clean = [trials[name] for name in ("tokens choose, top-2", "capacity by position")]
    begin, _ = inputs.usual(
        (clean[0], asked("experts choose", 14, 5)), (trials["experts choose"],), name="True or False"
    )
    return (
        *begin,
        Case("rules that keep to the past", tuple(clean), ("answer",)),
        Case("experts that choose among all tokens", (trials["experts choose"],), ("answer",)),
        Case("leaks that show now and then", tuple(trials[name] for name in RULES if name.startswith("capacity, ") or
             name.startswith("the last")), ("answer",)),
        Case("leaks that one of eight futures shows", tuple(trials[name] for name in RARE), ("answer",)),
        Case("weights that change, choices that do not", (trials["weights divided by the largest score of all"],),
             ("answer",)),
        Case("every row before the border, and every weight in it", tuple(trials[name] for name in RULES if "sees" in
             name or "sums" in name), ("answer",)),
        Case("a border that holds", (trials["experts choose, each half for itself"],), ("answer",)),
        Case("torch's own generator is left alone", (clean[0],), (QUIET,)),
    )  # fmt: skip


def asked(name: str, n_tokens: int = 12, n_experts: int = 4) -> Trial:
    """The first half of the tokens is the past; the last one scores expert 0 at 0.1, or all at what doubles nothing."""
    scores = inputs.logits(21, n_tokens, n_experts).softmax(dim=1).round(decimals=4)
    scores[-1, 0] = 0.1
    if name in RARE:
        scores[-1] = 0.0505
    return Trial((RULES[name][0], scores, n_tokens // 2), name)


def drawn(seed: int, N: int, E: int, P: int) -> tuple:
    """Rules take turns: one that looks ahead where anything is left to see, one that does not."""
    scores = inputs.distinct(seed, N, E, low=0.0, high=1.0)
    return (weighed_by_the_last if seed % 2 else of_itself), scores, P


def weighed_by_the_last(scores: Tensor) -> Tensor:
    """All rows multiplied by what the last one has for expert 0."""
    return scores * (1 + scores[-1, 0])


def of_itself(scores: Tensor) -> Tensor:
    return scores / scores.sum(dim=1, keepdim=True)


def extremes(seed: int) -> tuple[Trial, ...]:
    _, scores, n_past = drawn(seed, 7, 5, 3)
    return (Trial((hardly_weighed, scores, n_past), "a rule that moves weights by a ten-thousandth"),)


def hardly_weighed(scores: Tensor) -> Tensor:
    return scores * (1 + 1e-4 * scores[-1, 0])


DRAWN = Drawn(
    drawn, {"N": 7, "E": 5, "P": 3}, at_most=(("P", "N"),), float32=False, not_expanded=(1,), extremes=extremes
)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def says(title: str, rule: Callable[[Choose, Tensor, int], bool], say: str) -> Mistake:
    return wrong(title, rule, lambda a: f"Yours says {bool(a.got['answer'])} of “{a.trial.note}”: {say}")


def after(choose: Choose, scores: Tensor, n_past: int, change: Callable[[Tensor], Tensor], rows: slice) -> bool:
    """Whether one change of the future rows changes `rows` of the answer."""
    other = scores.clone()
    other[n_past:] = change(scores[n_past:])
    return not torch.allclose(choose(other)[rows], choose(scores.clone())[rows])


def who(choose: Choose) -> Choose:
    return lambda scores: (choose(scores) != 0).to(scores.dtype)


def cut_off(choose: Choose, scores: Tensor, n_past: int) -> bool:
    """Whether the past alone gets something else than the past of the whole."""
    return not torch.allclose(choose(scores.clone())[:n_past], choose(scores[:n_past].clone()))


MISTAKES = (
    sign("A leak that few futures show", lambda a: a.trial.note == MIDDLING and not bool(a.got["answer"]), "“{note}” "
         "looks ahead only where the last token's score for expert 0 is between 0.3 and 0.6, and yours says False. Try "
         "many futures, and make them of the size of scores: between 0 and 1."),
    sign("Too few futures are tried", lambda a: a.trial.note in (*RARE, MIDDLING) and not bool(a.got["answer"]),
         "“{note}” looks ahead in some futures and not in others, and yours says False. A hundred futures would show "
         "it, each drawn anew with scores between 0 and 1."),
    says("Always False", lambda choose, s, n: False, "an answer that never changes tells nothing. Change rows from "
         "`n_past` on, and compare the rows before."),
    says("Always True", lambda choose, s, n: True, "an answer that never changes tells nothing. Did you compare rows "
         "from `n_past` on, which you changed yourself, or change rows before it? Change later rows, compare earlier "
         "ones."),
    says("The other way round", lambda choose, s, n: not leaks(choose, s, n), "True is for a rule whose past *does* "
         "change."),
    says("Which experts work, but not with what weight", lambda choose, s, n: leaks(who(choose), s, n),
         "you compared where weights are not 0. A past token whose weights change has looked ahead too."),
    says("One change is not enough", lambda choose, s, n: after(choose, s, n, torch.zeros_like, slice(n)), "this leak "
         "shows only for some changes: a later token must want the same expert more. Try many different ones."),
    says("One change is not enough", lambda choose, s, n: after(choose, s, n, lambda f: f * 2, slice(n)), "this leak "
         "shows only for some changes. Try many different ones."),
    says("The same values in another order", lambda choose, s, n: after(choose, s, n, torch.flipud, slice(n)), "with "
         "later rows only exchanged, an expert finds the same best ones. Put *other* values there."),
    says("The future is cut off", cut_off, "the later rows are gone, not changed. A capacity depends on how many "
         "tokens there are, so keep the number of rows and put *other* values there."),
    sign("Some leaks go unseen", lambda a: bool(a.expected["answer"]) and not bool(a.got["answer"]), "“{note}” looks "
         "ahead, and yours says False. Change all later rows, many times, with scores small and large; and compare "
         "every weight of every row before `n_past`, not only choices, sums or some of the rows."),
    sign("A rule that keeps to the past is blamed", lambda a: not bool(a.expected["answer"]) and bool(a.got["answer"]),
         "“{note}” cannot see later rows, and yours says True. Which rows did you change, and which did you compare? "
         "Rows before `n_past` on both sides."),
)  # fmt: skip

LOOKS_AHEAD = Exercise(
    id="7.5", name="looks_ahead", parameters=("choose", "scores", "n_past"), sizes="NEP",
    outputs=(Output("answer", kind=bool, tensor_of=torch.tensor),), reference=leaks, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Ask `choose` once with the scores as they are, and keep the past rows. Then ask again and again with other "
        "later rows, and compare the same past rows.",
        "`other = scores.clone(); other[n_past:] = torch.rand(..., generator=g)`; `torch.equal` or `torch.allclose` "
        "on `[:n_past]`; return True at the first difference, False after a hundred without.",
    ),
    minutes=10, lines="about 8 lines", stretch=True,
    done="A test for any routing rule, yours or a paper's: no look at its code is needed.",
)  # fmt: skip

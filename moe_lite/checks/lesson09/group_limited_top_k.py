"""Exercise 9.3, group_limited_top_k: the k best experts of the best groups (DeepSeek-V3)."""

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import listed
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import once_per_trial, sign, wrong
from moe_lite.checks.engine.say import said
from moe_lite.checks.lesson03.choice import ids_wrong, wrong_choices
from moe_lite.checks.lesson03.top_k_route import best
from moe_lite.checks.lesson09.groups import (
    Rule,
    among_the_open,
    among_the_open_by_worth,
    by_worth,
    closed_to_0,
    filled,
    filtered_late,
    group_by_group,
    higher_group_first,
    in_groups,
    interleaved,
    largest,
    of_the_batch,
    open_values,
    opened,
    reference,
    second_largest,
    shared_out,
    shared_out_in_turn,
    size_for_number,
    smallest_of_all,
    smallest_of_the_open,
    ties_open_all,
    worths,
)

NEARLY = ", values near 0.3 that differ in the seventh decimal"


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    # N, groups, experts per group, open groups, k
    plain = (random(1, 9, 4, 5, 2, 3), random(2, 7, 5, 3, 3, 6), random(3, 10, 4, 6, 3, 5))
    negative = tuple(random(seed, 8, 4, 4, 2, 5, shift=shift) for seed, shift in ((4, -0.5), (5, -5.0)))
    ends = (
        random(6, 6, 5, 3, 1, 2), random(7, 6, 3, 4, 3, 5), random(8, 6, 4, 3, 2, 6), random(9, 6, 5, 4, 2, 1),
        random(10, 6, 1, 7, 1, 3), random(11, 7, 6, 2, 3, 4),
    )  # fmt: skip
    ties = (tied(12, 5, 4, 2, 4), tied(13, 6, 12, 3, 9), tied_groups(), tied(14, 24, 3, 5, 7))
    first, _ = inputs.usual((plain[0], random(2, 7, 5, 3, 3, 6, dtype=F32), plain[2]), plain)
    return (
        *first,
        Case("the best experts of the best groups", plain, ("expert_ids",)),
        Case("values below 0", negative, ("expert_ids",)),
        Case("values far below 0, float32", (far_below(), one_far_below()), ("expert_ids",)),
        Case("one open group, all open, as many experts as are open", ends, ("expert_ids",)),
        Case("ties among groups and among experts", ties, ("expert_ids",)),
        Case("nearly equal values", (random(15, 8, 4, 5, 2, 4, scale=1e-6, shift=0.3),), ("expert_ids",)),
    )


def random(
    seed: int, n_tokens: int, n_groups: int, width: int, topk_groups: int, k: int, scale: float = 1.0,
    shift: float = 0.0, dtype: torch.dtype = F64,
) -> Trial:  # fmt: skip
    """No two values of a token and no two of its groups are nearly equal."""
    g = inputs.generator(seed)
    values = torch.stack([row(g, n_groups, width) for _ in range(n_tokens)]) * scale + shift
    note = inputs.note(seed, dtype) + (NEARLY if scale < 1e-3 else "")
    return Trial((values.round(decimals=12).to(dtype), k, n_groups, topk_groups), note)


def row(g: torch.Generator, n_groups: int, width: int) -> Tensor:
    while True:
        drawn = torch.randn(n_groups * width, dtype=F64, generator=g).round(decimals=4)  # (E,)
        gaps = [t.sort(dim=-1).values.diff() for t in (drawn, worths(drawn[None], n_groups)[0])]
        if all(not gap.numel() or gap.min() > inputs.LEAST_GAP for gap in gaps):
            return drawn


def far_below() -> Trial:
    """As many experts as are open, all near −1e37; a sum of two of them still fits into float32."""
    g = inputs.generator(16)
    values = torch.stack([row(g, 5, 4) for _ in range(6)]) * 1e36 - 1e37
    return Trial((values.to(F32), 8, 5, 2), "values near −1e37, float32")


def one_far_below() -> Trial:
    """The smallest value of all is open, and in float32 it is its own neighbour: −9e8 − 1 is −9e8."""
    return Trial((torch.tensor([[-9e8, -8e8, -1e8, -9e8]]), 2, 2, 1), "values near −9e8, float32")


def tied(seed: int, n_groups: int, width: int, topk_groups: int, k: int) -> Trial:
    """Few different values, so that groups and experts are equal everywhere; their sums are exact."""
    drawn = torch.randint(0, 4, (6, n_groups * width), generator=inputs.generator(seed))
    levels = torch.tensor([-0.5, -0.25, 0.25, 0.75], dtype=F64)
    return Trial((levels[drawn], k, n_groups, topk_groups), inputs.note(seed, F64) + ", equal values")


def tied_groups() -> Trial:
    """The groups are worth the same, and no two experts are equal."""
    values = torch.tensor([[1.0, 0.5, -1.0, 1.25, 0.25, -2.0, 0.75, 0.875, 0.0],
                           [-2.0, -0.5, -1.0, -1.25, -0.25, -3.0, -0.75, -0.875, -4.0]], dtype=F64)  # fmt: skip
    return Trial((values, 3, 3, 1), "groups of equal worth")


def drawn(seed: int, N: int, n_groups: int, half_a_group: int, topk_groups: int, k: int) -> tuple:
    """A group has an even number of experts, so at least two."""
    values = torch.randn(N, n_groups * 2 * half_a_group, dtype=F64, generator=inputs.generator(seed))
    return values, k, n_groups, topk_groups


def extremes(seed: int) -> tuple[Trial, ...]:
    values, k, n_groups, topk_groups = drawn(seed, 9, 5, 3, 2, 7)
    rest = (k, n_groups, topk_groups)
    return (
        Trial((values * 1e12 - 1e13, *rest), "values below minus a trillion"),
        Trial((values * 1e-12 - 1e-11, *rest), "values just below 0"),
        Trial((torch.zeros_like(values), *rest), "all values 0"),
        Trial((torch.full_like(values, -3.5), *rest), "all values −3.5"),
        Trial((torch.cat([values[:, :15], torch.zeros(9, 15, dtype=F64)], dim=1), *rest), "zeros among the values"),
        Trial((values, topk_groups * 6, n_groups, topk_groups), "as many experts as are open"),
        Trial((values, n_groups * 6, n_groups, n_groups), "all experts of all groups"),
        Trial(drawn(seed + 1, 30, 5, 3, 2, 7), "N = E = 30"),
    )


DRAWN = Drawn(
    drawn, {"N": 9, "n_groups": 5, "half_a_group": 3, "topk_groups": 4, "k": 2},
    at_most=(("k", "topk_groups"), ("topk_groups", "n_groups")), wide="half_a_group", extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


def group_of(a: Attempt, expert: int) -> int:
    return expert // (a.args[0].shape[1] // a.args[2])


facts = once_per_trial(lambda a: (worths(a.args[0], a.args[2]), opened(worths(a.args[0], a.args[2]), a.args[3])))


def place_of(a: Attempt) -> tuple[int, int]:
    """The first token and place that differ; one that takes an expert of a closed group comes before the others."""
    got, wrong_ones = a.got["expert_ids"], a.got["expert_ids"] != a.expected["expert_ids"]
    known = (got >= 0) & (got < a.args[0].shape[1])
    width = a.args[0].shape[1] // a.args[2]
    shut = known & ~facts(a)[1].gather(1, torch.where(known, got, 0).long() // width)
    return tuple((wrong_ones & shut if bool((wrong_ones & shut).any()) else wrong_ones).nonzero()[0].tolist())


def what(a: Attempt) -> str:
    """The first choice that is wrong, and why: "Token 2 gets expert 5, whose group 1 is closed"."""
    token, place = place_of(a)
    mine, right = (ids["expert_ids"][token, place].item() for ids in (a.got, a.expected))
    if mine not in range(a.args[0].shape[1]):
        return f"Token {token} gets expert {mine}, and the experts are 0 to {a.args[0].shape[1] - 1}."
    worth, is_open = (table[token] for table in facts(a))
    group = group_of(a, int(mine))
    which = listed(is_open.nonzero()[:, 0].tolist(), most=6)
    opens = f"groups {which} are open" if a.args[3] > 1 else f"group {which} is open"
    why = f"Its groups are worth {listed(worth.tolist(), most=6)}, so {opens}."
    if not is_open[group]:
        return f"Token {token} gets expert {mine}, whose group {group} is closed. {why}"
    return f"Choice {place} of token {token} is expert {mine} of group {group}, expected expert {right}. {why}"


def chooses(title: str, rule: Rule, say: str) -> Mistake:
    return wrong(title, rule, lambda a: f"{what(a)} {said(say, a)}")


def places(a: Attempt) -> bool:
    """Ids that only count 0, 1, …, k−1 in every row."""
    got = a.got["expert_ids"]
    return ids_wrong(a) and bool((got == torch.arange(got.shape[1])).all())


def not_shut_out(a: Attempt) -> bool:
    """Some rows begin with right choices, and closed experts in the order of their numbers fill the rest."""
    if not ids_wrong(a) or a.got["expert_ids"].is_floating_point():
        return False
    got, right = a.got["expert_ids"].long(), a.expected["expert_ids"]
    values = open_values(a.args[0], *a.args[2:])
    if not ((got >= 0) & (got < values.shape[1])).all():
        return False
    for mine, wanted, row in zip(got.tolist(), right.tolist(), values, strict=True):
        n_right = next((i for i, pair in enumerate(zip(mine, wanted, strict=True)) if pair[0] != pair[1]), len(mine))
        shut = row.isinf().nonzero()[:, 0].tolist()
        if mine[n_right:] != shut[: len(mine) - n_right]:
            return False
    return True


def ties_alone(a: Attempt) -> Tensor | None:
    """(N,) bool: rows with equal experts in the wrong order; None if a row is wrong otherwise than by ties.

    A row goes by ties where some choice of the groups that are worth as much as the last open one gives its values.
    """
    got, values = a.got["expert_ids"], a.args[0]
    known = not got.is_floating_point() and bool(((got >= 0) & (got < values.shape[1])).all())
    if not ids_wrong(a) or not known or bool((got.sort(dim=1).values.diff(dim=1) == 0).any()):
        return None
    misordered = torch.zeros(len(got), dtype=torch.bool)
    for token in (got != a.expected["expert_ids"]).any(dim=1).nonzero()[:, 0].tolist():
        in_order = by_ties(a, token)
        if in_order is None:
            return None
        misordered[token] = not in_order
    return misordered


def by_ties(a: Attempt, token: int) -> bool | None:
    """Whether a token's experts are in the right order for the groups that they are of; None if these cannot be open,
    or not only equal values have changed places."""
    ids, row, worth = a.got["expert_ids"][token].long(), a.args[0][token], facts(a)[0][token]
    width, n_open = len(row) // len(worth), a.args[3]
    last = worth.sort(descending=True).values[n_open - 1]
    used = torch.zeros_like(worth, dtype=torch.bool).index_fill(0, ids // width, True)
    surely, perhaps = worth > last, worth == last
    unseen = n_open - int((surely | used).sum())  # open groups of which nothing was taken
    most = in_groups(row[None], len(worth))[0].amax(dim=1)  # (G,)
    if bool((used & ~surely & ~perhaps).any()) or unseen < 0:
        return None
    if int((perhaps & ~used & (most <= row[ids].min())).sum()) < unseen:
        return None
    right = best(filled(row[None], (surely | used)[None]), len(ids))[1][0]
    return torch.equal(ids, right) if torch.equal(row[ids], row[right]) else None


def takes_closed(a: Attempt) -> bool:
    """Some row holds an expert of a closed group."""
    got = a.got["expert_ids"].long()
    if not ids_wrong(a) or not bool(((got >= 0) & (got < a.args[0].shape[1])).all()):
        return False
    return not bool(facts(a)[1].gather(1, got // (a.args[0].shape[1] // a.args[2])).all())


def only_group_ties(a: Attempt) -> bool:
    """An expert of a closed group was taken, and all that is wrong is which one of two equal groups is open."""
    misordered = ties_alone(a)
    return misordered is not None and not bool(misordered.any()) and takes_closed(a)


def any_ties(a: Attempt) -> bool:
    return ties_alone(a) is not None


def both_ties_sentence(a: Attempt) -> str:
    """What this trial shows of either."""
    misordered = ties_alone(a)
    told = what(a)
    if bool(misordered.any()) and takes_closed(a):
        token = int(misordered.nonzero()[0, 0])
        ids = a.got["expert_ids"][token].tolist()
        told += f" And token {token} lists {ids}, where experts of equal value stand in the wrong order."
    return told + (
        " You choose twice, groups and experts, and both times the lower number comes first among equals. `topk` and a "
        "plain sort promise nothing about equals; a stable sort does."
    )


def outside(a: Attempt) -> bool:
    got = a.got["expert_ids"]
    return ids_wrong(a) and bool(((got < 0) | (got >= a.args[0].shape[1])).any())


def values_for_ids(a: Attempt) -> bool:
    got = a.got["expert_ids"]
    if not got.is_floating_point() or got.shape != a.expected["expert_ids"].shape:
        return False
    return bool((got != got.round()).any()) or bool((got[:, :, None] == a.args[0][:, None]).any(dim=-1).all())


def all_columns(a: Attempt) -> bool:
    return a.got["expert_ids"].shape == a.args[0].shape != a.expected["expert_ids"].shape


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


GROUP_TIES = "Equal groups in the wrong order"
BOTH_TIES = "Equal groups and equal experts in the wrong order"
EQUAL_GROUPS = (
    "Two groups are worth the same, and you opened the one with the higher number. Among equals, the lower number "
    "comes first. `topk` and a plain sort promise nothing about equals; a stable sort does."
)

MISTAKES = (
    sign("All E columns come back", all_columns, "`expert_ids` is {expert_ids.shape}: sorted, but not cut. Only the "
         "first k = {k} columns are wanted."),
    sign("Values, not experts", values_for_ids, "`expert_ids` holds the numbers {expert_ids[0].listed}: these are "
         "values. Return the numbers of the experts, the indices that sorting gives beside them."),
    wrong("Groups, not experts", lambda v, k, groups, n_open: best(worths(v, groups), n_open)[1], "`expert_ids` is "
          "{expert_ids.shape} and holds {expert_ids[0]} for token 0: these are its open groups. They are a step on the "
          "way to the k = {k} best experts in them."),
    wrong("The numbers count within a group", lambda v, k, groups, n_open: reference(v, k, groups, n_open) %
          (v.shape[1] // groups), "Token 0 lists {expert_ids[0]}, expected {right.expert_ids[0]}. Your numbers begin "
          "again at 0 in each group; expert numbers run from 0 to E − 1 over all groups."),
    *(wrong("The numbers count among the open experts", rule, "Token 0 lists {expert_ids[0]}, expected "
            "{right.expert_ids[0]}. Your numbers are places in the row of open experts. Expert numbers run from 0 to E "
            "− 1, closed ones included.") for rule in (among_the_open, among_the_open_by_worth)),
    sign("No expert has this number", outside, "`expert_ids` holds numbers from {expert_ids.min} to {expert_ids.max}, "
         "and the experts are 0 to E − 1. The open groups always hold k experts, so no place stays empty."),
    chooses("The groups are ignored", lambda v, k, groups, n_open: best(v, k)[1], "You took the {k} largest of all "
            "values. Only experts of the {topk_groups} best groups may be chosen."),
    chooses("A group is worth its best expert", by_worth(lambda grouped, k, n_open: grouped.amax(dim=-1)), "You took "
            "the largest value of each group for its worth, as DeepSeek-V2 does. Here the two largest are summed."),
    chooses("A group is worth all its experts", by_worth(lambda grouped, k, n_open: grouped.sum(dim=-1)), "You took "
            "the sum or the mean of all values of a group for its worth. Only its two largest count."),
    chooses("More than two count", by_worth(lambda grouped, k, n_open: largest(grouped, k)), "You took the sum of the "
            "k = {k} largest values of a group for its worth. It is the sum of the two largest, whatever k is."),
    chooses("As many count as groups are open", by_worth(lambda grouped, k, n_open: largest(grouped, n_open)), "You "
            "took the sum of the {topk_groups} largest values of a group for its worth. It is the sum of the two "
            "largest, whatever `topk_groups` is."),
    chooses("The first two, not the two largest", by_worth(lambda grouped, k, n_open: grouped[..., :2].sum(dim=-1)),
            "You took the first two values of each group for its worth. Sort them within the group first."),
    chooses("A group is worth its second best", by_worth(second_largest), "You took the second largest "
            "value of each group for its worth. It is the sum of the two largest."),
    chooses("The worst groups are open", by_worth(lambda grouped, k, n_open: -largest(grouped, 2)), "You opened the "
            "groups that are worth least. Sort them descending."),
    chooses("Only the best group is open", lambda v, k, groups, n_open: best(open_values(v, groups, 1), k)[1], "You "
            "opened the best group alone. There are topk_groups = {topk_groups} open groups."),
    chooses("One group too few is open", lambda v, k, groups, n_open: best(open_values(v, groups, max(n_open - 1, 1)),
            k)[1], "You opened one group less than topk_groups = {topk_groups}."),
    chooses("One group too many is open", lambda v, k, groups, n_open: best(open_values(v, groups, min(n_open + 1,
            groups)), k)[1], "You opened one group more than topk_groups = {topk_groups}."),
    chooses("The best groups of the whole batch", of_the_batch, "You opened the same groups for all tokens, those that "
            "are worth most in sum. Each token opens its own groups."),
    chooses("The groups are interleaved", interleaved, "You put expert e into group e % {n_groups}. The first E / "
            "{n_groups} experts are group 0, the next are group 1: `unflatten(1, (n_groups, -1))` cuts them so."),
    chooses("`n_groups` is taken for the size of a group", size_for_number, "You cut the experts into groups of "
            "{n_groups}. There are n_groups = {n_groups} groups."),
    chooses("Closed experts become 0", closed_to_0,
            "You set the values of closed groups to 0, and 0 is larger than the open values below 0. Set them to −inf: "
            "nothing is smaller. (Several engines shipped this mistake.)"),
    chooses("The best of all first, the groups afterwards", filtered_late, "You took the {k} best of all experts and "
            "then looked at the groups. Then too few are left: close the groups first, and choose among the rest."),
    *(chooses("Each open group gives as many", rule, "You took equally many experts from each open group. The {k} "
              "largest values count, from whichever open group they come.")
      for rule in (shared_out, shared_out_in_turn)),
    chooses("Equal groups are all open", ties_open_all, "You opened every group that is worth as much as the last of "
            "the best. Exactly {topk_groups} are open, and among equals the lower number comes first."),
    chooses(GROUP_TIES, higher_group_first, EQUAL_GROUPS),
    sign(GROUP_TIES, only_group_ties, lambda a: f"{what(a)} {EQUAL_GROUPS}"),
    *(chooses("The smallest are kept", rule, "You took the smallest values. Sort them descending.")
      for rule in (smallest_of_the_open, smallest_of_all)),
    chooses("Listed group by group", group_by_group, "The experts of a token are right, but those of its best group "
            "come first. Best first means by value, whatever the group."),
    *(chooses("Nearly equal values are taken for equal", lambda v, *rest, dtype=dtype: reference(v.to(dtype), *rest),
              f"You choose by the values as {dtype_name(dtype)} has them. Compare them as they come, nothing rounded.")
      for dtype in (F32, torch.bfloat16, torch.float16)),
    sign("Nearly equal values are taken for equal", lambda a: NEARLY in a.trial.note and ids_wrong(a), "The values of "
         "this input differ in the seventh decimal only. Choice {expert_ids.at[1]} of token {expert_ids.at[0]} is "
         "expert {expert_ids.wrong.beside}. Compare the values as they are: nothing rounded, as `.float()` rounds "
         "float64, and nothing added to settle ties."),
    sign("Places, not experts", places, "`expert_ids` counts 0, 1, 2, … for every token: places in a sorted row. The "
         "numbers of the experts are the indices that sorting gives."),
    *wrong_choices(lambda a: open_values(a.args[0], *a.args[2:]), {
        "The order is worst first": "Right experts, but token 0 lists {expert_ids[0]}, its best expert last. Best "
            "first: sort descending.",
        "The order is by expert number": "Right experts, but token 0 lists {expert_ids[0]}. Best first means by value: "
            "{right.expert_ids[0]}.",
        "Every token gets the same experts": "All tokens list {expert_ids[0]}, whatever their values. Each token "
            "chooses its own.",
    }, noun="value"),
    sign(BOTH_TIES, any_ties, both_ties_sentence),
    sign("Closed experts are not shut out", not_shut_out, lambda a: f"{what(a)} Closed experts come in before open "
         "ones. No large negative number is small enough for all inputs, and in float32 −9e8 − 1 is −9e8 again. −inf "
         "is below them all."),
    sign("Experts of closed groups are chosen", lambda a: not a.trial.kind and takes_closed(a), lambda a: f"{what(a)} "
         "A group is worth the sum of its two largest values, and it opens or closes as a whole.", all_or_none=True),
)  # fmt: skip

GROUP_LIMITED_TOP_K = Exercise(
    id="9.3", name="group_limited_top_k", parameters=("values", "k", "n_groups", "topk_groups"), sizes="NEkGT",
    outputs=(Output("expert_ids", "N, k", expert_values=True),), reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Give the experts a second dimension: (N, G, E/G). Then there are two choices, one after the other: groups, "
        "and experts among what is left. What value must an expert of a closed group have, so that it is never chosen?",
        "Sort within each group and sum the first two columns: (N, G). A stable descending sort of these sums gives "
        "the open groups; `scatter` makes a mask (N, G) of them. `masked_fill` with −inf, flatten to (N, E), and "
        "choose as in 3.2.",
    ),
    minutes=12, lines="about 7 lines",
    done="That is DeepSeek-V3's choice: experts of few groups, so that a token travels to few machines.",
)  # fmt: skip

"""What any exercise that chooses experts can get wrong: lesson 03's 3.2 and 3.5, lesson 07's 7.3."""

from collections.abc import Callable

from torch import Tensor

from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import Attempt
from moe_lite.checks.engine.mistakes import (
    ids_are_places,
    lowest_kept,
    only_ties_differ,
    runs_backwards,
    runs_by_number,
    same_for_all,
    sign,
    tie_sentence,
    twice_the_same,
)  # fmt: skip


def wrong_choices(values: Callable[[Attempt], Tensor]):
    """values: the table (N, E) that the choice is made from."""

    def smallest(a: Attempt) -> str:
        worst, best = int(a.got["expert_ids"][0, 0]), int(a.expected["expert_ids"][0, 0])
        low, high = (number(float(values(a)[0, e])) for e in (worst, best))
        return (
            f"Token 0 keeps expert {worst} with score {low}; its best is expert {best} with {high}. Sorted ascending?"
        )

    return (
        sign("An expert is chosen twice", twice_the_same, "A token has the same expert in two places. Each of its k "
             "experts is another one."),
        sign("The smallest scores are kept", lambda a: lowest_kept(a, values(a)), smallest),
        sign("The order is worst first", runs_backwards, "Right experts, but token 0 lists {expert_ids[0]}, its best "
             "expert last. Best first: sort descending."),
        sign("Places, not experts", ids_are_places, lambda a: f"`expert_ids` counts 0 to {a.args[1] - 1} for every "
             "token: places in the sorted row. The numbers of the experts are the indices that sorting the scores "
             "gives."),
        sign("Every token gets the same experts", same_for_all, "All tokens list {expert_ids[0]}, whatever their "
             "scores. Each token keeps its own best."),
        sign("The order is by expert number", runs_by_number, "Right experts, but token 0 lists {expert_ids[0]}. Best "
             "first means by weight: {right.expert_ids[0]}."),
        sign("Ties are broken the wrong way", lambda a: only_ties_differ(a, values(a)), tie_sentence,
             show="expert_ids"),
    )  # fmt: skip

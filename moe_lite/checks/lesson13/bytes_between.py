"""Exercise 13.3, bytes_between: how many bytes every device sends to every other one."""

import re
from functools import partial

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.mistakes import sign
from moe_lite.checks.lesson13.byte_slips import (
    all_to_others,
    answers_added,
    apart,
    as_devices,
    averaged,
    broadcast,
    cell,
    cells,
    columns_of_experts,
    equal_neighbours,
    first_away,
    full_first,
    if_all_there,
    in_turn,
    is_short,
    is_symmetric,
    lead,
    left_out_after,
    lost,
    missed,
    neighbours,
    never_forgotten,
    none_at_home,
    one_column,
    other_devices,
    per_expert,
    per_expert_columns,
    per_token,
    repeated,
    rest_on_the_last,
    shapes,
    short,
    size,
    stays,
    symmetric,
    taken_for_devices,
    tokens_of_rows,
    turned,
    unsent,
    until_home,
    why,
    without_diagonal,
    written_once,
    written_once_per_column,
)
from moe_lite.lessons.traffic import bytes_between, sent

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 11, 3, 8, 4, 100), random(2, 17, 2, 15, 5, 96), random(3, 23, 4, 9, 6, 250))
    empty = (
        random(4, 13, 3, 10, 5, 64, no_tokens=(4,)), random(5, 12, 2, 9, 4, 50, no_tokens=(0, 3), no_experts=(1,)),
        random(6, 15, 3, 8, 6, 128, no_tokens=(2,), no_experts=(4, 5)),
        random(7, 14, 2, 7, 5, 80, no_tokens=(3, 4), no_experts=(4,)),
    )  # fmt: skip
    crowded = (random(8, 19, 6, 12, 3, 40), random(9, 16, 5, 11, 4, 70, no_experts=(0, 2)))
    one = (random(10, 21, 1, 6, 4, 32), random(11, 18, 1, 5, 3, 90, no_experts=(2,)))
    ids = torch.tensor([[0, 1], [3, 2], [1, 0], [2, 3]])
    ends = (
        Trial((ids, torch.tensor([0, 2, 0, 2]), torch.tensor([0, 0, 2, 2]), 3, 60), "all experts at home"),
        Trial((ids, torch.tensor([1, 1, 1, 1]), torch.tensor([0, 0, 0, 0]), 3, 60), "all from device 1 to device 0"),
        Trial((ids, torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64), 1, 60), "one device"),
    )
    many = (random(12, 400, 4, 32, 8, 4096),)
    begin, _ = inputs.usual(plain[:2], plain)
    return (
        *begin,
        Case("from device to device", plain, ("matrix",)),
        Case("several experts on one device", crowded, ("matrix",)),
        Case("devices without tokens or experts", empty, ("matrix",)),
        Case("one expert per token", one, ("matrix",)),
        Case("all at home, all to one, one device", ends, ("matrix",)),
        Case("many tokens", many, ("matrix",)),
    )


def random(
    seed: int, N: int, K: int, E: int, M: int, b: int, no_tokens: tuple[int, ...] = (), no_experts: tuple[int, ...] = ()
) -> Trial:
    """On the devices `no_tokens` no token lives, and `no_experts` hold no expert."""
    args = inputs.choices(seed, N, E, K), on(seed + 40, N, M, no_tokens), on(seed + 80, E, M, no_experts), M, b
    return Trial(args, f"seed {seed}, {N} tokens, {K} of {E} experts, {M} devices")


def on(seed: int, n: int, n_devices: int, without: tuple[int, ...] = ()) -> Tensor:
    """(n,) int64: a device for each, some of those that are not in `without`."""
    left = torch.tensor([d for d in range(n_devices) if d not in without])
    return left[torch.randint(0, len(left), (n,), generator=inputs.generator(seed))]


def drawn(seed: int, N: int, K: int, E: int, M: int, V: int) -> tuple:
    """Every second input has a device without tokens and another one without experts, where there are enough."""
    some = M > 2 and seed % 2
    no_tokens, no_experts = ((M - 1,), (seed % (M - 1),)) if some else ((), ())
    return inputs.choices(seed, N, E, K), on(seed + 40, N, M, no_tokens), on(seed + 80, E, M, no_experts), M, V


def extremes(seed: int) -> tuple[Trial, ...]:
    ids, homes, places, M, V = drawn(seed, 300, 3, 8, 5, 16)
    return (
        Trial((ids, homes * 0, places * 0 + 1, M, 10_000_019), "300 vectors of 10,000,019 bytes, all to one device"),
        Trial((ids, homes, places, M, 1), "vectors of 1 byte"),
        Trial((ids[:7], homes[:7], places, 40, V), "40 devices, most of them with nothing on them"),
        Trial((ids[:40], homes[:40] * 0 + M - 1, places, M, V), "all tokens on the last device"),
        Trial((ids[:40], homes[:40], places * 0 + M - 1, M, V), "all experts on the last device"),
    )


DRAWN = Drawn(
    drawn, {"N": 13, "K": 3, "E": 8, "M": 5, "V": 24}, at_most=(("K", "E"),), float32=False, extremes=extremes
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


def resized(match: re.Match, line: Line, exercise: Exercise) -> Note:
    if line.counted():
        return Note("`bincount` without `minlength`", "`bincount` counts up to the largest number that occurs. Where "
                    "the last device sends nothing, the last cells are missing, and the rest does not fill the matrix. "
                    "`minlength=n_devices * n_devices` adds them.")  # fmt: skip
    return Note("The new shape has another size", "`view` and `reshape` keep the number of values, and the matrix has "
                "`n_devices * n_devices` of them.")  # fmt: skip


def too_large(match: re.Match, line: Line, exercise: Exercise) -> Note:
    given = {name: line.tensors.get(name) for name in ("places", "homes")}
    last = {name: "…" if value is None or not value.dim() else len(value) - 1 for name, value in given.items()}
    return Note(
        "An index is too large", f"Here experts have numbers from 0 to {last['places']} and tokens from 0 to "
        f"{last['homes']}; devices have numbers from 0 to `n_devices` − 1. `places[e]` is the device of expert e, and "
        "`homes[n]` that of token n. Which of these numbers is used as an index in this line, and what is it an index "
        "of?",
    )  # fmt: skip


PLACES, HOMES = "`places` is not used", "`homes` is not used"
ONCE, ADD = "Once per expert, not once per device", "Vectors that share a cell are not added up"
BACK, UNIT = "The way back is counted as well", "The size is in bytes already"
FIRST, AVERAGE = "Only one expert of each token", "An average, not a sum"
EXPERTS, SHORT = "Experts are taken for devices", "Devices without tokens or experts are missing"

NAMED = (
    cells("The diagonal is not 0", lambda *args: sent(*args[:4]) * args[4], lambda a, i, j: stays(a, i)),
    cells(ONCE, lambda *args: without_diagonal(per_expert(*args)), repeated),
    cells(ONCE, per_expert, repeated),
    cells("From and to have changed places", lambda *args: bytes_between(*args).T, turned),
    cells(EXPERTS, lambda *args: without_diagonal(as_devices(*args)), taken_for_devices),
    cells(EXPERTS, as_devices, taken_for_devices),
    sign(EXPERTS, columns_of_experts, lambda a: shapes(a) + "yours has columns for the experts. `places[e]` is the "
         f"device of expert e: expert 0, for example, is on device {int(a.args[2][0])}.", answer=lambda names, args:
         (per_expert_columns(*args),)),
    other_devices("places", PLACES, neighbours, "as neighbours in equal parts"),
    other_devices("places", PLACES, full_first, "as neighbours, {n} on each"),
    other_devices("places", PLACES, rest_on_the_last, "as neighbours in equal parts, the rest on the last device"),
    other_devices("places", PLACES, in_turn, "in turn"),
    other_devices("homes", HOMES, neighbours, "as neighbours in equal parts"),
    other_devices("homes", HOMES, full_first, "as neighbours, {n} on each"),
    other_devices("homes", HOMES, in_turn, "in turn"),
    cells(BACK, lambda *args: 2 * bytes_between(*args), "Yours is twice as much. Only the way to the experts is asked "
          "for, and what comes back is no part of it."),
    cells(BACK, lambda *args: bytes_between(*args) + bytes_between(*args).T, answers_added),
    cells("Vectors, not bytes", lambda *args: bytes_between(*args[:4], 1), lambda a, i, j:
          f"Yours is the number of vectors. Each of them has {size(a)}. {why(a, i, j)}"),
    cells(UNIT, lambda *args: 8 * bytes_between(*args), lambda a, i, j: "Yours is eight times as much, which would be "
          f"bits. `vector_bytes` is in bytes already. {why(a, i, j)}"),
    cells(UNIT, lambda *args: 4 * bytes_between(*args), lambda a, i, j: "Yours is four times as much, as if "
          f"`vector_bytes` counted numbers of 4 bytes. It is in bytes already. {why(a, i, j)}"),
    cells(ADD, lambda *args: without_diagonal(written_once(*args)), lost),
    cells(ADD, written_once, lost),
    cells(ADD, lambda *args: without_diagonal(written_once_per_column(*args)), lost),
    cells(ADD, written_once_per_column, lost),
    cells(FIRST, one_column(0), missed(0)),
    cells(FIRST, one_column(-1), missed(-1)),
    cells(FIRST, first_away, "Yours sends a token's vector to one other device and no further. It goes to each device "
          "that holds one of its experts."),
    cells(ONCE, lambda ids, *rest: ids.shape[1] * bytes_between(ids, *rest), lambda a, i, j: f"Yours is "
          f"{a.args[0].shape[1]} times as much, and K is {a.args[0].shape[1]}: each vector is counted for all K "
          f"choices. {why(a, i, j)}"),
    cells("Equal devices that stand apart", equal_neighbours, apart),
    cells("The experts behind the one at home are left out", until_home, left_out_after),
    cells("Only tokens with all their experts on one device", if_all_there, "Yours sends a vector only if all experts "
          "of its token are on one device. One expert there is enough: `any`, not `all`."),
    cells("Each device gets a vector once in all", never_forgotten, "Yours sends a device the first vector that it "
          "needs and none after it. Which devices have the vector is noted for each token anew."),
    cells("A token with an expert at home is left out", none_at_home, unsent),
    cells("Every token is sent to every device", all_to_others, broadcast),
    cells(AVERAGE, per_token(lambda homes, M: len(homes)), partial(averaged, over_all=True)),
    cells(AVERAGE, per_token(tokens_of_rows), partial(averaged, over_all=False)),
    sign("A matrix that is symmetric", is_symmetric, symmetric, show="matrix"),
    sign(SHORT, is_short, short),
    sign("All cells in one row", lambda a: a.got["matrix"].shape == (a.args[3] ** 2,) and a.args[3] > 1,
         lambda a: shapes(a) + "lay the cells out in rows, `.view(n_devices, n_devices)`."),
)  # fmt: skip


def in_words(a: Attempt) -> Note | None:
    """For a matrix that is wrong in some way that has no name."""
    if not a.got or a.trial.kind or a.right("matrix") or a.got["matrix"].shape != a.expected["matrix"].shape:
        return None
    if any(mistake.recognise(a) for mistake in NAMED):
        return None
    return Note("`matrix` is not right yet", f"{lead(a)} {why(a, *cell(a))}", general=True, show="matrix")


BYTES_BETWEEN = Exercise(
    id="13.3", name="bytes_between", parameters=("expert_ids", "homes", "places", "n_devices", "vector_bytes"),
    sizes="NKEMV", outputs=(Output("matrix", "M, M"),), reference=bytes_between, cases=cases,
    mistakes=(*NAMED, Mistake(in_words)), drawn=DRAWN,
    causes=((RuntimeError, r"invalid for input of size|shape '.*' is invalid", resized),
            ((RuntimeError, IndexError), r"out of bounds|out of range", too_large)),
    hints=(
        "First find out for each token which devices need its vector: a yes or no per token and device, however many "
        "of its experts are there. Then add up the tokens that live on the same device.",
        "`places[expert_ids]` are the devices (N, K). Writing a 1 there into zeros of the shape (N, M), with "
        "`scatter_`, makes the yes or no, and writing it twice changes nothing. `index_add_` with `homes` adds the "
        "rows up to (M, M). The diagonal becomes 0, and each vector has `vector_bytes`.",
    ),
    minutes=12, lines="about 6 lines",
    done="This matrix is the traffic of one dispatch. The same tokens, with the experts on other devices, give another "
    "one.",
)  # fmt: skip

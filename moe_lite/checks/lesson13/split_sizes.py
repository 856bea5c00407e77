"""Exercise 13.1, split_sizes: the rows of a process in the order in which they are sent, and how many go where."""

import re
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.mistakes import one_wrong, sign
from moe_lite.checks.lesson13.sent_rows import (
    descending,
    in_a_process,
    left_out,
    left_out_sentence,
    only_by_process,
    order_fact,
    per_process,
    process_of,
    row_missing,
    send_fact,
    shares,
    twice,
    unstable,
    whereabouts,
)
from moe_lite.lessons.parallel import split_sizes

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    usual = (random(1, 13, 6, 2), random(2, 17, 15, 3), random(3, 20, 8, 4), random(4, 11, 12, 3))
    many = (random(5, 90, 6, 3),)  # so many equals that a sort which may exchange them does
    silent = (
        listed([2, 0, 3, 3, 1, 0, 2], 8, 4, "no row for processes 2 and 3"),
        listed([7, 4, 3, 7, 5, 4, 3, 8], 9, 3, "no row for process 0"),
        listed([9, 1, 10, 0, 1, 9, 2, 11, 0], 12, 4, "no row for processes 1 and 2"),
        listed([5, 6, 5, 4], 10, 5, "no row for processes 0, 1 and 4"),
    )
    single = (random(6, 9, 5, 5), random(7, 12, 4, 4), listed([1, 4, 1, 3, 3, 1], 5, 5, "one expert per process"))
    alone = (random(8, 8, 5, 1), random(9, 10, 3, 1))
    ends = (
        listed([4] * 7, 6, 3, "all rows need expert 4"),
        listed([0, 0, 0], 8, 2, "all rows need expert 0"),
        listed([5], 8, 4, "one row"),
    )
    nothing = (listed([], 6, 3, "no rows at all"), listed([], 4, 2, "no rows at all"))
    begin, _ = inputs.usual(usual, usual)
    return (
        *begin,
        Case("order", (*usual, *many), ("order",)),
        Case("send", (*usual, *many), ("send",)),
        Case("one expert per process", single, ("order", "send")),
        Case("one process", alone, ("order", "send")),
        Case("processes without rows", silent, ("order", "send")),
        Case("all rows alike, a single row", ends, ("order", "send")),
        Case("no rows", nothing, ("order", "send")),
    )


def listed(expert_ids: list[int], n_experts: int, n_ranks: int, what: str) -> Trial:
    note = f"{what}, n_experts = {n_experts}, n_ranks = {n_ranks}"
    return Trial((torch.tensor(expert_ids, dtype=torch.int64), n_experts, n_ranks), note)


def random(seed: int, n_rows: int, n_experts: int, n_ranks: int) -> Trial:
    """Every process gets rows."""
    g = inputs.generator(seed)
    while True:
        expert_ids = torch.randint(n_experts, (n_rows,), generator=g)
        if len((expert_ids // (n_experts // n_ranks)).unique()) == n_ranks:
            return listed(expert_ids.tolist(), n_experts, n_ranks, f"seed {seed}")


def drawn(seed: int, A: int, experts_per_process: int, n_ranks: int) -> tuple:
    n_experts = experts_per_process * n_ranks
    return torch.randint(n_experts, (A,), generator=inputs.generator(seed)), n_experts, n_ranks


def extremes(seed: int) -> tuple[Trial, ...]:
    expert_ids, n_experts, n_ranks = drawn(seed, 11, 3, 4)
    return (
        listed([], 12, 4, "no rows"),
        listed([], 5, 1, "no rows, one process"),
        listed([n_experts - 1] * 6, n_experts, n_ranks, "all rows for the last expert"),
        listed(list(range(n_experts))[::-1], n_experts, n_ranks, "a row for each expert, the last one first"),
        listed(expert_ids.sort().values.tolist(), n_experts, n_ranks, f"rows that are sorted already, seed {seed}"),
        listed(expert_ids.repeat(30).tolist(), n_experts, n_ranks, f"many rows for each expert, seed {seed}"),
        listed([0], 1, 1, "one row, one expert"),
    )


DRAWN = Drawn(
    drawn, {"A": 11, "experts_per_process": 3, "n_ranks": 4}, long="A", wide="experts_per_process", float32=False,
    extremes=extremes,
)  # fmt: skip

# ---- mistakes --------------------------------------------------------------------------------------------------------

Rule = Callable[[Tensor, int, int], Tensor]
Facts = Callable[[Attempt], str]


def of_order(title: str, rule: Rule, why: str | Facts) -> Mistake:
    return one_wrong("order", title, rule, lambda a: f"{order_fact(a)} {filled(why, a)}", other_shape=True)


def of_send(title: str, rule: Rule, why: str | Facts) -> Mistake:
    return one_wrong("send", title, rule, lambda a: f"{send_fact(a)} {filled(why, a)}", other_shape=True)


def filled(why: str | Facts, a: Attempt) -> str:
    if callable(why):
        return why(a)
    ids, E, R = a.args
    return why.format(A=len(ids), E=E, R=R, P=E // R, last=E - 1)


def placed(of: Callable[[Tensor, int, int], Tensor], title: str, why: str | Facts) -> tuple[Mistake, Mistake]:
    """Another process for each expert: counted for `send`, or sorted by for `order`."""

    def counts(ids: Tensor, E: int, R: int) -> Tensor:
        return torch.bincount(of(ids, E, R), minlength=R)

    def sorted_by(ids: Tensor, E: int, R: int) -> Tensor:
        return of(ids, E, R).argsort(stable=True)

    return of_send(title, counts, why), of_order(title, sorted_by, why)


def order_of(ids: Tensor, E: int, R: int) -> Tensor:
    return split_sizes(ids, E, R)[0]


def sizes_of(ids: Tensor, E: int, R: int) -> Tensor:
    return split_sizes(ids, E, R)[1]


def by_row(ids: Tensor, E: int, R: int) -> Tensor:
    """Counts row numbers in place of expert numbers."""
    return torch.bincount(process_of(torch.arange(len(ids)), E, R), minlength=R)


def in_turn(a: Attempt) -> str:
    R, held = a.args[2], per_process(a)
    wrong = next((e for e in a.args[0].tolist() if e % R != e // held), 1)
    return (
        f"`expert_ids % n_ranks` would put neighbours on different processes, expert {wrong} on process {wrong % R}, "
        f"for example. But each process holds {held} neighbours, so {whereabouts(a, wrong)}."
    )


def by_the_wrong_number(a: Attempt) -> str:
    E, R, held = *a.args[1:], per_process(a)
    return (
        f"You divided by the number of processes, {R}. A process holds {E} / {R} = {held} "
        f"{'experts' if held > 1 else 'expert'}, so divide by {held}: expert {E - 1} is on process {R - 1}."
    )


def rounded(a: Attempt) -> str:
    E, held = a.args[1], per_process(a)
    return (
        f"A process number is a quotient that is rounded down: {whereabouts(a, E - 1)}, because "
        f"{E - 1} / {held} = {number((E - 1) / held)}. `//` rounds down."
    )


def last_missing(a: Attempt) -> str:
    R, ids = a.args[2], a.args[0]
    entries = a.got["send"].numel()
    if not len(ids):
        found = "With no rows there is nothing to count"
    elif entries == R - 1:
        found = f"No row goes to process {R - 1}"
    else:
        found = f"No row goes to processes {entries} {'and' if entries == R - 2 else 'to'} {R - 1}"
    return f"{found}, so `bincount` stops before the end. `minlength` says how many numbers there should be, {R} here."


def without_rows_missing(a: Attempt) -> str:
    empty = [p for p, n in enumerate(a.expected["send"].tolist()) if not n]
    which = f"Process {empty[0]} gets no row" if len(empty) == 1 else f"Processes {empty[0]} and {empty[1]} get no row"
    if len(empty) > 2:
        which = f"{len(empty)} processes, {empty[0]} for example, get no row"
    return (
        f"{which}, and {'has' if len(empty) == 1 else 'have'} a 0 in `send`. `unique` leaves out what does not occur."
    )


TURNED = (
    "You say for each row at which place it is sent. `order` says for each place which row is sent there: sort once, "
    "not twice."
)
PER_EXPERT = (
    "These are counts per expert. A process gets the rows of all its experts, {P} on each of the {R} processes: divide "
    "the expert numbers by {P}, rounding down, before you count."
)
OFFSETS = "`send` says how many rows go to each process, and not at which place its rows begin or end."
PER_ROW = "This is the process of each row. Count how many rows each of the {R} processes gets."
EXPERTS = "Several rows can need the same expert, and each of them is sent: count rows, not experts."
EVENLY = "Yours shares the {A} rows out as evenly as it goes. How many a process gets depends on the experts they need."
TOO_LONG = (
    "There are as many numbers as experts. `send` has one for each process, so `minlength` is {R} here, the number of "
    "processes."
)
OF_ROWS = (
    "You divided row numbers by {P}, and `order` holds row numbers. The process of a row follows from the expert that "
    "it needs: divide `expert_ids` by {P} before you count."
)
BACKWARDS = (
    "Yours has the rows of each expert from the last to the first, as if they were sorted from behind. With "
    "`stable=True` an ascending sort keeps them in the order in which they stand."
)
EVEN = "Yours gives every process the same number of the {A} rows. How many there are depends on the experts they need."
BY_SIZE = "These are the right numbers in another order: entry p belongs to process p, whatever its size."

NAMED = (
    *placed(lambda ids, E, R: ids % R, "Experts are dealt out in turn", in_turn),
    *placed(lambda ids, E, R: ids // R, "Divided by the number of processes", by_the_wrong_number),
    *placed(lambda ids, E, R: (ids / (E // R)).round().long(), "A process number is rounded down", rounded),
    *placed(lambda ids, E, R: (ids / (E // R)).ceil().long(), "A process number is rounded down", rounded),
    of_send("The last processes are missing", lambda ids, E, R: torch.bincount(process_of(ids, E, R)), last_missing),
    of_send("Processes without rows are missing", lambda ids, E, R: process_of(ids, E, R).unique(return_counts=True)[1],
            without_rows_missing),
    of_send("Counts per expert, not per process", lambda ids, E, R: torch.bincount(ids, minlength=E), PER_EXPERT),
    of_send("Counts per expert, not per process", lambda ids, E, R: torch.bincount(ids), PER_EXPERT),
    of_send("Counts per expert, not per process", lambda ids, E, R: torch.bincount(ids, minlength=R), PER_EXPERT),
    of_send("Offsets, not counts", lambda *args: sizes_of(*args).cumsum(0), OFFSETS),
    of_send("Offsets, not counts", lambda *args: sizes_of(*args).cumsum(0) - sizes_of(*args), OFFSETS),
    of_send("Offsets, not counts", lambda *args: torch.cat([torch.zeros(1).long(), sizes_of(*args).cumsum(0)]),
            OFFSETS),
    of_send("A process per row, not a count per process", process_of, PER_ROW),
    of_send("A process per row, not a count per process", lambda *args: process_of(*args).sort().values, PER_ROW),
    of_send("Each process counts at most once", lambda *args: sizes_of(*args).clamp(max=1), "An assignment such as "
            "`send[process] += 1` adds once where an index comes several times. `bincount` counts them all."),
    sign("Shares, not counts", shares, lambda a: f"{send_fact(a)} You divided by the number of rows, {len(a.args[0])}. "
         "The count itself is wanted, a whole number of rows."),
    of_send("Experts are counted, not rows", lambda ids, E, R: sizes_of(ids.unique(), E, R), EXPERTS),
    of_send("Experts are counted, not rows", lambda ids, E, R: torch.full((R,), E // R), EXPERTS),
    of_send("The same for every process", lambda ids, E, R: torch.full((R,), len(ids) // R), EVEN),
    of_send("The same for every process", lambda ids, E, R: torch.full((R,), len(ids) / R), EVEN),
    of_send("The same for every process", lambda ids, E, R: torch.tensor([len(c) for c in ids.tensor_split(R)]),
            EVENLY),
    of_send("More numbers than processes", lambda ids, E, R: torch.bincount(process_of(ids, E, R), minlength=E),
            TOO_LONG),
    of_send("Rows are divided, not experts", by_row, OF_ROWS),
    of_send("Rows are divided, not experts", lambda ids, E, R: by_row(ids, E, R)[:R], OF_ROWS),
    of_send("Sorted by size", lambda *args: sizes_of(*args).sort(descending=True).values, BY_SIZE),
    of_send("Sorted by size", lambda *args: sizes_of(*args).sort().values, BY_SIZE),
    of_order("The permutation the wrong way round", lambda *args: order_of(*args).argsort(), TURNED),
    of_order("Experts, not row numbers", lambda ids, E, R: ids.sort().values, "These are the sorted expert numbers. "
             "Return the rows that they come from: the indices that sorting gives."),
    of_order("Experts, not row numbers", lambda ids, E, R: ids, "This is `expert_ids` itself. Return the row numbers, "
             "sorted by these experts."),
    of_order("Processes, not row numbers", lambda *args: process_of(*args).sort().values, "These are the sorted "
             "process numbers. Return the row numbers, sorted by expert."),
    of_order("Processes, not row numbers", process_of, "This is the process of each row. Return the row numbers, "
             "sorted by expert."),
    of_order("Nothing is sorted", lambda ids, E, R: torch.arange(len(ids)), "Your rows stand in the order in which "
             "they came."),
    of_order("Counted from 1", lambda *args: order_of(*args) + 1, "Row numbers begin at 0, and all of yours are 1 too "
             "large."),
    of_order("Sorted by the place within a process", lambda ids, E, R: (ids % (E // R)).argsort(stable=True), "You "
             "sorted by `e % {P}`, the place that an expert has on its process. Sort by `expert_ids` itself: then all "
             "rows for process 0 come first."),
    of_order("Rows of one expert change their order", lambda ids, E, R: len(ids) - 1 - ids.flip(0).argsort(stable=True),
             BACKWARDS),
    sign("A process is left out", lambda a: left_out(a) is not None, left_out_sentence),
    sign("The last expert comes first", descending, lambda a: f"{order_fact(a)} Yours begins with the highest expert "
         "that occurs. The rows for expert 0 come first: sort ascending.", show="order"),
    sign("Rows of one expert change their order", unstable, lambda a: f"{order_fact(a)} A plain sort promises nothing "
         "about equals; with `stable=True` they stay in the order in which they stand.", show="order"),
    sign("By process, but not by expert", only_by_process, in_a_process, show="order"),
    sign("A row is sent twice, and another one never", twice, row_missing, show="order"),
)  # fmt: skip


def without_a_name(a: Attempt) -> Note | None:
    """Which row or which process is the first wrong one, for an answer that no mistake with a name explains."""
    if not a.got or a.all_right or any(mistake.recognise(a) for mistake in NAMED):
        return None
    name = next(name for name in ("order", "send") if not a.right(name))
    fact = order_fact(a) if name == "order" else send_fact(a)
    return Note(f"`{name}` is not right yet", f"{fact} This is with {a.trial.note}.", general=True, show=name)


def nothing_there(match: re.Match, line: Line, exercise: Exercise) -> Note:
    ids = line.tensors.get("expert_ids")
    if ids is not None and not ids.numel():
        return Note(
            "A process can have no rows",
            "`expert_ids` is empty here, so it has no largest number and no first row. Then `order` is empty as well, "
            "and `send` is 0 for every process. `argsort` and `bincount` with `minlength` give just that.",
        )
    return Note(
        "Something is empty",
        "That line needs at least one number or one tensor, and here it has none. An expert or a whole process can "
        "have no rows.",
    )


def not_whole(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note(
        "`bincount` counts whole numbers",
        "`/` gives floats, and `bincount` counts whole numbers only. `//` divides whole numbers, rounds down and keeps "
        "them whole.",
    )


EMPTY = r"numel\(\) == 0|non-empty|with size 0|is an empty sequence|iterable argument is empty|has no elements"

SPLIT_SIZES = Exercise(
    id="13.1", name="split_sizes", parameters=("expert_ids", "n_experts", "n_ranks"), sizes="AER",
    outputs=(Output("order", "A,"), Output("send", "n_ranks,")), reference=split_sizes, cases=cases,
    mistakes=(*NAMED, Mistake(without_a_name)), drawn=DRAWN,
    causes=(((RuntimeError, IndexError, ValueError), EMPTY, nothing_there),
            ((RuntimeError, NotImplementedError), r"bincount\w*\W* not implemented for", not_whole)),
    hints=(
        "Neighbouring experts are on one process. So rows that are sorted by expert are sorted by process as well, and "
        "one sort is enough. How do you get from the number of an expert to that of its process?",
        "`order` is one `argsort` of `expert_ids`, told to be stable. For `send`, divide `expert_ids` with `//` by the "
        "number of experts per process, which gives the process of each row. Then `bincount` counts them, and "
        "`minlength` keeps a 0 for the last processes.",
    ),
    minutes=10, lines="about 3 lines",
    done="These two results are all that a process needs to send its rows: `x[order]` cut into pieces of the sizes in "
    "`send` is what an all-to-all takes, and the experts of each process find their rows side by side.",
)  # fmt: skip

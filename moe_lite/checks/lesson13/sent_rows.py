"""What an answer to exercise 13.1 does with the rows: the facts of a sentence, and signs that no rule gives."""

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import close, number, shape_text
from moe_lite.checks.engine.exercise import Attempt
from moe_lite.checks.engine.say import plain

# ---- the facts of a sentence -----------------------------------------------------------------------------------------


def per_process(a: Attempt) -> int:
    return a.args[1] // a.args[2]


def whereabouts(a: Attempt, expert: int) -> str:
    return f"expert {expert} is on process {expert // per_process(a)}"


def order_fact(a: Attempt) -> str:
    """The first wrong entry of `order`, and which row should stand there, and why."""
    got, right, ids = a.got["order"], a.expected["order"], a.args[0].tolist()
    if got.shape != right.shape:
        rows = "there are no rows" if not ids else "there is 1 row" if len(ids) == 1 else f"there are {len(ids)} rows"
        return f"`order` has the shape {shape_text(got)}, expected {shape_text(right)}, because {rows}."
    i = int((got != right).nonzero()[0])
    mine, row = plain(got[i]), int(right[i])
    lead = f"`order[{i}]` is {number(mine)}, expected {row}."
    if mine not in range(len(ids)):
        return f"{lead} Row {row} needs expert {ids[row]}. The rows have the numbers 0 to {len(ids) - 1}."
    mine = int(mine)
    if mine in right[:i].tolist():
        return f"{lead} Row {mine} is sent already, and next is row {row}, which needs expert {ids[row]}."
    if ids[mine] == ids[row]:
        return f"{lead} Rows {row} and {mine} both need expert {ids[row]}, and row {row} stands first."
    return (
        f"{lead} Row {row} needs expert {ids[row]} and row {mine} needs expert {ids[mine]}, so row {row} comes first."
    )


def send_fact(a: Attempt) -> str:
    """The first wrong entry of `send`, and how many rows the experts of that process get."""
    got, right = a.got["send"], a.expected["send"]
    if got.shape != right.shape:
        return f"`send` has the shape {shape_text(got)}, expected {shape_text(right)}: one number for each process."
    process = int((got != right).nonzero()[0])
    mine, rows, held = plain(got[process]), int(right[process]), per_process(a)
    first = process * held
    experts = f"experts {first} to {first + held - 1}" if held > 1 else f"expert {first}"
    need = {0: "no row needs", 1: "1 row needs"}.get(rows, f"{rows} rows need")
    return (
        f"`send[{process}]` is {number(mine)}, expected {rows}. Process {process} holds {experts}, and {need} "
        f"{'one of them' if held > 1 else 'it'}."
    )


def process_of(ids: Tensor, E: int, R: int) -> Tensor:
    return ids // (E // R)


# ---- signs -----------------------------------------------------------------------------------------------------------


def shares(a: Attempt) -> bool:
    """The counts, divided by the number of rows; of no rows, 0 / 0."""
    got, right, n_rows = a.got["send"], a.expected["send"], len(a.args[0])
    if got.shape != right.shape or not got.is_floating_point() or a.right("send"):
        return False
    return close(got, right / n_rows) if n_rows else bool(got.isnan().all())


def left_out(a: Attempt) -> int | None:
    """The one process whose rows `send` or `order` does not have, where all else is right."""
    ids, E, R = a.args
    send, order, right = a.got["send"], a.got["order"], a.expected["send"]
    owner = process_of(ids, E, R)[a.expected["order"]]  # (A,)
    for process in range(min(R, 32)):
        others = torch.arange(R) != process
        if right[process] and any(
            torch.equal(send.to(right.dtype), found) for found in (right * others, right[others])
        ):
            return process
        if right[process] and torch.equal(order.to(right.dtype), a.expected["order"][owner != process]):
            return process
    return None


def left_out_sentence(a: Attempt) -> str:
    process = left_out(a)
    fact = order_fact(a) if a.right("send") else send_fact(a)
    rows = int(a.expected["send"][process])
    return (
        f"{fact} The rows for process {process}, {rows} here, are left out. Your function is not told on which process "
        "it runs, and the rows that a process keeps for its own experts count like all others."
    )


def rows_in_turn(a: Attempt) -> Tensor | None:
    """A wrong `order` that has every row once, int64 (A,); else None."""
    got = a.got["order"]
    if a.right("order") or got.shape != a.expected["order"].shape or got.is_floating_point():
        return None
    whole = torch.equal(got.long().sort().values, torch.arange(len(got)))
    return got.long() if whole else None


def steps(a: Attempt) -> Tensor | None:
    """From expert to expert as a wrong `order` comes to them (A − 1,)."""
    rows = rows_in_turn(a)
    return None if rows is None else a.args[0][rows].diff()


def descending(a: Attempt) -> bool:
    found = steps(a)
    return found is not None and bool((found <= 0).all()) and bool((found < 0).any())


def unstable(a: Attempt) -> bool:
    """By expert, but the rows of an expert do not rise."""
    found = steps(a)
    return found is not None and bool((found >= 0).all())


def only_by_process(a: Attempt) -> bool:
    """By process, but not by expert."""
    rows = rows_in_turn(a)
    if rows is None or unstable(a):
        return False
    return bool((process_of(*a.args)[rows].diff() >= 0).all()) and a.args[2] > 1


def in_a_process(a: Attempt) -> str:
    rows, held = rows_in_turn(a), per_process(a)
    met = a.args[0][rows]  # (A,)
    i = int((met.diff() < 0).nonzero()[0])
    return (
        f"{order_fact(a)} The rows of a process stand together, but those of process {int(met[i]) // held} are not "
        f"sorted: row {int(rows[i])} for expert {int(met[i])} is sent before row {int(rows[i + 1])} for expert "
        f"{int(met[i + 1])}. Sort by expert, and the processes are in order as well."
    )


def twice(a: Attempt) -> bool:
    """As many entries as rows, but some row stands there twice and another one nowhere."""
    got, ids = a.got["order"], a.args[0]
    if a.right("order") or got.shape != ids.shape or got.is_floating_point() or got.dtype == torch.bool:
        return False
    return bool(((got >= 0) & (got < len(ids))).all()) and len(got.unique()) < len(ids)


def row_missing(a: Attempt) -> str:
    got, ids = a.got["order"].tolist(), a.args[0].tolist()
    gone = next(row for row in range(len(ids)) if row not in got)
    again = next(row for row in got if got.count(row) > 1)
    return (
        f"{order_fact(a)} `order` has every row number once. In yours, row {again} comes {got.count(again)} times, and "
        f"row {gone}, which needs expert {ids[gone]}, is missing."
    )

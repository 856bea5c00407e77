"""Answers to exercise 13.1, split_sizes: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(expert_ids, n_experts, n_ranks):
    order = expert_ids.argsort(stable=True)
    process = expert_ids // (n_experts // n_ranks)
    send = torch.bincount(process, minlength=n_ranks)
    return order, send


@right
def in_python(expert_ids, n_experts, n_ranks):
    ids, held = expert_ids.tolist(), n_experts // n_ranks
    order = sorted(range(len(ids)), key=ids.__getitem__)
    send = [0] * n_ranks
    for expert in ids:
        send[expert // held] += 1
    return torch.tensor(order, dtype=torch.int64), torch.tensor(send, dtype=torch.int64)


@right
def expert_by_expert(expert_ids, n_experts, n_ranks):
    rows = [(expert_ids == expert).nonzero().flatten() for expert in range(n_experts)]
    sizes = torch.tensor([len(part) for part in rows])
    return torch.cat(rows), sizes.view(n_ranks, -1).sum(dim=1)


@right
def between_bounds(expert_ids, n_experts, n_ranks):
    """Where each process begins among the sorted experts."""
    values, order = expert_ids.sort(stable=True)
    starts = torch.arange(n_ranks + 1) * (n_experts // n_ranks)
    return order, torch.searchsorted(values, starts).diff()


@right
def with_keys(expert_ids, n_experts, n_ranks):
    n_rows = max(len(expert_ids), 1)
    keys = (expert_ids * n_rows + torch.arange(len(expert_ids))).sort().values
    process = expert_ids * n_ranks // n_experts
    return keys % n_rows, (process[:, None] == torch.arange(n_ranks)).sum(dim=0)


@right
def one_hot(expert_ids, n_experts, n_ranks):
    chosen = F.one_hot(expert_ids, n_experts)
    return chosen.T.nonzero()[:, 1], chosen.sum(dim=0).unflatten(0, (n_ranks, -1)).sum(dim=1)


@right
def added_in_place(expert_ids, n_experts, n_ranks):
    send = torch.zeros(n_ranks, dtype=torch.int64)
    process = torch.div(expert_ids, n_experts // n_ranks, rounding_mode="floor")
    send.index_add_(0, process, torch.ones_like(process))
    return torch.sort(expert_ids, stable=True).indices, send


# ---- wrong: where the experts are -----------------------------------------------------------------------------------

SORT = "expert_ids.argsort(stable=True)"
PROCESS = "expert_ids // (n_experts // n_ranks)"
COUNT = "torch.bincount(process, minlength=n_ranks)"

TURN = "Experts are dealt out in turn"
wrong("round_robin", TURN, of=as_asked, put={PROCESS: "expert_ids % n_ranks"})
wrong("round_robin_sorted", TURN, of=as_asked, put={SORT: "(expert_ids % n_ranks).argsort(stable=True)"})
wrong("round_robin_in_both", TURN, of=as_asked, put={PROCESS: "expert_ids % n_ranks",
      SORT: "(expert_ids % n_ranks).argsort(stable=True)"})  # fmt: skip
wrong("by_n_ranks", "Divided by the number of processes", of=as_asked, put={PROCESS: "expert_ids // n_ranks"})
wrong("by_n_ranks_sorted", "Divided by the number of processes", of=as_asked, put={
      SORT: "(expert_ids // n_ranks).argsort(stable=True)"})  # fmt: skip
wrong("rounded", "A process number is rounded down", of=as_asked, put={
      PROCESS: "(expert_ids / (n_experts // n_ranks)).round().long()"})  # fmt: skip
wrong("rounded_up", "A process number is rounded down", of=as_asked, put={
      PROCESS: "(expert_ids / (n_experts // n_ranks)).ceil().long()"})  # fmt: skip

# ---- wrong: what is counted -----------------------------------------------------------------------------------------

wrong("no_minlength", "The last processes are missing", of=as_asked, put={", minlength=n_ranks": ""})
wrong("only_those_that_occur", "Processes without rows are missing", of=as_asked, put={
      COUNT: "process.unique(return_counts=True)[1]"})  # fmt: skip
PER_EXPERT = "Counts per expert, not per process"
wrong("per_expert", PER_EXPERT, of=as_asked, put={COUNT: "torch.bincount(expert_ids, minlength=n_experts)"})
wrong("per_expert_no_minlength", PER_EXPERT, of=as_asked, put={COUNT: "torch.bincount(expert_ids)"})
wrong("per_expert_short", PER_EXPERT, of=as_asked, put={COUNT: "torch.bincount(expert_ids, minlength=n_ranks)"})
wrong("ends", "Offsets, not counts", of=as_asked, put={COUNT: f"{COUNT}.cumsum(0)"})
wrong("starts", "Offsets, not counts", of=as_asked, put={"return order, send":
      "return order, send.cumsum(0) - send"})  # fmt: skip
wrong("offsets", "Offsets, not counts", of=as_asked, put={"return order, send":
      "return order, torch.cat([torch.zeros(1).long(), send.cumsum(0)])"})  # fmt: skip
wrong("process_of_each_row", "A process per row, not a count per process", of=as_asked, put={COUNT: "process"})
wrong("process_of_each_sorted_row", "A process per row, not a count per process", of=as_asked, put={
      COUNT: "process[order]"})  # fmt: skip
wrong("shares", "Shares, not counts", of=as_asked, put={COUNT: f"{COUNT} / max(len(expert_ids), 1)"})
wrong("shares_of_nothing", "Shares, not counts", of=as_asked, put={COUNT: f"{COUNT} / len(expert_ids)"})
wrong("different_experts", "Experts are counted, not rows", of=as_asked, put={PROCESS:
      "expert_ids.unique() // (n_experts // n_ranks)"})  # fmt: skip
wrong("experts_held", "Experts are counted, not rows", of=as_asked, put={COUNT:
      "torch.full((n_ranks,), n_experts // n_ranks)"})  # fmt: skip
wrong("equal_parts", "The same for every process", of=as_asked, put={COUNT:
      "torch.full((n_ranks,), len(expert_ids) // n_ranks)"})  # fmt: skip
wrong("equal_parts_in_floats", "The same for every process", of=as_asked, put={COUNT:
      "torch.full((n_ranks,), len(expert_ids) / n_ranks)"})  # fmt: skip
wrong("largest_first", "Sorted by size", of=as_asked, put={COUNT: f"{COUNT}.sort(descending=True).values"})
wrong("smallest_first", "Sorted by size", of=as_asked, put={COUNT: f"{COUNT}.sort().values"})
wrong("half_of_them", "`send` is not right yet", of=as_asked, put={COUNT: f"{COUNT} * 2 + 1"})


@wrong("Each process counts at most once")
def assigned(expert_ids, n_experts, n_ranks):
    send = torch.zeros(n_ranks, dtype=torch.int64)
    send[expert_ids // (n_experts // n_ranks)] += 1
    return expert_ids.argsort(stable=True), send


# ---- wrong: rows left out -------------------------------------------------------------------------------------------


@wrong("A process is left out")
def own_count_of_0(expert_ids, n_experts, n_ranks):
    send = torch.bincount(expert_ids // (n_experts // n_ranks), minlength=n_ranks)
    send[0] = 0
    return expert_ids.argsort(stable=True), send


@wrong("A process is left out")
def own_count_dropped(expert_ids, n_experts, n_ranks):
    send = torch.bincount(expert_ids // (n_experts // n_ranks), minlength=n_ranks)
    return expert_ids.argsort(stable=True), send[1:]


@wrong("A process is left out")
def last_one_not_counted(expert_ids, n_experts, n_ranks):
    process, send = expert_ids // (n_experts // n_ranks), torch.zeros(n_ranks, dtype=torch.int64)
    for p in range(n_ranks - 1):
        send[p] = (process == p).sum()
    return expert_ids.argsort(stable=True), send


@wrong("A process is left out")
def own_rows_stay(expert_ids, n_experts, n_ranks):
    process, order = expert_ids // (n_experts // n_ranks), expert_ids.argsort(stable=True)
    return order[process[order] != 0], torch.bincount(process[process != 0], minlength=n_ranks)


@wrong("A process is left out")
def own_rows_not_in_order(expert_ids, n_experts, n_ranks):
    process, order = expert_ids // (n_experts // n_ranks), expert_ids.argsort(stable=True)
    return order[process[order] != 0], torch.bincount(process, minlength=n_ranks)


# ---- wrong: the order -----------------------------------------------------------------------------------------------

wrong("inverse", "The permutation the wrong way round", of=as_asked, put={SORT: f"{SORT}.argsort()"})
wrong("sorted_experts", "Experts, not row numbers", of=as_asked, put={SORT: "expert_ids.sort(stable=True).values"})
wrong("experts_as_they_are", "Experts, not row numbers", of=as_asked, put={SORT: "expert_ids.clone()"})
wrong("sorted_processes", "Processes, not row numbers", of=as_asked, put={"return order": "return process[order]"})
wrong("processes_as_they_are", "Processes, not row numbers", of=as_asked, put={"return order": "return process"})
wrong("not_sorted", "Nothing is sorted", of=as_asked, put={SORT: "torch.arange(len(expert_ids))"})
wrong("place_within", "Sorted by the place within a process", of=as_asked, put={
      SORT: "(expert_ids % (n_experts // n_ranks)).argsort(stable=True)"})  # fmt: skip
wrong("descending", "The last expert comes first", of=as_asked, put={"stable=True": "stable=True, descending=True"})
wrong("turned_round", "The last expert comes first", of=as_asked, put={SORT: f"{SORT}.flip(0)"})
wrong("not_stable", "Rows of one expert change their order", of=as_asked, put={
      SORT: "expert_ids.topk(len(expert_ids), largest=False).indices"})  # fmt: skip
wrong("last_row_first", "Rows of one expert change their order", of=as_asked, put={
      SORT: "expert_ids.argsort(stable=True, descending=True).flip(0)"})  # fmt: skip
wrong("by_process", "By process, but not by expert", of=as_asked, put={
      SORT: f"({PROCESS}).argsort(stable=True)"})  # fmt: skip
wrong("by_process_descending_within", "By process, but not by expert", of=as_asked, put={SORT:
      "((expert_ids // (n_experts // n_ranks)) * 2 * n_experts - expert_ids).argsort(stable=True)"})  # fmt: skip
wrong("first_row_repeated", "A row is sent twice, and another one never", of=as_asked, put={"return order":
      "return torch.where(order == len(order) - 1, order[:1], order)"})  # fmt: skip
wrong("counted_from_1", "Counted from 1", of=as_asked, put={"return order": "return order + 1"})


@wrong("`order` is not right yet")
def by_frequency(expert_ids, n_experts, n_ranks):
    often = torch.bincount(expert_ids, minlength=n_experts)[expert_ids]
    send = torch.bincount(expert_ids // (n_experts // n_ranks), minlength=n_ranks)
    return (often * n_experts + expert_ids).argsort(stable=True), send


# ---- wrong: shapes and types ----------------------------------------------------------------------------------------

wrong("swapped", "`order` and `send` have changed places", of=as_asked, put={"order, send": "send, order"})
wrong("order_alone", "Wrong number of results", of=as_asked, put={"return order, send": "return order"})
wrong("a_list", "A tuple is expected", of=as_asked, put={"return order, send": "return [order, send]"})
wrong("list_of_counts", "Not a tensor", of=as_asked, put={COUNT: f"{COUNT}.tolist()"})
wrong("list_of_rows", "Not a tensor", of=as_asked, put={SORT: f"{SORT}.tolist()"})
wrong("float_counts", "`send` has the wrong type", of=as_asked, put={COUNT: f"{COUNT}.float()"})
wrong("int32_order", "`order` has the wrong type", of=as_asked, put={SORT: f"{SORT}.int()"})
wrong("one_column", "`order` is not right yet", of=as_asked, put={SORT: f"{SORT}[:, None]"})
wrong("table", "`send` is not right yet", of=as_asked, put={COUNT: f"{COUNT}[None]"})


@wrong("`send` has the wrong type")
def yes_or_no(expert_ids, n_experts, n_ranks):
    process = expert_ids // (n_experts // n_ranks)
    return expert_ids.argsort(stable=True), torch.bincount(process, minlength=n_ranks) == 0


@wrong("Your function changed its input")
def sorted_in_place(expert_ids, n_experts, n_ranks):
    order = expert_ids.argsort(stable=True)
    expert_ids //= n_experts // n_ranks
    return order, torch.bincount(expert_ids, minlength=n_ranks)


@wrong("A process can have no rows")
def largest_asked(expert_ids, n_experts, n_ranks):
    send = torch.bincount(expert_ids // (n_experts // n_ranks), minlength=n_ranks)
    keys = expert_ids + torch.arange(len(expert_ids)) / (n_experts + len(expert_ids) + int(expert_ids.max()))
    return keys.argsort(), send


@wrong("Something is empty")
def first_row_asked(expert_ids, n_experts, n_ranks):
    process, send = expert_ids // (n_experts // n_ranks), []
    for p in range(n_ranks):
        rows = (process == p).nonzero().flatten()
        send.append(len(rows) if rows[0] >= 0 else 0)
    return expert_ids.argsort(stable=True), torch.tensor(send)


# ---- wrong, written from the exercise's text alone ------------------------------------------------------------------

ROWS = "Rows are divided, not experts"
blind(
    "minlength_of_experts", "More numbers than processes", of=as_asked, put={"minlength=n_ranks": "minlength=n_experts"}
)
blind("order_divided", ROWS, of=as_asked, put={PROCESS: "order // (n_experts // n_ranks)"})
blind(
    "order_divided_and_cut",
    ROWS,
    of=as_asked,
    put={PROCESS: "order // (n_experts // n_ranks)", COUNT: f"{COUNT}[:n_ranks]"},
)
blind(
    "divided_with_a_slash",
    "`bincount` counts whole numbers",
    of=as_asked,
    put={PROCESS: "expert_ids / (n_experts / n_ranks)"},
)
blind(
    "experts_from_1",
    "`send` is not right yet",
    of=as_asked,
    put={PROCESS: "(expert_ids - 1).clamp(min=0) // (n_experts // n_ranks)"},
)
blind(
    "keys_of_a_fixed_size",
    "Wrong for thousands of rows",
    of=as_asked,
    put={SORT: "(expert_ids * 1000 + torch.arange(len(expert_ids))).argsort()"},
)
blind(
    "reshaped_the_other_way",
    TURN,
    of=as_asked,
    put={COUNT: "torch.bincount(expert_ids, minlength=n_experts).view(-1, n_ranks).sum(dim=0)"},
)
blind(
    "cut_evenly",
    "The same for every process",
    of=as_asked,
    put={COUNT: "torch.tensor([len(c) for c in order.tensor_split(n_ranks)])"},
)
blind(
    "sorted_from_behind",
    "Rows of one expert change their order",
    of=as_asked,
    put={SORT: "len(expert_ids) - 1 - expert_ids.flip(0).argsort(stable=True)"},
)
blind("rows_in_pieces", "Not a tensor", of=as_asked, put={"return order": "return order.split(send.tolist())"})


@blind("A row is sent twice, and another one never")
def rows_counted_per_process(expert_ids, n_experts, n_ranks):
    send = torch.bincount(expert_ids // (n_experts // n_ranks), minlength=n_ranks)
    return torch.cat([torch.arange(int(n)) for n in send]), send

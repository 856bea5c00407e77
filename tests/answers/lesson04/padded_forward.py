"""Answers to exercise 4.5, padded_forward: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=len(gate_up))
    longest = int(counts.max())
    expert, start = flat[order], counts.cumsum(0) - counts
    place = torch.arange(len(order)) - start[expert]
    block = x.new_zeros(len(gate_up), longest, x.shape[1]).index_put((expert, place), x[order // k])
    gate, up = (block @ gate_up.mT).chunk(2, dim=-1)
    out = ((F.silu(gate) * up) @ down.mT)[expert, place] * weights.flatten()[order, None]
    y = torch.zeros_like(x).index_add(0, order // k, out)
    return y, len(gate_up) * longest


@right
def put_another_way(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=len(gate_up))
    longest = int(counts.max())
    expert, start = flat[order], counts.cumsum(0) - counts
    place = torch.arange(len(order)) - start[expert]
    block = x.new_zeros(len(gate_up), longest, x.shape[1])
    block = block.index_put((expert, place), x[order // k])
    gate, up = (block @ gate_up.mT).chunk(2, dim=-1)
    out = ((F.silu(gate) * up) @ down.mT)[expert, place]
    y = torch.zeros_like(x).index_add(0, order // k, out * weights.flatten()[order, None])
    return y, len(gate_up) * longest


@right
def a_list_of_places(x, weights, expert_ids, gate_up, down):
    n_experts, half = len(down), down.shape[2]
    homes = [
        [(n, j) for n, row in enumerate(expert_ids.tolist()) for j, i in enumerate(row) if i == e]
        for e in range(n_experts)
    ]
    longest = max(map(len, homes))
    block = torch.stack([F.pad(x[[n for n, _ in home]], (0, 0, 0, longest - len(home))) for home in homes])
    gate, up = block @ gate_up[:, :half].mT, block @ gate_up[:, half:].mT
    out = (gate * torch.sigmoid(gate) * up) @ down.mT
    rows = [0] * len(x)
    for e, home in enumerate(homes):
        for place, (n, j) in enumerate(home):
            rows[n] = rows[n] + out[e, place] * weights[n, j]
    return torch.stack(rows), n_experts * longest


@right
def pad_sequence(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    counts = torch.bincount(flat, minlength=len(gate_up))
    slices = flat.argsort(stable=True).split(counts.tolist())
    table = torch.nn.utils.rnn.pad_sequence(slices, batch_first=True, padding_value=len(flat))
    padded = torch.cat([x.repeat_interleave(k, dim=0), x.new_zeros(1, x.shape[1])])
    w = torch.cat([weights.flatten(), weights.new_zeros(1)])
    gate, up = torch.einsum("end,efd->enf", padded[table], gate_up).chunk(2, dim=-1)
    out = torch.bmm(F.silu(gate) * up, down.transpose(1, 2)) * w[table].unsqueeze(-1)
    y = x.new_zeros(len(flat) + 1, x.shape[1]).index_add(0, table.flatten(), out.flatten(0, 1))
    return y[:-1].view(len(x), k, -1).sum(1), table.numel()


@right  # the place in the whole order modulo the longest slice: within one slice no two are equal
def place_is_global(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=len(gate_up))
    longest = int(counts.max())
    expert, _start = flat[order], counts.cumsum(0) - counts
    place = torch.arange(len(order)) % longest
    block = x.new_zeros(len(gate_up), longest, x.shape[1])
    block = block.index_put((expert, place), x[order // k])
    gate, up = (block @ gate_up.mT).chunk(2, dim=-1)
    out = ((F.silu(gate) * up) @ down.mT)[expert, place]
    y = torch.zeros_like(x).index_add(0, order // k, out * weights.flatten()[order, None])
    return y, len(gate_up) * longest


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("A product for each expert")
def loop_over_experts(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=len(gate_up))
    slices = x[order // k].split(counts.tolist())
    answers = []
    for rows, w_in, w_out in zip(slices, gate_up.unbind(0), down.unbind(0), strict=True):
        gate, up = F.linear(rows, w_in).chunk(2, dim=-1)
        answers.append(F.linear(F.silu(gate) * up, w_out))
    weighted = torch.cat(answers) * weights.flatten()[order, None]
    y = torch.zeros_like(x).index_add(0, order // k, weighted)
    return y, len(gate_up) * int(counts.max())


@wrong("Padding is added to the last token")
def padding_is_the_last(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=len(gate_up))
    slices = order.split(counts.tolist())
    table = torch.nn.utils.rnn.pad_sequence(slices, batch_first=True, padding_value=-1)
    gate, up = (x[table // k] @ gate_up.mT).chunk(2, dim=-1)
    out = (F.silu(gate) * up) @ down.mT * weights.flatten()[table].unsqueeze(-1)
    y = torch.zeros_like(x).index_add(0, (table // k).flatten() % len(x), out.flatten(0, 1))
    return y, table.numel()


@wrong("Padding is added to token 0")
def padding_is_token_0(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=len(gate_up))
    slices = order.split(counts.tolist())
    table = torch.nn.utils.rnn.pad_sequence(slices, batch_first=True, padding_value=0)
    gate, up = (x[table // k] @ gate_up.mT).chunk(2, dim=-1)
    out = (F.silu(gate) * up) @ down.mT * weights.flatten()[table].unsqueeze(-1)
    y = torch.zeros_like(x).index_add(0, (table // k).flatten() % len(x), out.flatten(0, 1))
    return y, table.numel()


wrong(
    "a_row_a_choice",
    "A row for each choice",
    of=as_asked,
    put={"y, len(gate_up) * longest": "out, len(gate_up) * longest"},
)
wrong(
    "a_sum_for_a_product",
    "Written as a sum",
    of=as_asked,
    put={
        "(block @ gate_up.mT).chunk": "(block[:, :, None] * gate_up[:, None]).sum(dim=-1).chunk",
        "((F.silu(gate) * up) @ down.mT)[expert, place]": "((F.silu(gate) * up)[:, :, None] * down[:, None]).sum(dim=-1)[expert, place]",
    },
)
wrong(
    "average",
    "The average, not the fullest",
    of=as_asked,
    put={"len(gate_up) * longest": "len(gate_up) * -(-len(order) // len(gate_up))"},
)
# blocks are made longer than they are said to be
wrong(
    "blocks_of_eights",
    "Other rows than `n_rows`",
    of=as_asked,
    put={
        "int(counts.max())": "-(-int(counts.max()) // 8) * 8",
        "len(gate_up) * longest": "len(gate_up) * int(counts.max())",
    },
)
wrong(
    "column_vectors",
    "Rows and columns have changed places",
    of=as_asked,
    put={"torch.zeros_like(x).index_add(0, order // k, out)": "torch.zeros_like(x).index_add(0, order // k, out).T"},
)
wrong(
    "count_as_a_tensor",
    "Not a whole number",
    of=as_asked,
    put={"len(gate_up) * longest": "len(gate_up) * counts.max()"},
)
wrong("detached_block", "No gradient reaches `x`", of=as_asked, put={"x[order // k]": "x.detach()[order // k]"})
wrong(
    "detached_weights",
    "No gradient reaches `weights`",
    of=as_asked,
    put={"weights.flatten": "weights.detach().flatten"},
)
wrong("gate_and_up_swapped", "Gate and up have changed places", of=as_asked, put={"gate, up": "up, gate"})
wrong("k_blocks", "K blocks, not E", of=as_asked, put={"len(gate_up) * longest": "k * longest"})
wrong(
    "largest_number",
    "The longest by number",
    of=as_asked,
    put={"len(gate_up) * longest": "len(gate_up) * int(expert_ids.max())"},
)
wrong(
    "mean",
    "Divided by the number of choices",
    of=as_asked,
    put={"y, len(gate_up) * longest": "y / k, len(gate_up) * longest"},
)
wrong("no_gradient_to_down", "No gradient reaches `down`", of=as_asked, put={"down.mT": "down.data.mT"})
wrong(
    "no_weights",
    "The weights are missing",
    of=as_asked,
    put={
        "((F.silu(gate) * up) @ down.mT)[expert, place] * weights.flatten()[order, None]": "((F.silu(gate) * up) @ down.mT)[expert, place]"
    },
)
wrong(
    "not_put_back",
    "The rows were not put back",
    of=as_asked,
    put={"torch.zeros_like(x).index_add(0, order // k, out)": "out.view(len(x), k, -1).sum(dim=1)"},
)
wrong("one_block", "One expert's rows", of=as_asked, put={"len(gate_up) * longest": "longest"})
wrong(
    "overwrites",
    "One answer overwrites the other",
    of=as_asked,
    put={"torch.zeros_like(x).index_add": "torch.zeros_like(x).index_copy"},
)
wrong(
    "padded_to_all_tokens",
    "Padded to all tokens",
    of=as_asked,
    put={"int(counts.max())": "len(x)", "len(gate_up) * longest": "len(gate_up) * int(counts.max())"},
)
wrong(
    "padding_alone",
    "The padding alone",
    of=as_asked,
    put={"len(gate_up) * longest": "len(gate_up) * longest - len(order)"},
)
wrong("padding_cut_off", "An index is too large", of=as_asked, put={"int(counts.max())": "int(counts.max()) - 1"})
wrong(
    "silent_left_out",
    "Silent experts are left out",
    of=as_asked,
    put={"len(gate_up) * longest": "int((counts > 0).sum()) * longest"},
)
wrong(
    "tokens_for_the_longest",
    "As long as there are tokens",
    of=as_asked,
    put={"len(gate_up) * longest": "len(gate_up) * len(x)"},
)
wrong(
    "unpadded_count", "The rows needed, not those computed", of=as_asked, put={"len(gate_up) * longest": "len(order)"}
)
wrong(
    "weights_not_sorted",
    "The weights were not sorted with the rows",
    of=as_asked,
    put={"weights.flatten()[order, None]": "weights.reshape(-1, 1)"},
)
wrong("y_only", "Wrong number of results", of=as_asked, put={"y, len(gate_up) * longest": "y"})

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


# rows beyond the mean are cut off
blind(
    "capacity_is_the_mean",
    "The average, not the fullest",
    ANY,
    of=put_another_way,
    put={
        "int(counts.max())": "-(-len(order) // len(gate_up))",
        "torch.arange(len(order)) - start[expert]": "(torch.arange(len(order)) - start[expert]).clamp(max=longest - 1)",
    },
)
# silu of up
blind("halves_swapped", "Gate and up have changed places", ANY, of=put_another_way, put={"gate, up": "up, gate"})
# n_rows is the longest slice alone
blind("longest_alone", "One expert's rows", ANY, of=put_another_way, put={"len(gate_up) * longest": "longest"})
# answers unweighted
blind(
    "blind_no_weights",
    "The weights are missing",
    ANY,
    of=put_another_way,
    put={"out * weights.flatten()[order, None]": "out"},
)
# n_rows counts only experts with tokens
blind(
    "only_used_experts_padded",
    "Silent experts are left out",
    ANY,
    of=put_another_way,
    put={"len(gate_up) * longest": "int((counts > 0).sum()) * longest"},
)
# one answer overwrites the other
blind(
    "blind_overwrites",
    "One answer overwrites the other",
    ANY,
    of=put_another_way,
    put={
        "y = torch.zeros_like(x).index_add(0, order // k, out * weights.flatten()[order, None])": "y = torch.zeros_like(x)\n    y[order // k] = out * weights.flatten()[order, None]"
    },
)
# padded to N for every expert
blind("padded_to_n", "As long as there are tokens", ANY, of=put_another_way, put={"int(counts.max())": "len(x)"})
# n_rows is N·K, without the padding
blind(
    "rows_needed",
    "The rows needed, not those computed",
    ANY,
    of=put_another_way,
    put={"len(gate_up) * longest": "len(order)"},
)
# n_rows as a tensor
blind(
    "tensor_rows",
    "Not a whole number",
    ANY,
    of=put_another_way,
    put={"len(gate_up) * longest": "counts.max() * len(gate_up)"},
)
# weights as they stand
blind(
    "weights_unsorted",
    "The weights were not sorted with the rows",
    ANY,
    of=put_another_way,
    put={"weights.flatten()[order, None]": "weights.flatten()[:, None]"},
)


# ---- a block kept between the calls ---------------------------------------------------------------------------------

_blocks = {}


@wrong("A change in place")
def one_block_for_all(x, weights, expert_ids, gate_up, down):
    flat, k = expert_ids.flatten(), expert_ids.shape[1]
    order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=len(gate_up))
    expert, longest = flat[order], int(counts.max())
    place = torch.arange(len(order)) - (counts.cumsum(0) - counts)[expert]
    shape = len(gate_up), longest, x.shape[1]
    block = _blocks.setdefault((shape, x.dtype), x.new_zeros(shape)).detach()
    with torch.no_grad():
        block.zero_()
    block[expert, place] = x[order // k]
    gate, up = (block @ gate_up.mT).chunk(2, dim=-1)
    out = ((F.silu(gate) * up) @ down.mT)[expert, place] * weights.flatten()[order, None]
    return torch.zeros_like(x).index_add(0, order // k, out), len(gate_up) * longest


wrong(
    "one_block_unseen",
    "The gradient for `gate_up` differs",
    of=one_block_for_all,
    put={".detach()": ".data", "    with torch.no_grad():\n        block.zero_()": "    block.zero_()"},
)
wrong(
    "one_block_with_its_past",
    "A change in place",
    "An earlier call is still in the gradient",
    of=one_block_for_all,
    put={".detach()": "", "    with torch.no_grad():\n        block.zero_()\n": ""},
)
wrong(
    "cloned_without_gradient",
    "No gradient reaches `x`",
    of=one_block_for_all,
    put={
        "_blocks.setdefault((shape, x.dtype), x.new_zeros(shape)).detach()": "x.new_zeros(shape)",
        "block.zero_()\n    block[expert, place] = x[order // k]": "block[expert, place] = x[order // k].clone()",
    },
)

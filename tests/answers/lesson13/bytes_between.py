"""Answers to exercise 13.3, bytes_between: right ones, and wrong ones with the message that they must get."""

import numpy as np
import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def scattered(expert_ids, homes, places, n_devices, vector_bytes):
    needed = torch.zeros(len(homes), n_devices, dtype=torch.int64)
    needed.scatter_(1, places[expert_ids], 1)
    matrix = torch.zeros(n_devices, n_devices, dtype=torch.int64)
    matrix.index_add_(0, homes, needed)
    matrix.fill_diagonal_(0)
    return matrix * vector_bytes


@right
def in_loops(expert_ids, homes, places, n_devices, vector_bytes):
    matrix = torch.zeros(n_devices, n_devices, dtype=torch.int64)
    for n in range(len(homes)):
        for device in {int(places[e]) for e in expert_ids[n]}:
            if device != homes[n]:
                matrix[homes[n], device] += vector_bytes
    return matrix


@right
def in_python(expert_ids, homes, places, n_devices, vector_bytes):
    at, rows = places.tolist(), [[0] * n_devices for _ in range(n_devices)]
    for home, experts in zip(homes.tolist(), expert_ids.tolist()):
        for device in {at[e] for e in experts} - {home}:
            rows[home][device] += vector_bytes
    return torch.tensor(rows)


@right
def one_hot_product(expert_ids, homes, places, n_devices, vector_bytes):
    to = F.one_hot(places[expert_ids], n_devices).amax(dim=1)
    matrix = F.one_hot(homes, n_devices).T @ to
    return matrix * (1 - torch.eye(n_devices, dtype=torch.int64)) * vector_bytes


@right
def pairs_made_unique(expert_ids, homes, places, n_devices, vector_bytes):
    tokens = torch.arange(len(homes))[:, None]
    pairs = (tokens * n_devices + places[expert_ids]).unique()
    token, to = pairs // n_devices, pairs % n_devices
    away = homes[token] != to
    cells = homes[token[away]] * n_devices + to[away]
    return torch.bincount(cells, minlength=n_devices**2).view(n_devices, n_devices) * vector_bytes


@right
def device_by_device(expert_ids, homes, places, n_devices, vector_bytes):
    columns = []
    for j in range(n_devices):
        needs = (places[expert_ids] == j).any(dim=1) & (homes != j)
        columns.append(torch.bincount(homes[needs], minlength=n_devices))
    return torch.stack(columns, dim=1) * vector_bytes


@right
def sorted_and_put(expert_ids, homes, places, n_devices, vector_bytes):
    to = places[expert_ids].sort(dim=1).values
    first = torch.ones_like(to, dtype=torch.bool)
    first[:, 1:] = to[:, 1:] != to[:, :-1]
    first &= to != homes[:, None]
    matrix = torch.zeros(n_devices, n_devices, dtype=torch.int64)
    index = (homes[:, None].expand_as(to)[first], to[first])
    return matrix.index_put_(index, torch.full_like(index[0], vector_bytes), accumulate=True)


@right
def in_numpy(expert_ids, homes, places, n_devices, vector_bytes):
    needed = np.zeros((len(homes), n_devices), dtype=bool)
    np.put_along_axis(needed, places.numpy()[expert_ids.numpy()], True, axis=1)
    matrix = np.zeros((n_devices, n_devices), dtype=np.int64)
    np.add.at(matrix, homes.numpy(), needed)
    np.fill_diagonal(matrix, 0)
    return torch.from_numpy(matrix * vector_bytes)


@right
def einsum(expert_ids, homes, places, n_devices, vector_bytes):
    to = F.one_hot(places[expert_ids], n_devices).double().sum(1).clamp(max=1)
    matrix = torch.einsum("ni,nj->ij", F.one_hot(homes, n_devices).double(), to)
    return (matrix - matrix.diag().diag()).long() * vector_bytes


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------

END = "return matrix * vector_bytes"
ZERO = "    matrix.fill_diagonal_(0)\n"
IN_LOOPS = "{int(places[e]) for e in expert_ids[n]}"

wrong("on_the_diagonal", "The diagonal is not 0", of=scattered, put={ZERO: ""})
wrong("each_expert", "Once per expert, not once per device", of=in_loops, put={IN_LOOPS: "places[expert_ids[n]]"})
wrong("each_expert_at_home", "Once per expert, not once per device", of=scattered, put={ZERO: "",
      "needed.scatter_(1, places[expert_ids], 1)": "needed = F.one_hot(places[expert_ids], n_devices).sum(1)"})  # fmt: skip
wrong("column_row", "From and to have changed places", of=in_loops, put={"matrix[homes[n], device] +=":
      "matrix[device, homes[n]] +="})  # fmt: skip
wrong("expert_for_device", "Experts are taken for devices", of=device_by_device, put={"places[expert_ids]":
      "expert_ids"})  # fmt: skip
wrong("in_equal_parts", "`places` is not used", of=scattered, put={"places[expert_ids]":
      "expert_ids * n_devices // len(places)"})  # fmt: skip
wrong("experts_in_turn", "`places` is not used", of=scattered, put={"places[expert_ids]": "expert_ids % n_devices"})
wrong("tokens_in_equal_parts", "`homes` is not used", of=scattered, put={"needed = ": "N = len(homes)\n    homes = "
      "torch.arange(N) * n_devices // N\n    needed = "})  # fmt: skip
wrong("tokens_in_turn", "`homes` is not used", of=scattered, put={"needed = ": "homes = torch.arange(len(homes)) % "
      "n_devices\n    needed = "})  # fmt: skip
wrong("back_in_the_same_cell", "The way back is counted as well", of=scattered, put={END: "return 2 * matrix * "
      "vector_bytes"})  # fmt: skip
wrong("back_in_the_other_cell", "The way back is counted as well", of=scattered, put={END: "return (matrix + matrix.T) "
      "* vector_bytes"})  # fmt: skip
wrong("larger_of_both", "A matrix that is symmetric", of=scattered, put={END: "return torch.maximum(matrix, matrix.T) "
      "* vector_bytes"})  # fmt: skip
wrong("vectors", "Vectors, not bytes", of=scattered, put={END: "return matrix"})
wrong("bits", "The size is in bytes already", of=scattered, put={END: "return matrix * vector_bytes * 8"})
wrong("float32_numbers", "The size is in bytes already", of=scattered, put={END: "return matrix * vector_bytes * 4"})
wrong("row_average", "An average, not a sum", of=scattered, put={END: "return matrix * vector_bytes / "
      "torch.bincount(homes, minlength=n_devices).clamp(min=1)[:, None]"})  # fmt: skip
wrong("first_only", "Only one expert of each token", of=scattered, put={"places[expert_ids]": "places[expert_ids[:, "
      ":1]]"})  # fmt: skip
wrong("last_only", "Only one expert of each token", of=scattered, put={"places[expert_ids]": "places[expert_ids[:, "
      "-1:]]"})  # fmt: skip
wrong("broadcast", "Every token is sent to every device", of=scattered, put={"needed.scatter_(1, places[expert_ids], 1)":
      "needed += 1"})  # fmt: skip
wrong("in_a_row", "All cells in one row", of=scattered, put={END: "return (matrix * vector_bytes).flatten()"})
wrong("float_zeros", "`matrix` has the wrong type", of=in_loops, put={", dtype=torch.int64": ""})
wrong("lists", "Not a tensor", of=in_python, put={"torch.tensor(rows)": "rows"})
wrong("no_minlength", "`bincount` without `minlength`", of=pairs_made_unique, put={", minlength=n_devices**2": ""})
wrong("only_the_devices_seen", "Devices without tokens or experts are missing", of=scattered, put={"needed = ":
      "n_devices = int(max(homes.max(), places.max())) + 1\n    needed = "})  # fmt: skip


@wrong("Vectors that share a cell are not added up")
def assigned(expert_ids, homes, places, n_devices, vector_bytes):
    matrix = torch.zeros(n_devices, n_devices, dtype=torch.int64)
    matrix[homes[:, None], places[expert_ids]] = vector_bytes
    return matrix.fill_diagonal_(0)


@wrong("Vectors that share a cell are not added up")
def plus_in_place(expert_ids, homes, places, n_devices, vector_bytes):
    matrix = torch.zeros(n_devices, n_devices, dtype=torch.int64)
    for column in expert_ids.T:
        matrix[homes, places[column]] += vector_bytes
    return matrix.fill_diagonal_(0)


@wrong("A token with an expert at home is left out")
def home_is_enough(expert_ids, homes, places, n_devices, vector_bytes):
    rows = [[0] * n_devices for _ in range(n_devices)]
    for home, experts in zip(homes.tolist(), expert_ids.tolist()):
        devices = {int(places[e]) for e in experts}
        if home not in devices:
            for device in devices:
                rows[home][device] += vector_bytes
    return torch.tensor(rows)


@wrong(ANY)
def one_token_too_few(expert_ids, homes, places, n_devices, vector_bytes):
    return scattered(expert_ids[:-1], homes[:-1], places, n_devices, vector_bytes)


@wrong("Wrong for extreme values")
def int32(expert_ids, homes, places, n_devices, vector_bytes):
    matrix = scattered(expert_ids, homes, places, n_devices, 1)
    return (matrix.int() * torch.tensor(vector_bytes, dtype=torch.int32)).long()


# ---- wrong, written from the exercise's text alone ------------------------------------------------------------------


@blind("Your function changed its input")
def homes_multiplied(expert_ids, homes, places, n_devices, vector_bytes):
    homes *= n_devices
    token = torch.arange(len(homes))[:, None]
    pairs = (token * n_devices + places[expert_ids]).unique()
    cells = homes[pairs // n_devices] + pairs % n_devices
    counts = torch.bincount(cells, minlength=n_devices**2).view(n_devices, n_devices)
    return counts.fill_diagonal_(0) * vector_bytes


@blind("An index is too large")
def experts_as_index(expert_ids, homes, places, n_devices, vector_bytes):
    needed = torch.zeros(len(homes), n_devices, dtype=torch.int64).scatter_(1, expert_ids, 1)
    return torch.zeros(n_devices, n_devices, dtype=torch.int64).index_add_(0, homes, needed) * vector_bytes


@blind("An index is too large")
def experts_as_index_in_loops(expert_ids, homes, places, n_devices, vector_bytes):
    rows = [[0] * n_devices for _ in range(n_devices)]
    for home, experts in zip(homes.tolist(), expert_ids.tolist()):
        for e in experts:
            rows[home][e] += vector_bytes
    return torch.tensor(rows)


@blind("Experts are taken for devices")
def a_column_per_expert(expert_ids, homes, places, n_devices, vector_bytes):
    matrix = torch.zeros(n_devices, len(places), dtype=torch.int64)
    for home, experts in zip(homes.tolist(), expert_ids.tolist()):
        for e in experts:
            matrix[home, e] += vector_bytes
    return matrix


@blind("Devices without tokens or experts are missing")
def rows_that_occur(expert_ids, homes, places, n_devices, vector_bytes):
    matrix = scattered(expert_ids, homes, places, n_devices, vector_bytes)
    return matrix[homes.unique()][:, places.unique()]


@blind("An average, not a sum")
def mean_over_tokens(expert_ids, homes, places, n_devices, vector_bytes):
    return scattered(expert_ids, homes, places, n_devices, vector_bytes) / len(homes)


@blind("The new shape has another size")
def viewed_with_experts(expert_ids, homes, places, n_devices, vector_bytes):
    E = len(places)
    cells = torch.bincount((homes[:, None] * E + expert_ids).flatten(), minlength=n_devices * E)
    return cells.view(n_devices, n_devices) * vector_bytes


@blind("From and to have changed places")
def product_turned(expert_ids, homes, places, n_devices, vector_bytes):
    to = F.one_hot(places[expert_ids], n_devices).amax(dim=1)
    return (to.T @ F.one_hot(homes, n_devices)).fill_diagonal_(0) * vector_bytes


@blind(ANY)
def first_token_of_each_device(expert_ids, homes, places, n_devices, vector_bytes):
    """A dict by device: a later token takes the place of an earlier one."""
    last = {home: experts for home, experts in zip(homes.tolist(), expert_ids.tolist())}
    rows = [[0] * n_devices for _ in range(n_devices)]
    for home, experts in last.items():
        for device in {int(places[e]) for e in experts} - {home}:
            rows[home][device] += vector_bytes
    return torch.tensor(rows)


blind(
    "neighbours_compared",
    "Equal devices that stand apart",
    of=in_loops,
    put={IN_LOOPS: "places[expert_ids[n]].unique_consecutive()"},
)
blind(
    "times_k",
    "Once per expert, not once per device",
    of=scattered,
    put={END: "return matrix * vector_bytes * expert_ids.shape[1]"},
)
blind(
    "rounded_down_parts",
    "`places` is not used",
    of=scattered,
    put={"places[expert_ids]": "(expert_ids // (len(places) // n_devices)).clamp(max=n_devices - 1)"},
)
blind("in_float32", "Close, but not equal", of=scattered, put={END: "return (matrix.float() * vector_bytes).long()"})


@blind("The experts behind the one at home are left out")
def stops_at_home(expert_ids, homes, places, n_devices, vector_bytes):
    matrix = torch.zeros(n_devices, n_devices, dtype=torch.int64)
    for home, experts in zip(homes.tolist(), expert_ids.tolist()):
        seen = set()
        for e in experts:
            device = int(places[e])
            if device == home:
                break
            if device not in seen:
                seen.add(device)
                matrix[home, device] += vector_bytes
    return matrix


@blind("Each device gets a vector once in all")
def seen_never_emptied(expert_ids, homes, places, n_devices, vector_bytes):
    matrix, seen = torch.zeros(n_devices, n_devices, dtype=torch.int64), set()
    for home, experts in zip(homes.tolist(), expert_ids.tolist()):
        for e in experts:
            device = int(places[e])
            if device != home and device not in seen:
                seen.add(device)
                matrix[home, device] += vector_bytes
    return matrix


@blind("Only one expert of each token")
def stops_after_one(expert_ids, homes, places, n_devices, vector_bytes):
    matrix = torch.zeros(n_devices, n_devices, dtype=torch.int64)
    for home, experts in zip(homes.tolist(), expert_ids.tolist()):
        for e in experts:
            if places[e] != home:
                matrix[home, places[e]] += vector_bytes
                break
    return matrix


@blind("Only tokens with all their experts on one device")
def all_in_place_of_any(expert_ids, homes, places, n_devices, vector_bytes):
    matrix, to = torch.zeros(n_devices, n_devices, dtype=torch.int64), places[expert_ids]
    for i in range(n_devices):
        for j in range(n_devices):
            if i != j:
                matrix[i, j] = (to[homes == i] == j).all(dim=1).sum() * vector_bytes
    return matrix

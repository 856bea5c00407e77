"""What goes wrong in a matrix of bytes from device to device (13.3): rules, and sentences with facts of a cell."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine.compare import differing, listed, number
from moe_lite.checks.engine.exercise import Attempt, Mistake
from moe_lite.checks.engine.mistakes import one_wrong
from moe_lite.lessons.traffic import bytes_between, sent

# ---- what is true of a cell ------------------------------------------------------------------------------------------


def cell(a: Attempt) -> tuple[int, int]:
    """The first cell that is wrong and not on the diagonal; where all others are right, the first on it."""
    found = differing(a.got["matrix"], a.expected["matrix"]).nonzero().tolist()
    return tuple(next((at for at in found if at[0] != at[1]), found[0]))


def lead(a: Attempt) -> str:
    i, j = cell(a)
    mine, right = a.got["matrix"][i, j].item(), int(a.expected["matrix"][i, j])
    return f"`matrix[{i}, {j}]` is {number(mine)}, expected {number(right)}."


def senders(a: Attempt, i: int, j: int) -> list[int]:
    """The tokens of device i that have an expert on device j."""
    ids, homes, places, *_ = a.args
    return ((homes == i) & (places[ids] == j).any(dim=1)).nonzero()[:, 0].tolist()


def experts_on(a: Attempt, token: int, device: int) -> list[int]:
    return [e for e in a.args[0][token].tolist() if a.args[2][e] == device]


def named(kind: str, numbers: list[int]) -> str:
    """`token 4`, `tokens 4 and 7`, `tokens 0, 4, 7, …`."""
    return f"{kind}{'s' if len(numbers) > 1 else ''} {listed(numbers)}"


def size(a: Attempt) -> str:
    return "1 byte" if a.args[4] == 1 else f"{a.args[4]:,} bytes"


def why(a: Attempt, i: int, j: int) -> str:
    """How many bytes device i sends to device j, and why."""
    tokens = senders(a, i, j)
    if i == j:
        return "A device sends nothing to itself."
    if not (a.args[1] == i).any():
        return f"No token lives on device {i}, so it sends nothing."
    if not (a.args[2] == j).any():
        return f"No expert is on device {j}, so nothing is sent there."
    if not tokens:
        return f"No token of device {i} has an expert on device {j}."
    if len(tokens) == 1:
        return f"One token of device {i}, token {tokens[0]}, has experts on device {j}, and its vector has {size(a)}."
    return (
        f"On device {i}, {len(tokens):,} tokens ({listed(tokens)}) have experts on device {j}, and the vector of each "
        f"has {size(a)}."
    )


def stays(a: Attempt, i: int) -> str:
    token = senders(a, i, i)[0]
    return f"Token {token} lives on device {i}, and its expert {experts_on(a, token, i)[0]} is there too, so its " + (
        "vector stays where it is. A device sends nothing to itself."
    )


# ---- the slips, and what to say of each ------------------------------------------------------------------------------

Rule = Callable[[Tensor, Tensor, Tensor, int, int], Tensor]
Say = Callable[[Attempt, int, int], str]


def cells(title: str, rule: Rule, say: str | Say) -> Mistake:
    """The sentence is told with the first wrong cell, and follows from what is true of it."""

    def sentence(a: Attempt) -> str:
        i, j = cell(a)
        return f"{lead(a)} {say(a, i, j) if callable(say) else f'{say} {why(a, i, j)}'}"

    return one_wrong("matrix", title, rule, sentence)


def without_diagonal(matrix: Tensor) -> Tensor:
    return matrix.clone().fill_diagonal_(0)


def per_expert(ids: Tensor, homes: Tensor, places: Tensor, M: int, b: int) -> Tensor:
    return sent(ids, homes, places, M, once=False) * b


def written_once(ids: Tensor, homes: Tensor, places: Tensor, M: int, b: int) -> Tensor:
    """`matrix[homes[:, None], to] += b`: a cell that comes several times is written once."""
    return (sent(ids, homes, places, M) > 0) * b


def written_once_per_column(ids: Tensor, *rest) -> Tensor:
    """The same, one column of choices after the other."""
    return sum(written_once(column[:, None], *rest) for column in ids.T)


def as_devices(ids: Tensor, homes: Tensor, places: Tensor, M: int, b: int) -> Tensor:
    """Expert j in place of device j; experts beyond the last device are lost."""
    there = torch.stack([(ids == j).any(dim=1) for j in range(M)], dim=1).long()  # (N, M)
    return torch.zeros(M, M, dtype=torch.int64).index_add(0, homes, there) * b


def all_to_others(ids: Tensor, homes: Tensor, places: Tensor, M: int, b: int) -> Tensor:
    return without_diagonal(torch.bincount(homes, minlength=M)[:, None].expand(M, M)) * b


def none_at_home(ids: Tensor, homes: Tensor, places: Tensor, *rest) -> Tensor:
    """A token that has one expert at home sends nothing."""
    away = (places[ids] != homes[:, None]).all(dim=1)
    return bytes_between(ids[away], homes[away], places, *rest)


def one_column(place: int) -> Rule:
    return lambda ids, *rest: bytes_between(ids[:, place : place + 1 or None], *rest)


def where(keep: Tensor, ids: Tensor, homes: Tensor, places: Tensor, M: int, b: int) -> Tensor:
    """keep (N, K): the choices that are looked at. Each vector is sent once per device, and none to its home."""
    needed = torch.zeros(len(ids), M + 1, dtype=torch.int64)
    needed.scatter_(1, torch.where(keep, places[ids], M), 1)  # what is not kept goes to the column behind the last
    return without_diagonal(torch.zeros(M, M, dtype=torch.int64).index_add(0, homes, needed[:, :M])) * b


def until_home(ids: Tensor, homes: Tensor, places: Tensor, *rest) -> Tensor:
    """`break` in place of `continue` at an expert at home."""
    home = places[ids] == homes[:, None]
    return where(home.cumsum(1) == 0, ids, homes, places, *rest)


def first_away(ids: Tensor, homes: Tensor, places: Tensor, *rest) -> Tensor:
    away = places[ids] != homes[:, None]
    return where(away & (away.cumsum(1) == 1), ids, homes, places, *rest)


def if_all_there(ids: Tensor, homes: Tensor, places: Tensor, *rest) -> Tensor:
    """`all` in place of `any`."""
    alike = (places[ids] == places[ids[:, :1]]).all(dim=1, keepdim=True)
    return where(alike.expand_as(ids), ids, homes, places, *rest)


def first_of_runs(to: Tensor) -> Tensor:
    """(N, K) bool: where a device is another one than that of the choice before."""
    fresh = torch.ones_like(to, dtype=torch.bool)
    fresh[:, 1:] = to[:, 1:] != to[:, :-1]
    return fresh


def equal_neighbours(ids: Tensor, homes: Tensor, places: Tensor, M: int, b: int) -> Tensor:
    """`unique_consecutive` of devices that are not sorted."""
    cells = (homes[:, None] * M + places[ids])[first_of_runs(places[ids])]
    return without_diagonal(torch.bincount(cells, minlength=M * M).view(M, M)) * b


def never_forgotten(ids: Tensor, homes: Tensor, places: Tensor, *rest) -> Tensor:
    """The set of devices that have a vector is not emptied for the next token."""
    seen, keep = set(), torch.zeros_like(ids, dtype=torch.bool)
    for n, (home, row) in enumerate(zip(homes.tolist(), places[ids].tolist(), strict=True)):
        for k, device in enumerate(row):
            keep[n, k] = device != home and device not in seen
            seen.update({device} - {home})
    return where(keep, ids, homes, places, *rest)


def in_turn(n: int, M: int) -> Tensor:
    return torch.arange(n) % M


def neighbours(n: int, M: int) -> Tensor:
    return torch.arange(n) * M // n


def full_first(n: int, M: int) -> Tensor:
    """As many neighbours on each, rounded up, so that the last devices may have fewer."""
    return torch.arange(n) // -(-n // M)


def rest_on_the_last(n: int, M: int) -> Tensor:
    """As many neighbours on each, rounded down."""
    return (torch.arange(n) // max(n // M, 1)).clamp(max=M - 1)


def apart(a: Attempt, i: int, j: int) -> str:
    to = a.args[2][a.args[0]]
    token = next(n for n in senders(a, i, j) if ((to == j) & first_of_runs(to))[n].sum() > 1)
    there = experts_on(a, token, j)
    return (
        f"Token {token} lives on device {i}, and its {named('expert', there)} are on device {j}, but do not all stand "
        "side by side in its row. `unique_consecutive` drops only equals that are neighbours; `unique` drops all."
    )


def left_out_after(a: Attempt, i: int, j: int) -> str:
    ids, _, places, *_ = a.args
    token = next(n for n in senders(a, i, j) if (places[ids[n]] == i).any())
    return (
        f"Token {token} lives on device {i} and has expert {experts_on(a, token, i)[0]} there. Yours does not look at "
        f"the experts behind that one, and expert {experts_on(a, token, j)[0]} is on device {j}. `continue` goes on to "
        "the next expert, and `break` does not."
    )


def repeated(a: Attempt, i: int, j: int) -> str:
    if i == j:
        return stays(a, i)
    token = next(n for n in senders(a, i, j) if len(experts_on(a, n, j)) > 1)
    there = sorted(experts_on(a, token, j))
    both = "both" if len(there) == 2 else "all"
    return (
        f"Token {token} lives on device {i}, and its {named('expert', there)} are {both} on device {j}. Its vector is "
        f"sent there once, and you counted it {len(there)} times."
    )


def lost(a: Attempt, i: int, j: int) -> str:
    """Of vectors that were to be added up, only one was."""
    if i == j:
        return stays(a, i)
    return (
        f"{why(a, i, j)} Vectors that share a cell have to be added up. An assignment such as `matrix[homes, to] = …` "
        "or `matrix[homes, to] += …` writes a cell only once, however often it comes among the indices. `index_add_`, "
        "`bincount` and `index_put_` with `accumulate=True` add up."
    )


def turned(a: Attempt, i: int, j: int) -> str:
    return (
        f"Yours has there what device {j} sends to device {i}: rows and columns have changed places. The row is the "
        f"device that sends, on which the token lives, and the column the one that receives, which holds the expert. "
        f"{why(a, i, j)}"
    )


def taken_for_devices(a: Attempt, i: int, j: int) -> str:
    expert = int((a.args[2] != torch.arange(len(a.args[2]))).nonzero()[0])
    return (
        f"Yours takes the number of an expert for that of a device. `places` says where an expert is: expert {expert}, "
        f"for example, is on device {int(a.args[2][expert])}. {why(a, i, j)}"
    )


def other_devices(name: str, title: str, of: Callable[[int, int], Tensor], how: str) -> Mistake:
    """As if the experts (`places`) or the tokens (`homes`) were on other devices."""
    position = ("homes", "places").index(name) + 1

    def rule(*args) -> Tensor:
        return bytes_between(*args[:position], of(len(args[position]), args[3]), *args[position + 1 :])

    def say(a: Attempt, i: int, j: int) -> str:
        given, taken = a.args[position], of(len(a.args[position]), a.args[3])
        at = int((given != taken).nonzero()[0])
        kind, shared = "Expert" if name == "places" else "Token", how.format(n=-(-len(given) // a.args[3]))
        verb = "is" if name == "places" else "lives"
        return (
            f"{kind} {at} {verb} on device {int(given[at])}, which is `{name}[{at}]`, and yours has it on device "
            f"{int(taken[at])}, as if the {kind.lower()}s were shared out {shared}. {why(a, i, j)}"
        )

    return cells(title, rule, say)


def missed(column: int) -> Say:
    """A token whose vector goes from i to j for another expert than the one in `column`."""

    def say(a: Attempt, i: int, j: int) -> str:
        ids, _, places, *_ = a.args
        token = next(n for n in senders(a, i, j) if places[ids[n, column]] != j)
        which = "first" if column == 0 else "last"
        return (
            f"Yours looks at the {which} expert of each token only. Token {token} lives on device {i}, and "
            f"expert {experts_on(a, token, j)[0]}, another one of its experts, is on device {j}. All K experts count."
        )

    return say


def unsent(a: Attempt, i: int, j: int) -> str:
    ids, homes, places, *_ = a.args
    token = next(n for n in senders(a, i, j) if (places[ids[n]] == i).any())
    return (
        f"Token {token} lives on device {i} and has expert {experts_on(a, token, i)[0]} there, and yours sends its "
        f"vector nowhere. But its expert {experts_on(a, token, j)[0]} is on device {j}, so it has to be sent there."
    )


def broadcast(a: Attempt, i: int, j: int) -> str:
    ids, homes, places, *_ = a.args
    token = next(n for n in (homes == i).nonzero()[:, 0].tolist() if n not in senders(a, i, j))
    where = sorted({int(d) for d in places[ids[token]]})
    return (
        f"Yours sends every token to every other device. Token {token} lives on device {i}, and its experts are on "
        f"{named('device', where)}, so device {j} does not get its vector."
    )


def answers_added(a: Attempt, i: int, j: int) -> str:
    return (
        f"Yours counts the way back as well: what device {j} sends to device {i} is added to what device {i} sends to "
        f"device {j}. Only the way to the experts is asked for. {why(a, i, j)}"
    )


def per_token(of: Callable[[Tensor, int], Tensor | int]) -> Rule:
    def rule(ids: Tensor, homes: Tensor, places: Tensor, M: int, b: int) -> Tensor:
        return bytes_between(ids, homes, places, M, b).double() / of(homes, M)

    return rule


def tokens_of_rows(homes: Tensor, M: int) -> Tensor:
    """(M, 1), at least 1."""
    return torch.bincount(homes, minlength=M).clamp(min=1)[:, None]


def averaged(a: Attempt, i: int, j: int, over_all: bool) -> str:
    n = len(a.args[1]) if over_all else int((a.args[1] == i).sum())
    tokens = "all tokens" if over_all else f"the tokens on device {i}"
    return (
        f"Yours is divided by {n:,}, the number of {tokens}. What the tokens of a device send is added up, in whole "
        f"bytes. {why(a, i, j)}"
    )


def is_symmetric(a: Attempt) -> bool:
    got, right = a.got["matrix"], a.expected["matrix"]
    same = got.shape == right.shape and torch.equal(got, got.T) and not torch.equal(right, right.T)
    return same and bool((got != 0).any())


def symmetric(a: Attempt) -> str:
    i, j = (a.expected["matrix"] != a.expected["matrix"].T).nonzero()[0].tolist()
    one, other = (number(int(a.expected["matrix"][at])) for at in ((i, j), (j, i)))
    return (
        f"Yours is the same in both directions: `matrix[{i}, {j}]` and `matrix[{j}, {i}]` are both "
        f"{number(a.got['matrix'][i, j].item())}, expected {one} and {other}. A device sends what its own tokens need, "
        f"and that is not what it receives. {why(a, i, j)}"
    )


def is_short(a: Attempt) -> bool:
    """Rows or columns for fewer devices than there are."""
    got, M = a.got["matrix"], a.args[3]
    return got.dim() == 2 and got.shape != (M, M) and max(got.shape) <= M


def short(a: Attempt) -> str:
    M, homes, places = a.args[3], a.args[1], a.args[2]
    missing, idle = [size < M for size in a.got["matrix"].shape], []
    if missing[0]:
        idle += [f"No token lives on device {d}: its row has zeros." for d in range(M) if not (homes == d).any()][-1:]
    if missing[1]:
        idle += [f"No expert is on device {d}: its column has zeros." for d in range(M) if not (places == d).any()][-1:]
    return " ".join([shapes(a) + "there is a row and a column for each of the `n_devices` devices.", *idle])


def shapes(a: Attempt) -> str:
    M = a.args[3]
    return f"`matrix` has the shape {tuple(a.got['matrix'].shape)}, expected {(M, M)}: "


def per_expert_columns(ids: Tensor, homes: Tensor, places: Tensor, M: int, b: int) -> Tensor:
    """(M, E): from device to expert."""
    E = len(places)
    return torch.bincount((homes[:, None] * E + ids).flatten(), minlength=M * E).view(M, E) * b


def columns_of_experts(a: Attempt) -> bool:
    got, (M, E) = a.got["matrix"], (a.args[3], len(a.args[2]))
    return got.dim() == 2 and E > M and got.shape in ((M, E), (E, E))

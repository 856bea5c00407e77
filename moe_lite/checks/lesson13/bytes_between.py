"""Exercise 13.3, bytes_between: how many bytes every device sends to every other one."""

import re
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.compare import differing, listed, number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.mistakes import one_wrong, sign
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
        Trial((ids, homes * 0, places * 0 + 1, M, 10_000_000), "300 vectors of 10,000,000 bytes, all to one device"),
        Trial((ids, homes, places, M, 1), "vectors of 1 byte"),
        Trial((ids[:7], homes[:7], places, 40, V), "40 devices, most of them with nothing on them"),
        Trial((ids[:40], homes[:40] * 0 + M - 1, places, M, V), "all tokens on the last device"),
        Trial((ids[:40], homes[:40], places * 0 + M - 1, M, V), "all experts on the last device"),
    )


DRAWN = Drawn(
    drawn, {"N": 13, "K": 3, "E": 8, "M": 5, "V": 24}, at_most=(("K", "E"),), float32=False, extremes=extremes
)  # fmt: skip


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


# ---- mistakes --------------------------------------------------------------------------------------------------------

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


def in_turn(n: int, M: int) -> Tensor:
    return torch.arange(n) % M


def neighbours(n: int, M: int) -> Tensor:
    return torch.arange(n) * M // n


def full_first(n: int, M: int) -> Tensor:
    """As many neighbours on each, rounded up, so that the last devices may have fewer."""
    return torch.arange(n) // -(-n // M)


def repeated(a: Attempt, i: int, j: int) -> str:
    if i == j:
        return stays(a, i)
    token = next(n for n in senders(a, i, j) if len(experts_on(a, n, j)) > 1)
    there = experts_on(a, token, j)
    return (
        f"Token {token} lives on device {i}, and its {named('expert', there)} are all on device {j}. Its vector is "
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
        kind = "Expert" if name == "places" else "Token"
        verb = "is" if name == "places" else "lives"
        return (
            f"{kind} {at} {verb} on device {int(given[at])}, which is `{name}[{at}]`, and yours has it on device "
            f"{int(taken[at])}, as if the {kind.lower()}s were shared out {how}. {why(a, i, j)}"
        )

    return cells(title, rule, say)


def missed(column: int) -> Say:
    """A token whose vector goes from i to j for another expert than the one in `column`."""

    def say(a: Attempt, i: int, j: int) -> str:
        ids, _, places, *_ = a.args
        token = next(n for n in senders(a, i, j) if places[ids[n, column]] != j)
        which = "first" if column == 0 else "last"
        return (
            f"Yours looks at the {which} expert of each token only. Token {token} lives on device {i}, and of its "
            f"other experts, {experts_on(a, token, j)[0]} is on device {j}. All K experts of a token count."
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
    idle = [f"No token lives on device {d}: its row has zeros." for d in range(M) if not (homes == d).any()]
    idle += [f"No expert is on device {d}: its column has zeros." for d in range(M) if not (places == d).any()]
    return " ".join([shapes(a) + "there is a row and a column for each of the `n_devices` devices.", *idle[:1]])


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


def resized(match: re.Match, line: Line, exercise: Exercise) -> Note:
    if line.counted():
        return Note("`bincount` without `minlength`", "`bincount` counts up to the largest number that occurs. Where "
                    "the last device sends nothing, the last cells are missing, and the rest does not fill the matrix. "
                    "`minlength=n_devices * n_devices` adds them.")  # fmt: skip
    return Note("The new shape has another size", "`view` and `reshape` keep the number of values, and the matrix has "
                "`n_devices * n_devices` of them.")  # fmt: skip


def too_large(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note(
        "An index is too large", "Experts have numbers from 0 to E − 1, tokens from 0 to N − 1, devices from 0 to "
        "M − 1. `places[e]` is the device of expert e, and `homes[n]` that of token n. Which of these numbers is used "
        "as an index in this line, and how many entries are there?",
    )  # fmt: skip


PLACES, HOMES = "`places` is not used", "`homes` is not used"
ONCE, ADD = "Once per expert, not once per device", "Vectors that share a cell are not added up"
BACK, UNIT = "The way back is counted as well", "Bits, not bytes"
FIRST, AVERAGE = "Only one expert of each token", "An average, not a sum"
EXPERTS, SHORT = "Experts are taken for devices", "Devices without tokens or experts are missing"
SAY_AVERAGE = "Yours is divided by a number of tokens. What all tokens of a device send is added up, in whole bytes."

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
    other_devices("places", PLACES, full_first, "as neighbours, the same number on each"),
    other_devices("places", PLACES, in_turn, "in turn"),
    other_devices("homes", HOMES, neighbours, "as neighbours in equal parts"),
    other_devices("homes", HOMES, full_first, "as neighbours, the same number on each"),
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
    cells("A token with an expert at home is left out", none_at_home, unsent),
    cells("Every token is sent to every device", all_to_others, broadcast),
    cells(AVERAGE, per_token(lambda homes, M: len(homes)), SAY_AVERAGE),
    cells(AVERAGE, per_token(tokens_of_rows), SAY_AVERAGE),
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
        "rows up to (M, M). The diagonal becomes 0.",
    ),
    minutes=12, lines="about 6 lines",
    done="This matrix is the traffic of one dispatch: which devices send much depends on where tokens live and where "
    "their experts are, and on nothing else.",
)  # fmt: skip

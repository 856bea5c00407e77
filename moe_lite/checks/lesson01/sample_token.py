"""Exercise 1.4, sample_token: draw the next token."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, number
from moe_lite.checks.engine.exercise import (
    FORM,
    INPUT,
    QUIET,
    REPEAT,
    Attempt,
    Case,
    Drawn,
    Draws,
    Exercise,
    Mistake,
    Note,
    Output,
    Trial,
)
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import sign
from moe_lite.checks.engine.say import said

ROWS = torch.tensor(  # (3, V): three texts, far from each other
    [[1.2, -0.8, 0.3, 0.0, -1.5], [-0.6, 0.9, -1.2, 1.6, 0.2], [0.1, -1.0, 1.4, -0.4, 0.8]]
)
WIDE = torch.stack([torch.linspace(0.3, -0.3, 12).roll(5 * row) for row in range(3)])  # (3, V) all nearly as likely
FLAT = torch.stack([torch.linspace(0.02, -0.02, 150).roll(50 * row) for row in range(3)])  # (3, V) too many to count
N_ROWS = 3000  # of each kind
N_FLAT = 4500  # each of the 150 tokens comes 30 times on average; that one never does has a chance below 1e-10
N_CALLS = 400


def reference(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """logits (B, V) -> token_ids (B,) int64, by the inverse of the cumulated probabilities."""
    if temperature == 0:
        return torch.tensor([row.index(max(row)) for row in logits.tolist()])
    return draw(probabilities(logits.double(), temperature), generator)


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """softmax(logits / temperature). (B, V) -> (B, V)."""
    scaled = logits / temperature
    powers = (scaled - scaled.amax(dim=1, keepdim=True)).exp()
    return powers / powers.sum(dim=1, keepdim=True)


def draw(shares: Tensor, generator: torch.Generator | None) -> Tensor:
    """shares (B, V), of each row's sum -> token_ids (B,) int64."""
    below = shares.cumsum(dim=1)  # (B, V)
    drawn = torch.rand(len(shares), 1, dtype=F64, generator=generator) * below[:, -1:]
    return (below <= drawn).sum(dim=1)  # (B,)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 7, 5), random(2, 4, 11), random(3, 1, 6))
    same = (random(4, 40, 9),)
    greedy = (random(5, 9, 6, temperature=0), random(6, 5, 8, temperature=0.0), close_race(14, 60, 7))
    calls = (Trial((ROWS, 1.0, inputs.generator(9)), f"{N_CALLS} calls", calls=N_CALLS, random=True, draws=N_CALLS),)
    return (
        Case("shapes and types", plain, (FORM,)),
        Case("input unchanged", plain[:1], (INPUT,)),
        Case("shares at temperature 1", (many(7, 1.0), many(12, 1.0, rows=WIDE), flat(15)), ("shares",)),
        Case("shares at 0.5, 2 and 0.01", (many(8, 0.5), many(9, 2.0), many(13, 0.01, rows=ROWS / 100)), ("shares",)),
        Case("only the given generator", same, (REPEAT, QUIET)),
        Case("one call after another", calls, ("shares",)),
        Case("temperature 0", greedy, ("token_ids",)),
        Case("large logits", (many(10, 1.0, 10_000.0), many(11, 0.5, -10_000.0)), ("shares",)),
    )


def random(seed: int, n_rows: int, n_classes: int, temperature: float = 1.3) -> Trial:
    logits, note = inputs.logits(seed, n_rows, n_classes, F32), f"seed {seed}, temperature {temperature}"
    return Trial((logits, temperature, inputs.generator(seed)), note, random=temperature > 0)


def close_race(seed: int, n_rows: int, n_classes: int) -> Trial:
    """Temperature 0, where the second best is only a thousandth below the best: a draw at any temperature would err."""
    logits = inputs.logits(seed, n_rows, n_classes, F32).clamp(max=1)  # (B, V)
    first, second = inputs.logits(seed + 1, n_rows, n_classes, F32).topk(2, dim=1).indices.unbind(1)  # (B,), (B,)
    rows = torch.arange(n_rows)
    logits[rows, first], logits[rows, second] = 1.7, 1.699
    return Trial((logits, 0, inputs.generator(seed)), f"seed {seed}, temperature 0, close races")


def many(seed: int, temperature: float, shift: float = 0.0, rows: Tensor = ROWS, n_rows: int = N_ROWS) -> Trial:
    """The three rows again and again: row i of the batch is row i mod 3 of `rows`."""
    logits = (rows + shift).repeat(n_rows, 1)  # (3 · n_rows, V)
    note = f"{len(logits):,} rows of {rows.shape[1]} tokens, temperature {temperature}"
    note += f", logits near {shift:,.0f}" if shift else ""
    return Trial((logits, temperature, inputs.generator(seed)), note, random=True, draws=n_rows)


def flat(seed: int) -> Trial:
    """So many tokens, all nearly as likely, that only whether each of them came can be told."""
    logits, note = FLAT.repeat(N_FLAT, 1), f"{3 * N_FLAT:,} rows of {FLAT.shape[1]} tokens, all nearly as likely"
    return Trial((logits, 1.0, inputs.generator(seed)), note, random=True, draws=N_FLAT)


def is_flat(logits: Tensor) -> bool:
    return logits.shape[1] == FLAT.shape[1]


def row_probabilities(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    return torch.ones_like(FLAT).double() if is_flat(logits) else probabilities(logits[:3].double(), temperature)


def shares_of(trial: Trial, got: dict[str, Tensor]) -> Tensor | None:
    """How often each token came, for each of the three rows; of many tokens 1 if it came. (3 · n,) -> (3, V); None if
    these are no token ids."""
    ids, n_classes = got["token_ids"], trial.args[0].shape[1]
    n_rows = min(3, len(trial.args[0]))
    if ids.shape != (n_rows * trial.draws,) or ids.dtype != torch.int64 or not ((ids >= 0) & (ids < n_classes)).all():
        return None
    counts = torch.stack([row.bincount(minlength=n_classes) for row in ids.reshape(-1, n_rows).T])  # (3, V)
    return (counts > 0).double() if is_flat(trial.args[0]) else counts.double() / trial.draws


def drawn(seed: int, B: int, V: int) -> tuple:
    """At temperature 0, where there is one right answer."""
    return inputs.distinct(seed, B, V), 0, inputs.generator(seed)


def extremes(seed: int) -> tuple[Trial, ...]:
    """Draws: of one token, of two, in another layout, at a high temperature, far from 0."""
    fewer = partial(many, n_rows=800)
    two, turned = torch.tensor([[0.7, -0.7], [0.0, 0.4], [-1.0, 1.0]]), fewer(seed, 1.0)
    logits = turned.args[0].mT.contiguous().mT
    last = torch.full((3, 300), -40.0).scatter(1, torch.tensor([[299], [280], [299]]), 1.0)  # past what uint8 holds
    one = Trial((ROWS[:1], 1.0, inputs.generator(seed)), "400 calls for one row", calls=400, random=True, draws=400)
    return (
        one,
        replace(fewer(seed + 5, 1.0, rows=last), note="2,400 rows of 300 tokens"),
        fewer(seed + 6, 50.0, rows=ROWS * 40),
        fewer(seed + 7, 1e-3, rows=ROWS / 1000),
        fewer(seed + 1, 1.0, rows=two),
        fewer(seed + 2, 1.0, rows=ROWS[:, :1]),
        replace(turned, args=(logits, *turned.args[1:]), note=turned.note + ", turned over in memory"),
        replace(fewer(seed + 4, 1.0, -1e5, ROWS.double()), note="logits near -100,000, float64"),
    )


DRAWN = Drawn(drawn, {"B": 7, "V": 5}, long="B", wide="V", extremes=extremes)


# ---- wrong probabilities ---------------------------------------------------------------------------------------------

Shares = Callable[[Tensor, float], Tensor]  # of logits (B, V) and the temperature: how often each token comes, (B, V)


def drawing(rule: Shares) -> Callable[..., tuple[Tensor | None]]:
    """A draw by a rule, made on purpose; at temperature 0 it is right."""

    def answer(names: tuple[str, ...], args: tuple) -> tuple[Tensor | None]:
        logits, temperature, generator = args
        return (draw(rule(logits.double(), temperature), generator) if temperature else None,)

    return answer


def drawn(title: str, rule: Shares, what: str | Callable[[float], str]) -> Mistake:
    """A draw with other probabilities, recognised by its shares. `what` follows the share that is most off; it may be
    made of the temperature."""

    def fits(a: Attempt) -> bool:
        if not a.trial.draws or is_flat(a.args[0]):
            return True
        wrong = rule(a.args[0][:3].double(), a.args[1])
        return "shares" in a.got and close(a.got["shares"], wrong, a.within["shares"])

    def say(a: Attempt) -> str:
        return f"{most_off(a)}: {what(a.args[1]) if callable(what) else what}"

    def shows(a: Attempt) -> bool:
        return bool(a.trial.draws) and not is_flat(a.args[0]) and fits(a)

    return sign(title, shows, say, fits=fits, answer=drawing(rule))


def most_off(a: Attempt) -> str:
    """`At temperature 0.5, token 0 of row 1 is drawn in 36 % of all cases, expected 64 %`."""
    got, expected = a.got["shares"], a.expected["shares"]
    row, token = divmod(int((got - expected).abs().argmax()), expected.shape[1])
    return (
        f"At temperature {a.args[1]:g}, token {token} of row {row} comes in {100 * got[row, token]:.0f} % of "
        f"your draws, expected {100 * expected[row, token]:.0f} %"
    )


def again(change: Shares) -> Shares:
    """The probabilities of a change of the logits, without any further temperature."""
    return lambda z, t: probabilities(change(z, t), 1.0)


def over_rows(logits: Tensor, temperature: float) -> Tensor:
    """Softmax down the rows; the draw then divides each row by its sum."""
    shares = probabilities(logits.T, temperature).T
    return shares / shares.sum(dim=1, keepdim=True)


def other_probabilities(a: Attempt) -> Note | None:
    if "shares" not in a.got or a.all_right or is_flat(a.args[0]):
        return None
    sentence = f"{most_off(a)}. The draw works, but its probabilities are not softmax(logits / temperature)."
    return Note("The draws have other probabilities", sentence, general=True)


# ---- other mistakes --------------------------------------------------------------------------------------------------


def ids(a: Attempt) -> Tensor:
    return a.got["token_ids"]


def last_id(a: Attempt) -> int:
    return a.args[0].shape[1] - 1


def one_hot_rows(a: Attempt) -> bool:
    got = ids(a)
    return got.shape == a.args[0].shape and bool(((got == 0) | (got == 1)).all() and (got.sum(dim=1) == 1).all())


def whole_rows(a: Attempt) -> bool:
    return ids(a).dim() == 2 and ids(a).shape[1] == a.args[0].shape[1] and ids(a).is_floating_point()


def values(a: Attempt) -> bool:
    """Floating numbers where ids are due, one a row."""
    got = ids(a)
    return got.shape == a.expected["token_ids"].shape and got.is_floating_point() and bool((got % 1 != 0).any())


def no_such_token(a: Attempt) -> bool:
    return ids(a).dtype == torch.int64 and bool(((ids(a) < 0) | (ids(a) > last_id(a))).any())


def n_that_came(a: Attempt) -> Tensor:
    """How many tokens were drawn at least once in each of the three rows. (3,)"""
    return (a.got["shares"] > 0).sum(dim=1)


def some_never(a: Attempt) -> bool:
    """Where many tokens are nearly as likely, some never come, in every row; of a dozen as many in each."""
    n_tokens = a.args[0].shape[1]
    if "shares" not in a.got or n_tokens not in (WIDE.shape[1], FLAT.shape[1]):
        return False
    came = n_that_came(a)
    return bool((came == came[0]).all() | (n_tokens > WIDE.shape[1])) and 1 < int(came.max()) < n_tokens


def one_token_a_row(a: Attempt) -> bool:
    """In all draws of a row one and the same token came, though not always the best."""
    return "shares" in a.got and bool((a.got["shares"].amax(dim=1) == 1).all())


def taken_for_0(a: Attempt) -> bool:
    """At a low temperature, the best token of each row in all draws."""
    if "shares" not in a.got or not 0 < a.args[1] < 0.1:
        return False
    best = one_hot(a.args[0][: len(a.got["shares"])].argmax(dim=1), a.args[0].shape[1])
    return torch.equal(a.got["shares"], best.double())


def first_drawn(a: Attempt) -> str:
    return f"token {int(a.got['shares'][0].argmax())}"


def not_the_best(a: Attempt) -> bool:
    """Temperature 0, and some token is another than the best."""
    fits = ids(a).shape == a.expected["token_ids"].shape and not ids(a).is_floating_point()
    return a.args[1] == 0 and fits and not a.right("token_ids")


def the_worst(a: Attempt) -> bool:
    return not_the_best(a) and torch.equal(ids(a), a.args[0].argmin(dim=1))


def not_greedy(a: Attempt) -> str:
    logits, got, expected = a.args[0], ids(a), a.expected["token_ids"]
    row = int((got != expected).nonzero()[0])
    return (
        f"At temperature 0, row {row} gets token {int(got[row])}, but its largest logit, "
        f"{number(float(logits[row].max()))}, is that of token {int(expected[row])}. Nothing is drawn there: the most "
        "probable token is taken."
    )


def other_source(a: Attempt) -> Note | None:
    """A second call with the same generator state drew other tokens."""
    again = (a.repeated or {}).get("token_ids")
    if not a.got or again is None or torch.equal(again, ids(a)) or ids(a).shape != (len(a.args[0]),):
        return None
    n_other = int((ids(a) != again).sum()) if ids(a).shape == again.shape else len(ids(a))
    return Note(
        "The draw does not come from `generator`",
        f"The same generator state, given twice, drew {n_other} of {len(ids(a))} tokens differently: the chance comes "
        "from somewhere else. Hand `generator` on to whatever draws.",
    )


def from_elsewhere(names: tuple[str, ...], args: tuple) -> tuple[Tensor]:
    """torch's global generator in place of the one that is given."""
    return (reference(*args[:2], None),)


MISTAKES = (
    sign("A column, not a row of ids", lambda a: ids(a).shape == (len(a.args[0]), 1), "`token_ids` is "
         "{token_ids.shape}: `multinomial` gives a column for each draw. Take the one column out of it: "
         "{right.token_ids.shape}."),
    sign("One-hot rows, not ids", one_hot_rows, "Each row has a single 1. Asked is its place: the token's number."),
    sign("Probabilities, not a draw", whole_rows, "`token_ids` is {token_ids.shape}, one number for every token of the "
         "vocabulary. Asked is one token for each row, drawn with these as its probabilities."),
    sign("Values, not token ids", values, lambda a: said("Row 0 gets {token_ids[0]}. Asked is which token was drawn, "
         "its number from 0 to {last}, not how probable it is.", a, last=last_id(a))),
    sign("One token for the whole batch", lambda a: ids(a).numel() == 1 < len(a.args[0]), "{logits.size[0]} rows came "
         "in and one token came out. Each row gets its own: choose along `dim=-1`."),
    sign("Chosen down the columns", lambda a: ids(a).shape == a.args[0].shape[1:], "`token_ids` is {token_ids.shape}: "
         "a row for each token of the vocabulary. Look along each row, `dim=-1`."),
    sign("No such token", no_such_token, lambda a: f"An id of {int(ids(a).max())} came; with {last_id(a) + 1} tokens "
         f"the ids end at {last_id(a)}."),
    drawn("The most probable token, every time", lambda z, t: one_hot(z.argmax(dim=1), z.shape[1]).double(), "`argmax` "
          "draws nothing. Only at temperature 0 is it the answer."),
    drawn("The temperature changes nothing", lambda z, t: probabilities(z, 1.0), "that is temperature 1. Divide the "
          "logits, before the softmax. Dividing all probabilities by one number changes nothing, because only their "
          "proportions count in a draw."),
    drawn("Multiplied by the temperature", again(lambda z, t: z * t), lambda t: f"that is temperature {number(1 / t)}. "
          "A low temperature makes the best token surer: divide."),
    drawn("The temperature twice", again(lambda z, t: z / t**2), lambda t: f"that is temperature {number(t**2)}. The "
          "logits are divided once."),
    drawn("Divided by √temperature", again(lambda z, t: z / t**0.5), lambda t: f"that is temperature {number(t**0.5)}. "
          "Divide by the temperature itself."),
    drawn("Every token is as likely", lambda z, t: torch.full_like(z, 1 / z.shape[1]), "your draw does not look at the "
          "logits."),
    drawn("Softmax comes twice", lambda z, t: probabilities(probabilities(z, t), 1.0), "probabilities went through a "
          "second softmax, which makes them all alike."),
    drawn("Softmax comes twice", lambda z, t: probabilities(probabilities(z, 1.0), t), "probabilities were divided by "
          "the temperature and went through a second softmax. Divide the logits, then take one softmax."),
    drawn("Softmax over the batch", over_rows, "the probabilities of a row have to sum to 1, so softmax goes along "
          "`dim=-1`."),
    drawn("The least probable is the most frequent", again(lambda z, t: -z / t), "the sign of the logits is turned."),
    drawn("Sigmoid, not softmax", again(lambda z, t: logsigmoid(z / t)), "a sigmoid looks at each logit alone. Softmax "
          "takes their exps in proportion."),
    drawn("All rows are drawn like row 0", lambda z, t: probabilities(z, t)[:1].expand_as(z), "in your draws every row "
          "has the probabilities of row 0."),
    drawn("All rows are drawn alike", lambda z, t: probabilities(z, t).mean(dim=0).expand_as(z), "in your draws every "
          "row has the mean of all rows' probabilities."),
    drawn("Places in the sorted row", lambda z, t: probabilities(z, t).sort(dim=1, descending=True).values, "you drew "
          "places in the sorted row. The indices that sorting gives say which token it is."),
    drawn("Every id is one too high", lambda z, t: probabilities(z, t).roll(1, dims=1), "that is the share of token "
          "n − 1. Counting begins at 0."),
    drawn("Every id is one too low", lambda z, t: probabilities(z, t).roll(-1, dims=1), "that is the share of token "
          "n + 1."),
    sign("Some tokens can never come", some_never, lambda a: f"{a.args[0].shape[1]} tokens are nearly as likely, and "
         f"in {a.trial.draws:,} draws a row only {int(n_that_came(a)[0])} of them ever came. Every token keeps its "
         "probability, however small: no top-k is asked here."),
    sign("A low temperature is taken for 0", taken_for_0, lambda a: f"{most_off(a)}: nothing was drawn. Only at a "
         "temperature of exactly 0 the most probable token is taken; any other divides the logits, however low it is."),
    sign("One draw for all rows", lambda a: a.trial.calls == 1 and one_token_a_row(a), lambda a: f"{a.trial.draws:,} "
         f"rows with the same logits all got {first_drawn(a)}. Each row needs a draw of its own."),
    sign("Every call draws the same", lambda a: a.trial.calls > 1 and one_token_a_row(a), lambda a: f"{a.trial.calls} "
         f"calls in a row, with one generator that runs on, all gave {first_drawn(a)} for row 0. Do not seed or copy "
         "it: draw from it as it comes."),
    sign("Temperature 0 takes the least probable", the_worst, not_greedy),
    sign("Temperature 0 does not take the most probable", not_the_best, not_greedy),
    Mistake(other_source, title="The draw does not come from `generator`", answer=from_elsewhere),
    Mistake(other_probabilities, title="The draws have other probabilities",
            answer=drawing(lambda z, t: probabilities(z, t + 1))),
)  # fmt: skip

SAMPLE_TOKEN = Exercise(
    id="1.4", name="sample_token", parameters=("logits", "temperature", "generator"), sizes="BV",
    outputs=(Output("token_ids", "B,"),), reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "The temperature divides the logits, before they become probabilities. Nothing can be divided by 0, and at "
        "temperature 0 there is nothing to draw: it needs an `if` of its own.",
        "After the `if`: one line that turns logits into probabilities along the tokens; one with `torch.multinomial`, "
        "which also takes a `generator=`. It gives a column (B, 1); the answer is (B,).",
    ),
    minutes=8, lines="about 4 lines", done="Text from a model is this function, once for every token.",
    draws=Draws("shares", "row, V", row_probabilities, shares_of),
)  # fmt: skip

"""Exercise 1.4, sample_token: draw the next token."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, number, shape_text
from moe_lite.checks.engine.exercise import (
    FORM,
    INPUT,
    QUIET,
    REPEAT,
    Attempt,
    Case,
    Draws,
    Exercise,
    Mistake,
    Note,
    Output,
    Trial,
)
from moe_lite.checks.engine.mistakes import seen

F32, F64 = torch.float32, torch.float64
ROWS = torch.tensor(  # (3, V): three texts, far from each other
    [[1.2, -0.8, 0.3, 0.0, -1.5], [-0.6, 0.9, -1.2, 1.6, 0.2], [0.1, -1.0, 1.4, -0.4, 0.8]]
)
WIDE = torch.stack([torch.linspace(0.3, -0.3, 12).roll(5 * row) for row in range(3)])  # (3, V) all nearly as likely
N_ROWS = 3000  # of each kind
N_CALLS = 400


def reference(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """logits (B, V) -> token_ids (B,) int64, by the inverse of the cumulated probabilities."""
    if temperature == 0:
        return torch.tensor([row.index(max(row)) for row in logits.tolist()])
    below = probabilities(logits.double(), temperature).cumsum(dim=1)  # (B, V)
    drawn = torch.rand(len(logits), 1, dtype=F64, generator=generator) * below[:, -1:]
    return (below <= drawn).sum(dim=1)  # (B,)


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """softmax(logits / temperature). (B, V) -> (B, V)."""
    scaled = logits / temperature
    powers = (scaled - scaled.amax(dim=1, keepdim=True)).exp()
    return powers / powers.sum(dim=1, keepdim=True)


def cases() -> tuple[Case, ...]:
    plain = (_random(1, 7, 5), _random(2, 4, 11), _random(3, 1, 6))
    same = (_random(4, 40, 9),)
    greedy = (_random(5, 9, 6, temperature=0), _random(6, 5, 8, temperature=0.0), _close_race(14, 60, 7))
    calls = (Trial((ROWS, 1.0, inputs.generator(9)), f"{N_CALLS} calls", calls=N_CALLS, random=True, draws=N_CALLS),)
    return (
        Case("shapes and types", plain, (FORM,)),
        Case("input unchanged", plain[:1], (INPUT,)),
        Case("shares at temperature 1", (_many(7, 1.0), _many(12, 1.0, rows=WIDE)), ("shares",)),
        Case("shares at 0.5 and 2", (_many(8, 0.5), _many(9, 2.0)), ("shares",)),
        Case("only the given generator", same, (REPEAT, QUIET)),
        Case("one call after another", calls, ("shares",)),
        Case("temperature 0", greedy, ("token_ids",)),
        Case("large logits", (_many(10, 1.0, 10_000.0), _many(11, 0.5, -10_000.0)), ("shares",)),
    )


def _random(seed: int, n_rows: int, n_classes: int, temperature: float = 1.3) -> Trial:
    logits, note = inputs.logits(seed, n_rows, n_classes, F32), f"seed {seed}, temperature {temperature}"
    return Trial((logits, temperature, inputs.generator(seed)), note, random=temperature > 0)


def _close_race(seed: int, n_rows: int, n_classes: int) -> Trial:
    """Temperature 0, where the second best is only a thousandth below the best: a draw at any temperature would err."""
    logits = inputs.logits(seed, n_rows, n_classes, F32).clamp(max=1)  # (B, V)
    first, second = inputs.logits(seed + 1, n_rows, n_classes, F32).topk(2, dim=1).indices.unbind(1)  # (B,), (B,)
    rows = torch.arange(n_rows)
    logits[rows, first], logits[rows, second] = 1.7, 1.699
    return Trial((logits, 0, inputs.generator(seed)), f"seed {seed}, temperature 0, close races")


def _many(seed: int, temperature: float, shift: float = 0.0, rows: Tensor = ROWS) -> Trial:
    """The three rows again and again: row i of the batch is row i mod 3 of `rows`."""
    logits = (rows + shift).repeat(N_ROWS, 1)  # (3 · N_ROWS, V)
    note = f"{len(logits):,} rows of {rows.shape[1]} tokens, temperature {temperature}"
    note += f", logits near {shift:,.0f}" if shift else ""
    return Trial((logits, temperature, inputs.generator(seed)), note, random=True, draws=N_ROWS)


def _row_probabilities(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    return probabilities(logits[:3].double(), temperature)


def _shares(trial: Trial, got: dict[str, Tensor]) -> Tensor | None:
    """How often each token came, for each of the three rows. (3 · n,) -> (3, V); None if these are no token ids."""
    ids, n_classes = got["token_ids"], trial.args[0].shape[1]
    if ids.shape != (3 * trial.draws,) or ids.dtype != torch.int64 or not ((ids >= 0) & (ids < n_classes)).all():
        return None
    return torch.stack([row.bincount(minlength=n_classes) for row in ids.reshape(-1, 3).T]).double() / trial.draws


def _drawn(title: str, rule: Callable[[Tensor, float], Tensor], sentence: Callable[[Attempt], str] | str) -> Mistake:
    """A mistake recognised by its shares: they are those that `rule` gives for the three rows' logits (3, V)."""

    def fits(attempt: Attempt) -> bool:
        if not attempt.trial.draws:
            return True
        wrong = rule(attempt.args[0][:3].double(), attempt.args[1])
        return "shares" in attempt.got and close(attempt.got["shares"], wrong, attempt.within["shares"])

    return seen(title, lambda a: bool(a.trial.draws) and fits(a), sentence, fits)


def _most_off(attempt: Attempt) -> str:
    """`At temperature 0.5, token 0 of row 1 is drawn in 36 % of all cases, expected 64 %`."""
    got, expected = attempt.got["shares"], attempt.expected["shares"]
    row, token = divmod(int((got - expected).abs().argmax()), expected.shape[1])
    return (
        f"At temperature {attempt.args[1]:g}, token {token} of row {row} comes in {100 * got[row, token]:.0f} % of "
        f"your draws, expected {100 * expected[row, token]:.0f} %"
    )


def _sigmoid(logits: Tensor, temperature: float) -> Tensor:
    scores = (logits / temperature).sigmoid()
    return scores / scores.sum(dim=1, keepdim=True)


def _over_rows(logits: Tensor, temperature: float) -> Tensor:
    """Softmax down the rows; the draw then divides each row by its sum."""
    shares = probabilities(logits.T, temperature).T
    return shares / shares.sum(dim=1, keepdim=True)


def _best_always(logits: Tensor, temperature: float) -> Tensor:
    return one_hot(logits.argmax(dim=1), logits.shape[1]).double()


def _again(change: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float], Tensor]:
    """The probabilities of a change of the logits, without any further temperature."""
    return lambda z, t: probabilities(change(z, t), 1.0)


def _some_never(attempt: Attempt) -> bool:
    """In the trial with many tokens, all nearly as likely, the same number of them never comes, in every row."""
    if "shares" not in attempt.got or attempt.args[0].shape[1] != WIDE.shape[1]:
        return False
    came = (attempt.got["shares"] > 0).sum(dim=1)  # (3,)
    return bool((came == came[0]).all()) and 1 < int(came[0]) < WIDE.shape[1]


def _one_token_a_row(attempt: Attempt) -> bool:
    """In all draws of a row one and the same token came, though not always the best."""
    return "shares" in attempt.got and bool((attempt.got["shares"].amax(dim=1) == 1).all())


def _one_draw_for_all(attempt: Attempt) -> bool:
    return attempt.trial.calls == 1 and _one_token_a_row(attempt)


def _same_in_every_call(attempt: Attempt) -> bool:
    return attempt.trial.calls > 1 and _one_token_a_row(attempt)


def _first_shares(attempt: Attempt) -> str:
    return f"token {int(attempt.got['shares'][0].argmax())}"


def _column(attempt: Attempt) -> bool:
    """(B, 1) instead of (B,)."""
    got, expected = attempt.got["token_ids"], attempt.expected["token_ids"]
    return got.shape == (len(expected), 1)


def _one_hot_rows(attempt: Attempt) -> bool:
    got = attempt.got["token_ids"]
    return got.shape == attempt.args[0].shape and bool(((got == 0) | (got == 1)).all() and (got.sum(dim=1) == 1).all())


def _whole_rows(attempt: Attempt) -> bool:
    got = attempt.got["token_ids"]
    return got.dim() == 2 and got.shape[1] == attempt.args[0].shape[1] and got.is_floating_point()


def _values(attempt: Attempt) -> bool:
    """Floating numbers where ids are due, one a row."""
    got = attempt.got["token_ids"]
    return got.shape == attempt.expected["token_ids"].shape and got.is_floating_point() and bool((got % 1 != 0).any())


def _one_for_all(attempt: Attempt) -> bool:
    return attempt.got["token_ids"].numel() == 1 < len(attempt.expected["token_ids"])


def _one_for_each_token(attempt: Attempt) -> bool:
    """(V,): the best row of each token, not the best token of each row."""
    return attempt.got["token_ids"].shape == attempt.args[0].shape[1:]


def _no_such_token(attempt: Attempt) -> bool:
    got = attempt.got["token_ids"]
    return got.dtype == torch.int64 and bool(((got < 0) | (got >= attempt.args[0].shape[1])).any())


def _greedy(attempt: Attempt) -> bool:
    """Temperature 0, and some token is another than the best."""
    got = attempt.got["token_ids"]
    fits = got.shape == attempt.expected["token_ids"].shape and not got.is_floating_point()
    return attempt.args[1] == 0 and fits and not attempt.right("token_ids")


def _worst(attempt: Attempt) -> bool:
    return _greedy(attempt) and torch.equal(attempt.got["token_ids"], attempt.args[0].argmin(dim=1))


def _greedy_sentence(attempt: Attempt) -> str:
    logits, got, expected = attempt.args[0], attempt.got["token_ids"], attempt.expected["token_ids"]
    row = int((got != expected).nonzero()[0])
    return (
        f"At temperature 0, row {row} gets token {int(got[row])}, but its largest logit, "
        f"{number(float(logits[row].max()))}, is that of token {int(expected[row])}. Nothing is drawn there: the most "
        "probable token is taken."
    )


def _other_source(attempt: Attempt) -> bool:
    """A second call with the same generator state drew other tokens."""
    again = attempt.repeated
    return again is not None and "token_ids" in again and not torch.equal(again["token_ids"], attempt.got["token_ids"])


def _other_source_note(attempt: Attempt) -> Note | None:
    if not attempt.got or not _other_source(attempt) or attempt.got["token_ids"].shape != (len(attempt.args[0]),):
        return None
    got, again = attempt.got["token_ids"], attempt.repeated["token_ids"]
    n_other = int((got != again).sum()) if got.shape == again.shape else len(got)
    return Note(
        "The draw does not come from `generator`",
        f"The same generator state, given twice, drew {n_other} of {len(got)} tokens differently: the chance comes "
        "from somewhere else. Hand `generator` on to whatever draws.",
    )


def _other_probabilities(attempt: Attempt) -> Note | None:
    if "shares" not in attempt.got or attempt.all_right:
        return None
    sentence = f"{_most_off(attempt)}. The draw works, but its probabilities are not softmax(logits / temperature)."
    return Note("The draws have other probabilities", sentence, general=True)


MISTAKES = (
    seen("A column, not a row of ids", _column, lambda a:
         f"`token_ids` is {shape_text(a.got['token_ids'])}: `multinomial` gives a column for each draw. Take the one "
         f"column out of it: {shape_text(a.expected['token_ids'])}."),
    seen("One-hot rows, not ids", _one_hot_rows, "Each row has a single 1. Asked is its place: the token's number."),
    seen("Probabilities, not a draw", _whole_rows, lambda a:
         f"`token_ids` is {shape_text(a.got['token_ids'])}, one number for every token of the vocabulary. Asked is one "
         "token for each row, drawn with these as its probabilities."),
    seen("Values, not token ids", _values, lambda a:
         f"Row 0 gets {number(float(a.got['token_ids'][0]))}. Asked is which token was drawn, its number from 0 to "
         f"{a.args[0].shape[1] - 1}, not how probable it is."),
    seen("One token for the whole batch", _one_for_all, lambda a:
         f"{len(a.args[0])} rows came in and one token came out. Each row gets its own: choose along `dim=-1`."),
    seen("Chosen down the columns", _one_for_each_token, lambda a:
         f"`token_ids` is {shape_text(a.got['token_ids'])}: a row for each token of the vocabulary. Look along each "
         "row, `dim=-1`."),
    seen("No such token", _no_such_token, lambda a:
         f"An id of {int(a.got['token_ids'].max())} came; with {a.args[0].shape[1]} tokens the ids end at "
         f"{a.args[0].shape[1] - 1}."),
    _drawn("The most probable token, every time", _best_always, lambda a:
           f"{_most_off(a)}: `argmax` draws nothing. Only at temperature 0 is it the answer."),
    _drawn("The temperature changes nothing", lambda z, t: probabilities(z, 1.0), lambda a:
           f"{_most_off(a)}: that is temperature 1. Divide the logits, before the softmax. Dividing all probabilities "
           "by one number changes nothing, because only their proportions count in a draw."),
    _drawn("Multiplied by the temperature", _again(lambda z, t: z * t), lambda a:
           f"{_most_off(a)}: that is temperature {number(1 / a.args[1])}. A low temperature makes the best token "
           "surer: divide."),
    _drawn("The temperature twice", _again(lambda z, t: z / t**2), lambda a:
           f"{_most_off(a)}: that is temperature {number(a.args[1] ** 2)}. The logits are divided once."),
    _drawn("Divided by √temperature", _again(lambda z, t: z / t**0.5), lambda a:
           f"{_most_off(a)}: that is temperature {number(a.args[1] ** 0.5)}. Divide by the temperature itself."),
    _drawn("The temperature is taken away, not divided by", _again(lambda z, t: z - t), lambda a:
           f"{_most_off(a)}: a number taken from all logits changes no probability. Divide by the temperature."),
    _drawn("Every token is as likely", lambda z, t: torch.full_like(z, 1 / z.shape[1]), lambda a:
           f"{_most_off(a)}: your draw does not look at the logits."),
    _drawn("Softmax comes twice", lambda z, t: probabilities(probabilities(z, t), 1.0), lambda a:
           f"{_most_off(a)}: probabilities went through a second softmax, which makes them all alike."),
    _drawn("Softmax comes twice", lambda z, t: probabilities(probabilities(z, 1.0), t), lambda a:
           f"{_most_off(a)}: probabilities were divided by the temperature and went through a second softmax. Divide "
           "the logits, then take one softmax."),
    _drawn("Softmax over the batch", _over_rows, lambda a:
           f"{_most_off(a)}: the probabilities of a row have to sum to 1, so softmax goes along `dim=-1`."),
    _drawn("The least probable is the most frequent", _again(lambda z, t: -z / t), lambda a:
           f"{_most_off(a)}: the sign of the logits is turned."),
    _drawn("Sigmoid, not softmax", _sigmoid, lambda a:
           f"{_most_off(a)}: a sigmoid looks at each logit alone. Softmax takes their exps in proportion."),
    _drawn("All rows are drawn like row 0", lambda z, t: probabilities(z, t)[:1].expand_as(z), lambda a:
           f"{_most_off(a)}: in your draws every row has the probabilities of row 0."),
    _drawn("All rows are drawn alike", lambda z, t: probabilities(z, t).mean(dim=0).expand_as(z), lambda a:
           f"{_most_off(a)}: in your draws every row has the mean of all rows' probabilities."),
    _drawn("Places in the sorted row", lambda z, t: probabilities(z, t).sort(dim=1, descending=True).values, lambda a:
           f"{_most_off(a)}: you drew places in the sorted row. The indices that sorting gives say which token it is."),
    _drawn("Every id is one too high", lambda z, t: probabilities(z, t).roll(1, dims=1), lambda a:
           f"{_most_off(a)}: that is the share of token n − 1. Counting begins at 0."),
    _drawn("Every id is one too low", lambda z, t: probabilities(z, t).roll(-1, dims=1), lambda a:
           f"{_most_off(a)}: that is the share of token n + 1."),
    seen("Some tokens can never come", _some_never, lambda a:
         f"{WIDE.shape[1]} tokens are nearly as likely, and in {a.trial.draws:,} draws a row only "
         f"{int((a.got['shares'][0] > 0).sum())} of them ever came. Every token keeps its probability, however small: "
         "no top-k is asked here."),
    seen("One draw for all rows", _one_draw_for_all, lambda a:
         f"{a.trial.draws:,} rows with the same logits all got {_first_shares(a)}. Each row needs a draw of its own."),
    seen("Every call draws the same", _same_in_every_call, lambda a:
         f"{a.trial.calls} calls in a row, with one generator that runs on, all gave {_first_shares(a)} for row 0. Do "
         "not seed or copy it: draw from it as it comes."),
    seen("Temperature 0 takes the least probable", _worst, _greedy_sentence),
    seen("Temperature 0 does not take the most probable", _greedy, _greedy_sentence),
    Mistake(_other_source_note),
    Mistake(_other_probabilities),
)  # fmt: skip

SAMPLE_TOKEN = Exercise(
    id="1.4",
    name="sample_token",
    parameters=("logits", "temperature", "generator"),
    sizes="BV",
    outputs=(Output("token_ids", "B,"),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "A temperature changes the logits, before they become probabilities. Temperature 0 has nothing to draw, and "
        "nothing can be divided by it: it needs an `if` of its own.",
        "After the `if`: one line that turns logits into probabilities along the tokens; one with `torch.multinomial`, "
        "which also takes a `generator=`. It gives a column (B, 1); the answer is (B,).",
    ),
    minutes=8,
    lines="about 4 lines",
    done="Text from a model is this function, once for every token.",
    draws=Draws("shares", "row, V", _row_probabilities, _shares),
)

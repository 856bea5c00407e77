"""Answers to exercise 1.4, sample_token: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    ids = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@right
def exponential_race(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = F.softmax(logits / temperature, dim=-1)
    return (p / torch.empty_like(p).exponential_(generator=generator)).argmax(dim=-1)


@right
def gumbel(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    uniform = torch.rand(logits.shape, generator=generator)
    return (logits / temperature - torch.log(-torch.log(uniform))).argmax(dim=-1)


@right
def inverse(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = torch.softmax(logits.double() / temperature, dim=-1)
    below = p.cumsum(dim=-1)
    drawn = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64)
    return torch.searchsorted(below, drawn)[:, 0].clamp(max=logits.shape[1] - 1)


@right
def row_by_row(logits, temperature, generator):
    ids = []
    for row in logits:
        if temperature == 0:
            ids.append(row.argmax())
        else:
            p = torch.softmax(row / temperature, dim=0)
            ids.append(torch.multinomial(p, num_samples=1, generator=generator)[0])
    return torch.stack(ids)


@right
def small_temperature(logits, temperature, generator):
    return torch.multinomial((logits / max(temperature, 1e-6)).softmax(dim=-1), 1, generator=generator)[:, 0]


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Probabilities, not a draw")
def all_probabilities(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return (logits / temperature).softmax(dim=-1)


@wrong("The most probable token, every time")
def argmax_always(logits, temperature, generator):
    return logits.argmax(dim=-1)


@wrong("The most probable token, every time")
def argmax_of_scaled(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return (logits / temperature).softmax(dim=-1).argmax(dim=-1)


@wrong("A column, not a row of ids")
def column(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)


@wrong("No such token", "Every id is one too high")
def counts_from_one(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0] + 1


@wrong("These are no probabilities")
def exp_overflows(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).exp(), 1, generator=generator)[:, 0]


@wrong("All rows are drawn like row 0")
def first_row_for_all(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = (logits[0] / temperature).softmax(dim=-1)
    return torch.multinomial(p, len(logits), replacement=True, generator=generator)


@wrong("One token for the whole batch")
def first_row_only(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[0]


@wrong(ANY)
def gaussian_noise(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    noise = torch.randn(logits.shape, generator=generator)
    return (logits / temperature + noise).argmax(dim=-1)


@wrong("The draw does not come from `generator`")
def global_generator(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1)[:, 0]


@wrong("The draw does not come from `generator`")
def global_gumbel(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    noise = -torch.log(-torch.log(torch.rand(logits.shape)))
    return (logits / temperature + noise).argmax(dim=-1)


@wrong("The temperature changes nothing")
def ignored(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]


@wrong("Your function changed its input")
def input_changed(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    logits /= temperature
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


@wrong("`token_ids` has the wrong type")
def int32(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0].int()


@wrong("These are no probabilities")
def log_probabilities(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).log_softmax(dim=-1), 1, generator=generator)[:, 0]


@wrong("These are no probabilities")
def logits_themselves(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial(logits / temperature, 1, generator=generator)[:, 0]


@wrong("All rows are drawn alike")
def mean_row_for_all(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = (logits / temperature).softmax(dim=-1).mean(dim=0)
    return torch.multinomial(p, len(logits), replacement=True, generator=generator)


@wrong("Multiplied by the temperature")
def multiplied(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits * temperature).softmax(dim=-1), 1, generator=generator)[:, 0]


@wrong("The temperature changes nothing")
def noise_divided_too(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    noise = -torch.log(-torch.log(torch.rand(logits.shape, generator=generator)))
    return ((logits + noise) / temperature).argmax(dim=-1)


@wrong("Nothing is returned")
def nothing_returned(logits, temperature, generator):
    if temperature == 0:
        token = logits.argmax(dim=-1)
    token = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Every id is one too low")
def numbered_from_one(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = torch.softmax(logits / temperature, dim=-1)
    numbers = torch.multinomial(p, 1, generator=generator)[:, 0]
    return (numbers - 1) % logits.shape[1]


@wrong("One draw for all rows")
def one_draw_for_all(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    below = (logits / temperature).softmax(-1).cumsum(dim=-1)
    drawn = torch.rand(1, generator=generator)
    return (below < drawn).sum(dim=-1).clamp(max=logits.shape[1] - 1)


@wrong("One draw for all rows")
def one_gumbel_for_all(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    noise = -torch.log(-torch.log(torch.rand(logits.shape[1], generator=generator)))
    return (logits / temperature + noise).argmax(dim=-1)


@wrong("Softmax over the batch")
def over_the_batch(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(dim=0), 1, generator=generator)[:, 0]


@wrong("Multiplied by the temperature")
def power_of_probabilities(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial(logits.softmax(dim=-1) ** temperature, 1, generator=generator)[:, 0]


@wrong("The temperature changes nothing")
def probabilities_divided(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial(logits.softmax(dim=-1) / temperature, 1, generator=generator)[:, 0]


@wrong("Values, not token ids")
def probability_of_the_draw(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = (logits / temperature).softmax(-1)
    ids = torch.multinomial(p, 1, generator=generator)
    return p.gather(1, ids)[:, 0]


@wrong("Places in the sorted row")
def rank(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = (logits / temperature).softmax(-1).sort(dim=-1, descending=True).values
    return torch.multinomial(p, 1, generator=generator)[:, 0]


@wrong("Divided by √temperature")
def root(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature**0.5).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Every call draws the same")
def seed_of_the_generator(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    torch.manual_seed(generator.initial_seed())
    return torch.multinomial((logits / temperature).softmax(-1), 1)[:, 0]


@wrong("Sigmoid, not softmax")
def sigmoid(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).sigmoid(), 1, generator=generator)[:, 0]


@wrong("The least probable is the most frequent")
def sign(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((-logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Softmax comes twice")
def softmax_twice(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1).softmax(-1), 1, generator=generator)[:, 0]


@wrong("The temperature changes nothing", "The temperature is taken away, not divided by")
def subtracted(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits - temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Softmax comes twice")
def temperature_after_softmax(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits.softmax(-1) / temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Some tokens can never come")
def top_five_only(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    values, ids = logits.topk(min(5, logits.shape[-1]))
    places = torch.multinomial((values / temperature).softmax(-1), 1, generator=generator)
    return ids.gather(1, places)[:, 0]


@wrong(ANY)
def top_two_only(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    values, ids = logits.topk(2, dim=-1)
    place = torch.multinomial((values / temperature).softmax(-1), 1, generator=generator)
    return ids.gather(1, place)[:, 0]


@wrong("The temperature twice")
def twice(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits / temperature
    logits = logits / temperature
    return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]


@wrong("Every token is as likely")
def uniform(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial(torch.ones_like(logits), 1, generator=generator)[:, 0]


@wrong("These are no probabilities")
def zero_divides(logits, temperature, generator):
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Division by zero")
def zero_divides_python(logits, temperature, generator):
    scale = 1 / temperature
    return torch.multinomial((logits * scale).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Temperature 0 does not take the most probable")
def zero_is_a_small_number(logits, temperature, generator):
    temperature = max(temperature, 1.0) if temperature == 0 else temperature
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Temperature 0 does not take the most probable")
def zero_is_a_twentieth(logits, temperature, generator):
    probabilities = (logits / (max(temperature, 0.05))).softmax(-1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]


@wrong("Temperature 0 does not take the most probable")
def zero_is_nearly_zero(logits, temperature, generator):
    probabilities = (logits / (temperature + 1e-3)).softmax(-1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]


@wrong("Temperature 0 does not take the most probable")
def zero_is_one(logits, temperature, generator):
    if temperature:
        logits = logits / temperature
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


@wrong("One token for the whole batch")
def zero_over_everything(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax()
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Chosen down the columns")
def zero_over_the_batch(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=0)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Not a tensor")
def zero_takes_a_pair(logits, temperature, generator):
    if temperature == 0:
        return logits.max(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Temperature 0 takes the least probable")
def zero_takes_the_worst(logits, temperature, generator):
    if temperature == 0:
        return logits.argmin(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Values, not token ids")
def zero_takes_values(logits, temperature, generator):
    if temperature == 0:
        return logits.max(dim=-1).values
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


wrong(
    "generator_copied",
    "Every call draws the same",
    of=as_asked,
    put={
        "ids = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]": "generator = torch.Generator().set_state(generator.get_state())"
    },
)
wrong(
    "global_seeded_too",
    "The global generator was touched",
    of=as_asked,
    put={
        "ids = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]": "torch.manual_seed(0)"
    },
)
wrong(
    "a_list",
    "Not a tensor",
    of=as_asked,
    put={
        "return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]": "return ids.tolist()"
    },
)
wrong(
    "off_by_one_wraps",
    "Every id is one too high",
    of=as_asked,
    put={
        "return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]": "return (ids + 1) % logits.shape[1]"
    },
)
wrong(
    "one_hot",
    "One-hot rows, not ids",
    of=as_asked,
    put={
        "return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]": "return F.one_hot(ids, logits.shape[1])"
    },
)
wrong(
    "own_generator",
    "Every call draws the same",
    of=as_asked,
    put={
        "ids = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]": "generator = torch.Generator().manual_seed(1234)"
    },
)
wrong(
    "reseeded",
    "Every call draws the same",
    of=as_asked,
    put={
        "ids = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]": "generator.manual_seed(0)"
    },
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("Temperature 0 does not take the most probable", ANY)
def eps(logits, temperature, generator):
    return torch.multinomial((logits / (temperature + 1e-3)).softmax(-1), 1, generator=generator)[:, 0]


@blind("All rows are drawn like row 0", ANY)
def first_row_dist_for_all(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial((logits[0] / temperature).softmax(-1), len(logits), replacement=True, generator=generator)


@blind("The draw does not come from `generator`", ANY)
def global_rng(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1)[:, 0]


@blind("Every call draws the same", ANY)
def manual_seed_0(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    generator.manual_seed(0)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@blind("Temperature 0 does not take the most probable", ANY)
def max_eps_small_ok(logits, temperature, generator):
    return torch.multinomial((logits / max(temperature, 0.05)).softmax(-1), 1, generator=generator)[:, 0]


@blind("These are no probabilities", ANY)
def no_zero(logits, temperature, generator):
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@blind("Sigmoid, not softmax", ANY)
def power_of_sigmoid(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits / temperature).sigmoid()
    return torch.multinomial(p / p.sum(-1, keepdim=True), 1, generator=generator)[:, 0]


@blind("The temperature changes nothing", ANY)
def prob_t(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial(logits.softmax(-1) / temperature, 1, generator=generator)[:, 0]


@blind("One draw for all rows", ANY)
def same_u_for_all_rows(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits / temperature).softmax(-1).cumsum(-1)
    u = torch.rand(1, generator=generator)
    return (p < u).sum(-1)


@blind("Every call draws the same", ANY)
def seed_global_from_generator(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    torch.manual_seed(generator.initial_seed())
    return torch.multinomial((logits / temperature).softmax(-1), 1)[:, 0]


@blind("A column, not a row of ids", ANY)
def shape_b1(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)


@blind("The temperature changes nothing", ANY)
def t_ignored(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


@blind("Multiplied by the temperature", ANY)
def times_t(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial((logits * temperature).softmax(-1), 1, generator=generator)[:, 0]


@blind("Some tokens can never come", ANY)
def top_5_only(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    v, i = logits.topk(min(5, logits.shape[-1]))
    return i.gather(1, torch.multinomial((v / temperature).softmax(-1), 1, generator=generator))[:, 0]


@blind("Temperature 0 does not take the most probable", ANY)
def uniform_at_t0(logits, temperature, generator):
    if temperature == 0:
        return torch.zeros(len(logits), dtype=torch.int64)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


@wrong("Some tokens can never come")
def best_fifty(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    values, ids = (logits / temperature).topk(min(50, logits.shape[1]))
    return ids.gather(1, torch.multinomial(values.softmax(dim=-1), 1, generator=generator)).squeeze(1)


@wrong("Some tokens can never come")
def nucleus(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    shares, ids = (logits / temperature).softmax(dim=-1).sort(descending=True)
    shares = shares * (shares.cumsum(dim=-1) - shares < 0.99)
    return ids.gather(1, torch.multinomial(shares, 1, generator=generator)).squeeze(1)


@wrong("The draws have other probabilities")
def never_below_a_twentieth(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    shares = (logits / max(temperature, 0.05)).softmax(dim=-1)
    return torch.multinomial(shares, 1, generator=generator).squeeze(1)


@wrong("A low temperature is taken for 0")
def low_is_zero(logits, temperature, generator):
    if temperature < 0.05:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(dim=-1), 1, generator=generator)[:, 0]


wrong("very_low_is_zero", "A low temperature is taken for 0", of=low_is_zero, put={"< 0.05": "< 0.005"})

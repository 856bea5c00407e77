"""The checks of lesson 11: what they ask for is what the package computes, and what a learner sees of a case."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch

from moe_lite import families
from moe_lite.checks import lesson11
from moe_lite.checks.card.card import card_html
from moe_lite.checks.engine import sweep
from moe_lite.checks.engine.as_code import given, input_code
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.lesson11.config_slips import SLIPS, totals
from moe_lite.checks.registry import exercises
from moe_lite.lab import hosting
from moe_lite.lessons import serving

FUNCTIONS = {"11.2": serving.memory_bytes, "11.3": serving.tokens_per_second, "11.4": serving.break_even}
IDS = ("11.1", *FUNCTIONS)


def every_trial(id: str) -> list:
    exercise = exercises()[id]
    return [trial for case in (*exercise.cases(), *sweep.cases(exercise)) for trial in case.trials]


@pytest.mark.parametrize("id", FUNCTIONS)
def test_what_the_package_computes_is_what_the_exercise_asks_for(id):
    result = grade(exercises()[id], FUNCTIONS[id])
    assert result.status == "pass", f"{result}: {result.mistake}"
    assert lesson11.EXERCISES[int(id.split(".")[1]) - 1].name == FUNCTIONS[id].__name__ == result.name


def test_a_hand_worked_count():
    # vocabulary 2·10·4 = 80; attention 16 + 8 + 8 + 16 = 48; router 5·4 = 20; an expert 3·4·6 = 72; norms 3·4 = 12
    config = dict(vocab_size=10, hidden_size=4, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                  intermediate_size=6, num_local_experts=5, num_experts_per_tok=2)  # fmt: skip
    assert totals(config) == (80 + 48 + 20 + 5 * 72 + 12, 80 + 48 + 20 + 2 * 72 + 12)


def test_the_count_is_that_of_the_package_for_a_config_of_the_same_fields():
    for trial in exercises()["11.1"].cases()[-1].trials:
        config = trial.args[0] | {"model_type": "mixtral"}
        count = families.count(families.from_hf_config(config))
        assert totals(config) == (count.total.all, count.active.all), trial.note
    assert totals(exercises()["11.1"].cases()[-1].trials[0].args[0]) == (46_702_792_704, 12_879_925_248)


@pytest.mark.parametrize("name", ["total", "active"])
def test_no_two_slips_of_the_count_look_alike(name):
    """A slip in both numbers and one in `active` alone differ by `total`."""
    for trial in exercises()["11.1"].cases()[0].trials:
        config = trial.args[0]
        added = [(slip, slip.added(name, config)) for slip in SLIPS]
        for (one, a), (other, b) in combinations([(slip, n) for slip, n in added if n], 2):
            told_apart = name == "active" and slip_in_total(one, config) != slip_in_total(other, config)
            assert one.title == other.title or told_apart or abs(a - b) >= 2, (one.title, other.title, trial.note)


def slip_in_total(slip, config) -> bool:
    return slip.added("total", config) != 0


def test_weights_fill_whole_bytes_and_whole_groups():
    for trial in every_trial("11.2"):
        model, bits, group, _, _ = trial.args
        assert model.total % group == 0 and model.total * bits % 8 == 0, trial.note


def test_steps_wait_for_either_and_never_for_both():
    """A right answer that adds up in another order must not end on the other side."""
    bound = {True: 0, False: 0}
    for trial in every_trial("11.3"):
        one = serving.step(*trial.args)
        assert abs(one.moving / one.computing - 1) > 1e-3, trial.note
        bound[one.moving > one.computing] += 1
    assert min(bound.values()) > 0.3 * sum(bound.values())


def ways_to_compute(factors: list[tuple[float, int]]) -> dict[int, set[tuple[float, int]]]:
    """Every value that floats give for a product of these, or its inverse: by the set of factors, as bits.

    A factor's sign says whether it is multiplied or divided by; a value's, whether it is the product or its inverse.
    """
    found = {1 << i: {factor} for i, factor in enumerate(factors)}
    for whole in range(1, 1 << len(factors)):
        if whole in found:
            continue
        found[whole] = set()
        for part in range(1, whole):
            if part & whole == part:
                for x, side in found[part]:
                    for y, other in found[whole ^ part]:
                        found[whole] |= {(x * y, side)} if side == other else {(x / y, side), (y / x, other)}
    return found


def test_just_as_dear_is_so_in_whatever_order_floats_are_multiplied():
    cases = {case.name: case for case in exercises()["11.4"].cases()}
    for trial in cases["just as dear at full load"].trials:
        dollars, speed, price = trial.args
        assert Fraction(dollars) * 10**6 == Fraction(speed) * 3600 * Fraction(price)
        found = ways_to_compute([(dollars, 1), (3600.0, -1), (speed, -1), (1e6, 1), (price, -1)])
        everything = max(found)
        assert {value for value, _ in found[everything]} == {1.0}
        for part in range(1, everything):
            assert all(x == y for x, one in found[part] for y, other in found[everything ^ part] if one != other)


def test_no_other_fraction_is_so_near_to_1_that_rounding_decides():
    for trial in every_trial("11.4"):
        dollars, speed, price = trial.args
        exact = serving.price_per_million(dollars, speed) / price
        assert exact == 1 or abs(exact - 1) > 1e-4, trial.note


@pytest.mark.parametrize("id", IDS)
def test_an_input_runs_again_in_a_cell_that_has_nothing(id):
    exercise = exercises()[id]
    for trial in every_trial(id)[:4]:
        names: dict = {}
        exec(input_code(exercise, trial).rsplit("\n", 1)[0], names)
        assert tuple(names[name] for name in exercise.parameters) == trial.args


@pytest.mark.parametrize("id", IDS)
def test_the_card_of_a_wrong_answer_shows_the_numbers_of_the_case(id):
    exercise = exercises()[id]
    result = grade(exercise, lambda *args: (7, 7) if id == "11.1" else 7)
    html = card_html(result)
    shown = [value for values in result.evidence.given.values() for value in values.values()]
    assert len(shown) >= 3
    for value in shown:
        assert (f"<td>{value:,}</td>" if isinstance(value, int) else f"<td>{value:,.6g}</td>") in html
    assert "copy this input" in html and "expected <code>" in html and "yours <code>7" in html


def test_a_tensor_is_not_laid_out_as_a_few_numbers():
    exercise = exercises()["3.2"]
    assert given(exercise, exercise.cases()[0].trials[0]) == {}


@pytest.mark.parametrize("change", [lambda c: c.pop("vocab_size"), lambda c: c.update(vocab_size=1)])
def test_a_config_that_is_changed_is_noticed_and_does_not_reach_the_next_trial(change):
    def count_parameters(config):
        answer = totals(config)
        change(config)
        return answer

    result = grade(exercises()["11.1"], count_parameters)
    assert result.mistake.title == "Your function changed its input" and "`config`" in result.mistake.sentence
    assert dict(result.cases)["all parameters"] is True


RETURNED = {
    "None": (lambda right: None, "Nothing is returned"),
    "a tensor": (lambda right: torch.tensor(right), "Not a whole number"),
    "text": (lambda right: str(right), "Not a whole number"),
    "a list": (lambda right: [right], "Not a whole number"),
    "a bool": (lambda right: True, "Not a whole number"),
    "a fraction": (lambda right: Fraction(right), "Not a whole number"),
    "a float": (lambda right: float(right), "A float, where a whole number is asked"),
}


@pytest.mark.parametrize("returned, title", RETURNED.values(), ids=RETURNED)
def test_what_is_no_int_is_named(returned, title):
    assert grade(exercises()["11.2"], lambda *a: returned(serving.memory_bytes(*a))).mistake.title == title
    both = grade(exercises()["11.1"], lambda config: tuple(map(returned, totals(config))))
    assert both.mistake.title == ("Not a whole number" if title == "Nothing is returned" else title)


@pytest.mark.parametrize("id", ["11.3", "11.4"])
def test_what_is_no_float_is_named(id):
    for returned in (
        torch.tensor,
        str,
        lambda right: [right],
        Fraction.from_float,
        np.float32,
        lambda right: right > 1,
    ):
        if returned == Fraction.from_float and id == "11.4":
            continue  # there is no fraction for inf
        assert grade(exercises()[id], lambda *a, r=returned: r(FUNCTIONS[id](*a))).mistake.title == "Not a plain float"

    def forgets_to_return(*args):
        FUNCTIONS[id](*args)

    assert grade(exercises()[id], forgets_to_return).mistake.title == "Nothing is returned"


def test_numbers_of_numpy_are_numbers():
    assert grade(exercises()["11.1"], lambda config: tuple(map(np.int64, totals(config)))).status == "pass"
    assert grade(exercises()["11.2"], lambda *a: np.int64(serving.memory_bytes(*a))).status == "pass"
    for id in ("11.3", "11.4"):
        assert grade(exercises()[id], lambda *a, id=id: np.float64(FUNCTIONS[id](*a))).status == "pass"


@pytest.mark.parametrize("n", [0, 1, 3])
def test_another_number_of_results_is_named(n):
    result = grade(exercises()["11.1"], lambda config: (totals(config) * 2)[:n])
    assert result.mistake.title == "Wrong number of results"


@pytest.mark.parametrize(
    "id, learner, title, quoted",
    [
        ("11.1", lambda config: config["hidden_sizes"], "No such field", "Did you mean `hidden_size`?"),
        ("11.1", lambda config: config["shared"], "No such field", "`num_experts_per_tok`"),
        ("11.1", lambda config: config.hidden_size, "A dict is read with brackets", '`config["hidden_size"]`'),
        ("11.2", lambda m, bits, g, c, b: m.totals, "No such field", "Did you mean `total`?"),
        ("11.3", lambda m, machine, b: m["common_bytes"], "Fields are read with a dot", "`model.common_bytes`"),
        ("11.3", lambda m, machine, b: m.n_expert / 0, "No such field", "Did you mean `n_experts`?"),
        ("11.3", lambda m, machine, b: machine.speed, "No such field", "`bandwidth` and `flops`"),
        (
            "11.3",
            lambda m, machine, b: b / (b - b * m.n_experts // m.n_experts),
            "A dense model has no experts",
            "`if`",
        ),
    ],
)
def test_a_field_that_is_asked_for_wrongly_is_named(id, learner, title, quoted):
    exercise = exercises()[id]
    if title == "A dense model has no experts":  # everything before is right
        asked, right = learner, serving.tokens_per_second
        learner = lambda m, machine, b: right(m, machine, b) if m.n_experts else asked(m, machine, b)  # noqa: E731
    result = grade(exercise, learner)
    assert (result.status, result.mistake.title) == ("stopped", title)
    assert quoted in result.mistake.sentence


def test_every_sentence_of_a_step_quotes_its_own_times():
    model, machine, batch = exercises()["11.3"].cases()[2].trials[0].args
    one = serving.step(model, machine, batch)
    result = grade(exercises()["11.3"], lambda m, k, b: b / sum(serving.step(m, k, b)[-2:]))
    assert result.mistake.title == "The two times are added"
    assert f"{one.moving:.4f}" in result.mistake.sentence and f"{one.computing:.4f}" in result.mistake.sentence
    assert math.isclose(batch / one.seconds, serving.tokens_per_second(model, machine, batch))


def test_mixtral_on_an_h100_has_the_numbers_of_the_package():
    """Three batches wait for bytes, the last one for FLOPs."""
    trials = exercises()["11.3"].cases()[-1].trials
    assert [serving.step(*trial.args).bound for trial in trials] == ["bandwidth"] * 3 + ["arithmetic"]
    for trial in trials:
        model, machine, batch = trial.args
        context = 256 if "256 tokens" in trial.note else 4096
        assert model == hosting.footprint("Mixtral-8x7B", 4, context)
        assert machine == hosting.accelerator("H100 SXM").machine
        assert batch <= serving.largest_batch(model, machine)

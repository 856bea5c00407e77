"""Lesson 01's references, cases and thresholds: equal to PyTorch's and to the real model, and far enough apart."""

import math
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F

from moe_lite import experts, metrics, transformer
from moe_lite.checks.card.card import card_html
from moe_lite.checks.engine.exercise import Exercise
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.lesson01.count_slips import SLIPS, totals
from moe_lite.checks.lesson01.sample_token import N_CALLS, ROWS
from moe_lite.checks.registry import exercises
from moe_lite.model.config import ModelConfig


def trials(exercise: Exercise):
    return [trial for case in exercise.cases() for trial in case.trials]


def gradients(fn, args):
    """The gradient of a sum in which every value has another weight."""
    args = [a.clone().requires_grad_(a.is_floating_point()) for a in args]
    out = fn(*args)
    (out * torch.arange(1.0, out.numel() + 1).reshape(out.shape)).sum().backward()
    return [a.grad for a in args if a.grad is not None]


def torchs_swiglu(x, w_gate, w_up, w_down):
    return experts.swiglu(x, torch.cat([w_gate, w_up]), w_down)


def torchs_attention(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@pytest.mark.parametrize(
    "id, own, library",
    [
        ("1.1", exercises()["1.1"].reference, F.cross_entropy),
        ("1.2", exercises()["1.2"].reference, torchs_swiglu),
        ("1.5", exercises()["1.5"].reference, torchs_attention),
    ],
)
def test_references_equal_the_librarys_in_value_and_gradient(id, own, library):
    compared = 0
    for trial in trials(exercises()[id]):
        torch.testing.assert_close(own(*trial.args), library(*trial.args), rtol=1e-4, atol=1e-6)
        if trial.args[0].dtype == torch.float64:
            torch.testing.assert_close(gradients(own, trial.args), gradients(library, trial.args), rtol=1e-4, atol=1e-6)
            compared += 1
    assert compared >= 6


def test_counts_equal_those_of_real_models():
    small = [trial.args for trial in trials(exercises()["1.3"]) if trial.args[0].vocab_size < 5000]
    assert len(small) >= 5
    for config, context in {(c, n): 0 for c, n in small}:
        model = transformer.MoELanguageModel(config)
        counted = metrics.count_parameters(model).total, metrics.flops_per_token(model, context)
        assert totals(config, context) == counted


def test_a_hand_worked_count():
    # embedding and head 2·10·4 = 80; attention 16 + 8 + 8 + 16 = 48; SwiGLU 3·4·6 = 72; norms 3·4 = 12
    config = ModelConfig(vocab_size=10, n_layers=1, d_model=4, n_heads=2, n_kv_heads=1, d_expert=6, n_experts=1)
    # FLOPs: 2·(48 + 72 + 40) = 320; scores and mix 4·2·2·7 = 112
    assert totals(config, 7) == (80 + 48 + 72 + 12, 320 + 112)


@pytest.mark.parametrize("name", ["n_parameters", "flops"])
def test_no_two_slips_of_the_count_look_alike(name):
    for trial in exercises()["1.3"].cases()[0].trials:
        added = [(slip.title, slip.added(name, *trial.args)) for slip in SLIPS]
        for (one, a), (other, b) in combinations([(title, n) for title, n in added if n], 2):
            assert one == other or a != b, (one, other, trial.note)


def test_shares_of_right_samplers_lie_well_within_the_limit():
    """A share of n draws is further than t off with a chance of at most 2·exp(−2nt²) (Hoeffding)."""
    drawn = [trial for trial in trials(exercises()["1.4"]) if trial.draws]
    limit = exercises()["1.4"].draws.within
    cells = sum(trial.args[0][:3].numel() for trial in drawn)
    chance = cells * max(2 * math.exp(-2 * trial.draws * limit(trial) ** 2) for trial in drawn)
    assert 0 < chance < 1e-6
    for trial in drawn:
        if trial.calls == 1:
            ids = transformer.sample_token(*trial.args[:2], torch.Generator().manual_seed(1234))  # (3n,)
            n = trial.args[0].shape[1]
            got = torch.stack([F.one_hot(row, n).double().mean(dim=0) for row in ids.reshape(-1, 3).T])
            right = (trial.args[0][:3].double() / trial.args[1]).softmax(dim=-1)
            assert 0 < (got - right).abs().max() < limit(trial) / 2


def test_every_wrong_way_to_draw_is_further_off_than_the_limit():
    """Each rule differs from the right probabilities by twice the limit in some case, so that chance cannot hide it."""
    rows, trial = ROWS.double(), exercises()["1.4"].cases()[2].trials[0]
    limit = exercises()["1.4"].draws.within(trial)
    wrong = {
        "ignored": lambda z, t: z, "multiplied": lambda z, t: z * t, "twice": lambda z, t: z / t**2,
        "root": lambda z, t: z / t**0.5, "sign": lambda z, t: -z / t, "softmax twice": lambda z, t: (z / t).softmax(1),
        "sigmoid": lambda z, t: (z / t).sigmoid().log(), "batch": lambda z, t: (z / t).log_softmax(0),
        "one row": lambda z, t: (z / t)[:1].expand_as(z), "sorted": lambda z, t: (z / t).sort(1).values,
        "shifted": lambda z, t: (z / t).roll(1, dims=1), "uniform": lambda z, t: 0 * z,
    }  # fmt: skip
    for name, rule in wrong.items():
        off = max(float((rule(rows, t).softmax(1) - (rows / t).softmax(1)).abs().max()) for t in (1.0, 0.5, 2.0))
        assert off > 2 * limit, f"{name}: {off:.3f} off, the limit is {limit:.3f}"


def test_many_seeds_of_a_right_sampler_all_pass():
    exercise = exercises()["1.4"]
    for seed in range(5):
        offset = torch.Generator().manual_seed(seed)

        def sample_token(logits, temperature, generator, offset=offset):
            if temperature == 0:
                return logits.argmax(dim=-1)
            generator.manual_seed(int(torch.randint(2**40, (), generator=offset)))
            return torch.multinomial((logits / temperature).softmax(dim=-1), 1, generator=generator)[:, 0]

        result = grade(exercise, sample_token)
        marks = dict(result.cases)
        assert [name for name, ok in marks.items() if ok is False] == ["only the given generator"], result


def test_the_packages_own_functions_pass():
    for id, fn in {"1.1": F.cross_entropy, "1.2": torchs_swiglu, "1.4": transformer.sample_token,
                   "1.5": torchs_attention}.items():  # fmt: skip
        exercise = exercises()[id]
        result = grade(exercise, lambda *args, fn=fn: fn(*args))
        assert result.status == "pass", f"{result}: {result.mistake}"


def test_a_wrong_share_is_drawn_beside_the_right_one_with_its_own_tolerance():
    def sample_token(logits, temperature, generator):
        if temperature == 0:
            return logits.argmax(dim=-1)
        return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]

    result = grade(exercises()["1.4"], sample_token)
    evidence = result.evidence
    assert result.mistake.title == "The temperature changes nothing"
    assert evidence.where == "case 4 of 9, 9,000 rows of 5 tokens, temperature 0.5"
    assert evidence.label == "shares (row, V)" and evidence.expected.shape == (3, 5)
    far = (evidence.got - evidence.expected).abs() > evidence.within
    assert evidence.n_wrong == int(far.sum()) and 0 < evidence.n_wrong < 15
    assert card_html(result).count('class="bad"') == evidence.n_wrong


def test_the_input_of_a_draw_is_short_and_runs_again():
    evidence = grade(exercises()["1.4"], lambda logits, temperature, generator: logits.argmin(dim=-1)).evidence
    assert len(evidence.input_code) < 600
    assert ".repeat(3000, 1)" in evidence.input_code and "torch.Generator().manual_seed(7)" in evidence.input_code
    namespace = {"torch": torch}
    exec("\n".join(evidence.input_code.split("\n")[:-1]), namespace)
    trial = exercises()["1.4"].cases()[2].trials[0]
    torch.testing.assert_close(namespace["logits"], trial.args[0], rtol=0, atol=0)
    assert torch.equal(namespace["generator"].get_state(), trial.args[2].get_state())


def test_the_input_of_a_count_is_a_config_that_can_be_made_again():
    evidence = grade(exercises()["1.3"], lambda config, context: (1, 1)).evidence
    namespace = {"ModelConfig": ModelConfig}
    *lines, call = evidence.input_code.split("\n")
    exec("\n".join(lines), namespace)
    assert (namespace["config"], namespace["context"]) == exercises()["1.3"].cases()[0].trials[0].args
    assert namespace["config"].vocab_size == 1009 and call == "count_dense(config, context)"
    assert evidence.pinned == "expected 306,540, yours 1"


def test_a_generator_reaches_each_call_as_it_left_the_last_but_each_trial_anew():
    seen = []

    def sample_token(logits, temperature, generator):
        seen.append(generator.get_state())
        return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]

    grade(exercises()["1.4"], sample_token)
    same = [torch.equal(a, b) for a, b in zip(seen, seen[1:], strict=False)]
    assert len(seen) > N_CALLS and not all(same)
    first = exercises()["1.4"].cases()[0].trials[0].args[2].get_state()
    assert torch.equal(seen[0], first), "the trial's generator moved on with an earlier check"


def test_the_same_nan_twice_is_one_answer():
    """A case for memory looks at whether two calls agree, not at whether they are right."""
    result = grade(exercises()["1.5"], lambda q, k, v: q * k * v * float("nan"))
    assert dict(result.cases)["input unchanged, no memory"] is True
    assert dict(result.cases)["weighted sums"] is False

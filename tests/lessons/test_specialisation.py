"""What experts depend on, on data where that was planted."""

from dataclasses import replace

import pytest
import torch
from small import generator, model_with_opinions, small_corpora, small_model

from moe_lite import data
from moe_lite.lessons import specialisation as spec
from moe_lite.lessons.specialisation import Reading


def reading_of(token_ids, expert_ids, n_experts, domains=None) -> Reading:
    """A reading of one layer: token_ids (N,), expert_ids (N, K), equal weights."""
    n, k = expert_ids.shape
    domains = torch.zeros(n, dtype=torch.int64) if domains is None else domains
    return Reading(
        token_ids, domains, tuple(f"d{i}" for i in range(int(domains.max()) + 1)), torch.arange(n),
        torch.zeros(n, dtype=torch.int64), expert_ids[None], torch.full((1, n, k), 1 / k), n_experts, (0,),
    )  # fmt: skip


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_a_reading_is_what_the_model_chooses_window_by_window():
    model, corpora = small_model().train(), small_corpora()
    reading = spec.read(model, corpora, windows=2, length=16)
    assert model.training
    assert reading.experts.shape == reading.weights.shape == (3, 3 * 2 * 16, 2) and reading.layers == (0, 1, 2)
    assert reading.domain_names == ("up", "threes", "chance")
    assert torch.bincount(reading.domains).tolist() == [32, 32, 32]
    assert reading.positions[:33].tolist() == [*range(16), *range(16), 0]
    assert reading.windows[::16].tolist() == [*range(6)]
    batches = data.validation_batches(corpora, 16, max_windows=2)
    with torch.no_grad():
        weights, experts = model.eval()(batches["threes"].ids).routing[1].top_k
    assert torch.equal(reading.token_ids[32:64], batches["threes"].ids.flatten())
    assert torch.equal(reading.experts[1, 32:64], experts)
    torch.testing.assert_close(reading.weights[1, 32:64], weights)
    assert reading.load.sum(dim=1).tolist() == [192, 192, 192]


def test_every_domain_gives_as_many_tokens_as_the_shortest_has():
    corpora = small_corpora()
    corpora["up"] = replace(corpora["up"], val=corpora["up"].val[:40])
    reading = spec.read(small_model(), corpora, length=16)
    assert torch.bincount(reading.domains).tolist() == [32, 32, 32]
    with pytest.raises(ValueError, match="windows is 3, but the shortest domain has 2 of 16 tokens"):
        spec.read(small_model(), corpora, length=16, windows=3)
    with pytest.raises(ValueError, match="up's val split of 40 tokens"):
        spec.read(small_model(), corpora | {"up": corpora["up"]}, length=64)


def test_training_text_is_read_on_request():
    corpora = small_corpora()
    reading = spec.read(small_model(), corpora, windows=1, length=16, split="train")
    assert torch.equal(reading.token_ids[32:48], corpora["chance"].train[:16].long())
    with pytest.raises(ValueError, match="split is 'test'"):
        spec.read(small_model(), corpora, split="test")


def test_dense_layers_are_left_out_and_keep_their_number():
    reading = spec.read_ids(small_model(n_dense_layers=1), torch.arange(12).view(2, 6))
    assert reading.layers == (1, 2) and len(reading.experts) == 2
    assert reading.domain_names == ("text",) and not reading.domains.any()


def test_models_without_a_table_of_choices_are_refused():
    ids = torch.arange(12).view(2, 6)
    with pytest.raises(ValueError, match="this model is dense"):
        spec.read_ids(small_model(n_experts=1), ids)
    with pytest.raises(ValueError, match="experts each, so there is no"):
        spec.read_ids(small_model(router="expert_choice", allow_lookahead=True, renorm=False), ids)


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_classes_of_tokens_by_hand():
    classes, names = spec.token_classes(), spec.TOKEN_CLASSES
    assert classes.shape == (2048,) and classes.unique().tolist() == [0, 1, 2, 3, 4, 5]
    for text, name in {
        " the": "starts a word", "ing": "goes on with a word", "T": "goes on with a word", " più": "starts a word",
        "7": "digit", "(": "punctuation or operator", " =": "punctuation or operator", "«": "punctuation or operator",
        "\n": "space or line break", "    ": "space or line break", " ": "space or line break",
    }.items():  # fmt: skip
        (token,) = data.encode(text)
        assert names[classes[token]] == name, text
    assert {names[classes[token]] for token in data.encode("🦙\x00")} == {"other bytes"}


def test_counts_and_lift_by_hand():
    experts, labels = torch.tensor([[0, 1], [0, 2], [1, 0], [2, 1]]), torch.tensor([0, 0, 1, 1])
    table = spec.expert_table(experts, labels, 4, 2)
    assert table.tolist() == [[2, 1], [1, 2], [1, 1], [0, 0]]
    # expert 0 has 3 of 8 assignments, label 0 has 4 of 8: expected 1.5
    lift = spec.lift(table)
    torch.testing.assert_close(lift[:3], torch.tensor([[4 / 3, 2 / 3], [2 / 3, 4 / 3], [1, 1]], dtype=torch.float64))
    assert lift[3].isnan().all()
    assert spec.expert_table(experts[:, 0], labels, 4, 2).tolist() == [[2, 0], [0, 1], [0, 1], [0, 0]]


def test_counts_refuse_what_they_cannot_count():
    with pytest.raises(ValueError, match="expert_ids run from 0 to 4, expected 0 to 3"):
        spec.expert_table(torch.tensor([0, 4]), torch.tensor([0, 0]), 4, 1)
    with pytest.raises(ValueError, match="labels run from -1 to 0"):
        spec.expert_table(torch.tensor([0, 3]), torch.tensor([0, -1]), 4, 1)
    with pytest.raises(ValueError, match="of 2 tokens, labels of 1"):
        spec.expert_table(torch.tensor([0, 3]), torch.tensor([0]), 4, 1)


def test_top_tokens_by_hand():
    """Expert 1 gets token 5 always, token 6 half of the time, token 7 never; token 8 came only once."""
    token_ids = torch.tensor([5] * 6 + [6] * 4 + [7] * 9 + [8])
    first = torch.tensor([1] * 6 + [1, 1, 0, 0] + [0] * 9 + [1])
    reading = reading_of(token_ids, torch.stack([first, torch.full_like(first, 2)], dim=1), 3)
    best, second = spec.top_tokens(reading, 0, 1, least=4)
    assert (best.token_id, best.count, best.share, best.text) == (5, 6, 1.0, data.token_pieces([5])[0])
    assert best.lift == pytest.approx(20 / 9)  # the expert has 9 of 20 tokens
    assert (second.token_id, second.count, second.share) == (6, 2, 0.5)
    assert [t.token_id for t in spec.top_tokens(reading, 0, 1, least=1)] == [5, 8, 6]
    assert [t.token_id for t in spec.top_tokens(reading, 0, 1, n=1)] == [5]
    assert spec.top_tokens(reading, 0, 2) == []  # every token has it: nothing stands out
    with pytest.raises(ValueError, match="layer is 3; read were the layers 0"):
        spec.top_tokens(reading, 3, 1)
    with pytest.raises(ValueError, match="expert is 3; there are experts 0 to 2"):
        spec.top_tokens(reading, 0, 3)


def test_a_reading_of_a_real_model_has_top_tokens():
    model = model_with_opinions()
    reading = spec.read_ids(model, torch.tensor([data.encode("to be or not to be, that is the question. " * 4)[:48]]))
    for found in spec.top_tokens(reading, 2, int(reading.load[2].argmin()), least=2):
        at = reading.token_ids == found.token_id
        assert found.count == int((reading.experts[2][at] == reading.load[2].argmin()).sum()) and found.lift > 1


def test_mass_by_hand():
    """Domain 0: weights .75 + .5 for expert 0 of 2 in all; domain 1: all of its weight for expert 2."""
    reading = reading_of(torch.arange(3), torch.tensor([[0, 1], [0, 2], [2, 1]]), 3, torch.tensor([0, 0, 1]))
    weights = torch.tensor([[[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]]])
    mass = replace(reading, weights=weights).mass(0)
    torch.testing.assert_close(mass, torch.tensor([[0.625, 0.125, 0.25], [0, 0, 1]], dtype=torch.float64))


# ---- information -----------------------------------------------------------------------------------------------------

N = 4000


def drawn(chances, seed: int) -> torch.Tensor:
    """(N,) int64 from these chances."""
    return torch.multinomial(torch.tensor(chances), N, replacement=True, generator=generator(seed))


def noise(n_experts: int, k: int, seed: int, n: int = N) -> torch.Tensor:
    """(n, k): different experts, all equally likely."""
    return torch.rand(n, n_experts, generator=generator(seed)).topk(k).indices


def test_information_by_hand():
    assert spec.entropy(torch.tensor([2, 1, 1, 0])) == pytest.approx(1.5)
    assert spec.mutual_information(torch.tensor([[3, 0], [0, 1]])) == pytest.approx(0.811278)  # H(¼)
    assert spec.mutual_information(torch.tensor([[2, 4], [1, 2]])) == pytest.approx(0, abs=1e-12)
    # one yes-no question of four: H(½) + H(¾) − H(½, ¼, ¼)
    assert spec.mutual_information(torch.tensor([[1, 1], [0, 2]])) == pytest.approx(1 + 0.811278 - 1.5)
    # all 4 cells are filled: (2 − 1)(2 − 1) / (2 · 9 ln 2) less
    assert spec.corrected_information(torch.tensor([[2, 4], [1, 2]])) == pytest.approx(-1 / (18 * 0.693147))


def test_experts_that_are_domains_tell_the_domain_whatever_the_token():
    domains, tokens = drawn([0.5, 0.25, 0.25], 0), drawn([0.05] * 20, 1)
    table = spec.expert_table(domains, domains, 3, 3)
    truth = spec.entropy(torch.bincount(domains))
    assert truth == pytest.approx(1.5, abs=0.02)
    assert spec.mutual_information(table) == pytest.approx(truth) == spec.ceiling(table)
    assert spec.corrected_information(table) == pytest.approx(truth, abs=0.001)
    assert spec.shuffled_information(domains, domains, 3, 3).max() < 0.003
    assert spec.conditional_information(domains, domains, tokens) == pytest.approx(truth, abs=0.02)
    assert spec.shuffled_conditional(domains, domains, tokens).max() < 0.03


def test_experts_that_are_tokens_tell_the_domain_through_the_token_only():
    domains = drawn([0.5, 0.5], 0)
    tokens = torch.where(domains == 0, drawn([4.0, 3, 2, 1], 1), drawn([1.0, 2, 3, 4], 2))
    experts = torch.stack([tokens, (tokens + 1) % 4], dim=1)  # (N, 2)
    table = spec.expert_table(experts, domains, 4, 2)
    found = spec.mutual_information(table)
    assert found > 5 * spec.shuffled_information(experts, domains, 4, 2).max() > 0
    through = spec.shuffled_information(experts, domains, 4, 2, within=tokens)
    torch.testing.assert_close(through, torch.full((20,), found, dtype=torch.float64))
    assert spec.conditional_information(experts, domains, tokens) == pytest.approx(0, abs=1e-9)
    assert spec.shuffled_conditional(experts, domains, tokens).abs().max() < 1e-9
    by_token = spec.expert_table(experts, tokens, 4, 4)
    assert spec.mutual_information(by_token) == pytest.approx(spec.ceiling(by_token, top_k=2), abs=1e-9)
    assert spec.ceiling(by_token, top_k=2) == pytest.approx(1, abs=0.01)  # which of the two stays open
    assert spec.corrected_information(by_token, 2) == pytest.approx(spec.mutual_information(by_token), abs=0.001)


def test_what_is_beyond_the_token_is_found_behind_the_baseline():
    """Half of the tokens go by their id, half by their domain."""
    domains, tokens = drawn([0.5, 0.5], 0), drawn([0.02] * 50, 1)
    experts = torch.where(drawn([0.5, 0.5], 2) == 0, tokens % 2, domains)
    found = spec.conditional_information(experts, domains, tokens)
    baseline = spec.shuffled_conditional(experts, domains, tokens)
    truth = 0.811278 - 0.5  # H(expert | token) = H(¾), H(expert | token, domain) = ½ H(1) + ½ H(½)
    assert baseline.max() < found
    assert found - baseline.mean() == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_noise_is_inside_the_baseline_and_corrected_to_nothing(k):
    domains, tokens = drawn([0.2] * 5, 0), drawn([0.02] * 50, 1)
    experts = noise(8, k, seed=2)
    for labels, n in ((domains, 5), (tokens, 50)):
        table = spec.expert_table(experts, labels, 8, n)
        baseline = spec.shuffled_information(experts, labels, 8, n, n=50)
        assert abs(spec.mutual_information(table) - baseline.mean()) < 4 * baseline.std()
        assert abs(spec.corrected_information(table, k)) < 4 * baseline.std()
        # to first order (E − K)(labels − 1) / (2 N K ln 2) bits: K experts without replacement vary less
        assert baseline.mean().item() == pytest.approx((8 - k) * (n - 1) / (2 * N * k * 0.693147), rel=0.1)
    found, beside = (
        spec.conditional_information(experts, domains, tokens),
        spec.shuffled_conditional(experts, domains, tokens),
    )
    assert abs(found - beside.mean()) < 4 * beside.std()


def test_of_many_rare_labels_some_of_what_chance_adds_stays():
    """A limit that the docstring names: 2,000 labels for 4,000 tokens."""
    table = spec.expert_table(noise(8, 2, seed=0), torch.randint(2000, (N,), generator=generator(1)), 8, 2000)
    assert 0.2 < spec.corrected_information(table, 2) < spec.mutual_information(table)


def test_labels_are_shuffled_among_equals_only():
    labels, within = torch.arange(12), torch.tensor([0, 1, 2] * 4)
    moved = spec.shuffled(labels, generator(3), within)
    assert moved.sort().values.tolist() == labels.tolist() and not torch.equal(moved, labels)
    assert torch.equal(within[moved], within)
    assert spec.shuffled(labels, generator(3)).sort().values.tolist() == labels.tolist()
    firsts = {spec.shuffled(labels, generator(seed), within)[0].item() for seed in range(40)}
    assert firsts == {0, 3, 6, 9}


def test_the_same_seed_shuffles_alike():
    experts, domains = noise(4, 1, seed=0), drawn([0.5, 0.5], 1)
    one, same, other = (spec.shuffled_information(experts, domains, 4, 2, n=3, seed=s) for s in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)

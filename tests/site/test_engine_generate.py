"""The page writes on as the package's `generate` does: the same greedy text with any experts muted, the same limit at
context_length; draws follow softmax(logits / temperature), and a seed repeats them."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from engine_page import Engine, opened
from lab import Driver

from moe_lite.checkpoint import pretrained, shipped
from moe_lite.data import SAMPLES, encode
from moe_lite.lessons.interventions import without_experts
from moe_lite.widgets.generation_viewer.view import cut_prompt
from moe_lite.widgets.token_viewer.view import assignment_table

PROMPTS = ["Once upon a time", *(SAMPLES[domain][:60] for domain in ("python", "german"))]
WRITE = """
  const { name, ids, nTokens, ...options } = given, made = [...engine.generate(models[name], ids, nTokens, options)];
  const routing = made.map((each) => each.routing);
  return { tokens: made.map((each) => each.token), routing, last: made.at(-1)?.logits };"""


@pytest.fixture(scope="module")
def engine(browser: Driver, tmp_path_factory) -> Iterator[Engine]:
    with opened(browser, tmp_path_factory.mktemp("models")) as engine:
        yield engine


def write(engine: Engine, n_experts: int, ids, n_tokens: int, **options) -> dict:
    name = engine.load(shipped(n_experts))
    return engine.run(WRITE, name=name, ids=list(ids), nTokens=n_tokens, **({"temperature": 0} | options))


def compare(found: dict, model, ids, n_tokens: int) -> None:
    made = list(model.generate(torch.tensor([ids]), n_tokens, temperature=0))
    assert found["tokens"] == [int(token) for token, _ in made]
    np.testing.assert_allclose(found["last"], made[-1][1].logits[0, -1], atol=1e-4)
    for mine, (_, output) in zip(found["routing"], made, strict=True):
        assert len(mine) == len(output.routing)
        for each, routing in zip(mine, output.routing, strict=True):
            experts, weights = assignment_table(routing)
            assert (each["experts"] == experts.flatten()).all()
            np.testing.assert_allclose(each["weights"], weights.flatten(), atol=1e-4)


@pytest.mark.parametrize("n_experts", [1, 4, 8, 16, 32])
def test_greedy_texts_are_those_of_the_package(engine: Engine, n_experts: int):
    model = pretrained(n_experts)
    for prompt in PROMPTS:
        ids = encode(prompt)
        compare(write(engine, n_experts, ids, 40), model, ids, 40)


def test_greedy_texts_with_experts_muted_are_those_of_the_package(engine: Engine):
    model, ids = pretrained(8), encode(PROMPTS[1])
    for muted, layers in (([0, 5], None), ([2], [1])):
        twin = without_experts(model, muted, layers)
        compare(write(engine, 8, ids, 40, muted=muted, mutedIn=layers), twin, ids, 40)


def test_a_prompt_longer_than_the_context_leaves_room_for_the_new_tokens(engine: Engine):
    ids = [token for text in SAMPLES.values() for token in encode(text)]
    assert len(ids) > 256
    name = engine.load(shipped(8))
    cut = engine.run(
        "return engine.cutPrompt(given.ids, 30, models[given.name].config.context_length)", name=name, ids=ids
    )
    assert cut == list(cut_prompt(ids, 30, 256)) and len(cut) == 226
    compare(write(engine, 8, cut, 30), pretrained(8), cut, 30)


def test_what_does_not_fit_into_the_context_is_refused_in_the_packages_words(engine: Engine):
    ids = [1] * 200
    with pytest.raises(ValueError) as refused:
        next(pretrained(8).generate(torch.tensor([ids]), 57))
    with pytest.raises(Exception, match=str(refused.value).replace("+", r"\+")):
        write(engine, 8, ids, 57)
    assert len(write(engine, 8, ids, 56)["tokens"]) == 56
    assert write(engine, 8, ids, 0)["tokens"] == []
    with pytest.raises(Exception, match="no token to read"):
        write(engine, 8, [], 5)
    with pytest.raises(Exception, match="temperature is -1"):
        write(engine, 8, [1], 5, temperature=-1)


def test_a_seed_repeats_a_text_and_another_one_writes_another(engine: Engine):
    ids = encode(PROMPTS[0])
    first, again, other = (write(engine, 8, ids, 30, temperature=0.8, seed=seed)["tokens"] for seed in (3, 3, 4))
    assert first == again != other


def test_draws_follow_the_softmax_of_logits_over_temperature(engine: Engine):
    logits = np.array([2.0, -1.0, 0.5, 0.0, -30.0], dtype=np.float32)
    script = """
      const random = engine.mulberry32(0), logits = Float32Array.from(given.logits), counts = new Int32Array(5);
      for (let i = 0; i < 40000; i++) counts[engine.sampleToken(logits, given.temperature, random)]++;
      return counts;"""
    for temperature in (0.5, 1.0, 3.0):
        shares = torch.tensor(logits / temperature).softmax(0).numpy()
        found = engine.run(script, logits=logits.tolist(), temperature=temperature) / 40_000
        error = np.sqrt(shares * (1 - shares) / 40_000)  # of a share that is counted in 40,000 draws
        assert (np.abs(found - shares) <= 4 * error + 1e-9).all()
    assert engine.run(script, logits=logits.tolist(), temperature=0).tolist() == [40_000, 0, 0, 0, 0]


def test_random_numbers_are_spread_evenly_over_0_to_1(engine: Engine):
    script = "const next = engine.mulberry32(given.seed); return Float64Array.from({ length: 20000 }, next)"
    for seed in (0, 1, 2**32 - 1):
        drawn = engine.run(script, seed=seed)
        assert drawn.min() >= 0 and drawn.max() < 1 and len(np.unique(drawn)) == len(drawn)
        counts = np.histogram(drawn, bins=20, range=(0, 1))[0]
        assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
        assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 4 / np.sqrt(len(drawn))

"""The page's models compute what the package's compute: experts, weights, scores, logits and losses of the shipped
models, with any number of experts per token, with experts muted, chosen by hand, and from a cache."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine_page import Engine, opened
from lab import Driver
from small import small_model

from moe_lite import checkpoint
from moe_lite.checkpoint import pretrained, shipped
from moe_lite.data import SAMPLES, encode
from moe_lite.lessons.interventions import with_routers, without_experts
from moe_lite.model.routing import top_k_stable
from moe_lite.widgets.token_viewer.view import assignment_table

MIXTURES = (4, 8, 16, 32)
TIE = 1e-6  # scores that are so near to each other may change places
READ = """
  const { name, ids, ...options } = given, model = models[name];
  const { routing, hidden, logits } = engine.forward(model, ids, { logits: "last", ...options });
  return { routing, logits, losses: engine.tokenLosses(model, hidden, ids.slice(1)) };"""


@pytest.fixture(scope="module")
def engine(browser: Driver, tmp_path_factory) -> Iterator[Engine]:
    with opened(browser, tmp_path_factory.mktemp("models")) as engine:
        yield engine


@pytest.fixture(scope="module")
def model():
    return cache(pretrained)


@pytest.fixture(scope="module")
def texts() -> list[list[int]]:
    """Token ids of a text of each domain, and of all of them, as long as the context."""
    texts = [encode(text) for text in SAMPLES.values()]
    return [*texts, [token for text in texts for token in text][:256]]


def read(engine: Engine, n_experts: int, ids: list[int], **options) -> dict:
    return engine.run(READ, name=engine.load(shipped(n_experts)), ids=ids, **options)


@torch.no_grad()
def expected(model, ids: list[int], top_k: int | None = None) -> dict:
    output = model(torch.tensor([ids]), top_k=top_k)
    logits = output.logits[0]
    losses = F.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none")
    return {"routing": output.routing, "logits": logits.numpy(), "losses": losses.numpy()}


def compare(found: dict, wanted: dict) -> tuple[int, int]:
    """Assert that both are the same; how many choices there were, and how many of them were ties that came out
    otherwise. Behind such a tie nothing is compared."""
    n_choices = 0
    assert len(found["routing"]) == len(wanted["routing"])
    for mine, theirs in zip(found["routing"], wanted["routing"], strict=True):
        scores, n = theirs.scores.numpy(), theirs.n_tokens
        experts, weights = assignment_table(theirs)
        np.testing.assert_allclose(mine["scores"].reshape(scores.shape), scores, atol=1e-5)
        chosen = mine["experts"].reshape(n, -1)
        n_choices += chosen.size
        assert mine["layer"] == theirs.layer and chosen.shape == experts.shape
        moved = np.sort(chosen) != np.sort(experts)
        if moved.any():
            ours, others = (np.take_along_axis(scores, t.astype(np.int64), 1).min(axis=1) for t in (chosen, experts))
            assert np.abs(ours - others).max() < TIE
            return n_choices, int(moved.any(axis=1).sum())
        np.testing.assert_allclose(mine["weights"].reshape(weights.shape), weights, atol=1e-5)
        near = np.abs(np.diff(weights)).min(initial=1) < TIE
        assert near or (chosen == experts).all(), "the largest weight comes first"
    logits = found["logits"].reshape(-1, 2048)  # of all tokens, or of the last one
    np.testing.assert_allclose(logits, wanted["logits"][-len(logits) :], atol=1e-4)
    np.testing.assert_allclose(found["losses"], wanted["losses"], atol=1e-4)
    return n_choices, 0


@pytest.mark.parametrize("n_experts", [1, *MIXTURES])
def test_experts_logits_and_losses_are_those_of_the_package(engine: Engine, model, texts, took, n_experts: int):
    counts = np.zeros(2, dtype=int)
    for top_k in (None, 1, 2, 4) if n_experts > 1 else (None,):
        options = {"topK": top_k} if top_k else {"logits": "all"}
        for ids in texts[top_k::4] if top_k else texts:
            counts += compare(read(engine, n_experts, ids, **options), expected(model(n_experts), ids, top_k))
    if n_experts > 1:
        took(
            f"{n_experts} experts: ties within {TIE} that came out otherwise, of {counts[0]:,} choices", [counts[1]], ""
        )


@pytest.mark.parametrize("n_experts", MIXTURES)
@pytest.mark.parametrize("layers", [None, [2], [0, 3]])
def test_muted_experts_give_way_to_the_next_best_ones(engine: Engine, model, texts, n_experts: int, layers):
    """In all layers or in some of them; scores stay as they are."""
    layer = layers[0] if layers else 2
    for ids, n_muted, top_k in ((texts[0], 1, 2), (texts[1], 2, 1), (texts[2], 2, n_experts - 2)):
        plain = read(engine, n_experts, ids, topK=top_k)
        load = np.bincount(plain["routing"][layer]["experts"], minlength=n_experts)
        muted = load.argsort()[-n_muted:].tolist()  # those that were chosen most
        found = read(engine, n_experts, ids, muted=muted, mutedIn=layers, topK=top_k)
        compare(found, expected(without_experts(model(n_experts), muted, layers), ids, top_k))
        assert not np.isin(found["routing"][layer]["experts"], muted).any()


@pytest.mark.parametrize("n_experts", [8, 32])
def test_experts_chosen_by_hand_have_the_routers_own_weights(engine: Engine, model, texts, n_experts: int):
    own, layer, token = model(n_experts), 1, 9
    k = own.config.top_k
    by_hand = list(range(n_experts - k, n_experts))
    router = own.blocks[layer].feed_forward.router

    def rule(x, token_ids, k):
        ids = top_k_stable(router.logits(x), k)[1]
        ids[token] = torch.tensor(by_hand)
        return ids

    wanted = expected(with_routers(own, {layer: rule}), texts[-1])
    choice = {"layer": layer, "token": token, "experts": by_hand}
    found = read(engine, n_experts, texts[-1], chosen=choice)
    compare(found, wanted)
    given = found["routing"][layer]["experts"].reshape(-1, k)[token]
    assert (
        set(given.tolist())
        == set(by_hand)
        != set(assignment_table(expected(own, texts[-1])["routing"][layer])[0][token])
    )
    script = """
      const cache = engine.makeCache(models[given.name]), pieces = [given.ids.slice(0, 5), given.ids.slice(5)];
      const parts = pieces.map((ids) => engine.forward(models[given.name], ids, { cache, chosen: given.chosen }));
      return parts[1].routing[given.chosen.layer].experts;"""
    rest = engine.run(script, name=engine.load(shipped(n_experts)), ids=texts[-1], chosen=choice)
    assert (rest == found["routing"][layer]["experts"][5 * k :]).all(), "token counts from the beginning of the text"


@pytest.mark.parametrize("n_experts", [1, 8, 32])
def test_a_text_read_in_pieces_is_the_text_read_at_once_bit_by_bit(engine: Engine, texts, n_experts: int):
    script = """
      const model = models[given.name], cache = engine.makeCache(model), parts = [];
      let at = 0;
      for (const size of given.sizes) {
        parts.push(engine.forward(model, given.ids.slice(at, at + size), { cache, logits: "all", muted: given.muted }));
        at += size;
      }
      const joined = (arrays) => Float64Array.from(arrays.flatMap((array) => [...array]));
      const layers = parts[0].routing.map((_, i) => joined(parts.map((part) => part.routing[i].weights)));
      const whole = engine.forward(model, given.ids, { logits: "all", muted: given.muted });
      const last = engine.forward(model, given.ids, { logits: "last", muted: given.muted });
      return { length: cache.length, logits: joined(parts.map((part) => part.logits)), layers, last: last.logits,
               whole: { logits: whole.logits, layers: whole.routing.map((each) => each.weights) } };"""
    muted = [2] if n_experts > 1 else []
    given = {"name": engine.load(shipped(n_experts)), "ids": texts[-1], "muted": muted}
    found = engine.run(script, sizes=[1, 1, 7, 64, 2, 1, 180], **given)
    assert found["length"] == 256
    assert (found["logits"] == found["whole"]["logits"]).all()
    assert (found["logits"][-2048:] == found["last"]).all()
    for pieces, whole in zip(found["layers"], found["whole"]["layers"], strict=True):
        assert (pieces == whole).all()


def test_of_experts_with_equal_scores_the_lower_numbers_are_chosen(engine: Engine):
    model = small_model(vocab_size=2048)
    with torch.no_grad():
        for layer in model.moe_layers:
            layer.router.weight.zero_()
    path = checkpoint.save(engine.folder / "ties.safetensors", model)
    for muted, expected in (([], [0, 1]), ([0, 2], [1, 3])):
        found = engine.run(READ, name=engine.load(path), ids=[5, 6, 7], muted=muted)
        assert [each["experts"].tolist() for each in found["routing"]] == [expected * 3] * 3
        assert {weight for each in found["routing"] for weight in each["weights"].tolist()} == {0.5}
        with torch.no_grad():
            twin = without_experts(model, muted)(torch.tensor([[5, 6, 7]]))
        assert [routing.top_k[1].flatten().tolist() for routing in twin.routing] == [expected * 3] * 3


REFUSED = {
    "There is no token to read": {"ids": []},
    "257 tokens, but context_length is 256": {"ids": [1] * 257},
    r"ids\[1\] is 2048": {"ids": [0, 2048]},
    r"ids\[0\] is -1": {"ids": [-1]},
    "topK is 9, expected a number from 1 to 8": {"topK": 9},
    "topK is 0": {"topK": 0},
    "topK is 1.5": {"topK": 1.5},
    "a muted expert is 8, expected a number from 0 to 7": {"muted": [8]},
    "Layer 4 has no router": {"muted": [1], "mutedIn": [4]},
    "2 experts per token cannot come from the 1 that": {"muted": [0, 1, 2, 3, 4, 5, 6]},
    "expected 2 different ones": {"chosen": {"layer": 0, "token": 0, "experts": [1, 1]}},
    "expert 3, which is muted in layer 0": {"chosen": [{"layer": 0, "token": 0, "experts": [3, 1]}], "muted": [3]},
    "an expert chosen by hand is 77": {"chosen": {"layer": 0, "token": 0, "experts": [77, 1]}},
    "Layer 9 has no router": {"chosen": {"layer": 9, "token": 0, "experts": [0, 1]}},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_fit_the_model_is_refused(engine: Engine, message: str):
    with pytest.raises(Exception, match=message):
        read(engine, 8, **({"ids": [1, 2]} | REFUSED[message]))


def test_the_first_token_of_a_text_has_no_loss(engine: Engine, texts):
    name = engine.load(shipped(8))
    found = engine.run("return engine.losses(models[given.name], given.ids)", name=name, ids=texts[0])
    assert len(found) == len(texts[0]) and np.isnan(found).tolist() == [True] + [False] * (len(found) - 1)
    assert (found[1:] == read(engine, 8, texts[0])["losses"]).all()


def test_a_dense_model_has_nothing_to_mute(engine: Engine):
    assert read(engine, 1, [1, 2], muted=[])["routing"] == []
    with pytest.raises(Exception, match="the model is dense"):
        read(engine, 1, [1, 2], muted=[0])


def test_a_pass_that_fails_leaves_the_cache_as_it_was(engine: Engine):
    script = """
      const cache = engine.makeCache(models[given.name]);
      engine.forward(models[given.name], [1, 2, 3], { cache });
      try { engine.forward(models[given.name], [5000], { cache }) } catch { return cache.length }"""
    assert engine.run(script, name=engine.load(shipped(8))) == 3

"""What the page's engine takes for what a visitor does, printed and not asserted: a text routed anew, with and without
the loss of each token, and a text written on."""

from collections.abc import Iterator

import pytest
from engine_page import Engine, opened
from lab import Driver

from moe_lite.checkpoint import shipped
from moe_lite.data import SAMPLES, encode

ROUNDS = 5
TIMES = """
  const { name, ids, rounds } = given, model = models[name], routed = [], lost = [], written = [];
  const timed = (times, work) => {
    const began = performance.now();
    work();
    times.push(performance.now() - began);
  };
  for (let i = 0; i < rounds; i++) {
    timed(routed, () => engine.forward(model, ids));
    timed(lost, () => engine.losses(model, ids));
    timed(written, () => [...engine.generate(model, ids.slice(0, 10), 60, { temperature: 0 })]);
  }
  return { routed, lost, written };"""


@pytest.fixture(scope="module")
def engine(browser: Driver, tmp_path_factory) -> Iterator[Engine]:
    with opened(browser, tmp_path_factory.mktemp("models")) as engine:
        yield engine


@pytest.mark.parametrize("n_experts", [8, 32])
def test_what_a_visitor_waits_for(engine: Engine, took, n_experts: int):
    ids = encode("\n\n".join(SAMPLES.values()))[:100]
    found = engine.run(TIMES, name=engine.load(shipped(n_experts)), ids=ids, rounds=ROUNDS)
    assert {len(times) for times in found.values()} == {ROUNDS}
    took(f"{n_experts} experts, 100 tokens routed", found["routed"])
    took(f"{n_experts} experts, 100 tokens routed, with the loss of each", found["lost"])
    speed = [60_000 / milliseconds for milliseconds in found["written"]]
    took(f"{n_experts} experts, 60 tokens written after 10", speed, "tokens/s")

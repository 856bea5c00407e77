"""Published models on published machines."""

import pytest

from moe_lite.families import count, published
from moe_lite.lab import hosting
from moe_lite.lessons import serving


def test_a_footprint_keeps_and_computes_what_count_counts() -> None:
    counted = count("Mixtral-8x7B")
    for bits in (32, 16, 8, 4):
        model = hosting.footprint("Mixtral-8x7B", bits, context=1000)
        assert model.weights_bytes == counted.weights_bytes(bits)
        assert model.flops == counted.flops_per_token(1000)
        assert model.cache_bytes == counted.kv_cache_bytes(1000)
        assert model.lookup_bytes == 32000 * 4096 * bits // 8
    assert model.as_dense(2).weights_bytes == pytest.approx(counted.active.all / 2, rel=1e-6)


@pytest.mark.parametrize("name", published())
def test_every_model_that_can_be_counted_has_one(name: str) -> None:
    if published(name).n_encoder_layers:
        with pytest.raises(ValueError, match="encoder"):
            hosting.footprint(name)
        return
    model = hosting.footprint(name, 16, 4096)
    assert model.weights_bytes == count(name).weights_bytes(16)
    assert min(model.common_bytes, model.cache_bytes, model.common_flops) > 0


def test_a_dense_model_has_no_experts() -> None:
    model = hosting.footprint("Llama-2-70B")
    assert (model.n_experts, model.top_k, model.expert_bytes, model.expert_flops) == (0, 0, 0, 0)


def test_every_figure_has_a_source_and_every_price_a_date() -> None:
    for one in hosting.accelerators().values():
        assert one.source.startswith("https://")
        assert one.price_source.startswith("https://")
        assert one.price_date
        assert one.range[0] <= one.dollars_per_hour <= one.range[1]
    assert all(
        network.within > network.between > 1e9 and network.per_node > 1 for network in hosting.networks().values()
    )
    offers = hosting.offers()
    assert offers.date
    assert offers.source.startswith("https://")
    assert offers.accelerator in hosting.accelerators()


def test_an_unknown_accelerator_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no accelerator 'H200'.*RTX 4090, A100 80 GB, H100 SXM"):
        hosting.accelerator("H200")


def test_the_program_prints_the_table(capsys) -> None:
    hosting.main(["Mixtral-8x7B", "--bits", "4", "--accelerator", "A100 80 GB", "--context", "1024"])
    out = capsys.readouterr().out
    assert "23.4 GB on 1 × A100 80 GB" in out
    assert len(out.splitlines()) == 2 + len(hosting.BATCHES)


@pytest.mark.parametrize("arguments", [["Mixtral-9x9B"], ["--accelerator", "H9000"], ["--bits", "5"]])
def test_the_program_names_what_it_does_not_know(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit):
        hosting.main(arguments)
    assert "expected" in (error := capsys.readouterr().err) or "no " in error


def test_a_mixture_costs_as_a_dense_model_of_its_active_size_at_both_ends_only() -> None:
    """What lesson 11 is about: by batch, 1 at one text, more than 3 in between, 1 again in very large batches."""
    model, machine = hosting.footprint("Mixtral-8x7B", 16, 256), hosting.accelerator("H100 SXM").machine.times(2)
    ratio = {
        batch: serving.step(model, machine, batch).seconds / serving.step(model.as_dense(2), machine, batch).seconds
        for batch in (1, 16, 2048)
    }
    assert ratio[1] == pytest.approx(1)
    assert ratio[16] > 3.5
    assert ratio[2048] == pytest.approx(1)

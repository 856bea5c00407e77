"""The bias controller: a simulation whose rule is the package's, and whose words follow from its numbers."""

import pytest
import torch
from widget_page import script_page, send

from moe_lite.model.balance import update_selection_bias_
from moe_lite.widgets import BiasController
from moe_lite.widgets.bias_controller.view import STEPS, Settings, by_difference, by_sign, control

PLAIN = Settings(n_experts=8, top_k=2, n_tokens=256, step=0.01, drift=0.0, frozen_from=STEPS, seed=0)


def with_(**changes) -> Settings:
    return Settings(**{**PLAIN.__dict__, **changes})


def test_every_bias_is_the_one_before_moved_by_the_packages_rule():
    run = control(PLAIN, by_sign)
    assert run.load.shape == run.bias.shape == (STEPS, 8) and (run.load.sum(dim=1) == 512).all()
    for step in (0, 57, STEPS - 2):
        moved = update_selection_bias_(run.bias[step].clone(), run.load[step], 0.01)
        torch.testing.assert_close(run.bias[step + 1], moved)


def test_step_decides_between_too_slow_and_restless():
    slow, right, wild = (control(with_(step=step), by_sign) for step in (1e-4, 0.01, 0.3))
    assert slow.even_after is None and wild.even_after is None and right.even_after < 60
    assert right.cv[-50:].mean() < 1.5 * right.chance < wild.cv[-50:].mean()
    assert wild.swing > 10 * right.swing


def test_small_batches_are_measured_by_their_chance():
    small = control(with_(n_tokens=32), by_sign)
    assert small.chance > 0.3 and small.line == 1.25 * small.chance and small.even_after is not None


def test_frozen_bias_stands_still_and_a_drift_undoes_it():
    frozen = control(with_(frozen_from=50, drift=0.03), by_sign)
    assert (frozen.bias[51:] == frozen.bias[50]).all() and not torch.equal(frozen.bias[49], frozen.bias[50])
    followed = control(with_(drift=0.03), by_sign)
    assert frozen.cv[-50:].mean() > 1.5 * followed.cv[-50:].mean()


def test_chance_is_what_an_even_router_gives():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(2000, 256, 8, generator=generator).topk(2, dim=-1).indices.flatten(1)
    loads = torch.stack([torch.bincount(row, minlength=8) for row in drawn]).double()
    measured = (loads.std(dim=1, correction=0) / loads.mean(dim=1)).square().mean().sqrt().item()
    assert control(PLAIN, by_sign).chance == pytest.approx(measured, rel=0.02)


def test_words_follow_from_the_run():
    shown = BiasController(step=0.01)
    assert f"the load is even after {shown.now.even_after} steps and stays so" in shown.reading
    shown.step = 0.0001
    assert "is not even after 200 steps" in shown.reading and "still on its way" in shown.reading
    shown.step = 0.3
    assert "comes no nearer" in shown.reading
    shown.rule, shown.step = "difference", 0.1
    assert torch.equal(shown.now.bias, control(with_(step=0.1), by_difference).bias)
    assert shown.reading.startswith("By the difference with step 0.1, ")
    assert shown.view["facts"][0][0] == f"{shown.now.cv[:5].mean().item():.2f}"


def test_a_learners_rule_is_used():
    def upside_down(scores, bias, k, step):
        weights, expert_ids, moved = by_sign(scores, bias, k, step)
        return weights, expert_ids, 2 * bias - moved

    shown = BiasController(choose=upside_down)
    assert shown.rule == "upside_down" and shown.reading.startswith(
        "By upside_down with step 0.01, the load is not even"
    )
    assert shown.now.cv[-1] > shown.now.cv[0]


def broken(scores, bias, k, step):
    raise KeyError("oh")


WRONG = {
    "broken raised KeyError": broken,
    "returned Tensor, expected weights": lambda scores, bias, k, step: bias,
    "expert_ids are (256, 3) torch.int64, expected int64 (256, 2)": lambda s, b, k, step: by_sign(s, b, 3, step),
    "go from 5 to 12, experts from 0 to 7": lambda s, b, k, step: (b, torch.tensor([[5, 12]]).expand(256, 2), b),
    "the new bias is (3,) torch.float32, expected a float tensor (8,)": lambda s, b, k, step: (
        *by_sign(s, b, k, step)[:2], b[:3]),
    "not finite": lambda s, b, k, step: (*by_sign(s, b, k, step)[:2], b / 0),
}  # fmt: skip


@pytest.mark.parametrize("said", WRONG)
def test_what_a_learners_rule_does_wrong_is_shown(said):
    shown = BiasController(choose=WRONG[said])
    assert said in shown.error["what"] and shown.error["details"] and "err" in shown.twin()
    shown.rule = "sign"
    assert shown.error == {} and shown.figure


@pytest.mark.parametrize("settings", [{"n_experts": 17}, {"top_k": 8}, {"step": -0.1}, {"n_tokens": 0}])
def test_settings_that_do_not_fit_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        BiasController(**settings)


def test_twin_names_its_settings():
    html = BiasController(drift=0.03).static_html()
    assert "8 experts, top-2 · step 0.01 · 256 tokens per batch · drift 0.03 · sign" in html
    assert html.count("<polyline") == 16


@pytest.mark.browser
def test_sliders_and_rule_are_sent_and_the_figure_follows(browser):
    shown = BiasController()
    with script_page(shown, browser) as page:
        before = page.locator("svg.bias").inner_html()
        page.locator("input[aria-label='step size']").focus()
        page.keyboard.press("ArrowRight")
        assert dict(page.evaluate("window.model.saved"))["step"] == 0.03
        shown.step = 0.03
        shown.answered += 1
        send(page, shown)
        assert page.locator("svg.bias").inner_html() != before and page.locator("polyline").count() == 16
        page.get_by_role("button", name="difference").click()
        assert dict(page.evaluate("window.model.saved"))["rule"] == "difference"

"""The bias controller: a simulation whose rule is the package's, and whose words follow from its numbers."""

import re
from itertools import pairwise

import pytest
import torch
from widget_page import script_page, send

from moe_lite.model.balance import update_selection_bias_
from moe_lite.widgets import BiasController
from moe_lite.widgets.bias_controller.drawing import ROW, Panel, bias_range, parted
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


@pytest.mark.parametrize("n_experts", [2, 8, 16])
@pytest.mark.parametrize("step", [0.0001, 0.01, 0.3])
def test_a_line_leads_from_the_end_of_each_curve_to_its_numeral(n_experts, step):
    shown = BiasController(n_experts=n_experts, top_k=1, step=step)
    curves = re.findall(r'class="curve (e\d(?: alt)?)" points="[^"]*?([\d.]+),([\d.]+)"/>', shown.figure)
    ends = re.findall(
        r'<g class="end (e\d(?: alt)?)" data-expert="(\d+)">'
        r'<path class="leader" d="M([\d.]+) ([\d.]+)h5L\d+ ([\d.]+)h4"/>'
        r'<rect class="plate" x="\d+" y="([\d.]+)"[^>]*/><text class="n0" x="[\d.]+" y="[\d.]+">(\d+)</text></g>',
        shown.figure,
    )
    assert len(curves) == len(ends) == 2 * n_experts
    for panel in (0, 1):
        mine = slice(panel * n_experts, (panel + 1) * n_experts)
        by_expert = {int(end[1]): end for end in ends[mine]}
        for expert, (name, x, y) in enumerate(curves[mine]):
            look, _, begin, from_y, to_y, plate, numeral = by_expert[expert]
            assert look == name and int(numeral) == expert
            assert float(from_y) == float(y) and 0 < float(begin) - float(x) < 4, "it begins where the curve ends"
            assert float(to_y) == pytest.approx(float(plate) + 6, abs=0.11), "and ends at the middle of the numeral"
        heights = [float(end[4]) for end in ends[mine]]
        assert all(b - a > ROW - 0.2 for a, b in pairwise(heights)), "no numeral covers another"
        order = [float(end[3]) for end in ends[mine]]
        assert order == sorted(order), "no line crosses another"


def test_numerals_stand_in_the_order_of_the_values_also_of_those_above_the_axis():
    ends = [[1.0, 6.0, 0.5, 9.0, 1.0, 4.5, 0.0, 3.0]]  # (STEPS, E); what is above 4 is drawn at the edge
    svg = Panel("load", torch.tensor(ends * STEPS), None, 0.0, 4.0, (0, 1), 20, 150, 812).svg()
    assert re.findall(r'data-expert="(\d)"', svg) == ["3", "1", "5", "7", "0", "4", "2", "6"]


def test_places_are_parted_by_as_little_as_can_be():
    assert parted([10, 40, 90], 13, 0, 150) == [10, 40, 90]
    assert parted([50, 50, 50], 10, 0, 150) == [40, 50, 60]
    assert parted([50, 52, 100], 10, 0, 150) == [46, 56, 100]
    assert parted([0, 0, 150], 10, 0, 150) == [0, 10, 150]
    assert parted([150, 150, 150], 10, 0, 150) == [130, 140, 150]
    assert parted([7], 10, 0, 150) == [7]


@pytest.mark.slow
def test_the_axis_of_biases_has_few_ranges_and_holds_both_runs():
    shown = BiasController()
    assert bias_range(shown.now) == 1.0 and "selection bias, axis from −1 to 1" in shown.figure
    for step in (0.003, 0.001, 0.03):
        shown.step = step
        assert "axis from −1 to 1" in shown.figure
    shown.step = 0.0001  # alone it would have the smallest range
    assert bias_range(shown.now) == 0.1 and "axis from −1 to 1" in shown.figure
    shown.step = 0.0003
    assert "axis from −0.1 to 0.1" in shown.figure
    shown.step = 0.3
    assert "axis from −15 to 15" in shown.figure
    ranges = {
        bias_range(control(with_(step=step, drift=drift), rule))
        for step in shown.fixed["sizes"] for drift in shown.fixed["drifts"] for rule in (by_sign, by_difference)
    }  # fmt: skip
    assert ranges == {0.1, 1.0, 15.0}
    far = control(PLAIN, lambda scores, bias, k, step: (*by_sign(scores, bias, k, step)[:2], bias + 3))
    assert bias_range(far) == 1000.0 >= far.bias.max()


def test_the_run_before_stays_behind_pale_and_is_named():
    shown = BiasController()
    assert shown.before is None and "ghost" not in shown.figure and "this run then stays" in shown.view["note"]
    assert "Move a slider" not in shown.static_html()
    first = shown.now
    shown.step = 0.001
    assert shown.before is first and shown.figure.count("<polyline") == 32
    assert (
        shown.view["note"] == "Pale: the run before, with step size 0.01." and shown.view["note"] in shown.static_html()
    )
    shown.rule, shown.frozen_from = "difference", 100
    assert shown.view["note"] == "Pale: the run before, with no freeze."
    shown.frozen_from = STEPS
    assert shown.view["note"] == "Pale: the run before, with a freeze at step 100."


def test_moves_of_one_press_have_the_same_run_behind_them_and_a_width_is_no_move():
    asked = 0

    def counting(scores, bias, k, step):
        nonlocal asked
        asked += 1
        return by_sign(scores, bias, k, step)

    shown = BiasController(choose=counting)
    first = shown.now

    def from_page(**values):
        with shown.hold_trait_notifications():
            for name, value in (values | {"asked": shown.asked + 1}).items():
                setattr(shown, name, value)

    from_page(step=0.03, gesture=1)
    from_page(step=0.1, gesture=1)
    assert shown.before is first and shown.now.settings.step == 0.1 and asked == 3 * STEPS
    from_page(width=600)
    assert shown.before is first and asked == 3 * STEPS and 'width="600"' in shown.figure
    from_page(step=0.3, gesture=2)
    assert shown.before.settings.step == 0.1


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
    assert html.count("<polyline") == 16 and html.count("<tr>") == 9 and "bias at the end" in html


def test_a_run_is_made_once_and_only_the_last_ones_are_kept():
    called = []

    def mine(scores, bias, k, step):
        called.append(step)
        return by_sign(scores, bias, k, step)

    shown = BiasController(choose=mine, step=0.01)
    first = shown.now
    shown.step = 0.1
    shown.step = 0.01
    assert shown.now is first and called == [0.01] * STEPS + [0.1] * STEPS
    for n_tokens in range(8, 8 + 32):
        shown.n_tokens = n_tokens
    shown.n_tokens = 256
    assert len(called) == (2 + 32 + 1) * STEPS, "the first run was given up for newer ones"


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
        assert page.locator("svg.bias").inner_html() != before and page.locator("polyline").count() == 32
        look = "(all) => all.map((e) => [getComputedStyle(e).opacity, e.childElementCount])"
        assert page.locator(".ghost").evaluate_all(look) == 2 * [["0.3", 8]]
        assert page.get_by_text("Pale: the run before, with step size 0.01.").is_visible()
        page.get_by_role("button", name="difference").click()
        assert dict(page.evaluate("window.model.saved"))["rule"] == "difference"


@pytest.mark.browser
def test_a_cell_may_set_a_value_between_two_steps_of_a_slider(browser):
    shown = BiasController()
    with script_page(shown, browser) as page:
        slider = page.locator("input[aria-label='step size']")
        steps = int(slider.get_attribute("max"))
        for step, more in ((0.02, 1), (0.03, 0)):
            shown.step = step
            shown.answered += 1
            send(page, shown)
            assert (
                slider.get_attribute("aria-valuetext") == str(step) and int(slider.get_attribute("max")) == steps + more
            )
        slider.focus()
        page.keyboard.press("ArrowLeft")
        assert dict(page.evaluate("window.model.saved"))["step"] == 0.01, "the value between has gone"


BOXES = """(css) => [...document.querySelectorAll(css)].map((node) => node.getBoundingClientRect())
  .map((box) => [box.left, box.right, box.top, box.bottom])"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [900, 600, 470])
def test_five_key_figures_stand_in_one_row(browser, width):
    shown = BiasController(step=0.0001)
    with script_page(shown, browser, width) as page:
        figures = page.evaluate(BOXES, ".keys div")
        assert len(figures) == 5 and len({top for _, _, top, _ in figures}) == 1
        assert all(a[1] <= b[0] for a, b in pairwise(figures)) and figures[-1][1] <= width
        assert page.evaluate(
            "() => [...document.querySelectorAll('.keys :is(b, span)')].every(e => e.scrollWidth <= e.clientWidth + 1)"
        )


@pytest.mark.browser
@pytest.mark.parametrize(("n_experts", "width"), [(8, 812), (16, 812), (16, 460)])
def test_no_words_of_the_figure_cover_each_other(browser, n_experts, width):
    shown = BiasController(n_experts=n_experts, step=0.0001, frozen_from=150)
    shown.width, shown.step = width, 0.3
    with script_page(shown, browser) as page:
        texts = page.evaluate(BOXES, "svg text")
        assert len(texts) == 2 * (n_experts + 1) + 4 + 5 + 5 + 1 + 1
        box = page.locator("svg.bias").bounding_box()
        for i, (left, right, top, bottom) in enumerate(texts):
            assert box["x"] <= left and right <= box["x"] + width
            for other in texts[i + 1 :]:
                apart = right <= other[0] or other[1] <= left or bottom - 3 <= other[2] or other[3] - 3 <= top
                assert apart, (texts[i], other)

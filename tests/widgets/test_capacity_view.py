"""The capacity view: who is struck out is who the package drops, and limits, priorities and errors are said."""

import re

import pytest
import torch
from small import random_ids, small_model
from widget_page import script_page, send

from moe_lite.checkpoint import pretrained
from moe_lite.data import encode
from moe_lite.model.balance import drop_over_capacity, expert_capacity
from moe_lite.model.routing import route
from moe_lite.widgets import CapacityView
from moe_lite.widgets.capacity_view.view import NO_LIMIT

TEXT = "def area(r):\n    return 3.14 * r\nThe dog sleeps, and the cat, and the bird: 1, 2, 3, 4, 5, 6, 7."


def routed(layer: int = 4, top_k: int = 2):
    with torch.no_grad():
        return pretrained(8)(torch.tensor([encode(TEXT)]), top_k=top_k).routing[layer - 1]


@pytest.mark.parametrize("priority", ["position", "score", "first_choice"])
def test_what_is_struck_out_is_what_the_package_drops(priority):
    view = CapacityView(TEXT, factor=0.75, priority=priority)
    routing = routed()
    capacity = expert_capacity(routing.n_tokens, 2, 8, 0.75)
    dropped = drop_over_capacity(routing, capacity, priority)
    assert torch.equal(view.now().routing.kept, dropped.kept) and view.now().capacity == capacity
    assert view.figure.count('class="stroke"') == int((~dropped.kept).sum()) > 0
    for e, line in enumerate(view.now().lines):
        assert {token for token, _ in line[:capacity]} == set(
            dropped.token_ids[dropped.kept & (dropped.expert_ids == e)].tolist()
        )
    alone = [n for n in range(routing.n_tokens) if not dropped.combine[n].any()]
    assert view.now().alone == alone and view.figure.count("tk gone") == len(alone)
    assert f"{int((~dropped.kept).sum())} of {len(dropped.kept)} choices are dropped" in view.reading


def test_choices_stand_by_weight_and_queues_in_order_of_service():
    view = CapacityView(TEXT, factor=None)
    weights, expert_ids = routed().top_k
    assert [[e for e, _ in row] for row in view.now().choices] == expert_ids.tolist()
    assert all(line == sorted(line) for line in view.now().lines)
    view.priority = "first_choice"
    assert all([choice for _, choice in line] == sorted(choice for _, choice in line) for line in view.now().lines)
    assert weights.shape == expert_ids.shape


def test_without_a_limit_all_find_room():
    view = CapacityView(TEXT, factor=None)
    assert view.factor == NO_LIMIT and "every choice finds room" in view.reading
    assert 'class="stroke"' not in view.figure and "capacity" not in view.figure
    view.factor = 4.0
    assert view.now().dropped == 0 and f"all {2 * len(view.faces)} choices find room" in view.reading


def test_layer_and_top_k_are_the_models_own():
    view = CapacityView(TEXT)
    view.layer, view.top_k = 2, 3
    assert view.now().load == routed(2, 3).load.tolist() and "layer 2" in view.source


def test_a_routing_as_given_is_drawn_with_numbers_for_names():
    routing = route(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), 2)
    view = CapacityView(routing, factor=1.0)
    assert view.fixed["choices"] == view.fixed["layers"] == 0 and "x[8]" in view.figure
    assert view.now().capacity == 5 and view.source == "a routing as given"


def test_tokens_that_no_expert_chose_stand_alone():
    model = small_model(router="expert_choice", allow_lookahead=True, renorm=False)
    with torch.no_grad():
        routing = model.eval()(random_ids(1, 20)).routing[0]
    view = CapacityView(routing, factor=None)
    unchosen = [n for n, count in enumerate(routing.per_token.tolist()) if count == 0]
    assert view.figure.count("tk idle") == len(unchosen)


def test_text_of_a_page_is_shown_and_not_obeyed():
    view = CapacityView("<script>alert(1)</script> & <b>")
    assert "<script" not in view.figure and "&lt;" in view.figure and "&amp;" in view.figure


def test_long_texts_are_cut_and_empty_ones_said():
    long = CapacityView("word " * 600)
    assert "The first 256 of" in long.view["note"] and len(long.faces) == 256
    empty = CapacityView("")
    assert "at least one token" in empty.reading and empty.figure == "" and empty.static_html()


@pytest.mark.parametrize(
    "settings, problem",
    [
        ({"layer": 5}, "layer is 5, expected 1 to 4"),
        ({"factor": -1}, "factor is -1"),
        ({"priority": "luck"}, "priority is 'luck', expected one of position"),
        ({"top_k": 9}, "top_k is 9, expected 1 to 4"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, problem):
    with pytest.raises(ValueError, match=problem):
        CapacityView(TEXT, **settings)


def test_a_dense_model_is_refused():
    with pytest.raises(ValueError, match="The model is dense"):
        CapacityView(TEXT, model=small_model(n_experts=1))


def test_twin_has_text_queues_and_a_table():
    html = CapacityView(TEXT).static_html()
    assert 'role="img" aria-label="With 1.25 times' in html and "capacity factor 1.25 · earlier tokens first" in html
    assert html.count("<tr>") == 9 and "Run the cell to move it" in html


@pytest.mark.browser
def test_controls_move_it_and_the_page_strikes_out(browser):
    view = CapacityView(TEXT)
    with script_page(view, browser) as page:
        page.locator("input[type=range]").first.focus()
        page.keyboard.press("Home")
        assert dict(page.evaluate("window.model.saved"))["factor"] == 0.25
        view.factor = 0.25
        view.answered += 1
        send(page, view)
        assert page.locator(".tk.gone").count() == len(view.now().alone) > 0
        drawn = page.locator(".tk.gone").first.evaluate("e => getComputedStyle(e).backgroundImage")
        assert "linear-gradient" in drawn
        page.get_by_role("button", name="highest score first").click()
        assert dict(page.evaluate("window.model.saved"))["priority"] == "score"
        texts = page.locator(".tx .tk").all_inner_texts()
        assert re.match(r"def\s*\d", texts[0]) and len(texts) == len(view.faces)

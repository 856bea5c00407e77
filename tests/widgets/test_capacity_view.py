"""The capacity view: who is struck out is who the package drops, and limits, priorities and errors are said."""

import re

import numpy as np
import pytest
import torch
from small import random_ids, small_model
from widget_page import script_page, send

from moe_lite.checkpoint import pretrained
from moe_lite.data import encode
from moe_lite.model.balance import drop_over_capacity, expert_capacity
from moe_lite.model.routing import route
from moe_lite.widgets import CapacityView
from moe_lite.widgets.capacity_view.drawing import WIDEST
from moe_lite.widgets.capacity_view.view import NO_LIMIT
from moe_lite.widgets.capacity_view.words import legend, token_sentence
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.kit.text import face, tile_html, token_text
from moe_lite.widgets.kit.widget import inline_tint
from moe_lite.widgets.token_viewer import TokenRouting, token_html

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
    gone = [n for n, token in enumerate(view.view["tokens"]) if token["look"] == "gone"]
    assert view.now().alone == gone == alone and view.static_html().count('class="tk gone') == len(alone)
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
    assert view.fixed["choices"] == view.fixed["layers"] == 0 and view.fixed["tokens"][8][0] == "x[8]"
    assert view.now().capacity == 5 and view.source == "a routing as given"


def test_tokens_that_no_expert_chose_stand_alone():
    model = small_model(router="expert_choice", allow_lookahead=True, renorm=False, top_k=1)
    with torch.no_grad():
        routing = model.eval()(random_ids(1, 20)).routing[0]
    view = CapacityView(routing, factor=None)
    unchosen = [n for n, count in enumerate(routing.per_token.tolist()) if count == 0]
    looks = [token["look"] for token in view.view["tokens"]]
    assert [n for n, look in enumerate(looks) if look == "none"] == unchosen != []
    assert plain(token_sentence(view.now(), unchosen[0])).endswith("no expert has chosen it.")
    assert "token that no expert chose" in view.figure and "empty row" not in view.figure


def test_text_of_a_page_is_shown_and_not_obeyed():
    html = CapacityView("<script>alert(1)</script> & <b>").static_html()
    assert "<script" not in html and "&lt;" in html and "&amp;" in html


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
    assert 'role="img" aria-label="With room for 1.25 fair shares' in html
    assert "capacity factor 1.25 · earlier tokens first" in html
    assert html.count("<tr>") == 9 and "Run the cell to move it" in html
    assert re.search(r"<b><i class=\"e\d\">\d</i> <i ", html), "numerals stay apart where the style sheet is dropped"
    assert "<th>asked</th><th>kept</th><th>empty</th>" in html


def test_a_token_is_told_by_its_places_and_by_what_is_left_to_it():
    # Expert 0 is asked by all four tokens, in this order; of each expert two are kept.
    expert_ids = torch.tensor([[0, 1], [0, 2], [0, 1], [0, 1]])
    scores = torch.full((4, 3), 0.1).scatter(1, expert_ids, torch.tensor([[0.6, 0.3]]).expand(4, 2))
    view = CapacityView(route(scores.log(), 2), factor=0.75)
    now = view.now()
    assert now.capacity == 2 and now.load == [4, 3, 1] and now.free == [0, 0, 1]
    assert now.places == [[0, 0], [1, 0], [2, 1], [3, 2]]
    said = [plain(token_sentence(now, n)) for n in range(4)]
    assert said[1] == ("x[1], token 1: first choice, expert 0, place 2 of 4: finds room; "
                       "second choice, expert 2, place 1 of 1: finds room.")  # fmt: skip
    assert said[2] == ("x[2], token 2: first choice, expert 0, place 3 of 4: finds no room; second choice, expert 1, "
                       "place 2 of 3: finds room. Expert 1 alone answers it, with weight 0.33.")  # fmt: skip
    assert said[3].endswith("finds no room. No expert answers it: only the residual carries it on.")
    assert plain(token_sentence(now, 2, 0)) == "x[2], token 2: first choice, expert 0, place 3 of 4: finds no room."


def test_a_part_of_a_character_is_told_as_one():
    view = CapacityView("naïve 🙂")
    part = next(n for n, face in enumerate(view.faces) if face.part_of)
    assert f"(a part of {view.faces[part].part_of})" in plain(token_sentence(view.now(), part))


def test_empty_rows_are_drawn_and_counted():
    view = CapacityView(TEXT, factor=2.0)
    now = view.now()
    drawn = sum(path.count("M") for path in re.findall(r'class="free" d="([^"]*)"', view.figure))
    assert drawn == sum(now.free) == now.empty > 0
    assert [f"{now.empty} of {now.rows}", "rows of all tables are empty"] in view.view["facts"]
    assert all(f">{free}</text>" in view.figure for free in now.free)


def test_a_table_far_longer_than_the_queues_runs_out_of_the_picture():
    view = CapacityView(TEXT, factor=100.0)
    assert "beyond this picture →" in view.figure and 'class="limit"' not in view.figure
    assert max(float(x) for x in re.findall(r'x="([\d.]+)"', view.figure)) < WIDEST


def test_the_legend_tells_what_is_to_be_seen_and_no_more():
    view = CapacityView(TEXT, factor=0.5)
    said = [text for _, text in legend(view.now())]
    assert said == ["first choice", "second choice", "choice that finds no room", "token that lost both its experts",
                    "empty row"]  # fmt: skip
    view.factor = NO_LIMIT
    assert [text for _, text in legend(view.now())] == ["first choice", "second choice"]
    view.top_k = 1
    assert [text for _, text in legend(view.now())] == ["first choice"]
    assert "first choice" in view.figure and "second choice" not in view.figure


def test_twin_frames_the_pinned_token_and_tells_of_it():
    view = CapacityView(TEXT, factor=0.75)
    assert '<g class="rings"></g>' in view.static_html()
    view.pinned = 7
    html = view.static_html()
    rings = html.split('<g class="rings">')[1].split("</g>")[0]
    assert rings.count("<rect") == 2 and html.count("tk") > 7 and len(re.findall(r'class="tk [^"]*\bpin\b', html)) == 1
    assert view.reading_html().startswith(f"<code>{view.faces[7].text}</code>, token 7: first choice")
    view.pinned = 10_000  # of another text
    assert "choices are dropped" in view.reading_html()


def test_the_tile_is_the_token_viewers():
    faces = token_text((("", "The king,\n\n  naïve 🙂 <b>"),)).faces
    now = CapacityView("word " * len(faces)).now()
    routing = TokenRouting(np.array([[[e for e, _ in row] for row in now.choices[: len(faces)]]]),
                           np.full((1, len(faces), 2), 0.5), np.full((1, len(faces), 8), 0.125))  # fmt: skip
    for n, token in enumerate(faces):
        theirs = token_html(routing, token, 0, 0, n)
        expert = int(routing.experts[0, n, 0])
        title = re.search(r'title="([^"]*)"', theirs)[0]
        ours = tile_html(token, f"<sub><b>{expert}</b></sub>", f"e{expert}", f"{inline_tint(expert, 8)} {title}")
        assert ours == theirs


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
        assert page.locator(".tx .tk.gone").count() == len(view.now().alone) > 0
        drawn = page.locator(".tx .tk.gone").first.evaluate("e => getComputedStyle(e).backgroundImage")
        assert "linear-gradient" in drawn
        page.get_by_role("button", name="highest score first").click()
        assert dict(page.evaluate("window.model.saved"))["priority"] == "score"
        texts = page.locator(".tx .tk").all_inner_texts()
        assert re.match(r"def\s*\d", texts[0]) and len(texts) == len(view.faces)


@pytest.fixture(scope="module")
def crowded() -> CapacityView:
    """Somebody loses one expert, and somebody both."""
    view = CapacityView(TEXT, factor=0.75)
    assert view.now().alone and view.now().short
    return view


SHOWN = """() => {
  const rings = [...document.querySelectorAll("svg .rings rect")], middle = (box) => box.left + box.width / 2;
  const around = (ring) => [...document.querySelectorAll("[data-at] :is(.in, .out)")].find((place) => {
    const a = ring.getBoundingClientRect(), b = place.getBoundingClientRect();
    return Math.abs(middle(a) - middle(b)) < 1 && a.top < b.top && a.bottom > b.bottom;
  });
  return {
    framed: [...document.querySelectorAll(".tx .at, .tx .pin")].map((node) => Number(node.dataset.i)),
    ringed: rings.map((ring) => around(ring)?.parentNode.dataset.at).sort(),
    read: document.querySelector(".read").textContent,
  };
}"""


def shown(view: CapacityView, token: int, choice: int | None = None) -> dict:
    """What the page shows of a token, or of one of its places."""
    now = view.now()
    places = [f"{e},{place}" for (e, _), place in zip(now.choices[token], now.places[token], strict=True)]
    ringed = sorted(places) if choice is None else [places[choice]]
    return {"framed": [token], "ringed": ringed, "read": plain(token_sentence(now, token, choice))}


def nothing(view: CapacityView) -> dict:
    return {"framed": [], "ringed": [], "read": view.reading.replace(" %", "\u00a0%")}


@pytest.mark.browser
def test_pointing_links_a_token_and_its_places(browser, crowded):
    now = crowded.now()
    with script_page(crowded, browser) as page:
        assert page.evaluate(SHOWN) == nothing(crowded)
        assert page.get_by_text("choice that finds no room").is_visible()
        for token in (0, now.alone[0], len(crowded.faces) - 1):
            page.locator(f"[data-i='{token}']").hover()
            assert page.evaluate(SHOWN) == shown(crowded, token)
        for expert in (e for e in range(8) if now.load[e]):
            for place in {0, now.load[expert] - 1}:
                page.locator(f"[data-at='{expert},{place}']").hover()
                assert page.evaluate(SHOWN) == shown(crowded, *now.lines[expert][place])
        page.locator(".hd").hover()
        assert page.evaluate(SHOWN) == nothing(crowded)


@pytest.mark.browser
def test_tokens_and_queues_are_a_tab_stop_each_with_arrows_inside(browser, crowded):
    now = crowded.now()
    busiest = max(range(8), key=now.load.__getitem__)
    with script_page(crowded, browser) as page:
        here = "() => document.activeElement.dataset.i ?? document.activeElement.dataset.at ?? ''"
        page.get_by_role("slider", name="layer").focus()
        seen = []
        for _ in range(3):
            page.keyboard.press("Tab")
            seen.append(page.evaluate(here))
        assert seen == ["0", next(f"{e},0" for e in range(8) if now.load[e]), ""], "two stops, and out again"
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        for key, token in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", len(now.faces) - 1)]:
            page.keyboard.press(key)
            assert page.evaluate(here) == str(token) and page.evaluate(SHOWN) == shown(crowded, token)
        page.keyboard.press("Tab")
        first = int(page.evaluate(here).split(",")[0])
        for _ in range(busiest - first):
            page.keyboard.press("ArrowDown")
        assert page.evaluate(here) == f"{busiest},0"
        for key, place in [("ArrowRight", 1), ("End", now.load[busiest] - 1), ("ArrowLeft", now.load[busiest] - 2),
                           ("ArrowUp", None), ("ArrowDown", None)]:  # fmt: skip
            page.keyboard.press(key)
            expert, at = map(int, page.evaluate(here).split(","))
            assert place is None or (expert, at) == (busiest, place)
            assert page.evaluate(SHOWN) == shown(crowded, *now.lines[expert][at])
        page.keyboard.press("Escape")
        assert page.evaluate(SHOWN) == nothing(crowded)
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "the focus stays and is seen"


@pytest.mark.browser
def test_a_pinned_token_is_followed_while_the_capacity_moves(browser):
    view = CapacityView(TEXT, factor=0.75)
    now = view.now()
    busiest = max(range(8), key=now.load.__getitem__)
    token, _ = now.lines[busiest][-1]
    with script_page(view, browser) as page:
        page.locator(f"[data-at='{busiest},{now.load[busiest] - 1}']").click()
        assert dict(page.evaluate("window.model.saved"))["pinned"] == token
        page.locator("input[type=range]").first.focus()
        page.locator(".hd").hover()
        assert page.evaluate(SHOWN) == shown(view, token)
        view.pinned, view.factor = token, 3.0
        send(page, view)
        assert page.evaluate(SHOWN) == shown(view, token) and "finds no room" not in page.evaluate(SHOWN)["read"]
        page.locator("[data-i='0']").focus()
        page.keyboard.press("Enter")
        assert page.evaluate("window.model.saved").pop() == ["pinned", 0]
        page.keyboard.press("Enter")
        assert page.evaluate("window.model.saved").pop() == ["pinned", -1]
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        assert page.evaluate("window.model.saved").pop() == ["pinned", -1]
        page.locator("input[type=range]").first.focus()
        assert page.evaluate(SHOWN) == nothing(view)


@pytest.mark.browser
def test_the_focus_stays_where_it_was_when_the_figure_is_drawn_anew(browser):
    view = CapacityView(TEXT, factor=0.75)
    with script_page(view, browser) as page:
        page.locator("[data-at='2,3']").focus()
        view.factor = 1.5
        send(page, view)
        assert page.evaluate("document.activeElement.dataset.at") == "2,3"
        assert page.evaluate(SHOWN) == shown(view, *view.now().lines[2][3])
        page.keyboard.press("Escape")
        view.factor = 1.0
        send(page, view)
        assert page.evaluate("document.activeElement.dataset.at") == "2,3"
        assert page.evaluate(SHOWN) == nothing(view), "what Escape let go does not come back by itself"


@pytest.mark.browser
@pytest.mark.parametrize("factor", [0.25, 1.0, 1.25, 3.0, 4.0])
def test_the_line_of_the_capacity_crosses_no_count(browser, factor):
    view = CapacityView(TEXT, factor=factor)
    with script_page(view, browser) as page:
        boxes = """(css) => [...document.querySelectorAll(css)].map((e) => e.getBoundingClientRect())
          .map((box) => [box.left, box.right, box.top, box.bottom])"""
        (line,) = page.evaluate(boxes, "svg .limit")
        texts = page.evaluate(boxes, "svg text")
        assert len(texts) == 8 + 3 * 9 + 1  # numerals, three columns with their names, the line's label
        for left, right, top, bottom in texts:
            assert right < line[0] or left > line[1] or bottom <= line[2] or top >= line[3]
        label = page.evaluate(boxes, "svg text:not(.count, .n0)")[0]
        assert label[0] < line[0] < label[1], "the label stands over its line"
        assert max(right for _, right, _, _ in texts) <= 900


@pytest.mark.browser
@pytest.mark.parametrize("n_experts", [8, 64, 256])
def test_numerals_are_told_from_the_text_and_from_each_other(browser, n_experts):
    """Ends of digits are no digits of an expert: a hairline stands between, and each numeral in a frame of its own."""
    experts = torch.tensor([[n_experts - 1 - i, i] for i in range(6)])
    scores = torch.full((6, n_experts), 0.1 / n_experts).scatter(1, experts, torch.tensor([[0.6, 0.3]]).expand(6, 2))
    view = CapacityView(route(scores.log(), 2), factor=1.0)
    faces = tuple(face(piece) for piece in ("17", " 25", "9", "\n", " =", "100"))
    view.faces, view.fixed = faces, view.fixed | {"tokens": [f.sent() for f in faces]}
    with script_page(view, browser) as page:
        tiles = page.evaluate("""() => [...document.querySelectorAll(".tx .tk")].map((tile) => {
          const range = document.createRange();
          range.selectNode(tile.firstChild);
          const of = (node) => { const box = node.getBoundingClientRect(); return [box.left, box.right]; };
          const inside = [...tile.lastChild.children];
          return { tile: of(tile), face: of(range), badges: inside.map(of), top: tile.getBoundingClientRect().top,
                   hairline: getComputedStyle(tile.lastChild).borderLeftWidth, from: of(tile.lastChild)[0],
                   fits: inside.every((node) => node.scrollWidth <= node.clientWidth + 1) };
        })""")
        assert [tile["fits"] and tile["hairline"] == "1px" for tile in tiles] == 6 * [True]
        for tile in tiles:
            (first, second) = tile["badges"]
            assert tile["face"][1] <= tile["from"] < first[0] < first[1] < second[0] < second[1] <= tile["tile"][1]
        for before, after, f in zip(tiles, tiles[1:], faces[1:], strict=False):
            if before["top"] == after["top"]:
                assert (after["tile"][0] - before["tile"][1] > 6) == f.gap, "a space is a gap outside of the tile"


@pytest.mark.browser
def test_an_empty_text_leaves_no_hole(browser):
    with script_page(CapacityView(""), browser) as page:
        controls, reading = (page.locator(css).last.bounding_box() for css in (".ctl", ".read"))
        assert reading["y"] - controls["y"] - controls["height"] < 30


@pytest.mark.browser
def test_nothing_runs_over_in_the_width_of_a_small_notebook(browser):
    view = CapacityView(TEXT, factor=0.75)
    view.width = 460
    with script_page(view, browser, width=484) as page:
        over = "(all) => all.filter((e) => e.getBoundingClientRect().right > 476).map((e) => e.outerHTML.slice(0, 80))"
        assert page.locator(".mx *:not(.voice)").evaluate_all(over) == []

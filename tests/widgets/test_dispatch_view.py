"""The dispatch view: what is drawn is the routing, right or wrong orders alike, and what is wrong is named."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
import torch
from small import SENTENCE, SMALL, model_with_opinions

from moe_lite import MoELanguageModel, data, dispatch
from moe_lite.model.routing import Routing, route
from moe_lite.widgets import DispatchView
from moe_lite.widgets.dispatch_view.layout import NARROWEST, WIDEST, Places
from moe_lite.widgets.dispatch_view.view import choices_of, dispatch_of, works
from moe_lite.widgets.kit.widget import KERNEL_GONE

SVG = "{http://www.w3.org/2000/svg}"
N = 14


@pytest.fixture(scope="module")
def models() -> dict[int, MoELanguageModel]:
    return {n: model_with_opinions(n) for n in (4, 8, 16)}


@pytest.fixture
def view(models):
    """Makes views of SENTENCE with 8 experts."""
    return lambda **settings: DispatchView(SENTENCE, **({"models": models, "token": 5} | settings))


def routed(model: MoELanguageModel, top_k: int = 2, layer: int = 1) -> Routing:
    """What the model itself says about the tokens that are shown."""
    with torch.no_grad():
        return model(torch.tensor([data.encode(SENTENCE)[:N]]), top_k=top_k).routing[layer - 1]


def hand_routing(kept: list[bool] | None = None) -> Routing:
    """Three tokens, K = 2, three experts; expert 2 gets nothing. Tokens 0 and 2 prefer expert 1, token 1 expert 0."""
    scores = torch.tensor([[0.2, 0.6, 0.0], [0.7, 0.1, 0.0], [0.3, 0.5, 0.0]])
    routing = route(scores.log().clamp(min=-50), 2)  # sorted: expert 0 has tokens 0 1 2, expert 1 has tokens 0 1 2
    return replace(routing, kept=torch.tensor(kept)) if kept else routing


# ---- reading the picture ---------------------------------------------------------------------------------------------


def group(figure: str, name: str) -> list[ET.Element]:
    """The elements of one of the picture's groups."""
    return list(next(g for g in ET.fromstring(figure) if g.get("class") == name))


def texts(element: ET.Element, name: str) -> list[str]:
    return [t.text for t in element.iter(f"{SVG}text") if t.get("class").split()[0] == name]


def rows(figure: str) -> list[tuple[int, int, bool]]:
    """(token's number, slice, framed) of each sorted row, from the first to the last."""
    cells = sorted((c for c in group(figure, "cells") if c.get("data-row")), key=lambda c: int(c.get("data-row")))
    assert [int(c.get("data-row")) for c in cells] == list(range(len(cells)))
    return [(int(texts(c, "tn")[0]), int(c.get("data-slice")), "bad" in c.get("class").split()) for c in cells]


def counts(figure: str) -> list[int]:
    return [int(texts(s, "count")[0]) for s in group(figure, "slots")]


def ends(line: ET.Element) -> tuple[float, ...]:
    """x and y of both ends of a curve."""
    numbers = [float(x) for x in re.findall(r"-?[\d.]+", line.get("d"))]
    return *numbers[:2], *numbers[-2:]


def drawn(figure: str, name: str) -> list[ET.Element]:
    """The lines of a group that have a length: others wait as points."""
    return [line for line in group(figure, name) if ends(line)[:2] != ends(line)[2:]]


def total(figure: str) -> str:
    found = group(figure, "total")
    return found[0].text if found else ""


# ---- the picture is the routing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_experts", "top_k", "layer"), [(4, 1, 1), (4, 4, 1), (8, 2, 3), (8, 4, 1), (16, 2, 2)])
def test_rows_counts_and_weights_are_those_of_the_routing(view, models, n_experts, top_k, layer):
    widget = view(n_experts=n_experts, top_k=top_k, layer=layer)
    routing = routed(models[n_experts], top_k, layer)  # sorted by expert, then by token
    pairs = list(zip(routing.token_ids.tolist(), routing.expert_ids.tolist(), strict=True))
    assert [(token, slice_) for token, slice_, _ in rows(widget.figure)] == pairs
    assert not any(framed for _, _, framed in rows(widget.figure))
    assert counts(widget.figure) == routing.load.tolist()
    weights, experts = routing.top_k
    low = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    for token in (0, 5, N - 1):
        widget.token = token
        shares = [f"{w:.2f}" if w >= 0.005 else "<0.01" for w in weights[token].tolist()]
        terms = [f"{w} · f{str(e).translate(low)}(x)" for w, e in zip(shares, experts[token].tolist(), strict=True)]
        assert total(widget.figure) == " + ".join(terms)
    assert widget.source == f"{n_experts}-expert model, layer {layer}" and widget.error == {}


def test_lines_lead_from_each_token_to_its_rows_and_back(view, models):
    widget = view()
    routing, places = routed(models[8]), Places(widget.now, WIDEST)
    for name, at_token, at_row in (("up", 0, 2), ("down", 2, 0)):
        lines = drawn(widget.figure, name)
        assert len(lines) == 2 * N
        found = []
        for line in lines:
            x = ends(line)
            token = min(range(N), key=lambda n: abs(places.token_x(n) - x[at_token]))
            row = min(range(2 * N), key=lambda i: abs(places.row_x(i) - x[at_row]))
            found.append((row, token))
            hue = int(line.get("class").split()[1][1:])
            assert hue == routing.expert_ids[row]  # 8 experts: the hue is the expert
        assert sorted(found) == list(enumerate(routing.token_ids.tolist()))
    ink = [line.get("class").split()[0] for line in group(widget.figure, "ink")]
    mine = (routing.token_ids == 5).nonzero()[:, 0].tolist()
    assert ink == [f"u{i}" for i in mine] + [f"d5r{i}" for i in mine]


def test_arrays_are_those_that_the_code_has(view, models):
    widget = view()
    expert_ids = routed(models[8]).top_k[1]
    order, load = dispatch.dispatch_order(expert_ids, 8)
    shown = {name: " ".join(text for text, _ in entries) for name, entries in widget.parts["arrays"]}
    assert shown == {
        "order": str(order.tolist()),
        "order // K": str((order // 2).tolist()),
        "counts": str(load.tolist()),
    }
    lit = [i for i, (_, kind) in enumerate(widget.parts["arrays"][1][1]) if kind == "lit"]
    assert lit == (order // 2 == 5).nonzero()[:, 0].tolist()


def test_stages_show_one_step_each(view, models):
    widget = view()
    experts = routed(models[8]).top_k[1]
    widget.stage = 1
    cells = {int(c.get("class").split()[0][1:]): texts(c, "n0")[0] for c in group(widget.figure, "cells")}
    assert cells == {place: str(e) for place, e in enumerate(experts.flatten().tolist())}
    ((name, flat),) = widget.parts["arrays"]
    assert (name, " ".join(text for text, _ in flat)) == ("flat", str(experts.flatten().tolist()))
    assert drawn(widget.figure, "up") == drawn(widget.figure, "down") == [] and total(widget.figure) == ""
    assert (
        widget.reading.startswith("The router sends token 5 ")
        and "places 10 and 11 of the 28 choices" in widget.reading
    )
    widget.stage = 2
    assert len(drawn(widget.figure, "up")) == 28 == len(rows(widget.figure)) and drawn(widget.figure, "down") == []
    assert widget.reading.startswith("14 tokens × 2 = 28 rows stand expert by expert")
    widget.stage = 3
    busy = [e for e, count in enumerate(counts(widget.figure)) if count]
    named = [e for e, s in enumerate(group(widget.figure, "slots")) if texts(s, "fn")]
    assert named == busy and f"{len(busy)} experts work on 28 rows" in widget.reading
    widget.stage = 4
    assert len(drawn(widget.figure, "down")) == 28 and total(widget.figure) != ""


def test_picked_slice_shows_only_its_lines_and_a_token_takes_the_focus_back(view, models):
    widget = view()
    routing = routed(models[8])
    expert = int(routing.load.argmax())
    widget.picked = expert
    mine = (routing.expert_ids == expert).nonzero()[:, 0].tolist()
    ink = [line.get("class").split()[0] for line in group(widget.figure, "ink")]
    assert ink[: len(mine)] == [f"u{i}" for i in mine] and len(ink) == 2 * len(mine)
    assert (
        f"Expert {expert} has rows {mine[0]} to {mine[-1]} of the 28" in widget.reading and total(widget.figure) == ""
    )
    widget.picked = -1
    assert total(widget.figure) != ""


def test_loop_shows_one_expert_in_its_turn(models):
    widget = DispatchView(hand_routing(), token=1)
    widget.way, widget.picked = "loop", 0
    assert [c.get("data-slice") for c in group(widget.figure, "cells") if c.get("data-row")] == ["0"] * 3
    assert len(drawn(widget.figure, "up")) == len(drawn(widget.figure, "down")) == 3
    shown = {name: " ".join(text for text, _ in entries) for name, entries in widget.parts["arrays"]}
    # token 1 prefers expert 0; for tokens 0 and 2 it is the second choice
    assert shown == {"e": "[0]", "token": "[0, 1, 2]", "choice": "[1, 0, 1]"}
    assert total(widget.figure) == "+ 0.88 · f₀(x)"  # 0.7 / (0.7 + 0.1) = 0.875
    assert "searches all 6 choices, finds tokens 0, 1 and 2, gathers them, computes them in one call" in widget.reading
    widget.picked = 2
    assert "finds none of its own, so it is not called" in widget.reading and drawn(widget.figure, "up") == []
    widget.stage, widget.picked = 2, 0
    assert widget.reading.endswith("finds tokens 0, 1 and 2 and gathers them.") and drawn(widget.figure, "down") == []


# ---- operations ------------------------------------------------------------------------------------------------------


def test_table_counts_what_the_package_does(view, models, monkeypatch):
    widget = view(n_experts=16)
    routing = routed(models[16])
    weights, expert_ids = routing.top_k
    x, calls = torch.randn(N, 6, generator=torch.Generator().manual_seed(0)), []

    def expert(part, *_):
        calls.append(len(part))
        return part

    dispatch.moe_loop(x, weights, expert_ids, [expert] * 16)
    loop, calls = calls, []
    monkeypatch.setattr(dispatch, "swiglu", expert)
    dispatch.sparse_forward(x, weights, expert_ids, torch.zeros(16, 4, 6), torch.zeros(16, 6, 2))
    by_sorting = [n for n in calls if n]
    head, *table = widget.parts["table"]
    assert table == [
        ["plain loop", f"{2 * len(loop)}, after 16 masks", str(len(loop)), str(sum(loop))],
        ["sorted dispatch", "2, after 1 sort", str(len(by_sorting)), str(sum(by_sorting))],
        ["all experts on all", "0", "16", str(16 * N)],
    ]
    assert head == ["operations, this routing", "gathers and scatters", "calls with rows", "rows computed"]


def test_measured_times_make_a_column(view):
    widget = view(times={"plain loop": 1, "all experts on all": 2.304})
    assert [row[-1] for row in widget.parts["table"]] == ["time, of plain loop", "1.00", "–", "2.30"]
    assert "2.30" in widget.static_html()
    with pytest.raises(ValueError, match=r"times has \['loop'\]; expected some of \['plain loop', 'sorted dispatch'"):
        view(times={"loop": 1})


# ---- a learner's order -----------------------------------------------------------------------------------------------


def test_order_is_asked_with_the_routing_of_each_move(view, models):
    asked = []

    def my_order(expert_ids, n_experts):
        asked.append((expert_ids.clone(), n_experts))
        result = dispatch.dispatch_order(expert_ids, n_experts)
        expert_ids.zero_()  # must not reach the picture
        return result

    widget = view(order=my_order)
    widget.top_k = 3
    widget.token, widget.stage, widget.picked = 2, 3, 1
    widget.n_experts = 4
    widget.top_k, widget.n_experts = 2, 8
    assert [(ids.shape[1], n) for ids, n in asked] == [(2, 8), (3, 8), (3, 4), (2, 4)]
    for ids, n in asked:
        assert torch.equal(ids, routed(models[n], ids.shape[1]).top_k[1])
    assert widget.source == "8-expert model, layer 1 · by my_order"
    assert [(t, s) for t, s, _ in rows(widget.figure)] == list(
        zip(routed(models[8]).token_ids.tolist(), routed(models[8]).expert_ids.tolist(), strict=True)
    )


def choices_first(expert_ids, n_experts):
    flat = expert_ids.T.flatten()
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts)


def test_rows_in_another_experts_slice_are_framed_and_named():
    # expert_ids [[1, 0], [0, 1], [1, 0]]; choice by choice 1 0 1 | 0 1 0, sorted: places 1 3 5 | 0 2 4
    widget = DispatchView(hand_routing(), order=choices_first)
    owners = [0, 1, 0, 1, 0, 1]  # of places 1, 3, 5, 0, 2, 4
    slices = [0, 0, 0, 1, 1, 1]
    expected = [(p // 2, s, o != s) for p, s, o in zip([1, 3, 5, 0, 2, 4], slices, owners, strict=True)]
    assert rows(widget.figure) == expected
    assert widget.reading == (
        "Row 1 (token 1) in the slice of expert 0 belongs to expert 1, row 4 (token 1) in the slice of expert 1 "
        "belongs to expert 0. 2 of 6 rows stand in slices that are not their own: another expert computes them."
    )
    assert widget.error == {}
    assert [line.get("class").split()[1] for line in drawn(widget.figure, "up")] == [f"e{e}" for e in owners]
    back = {
        line.get("class").split()[0].split("r")[1]: line.get("class").split()[1]
        for line in drawn(widget.figure, "down")
    }
    assert back == {str(i): f"e{e}" for i, e in enumerate(slices)}  # who computes a row gives its line the colour
    widget.token = 1  # its answers come from the other expert, with the weight of the one it should have had
    assert total(widget.figure) == "0.88 · f₁(x) + 0.12 · f₀(x)"
    widget.way = "loop"  # which needs no order
    assert not any(framed for _, _, framed in rows_of_turn(widget.figure)) and "belongs" not in widget.reading


def rows_of_turn(figure: str) -> list[tuple[str, str, bool]]:
    cells = [c for c in group(figure, "cells") if c.get("data-row")]
    assert cells
    return [(c.get("data-row"), c.get("data-slice"), "bad" in c.get("class").split()) for c in cells]


def test_doubled_and_missing_rows_are_framed_and_named():
    def doubled(expert_ids, n_experts):
        order, load = dispatch.dispatch_order(expert_ids, n_experts)  # order 1 2 5 0 3 4
        order[1] = 5
        return order, load

    widget = DispatchView(hand_routing(), order=doubled)
    assert widget.error["what"] == "doubled: order is not a permutation."
    assert widget.error["instead"] == "It holds place 5 (token 2) twice and place 2 (token 1) never. They are framed."
    assert [framed for _, _, framed in rows(widget.figure)] == [False, True, True, False, False, False]
    (never,) = [c for c in group(widget.figure, "cells") if not c.get("data-row")]
    assert never.get("class").split()[:3] == ["r2", "cell", "bad"] and texts(never, "n0") == ["0"]
    assert widget.reading == "1 choice is never computed, another row once too often."
    assert "order is not a permutation" in widget.static_html()
    widget.token = 2
    assert total(widget.figure) == "0.62 · f₁(x) + 0.38 · f₀(x) + 0.38 · f₀(x)"  # 0.5 / 0.8; 0.3 / 0.8 twice


def test_order_within_slices_is_drawn_as_it_is():
    def last_first(expert_ids, n_experts):
        order, load = dispatch.dispatch_order(expert_ids, n_experts)
        return torch.cat([part.flip(0) for part in order.split(load.tolist())]), load

    widget = DispatchView(hand_routing(), order=last_first)
    assert [token for token, _, _ in rows(widget.figure)] == [2, 1, 0, 2, 1, 0] and widget.error == {}
    assert widget.reading.startswith("Token 0 ")


def test_counts_that_are_not_the_choices_are_named():
    widget = DispatchView(
        hand_routing(), order=lambda ids, n: (ids.flatten().argsort(stable=True), torch.tensor([2, 3, 1]))
    )
    assert "counts do not match the choices" in widget.error["what"]
    assert widget.error["instead"].startswith("counts[0] is 2, but expert 0 was chosen 3 times.")
    assert counts(widget.figure) == [2, 3, 1]
    assert "Row 2 (token 2) in the slice of expert 1 belongs to expert 0" in widget.reading
    assert [kind for _, kind in widget.parts["arrays"][2][1]] == ["bad", "", "bad"]


ORDER, LOAD = torch.tensor([1, 2, 5, 0, 3, 4]), torch.tensor([3, 3, 0])
REFUSED = {
    "raises": (lambda ids, n: 1 / 0, "mine raised ZeroDivisionError: division by zero"),
    "one tensor": (lambda ids, n: ORDER, "must return two tensors, order and counts; it returned Tensor"),
    "a list": (lambda ids, n: (ORDER.tolist(), LOAD), "must return two tensors"),
    "table": (
        lambda ids, n: (ids.argsort(dim=0), LOAD),
        "order has shape (3, 2) and dtype torch.int64, expected (N·K,)",
    ),
    "floats": (lambda ids, n: (ORDER.float(), LOAD), "dtype torch.float32, expected (N·K,) = (6,) and torch.int64"),
    "int32": (lambda ids, n: (ORDER, LOAD.int()), "counts has shape (3,) and dtype torch.int32"),
    "no such place": (lambda ids, n: (ORDER + 1, LOAD), "order holds 6, but places n·K + j go from 0 to 5"),
    "no zeros": (lambda ids, n: (ORDER, LOAD[:2]), "An expert without rows has its place, too, with a 0."),
    "too few": (lambda ids, n: (ORDER, LOAD - torch.tensor([1, 0, 0])), "sum to 5, but N·K = 6 rows are to be cut"),
    "negative": (lambda ids, n: (ORDER, torch.tensor([4, 3, -1])), "counts [4, 3, -1] sum to 6"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_is_no_order_is_told_and_the_packages_is_drawn(mistake):
    function, message = REFUSED[mistake]
    function.__name__ = "mine"
    widget = DispatchView(hand_routing(), order=function)
    assert message in widget.error["what"] and widget.error["what"].startswith("mine")
    assert widget.error["instead"] == "Drawn instead: the package's own order." and widget.error["details"]
    assert rows(widget.figure) == [
        (0, 0, False),
        (1, 0, False),
        (2, 0, False),
        (0, 1, False),
        (1, 1, False),
        (2, 1, False),
    ]
    assert "by mine" not in widget.source and widget.error["what"].split(":")[0] in widget.static_html()
    widget.stage = 2
    assert message in widget.error["what"]


# ---- a learner's combine ---------------------------------------------------------------------------------------------


def test_what_combine_makes_is_drawn():
    def unsorted_weights(out, order, weights):
        return out.new_zeros(len(weights), out.shape[1]).index_add(0, order // 2, out * weights.flatten()[:, None])

    widget = DispatchView(hand_routing(), combine=unsorted_weights, token=0)
    # rows 0 … 5 hold places 1 2 5 0 3 4; weights by place 0.75 0.25 0.875 0.125 0.625 0.375
    assert total(widget.figure) == "0.75 · f₀(x) + 0.12 · f₁(x)"
    assert widget.reading.startswith(
        "Token 0 x[0] receives 0.75 of row 0, the answer of expert 0 to token 0; it should be 0.25."
    )
    assert widget.reading.endswith("3 of 3 tokens get a wrong sum.") and widget.source.endswith("by unsorted_weights")


def test_answer_put_to_another_token_is_drawn_there():
    def by_row(out, order, weights):
        return (out * weights.flatten()[order, None]).view(3, 2, -1).sum(1)  # rows 0 and 1 to token 0, …

    widget = DispatchView(hand_routing(), combine=by_row, token=0)
    assert total(widget.figure) == "0.88 · f₀(x₁) + 0.25 · f₀(x)"
    back = {
        tuple(map(int, re.match(r"d(\d+)r(\d+)", line.get("class")).groups())) for line in drawn(widget.figure, "down")
    }
    assert back == {(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (2, 5)}


def test_combine_that_fails_is_told():
    widget = DispatchView(hand_routing(), combine=lambda out, order, weights: out)
    assert (
        "returned (6, 6) torch.float32" in widget.error["what"] and "expected (N, D) = (3, 6)" in widget.error["what"]
    )
    assert total(widget.figure) == "0.75 · f₁(x) + 0.25 · f₀(x)"


# ---- dropped rows ----------------------------------------------------------------------------------------------------


def test_dropped_rows_are_struck_out_and_nothing_leaves_them():
    widget = DispatchView(hand_routing([True, True, False, True, True, False]), token=2)
    struck = [c.get("data-row") for c in group(widget.figure, "cells") if any(p.get("class") == "strike" for p in c)]
    assert struck == ["2", "5"]
    left = {int(line.get("class").split()[0].split("r")[1]) for line in drawn(widget.figure, "down")}
    assert left == {0, 1, 3, 4} and len(drawn(widget.figure, "up")) == 6
    assert total(widget.figure) == "0"
    assert "has no row left that is computed" in widget.reading and "2 rows are dropped" in widget.reading
    assert [w.rows for w in works(widget.now)] == [4, 4, 9] and widget.error == {}
    widget.token = 0
    assert total(widget.figure) == "0.75 · f₁(x) + 0.25 · f₀(x)"
    none_left = DispatchView(hand_routing([True, True, True, False, False, False]))  # all of expert 1's
    assert [w.calls for w in works(none_left.now)] == [1, 1, 3] and total(none_left.figure) == "0.25 · f₀(x)"


# ---- settings --------------------------------------------------------------------------------------------------------


def test_long_text_is_cut_and_says_so(view):
    n = len(data.encode(SENTENCE))
    assert n > N and len(group(view().figure, "tops")) == N
    assert view().parts["note"] == f"The first 14 of {n} tokens are shown."
    assert DispatchView("def f", models=model_with_opinions(4), n_experts=4).parts["note"] == ""


def test_settings_out_of_range_are_corrected_and_it_is_said(view):
    widget = view(n_experts=8, top_k=4)
    widget.n_experts, widget.picked = 7, 99
    assert (widget.n_experts, widget.picked) == (8, 7)
    widget.n_experts = 5
    assert widget.n_experts == 4 and "no model with 5 experts: now it is 4" in widget.parts["note"]
    widget.top_k = 9
    assert widget.top_k == 4 and "top-k was 9, but it goes from 1 to 4 here: now it is 4." in widget.parts["note"]
    widget.stage, widget.token = 7, -1
    assert (widget.stage, widget.token) == (4, N - 1)


def test_what_does_not_fit_is_refused(models):
    with pytest.raises(
        ValueError, match=r"models\[8\] has 8 experts and 3 sparse layers; expected 8 experts and a layer 4"
    ):
        DispatchView("a", models=models[8], layer=4)
    with pytest.raises(ValueError, match=r"models\[4\] has 8 experts"):
        DispatchView("a", models={4: models[8]})
    with pytest.raises(ValueError, match="0 sparse layers"):
        DispatchView("a", models=MoELanguageModel(replace(SMALL, n_experts=1, top_k=1)))


@pytest.mark.parametrize("text", ["🙂 naïve", "שלום עולם", "\x00\x1b[31m<b>&\"'", " ", "a\n\nb"])
def test_any_text_can_be_shown(models, text):
    widget = DispatchView(text, models=models[8])
    n = min(N, len(data.encode(text)))
    assert len(group(widget.figure, "tops")) == n and len(rows(widget.figure)) == 2 * n and widget.error == {}
    ET.fromstring(re.search(r"<svg.*</svg>", widget.static_html(), re.DOTALL)[0])


def test_empty_text_says_what_goes_here(models):
    widget = DispatchView("", models=models)
    assert widget.reading == "No token: give DispatchView a text." and widget.figure == ""
    assert widget.reading in widget.static_html()


# ---- layout, twin ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [NARROWEST, 740, WIDEST])
@pytest.mark.parametrize(("n_experts", "top_k"), [(4, 1), (8, 2), (16, 1), (16, 4)])
def test_slices_stand_side_by_side_inside_the_picture(models, n_experts, top_k, width):
    choices = choices_of(routed(models[n_experts], top_k), tuple("abcdefghijklmn"))
    places = Places(dispatch_of(choices), width)
    edges = [edge for left, wide in places.slices for edge in (left, left + wide)]
    assert edges == sorted(edges) and edges[0] >= places.left and edges[-1] <= width + 0.01
    for i, e in enumerate(places.now.slices):
        left, wide = places.slices[e]
        assert (
            left <= places.row_x(i) - places.row / 2 + 0.01 and places.row_x(i) + places.row / 2 <= left + wide + 0.01
        )


def test_siblings_in_the_picture_have_different_names(view):
    widget = view(order=lambda ids, n: (torch.zeros(ids.numel()).long(), torch.bincount(ids.flatten(), minlength=n)))
    figures = [widget.figure]
    for name, value in (("stage", 1), ("stage", 3), ("way", "loop"), ("n_experts", 16)):
        setattr(widget, name, value)
        figures.append(widget.figure)
    for parent in (p for figure in figures for p in ET.fromstring(figure).iter()):
        names = [child.get("data-expert") or child.get("class").split()[0] for child in parent]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("n_experts", [4, 8, 16])
def test_static_twin_holds_the_last_stage_and_all_numerals(view, n_experts):
    widget = view(n_experts=n_experts)
    figure = widget.figure
    widget.stage = 1
    bundle = widget.twin_bundle()
    twin = bundle["text/html"]
    assert KERNEL_GONE in twin and "<script" not in twin and "<button" not in twin and "tabindex" not in twin
    svg = re.search(r"<svg.*</svg>", twin, re.DOTALL)[0]
    assert rows(svg) == rows(figure) and total(svg) == total(figure) and counts(svg) == counts(figure)
    assert [texts(s, "n0")[0] for s in group(svg, "slots")] == [str(e) for e in range(n_experts)]
    table = re.findall(r"<tr><td>[^\n]*?>(\d+)</span></td><td>([^<]*)</td><td>(\d+)</td></tr>", twin)
    assert [(int(e), int(n)) for e, _, n in table] == list(enumerate(counts(figure)))
    tokens = [t for t, _, _ in rows(figure)]
    assert [int(t) for _, listed, _ in table if listed != "–" for t in listed.split(", ")] == tokens
    assert "copied into the slice" in twin and f"{n_experts} experts · top-2 · sorted dispatch" in twin
    assert len(twin.encode()) <= 40_000


def test_no_text_is_smaller_than_ten_pixels(view):
    sizes = re.findall(r"(?:font-size:|font:[^;}]*?)\s*([\d.]+)px", view()._css)
    assert len(sizes) > 10 and min(map(float, sizes)) >= 10 and "font-size" not in view().figure

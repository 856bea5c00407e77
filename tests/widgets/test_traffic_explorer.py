"""The traffic explorer: what it draws and says is what the lesson's arithmetic finds in the choices of the models."""

import html
import re
import shutil
import xml.etree.ElementTree as ET
from collections import Counter

import pytest
import torch
from widget_page import script_page, send

from moe_lite import data
from moe_lite.checkpoint import pretrained
from moe_lite.look.svg import NO_MATH
from moe_lite.look.words import number
from moe_lite.widgets import TrafficExplorer
from moe_lite.widgets.kit.held_out import there, validation_texts
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.kit.widget import KERNEL_GONE
from moe_lite.widgets.traffic_explorer.drawing import NAMED, NARROWEST, TWIN, WIDEST, Loads
from moe_lite.widgets.traffic_explorer.view import COUNTS, DEVICES, KINDS, PLACEMENTS, Setting, choices, travels
from moe_lite.widgets.traffic_explorer.words import bytes_text, per_hundred

SVG = "{http://www.w3.org/2000/svg}"
BUILT = there()
needs_corpus = pytest.mark.skipif(len(BUILT) < 9, reason="counts in validation texts, and not all have been built")
SETTINGS = [
    {},
    {"n_experts": 8, "layer": 4, "devices": 2, "top_k": 3, "once": False},
    {"n_experts": 32, "layer": 2, "devices": 8, "top_k": 7, "texts": "kinds", "limit": 4},
    {"n_experts": 16, "layer": 3, "devices": 8, "top_k": 2, "placement": "copies", "texts": "kinds"},
    {"n_experts": 32, "devices": 2, "top_k": 8, "placement": "load", "limit": 1, "once": False},
    {"n_experts": 8, "devices": 8, "top_k": 1, "placement": "copies"},
]


def without_corpora(folder, monkeypatch) -> None:
    """A data folder that has the models and no corpus."""
    here = data.data_dir()
    (folder / "checkpoints").symlink_to(here / "checkpoints")
    shutil.copy(here / "tokenizer.json", folder)
    monkeypatch.setenv("MOE_LITE_DATA", str(folder))


def counted(settings: dict) -> tuple[list[list[int]], list[Counter], list[int]]:
    """By plain loops: vectors from device to device, of each device the choices by expert, its tokens."""
    view = travels(Setting(**settings), there())
    m, once = view.setting.devices, view.setting.once
    matrix, loads, tokens = [[0] * m for _ in range(m)], [Counter() for _ in range(m)], [0] * m
    turn = Counter()
    for home, experts in zip(view.homes.tolist(), view.experts.tolist(), strict=True):
        tokens[home] += 1
        goes = []
        for e in experts:
            copies = [device for device in range(m) if e in view.held[device]]
            if home in copies:
                goes.append(home)
            else:
                goes.append(copies[turn[e] % len(copies)])
                turn[e] += 1
            loads[goes[-1]][e] += 1
        for device in set(goes) if once else goes:
            matrix[home][device] += 1
    return matrix, loads, tokens


# ---- what is counted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_matrix_loads_and_numbers_are_those_of_plain_loops(settings):
    widget = TrafficExplorer(**settings)
    matrix, loads, tokens = counted(settings)
    m, d_model = widget.devices, pretrained(widget.n_experts).config.d_model
    assert len(set(tokens)) == 1, "every device has as many tokens"
    cells = [g for g in ET.fromstring(widget.figure).iter(f"{SVG}g") if g.get("data-cell")]
    assert [g.get("data-cell") for g in cells] == [f"{i},{j}" for i in range(m) for j in range(m)]
    shown = [g.find(f"{SVG}text").text for g in cells]
    assert shown == [per_hundred(100 * n / tokens[0]) for row in matrix for n in row]
    stays = [g.get("data-cell") for g in cells if g.find(f"{SVG}rect").get("class") == "stays"]
    assert stays == [f"{i},{i}" for i in range(m)]
    leave = sum(matrix[i][j] for i in range(m) for j in range(m) if i != j)
    of_device = [sum(each.values()) for each in loads]
    busiest = max(of_device) * m / sum(of_device)
    sends = [sum(row) - row[i] for i, row in enumerate(matrix)]
    receives = [sum(row[i] for row in matrix) - matrix[i][i] for i in range(m)]
    slowest = max(*sends, *receives) * m / leave
    values = [value for value, _ in widget.view["keys"]]
    copies = leave / sum(tokens)
    assert values[0] == number(copies) and values[2] == bytes_text(copies * d_model * 4)
    assert values[3:] == [f"{number(slowest)} ×", f"{number(busiest)} ×"]
    assert f"{number(copies)} copies of a token's vector travel to other devices" in widget.reading
    assert f"The busiest device has {number(busiest)} times the mean load." in widget.reading
    sums = [node.text for node in ET.fromstring(widget.figure).findall(f"{SVG}text") if node.get("class") == "end"]
    assert sums == [per_hundred(100 * n / tokens[0]) for n in sends]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_bars_are_made_of_the_experts_that_a_device_holds(settings):
    widget = TrafficExplorer(**settings)
    view, (_, loads, _) = travels(widget.now, there()), counted(settings)
    picture, drawing = ET.fromstring(widget.loads), Loads(view, WIDEST)
    mean = sum(map(Counter.total, loads)) / widget.devices
    groups = [(int(g.get("class").split()[0][1:]), g.find(f"{SVG}rect")) for g in picture.findall(f"{SVG}g")]
    assert [e for e, _ in groups] == [e for held in view.held for e in held]
    assert sorted({e for e, _ in groups}) == list(range(widget.n_experts))
    wides = iter([float(rect.get("width")) for _, rect in groups])
    for held, load in zip(view.held, loads, strict=True):
        for e in held:
            assert next(wides) == pytest.approx(drawing.long(load[e] / mean), abs=0.06)
    line = next(node.get("d") for node in picture.findall(f"{SVG}path") if node.get("class") == "mean")
    assert float(re.match(r"M([\d.]+)", line)[1]) == pytest.approx(NAMED + drawing.long(1), abs=0.06)
    names = [
        (g.find(f"{SVG}text").text, g.get("class"))
        for g in picture.findall(f"{SVG}g")
        if g.find(f"{SVG}text") is not None
    ]
    assert all(f"x{name} " in look for name, look in names) and len(names) > 0.7 * len(groups)
    busiest = max(load.total() for load in loads) / mean
    assert f"busiest over mean {number(busiest)}" in widget.loads


@needs_corpus
@pytest.mark.parametrize(("n_experts", "layer", "devices", "top_k"), [(16, 2, 4, 2), (8, 1, 8, 5), (32, 4, 2, 7)])
def test_text_r_lives_on_device_r_modulo_m_and_chooses_as_the_model_does(n_experts, layer, devices, top_k):
    setting = Setting(n_experts, layer, devices, top_k, texts="kinds")
    view, length = travels(setting, BUILT), 64
    for r in (0, 1, devices, 3 * devices + 1):
        text = validation_texts(BUILT)[KINDS[r % devices]][r // devices]
        with torch.no_grad():
            routing = pretrained(n_experts).eval()(text[None], top_k=top_k).routing[layer - 1]
        mine = view.free[r * length : (r + 1) * length]
        same = (mine.sort().values == routing.top_k[1].sort().values).double().mean()
        assert same > 0.99, "another batch may round a tie the other way"
        assert set(view.homes[r * length : (r + 1) * length].tolist()) == {r % devices}
    mixed = travels(Setting(n_experts, layer, devices, top_k), BUILT)
    assert mixed.n_tokens == 9 * 16 * length and mixed.homes.bincount().unique().numel() == 1


@pytest.mark.parametrize("placement", ["neighbours", "load"])
@pytest.mark.parametrize(("devices", "top_k", "limit"), [(4, 2, 1), (8, 4, 2), (8, 6, 4)])
def test_a_limit_opens_the_devices_whose_best_expert_scores_highest(placement, devices, top_k, limit):
    view = travels(Setting(16, 2, devices, top_k, limit, placement), there())
    logits = view._rows(1)
    assert sorted(e for held in view.held for e in held) == list(range(16))
    for n in range(0, view.n_tokens, 97):
        scores = logits[n].tolist()
        order = sorted(range(devices), key=lambda d: -max(scores[e] for e in view.held[d]))[:limit]
        allowed = [e for d in order for e in view.held[d]]
        best = sorted(allowed, key=lambda e: -scores[e])[:top_k]
        assert set(view.experts[n].tolist()) == set(best)
    places = view.places[view.experts]
    assert max(len(set(row)) for row in places.tolist()) <= limit
    assert 0 < view.replaced < 1
    free = travels(Setting(16, 2, devices, top_k, None, placement), there())
    assert view.copies < free.copies and free.replaced == 0


@pytest.mark.parametrize("n_experts", COUNTS)
@pytest.mark.parametrize("devices", DEVICES)
def test_every_placement_has_every_expert_and_as_many_on_each_device(n_experts, devices):
    for placement in PLACEMENTS:
        view = travels(Setting(n_experts, devices=devices, placement=placement), there())
        assert {e for held in view.held for e in held} == set(range(n_experts))
        sizes = {len(held) for held in view.held}
        if placement == "copies":
            assert max(sizes) <= n_experts // devices + 1 and view.copied
        else:
            assert sizes == {n_experts // devices} and view.copied == []
    by_load = travels(Setting(n_experts, devices=devices, placement="load", top_k=2), there())
    neighbours = travels(Setting(n_experts, devices=devices, top_k=2), there())
    assert by_load.imbalance <= neighbours.imbalance + 1e-9


def test_a_layer_of_which_a_token_uses_all_sends_everything_everywhere():
    widget = TrafficExplorer(n_experts=8, devices=8, top_k=8)
    assert [value for value, _ in widget.view["keys"]] == ["7.00", "7.00", "3.58 kB", "1.00 ×", "1.00 ×"]
    assert "as many as if experts were drawn at random" in widget.reading


def test_the_model_runs_only_for_another_model_or_top_k():
    widget = TrafficExplorer()
    before = choices.cache_info().misses
    for name, value in (
        ("layer", 3), ("devices", 8), ("limit", 2), ("placement", "load"), ("once", False), ("texts", "kinds"),
        ("width", 600), ("limit", None), ("placement", "copies"),
    ):  # fmt: skip
        setattr(widget, name, value)
        assert widget.error == {} and getattr(widget, name) == value
    assert choices.cache_info().misses == before


# ---- sentences -------------------------------------------------------------------------------------------------------


MOVES = [
    ("n_experts", 32, "With 16 experts in the layer"),
    ("layer", 2, "In layer 1"),
    ("devices", 8, "With 4 devices"),
    ("top_k", 1, "With 2 experts per token"),
    ("limit", 1, "With no limit of devices"),
    ("placement", "load", "With neighbouring experts together"),
    ("once", False, "With a vector sent once per device"),
    ("texts", "kinds", "With mixed texts"),
]


@pytest.mark.parametrize(("name", "value", "said"), MOVES, ids=str)
def test_the_sentence_says_how_it_was_before_the_move(name, value, said):
    widget = TrafficExplorer()
    before = travels(widget.now, there())
    assert "copies travelled" not in widget.reading
    setattr(widget, name, value)
    old = (
        f"{said}, {number(before.copies)} copies travelled, and the busiest device had {number(before.imbalance)} times"
    )
    assert old in widget.reading
    k = {1: "1 expert"}.get(widget.top_k, f"{widget.top_k} experts")
    assert widget.reading.startswith(f"With {widget.devices} devices and {k} per token, ")


def test_two_settings_at_once_are_one_move():
    widget = TrafficExplorer()
    with widget.hold_trait_notifications():
        widget.devices, widget.top_k = 8, 4
    assert "Before the move, " in widget.reading


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_cell_has_its_sentence(settings):
    widget = TrafficExplorer(**settings)
    view, (matrix, _, tokens) = travels(widget.now, there()), counted(settings)
    d_model = pretrained(widget.n_experts).config.d_model
    for i, row in enumerate(widget.view["told"]):
        for j, parts in enumerate(row):
            said, n = plain(parts), 100 * matrix[i][j] / tokens[i]
            if i == j:
                what = "choose experts there" if widget.once else "choices are experts there"
                assert said.startswith(
                    f"Of 100 tokens on device {i}, {per_hundred(n)} {what}: for these nothing is sent."
                )
            elif n:
                assert said.startswith(
                    f"Device {i} sends {per_hundred(n)} vectors to device {j} per 100 of its tokens: "
                )
                assert f"{bytes_text(n / 100 * 4 * d_model)} per token, there and back." in said
            else:
                assert said.startswith(f"Device {i} sends nothing to device {j}.")
            assert f"Device {j} holds " in said and "  " not in said
            if len(view.held[j]) <= 8:
                assert [int(e) for e in re.findall(r"\d+", said.split(f"Device {j} holds ")[1])] == view.held[j]


def test_the_expert_that_gets_most_is_named():
    view = travels(Setting(texts="kinds", devices=8), there())
    said = plain(TrafficExplorer(texts="kinds", devices=8).view["told"][2][5])
    counts = Counter()
    for home, experts in zip(view.homes.tolist(), view.experts.tolist(), strict=True):
        counts.update(e for e in experts if home == 2 and e in view.held[5])
    (expert, n), *_ = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    of = view.homes.eq(2).sum().item()
    assert f"Of the experts there, expert {expert} gets most, from {per_hundred(100 * n / of)} of 100 tokens." in said


# ---- what cannot be --------------------------------------------------------------------------------------------------


WRONG = [
    ({"n_experts": 12}, "n_experts is 12, expected one of 8, 16, 32."),
    ({"n_experts": 16.0}, "n_experts is 16.0, expected one of"),
    ({"layer": 0}, "layer is 0, expected a whole number from 1 to 4: the layers of this model."),
    ({"layer": 5}, "layer is 5, expected a whole number from 1 to 4"),
    ({"devices": 3}, "devices is 3, expected one of 2, 4, 8."),
    ({"top_k": 0}, "top_k is 0, expected a whole number from 1 to 8: the experts per token."),
    ({"top_k": 9}, "top_k is 9, expected a whole number from 1 to 8"),
    ({"top_k": True}, "top_k is True, expected a whole number from 1 to 8"),
    ({"limit": 3}, "limit is 3, expected one of None, 1, 2, 4."),
    ({"limit": 4, "devices": 2}, "limit is 4, but there are only 2 devices."),
    ({"limit": 1, "devices": 8, "top_k": 3}, "top_k=3 experts do not stand on 1 of the devices, which hold 2 each."),
    ({"limit": 2, "placement": "copies"}, "limit and placement='copies' are not combined here"),
    ({"placement": "random"}, "placement is 'random', expected one of neighbours, load, copies."),
    ({"once": 1}, "once is 1, expected one of True, False."),
    ({"texts": "french"}, "texts is 'french', expected one of mixed, kinds."),
]
NO_TRAIT = ({"n_experts": 16.0}, {"top_k": True}, {"once": 1})  # what a trait's own type refuses, or takes for 1


@pytest.mark.parametrize(("settings", "said"), WRONG, ids=str)
def test_a_bad_value_is_refused(settings, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        TrafficExplorer(**settings)


@pytest.mark.parametrize(
    ("settings", "said"), [case for case in WRONG if case[0] not in NO_TRAIT and len(case[0]) == 1], ids=str
)
def test_as_a_trait_it_is_set_back_and_said(settings, said):
    widget = TrafficExplorer()
    before = widget.figure, widget.reading, widget.loads
    for name, value in settings.items():
        setattr(widget, name, value)
    assert said in widget.error["what"] and widget.error["instead"] == "What was shown stays."
    assert said in html.unescape(widget.static_html())
    assert (widget.figure, widget.reading, widget.loads) == before
    assert all(getattr(widget, name) == getattr(widget.now, name) for name in settings)
    widget.layer = 2
    assert widget.error == {}


TO_2, OFF = "so the limit is 2 devices now.", "so the limit is off."
CORRECTED = [
    (
        {"devices": 8, "limit": 1},
        ("top_k", 3),
        {"limit": 2},
        f"3 experts per token do not fit on 1 device here, {TO_2}",
    ),
    ({"n_experts": 8, "limit": 1}, ("top_k", 5), {"limit": None}, f"{OFF}"),
    ({"devices": 8, "top_k": 5}, ("limit", 2), {"top_k": 4}, "2 devices hold 4 experts, so top-k is 4."),
    ({"devices": 8, "top_k": 5}, ("limit", 1), {"top_k": 2}, "One device holds 2 experts, so top-k is 2."),
    ({"devices": 8, "limit": 4}, ("devices", 4), {"limit": None}, f"There are only 4 devices, {OFF}"),
    ({"n_experts": 32, "devices": 8, "top_k": 4, "limit": 1}, ("n_experts", 16), {"limit": 2}, TO_2),
    ({"limit": 2}, ("placement", "copies"), {"limit": None}, OFF),
    ({"placement": "copies"}, ("limit", 2), {"placement": "neighbours"}, "so neighbouring experts stand together."),
]


@pytest.mark.parametrize(("start", "move", "follows", "said"), CORRECTED, ids=str)
def test_what_no_longer_fits_follows_the_move_and_it_is_said(start, move, follows, said):
    widget = TrafficExplorer(**start)
    setattr(widget, *move)
    assert widget.error == {} and getattr(widget, move[0]) == move[1]
    assert {name: getattr(widget, name) for name in follows} == follows
    assert said in widget.note and said in html.unescape(widget.static_html())
    widget.layer = 3
    assert said not in widget.note


@pytest.mark.slow
def test_no_control_of_the_page_raises():
    """From each of some settings, each value that a control offers."""
    offered = {
        "n_experts": COUNTS, "layer": (1, 4), "devices": DEVICES, "top_k": (1, 4, 8), "limit": (None, 1, 2, 4),
        "placement": tuple(PLACEMENTS), "once": (True, False), "texts": ("mixed", "kinds"),
    }  # fmt: skip
    for settings in SETTINGS:
        for name, values in offered.items():
            for value in values:
                if name == "limit" and value is not None and value >= settings.get("devices", 4):
                    continue  # its button cannot be pressed
                widget = TrafficExplorer(**settings)
                setattr(widget, name, value)
                assert widget.error == {} and getattr(widget, name) == value, (settings, name, value)


def test_a_button_suggests_only_what_a_control_moves():
    with pytest.raises(ValueError, match="sets places, which nothing on the widget moves"):
        TrafficExplorer().suggest({"x": {"places": 2}})


# ---- notes -----------------------------------------------------------------------------------------------------------


def test_the_note_says_what_the_settings_mean():
    widget = TrafficExplorer()
    assert widget.note == "Each device holds 4 experts with neighbouring numbers."
    assert TrafficExplorer(n_experts=8, devices=8).note == "Each device holds one expert."
    widget.placement = "copies"
    view = travels(widget.now, there())
    assert all(str(e) in widget.note for e in view.copied) and "else to the copies in turn" in widget.note
    widget.placement = "load"
    assert "by their load in these very texts" in widget.note
    widget.limit = 1
    assert "from the device whose best expert scores highest, as in DeepSeek-V2." in widget.note
    assert "What it costs in loss is not measured here." in widget.note
    widget.once = False
    assert "A vector is sent anew for each expert" in widget.note


def test_without_corpora_it_reads_samples_and_says_so(tmp_path, monkeypatch):
    without_corpora(tmp_path, monkeypatch)
    widget = TrafficExplorer()
    assert widget.error == {} and "copies of a token's vector travel" in widget.reading
    assert "The validation texts of any domain are not built, so pieces of the course's short sample" in widget.note
    assert "python -m moe_lite.corpora" in widget.note and widget.source.endswith("in 4,608 tokens")
    widget.texts = "kinds"
    assert widget.error == {} and "validation texts of any domain are not built" in widget.note
    assert "not built" in widget.static_html()


@pytest.mark.slow
@needs_corpus
def test_domains_that_alone_are_missing(tmp_path, monkeypatch):
    corpus = data.data_dir() / "corpus"
    without_corpora(tmp_path, monkeypatch)
    (tmp_path / "corpus").mkdir()
    for domain in ("french", "json"):
        for split in ("train", "val"):
            shutil.copy(corpus / f"{domain}.{split}.txt", tmp_path / "corpus")
    widget = TrafficExplorer(devices=2)
    assert "Not built yet, and so left out: shakespeare, python, math" in widget.note
    assert widget.source.endswith("in 2,048 tokens")
    widget.texts = "kinds"
    view = travels(widget.now, there())
    assert view.kinds == ["french", "json"] and "not built" not in widget.note.lower()
    widget.devices = 4
    assert travels(widget.now, there()).kinds == ["french", "json", "shakespeare", "python"]
    assert "The validation texts of shakespeare and python are not built" in widget.note
    assert widget.source.endswith("in 2,048 tokens"), "as many of each text"


# ---- on a page -------------------------------------------------------------------------------------------------------


def test_twin_has_settings_figures_tables_and_sentence():
    widget = TrafficExplorer(devices=8, limit=2, texts="kinds")
    page = widget.static_html()
    text = html.unescape(re.sub("<[^>]*>", "", page.replace(widget._css, "")))
    settings = (
        "16 experts, 2 per token · layer 1 · 8 devices · experts from at most 2 devices · placement: neighbours · "
        "a vector is sent once per device · texts: one kind per device"
    )
    assert settings in text and widget.note.replace(" %", "\xa0%") in text.replace(" %", "\xa0%")
    assert widget.reading in text and KERNEL_GONE in text
    assert all(f"{value} {name}" in text for value, name in widget.view["keys"])
    assert f'class="mx traffic_explorer twin {NO_MATH}"' in page
    assert page.count("<table>") == 2 and "tabindex" not in page.replace(widget._css, "") and "gridcell" not in page
    assert f'width="{TWIN}"' in page
    labels = re.findall(r'role="img" aria-label="([^"]*)"', page)
    assert labels[0].startswith("Vectors from device to device, per 100 tokens. Device 0 sends ")
    assert labels[1].startswith("Load of each device over the mean: device 0 ")


TEXTS = """(css) => [...document.querySelectorAll(css)].map((node) => {
  const { left, right, top, bottom } = node.getBoundingClientRect();
  return [node.textContent, left, right, top + 2, bottom - 2, parseFloat(getComputedStyle(node).fontSize)];
})"""


@pytest.mark.parametrize("width", [900, 500])
def test_no_text_of_a_figure_is_small_cut_off_or_under_another(width, browser):
    widget = TrafficExplorer()
    widget.width = WIDEST if width == 900 else NARROWEST
    with script_page(widget, browser, width) as page:
        for settings in SETTINGS:
            other = TrafficExplorer(**settings)
            other.width = widget.width
            send(page, other)
            for css in ("svg.matrix:not(.sw)", "svg.loads"):
                box = page.locator(css).bounding_box()
                texts = page.evaluate(TEXTS, f"{css} text")
                assert len(texts) > 5
                for i, (text, left, right, top, bottom, size) in enumerate(texts):
                    assert size >= 11, text
                    assert left >= box["x"] - 1 and right <= box["x"] + box["width"] + 1, (settings, text)
                    assert bottom <= box["y"] + box["height"] + 2, (settings, text)
                    for beside, l2, r2, t2, b2, _ in texts[i + 1 :]:
                        apart = right <= l2 + 1.5 or r2 <= left + 1.5 or bottom <= t2 or b2 <= top
                        assert apart, (css, settings, text, beside)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, settings


def test_pointer_and_keys_show_a_cell_s_sentence(browser):
    widget = TrafficExplorer()
    sentences = [[plain(parts) for parts in row] for row in widget.view["told"]]
    with script_page(widget, browser) as page:
        told = page.locator(".told")
        assert told.inner_text().startswith("Point at a cell, or focus the matrix")
        page.get_by_role("gridcell").nth(6).hover()
        assert told.inner_text() == sentences[1][2]
        page.mouse.move(5, 5)
        assert told.inner_text().startswith("Point at a cell")
        page.get_by_role("gridcell").nth(4).click()
        page.mouse.move(5, 5)
        assert told.inner_text() == sentences[1][0], "what was pressed stays"
        for key, (i, j) in (
            ("ArrowRight", (1, 1)), ("ArrowDown", (2, 1)), ("ArrowUp", (1, 1)), ("End", (1, 3)), ("ArrowRight", (1, 3)),
            ("Home", (1, 0)), ("ArrowLeft", (1, 0)), ("ArrowUp", (0, 0)), ("ArrowUp", (0, 0)),
        ):  # fmt: skip
            page.keyboard.press(key)
            assert told.inner_text() == sentences[i][j]
            assert page.evaluate("document.activeElement.dataset.cell") == f"{i},{j}"
            assert page.evaluate("document.activeElement.getAttribute('aria-label')") == sentences[i][j]
        page.keyboard.press("End")
        widget.devices = 2
        send(page, widget)
        fewer = [[plain(parts) for parts in row] for row in widget.view["told"]]
        assert told.inner_text() == fewer[0][1], "the nearest cell that there still is"
        assert page.evaluate("document.activeElement.dataset.cell") == "0,1"
        page.keyboard.press("Escape")
        assert told.inner_text().startswith("Point at a cell")
        assert page.locator("svg.matrix .at.off").count() == 1
        assert page.locator("[data-cell][tabindex='0']").count() == 1

"""The cache explorer: what it draws and says is what the lesson's caches do with the choices that the model makes."""

import html
import re
import shutil
import xml.etree.ElementTree as ET

import pytest
import torch
from widget_page import script_page, send

from moe_lite import data
from moe_lite.checkpoint import pretrained
from moe_lite.lab.decoding import BATCHES
from moe_lite.lab.offloading import decode, offloaded
from moe_lite.lessons import expert_cache
from moe_lite.lessons.expert_cache import LFU, LRU, Belady, Favourites, serve
from moe_lite.lessons.serving import experts_touched
from moe_lite.look.svg import NO_MATH
from moe_lite.look.words import percent
from moe_lite.widgets import CacheExplorer
from moe_lite.widgets.cache_explorer.drawing import NARROWEST, TWIN, WIDEST, Strip, runs
from moe_lite.widgets.cache_explorer.view import (
    COUNTS,
    MIXED,
    RULES,
    Batch,
    Setting,
    held_out,
    shown_model,
    there,
    write,
    written,
)
from moe_lite.widgets.cache_explorer.widget import TEXT
from moe_lite.widgets.cache_explorer.words import bytes_text
from moe_lite.widgets.kit.held_out import WINDOW
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.kit.widget import KERNEL_GONE

SVG = "{http://www.w3.org/2000/svg}"
BUILT = there()
needs_corpus = pytest.mark.skipif(not BUILT, reason="counts in validation texts, and no corpus has been built")
SETTINGS = [
    {},
    {"n_experts": 8, "layer": 4, "slots": 2, "rule": "lfu", "new": 9},
    {"n_experts": 32, "layer": 2, "slots": 12, "rule": "belady", "new": 70},
    {"n_experts": 16, "layer": 3, "slots": 16, "rule": "favourites", "new": 1},
]


def asked_for(n_experts: int, new: int, text: str = TEXT) -> list[list[list[int]]]:
    """layer, step -> experts; the prompt's step first."""
    asked = [[] for _ in range(4)]
    prompt = torch.tensor([data.encode(text)])
    for _, output in pretrained(n_experts).generate(prompt, new + 1, temperature=0):
        for layer, routing in zip(asked, output.routing, strict=True):
            layer.append(sorted(set(routing.expert_ids.tolist())))
    return asked


def cache_of(rule: str, slots: int, requests: list[list[int]], n_experts: int, layer: int):
    load = held_out(n_experts, there()).load[layer - 1]
    made = {"lru": lambda: LRU(slots), "lfu": lambda: LFU(slots), "belady": lambda: Belady(slots, requests)}
    return Favourites(slots, load) if rule == "favourites" else made[rule]()


def groups(widget: CacheExplorer) -> dict[int, ET.Element]:
    """expert -> its row of the strip."""
    rows = (g for g in ET.fromstring(widget.figure).findall(f"{SVG}g"))
    return {int(row.get("class").split()[0][1:]): row for row in rows}


def path(row: ET.Element, look: str) -> str:
    return next(node.get("d") for node in row.findall(f"{SVG}path") if node.get("class") == look)


def steps_in(drawing: Strip, d: str) -> set[int]:
    """The columns that the boxes of a path cover."""
    boxes = [tuple(map(float, each)) for each in re.findall(r"M([\d.]+) [\d.]+h([\d.]+)v", d)]
    middles = {step: sum(drawing.span(step)) / 2 for step in range(len(drawing.moments))}
    return {step for step, middle in middles.items() if any(x < middle < x + wide for x, wide in boxes)}


def without_corpora(folder, monkeypatch) -> None:
    """A data folder that has the models and no corpus."""
    here = data.data_dir()
    (folder / "checkpoints").symlink_to(here / "checkpoints")
    shutil.copy(here / "tokenizer.json", folder)
    monkeypatch.setenv("MOE_LITE_DATA", str(folder))


# ---- a text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_strip_shows_what_the_lesson_s_cache_does_with_the_model_s_choices(settings):
    widget = CacheExplorer(**settings)
    requests = asked_for(widget.n_experts, widget.new)[widget.layer - 1]
    cache = cache_of(widget.rule, widget.slots, requests, widget.n_experts, widget.layer)
    steps = serve(cache, requests)
    drawing, rows = Strip(widget.now, write(widget.now), WIDEST), groups(widget)
    assert list(rows) == list(range(widget.n_experts)) and len(steps) == widget.new + 1
    for expert, row in rows.items():
        used = {i for i, step in enumerate(steps) if expert in step.needed}
        held = {i for i, step in enumerate(steps) if expert in step.resident}
        assert steps_in(drawing, path(row, "use")) == used
        assert steps_in(drawing, path(row, "in")) == held
        marks = [float(x) for x in re.findall(r"M([\d.]+) ", path(row, "load"))]
        loaded = [i for i, step in enumerate(steps) if expert in step.loaded]
        assert len(marks) == len(loaded)
        assert all(left < x < right for x, (left, right) in zip(marks, map(drawing.span, loaded), strict=True))
        assert row.find(f"{SVG}text").text == str(expert), "colour is never the only carrier"


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_sentence_counts_the_steps_of_writing(settings):
    widget = CacheExplorer(**settings)
    layers = asked_for(widget.n_experts, widget.new)

    def loads(layer: int, rule: str) -> int:
        cache = cache_of(rule, widget.slots, layers[layer - 1], widget.n_experts, layer)
        return sum(len(step.loaded) for step in serve(cache, layers[layer - 1])[1:])

    mine, needed = loads(widget.layer, widget.rule), widget.new * widget.now.top_k
    count = f"{mine or 'none'} of the {needed:,} experts needed while writing had to be loaded in layer {widget.layer}"
    share = f" ({percent(mine / needed)})" if mine else ""
    assert f"With room for {widget.slots} of {widget.n_experts} experts, {count}{share}." in widget.reading
    best = loads(widget.layer, "belady") or "none"
    if widget.rule == "belady":
        assert (
            f"No rule loads fewer in these steps; LRU would have loaded {loads(widget.layer, 'lru')}." in widget.reading
        )
    else:
        assert f"A rule that knows the future would have loaded {best}." in widget.reading
    every = sum(loads(layer, widget.rule) for layer in range(1, 5))
    if every:
        moved = bytes_text(every * widget.now.expert_bytes / widget.new)
        assert f"In all 4 layers together {every:,} of {4 * needed:,} were loaded" in widget.reading
        assert widget.reading.endswith(f"which moved {moved} of bfloat16 weights per new token.")


@pytest.mark.parametrize(("n_experts", "slots"), [(8, 3), (16, 4), (32, 9)])
def test_loads_and_bytes_are_those_of_a_model_whose_experts_lie_in_a_file(n_experts, slots):
    setting = Setting(TEXT, n_experts, slots=slots, new=12)
    run = decode(offloaded(n_experts, slots), torch.tensor([data.encode(TEXT)]), 12)
    story = write(setting)
    assert story.loads_in_all("lru", slots) == run.loaded and story.needed_in_all() == run.needed
    assert story.loads_in_all("lru", slots) * setting.expert_bytes == run.bytes_read


@pytest.mark.slow
@pytest.mark.parametrize("n_experts", COUNTS)
def test_no_rule_loads_fewer_than_the_one_that_knows_the_future(n_experts):
    """Also where the prompt needs more experts than fit."""
    for text in (TEXT, "17 + 25 =", *list(data.SAMPLES.values())[:3]):
        setting = Setting(text, n_experts, slots=n_experts, new=24)
        story = write(setting)
        for layer in range(1, setting.n_layers + 1):
            assert all(len(needed) == setting.top_k for needed in story.requests[layer - 1][1:])
            for slots in range(setting.top_k, n_experts + 1):
                counts = {rule: story.loads(layer, rule, slots) for rule in RULES}
                assert counts["belady"] == min(counts.values()), (text, layer, slots)


def test_charts_print_other_rules_and_other_room():
    widget = CacheExplorer(rule="lfu", slots=6)
    story, chart = write(widget.now), ET.fromstring(widget.charts)
    values = [node.text for node in chart if (node.get("class") or "").startswith("value")]
    assert values == [str(story.loads(1, rule, 6)) for rule in RULES]
    bold = [node.text for node in chart if node.get("class") == "rule b"]
    assert bold == ["LFU"]
    line = chart.find(f".//{SVG}polyline").get("points").split()
    counts = [story.loads(1, "lfu", slots) for slots in range(2, 17)]
    heights = [128 - float(point.split(",")[1]) for point in line]
    assert heights == pytest.approx([104 * n / max(counts) for n in counts], abs=0.06)


def test_every_column_has_its_sentence():
    widget = CacheExplorer(slots=4)
    story, sentences = write(widget.now), [plain(parts) for parts in widget.view["told"]]
    assert len(sentences) == 41 == widget.view["places"]["steps"]
    first = story.moments(1, "lru", 4)[0]
    assert sentences[0].startswith(
        f"The prompt is read in one step: its {story.n_prompt} tokens need {len(first.needed)} of the 16 experts of "
        "layer 1. Memory is empty before, so all of them are loaded. Only 4 fit: "
    )
    for i, moment in enumerate(story.moments(1, "lru", 4)[1:], start=1):
        came, gone = [e for e, _ in moment.loaded], [e for _, e in moment.loaded if e is not None]
        said = sentences[i]
        assert said.startswith(
            f"New token {i}, {story.faces[i - 1].text.replace(chr(10), '')}, needs 2 experts in layer 1."
        )
        numbers = sorted(int(n) for n in re.findall(r"\d+", said.split(" in layer 1.", 1)[1]))
        assert numbers == sorted([*moment.needed, *gone])
        assert ("loaded" in said) == bool(came) and ("made room" in said) == bool(gone)
    roomy = CacheExplorer(slots=16)
    assert not any("made room" in plain(parts) or "Only" in plain(parts) for parts in roomy.view["told"])


def test_runs_join_neighbours_and_leave_the_prompt_alone():
    assert runs([0, 1, 2, 4, 7, 8]) == [(0, 0), (1, 2), (4, 4), (7, 8)]
    assert runs([]) == []


@pytest.mark.parametrize(("new", "width", "named"), [(40, WIDEST, True), (96, WIDEST, False), (40, NARROWEST, False)])
def test_tokens_stand_under_their_columns_where_there_is_room(new, width, named):
    widget = CacheExplorer(new=new)
    widget.width = width
    labels = [n.text for n in ET.fromstring(widget.figure).findall(f"{SVG}text") if "tok" in n.get("class")]
    assert len(labels) == (new if named else 0)
    assert ("their texts do not fit here" in widget.figure) != named
    drawing = Strip(widget.now, write(widget.now), width)
    edges = [x for step in range(new + 1) for x in drawing.span(step)]
    assert edges == sorted(edges) and edges[0] > 22 and edges[-1] <= width, "the prompt first, every column inside"


def test_the_model_runs_only_for_another_text_model_or_length():
    widget = CacheExplorer(new=7)
    before = written.cache_info().misses, held_out.cache_info().misses
    for name, value in (
        ("layer", 3),
        ("slots", 9),
        ("rule", "favourites"),
        ("batch", 20),
        ("domain", "french"),
        ("width", 600),
    ):
        setattr(widget, name, value)
        assert widget.error == {}
    assert (written.cache_info().misses, held_out.cache_info().misses) == before
    widget.new = 8
    widget.text = "other"
    assert written.cache_info().misses == before[0] + 2 and held_out.cache_info().misses == before[1]


# ---- what is typed ---------------------------------------------------------------------------------------------------


STRANGE = ["x", "\ud800", "\x00\x1b[0m", "\U0001f642\u200d\u0301 \u10e5", "<b>&amp;</b> $x$", "\n\n\t ", "a" * 3000]


@pytest.mark.parametrize("text", STRANGE, ids=ascii)
def test_any_text_can_be_typed(text):
    widget = CacheExplorer(new=5)
    widget.text = text
    assert widget.error == {} and "With room for 4 of 16 experts" in widget.reading
    ET.fromstring(widget.figure)
    body = widget.static_html().replace(widget._css, "")
    assert "<b>&amp;amp;" not in body
    assert len(widget.view["told"]) == 6


def test_a_long_text_is_cut_and_said():
    widget = CacheExplorer("x " * 4000, new=30)
    n = len(data.encode("x " * 4000))
    assert f"of the prompt's {n:,} tokens it read the last 225." in widget.note
    assert write(widget.now).n_prompt == 225


def test_no_text_leaves_the_batch():
    widget = CacheExplorer("")
    assert widget.reading == "Type a text: the model reads it and goes on writing."
    assert widget.figure == "" == widget.charts and widget.view["told"] == [] and widget.error == {}
    assert "<svg" in widget.touched and "Type a text" in widget.static_html()
    widget.text = "def"
    assert "<svg" in widget.figure


WRONG = [
    ({"text": 7}, "text is a int, expected a str that the model goes on from."),
    ({"n_experts": 12}, "n_experts is 12, expected one of 8, 16, 32."),
    ({"n_experts": 16.0}, "n_experts is 16.0, expected one of"),
    ({"layer": 5}, "layer is 5, expected a whole number from 1 to 4"),
    ({"layer": 0}, "layer is 0, expected a whole number from 1 to 4"),
    ({"slots": 1}, "slots is 1, expected a whole number from 2 to 16: a token needs 2 experts per layer at once."),
    ({"slots": 17}, "slots is 17, expected a whole number from 2 to 16"),
    ({"rule": "fifo"}, "rule is 'fifo', expected one of lru, lfu, favourites, belady."),
    ({"new": 0}, "new is 0, expected a whole number from 1 to 96: the tokens to be written."),
    ({"new": 97}, "new is 97, expected a whole number from 1 to 96"),
    ({"batch": 65}, "batch is 65, expected a whole number from 1 to 64: the texts at a time."),
    ({"batch": True}, "batch is True, expected a whole number from 1 to 64"),
    ({"domain": "latin"}, "domain is 'latin', expected one of mixed, shakespeare, french"),
]


@pytest.mark.parametrize(("settings", "said"), WRONG, ids=str)
def test_a_bad_value_is_refused(settings, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        CacheExplorer(**settings)


# what a trait's own type refuses, or takes for 1
NO_TRAIT = ({"text": 7}, {"n_experts": 16.0}, {"batch": True})


@pytest.mark.parametrize(("settings", "said"), [case for case in WRONG if case[0] not in NO_TRAIT], ids=str)
def test_as_a_trait_it_is_set_back_and_said(settings, said):
    widget = CacheExplorer(new=5)
    before = widget.figure, widget.reading, widget.touched
    for name, value in settings.items():
        setattr(widget, name, value)
    assert said in widget.error["what"] and widget.error["instead"] == "What was shown stays."
    assert (widget.figure, widget.reading, widget.touched) == before
    assert all(getattr(widget, name) == getattr(widget.now, name) for name in settings)
    widget.layer = 2
    assert widget.error == {}


def test_another_model_brings_the_room_into_its_range():
    widget = CacheExplorer(new=5)
    widget.n_experts = 32
    assert widget.slots == 7 and widget.error == {}
    assert "This model needs 7 experts per token and layer at once, so there is room for 7." in widget.note
    widget.slots = 30
    assert "so there is room" not in widget.note
    widget.n_experts = 8
    assert widget.slots == 8 and "8 experts per layer, so there is room for all of them." in widget.note
    with pytest.raises(ValueError, match="sets places, which nothing on the widget moves"):
        widget.suggest({"x": {"places": 2}})


# ---- a batch ---------------------------------------------------------------------------------------------------------


@needs_corpus
@pytest.mark.parametrize(
    ("n_experts", "layer", "domain", "n"), [(16, 1, "french", 8), (8, 4, "python", 3), (32, 2, "math", 16)]
)
def test_a_batch_is_counted_in_validation_texts(n_experts, layer, domain, n):
    """By plain sets: one token each of n texts, at every place."""
    known = held_out(n_experts, BUILT)
    ids = known.texts[domain]
    text = data.load_corpora([domain])[domain].val.tolist()
    starts = {tuple(text[i : i + WINDOW]) for i in range(0, len(text) - WINDOW, WINDOW)}
    assert len(ids) == len({tuple(row) for row in ids.tolist()} & starts), "windows of its own validation split"
    chosen = expert_cache.choices(pretrained(n_experts), ids)[layer - 1].tolist()
    sizes = []
    for first in range(0, len(chosen) // n * n, n):
        for place in range(WINDOW):
            sizes.append(len({e for row in chosen[first : first + n] for e in row[place]}))
    batch = Batch(Setting(TEXT, n_experts, layer, slots=n_experts, batch=n, domain=domain), known)
    assert batch.counted(n) == pytest.approx(sum(sizes) / len(sizes))
    flat = [e for row in chosen for token in row for e in token]
    shares = [flat.count(e) / (len(chosen) * WINDOW) for e in range(n_experts)]
    assert batch.by_shares(n) == pytest.approx(sum(1 - (1 - share) ** n for share in shares))
    assert batch.even(n) == experts_touched(n_experts, batch.setting.top_k, n)
    assert batch.counted(1) == pytest.approx(batch.setting.top_k)


@needs_corpus
def test_the_batch_s_sentence_and_bytes():
    widget = CacheExplorer(batch=8, domain="french", new=5)
    batch = Batch(widget.now, held_out(16, BUILT))
    moved = batch.counted(8) * 2 * 3 * 128 * 64
    assert widget.view["batch"].startswith(f"8 texts from french touch {batch.counted(8):.1f} of layer 1's 16 experts")
    assert f"The shares of french predict {batch.by_shares(8):.1f}, even choices 10.5." in widget.view["batch"]
    assert (
        f"The step reads {bytes_text(moved)} of this layer's experts, {bytes_text(moved / 8)} for"
        in widget.view["batch"]
    )
    assert [value for value, _ in widget.view["keys"]] == [bytes_text(moved), bytes_text(moved / 8), "98 kB"]
    assert widget.view["missing"] == ""
    widget.batch, widget.domain = 1, MIXED
    assert widget.view["batch"].startswith("One text from all domains touches 2.0 of layer 1's 16 experts in one step")
    assert widget.view["batch"].endswith("all of it for one token.")


@needs_corpus
def test_a_mixed_batch_has_texts_of_every_domain():
    known = held_out(16, BUILT)
    assert len(known._mixed[0]) == sum(map(len, known.texts.values()))
    of = {tuple(row): domain for domain, ids in known.texts.items() for row in ids.tolist()}
    assert len({of[tuple(row)] for row in known._mixed[0][:32].tolist()}) >= len(BUILT) - 2
    batch = Batch(Setting(TEXT), known)
    assert batch.counted(8) > Batch(Setting(TEXT, domain="french"), known).counted(8), "different texts touch more"


@needs_corpus
def test_the_lower_figure_has_three_lines_and_the_slider_s_place():
    widget = CacheExplorer(batch=4, domain="french", new=5)
    picture, batch = ET.fromstring(widget.touched), Batch(widget.now, held_out(16, BUILT))
    lines = {node.get("class"): node.get("points").split() for node in picture.findall(f"{SVG}polyline")}
    assert set(lines) == {"even", "shares"}
    height = 130 / 16
    end = float(lines["even"][-1].split(",")[1])
    assert 154 - end == pytest.approx(height * batch.even(64), abs=0.06)
    dots = [float(n.get("cy")) for n in picture.findall(f"{SVG}circle") if n.get("class") == "counted"]
    assert dots == pytest.approx([154 - height * batch.counted(n) for n in batch.points], abs=0.06)
    here = next(n for n in picture.findall(f"{SVG}circle") if n.get("class") == "here")
    assert float(here.get("cy")) == pytest.approx(154 - height * batch.counted(4), abs=0.06)
    assert f"counted in validation texts: {batch.counted(4):.1f}" in widget.view["lines"]


def test_without_corpora_it_says_what_is_missing(tmp_path, monkeypatch):
    without_corpora(tmp_path, monkeypatch)
    widget = CacheExplorer(domain="french", rule="favourites", new=5)
    assert widget.error == {} and "With room for 4 of 16 experts" in widget.reading
    assert widget.view["missing"].startswith("The validation texts of french are not built, so nothing was counted")
    assert "python -m moe_lite.corpora" in widget.view["missing"]
    assert "the course's sample texts" in widget.note and "the course's sample texts" in widget.view["batch"]
    assert 'class="counted"' not in widget.touched and "counted" not in widget.view["lines"]
    widget.domain = MIXED
    assert widget.view["missing"].startswith("The validation texts of any domain are not built")
    assert "validation texts of any domain are not built" in widget.static_html()
    prompts = held_out(16, ()).prompts("french", 32)
    assert len({tuple(row) for row in prompts.tolist()}) > 16, "texts of a batch differ"


@pytest.mark.slow
@needs_corpus
def test_a_domain_that_alone_is_missing_is_left_out(tmp_path, monkeypatch):
    corpus = data.data_dir() / "corpus"
    without_corpora(tmp_path, monkeypatch)
    (tmp_path / "corpus").mkdir()
    for domain in ("french", "python"):
        for split in ("train", "val"):
            shutil.copy(corpus / f"{domain}.{split}.txt", tmp_path / "corpus")
    widget = CacheExplorer(domain=MIXED, new=5)
    assert widget.view["missing"].startswith("Not built yet, and so left out: shakespeare, german, italian")
    assert 'class="counted"' in widget.touched
    widget.domain = "german"
    assert widget.view["missing"].startswith("The validation texts of german are not built")


# ---- measured here ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_measuring_draws_dots_beside_what_bytes_predict():
    widget = CacheExplorer(n_experts=8, domain="french", new=5)
    assert widget.speeds == "" and widget.view["speeds"] == "" and "tokens per second" not in widget.static_html()
    widget.measure()
    speeds = widget.measured[8, "french"]
    assert list(speeds) == list(BATCHES) and all(speed > 0 for speed in speeds.values())
    assert widget.error == {} and widget.view["busy"] == ""
    assert widget.speeds.count('class="timed"') == len(BATCHES)
    batch = Batch(widget.now, held_out(8, there()))
    assert batch.predicted(1, speeds[1]) == pytest.approx(speeds[1])
    weights = {name: p.numel() for name, p in shown_model(8).named_parameters()}
    common = sum(n for name, n in weights.items() if ".experts." not in name) - weights["embed.weight"]
    expert = weights["blocks.0.feed_forward.experts.gate_up"] // 8 + weights["blocks.0.feed_forward.experts.down"] // 8
    touched = {n: sum(batch.counted(n, layer) if batch.measured else 0 for layer in range(1, 5)) for n in (1, 32)}
    if batch.measured:
        alone, many = (common + touched[n] * expert for n in (1, 32))
        assert batch.predicted(32, speeds[1]) == pytest.approx(32 * speeds[1] * alone / many)
    twin = widget.static_html()
    assert "On this machine one text makes" in widget.view["speeds"] and html.escape(widget.view["speeds"]) in twin
    widget.domain = "python"
    assert widget.speeds == "", "what was measured holds for its own texts"
    assert "tokens per second" not in widget.static_html()
    widget.domain = "french"
    assert widget.speeds != ""


def test_a_measuring_that_fails_is_told(tmp_path, monkeypatch):
    widget = CacheExplorer(n_experts=8, new=5)
    shutil.copy(data.data_dir() / "tokenizer.json", tmp_path)
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))  # the models have gone
    widget.measure()
    assert "No shipped model with 8 experts" in widget.error["what"]
    assert widget.error["instead"] == "What was measured before stays." and widget.view["busy"] == ""
    assert "No shipped model with 8 experts" in widget.static_html()
    widget.layer = 2
    assert widget.error == {}


# ---- on a page -------------------------------------------------------------------------------------------------------


def test_twin_has_text_settings_figures_tables_and_sentence():
    widget = CacheExplorer(rule="lfu", slots=5, batch=12)
    page = widget.static_html()
    text = html.unescape(re.sub("<[^>]*>", "", page.replace(widget._css, "")))
    assert TEXT in text and "16 experts, 2 per token · layer 1 · LFU · room for 5 · 40 new tokens" in text
    assert "layer 1 · 12 texts from all domains" in text and widget.view["batch"] in text
    assert widget.reading.replace(" %", "\xa0%") in text and KERNEL_GONE in text
    assert f'class="mx cache_explorer twin {NO_MATH}"' in page
    assert page.count("<table>") == 2 and 'tabindex="0"' not in page
    assert f'width="{TWIN}"' in page
    labels = re.findall(r'role="img" aria-label="([^"]*)"', page)
    assert labels[0].startswith("Experts of layer 1 in memory, one row per expert: first the prompt of ")
    assert labels[1].startswith("Experts loaded while writing, by rule: LRU: ")
    assert labels[2].startswith("Experts of layer 1 that one step touches, by texts at a time. 1: even 2.0")


TEXTS = """(css) => [...document.querySelectorAll(css)].map((node) => {
  const { left, right, top, bottom } = node.getBoundingClientRect();
  return [node.textContent, left, right, top + 2, bottom - 2, parseFloat(getComputedStyle(node).fontSize)];
})"""


@pytest.mark.parametrize("width", [900, 600])
def test_no_text_of_a_figure_is_small_cut_off_or_under_another(width, browser):
    widget = CacheExplorer()
    widget.measured[16, MIXED] = {n: 200.0 * n**0.8 for n in BATCHES}
    widget.width = 580 if width == 600 else WIDEST
    widget.tell()
    with script_page(widget, browser, width) as page:
        for settings in SETTINGS:
            with widget.hold_trait_notifications():
                for name, value in settings.items():
                    setattr(widget, name, value)
            send(page, widget)
            for css in ("svg.strip:not(.sw)", "svg.charts", "svg.touched:not(.sw)", "svg.speeds:not(.sw)"):
                if not page.locator(css).count():
                    assert css.startswith("svg.speeds") and widget.n_experts != 16
                    continue
                box = page.locator(css).bounding_box()
                texts = page.evaluate(TEXTS, f"{css} text")
                assert len(texts) > 7
                for i, (text, left, right, top, bottom, size) in enumerate(texts):
                    assert size >= 11, text
                    assert left >= box["x"] - 1 and right <= box["x"] + box["width"] + 6, (settings, text)
                    assert bottom <= box["y"] + box["height"] + 2, (settings, text)
                    for other, l2, r2, t2, b2, _ in texts[i + 1 :]:
                        apart = right <= l2 + 1.5 or r2 <= left + 1.5 or bottom <= t2 or b2 <= top
                        assert apart, (css, settings, text, other)


def test_pointer_and_keys_show_a_token_s_experts(browser):
    widget = CacheExplorer()
    sentences = [plain(parts) for parts in widget.view["told"]]
    with script_page(widget, browser) as page:
        strip, told = page.get_by_role("slider", name="step", exact=True), page.locator(".told")
        assert told.inner_text().startswith("Point at a column, or focus the figure")
        box, places = page.locator("svg.strip:not(.sw)").bounding_box(), widget.view["places"]
        page.mouse.move(box["x"] + places["first"] + 6.5 * places["column"], box["y"] + 60)
        assert told.inner_text() == sentences[7]
        page.mouse.move(box["x"] + places["left"] + 10, box["y"] + 60)
        assert told.inner_text() == sentences[0]
        page.mouse.move(box["x"] + 300, box["y"] - 40)
        assert told.inner_text().startswith("Point at a column")
        page.mouse.click(box["x"] + places["first"] + 2.5 * places["column"], box["y"] + 60)
        page.mouse.move(box["x"] + 300, box["y"] - 40)
        assert told.inner_text() == sentences[3], "what was pressed stays"
        for key, step in (
            ("ArrowRight", 4),
            ("ArrowLeft", 3),
            ("PageUp", 13),
            ("End", 40),
            ("ArrowRight", 40),
            ("Home", 0),
        ):
            strip.press(key)
            assert told.inner_text() == sentences[step] == strip.get_attribute("aria-valuetext")
            assert strip.get_attribute("aria-valuenow") == str(step)
        strip.press("Escape")
        assert told.inner_text().startswith("Point at a column")
        assert page.locator("svg.strip .at.off").count() == 1

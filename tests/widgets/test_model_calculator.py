"""The model calculator: its numbers are `families.count`'s, its sums add up, its sentence holds, mistakes are told."""

import html
import json
import random
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, cycle, pairwise

import pytest
from small import small_config
from widget_page import script_page, send

from moe_lite import families
from moe_lite.metrics import budget
from moe_lite.model.config import ModelConfig
from moe_lite.widgets import ModelCalculator
from moe_lite.widgets.kit.widget import KERNEL_GONE
from moe_lite.widgets.model_calculator.drawing import LEAST_BOX, STRIP, WIDEST, example
from moe_lite.widgets.model_calculator.view import BITS, CARDS, COMPARED, SIZES, STEPS, sizes_of
from moe_lite.widgets.model_calculator.words import CONVENTIONS, short

NAMES = families.published()
SPARSE = [name for name in NAMES if families.published(name).n_experts]
MIXTRAL = {"model_type": "mixtral", "vocab_size": 32_000, "hidden_size": 4096, "num_hidden_layers": 32,
           "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14_336, "num_local_experts": 8,
           "num_experts_per_tok": 2}  # fmt: skip


def bars(widget: ModelCalculator) -> dict[str, dict[str, ET.Element]]:
    """key of a row -> first word of the class -> element."""
    groups = {g.get("class"): g for g in ET.fromstring(widget.figure)}
    return {
        key: {child.get("class").split()[0]: child for child in group}
        for key, group in groups.items()
        if key not in ("head", "foot")
    }


def row(widget: ModelCalculator) -> dict[str, ET.Element]:
    """The one of the chosen model."""
    (chosen,) = (parts for parts in bars(widget).values() if "chosen" in parts)
    return chosen


def number(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def rounds_to(n: int, text: str, unit: int) -> bool:
    """Whether the exact number is what the text says, to half of its last digit."""
    places = len(text.partition(".")[2])
    return abs(Fraction(n, unit) - number(text)) <= Fraction(1, 2 * 10**places)


def exact(model, convention: str) -> tuple[int, int]:
    found = families.count(model)
    return getattr(found.total, convention), getattr(found.active, convention)


def settings_of(name: str, n: int) -> list[dict[str, int]]:
    """The model's own sizes, and some that the sliders reach."""
    chance, own = random.Random(name), sizes_of(families.published(name))
    drawn = []
    for _ in range(n if name in SPARSE else 0):
        sizes = {size: chance.choice(STEPS[size]) for size in SIZES}
        drawn.append(sizes | {"top_k": min(sizes["top_k"], sizes["n_experts"])})
    return [own, *drawn]


def walk(name: str, n: int = 5):
    """A widget in many settings of one model, with the record that it should show."""
    widget = ModelCalculator(name)
    for at, sizes in enumerate(settings_of(name, n)):
        with widget.hold_trait_notifications():
            for size, value in sizes.items():
                setattr(widget, size, value)
            widget.convention = [*CONVENTIONS][at % 3]
            widget.free = STEPS["free"][at % len(STEPS["free"])]
        widget._recompute()
        assert widget.error == {}
        yield widget, replace(families.published(name), **sizes)


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_bars_and_table_are_what_the_package_counts(name):
    for widget, model in walk(name):
        total, active = exact(model, widget.convention)
        shown = row(widget)
        assert rounds_to(total, shown["n-total"].text, 10**9) and rounds_to(active, shown["n-active"].text, 10**9)
        assert abs(Fraction(active, total) - Fraction(shown["n-share"].text.removesuffix(" %").strip("<")) / 100) <= (
            Fraction(1, 200) if "<" not in shown["n-share"].text else Fraction(1, 100)
        )
        found = families.count(model)
        sizes = {bits: (found.weights_bytes(bits), -(-found.active.all * bits // 8)) for bits in BITS}
        table = ET.fromstring(widget.memory)
        bodies = {body.get("class"): body for body in table.iter("tbody")}
        assert [*bodies] == (["model", "dense"] if found.active.all < found.total.all else ["model"])
        for body, which in zip(bodies.values(), (0, 1), strict=False):
            for bits, sizes_held in sizes.items():
                (line,) = (tr for tr in body if tr.get("class") == f"b{bits}")
                cells = {cell.get("class"): "".join(cell.itertext()) for cell in line}
                held = sizes_held[which]
                assert rounds_to(held, cells["gb"], 10**9)
                for card in CARDS:
                    room = Fraction(card * 2**30 * (100 - widget.free), 100)
                    text = cells[f"c{card}"]
                    if held <= room:
                        share = held / room
                        said = Fraction(text.removesuffix(" %").strip("<")) / 100
                        assert "%" in text and abs(share - said) <= Fraction(1, 200) + Fraction("<" in text, 200)
                    else:
                        n = int(number(text.removesuffix(" cards")))
                        assert (n - 1) * room < held <= n * room + n, text


def test_published_figures_are_met():
    """46.7 and 12.9 (arXiv 2401.04088); 6.9 and 1.3 (arXiv 2409.02060); 132 and 36 (Databricks), without embedding."""
    shown = {name: (parts["n-total"].text, parts["n-active"].text)
             for name, parts in zip(COMPARED, bars(ModelCalculator()).values(), strict=True)}  # fmt: skip
    assert shown["Mixtral-8x7B"] == ("46.7", "12.9") and shown["OLMoE-1B-7B"] == ("6.9", "1.3")
    assert shown["DBRX"] == ("131.6", "36.5") and shown["gpt-oss-120b"] == ("116.8", "5.7")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_written_sums_add_up(name):
    for widget, model in walk(name):
        unit = {"billions": 10**9, "millions": 10**6, "thousands": 10**3}[widget.view["heading"][1].split()[2]]
        total, active = exact(model, widget.convention)
        experts = model.n_experts, min(model.top_k, model.n_experts)
        for text, n, k in zip(widget.view["sums"], (total, active), experts, strict=True):
            if name not in SPARSE:
                assert widget.view["sums"][0] == f"{short(n, unit)} total"
                continue
            common, times, expert, result = re.fullmatch(
                r"(\S+) \+ (\S+) × (\S+) = (\S+) (?:total|active)", text
            ).groups()
            assert int(number(times)) == k and rounds_to(n, result, unit)
            half = Fraction(1, 2 * 10 ** len(result.partition(".")[2]))
            assert abs(number(common) + k * number(expert) - number(result)) <= half, text
            held = families.count(model).parameters["experts"]
            assert rounds_to(held // model.n_experts, expert, unit)
            assert rounds_to(total - held, common, unit)


@pytest.mark.parametrize("name", NAMES)
def test_parts_of_what_every_token_uses_are_the_packages(name):
    widget = ModelCalculator(name)
    for convention in CONVENTIONS:
        widget.convention = convention
        view, found = widget.now, families.count(name)
        assert sum(view.common.values()) == view.total - found.parameters.get("experts", 0)
        assert view.common["attention"] == found.parameters["attention"]
        vocabulary = [part for part in view.common if "embedding" in part or "head" in part]
        assert vocabulary == ([] if convention == "body" else vocabulary[:1])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_sentence_is_true(name):
    units = {"billion": 10**9, "million": 10**6}
    for widget, model in walk(name):
        total, active = exact(model, widget.convention)
        found, said = families.count(model), widget.reading
        if active == total:
            (whole, word) = re.match(r"All (\S+) (\w+) parameters of .+ work on each token", said).groups()
        else:
            match = re.match(
                r"(At most )?(\S+) of the (\S+) (\w+) parameters of .+ work on a token \((<?\d+) %\)", said
            )
            zero, part, whole, word, percent = match.groups()
            assert bool(zero) == bool(model.zero_experts) and rounds_to(active, part, units[word])
            assert abs(100 * active / total - int(percent.strip("<"))) <= (1 if "<" in percent else 0.5)
        assert rounds_to(total, whole, units[word])
        assert ("not counted" in said) == (widget.convention != "all")
        assert (f"with {widget.free} % of each card kept free" in said) == (widget.free > 0)
        if widget.convention == "all":
            assert "memory must hold them all:" in said
        else:
            stored, word = re.search(r"memory must hold all (\S+) (\w+):", said).groups()
            assert rounds_to(found.total.all, stored, units[word])
        ours, theirs = needs(found.weights_bytes(4), widget.free), needs(-(-found.active.all // 2), widget.free)
        assert re.search(r"they need (an? \d+ GB card|[\d,]+ cards of 80 GB)", said)[1] == ours
        if found.active.all == found.total.all:
            assert "dense model" not in said
        elif ours == theirs:
            assert ", and so does a dense model of " in said
        else:
            assert said.endswith(f" needs {theirs}.") and ", where a dense model of " in said
        assert said.count(".") - len(re.findall(r"\d\.\d", said + name)) + len(re.findall(r"\d\.\d", name)) == 1


def needs(n_bytes: int, free: int) -> str:
    """The smallest card that holds so many bytes, or how many of the largest."""
    rooms = {card: card * 2**30 * (100 - free) // 100 for card in CARDS}
    for card, room in rooms.items():
        if n_bytes <= room:
            return f"{'an' if card in (8, 80) else 'a'} {card} GB card"
    return f"{-(-n_bytes // rooms[80]):,} cards of 80 GB"


def test_the_sentence_of_the_first_look():
    assert ModelCalculator().reading == (
        "12.9 of the 46.7 billion parameters of Mixtral-8x7B work on a token (28 %); memory must hold them all: "
        "at int4, with 10 % of each card kept free, they need a 48 GB card, where a dense model of 12.9 billion "
        "needs an 8 GB card."
    )


def test_the_cache_is_the_packages():
    widget = ModelCalculator()
    for context in STEPS["context"]:
        widget.context = context
        n_bytes = families.count("Mixtral-8x7B").kv_cache_bytes(context)
        assert widget.view["cache"].endswith(f"of {context:,} tokens at 16 bits: {short(n_bytes, 10**9)} GB.")
    assert short(families.count("Mixtral-8x7B").kv_cache_bytes(8192), 10**9) == "1.1"  # 2·32·8·128·8192·2 = 1.07e9
    widget.preset = "Switch-Base-16"
    assert "depends on two lengths" in widget.view["cache"] and widget.error == {}


def test_a_model_of_ours_is_counted_as_the_metrics_do():
    widget = ModelCalculator(small_config(n_experts=4, top_k=2), compare=())
    assert widget.now.count.total.all == budget(small_config(n_experts=4, top_k=2), 1).total_parameters
    assert widget.preset == "your model" and [*bars(widget)] == ["base"] and "thousand" in widget.reading
    widget.top_k = 1
    assert "of your model work on a token" in widget.reading and [*bars(widget)] == ["base", "mine"]
    dense = ModelCalculator(small_config(n_experts=1))
    assert not dense.view["sparse"] and "work on each token" in dense.reading


# ---- settings --------------------------------------------------------------------------------------------------------


def test_a_changed_preset_is_yours_and_the_preset_stays():
    widget = ModelCalculator()
    widget.n_experts = 16
    shown = bars(widget)
    assert [*shown] == ["r0", "r1", "r2", "r3", "r4", "mine"] and shown["r2"]["n-total"].text == "46.7"
    assert shown["mine"]["name"].text == "yours" and "chosen" in shown["mine"] and widget.view["changed"]
    assert "parameters of your Mixtral-8x7B work" in widget.reading
    widget.n_experts = 8
    assert [*bars(widget)] == ["r0", "r1", "r2", "r3", "r4"] and "chosen" in bars(widget)["r2"]
    widget.preset = "Grok-1"
    assert [*bars(widget)][-1] == "base" and (widget.n_experts, widget.top_k, widget.d_expert) == (8, 2, 32_768)
    widget.top_k = 1
    assert [*bars(widget)][-2:] == ["base", "mine"]


def test_a_preset_and_sizes_set_together_both_hold():
    widget = ModelCalculator("DBRX")
    with widget.hold_trait_notifications():
        widget.preset, widget.n_experts, widget.top_k, widget.d_expert = "Mixtral-8x7B", 16, 2, 14_336
    assert (widget.now.base.name, widget.now.model.n_experts, widget.now.changed) == ("Mixtral-8x7B", 16, True)


def test_what_is_suggested_names_all_sizes():
    widget = ModelCalculator().suggest(
        {"twice the experts": {"preset": "Mixtral-8x7B", "n_experts": 16}, "half": {"free": 50}}
    )
    first, second = (each["settings"] for each in widget.suggested)
    assert first == {"preset": "Mixtral-8x7B", "n_experts": 16, "top_k": 2, "d_expert": 14_336} and second == {
        "free": 50
    }
    with pytest.raises(ValueError, match="no published model 'Mixtral'; near: "):
        widget.suggest({"x": {"preset": "Mixtral"}})


def test_more_choices_than_experts_are_cut_and_told():
    widget = ModelCalculator()
    widget.top_k = 12
    assert (widget.error["what"], widget.error["instead"]) == ("top-k 12 is more than 8 experts.", "Showing 8.")
    assert widget.top_k == 8 == widget.now.model.top_k and row(widget)["n-share"].text == "100 %"
    assert "top-k 12 is more than 8 experts." in widget.static_html()
    widget.width = 640  # the page measures anew when the error takes room
    assert widget.error["instead"] == "Showing 8."
    widget.top_k = 2
    assert widget.error == {} and not widget.now.changed
    widget.preset = "DBRX"
    widget.n_experts = 2
    assert widget.top_k == 2 and widget.error["what"] == "top-k 4 is more than 2 experts."
    widget.n_experts = 1
    assert widget.error["what"] == "top-k 2 is more than 1 expert."


WRONG = [
    ({"preset": "Mixtral-8x8B"}, "no published model 'Mixtral-8x8B'; near: Mixtral-8x7B"),
    ({"preset": "GPT-4"}, "the sizes of GPT-4 are not published"),
    ({"convention": "some"}, "convention is 'some', expected one of all, without_embedding, body"),
    ({"free": 91}, "the part kept free, in % is 91, expected 0 to 90"),
    ({"n_experts": 0}, "experts E is 0, expected 1 to 4,096"),
    ({"top_k": -1}, "top-k is -1, expected 1 to"),
    ({"d_expert": 0}, "expert width F is 0, expected 1 to"),
    ({"context": 0}, "context is 0, expected 1 to"),
    ({"config": '{"model_type": "mixtral",'}, "This is not JSON: Expecting property name"),
    ({"config": "{'model_type': 'mixtral'}"}, "This is not JSON: "),
    ({"config": "[" * 100_000}, "This is not JSON: "),
    ({"config": "[1]"}, "A config.json has fields between { and }; this is a list."),
    ({"config": '"/etc/hostname"'}, "A config.json has fields between { and }; this is a str."),
    ({"config": '{"model_type": "mixtrall"}'}, "no reader for model_type 'mixtrall'; near: mixtral"),
    ({"config": json.dumps({k: v for k, v in MIXTRAL.items() if k != "hidden_size"})}, "mixtral has no hidden_size"),
    ({"config": json.dumps(MIXTRAL | {"num_local_experts": "8"})}, "num_local_experts is '8' in the config.json"),
    ({"config": json.dumps(MIXTRAL | {"num_experts_per_tok": 9})}, "top_k"),
    ({"config": json.dumps(MIXTRAL | {"num_hidden_layers": 20_000})}, "'num_hidden_layers' is 20,000 in"),
    ({"config": json.dumps(MIXTRAL | {"hidden_size": 4096 * 10**400})}, "one of its sizes must be wrong"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "said"), WRONG, ids=lambda each: str(each)[:40])
def test_wrong_settings_are_told_and_set_back(settings, said):
    widget = ModelCalculator()
    before = widget._settings(widget.now), widget.figure, widget.memory, widget.reading
    for name, value in settings.items():
        setattr(widget, name, value)
    assert said in widget.error["what"] and widget.error["instead"] == "What was shown stays."
    assert (widget._asked_for(), widget.figure, widget.memory, widget.reading) == (before[0], *before[1:])
    assert html.escape(said) in widget.static_html()
    widget.width = 640
    assert said in widget.error["what"], "another width puts nothing right"
    widget.top_k = 3
    assert widget.error == {} and widget.now.model.top_k == 3


def test_experts_of_a_dense_model_cannot_be_moved():
    widget = ModelCalculator("Llama-2-70B")
    assert not widget.view["sparse"] and widget.view["sums"] == ["69.0 total", "all of it for every token"]
    widget.n_experts = 8
    assert widget.error["what"] == "Llama-2-70B is dense: it has no experts to change." and widget.n_experts == 0


def test_what_cannot_be_counted_is_refused_from_the_start():
    with pytest.raises(ValueError, match="no published model 'Mixtral'; near: "):
        ModelCalculator("Mixtral")
    with pytest.raises(ValueError, match="no published model 'x'"):
        ModelCalculator(compare=("DBRX", "x"))
    with pytest.raises(ValueError, match="count takes a PublishedModel, its name or a ModelConfig; int came"):
        ModelCalculator(7)


def test_a_pasted_config_is_counted_and_becomes_a_preset():
    widget = ModelCalculator("DBRX")
    widget.config = json.dumps(MIXTRAL | {"num_local_experts": 4, "_name_or_path": "someone/My-4x7B"})
    assert widget.error == {} and widget.preset == "My-4x7B" and widget.n_experts == 4
    assert widget.now.total == families.count(replace(families.published("Mixtral-8x7B"), n_experts=4)).total.all
    assert ["My-4x7B", 4, 2, 14_336] in widget.view["presets"] and bars(widget)["base"]["name"].text == "My-4x7B"
    widget.preset = "OLMoE-1B-7B"
    widget.preset = "My-4x7B"
    assert widget.n_experts == 4 and widget.now.total == widget.now.count.total.all
    widget.config = ""
    assert widget.error == {} and widget.preset == "My-4x7B"
    widget.config = json.dumps(MIXTRAL | {"_name_or_path": "Mixtral-8x7B"})
    assert widget.preset == "Mixtral-8x7B (own)" and row(widget)["n-total"].text == "46.7"
    widget.config = json.dumps(MIXTRAL | {"_name_or_path": "<b>&", "num_hidden_layers": 2})
    assert widget.error == {} and widget.preset == "<b>&"
    twin = widget.static_html().replace(widget._css, "")
    assert "<b>&amp;" not in twin and "&lt;b&gt;&amp;" in twin
    ET.fromstring(widget.figure)
    for name, kept in {"a\x01\ud800\u202eb": "ab", "\x00": "mixtral", "/": "mixtral"}.items():
        widget.config = json.dumps(MIXTRAL | {"_name_or_path": name})
        assert widget.error == {} and widget.preset == kept
        ET.fromstring(widget.figure)


# ---- pictures --------------------------------------------------------------------------------------------------------


def test_bars_stand_on_one_scale_that_nothing_moves():
    widget = ModelCalculator()

    def lengths() -> dict[str, tuple[float, float]]:
        return {key: tuple(float(parts[f"bar-{kind}"].get("width")) for kind in ("total", "active"))
                for key, parts in bars(widget).items()}  # fmt: skip

    first = lengths()
    longest = first["r4"][0] / families.count("DBRX").total.all
    for (total, active), name in zip(first.values(), COMPARED, strict=True):
        found = families.count(name)
        assert total == pytest.approx(longest * found.total.all, abs=0.1)
        assert active == pytest.approx(longest * found.active.all, abs=0.1)
    widget.n_experts = 16
    assert {key: value for key, value in lengths().items() if key != "mine"} == first
    widget.convention = "body"
    assert lengths()["r4"][0] == pytest.approx(longest * families.count("DBRX").total.body, abs=0.1)


def test_a_bar_beyond_the_scale_is_broken():
    widget = ModelCalculator()
    assert 'class="break"' not in widget.figure
    widget.preset = "DeepSeek-V3"
    assert (
        widget.figure.count('class="break"') == 1 and "break" in row(widget) and row(widget)["n-total"].text == "671.0"
    )
    ends = [
        float(bar.get("x")) + float(bar.get("width"))
        for bar in (row(widget)["bar-total"], bars(widget)["r4"]["bar-total"])
    ]
    assert ends[0] > ends[1] + 12, "it ends behind the longest that fits"


def test_ticks_stand_where_bars_ended_before_the_move():
    widget = ModelCalculator()
    assert "was" not in widget.figure
    ends = {key: float(parts["bar-active"].get("x")) + float(parts["bar-active"].get("width"))
            for key, parts in bars(widget).items()}  # fmt: skip
    widget.convention = "body"
    for key, parts in bars(widget).items():
        if abs(float(parts["bar-active"].get("x")) + float(parts["bar-active"].get("width")) - ends[key]) > 0.6:
            assert float(parts["t-active"].get("x")) + 0.75 == pytest.approx(ends[key], abs=0.1)
    assert "t-active" in bars(widget)["r4"] and "before the move" in widget.figure
    widget.n_experts = 16
    assert "t-total" not in widget.figure, "a bar that is new has no place before"
    widget.top_k = 4
    assert "t-active" in bars(widget)["mine"] and "t-total" not in bars(widget)["mine"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SPARSE)
def test_the_strip_shows_every_expert_at_its_width_and_fills_those_that_work(name):
    for widget, model in walk(name, 4):
        parts = list(ET.fromstring(widget.strip))
        total, expert = widget.now.total, widget.now.expert
        common = [p for p in parts if "common" in p.get("class")]
        assert len(common) == len(widget.now.common)
        works, box = min(model.top_k, model.n_experts), expert / total * WIDEST
        groups = [p for p in parts if p.tag.endswith("}g")]
        if model.n_experts <= 16 and box >= LEAST_BOX:
            assert len(groups) == model.n_experts and sum(" on" in g.get("class") for g in groups) == works
            assert [g[2].text for g in groups] == [str(e) for e in range(model.n_experts)]
            assert all(float(g[0].get("width")) == pytest.approx(box - 1, abs=0.06) for g in groups)
        else:
            (cells,) = groups
            assert model.n_experts <= 16 or works == model.n_experts or "drawn side by side" in widget.note
            shown = {p.get("class"): p for p in cells}
            assert float(shown["working"].get("width")) == pytest.approx(max(1, works * box), abs=0.06)
            idle = float(shown["idle"].get("width")) if "idle" in shown else 0
            assert idle == pytest.approx((model.n_experts - works) * box, abs=0.06)
            lines = sum(p.get("d").count("M") for key, p in shown.items() if key in ("inside", "between"))
            assert lines in (0, (works - 1) + max(0, model.n_experts - works - 1))
        last = max(
            float(p.get("x")) + float(p.get("width"))
            for p in ET.fromstring(widget.strip).iter()
            if p.get("width") and p.get("x")
        )
        assert last <= WIDEST + 0.5 and float(common[0].get("height")) == STRIP


@pytest.mark.parametrize("n", [1, 2, 3, 8, 15, 16])
def test_an_example_fills_different_experts(n):
    for k in range(1, n + 1):
        chosen = example(n, k)
        assert len(chosen) == k and all(a < b for a, b in pairwise(chosen)) and 0 <= chosen[0] and chosen[-1] < n
    assert example(8, 2) == [1, 5]


@pytest.mark.parametrize("name", ["Mixtral-8x7B", "DeepSeek-V3", "PaLM-540B", "Switch-Base-16"])
def test_twin_names_its_settings_and_can_be_read_without_pictures(name):
    widget = ModelCalculator(name)
    widget.convention, widget.free = "without_embedding", 20
    bundle = widget.twin_bundle()
    twin = bundle["text/html"]
    assert bundle["text/plain"] == widget.reading and html.escape(widget.reading).replace(" %", "&nbsp;%") in twin
    assert "<script" not in twin and "<input" not in twin and "<select" not in twin and KERNEL_GONE in twin
    model = families.published(name)
    if model.n_experts:
        assert (
            f"{name} · experts E {model.n_experts} · top-k {model.top_k} · expert width F {model.d_expert:,} · " in twin
        )
    assert "parameters counted: all but the input embedding · kept free 20 %" in twin and "Weights only." in twin
    assert all(html.escape(text) in twin for text in (*widget.view["captions"], *widget.view["sums"]))
    assert f"<td>{name}</td>" in twin and widget.memory in twin and len(twin.encode()) < 40_000
    widget.top_k = max(0, widget.top_k - 1)
    assert widget.top_k == model.top_k or f"{name}, changed · " in widget.static_html()


# every text of the figures and every bar, and the box that it takes
LABELS = """() => {
  const texts = [...document.querySelectorAll("svg text, :is(.over, .sums, .mem) span, .mem :is(b, .gb, .what)")];
  const boxes = texts.filter((node) => node.textContent.trim() && node.checkVisibility()).map((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return [node.textContent, range.getBoundingClientRect()];
  });
  const bars = [...document.querySelectorAll(".bar-total")].map((node) => ["a bar", node.getBoundingClientRect()]);
  return [...boxes, ...bars].map(([name, { left, right, top, bottom }]) => [name, left, right, top, bottom]);
}"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [460, 640, 812])
def test_no_label_covers_another(browser, width):
    widget = ModelCalculator()
    widget.width = width
    with script_page(widget, browser, width=width + 24) as page:
        for name, convention in zip(NAMES, cycle(CONVENTIONS)):
            large = {"n_experts": 512, "d_expert": 32_768} if name in SPARSE else {}
            for move in ({"preset": name, "convention": convention}, large):
                with widget.hold_trait_notifications():
                    for trait, value in move.items():
                        setattr(widget, trait, value)
                widget._recompute()
                send(page, widget)
                labels = page.evaluate(LABELS)
                assert len(labels) > 40
                assert (
                    min(left for _, left, *_ in labels) >= 0 and max(right for _, _, right, *_ in labels) <= width + 20
                )
                for (a, *one), (b, *two) in combinations(labels, 2):
                    apart = (
                        one[1] <= two[0] + 0.5 or two[1] <= one[0] + 0.5 or one[3] <= two[2] + 1 or two[3] <= one[2] + 1
                    )
                    assert apart, (name, move, a, b)


@pytest.mark.browser
def test_nothing_runs_over_in_the_width_of_a_small_notebook(browser):
    widget = ModelCalculator("ERNIE-4.5-300B-A47B")
    widget.width, widget.n_experts = 460, 512
    with script_page(widget, browser, width=484) as page:
        over = "(all) => all.filter((e) => e.getBoundingClientRect().right > 478).map((e) => e.outerHTML.slice(0, 80))"
        assert page.locator(".mx *:not(.voice, option)").evaluate_all(over) == []


@pytest.mark.browser
def test_controls_are_reached_by_tab_in_the_order_of_reading_and_say_what_they_hold(browser):
    widget = ModelCalculator("DBRX")
    with script_page(widget, browser) as page:
        name = "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText.trim()"
        page.locator("select").focus()
        seen = [page.evaluate(name)]
        for _ in range(9):
            page.keyboard.press("Tab")
            seen.append(page.evaluate(name))
        assert seen == ["model", "experts E", "top-k", "expert width F", *CONVENTIONS.values(),
                        "Count a config.json of your own", "kept free for cache and activations",
                        "context"]  # fmt: skip
        sliders = page.locator("input[type=range]").evaluate_all(
            "(all) => all.map((e) => e.getAttribute('aria-valuetext'))"
        )
        assert sliders == ["16", "4", "10,752", "10 %", "8,192"]
        small = "(all) => all.filter((e) => e.getBoundingClientRect().height < 24).map((e) => e.outerHTML)"
        assert page.locator("button, select, summary, input").evaluate_all(small) == []
        widget.preset = "PaLM-540B"
        send(page, widget)
        assert page.get_by_role("slider").count() == 2, "a dense model has no experts to move"


@pytest.mark.browser
def test_choosing_a_changed_preset_anew_brings_its_sizes_back(browser):
    widget = ModelCalculator()
    widget.n_experts = 64
    with script_page(widget, browser) as page:
        select = page.locator("select")
        assert select.input_value() == "" and select.evaluate("e => e.selectedOptions[0].text") == "yours"
        select.select_option("Mixtral-8x7B")
        asked = dict(page.evaluate("window.model.saved"))
        assert {size: asked[size] for size in SIZES} == {"n_experts": 8, "top_k": 2, "d_expert": 14_336}
        assert asked["preset"] == "Mixtral-8x7B"
        widget.n_experts = 8
        send(page, widget)
        page.evaluate("() => { window.model.set('answered', window.model.get('asked')); }")
        assert select.input_value() == "Mixtral-8x7B"
        steps = "e => e.max"
        widget.preset = "Kimi-K2"
        send(page, widget)
        most = page.get_by_role("slider", name="experts E").evaluate(steps)
        assert int(most) == len({*STEPS["n_experts"], 384}) - 1


@pytest.mark.browser
def test_a_pasted_text_is_sent_as_it_is(browser):
    widget = ModelCalculator()
    with script_page(widget, browser) as page:
        page.locator("summary").click()
        page.locator("textarea").fill('{"model_type": "<b>"}')
        page.wait_for_function("() => window.model.saved.some(([name]) => name === 'config')")
        assert dict(page.evaluate("window.model.saved"))["config"] == '{"model_type": "<b>"}'
        widget.config = '{"model_type": "<b>"}'
        send(page, widget)
        said = page.locator(".err").inner_text()
        assert said.startswith("no reader for model_type '<b>'") and "What was shown stays." in said


def test_sizes_between_the_steps_are_kept():
    widget = ModelCalculator(ModelConfig())
    widget.d_expert = 100
    assert widget.d_expert == 100 == widget.now.model.d_expert and widget.error == {}

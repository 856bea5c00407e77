"""The family explorer: what it shows is what `route` does, and its reason is found by turning options back."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
import torch
from widget_page import script_page, send

from moe_lite import families
from moe_lite.lab import runs
from moe_lite.look.words import number
from moe_lite.model.routing import route
from moe_lite.widgets import FamilyExplorer
from moe_lite.widgets.family_explorer import view
from moe_lite.widgets.family_explorer.drawing import NARROWEST, WIDEST
from moe_lite.widgets.family_explorer.view import Rule, compare, differing, example_bias, offered, others
from moe_lite.widgets.family_explorer.words import reading_parts, short
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.kit.widget import KERNEL_GONE

SVG = "{http://www.w3.org/2000/svg}"
# the best four are 0, 4, 8 and 12, one in each of four groups, then come 1 and 5
SPREAD = torch.tensor([2.0, 1.5, -1, -1, 1.9, 1.4, -1, -1, 1.8, -1, -1, -1, 1.7, -1, -1, -1])
NEAR = torch.full((16,), -3.0).index_put((torch.tensor([0, 2, 4, 5]),), torch.tensor([1.0, 0.9, 0.8, 0.95]))
ONE = torch.randn(16, generator=torch.Generator().manual_seed(3))


def said(logits: torch.Tensor, left: str, right: str, k: int = 4, strength: float = 0.0) -> str:
    """The reading line as text."""
    rules = [Rule.of(name, len(logits), k) for name in (left, right)]
    return plain(reading_parts(compare(logits, *rules, k, strength, text="x")))


def pictured(widget: FamilyExplorer) -> dict[str, dict[str, dict[int, ET.Element]]]:
    """ "first" and "second" -> row of the band -> expert -> its elements."""
    svg = ET.fromstring(widget.figure)
    bands = {g.get("class").split()[0]: g for g in svg if "band" in g.get("class").split()}
    return {
        key: {row.get("class"): experts(row) for row in band.findall(f"{SVG}g")} for key, band in bands.items()
    }  # fmt: skip


def experts(row: ET.Element) -> dict[int, ET.Element]:
    return {int(g.get("data-expert")): g for g in row.findall(f"{SVG}g") if g.get("data-expert")}


def value(cell: ET.Element) -> str:
    return next(text.text for text in cell.findall(f"{SVG}text") if text.get("class").startswith("val"))


@pytest.fixture(scope="module")
def rows():
    """The logits of the usual sentence."""
    return FamilyExplorer().rows


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", offered())
@pytest.mark.parametrize("k", [1, 4, 8])
def test_experts_and_weights_are_those_of_route(name, k, rows):
    rule, bias = Rule.of(name, 16, k), 0.7 * example_bias(16)
    config = rule.config
    assert (config.n_experts, config.top_k) == (16, k)
    for z in rows.logits:
        band = view.band_of(rule, z, k, bias)
        z = z + bias if config.router_bias else z
        routing = route(z[None], k, bias=bias if config.selection_bias else None, **config.routing_options())
        assert band.chosen == tuple(sorted(routing.expert_ids.tolist()))
        torch.testing.assert_close(torch.tensor(band.weights), routing.combine[0])
        if config.order == "score_first":
            torch.testing.assert_close(torch.tensor(band.scores), routing.scores[0])


@pytest.mark.parametrize("name", offered())
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_what_is_drawn_as_compared_explains_the_choice(name, strength, rows):
    """The k best of the compared values that are open are the experts that `route` takes."""
    for k in (1, 3, 8):
        rule = Rule.of(name, 16, k)
        for z in rows.logits:
            band = view.band_of(rule, z, k, strength * example_bias(16))
            closed = 0.0 if rule.config.group_fill == "zero" else float("-inf")
            counted = [v if band.is_open(e) else closed for e, v in enumerate(band.compared)]
            best = sorted(range(16), key=lambda e: (-counted[e], e))[:k]
            assert tuple(sorted(best)) == band.chosen


def test_the_figure_shows_these_numbers():
    shown = FamilyExplorer(right="deepseek_v3", bias=0.3)
    for key, band in zip(("first", "second"), shown.now.bands, strict=True):
        rows = pictured(shown)[key]
        assert tuple(rows["weights"]) == tuple(rows["washes"]) == band.chosen
        for e, cell in rows["weights"].items():
            assert value(cell) == f"{band.weights[e]:.2f}"
        shown_values = [value(cell) for cell in rows["choice"].values()]
        assert shown_values == [number(v, 3 if key == "first" else 2) for v in band.compared]
        shut = {e for e, cell in rows["choice"].items() if "shut" in cell.get("class").split()}
        assert shut == {e for e in range(16) if not band.is_open(e)}
        assert f"sum {band.total:.2f}" in shown.figure
    right = shown.now.right
    assert len(right.worth) == 4 and len(right.open_groups) == 2
    for g, worth in enumerate(right.worth):
        assert worth == pytest.approx(sum(sorted(right.compared[4 * g : 4 * g + 4])[-2:]))
        assert f"{'open' if g in right.open_groups else 'closed'} · {worth:.2f}" in shown.figure


def test_values_that_decide_print_differently():
    """The last that passed and the first that did not, where three decimals can tell them apart."""
    shown = FamilyExplorer()
    cells, now = pictured(shown)["first"]["choice"], shown.now.left
    assert (value(cells[12]), value(cells[1])) == (number(now.threshold, 3), number(now.best_out, 3)) != ("", "")
    assert number(now.threshold) == number(now.best_out) and value(cells[12]) != value(cells[1])
    groups = FamilyExplorer(left="deepseek_v2", token=11, bias=0.0)
    band, worth = groups.now.left, [number(v, 3) for v in groups.now.left.worth]
    assert all(f"· {text}<" in groups.figure for text in worth)
    assert min(worth[g] for g in band.open_groups) > max(worth[g] for g in range(4) if g not in band.open_groups)


def test_the_row_between_says_who_takes_each_expert():
    shown = FamilyExplorer()
    svg = ET.fromstring(shown.figure)
    (taken,) = (g for g in svg if g.get("class") == "taken")
    words = {e: [t.text for t in cell.findall(f"{SVG}text")] for e, cell in experts(taken).items()}
    now = shown.now
    expected = {e: [str(e)] for e in range(16)}
    for group, word in ((now.both, "both"), (now.left_only, "↑ only"), (now.right_only, "↓ only")):
        expected |= {e: [str(e), word] for e in group}
    assert words == expected and now.both and now.left_only and now.right_only


def test_bars_of_weights_have_one_scale_for_both_rules():
    shown = FamilyExplorer(left="mixtral", right="olmoe")
    rows = pictured(shown)
    for e in shown.now.both:
        tall = [float(rows[key]["weights"][e].find(f"{SVG}rect").get("height")) for key in ("first", "second")]
        assert tall[1] / tall[0] == pytest.approx(shown.now.right.total / shown.now.left.total, abs=0.01)


# ---- the reason ------------------------------------------------------------------------------------------------------


def test_groups_alone():
    reading = said(SPREAD, "mixtral", "deepseek_v3")
    assert reading == (
        "For x both take experts 0 and 4; Mixtral also takes 8 and 12, DeepSeek-V3 takes 1 and 5 instead. "
        "Without its groups, DeepSeek-V3 would take the same experts as Mixtral."
    )
    turned = said(SPREAD, "deepseek_v3", "mixtral")
    assert turned.endswith("With 2 of 4 groups open, Mixtral would take the same experts as DeepSeek-V3.")


def test_bias_alone():
    reading = said(NEAR, "mixtral", "minimax_m2", k=3, strength=1.0)  # 5 has −0.18, 2 has +0.16
    assert reading == (
        "For x both take experts 0 and 2; Mixtral also takes 5, MiniMax-M2 takes 4 instead. "
        "Without its bias, MiniMax-M2 would take the same experts as Mixtral."
    )


def test_score_alone():
    """The same bias moves softmax scores, which are small, more than sigmoid ones."""
    logits = torch.linspace(2, -1, 16)
    reading = said(logits, "trinity", "ernie4_5_moe", strength=0.3)
    assert "Trinity also takes 3, ERNIE 4.5 takes 6 instead." in reading
    assert reading.endswith("With sigmoid scores, ERNIE 4.5 would take the same experts as Trinity.")


def test_two_that_count_only_together():
    now = FamilyExplorer().now
    assert now.causes == (("groups", "selection_bias"),)
    assert plain(reading_parts(now)).endswith(
        "Two changes are needed: without its groups and without its bias, DeepSeek-V3 would take the same experts as "
        "Mixtral."
    )


def test_one_of_two_is_enough(rows):
    """Scaled down, logits are near each other, and then a small bias decides."""
    reading = said(rows.logits[5], "jacobs_1991", "muse_spark", k=1, strength=0.3)
    assert reading == (
        "For x Jacobs 1991 takes expert 10 and Muse Spark takes 6. Without its bias, or without scaling its logits, "
        "Muse Spark would take the same experts as Jacobs 1991: one of these changes is enough."
    )


def test_same_experts_with_other_weights():
    total = SPREAD.softmax(0)[[0, 4, 8, 12]].sum().item()
    assert said(SPREAD, "mixtral", "olmoe") == (
        f"For x both take experts 0, 4, 8 and 12; their weights sum to 1.00 in Mixtral and to {total:.2f} in OLMoE. "
        "With weights divided by their sum, OLMoE would give them the same weights."
    )
    scaled = said(SPREAD, "minimax_m2", "glm4_moe")
    assert "sum to 1.00 in MiniMax-M2 and to 2.50 in GLM-4.5. Without its factor 2.5, GLM-4.5 would" in scaled
    other = said(SPREAD, "mixtral", "flint")
    assert re.search(r"their weights differ, most for 0: 0\.\d\d in Mixtral and 0\.\d\d in Flint\. With softmax", other)
    llama = said(SPREAD, "mixtral", "llama4")
    assert llama.endswith("Llama 4 multiplies an expert’s input by its weight, Mixtral the expert’s output.")


def test_same_rule_and_same_family():
    assert (
        said(SPREAD, "mixtral", "dbrx")
        == "For x both Mixtral and DBRX take experts 0, 4, 8 and 12, with the same weights."
    )
    alone = said(SPREAD, "mixtral", "mixtral")
    assert alone == "For x Mixtral takes experts 0, 4, 8 and 12. Choose another family beside it."


@pytest.mark.parametrize("k", [2, 4, 7])
def test_a_reason_holds_and_nothing_smaller_does(k):
    """Each set of options, taken over by hand, brings the first rule's experts or weights; no smaller set does."""
    bias = 0.3 * example_bias(16)
    for right in offered():
        left_rule, right_rule = Rule.of("deepseek_v3", 16, k), Rule.of(right, 16, k)
        now = compare(ONE, left_rule, right_rule, k, 0.3)
        assert bool(now.causes) == (not now.same_experts or not now.same_weights)

        def alike(taken, left_rule=left_rule, right_rule=right_rule, now=now):
            options = dict(right_rule.options)
            for aspect in taken:
                options |= {name: left_rule.options[name] for name in view.ASPECTS[aspect]}
            try:
                routing = view.routed(ONE, k, options, bias)
            except ValueError:
                return False
            if not now.same_experts:
                return set(routing.expert_ids.tolist()) == set(now.left.chosen)
            return torch.allclose(routing.combine[0], torch.tensor(now.left.weights), atol=view.SAME, rtol=0)

        for taken in now.causes:
            assert alike(taken)
            assert not any(alike(some) for n in range(len(taken)) for some in combinations(taken, n))


def test_all_differences_together_make_the_first_rule():
    for left in offered():
        for right in offered():
            a, b = Rule.of(left, 16, 4), Rule.of(right, 16, 4)
            options = dict(b.options)
            for aspect in differing(a, b):
                options |= {name: a.options[name] for name in view.ASPECTS[aspect]}
            one, other = (view.routed(ONE, 4, o, example_bias(16)) for o in (a.options, options))
            assert torch.equal(one.combine, other.combine)


# ---- what is offered, settings, mistakes -----------------------------------------------------------------------------


def test_every_family_is_offered_or_named():
    assert {*offered(), *others()} == set(families.names()) and not {*offered()} & {*others()}
    fixed = FamilyExplorer().fixed
    years = [year for year, _ in fixed["families"]]
    assert years == [*sorted(years[:-1]), "without a date"]
    assert [name for _, group in fixed["families"] for name, _ in group] == [*offered()]
    assert all(name in fixed["others"] for name in others())


@pytest.mark.slow
@pytest.mark.parametrize("left", offered())
def test_every_pair_draws_and_reads(left):
    shown = FamilyExplorer(left=left)
    for n, right in enumerate(offered()):
        with shown.hold_trait_notifications():
            shown.right, shown.token, shown.top_k, shown.bias = right, n % 13, 1 + n % 8, n % 11 / 10
        assert shown.error == {} and (shown.left, shown.right) == (left, right)
        ET.fromstring(shown.figure)
        assert short(left) in shown.reading and short(right) in shown.reading
        assert shown.reading in shown.figure.replace("&#x27;", "'").replace("&quot;", '"').replace("&amp;", "&")
        assert not re.search(r"\.\.|  |nan|None|\{|\b(a|the) \.", shown.reading + shown.parts["note"])


def test_an_unknown_family_and_one_with_its_own_router_are_told_and_set_back():
    shown = FamilyExplorer(right="olmoe")
    before = shown.figure
    shown.right = "mixtrall"
    assert shown.error["what"].startswith("No family 'mixtrall' among") and "mixtral" in shown.error["what"]
    assert shown.error["instead"] == "Showing OLMoE." and (shown.right, shown.figure) == ("olmoe", before)
    shown.left = "phimoe"
    assert "families.describe('phimoe') tells it" in shown.error["what"] and shown.left == "mixtral"
    assert "has a router of its own" in shown.static_html()
    shown.top_k = 2
    assert shown.error == {}
    assert FamilyExplorer(left="nonsense", right="zaya").error["instead"] == "Showing Mixtral and DeepSeek-V3."


def test_numbers_out_of_range_are_corrected_and_told():
    shown = FamilyExplorer(top_k=20, token=99, bias=-1.0)
    assert (shown.top_k, shown.token, shown.bias) == (8, 12, 0.0)
    assert "k was 20, but it goes from 1 to 8: now it is 8." in shown.parts["note"]
    assert "bias was -1, but it goes from 0 to 1: now it is 0." in shown.parts["note"]
    shown.bias = float("nan")
    assert shown.bias == 0 and shown.figure and shown.error == {}


def test_closed_groups_limit_k():
    shown = FamilyExplorer(top_k=6, logits=torch.randn(2, 8, generator=torch.Generator().manual_seed(0)))
    assert shown.top_k == 4
    assert "k was 6, but DeepSeek-V3 opens 2 groups of 2 experts: now it is 4." in shown.parts["note"]
    shown.right = "olmoe"
    shown.top_k = 6
    assert shown.top_k == 6 and "but" not in shown.parts["note"]


def test_logits_that_are_no_numbers_and_texts_without_tokens_are_told():
    logits = torch.stack([ONE, ONE * float("nan")])
    shown = FamilyExplorer(logits=logits, token=0)
    before = shown.figure
    shown.token = 1
    assert "logits that are not numbers" in shown.error["what"] and shown.figure == before
    empty = FamilyExplorer("")
    assert empty.reading == "No token: give FamilyExplorer a sentence." and empty.figure == "" and empty.static_html()
    with pytest.raises(ValueError, match="layer is 9"):
        FamilyExplorer(layer=9)
    with pytest.raises(ValueError, match="64 experts"):
        FamilyExplorer(logits=torch.zeros(1, 64))


def test_a_bias_is_told_as_an_example_and_without_effect_where_there_is_none():
    shown = FamilyExplorer(right="olmoe")
    assert shown.source == "16-expert model, layer 2" and not shown.parts["biased"]
    assert shown.parts["note"] == "Neither family has a bias."
    shown.right = "gpt_oss"
    assert shown.source.endswith("· example bias") and shown.parts["biased"]
    assert shown.parts["note"].startswith("The bias of gpt-oss is an example, made up for this figure.")
    shown.bias = 0.0
    assert shown.parts["note"] == "The bias is 0 for every expert: it changes nothing."


def test_the_first_mixture_and_single_experts_are_explained():
    shown = FamilyExplorer(left="jacobs_1991", right="mixtral", top_k=1)
    assert "Jacobs 1991 let every expert work; here it takes 1 like the other." in shown.parts["note"]
    assert "With one expert the weight of Mixtral is the same whatever the logits are." in shown.parts["note"]


def test_rules_are_those_of_the_families_at_these_sizes_with_recorded_losses():
    shown = FamilyExplorer(top_k=3)
    (name, when, rows), (_, _, other) = shown.parts["rules"]
    rows, other = dict(rows), dict(other)
    assert (name, when) == ("Mixtral", "(2024-01)")
    assert rows["rule"] == "Softmax over all experts; the 3 best are chosen; weights divided by their sum."
    assert other["in symbols"] == shown.now.right.rule.described["in symbols"]
    recorded = runs.recording("moe-8-top2")
    loss = str(runs.interval(recorded.losses))
    told = f"Validation loss {loss} nats per token: trained here, three seeds, with 8 experts, top-2."
    assert rows["loss"] == told and told in shown.static_html()


def test_a_family_has_a_loss_if_it_was_recorded():
    for name in offered():
        recording = view.RECORDED.get(name, name)
        there = recording in runs.names() and len(runs.recording(recording).losses) > 1
        assert (view.recorded_loss(name) is not None) == there


def test_one_seed_has_no_interval_and_is_not_told(monkeypatch, tmp_path):
    """As while the training of a family is being recorded."""
    text = (runs.folder() / "moe-8-top2.json").read_text(encoding="utf-8")
    lines = text.split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith('  {"seed"'))
    kept = [*lines[:first], lines[first].rstrip(","), " ]", "}", ""]
    (tmp_path / "olmoe.json").write_text("\n".join(kept), encoding="utf-8")
    monkeypatch.setattr(runs, "folder", lambda *_: tmp_path)
    view.recorded_loss.cache_clear()
    assert runs.names() == ["olmoe"] and view.recorded_loss("olmoe") is None
    view.recorded_loss.cache_clear()


def test_suggestions_set_every_trait():
    shown = FamilyExplorer().suggest({"x": {"left": "olmoe", "right": "glm4_moe", "top_k": 2, "token": 3, "bias": 0.0}})
    assert shown.suggested[0]["settings"]["right"] == "glm4_moe"
    with pytest.raises(ValueError, match="sets layer, which nothing on the widget moves"):
        shown.suggest({"x": {"layer": 2}})


def test_twin_has_setting_token_table_and_sentence():
    shown = FamilyExplorer(right="olmoe", token=7)
    page = shown.static_html()
    assert "Mixtral (2024-01) against OLMoE (2024-09) · 16 experts · top-4" in page and "<b>are</b>" in page
    assert page.count("<tr>") == 17 and KERNEL_GONE in page and shown.twin_bundle()["text/plain"] == shown.reading
    for e in shown.now.both:
        assert f">{e}</span>" in shown.reading_html()


# ---- on a page -------------------------------------------------------------------------------------------------------

BOXES = """(css) => [...document.querySelectorAll(css)].map((node) => [node.textContent, node.getBoundingClientRect()])
  .map(([text, box]) => [text, box.left, box.right, box.top, box.bottom])"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [NARROWEST, 620, 700, WIDEST])
@pytest.mark.parametrize(
    "settings",
    [{}, {"left": "deepseek_v2", "right": "llama4", "top_k": 8, "token": 9}, {"left": "gpt_oss", "right": "kolibri1"}],
    ids=["mixtral", "deepseek_v2", "gpt_oss"],
)
def test_no_words_of_the_figure_cover_each_other(browser, width, settings):
    shown = FamilyExplorer(**settings)
    shown.width = width
    with script_page(shown, browser) as page:
        texts = page.evaluate(BOXES, "svg text")
        box = page.locator("svg.families").bounding_box()
        assert len(texts) > 60
        for i, (text, left, right, top, bottom) in enumerate(texts):
            assert box["x"] <= left and right <= box["x"] + width + 1, text
            for other in texts[i + 1 :]:
                apart = right <= other[1] or other[2] <= left or bottom - 3 <= other[3] or other[4] - 3 <= top
                assert apart, (text, other)


@pytest.mark.browser
def test_controls_are_sent_and_what_comes_back_is_drawn(browser):
    shown = FamilyExplorer()
    with script_page(shown, browser) as page:
        saved = "dict => Object.fromEntries(window.model.saved)"

        def answer(**values):
            for name, new in values.items():
                assert page.evaluate(saved)[name] == new
                setattr(shown, name, new)
            shown.asked += 1
            send(page, shown)

        before = page.locator("svg.families").inner_html()
        page.locator(".tok").nth(9).click()
        answer(token=9)
        assert page.locator(".tok[aria-checked=true]").inner_text() == "("
        assert page.locator("svg.families").inner_html() != before
        page.keyboard.press("ArrowLeft")
        answer(token=8)
        page.get_by_label("second family").select_option("olmoe")
        answer(right="olmoe")
        assert page.locator("input[aria-label='bias ×']").is_disabled()
        assert page.locator(".rules").inner_text().count("OLMoE") == 1
        page.get_by_label("first family").select_option("gpt_oss")
        answer(left="gpt_oss")
        assert page.locator("input[aria-label='bias ×']").is_enabled()
        assert page.locator(".read").inner_text().replace("\xa0", " ") == shown.reading

"""The expert viewer: its tables from plain counting, what muting measures, its sentences and its picture."""

import html
import re
from collections import Counter
from dataclasses import replace

import pytest
import torch
from small import SENTENCE, SMALL, model_with_opinions, sample_corpora
from waiting import until

from moe_lite import MoELanguageModel, routing
from moe_lite.data import DOMAINS
from moe_lite.evaluate import evaluate
from moe_lite.lessons.interventions import without_experts
from moe_lite.lessons.specialisation import Reading, read
from moe_lite.look.palette import expert_class
from moe_lite.look.words import percent
from moe_lite.widgets import ExpertViewer
from moe_lite.widgets.expert_viewer.drawing import RAMP, domains_html, step_of
from moe_lite.widgets.expert_viewer.view import Card, Changes, Control, LayerTable
from moe_lite.widgets.expert_viewer.words import about_changes, as_many, measured_note, signed
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.kit.text import PAGE


@pytest.fixture(scope="module")
def model() -> MoELanguageModel:
    return model_with_opinions()


@pytest.fixture(scope="module")
def corpora():
    return sample_corpora()


@pytest.fixture
def viewer(model, corpora) -> ExpertViewer:
    return ExpertViewer(model, corpora, SENTENCE, layer=2, expert=5, windows=2)


def texts(fragment: str) -> list[str]:
    """What is read in the cells of a table."""
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", fragment, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in cells]


# ---- heatmap and card ------------------------------------------------------------------------------------------------


def test_the_heatmap_prints_the_lift_of_each_domain_and_expert(viewer, model, corpora):
    reading = read(model, corpora, windows=2)
    pairs = [(d, e) for d, row in zip(reading.domains.tolist(), reading.experts[1].tolist(), strict=True) for e in row]
    both, domains, experts = Counter(pairs), Counter(d for d, _ in pairs), Counter(e for _, e in pairs)
    cells = texts(viewer.view["heat"])
    assert cells[:9] == ["lift in layer 2", *map(str, range(8))]
    for d, name in enumerate(corpora):
        row = cells[9 * (d + 1) : 9 * (d + 2)]
        lifts = [both[d, e] / domains[d] / (experts[e] / len(pairs)) for e in range(8)]
        assert row == [name, *(f"{lift:.1f}" for lift in lifts)]
    loads = cells[9 * 10 :]
    assert loads == ["load, %", *(str(int(100 * experts[e] / len(pairs) + 0.5)) for e in range(8))]


def test_the_ramp_has_a_step_for_every_lift_as_it_is_printed():
    assert [step_of(x) for x in (0.0, 0.24, 0.26, 0.5, 0.74, 0.76, 1.0, 1.24, 1.26, 1.96, 3.94, 3.96, 40)] == [
        0, 0, 1, 2, 2, 3, 3, 3, 4, 5, 5, 6, 6,
    ]  # fmt: skip
    assert step_of(float("nan")) == -1 and len(RAMP) == 7


def test_the_card_counts_domains_and_tokens(viewer, model, corpora):
    reading, card = read(model, corpora, windows=2), viewer.shown.card
    mine = (reading.experts[1] == 5).any(dim=-1).tolist()
    got = Counter(t for t, yes in zip(reading.token_ids.tolist(), mine, strict=True) if yes)
    half, n = 0, 0
    for _, count in got.most_common():
        half, n = half + count, n + 1
        if half >= sum(got.values()) / 2:
            break
    assert (card.n_half, card.n_tokens) == (n, len(got))
    per_domain = Counter(d for d, yes in zip(reading.domains.tolist(), mine, strict=True) if yes)
    assert card.domains == pytest.approx([per_domain[d] / sum(got.values()) for d in range(9)])
    assert card.fair == pytest.approx([1 / 9] * 9) and card.share == pytest.approx(sum(got.values()) / (2 * len(mine)))
    assert [t.count for t in card.top] == [got[t.token_id] for t in card.top] and card.top
    shown = texts(viewer.view["top"])
    assert shown[:3] == ["top tokens", "lift", "count"]
    assert shown[4:6] == [f"{card.top[0].lift:.1f}", str(card.top[0].count)]


def test_the_reading_line_names_the_ends(viewer):
    lifts = viewer.shown.layer.lift[5]
    high, low = f"{lifts.max():.1f}", f"{lifts.min():.1f}"
    assert re.fullmatch(
        rf"In layer 2, expert 5 takes \d+ % of all assignments\. Its lift is highest for [\w, ]+, {high}, and lowest "
        rf"for [\w, ]+, {low}\.",
        viewer.reading,
    )


def test_an_expert_that_gets_nothing_is_said_to(corpora):
    def never_first(scores, k):
        return routing.top_k_route(scores - torch.eye(scores.shape[1])[0] * 9, k)

    viewer = ExpertViewer(model_with_opinions(top_k_fn=never_first), corpora, SENTENCE, expert=0, windows=1)
    assert viewer.reading == "In layer 1, expert 0 takes none of the 576 tokens that were read." and not viewer.error
    assert texts(viewer.view["heat"])[10] == "–" and "No token came often enough for a lift." in viewer.view["top"]
    assert viewer.static_html().count("–") >= 9
    viewer.mute()
    assert viewer.reading == (
        "Without expert 0 in layer 1, the loss changes on no domain (0.00 nats per token). It gets no assignments, so "
        "there is nothing to compare it with."
    )
    assert texts(viewer.view["domains"])[5:13] == ["shakespeare", "", "0 %", "", "0.00", "none", "", "–"]
    assert "There is no control, since expert 0 gets no assignments." in viewer.view["note"] and not viewer.error


def test_without_an_expert_the_one_with_the_highest_lift_is_selected_and_a_domain_selects_its_own(model, corpora):
    viewer = ExpertViewer(model, corpora, SENTENCE, windows=1)
    assert viewer.shown.layer.lift[viewer.expert].max() == viewer.shown.layer.lift.max()
    for domain in DOMAINS:
        viewer.domain = domain
        column = viewer.shown.layer.lift[:, DOMAINS.index(domain)]
        assert (viewer.domain, viewer.expert) == ("", int(column.argmax()))
    viewer.domain = "klingon"
    assert viewer.view["corrected"].startswith("No domain klingon was read; there are shakespeare, ")


# ---- settings --------------------------------------------------------------------------------------------------------


def test_what_is_out_of_range_is_corrected_and_said(model, corpora):
    viewer = ExpertViewer({8: model, 4: model_with_opinions(4)}, corpora, SENTENCE, expert=7, windows=1)
    viewer.layer = 9
    assert (viewer.layer, viewer.view["corrected"]) == (3, "There is no layer 9: the layers are 1 to 3.")
    viewer.expert = 12
    assert (viewer.expert, viewer.view["corrected"]) == (7, "There is no expert 12: the experts are 0 to 7.")
    viewer.n_experts = 4
    assert (viewer.expert, viewer.view["experts"], viewer.view["corrected"]) == (3, 4, "")
    viewer.n_experts = 5
    assert viewer.view["corrected"] == "No model with 5 experts was passed; there are 4, 8. Showing 4."
    viewer.choice = 7
    assert viewer.choice == 1 and viewer.source == "4-expert model, layer 3"


def test_a_model_is_read_once(model, corpora):
    calls = []

    def counted(scores, k):
        calls.append(len(scores))
        return routing.top_k_route(scores, k)

    viewer = ExpertViewer(model_with_opinions(top_k_fn=counted), corpora, SENTENCE, windows=1)
    n = len(calls)
    viewer.layer, viewer.expert, viewer.choice, viewer.domain = 3, 4, 1, "json"
    assert len(calls) == n, "all of it is known"
    viewer.text = "Are we?"
    assert calls[n:] == [len(viewer.page["tokens"])] * 3


def test_refreshed_it_follows_the_model_s_weights(corpora):
    model = model_with_opinions()
    viewer = ExpertViewer(model, corpora, SENTENCE, expert=5, windows=1).mute()
    with torch.no_grad():
        for block in model.blocks:
            block.feed_forward.router.weight.copy_(block.feed_forward.router.weight.roll(1, dims=0))
            block.feed_forward.router.weight.mul_(-1)
    before, changes = viewer.view, viewer.changes
    viewer.refresh()
    viewer.live.wait()
    assert all(viewer.view[part] != before[part] for part in ("heat", "chosen", "domains", "top"))
    assert viewer.changes.complete and viewer.changes.by_domain != changes.by_domain


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"layer": 0}, "layer is 0; expected 1 to 3."),
        ({"expert": 8}, "expert is 8; expected 0 to 7."),
        ({"windows": 0}, "windows is 0; expected at least 1 per domain."),
        ({"windows": 99}, r"windows is 99; expected at most \d: french has no more of 64 tokens."),
        ({"corpora": {}}, "corpora: none came; expected {domain: Corpus}"),
        ({"corpora": ["python"]}, "corpora: a list came; expected {domain: Corpus}"),
        ({"models": {4: None}}, "models.4. has 8 experts; the key is the expert count"),
    ],
)
def test_wrong_arguments_are_refused_with_what_came_and_what_fits(model, corpora, change, says):
    if "models" in change:
        change = {"models": {4: model}}
    given = {"models": model, "corpora": corpora, "text": SENTENCE, "windows": 1} | change
    with pytest.raises(ValueError, match=says):
        ExpertViewer(**given)


def test_dense_and_foreign_models_are_refused(corpora):
    dense = MoELanguageModel(replace(SMALL, n_experts=1, top_k=1))
    with pytest.raises(ValueError, match="1 experts: the viewer needs 2"):
        ExpertViewer(dense, corpora)
    with pytest.raises(TypeError, match="dict came, expected a MoELanguageModel"):
        ExpertViewer({8: {}}, corpora)


# ---- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Type a sentence"),
        ("\ud800 half", "tokens."),
        ("a\n\n<b>&amp;\n", "tokens."),
        ("word " * 700, f"The first {PAGE} of 701 tokens are shown."),
    ],
)
def test_any_text_is_shown(viewer, text, said):
    viewer.text = text
    assert said in viewer.view["caption"] and not viewer.error
    assert len(viewer.page["tokens"]) == len(viewer.view["chosen"]) <= PAGE
    twin = viewer.static_html()
    assert "<b>&amp;" not in twin
    viewer.mute()
    assert not viewer.error and "Without expert 5 in layer 2" in viewer.reading


def test_the_selected_experts_tokens_stand_out(viewer):
    chosen = [experts[0] for experts in viewer.view["chosen"]]
    count = chosen.count(5)
    assert f"is the first choice of {count} of {len(chosen)} tokens." in viewer.view["caption"]
    twin = viewer.twin().split('class="tx"')[1].split("</div>")[0]
    assert twin.count(" off") == len(chosen) - count
    viewer.choice = 1
    assert "is the second choice of" in viewer.view["caption"]


# ---- muting ----------------------------------------------------------------------------------------------------------


def test_muting_routes_the_text_again_and_marks_what_moved(viewer, model):
    before = viewer.view["chosen"]
    viewer.mute()
    after, moved = viewer.view["chosen"], viewer.view["moved"]
    assert 5 not in {e for row in after for e in row} and 5 in {e for row in before for e in row}
    assert moved == [[a != b for a, b in zip(x, y, strict=True)] for x, y in zip(before, after, strict=True)]
    first = sum(row[0] for row in moved)
    assert f"{first} of {len(moved)} tokens have another first choice: those with a bar." in viewer.view["caption"]
    assert viewer.twin().count(" mv") == first
    viewer.muted = False
    assert viewer.view["chosen"] == before and viewer.view["moved"] == [] and viewer.changes is None


@pytest.mark.parametrize("dense_first", [0, 1])
def test_losses_are_those_of_the_model_without_the_expert_and_without_the_control_of_each_domain(corpora, dense_first):
    model = MoELanguageModel(replace(SMALL, n_experts=8, top_k=2, n_dense_layers=dense_first), seed=8).eval()
    with torch.no_grad():
        for part in (p for block in model.blocks[dense_first:] for p in block.feed_forward.parameters()):
            part.mul_(20)  # so that an expert that is missing is missed
    viewer = ExpertViewer(model, corpora, SENTENCE, layer=2, expert=5, windows=2).mute()
    layer = 1 + dense_first  # as in `model.blocks`
    without = [evaluate(without_experts(model, [e], [layer]), corpora, max_windows=2).loss for e in range(8)]
    whole, table = evaluate(model, corpora, max_windows=2).loss, viewer.shown.layer.table
    shown, others = texts(viewer.view["domains"]), []
    for domain, count in zip(corpora, table.T.tolist(), strict=True):
        others.append(min((e for e in range(8) if e != 5), key=lambda e: abs(count[e] - count[5])))
        pair, share = viewer.changes.by_domain[domain], count[others[-1]] / count[5]
        assert viewer.changes.controls[domain] == Control(others[-1], pytest.approx(share))
        assert pair == pytest.approx([without[e][domain] - whole[domain] for e in (5, others[-1])], abs=1e-5)
        mine, its = map(signed, pair)
        row = shown[shown.index(domain) :][:8]
        assert row[3:] == ["", mine, f"{others[-1]} {percent(share)}", "", its]
    assert viewer.changes.complete and len(set(others)) > 1, "the control differs from domain to domain"
    assert all(max(abs(pair[i]) for pair in viewer.changes.by_domain.values()) > 1e-3 for i in (0, 1))


def test_all_controls_together_cost_as_much_as_one_expert(corpora):
    tokens = []

    def counted(scores, k):
        tokens.append(len(scores))
        return routing.top_k_route(scores, k)

    viewer = ExpertViewer(model_with_opinions(top_k_fn=counted), corpora, "", layer=2, expert=5, windows=2)
    read = sum(tokens)
    viewer.mute()
    once = 3 * 2 * 64 * 9  # layers, windows, tokens, domains
    assert len({control.expert for control in viewer.changes.controls.values()}) > 1
    assert sum(tokens) - read == 3 * once  # the whole model, without the expert, without its controls


def planted(table: list[list[int]]) -> LayerTable:
    """A layer whose experts (rows) got so many assignments of each domain (columns)."""
    counts = torch.tensor(table)  # (E, D)
    pairs = [pair for pair, count in zip(torch.cartesian_prod(*map(torch.arange, counts.shape)).tolist(),
                                         counts.flatten().tolist(), strict=True) for _ in range(count)]  # fmt: skip
    experts, domains = torch.tensor(pairs).T  # (N,) each
    reading = Reading(
        token_ids=torch.full_like(experts, 70), domains=domains, domain_names=("A", "B", "C", "D")[: counts.shape[1]],
        positions=torch.zeros_like(experts), windows=torch.arange(len(experts)), experts=experts[None, :, None],
        weights=torch.ones(1, len(experts), 1), n_experts=len(table), layers=(0,),
    )  # fmt: skip
    assert LayerTable(reading, 0).table.tolist() == table
    return LayerTable(reading, 0)


TABLE = [  # experts 0 to 3 by domains A to D; by their loads of 118, 86, 123 and 211, expert 2 is nearest to expert 0
    [100, 10, 0, 8],
    [45, 11, 30, 0],
    [2, 90, 1, 30],
    [40, 9, 160, 2],
]


def test_each_domain_has_its_own_control_and_a_domain_that_the_expert_never_gets_has_none():
    controls = planted(TABLE).controls(0)
    # 45 is nearest to 100; 11 is as near to 10 as 9 is, and a lower expert's; 0 has none; 2 is nearest to 8
    assert controls == (Control(1, 0.45), Control(1, 1.1), None, Control(3, 0.25))
    assert [control.near for control in controls if control] == [False, True, False]
    assert planted(TABLE).controls(3)[3] == Control(1, 0.0), "an expert that gets none may be the nearest"
    assert planted([[7, 4], [9, 8]]).controls(0) == (Control(1, 9 / 7), Control(1, 2.0)), "of two it is the other one"


def test_a_row_names_its_control_and_says_how_near_it_comes():
    layer = planted(TABLE)
    controls = dict(zip("ABCD", layer.controls(0), strict=True))
    changes = Changes(0, controls, {"A": (0.5, 0.1), "B": (0.2, 0.3), "C": (0.0, None)})
    fragment = domains_html(Card.of(layer, 0), layer, changes)
    cells = texts(fragment)[5:]
    rows = {cells[i]: cells[i + 3 : i + 8] for i in range(0, 32, 8)}
    assert rows == {
        "A": ["", "+0.50", "1 45 %", "", "+0.10"],
        "B": ["", "+0.20", "1 110 %", "", "+0.30"],
        "C": ["", "0.00", "none", "", "–"],
        "D": ["", "…", "3 25 %", "", "…"],
    }
    drawn = [re.search(rf'<tr class="d{d}">.*?</tr>', fragment)[0] for d in range(4)]
    assert [' open"' in row for row in drawn] == [True, False, False, True], "outlines where it is not near"
    for row, control in zip(drawn, controls.values(), strict=True):
        assert control is None or f'class="bar {expert_class(control.expert, 4)}' in row, "in its own colour"
    for said in ("gets less than half or more than twice as many", "of which expert 0 gets no assignments has no"):
        assert said in measured_note(changes, 1, 64, 4)
    near = replace(changes, controls={"B": controls["B"]})
    assert not any(what in measured_note(near, 1, 64, 4) for what in ("outline", "no control"))
    assert as_many(Control(1, 23.0)) == ">999 %" and as_many(Control(1, 9.99)) == "999 %"


def test_of_two_experts_the_other_one_is_the_control(corpora):
    model = model_with_opinions(2, top_k=1, renorm=False, order="score_first")
    viewer = ExpertViewer(model, corpora, SENTENCE, expert=0, windows=1).mute()
    assert viewer.changes.complete and not viewer.error
    assert {control.expert for control in viewer.changes.controls.values() if control} == {1}
    assert "The control is the only other expert of this layer." in viewer.view["note"]


def test_what_is_measured_is_kept_and_another_selection_ends_the_muting(viewer):
    viewer.mute()
    first, run = viewer.changes, viewer.live
    viewer.expert = 2
    assert not viewer.muted and viewer.reading.startswith("In layer 2, expert 2 takes")
    viewer.expert, viewer.muted = 5, True
    assert viewer.changes == first and viewer.live is run, "nothing is measured again"
    for trait, value in (("layer", 3), ("domain", "json")):
        viewer.muted = True
        setattr(viewer, trait, value)
        assert not viewer.muted, trait
    viewer.text = "Are we?"
    viewer.muted = True
    viewer.text = "Are we all?"
    assert viewer.muted, "another text leaves the expert muted"
    viewer.live.wait()


def test_measuring_is_shown_domain_by_domain(viewer):
    readings = []
    viewer.observe(lambda change: readings.append(change["new"]), names="reading")
    viewer.muted = True
    until(lambda: viewer.changes.complete)
    viewer.live.wait()
    told = [r for r in readings if "is being measured" in r]
    assert told[0] == "The loss without expert 5 in layer 2 is being measured: 0 of 9 domains."
    counts = [int(re.search(r"(\d) of 9", r)[1]) for r in told]
    assert counts == sorted(counts) and viewer.reading.startswith("Without expert 5 in layer 2, the loss ")


def test_a_learners_function_that_fails_is_shown(corpora):
    fails = []

    def choose(scores, k):
        if fails and fails[0](scores):
            raise IndexError("index 9 is out of bounds")
        return routing.top_k_route(scores, k)

    model = model_with_opinions(top_k_fn=choose)
    fails.append(lambda scores: True)
    viewer = ExpertViewer(model, corpora, SENTENCE, windows=1)
    assert viewer.error["what"] == "choose raised IndexError: index 9 is out of bounds"
    assert viewer.reading == "The model could not be read." and "index 9" in viewer.static_html()
    fails.clear()
    viewer.refresh()
    assert viewer.error == {} and viewer.reading.startswith("In layer 1")

    fails.append(lambda scores: scores.shape[1] == 7)  # where one is muted
    viewer.muted = True
    assert not viewer.muted and viewer.error["instead"] == "Nothing is muted." and "index 9" in viewer.error["what"]
    fails[0] = lambda scores: scores.shape[1] == 7 and len(scores) == 64  # only where losses are measured
    viewer.mute()
    assert viewer.muted and viewer.error["instead"] == "The losses that were measured stay."
    run = viewer.live
    viewer.choice = 1
    assert viewer.live is run and "index 9" in viewer.error["what"], "it is not tried again and again"
    viewer.muted = False
    assert viewer.error == {}


def test_the_last_expert_of_a_choice_cannot_be_muted(corpora):
    viewer = ExpertViewer(model_with_opinions(2), corpora, SENTENCE, windows=1)
    viewer.muted = True
    assert not viewer.muted
    assert viewer.error["what"] == "Each token takes 2 of 2 experts: without one of them there are too few."


# ---- sentences -------------------------------------------------------------------------------------------------------


CONTROLS = (Control(2, 0.87), Control(3, 0.4), Control(4, 2.5))


def sentence(viewer, mine: dict, others: dict, controls: dict) -> str:
    """The sentence for changes of three domains, the expert's lift being highest for the first of them."""
    layer = viewer.shown.layer
    highest = layer.domains[int(layer.lift[5].argmax())]
    names = {d: highest if d == "own" else d for d in mine}
    pairs = {names[d]: (mine[d], others[d] if controls[d] else None) for d in mine}
    changes = Changes(5, {names[d]: controls[d] for d in mine}, pairs)
    return plain(about_changes(changes, layer, 2)).replace(highest, "own")


@pytest.mark.parametrize(
    ("mine", "others", "says"),
    [
        (
            (0.214, 0.021, 0.1), (0.19, 0.02, 0.02),
            "Without expert 5 in layer 2, the loss rises most on own, where the expert's lift is highest, by 0.21 "
            "nats per token, and least on B, by 0.02. On own, its control is expert 2, which gets 87 % as many "
            "assignments there; without that one, the loss rises by 0.19.",
        ),
        (
            (0.05, -0.031, 0.0), (-0.01, 0.02, 0.0),
            "Without expert 5 in layer 2, the loss rises most on own, where the expert's lift is highest, by 0.05 "
            "nats per token, and on B it falls by 0.03. On own, its control is expert 2, which gets 87 % as many "
            "assignments there; without that one, the loss falls by 0.01.",
        ),
        (
            (0.001, 0.3, 0.1), (0.02, -0.01, 0.0),
            "Without expert 5 in layer 2, the loss rises most on B, by 0.30 nats per token; on own, where the "
            "expert's lift is highest, it does not change (0.00). On B, its control is expert 3, which gets 40 % as "
            "many assignments there, too few to compare; without that one, the loss falls by 0.01. On own, its "
            "control is expert 2, which gets 87 % as many assignments there; without that one, the loss rises by "
            "0.02.",
        ),
        (
            (0.01, 0.0, 0.1), (0.0, 0.0, 0.03),
            "Without expert 5 in layer 2, the loss rises most on C, by 0.10 nats per token; on own, where the "
            "expert's lift is highest, it rises by 0.01. On C, its control is expert 4, which gets 250 % as many "
            "assignments there, too many to compare; without that one, the loss rises by 0.03. On own, its control is"
            " expert 2, which gets 87 % as many assignments there; without that one, the loss does not change (0.00).",
        ),
        (
            (-0.02, -0.01, 0.002), (0.0, 0.0, 0.001),
            "Without expert 5 in layer 2, the loss rises on no domain; on own, where the expert's lift is highest, it"
            " falls by 0.02 nats per token. On own, its control is expert 2, which gets 87 % as many assignments "
            "there; without that one, the loss does not change (0.00).",
        ),
        (
            (0.01, 0.04, 0.04), (0.02, 0.03, 0.01),
            "Without expert 5 in layer 2, the loss rises most on B and C, by 0.04 nats per token; on own, where the "
            "expert's lift is highest, it rises by 0.01. On own, its control is expert 2, which gets 87 % as many "
            "assignments there; without that one, the loss rises by 0.02.",
        ),
    ],
)  # fmt: skip
def test_the_sentence_says_what_the_numbers_are(viewer, mine, others, says):
    given = (dict(zip(("own", "B", "C"), values, strict=True)) for values in (mine, others, CONTROLS))
    assert sentence(viewer, *given) == says


def test_the_sentence_says_where_there_is_no_control(viewer):
    changes, controls = {"own": 0.0, "B": 0.0, "C": 0.0}, {"own": None, "B": Control(3, 1.0), "C": None}
    assert sentence(viewer, changes, changes, controls) == (
        "Without expert 5 in layer 2, the loss changes on no domain (0.00 nats per token). On own, it gets no "
        "assignments, so it has no control there."
    )


def test_a_change_has_its_sign():
    assert [signed(x) for x in (0.214, 0.004, -0.004, -0.03)] == ["+0.21", "0.00", "0.00", "−0.03"]


# ---- picture ---------------------------------------------------------------------------------------------------------


def test_the_twin_has_heatmap_text_card_and_losses_and_no_control(viewer):
    viewer.mute()
    twin = viewer.static_html()
    for part in ('class="heat', 'class="ramp"', 'class="tx"', 'class="doms three"', 'class="tops"', ", muted</div>"):
        assert part in twin
    assert not re.search(r"<(button|input|textarea|script)", twin)
    for expert in range(8):
        assert f">{expert}</span>" in twin
    assert html.escape(viewer.view["note"]) in twin and "on 2 windows of 64 tokens per domain" in twin
    said = html.unescape(re.sub(r"<[^>]*>", "", twin.split('class="read">')[1])).replace("\xa0", " ")
    assert said.startswith(viewer.reading)


@pytest.mark.parametrize(("n", "look"), [(8, "wide"), (32, "narrow"), (64, "slim")])
def test_any_number_of_experts_has_its_columns(corpora, n, look):
    viewer = ExpertViewer(model_with_opinions(n), corpora, SENTENCE, windows=1)
    assert f'class="heat {look}"' in viewer.view["heat"] and viewer.view["heat"].count("<button") == n

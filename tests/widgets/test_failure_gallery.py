"""The failure gallery: nine unnamed cases, numbers that are the recorded ones, answers judged and counted honestly."""

import html
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import fields, replace

import pytest
import torch
from widget_page import script_page, send

from moe_lite.lab.diagnosis import RULES
from moe_lite.lab.failure_runs import UNSEEN_SEEDS, FailureRuns, failure_runs
from moe_lite.lab.failures import FAILURES, HEALTHY
from moe_lite.lab.symptoms import Symptoms
from moe_lite.metrics import fair_multiples
from moe_lite.widgets import FailureGallery
from moe_lite.widgets.failure_gallery.drawing import NARROWEST
from moe_lite.widgets.failure_gallery.view import NAMES, Score, deal, latest, scored, title_of
from moe_lite.widgets.failure_gallery.words import MEANS, SHOWN, outside, range_text, value_text
from moe_lite.widgets.kit.widget import KERNEL_GONE

SVG = "{http://www.w3.org/2000/svg}"
LETTERS = "ABCDEFGHI"


def letters(gallery: FailureGallery) -> dict[str, str]:
    """name -> the letter under which it stands in this gallery."""
    return {run.name: letter for letter, run in deal(gallery.runs, 0).items()}


def rows(gallery: FailureGallery) -> dict[str, ET.Element]:
    """symptom -> its line in the figure."""
    numbers = next(g for g in ET.fromstring(gallery.figure) if g.get("class") == "numbers")
    return {g.get("class").split()[0][2:]: g for g in numbers if g.tag == f"{SVG}g"}


def part(row: ET.Element, name: str) -> ET.Element:
    return next(child for child in row if child.get("class").split()[0] == name)


# ---- cases -----------------------------------------------------------------------------------------------------------


def test_every_name_stands_under_one_letter_from_an_unseen_seed():
    for seed in range(5):
        cases = deal(failure_runs(), seed)
        assert [*cases] == [*LETTERS]
        assert Counter(run.name for run in cases.values()) == Counter([HEALTHY, *FAILURES])
        assert {run.seed for run in cases.values()} <= {*UNSEEN_SEEDS}


def test_the_seed_decides_the_order_and_repeats_it():
    orders = {tuple(run.name for run in deal(failure_runs(), seed).values()) for seed in range(8)}
    assert len(orders) == 8
    one, same = (deal(failure_runs(), 3) for _ in range(2))
    assert [(run.name, run.seed) for run in one.values()] == [(run.name, run.seed) for run in same.values()]


def test_without_unseen_seeds_there_are_no_cases():
    runs = failure_runs()
    few = replace(runs, runs=tuple(run for run in runs.runs if run.name != "bfloat16" or run.seed < 3))
    with pytest.raises(ValueError, match="recorded of bfloat16"):
        FailureGallery(runs=few)


def test_nothing_that_leaves_python_names_a_case_before_it_is_answered():
    gallery = FailureGallery(0)
    titles = [title_of(name) for name in NAMES]
    for letter in LETTERS:
        gallery.case = letter
        sent = json.dumps([gallery.view, gallery.reading, gallery.figure])
        told = [word for word in (*FAILURES, *titles[1:]) if word in sent]
        assert told == [] and "told" not in gallery.figure and gallery.view["feedback"] == ""
    assert gallery.fixed["choices"] == [[name, title_of(name)] for name in NAMES]


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_dashboard_shows_every_symptom_of_the_case_and_of_the_healthy_seeds():
    gallery, runs = FailureGallery(0), failure_runs()
    assert {*SHOWN} == {*MEANS} == {field.name for field in fields(Symptoms)}
    for letter, run in deal(runs, 0).items():
        gallery.case = letter
        found = rows(gallery)
        assert [*found] == [*SHOWN]
        for symptom, row in found.items():
            assert part(row, "number").text == value_text(symptom, getattr(run.symptoms, symptom))
            assert part(row, "range").text == range_text(symptom, *runs.healthy_range(symptom))


@pytest.mark.parametrize("width", [NARROWEST, 812])
def test_bars_begin_at_nought_and_end_within_the_track(width):
    gallery = FailureGallery(0)
    gallery.width = width
    for letter in LETTERS:
        gallery.case = letter
        for symptom, row in rows(gallery).items():
            bar, band = part(row, "value"), part(row, "band")
            value = getattr(deal(gallery.runs, 0)[letter].symptoms, symptom)
            most = max(getattr(run.symptoms, symptom) for run in gallery.runs.runs)
            start, room = re.fullmatch(r"M([\d.]+) [\d.]+h([\d.]+)", part(row, "base").get("d")).groups()
            assert bar.get("x") == start
            assert float(bar.get("width")) == pytest.approx(max(float(room) * value / (most or 1), 1), abs=0.06)
            left, right = float(band.get("x")), float(band.get("x")) + float(band.get("width"))
            assert float(start) - 0.1 <= left < right <= float(start) + float(room) + 0.1


def test_values_are_written_so_that_only_nought_reads_as_nought():
    assert value_text("tied", 0.0) == "0" and value_text("tied", 5.4e-5) == "0.01 %"
    assert value_text("tied", 2e-6) == "< 0.01 %" and value_text("loss_difference", 2e-6) == "< 0.00001"
    assert value_text("load_cv", 0.174) == "0.17" and value_text("dead", 5.0) == "5"
    assert range_text("weight_sum", 1.0, 1.0) == "1.00" and range_text("load_cv", 0.1, 0.2) == "0.10 to 0.20"


def test_heatmap_shows_the_share_of_each_expert_in_each_bin():
    gallery, run = FailureGallery(0), deal(failure_runs(), 0)["A"]
    maps = next(g for g in ET.fromstring(gallery.figure) if g.get("class") == "maps")
    layers = {g.get("class"): g for g in maps if g.get("class").startswith("map")}
    assert [*layers] == ["map0", "map1", "map2", "map3"]
    for place, shown in enumerate((run, run, failure_runs().run(HEALTHY, 0), failure_runs().run(HEALTHY, 0))):
        shares = fair_multiples(shown.load)[:, place % 2]  # (S, E)
        for e in range(8):
            row = next(g for g in layers[f"map{place}"] if (g.get("class") or "").startswith(f"x{e} "))
            cells = [child for child in row if child.tag == f"{SVG}rect"]
            assert [cell.get("class").split()[1] == "hot" for cell in cells] == (shares[:, e] > 1).tolist()
            last = shares[-1, e].item()
            assert part(row, "last").text == ("0" if last < 0.01 else f"{last:.1f}")


def test_fair_multiples_are_one_where_the_load_is_even():
    load = torch.tensor([[[2, 2, 2, 2]], [[8, 0, 0, 0]]])
    assert fair_multiples(load).tolist() == [[[1, 1, 1, 1]], [[4, 0, 0, 0]]]


def test_reading_line_counts_what_lies_outside_the_healthy_range():
    gallery = FailureGallery(0)
    run = deal(gallery.runs, 0)["A"]
    healthy = [other.symptoms for other in gallery.runs.runs if other.name == HEALTHY]
    beyond = []
    for symptom in SHOWN:
        values = sorted(getattr(s, symptom) for s in healthy)
        value, printed = getattr(run.symptoms, symptom), {value_text(symptom, v) for v in values}
        if not values[0] <= value <= values[-1] and value_text(symptom, value) not in printed:
            beyond.append(symptom)
    assert sorted(beyond) == ["loss_difference", "other_experts"]  # two more are printed on the border
    assert sorted(outside(gallery.runs, run)) == sorted(beyond)
    assert gallery.reading.startswith(f"Case A: {len(beyond) or 'none'} of 14 numbers li")
    assert f"outside the range of 8 healthy seeds. Its validation loss is {run.symptoms.loss:.2f};" in gallery.reading
    gallery.case = letters(gallery)[HEALTHY]
    assert "none of 14 numbers lie outside" in gallery.reading


# ---- answers ---------------------------------------------------------------------------------------------------------


def test_right_answer_names_it_and_marks_what_gives_it_away():
    gallery = FailureGallery(0)
    for name, letter in letters(gallery).items():
        gallery.answer(letter, name)
        assert gallery.view["feedback"].startswith(f"Right: {title_of(name)}, seed ")
        told = [symptom for symptom, row in rows(gallery).items() if "told" in row.get("class")]
        clues = () if name == HEALTHY else RULES[name].clues
        assert sorted(told) == sorted(clue.symptom for clue in clues)
        for clue in clues:
            assert f"{SHOWN[clue.symptom][0]} " in gallery.view["feedback"]
    assert gallery.score == Score(cases=9, answered=9, right=9, first_right=9)


def test_wrong_answer_is_refuted_by_a_number_and_does_not_name_the_right_one():
    gallery = FailureGallery(0)
    for name, letter in letters(gallery).items():
        for wrong in NAMES:
            if wrong == name:
                continue
            gallery.answer(letter, wrong)
            said = gallery.view["feedback"]
            assert said.startswith(f"Not {title_of(wrong)}")
            assert (", and here it is " in said) == (wrong != HEALTHY)
            if name != HEALTHY:  # "healthy" stands beside every number
                assert title_of(name) not in said
            assert dict(map(tuple, gallery.view["cases"]))[letter] == "wrong"
    assert gallery.score == Score(cases=9, answered=9, right=0, first_right=0)


def test_refutation_quotes_the_bound_and_the_value_of_the_case():
    gallery = FailureGallery(0)
    letter = letters(gallery)["bfloat16"]
    gallery.answer(letter, "no_balancing")
    run = deal(gallery.runs, 0)[letter]
    shown, tied = (value_text(key, getattr(run.symptoms, key)) for key in ("load_cv", "tied"))
    expected = (
        f"Not no balancing: that shows load CV above 0.70, and here it is {shown}. Look at this: tokens with equal "
    )
    healthy = range_text("tied", *gallery.runs.healthy_range("tied"))
    assert gallery.view["feedback"] == f"{expected}logits {tied} (healthy: {healthy})."


def test_refutation_takes_a_clue_that_does_not_fit():
    gallery = FailureGallery(0)
    letter = letters(gallery)["softmax_twice"]
    gallery.answer(letter, "coefficient_too_large")  # whose first clue, flat scores, is there
    spread = value_text("logit_spread", deal(gallery.runs, 0)[letter].symptoms.logit_spread)
    said = gallery.view["feedback"]
    assert said.startswith(
        f"Not coefficient far too large: that shows spread of the logits below 0.20, and here it is {spread}. "
    )


def test_the_latest_answer_counts_and_the_first_is_kept_apart():
    gallery = FailureGallery(0)
    at = letters(gallery)
    assert gallery.view["score"] == "9 cases, none answered yet"
    gallery.answer(at["bfloat16"], "softmax_twice")
    gallery.answer(at["softmax_twice"], "softmax_twice")
    assert gallery.view["score"] == "2 of 9 answered, 1 right; 1 right at the first answer"
    gallery.answer(at["bfloat16"], "bfloat16")
    assert gallery.view["score"] == "2 of 9 answered, 2 right; 1 right at the first answer"
    gallery.answer(at["softmax_twice"], HEALTHY)
    assert gallery.score == Score(cases=9, answered=2, right=1, first_right=1)
    assert latest(gallery.answers) == {at["bfloat16"]: "bfloat16", at["softmax_twice"]: HEALTHY}
    assert scored(deal(gallery.runs, 0), []) == Score(9, 0, 0, 0)


def test_what_is_no_answer_is_shown_as_an_error_and_not_counted():
    gallery = FailureGallery(0)
    gallery.answer("A", "fever")
    assert "['A', 'fever'] is no answer" in gallery.error["what"] and gallery.error["instead"] == "It is not counted."
    assert gallery.answers == [] and gallery.score.answered == 0
    gallery.case = "Z"
    assert "There is no case 'Z'; the letters are A, B" in gallery.error["what"] and gallery.case == "A"
    gallery.answer("A", HEALTHY)
    assert gallery.error == {} and gallery.score.answered == 1


def test_gallery_of_other_recordings_shows_theirs():
    runs = failure_runs()
    changed = tuple(replace(run, symptoms=replace(run.symptoms, loss=run.symptoms.loss + 1)) for run in runs.runs)
    other: FailureRuns = replace(runs, runs=changed)
    now, then = (float(part(rows(FailureGallery(0, runs=r))["loss"], "number").text) for r in (other, runs))
    assert now == pytest.approx(then + 1, abs=0.011)


# ---- twin and page ---------------------------------------------------------------------------------------------------


def test_twin_holds_the_figure_the_numbers_and_what_was_said():
    gallery = FailureGallery(0)
    page = gallery.static_html()
    assert KERNEL_GONE in page and "9 cases, none answered yet" in page and 'class="said"' not in page
    assert f"Each is one of: {', '.join(title_of(name) for name in NAMES)}." in html.unescape(page)
    run = deal(gallery.runs, 0)["A"]
    table = re.search(r"<table>.*?</table>", page).group()
    assert f"<td>{value_text('loss', run.symptoms.loss)}</td>" in table and table.count("<tr>") == 15
    label = html.unescape(re.search(r'role="img" aria-label="([^"]+)"', page).group(1))
    assert label.startswith("Dashboard of case A: load CV ") and label.count("healthy") == 14
    gallery.answer("A", HEALTHY)
    assert html.escape(gallery.view["feedback"]) in gallery.static_html()


@pytest.mark.browser
def test_page_shows_a_case_takes_an_answer_and_changes_it(browser):
    gallery = FailureGallery(0)
    at = letters(gallery)
    with script_page(gallery, browser) as page:
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))

        def answer_of_kernel() -> None:
            with gallery.hold_sync():
                for name, value in page.evaluate("window.model.saved.splice(0)"):
                    setattr(gallery, name, value)
            send(page, gallery)

        answer_of_kernel()
        page.locator(".cases button").first.focus()
        page.keyboard.press("ArrowRight")
        answer_of_kernel()
        assert gallery.case == "B" and page.locator(".gallery .h-case").text_content() == "case B"
        shown = page.locator(".gallery .s-loss .number").text_content()
        assert shown == value_text("loss", deal(gallery.runs, 0)["B"].symptoms.loss)
        give, choice = page.get_by_role("button", name="Answer", exact=True), page.get_by_label("what is it?")
        assert give.is_disabled() and page.locator(".said").is_hidden()
        truth = next(name for name, letter in at.items() if letter == "B")
        for name, mark in ((next(n for n in NAMES if n not in (truth, HEALTHY)), "✗"), (truth, "✓")):
            choice.select_option(name)
            assert gallery.view["given"] != name  # chosen is not yet answered
            give.click()
            answer_of_kernel()
            assert gallery.answers[-1] == ["B", name] and give.is_disabled()
            assert page.locator(".cases button").nth(1).text_content() == f"B{mark}"
            assert page.locator(".said").text_content().replace("\u00a0", " ") == gallery.view["feedback"]
        choice.select_option("")
        assert give.is_disabled()
        assert page.locator("[role=status]").first.text_content() == gallery.view["score"]
        assert page.locator(".gallery .told").count() == len(() if truth == HEALTHY else RULES[truth].clues)
        page.locator(".cases button").nth(4).click()
        answer_of_kernel()
        assert gallery.case == "E" and choice.input_value() == "" and page.locator(".said").is_hidden()
        assert page.locator(".cases button[tabindex='0']").text_content() == "E"
        assert errors == []

"""The failure gallery: nine unnamed cases, numbers that are the recorded ones, answers judged and counted honestly."""

import html
import json
import math
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
from moe_lite.widgets.failure_gallery.drawing import NAME, NARROWEST, RADIUS, RANGE, VALUE, WIDEST, Scale
from moe_lite.widgets.failure_gallery.view import NAMES, Score, deal, latest, off_scale, scored, title_of, widths_away
from moe_lite.widgets.failure_gallery.words import MEANS, SHOWN, beside_healthy, outside, value_text
from moe_lite.widgets.kit.widget import KERNEL_GONE

SVG = "{http://www.w3.org/2000/svg}"
LETTERS = "ABCDEFGHI"


def letters(gallery: FailureGallery) -> dict[str, str]:
    """name -> the letter under which it stands in this gallery."""
    return {run.name: letter for letter, run in deal(gallery.runs, 0).items()}


def rows(gallery: FailureGallery) -> dict[str, ET.Element]:
    """symptom -> its line in the figure."""
    numbers = next(g for g in ET.fromstring(gallery.figure) if g.get("class") == "numbers")
    return {g.get("class").split()[0][2:]: g for g in numbers if g.get("class").startswith("s-")}


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
            assert (part(row, "number").text, part(row, "range").text) == beside_healthy(symptom, run, runs)


def mark_of(row: ET.Element) -> tuple[str, float]:
    """How the mark of a line looks, and where it stands."""
    mark = part(row, "mark")
    return mark.get("class").split()[1], float(re.match(r"translate\(([\d.]+) ", mark.get("transform"))[1])


@pytest.mark.parametrize("width", [NARROWEST, 812])
def test_a_mark_stands_inside_the_healthy_range_or_on_its_side_of_it(width):
    gallery = FailureGallery(0)
    gallery.width = width
    seen = Counter()
    for letter, run in deal(gallery.runs, 0).items():
        gallery.case = letter
        band = next(g for g in ET.fromstring(gallery.figure).iter() if g.get("class") == "band")
        left, right = map(float, re.fullmatch(r"M([\d.]+) [\d.]+H([\d.]+)V.*", band.get("d")).groups())
        for symptom, row in rows(gallery).items():
            value, (low, high) = getattr(run.symptoms, symptom), gallery.runs.healthy_range(symptom)
            look, x = mark_of(row)
            start, room = map(float, re.fullmatch(r"M([\d.]+) [\d.]+h([\d.]+)", part(row, "base").get("d")).groups())
            assert start <= x - RADIUS + 0.1 and x + RADIUS <= start + room + 0.1, "it is on the track"
            outside = not low <= value <= high
            if outside:
                assert look in ("out", "far") and (x + RADIUS < left if value < low else x - RADIUS > right)
            else:
                assert look == "in" and left < x - RADIUS and x + RADIUS < right
            for words in ("name", "number"):
                assert ("b" in part(row, words).get("class").split()) == outside
            seen[look] += 1
    assert min(seen[look] for look in ("in", "out", "far")) > 3


def test_places_are_in_the_order_of_the_distances_and_equal_distances_stand_in_one_place():
    scale = Scale(400)
    left, right = scale.band
    assert scale.inside(0.5) == pytest.approx((left + right) / 2)
    inside = [scale.inside(share) for share in (0, 0.3, 1)]
    outside = [scale.outside(widths) for widths in (-3, -1, -0.001, 0.001, 1, 10, 40)]
    assert [*outside[:3], *inside, *outside[3:]] == sorted([*outside, *inside])
    # 1 width is log 2 of log 41 on the way from the first place, 6 px beside the border, to the last, 5 px from the end
    first, last = right + 6, 400 - 5
    assert scale.outside(1) == pytest.approx(first + (last - first) * math.log(2) / math.log(41))
    assert scale.outside(math.inf) == scale.outside(900) == scale.outside(40) == last
    assert [off_scale(widths) for widths in (-math.inf, -3, 40, 900)] == [True, False, False, True]


def test_distance_is_counted_in_widths_of_the_healthy_range():
    assert [widths_away(value, 2.0, 4.0) for value in (2.0, 3.1, 4.0)] == [0, 0, 0]
    assert widths_away(1.0, 2.0, 4.0) == -0.5 and widths_away(9.0, 2.0, 4.0) == 2.5
    # where all healthy seeds are alike
    assert [widths_away(value, 1.0, 1.0) for value in (0.4, 1.0, 1.1)] == [-math.inf, 0, math.inf]


def test_a_place_on_the_scale_is_named_under_it():
    scale = next(g for g in ET.fromstring(FailureGallery(0).figure).iter() if g.get("class") == "scale")
    ticks = {float(text.get("x")): text.text for text in scale if text.get("class").startswith("at")}
    room = Scale(WIDEST - NAME - VALUE - RANGE - 12)
    assert ticks == {round(NAME + room.outside(widths), 1): str(abs(widths)) for widths in (-1, 1, 10)}


def test_values_are_written_so_that_only_nought_reads_as_nought():
    assert value_text("tied", 0.0) == "0" and value_text("tied", 5.4e-5) == "0.01 %"
    assert value_text("tied", 2e-6) == "< 0.01 %" and value_text("loss_difference", 2e-6) == "< 0.00001"
    assert value_text("load_cv", 0.174) == "0.17" and value_text("dead", 5.0) == "5"
    assert value_text("load_cv", 0.174, more=2) == "0.1740" and value_text("tied", 2e-6, more=2) == "0.0002 %"


def test_a_value_outside_the_healthy_range_also_reads_as_outside():
    runs = failure_runs()
    a = deal(runs, 0)["A"]  # 0.135269 and 0.205353, where the healthy ones begin at 0.135313 and 0.205471
    assert beside_healthy("load_cv", a, runs) == ("0.13527", "0.13531 to 0.21")
    assert beside_healthy("max_violation", a, runs) == ("0.2054", "0.2055 to 0.45")
    assert beside_healthy("logit_spread", a, runs) == ("0.48", "0.34 to 0.48")  # inside, just
    for run in runs.runs:
        for symptom in SHOWN:
            value, (low, high) = getattr(run.symptoms, symptom), runs.healthy_range(symptom)
            shown, healthy = beside_healthy(symptom, run, runs)
            first, _, last = healthy.partition(" to ")
            if value < low or value > high:
                assert shown != (first if value < low else last or first), (run.name, run.seed, symptom)
            else:
                assert shown == value_text(symptom, value)


def planted(gallery: FailureGallery, **symptoms: float) -> FailureGallery:
    """The same gallery with these numbers in its case A."""
    case = deal(gallery.runs, 0)["A"]
    changed = replace(case, symptoms=replace(case.symptoms, **symptoms))
    runs = replace(gallery.runs, runs=tuple(changed if run is case else run for run in gallery.runs.runs))
    return FailureGallery(0, runs=runs)


def test_decimals_are_added_at_the_end_that_is_passed():
    low, high = failure_runs().healthy_range("loss")  # 5.113686 to 5.427567
    row = rows(planted(FailureGallery(0), loss=high + 1e-5, tied=1e-7, weight_sum=1 + 1e-9))
    assert part(row["loss"], "number").text == "5.42758" and part(row["loss"], "range").text == "5.11 to 5.42757"
    assert mark_of(row["loss"])[0] == "out" and mark_of(row["tied"])[0] == "in"
    assert part(row["tied"], "number").text == "< 0.01 %"  # in the figure as it is, not as a broken tag
    assert part(row["weight_sum"], "number").text == "1.000000001" and part(row["weight_sum"], "range").text == "1.00"
    assert mark_of(row["weight_sum"])[0] == "far"


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
        if not values[0] <= getattr(run.symptoms, symptom) <= values[-1]:
            beyond.append(symptom)
    assert sorted(beyond) == ["load_cv", "loss_difference", "max_violation", "other_experts"]
    assert sorted(outside(gallery.runs, run)) == sorted(beyond)
    assert gallery.reading.startswith(f"Case A: {len(beyond) or 'none'} of 14 numbers li")
    assert f"outside the range of 8 healthy seeds. Its validation loss is {run.symptoms.loss:.2f};" in gallery.reading
    assert gallery.reading.endswith(
        "theirs is 5.11 to 5.43. An arrow means off the scale: far outside, or the healthy seeds are all alike."
    )
    gallery.case = letters(gallery)[HEALTHY]
    assert "none of 14 numbers lie outside" in gallery.reading and "arrow" not in gallery.reading


# ---- answers ---------------------------------------------------------------------------------------------------------


def test_right_answer_names_it_and_marks_what_gives_it_away():
    gallery = FailureGallery(0)
    for name, letter in letters(gallery).items():
        gallery.answer(letter, name)
        assert gallery.view["feedback"].startswith(f"Right: {title_of(name)}, seed ")
        told = [symptom for symptom, row in rows(gallery).items() if "told" in row.get("class")]
        assert all(mark_of(rows(gallery)[symptom])[0] != "in" for symptom in told)
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
    assert gallery.view["feedback"] == f"{expected}logits {tied} (healthy: 0 to 0.01 %)."


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
    assert (
        f"<td>{value_text('loss', run.symptoms.loss)}</td><td>5.11 to 5.43</td><td>inside</td>" in table
        and table.count("<tr>") == 15
    )
    label = html.unescape(re.search(r'role="img" aria-label="([^"]+)"', page).group(1))
    assert label.startswith("Dashboard of case A: load CV ") and label.count("healthy") == 14
    assert "load CV 0.13527, below, healthy 0.13531 to 0.21; " in label and label.count(" inside,") == 10
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


@pytest.mark.browser
@pytest.mark.parametrize("width", [NARROWEST, WIDEST])
def test_no_text_reaches_into_the_track_or_leaves_the_figure(browser, width):
    gallery = FailureGallery(0)
    gallery.width = width
    with script_page(gallery, browser, width=width + 8) as page:
        for name, letter in letters(gallery).items():
            gallery.answer(letter, name)
            send(page, gallery)
            gaps = page.evaluate("""() => [...document.querySelectorAll(".gallery .row")].flatMap((row) => {
              const [name, track, number, range] = ["name", "base", "number", "range"]
                .map((part) => row.querySelector(`.${part}`).getBoundingClientRect());
              const figure = row.closest("svg").getBoundingClientRect();
              return [track.left - name.right, number.left - track.right, range.left - number.right,
                figure.right - range.right];
            })""")
            assert len(gaps) == 4 * len(SHOWN) and min(gaps) > 2, f"{name}: {min(gaps)} px"

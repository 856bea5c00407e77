"""The map of the course: what it counts, where it says you are, what is next, and what it says of a bad file."""

import io
import os
import re
import sys
from html import unescape

import pytest
import torch

import moe_lite
from moe_lite.checks import course_map, verdict
from moe_lite.checks.registry import exercises
from moe_lite.course import outline, progress

WRITTEN = [lesson.number for lesson in outline.lessons() if lesson.written]
ALL = [exercise for exercise in exercises().values() if exercise.lesson in WRITTEN]
CORE = [exercise for exercise in ALL if not exercise.stretch]
AFTER_3 = [exercise for exercise in CORE if exercise.lesson > 3] + CORE  # what waits behind lesson 03, in this order


@pytest.fixture(autouse=True)
def own_file(monkeypatch, tmp_path):
    monkeypatch.setenv("MOE_LITE_PROGRESS", str(tmp_path / "kept" / "progress.json"))


def passes(*ids):
    for id in ids:
        progress.record(id, exercises()[id].name, passed=True, source=None)


def line(map, number):
    return next(line for line in repr(map).splitlines() if re.match(rf"[> ] {number:02d}  ", line))


def squares(map) -> dict[str, str]:
    """{"3.2 top_k_route": class of its square} as the page has them."""
    found = re.findall(r'<i class="sq (\w+)" title="([^:]+): [^"]+">', map._repr_html_())
    return {unescape(label): state for state, label in found}


def test_with_nothing_recorded_all_is_open_and_one_starts_at_the_beginning():
    map = moe_lite.progress()
    first = ALL[0]
    assert map.reading == (
        f"0 of {len(ALL)} exercises pass. Start with lesson 00: {first.id} {first.name}, about {first.minutes} minutes."
    )
    assert set(squares(map).values()) == {"open"} and len(squares(map)) == len(ALL)
    assert line(map, 0).endswith("you are here") and map.problem == ""
    assert not progress.path().exists(), "looking writes nothing"


def test_five_parts_seventeen_rows_and_a_link_where_there_is_a_lesson():
    page = moe_lite.progress()._repr_html_()
    assert [unescape(title) for title in re.findall(r'<div class="h">(.+?)</div>', page)] == [
        f"Part {part} · {title}" for part, title in outline.PARTS.items()
    ]
    assert [int(number) for number in re.findall(r'<span class="k">(\d\d)</span>', page)] == list(range(17))
    linked = re.findall(r'<span class="t"><a href="([^"]+)">', page)
    assert linked == [f"{outline.lesson(number).file}.ipynb" for number in WRITTEN]
    assert page.count(">to come</span>") == 17 - len(WRITTEN)
    for lesson in outline.lessons():
        assert f"{lesson.minutes} min" in line(moe_lite.progress(), lesson.number)


def test_half_way(monkeypatch):
    passes("0.1", "3.1")
    progress.record("3.2", "top_k_route", passed=False, source=None)
    progress.skip("3.3", "two_orders")
    map = moe_lite.progress(3)
    minutes = f"{outline.course().lessons[3].minutes} min"
    assert line(map, 3) == f"> 03  The router                                    ■◧▨□□    {minutes}  you are here"
    shown = squares(map)
    assert [shown[f"3.{n} {exercises()[f'3.{n}'].name}"] for n in (1, 2, 3, 4)] == ["pass", "tried", "skipped", "open"]
    assert shown["3.5 sigmoid_route (stretch)"] == "open"
    assert map.reading == f"2 of {len(ALL)} exercises pass, 1 is skipped. Next: 3.2 top_k_route, about 10 minutes."
    assert '<a href="03_router.ipynb">3.2 top_k_route</a>' in map._repr_html_()
    progress.skip("3.2", "top_k_route")
    assert moe_lite.progress(3).reading.endswith("2 are skipped. Next: 3.4 combine_matrix, about 8 minutes.")


def test_squares_are_told_by_words_and_form_and_not_by_colour_alone():
    passes("0.1")
    page = moe_lite.progress()._repr_html_()
    assert 'aria-label="1 of 1 exercises pass. 0.1 expert_load: passes."' in page
    assert (
        'title="3.5 sigmoid_route (stretch): open"' in page and "<div>3.5 sigmoid_route (stretch): open</div>" in page
    )
    rules = re.findall(r"\.sq\.(\w+)\{([^}]+)\}", course_map.style_text())
    assert len({rule for _, rule in rules}) == 3 and {state for state, _ in rules} == {"pass", "tried", "skipped"}


def test_you_are_where_you_last_were_and_behind_it_when_that_is_finished():
    passes("0.1", "3.2")
    assert moe_lite.progress().here == 3
    passes(*(exercise.id for exercise in CORE if exercise.lesson == 3))
    map = moe_lite.progress()
    assert map.here == AFTER_3[0].lesson
    assert "done" in re.search(r'<div class="row ([^"]*)"><span class="k">03', map._repr_html_())[1]
    assert moe_lite.progress(3).here == 3


def test_next_goes_on_in_todays_lesson_before_it_looks_back_and_leaves_stretch_for_the_end():
    assert moe_lite.progress(3).reading.endswith("Next: 3.1 router_scores, about 8 minutes.")
    passes(*(exercise.id for exercise in CORE if exercise.lesson == 3))
    assert moe_lite.progress(3).next.exercise.id == AFTER_3[0].id
    passes(*(exercise.id for exercise in CORE))
    assert moe_lite.progress(3).reading.endswith("Next: 3.5 sigmoid_route (stretch), about 10 minutes.")


def test_finished_with_and_without_skipped_ones():
    passes(*(exercise.id for exercise in ALL[:-1]))
    progress.skip(ALL[-1].id, ALL[-1].name)
    to_come = f" Lessons to come: {17 - len(WRITTEN)}." if len(WRITTEN) < 17 else ""
    n = len(ALL)
    assert moe_lite.progress().reading == f"{n - 1} of {n} exercises pass, 1 is skipped. Nothing is open.{to_come}"
    passes(ALL[-1].id)
    map = moe_lite.progress()
    assert map.reading == f"{n} of {n} exercises pass. Nothing is open.{to_come}"
    assert map.here is None and "you are here" not in repr(map) + map._repr_html_()


def test_the_short_path_counts_what_is_left_of_it():
    path = [outline.lesson(number) for number in outline.course().short_path]
    stretch = sum(e.minutes for e in ALL if e.stretch and e.lesson in outline.course().short_path)
    whole = sum(lesson.minutes for lesson in path) - stretch
    map = moe_lite.progress()
    numbers = " · ".join(lesson.label for lesson in path)
    assert map.path_line == f"The short path, {numbers} without stretch exercises: about {whole} minutes to go."
    passes("3.2", "3.5")
    assert moe_lite.progress().minutes_left == whole - 10, "an exercise of 10 minutes; the stretch one did not count"
    passes("0.1")
    assert moe_lite.progress().minutes_left == whole - 10 - outline.lesson(0).minutes, "finished lessons count nothing"


def test_a_file_that_cannot_be_read_leaves_the_squares_open():
    progress.path().mkdir(parents=True)
    map = moe_lite.progress(3)
    assert set(squares(map).values()) == {"open"}
    assert repr(map).endswith(
        "The progress file cannot be read. Lessons work; squares stay open. "
        "(progress.json cannot be read (Is a directory).)"
    )
    assert "<b>The progress file cannot be read.</b> Lessons work; squares stay open." in map._repr_html_()
    assert "exercises pass. " not in repr(map)


def test_a_damaged_file_shows_what_could_be_read_and_says_so():
    passes("0.1", "3.1")
    file = progress.path()
    file.write_text(file.read_text()[:-20])
    map = moe_lite.progress(3)
    assert squares(map)["0.1 expert_load"] == "pass" and squares(map)["3.1 router_scores"] == "open"
    assert "progress.json is damaged; 1 exercise could be read." in repr(map)
    assert "progress.json is damaged; 1 exercise could be read." in map._repr_html_()
    assert os.listdir(file.parent).count("progress.json.damaged") == 0, "looking changes nothing"


def test_what_the_course_does_not_know_is_left_out():
    progress.record("9.9", "gone", passed=True, source=None)
    assert moe_lite.progress().reading.startswith(f"0 of {len(ALL)} exercises pass.")


def test_the_same_progress_gives_the_same_map_and_nothing_is_loaded():
    passes("0.1")
    assert repr(moe_lite.progress(3)) == repr(moe_lite.progress(3))
    page = moe_lite.progress(3)._repr_html_()
    assert page == moe_lite.progress(3)._repr_html_()
    body = page.split("</style>")[1]
    assert not re.findall(r"#[0-9a-fA-F]{3,6}\b|rgba?\(|<script|https?:|%", body)
    own = course_map.style_text().split(".e7.alt{--t:var(--h7)}")[1]
    assert not re.findall(r"#[0-9a-fA-F]{3,6}\b|rgba?\(", own)
    assert min(float(size) for size in re.findall(r"font(?:-size)?:(?:\d+ )?([\d.]+)px", own)) >= 11


@pytest.mark.parametrize("wrong", [17, -1, "3", 3.0, True])
def test_a_lesson_that_does_not_exist_is_refused(wrong):
    with pytest.raises(ValueError, match="whole numbers from 0 to 16"):
        moe_lite.progress(wrong)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_without_the_signs_gets_plainer_ones(encoding, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    print(moe_lite.progress())
    result = verdict("3.2", lambda scores, k: (scores[:, :k], torch.zeros(len(scores), k).long()))
    print(result)
    sys.stdout.seek(0)
    text = sys.stdout.read()
    assert (
        "01  A dense baseline" in text and " ..... " in text and "?" not in text.split("Part 1")[1].split("Part 2")[0]
    )
    assert "of 9 pass" in text


def test_a_lesson_begins_with_its_own_squares_above_the_model():
    header = moe_lite.lesson_header(3)
    assert repr(header).startswith("0 of 5 exercises pass. The model as one line:")
    passes("3.1")
    header = moe_lite.lesson_header(3)
    states = re.findall(r'<i class="sq (\w+)"', header.html)
    assert states == ["pass", "open", "open", "open", "open"] and "1 of 5 exercises passes" in header.html
    assert header.html.index("sqs") < header.html.index("<svg"), "the squares stand above the diagram"
    assert repr(moe_lite.lesson_header(0)).startswith("0 of 1 exercise pass.")
    with pytest.raises(outline.CourseError, match="lesson is 17"):
        moe_lite.lesson_header(17)

"""The course as data: seventeen lessons, as the written ones describe themselves; slips in the file are named."""

import re

import pytest

import moe_lite
from moe_lite.course import outline

TEXT = (outline.ROOT / "moe_lite" / "course" / "course.toml").read_text(encoding="utf-8")
WRITTEN = [lesson for lesson in outline.lessons() if lesson.written]


def test_seventeen_lessons_in_five_parts():
    assert [lesson.number for lesson in outline.lessons()] == list(range(17))
    assert outline.PARTS == {
        1: "A model that uses a part of itself",
        2: "Keeping every expert busy",
        3: "What experts learn, and how models differ",
        4: "What it costs to run",
        5: "Growing, shrinking, shipping",
    }
    assert [lesson.part for lesson in outline.lessons()] == [1] * 6 + [2] * 2 + [3] * 3 + [4] * 3 + [5] * 3
    assert [lesson.file for lesson in outline.lessons()][3:6] == [
        "03_router",
        "04_dispatch_and_combine",
        "05_moe_language_model",
    ]


def test_every_source_belongs_to_a_lesson(root):
    sources = {path.stem for path in (root / "solutions").glob("[0-9]*.py")}
    assert sources == {lesson.file for lesson in WRITTEN} >= {"00_start_here", "03_router"}
    assert len({lesson.file for lesson in outline.lessons()}) == 17


@pytest.mark.parametrize("lesson", WRITTEN, ids=lambda lesson: lesson.file)
def test_a_written_lesson_says_the_same_of_itself(lesson):
    lines = lesson.source.read_text(encoding="utf-8").splitlines()
    assert lines[1] == f"# # {lesson.label} · {lesson.title}"
    header = re.fullmatch(r"# \*Part (\d) — (.+) · about (\d+) minutes · (.+)\*", lines[2])
    assert (int(header[1]), header[2]) == (lesson.part, outline.PARTS[lesson.part])
    assert int(header[3]) == lesson.minutes
    assert lines[4] == f"# **{lesson.question}**"


def test_lessons_build_on_earlier_ones_and_name_parts_of_the_model():
    for lesson in outline.lessons():
        assert all(number < lesson.number for number in lesson.builds_on)
        assert bool(lesson.builds_on and lesson.today) == (lesson.number > 0)
        assert 20 <= lesson.minutes <= 150 and lesson.see and not lesson.see.endswith(".")
    assert outline.lesson(7).today == ("router", "experts", "residual")


def test_the_short_path_has_the_lessons_that_are_written(tmp_path):
    (tmp_path / "course.toml").write_text(
        TEXT.replace("short_path = [0, 3", "short_path = [0, 16, 3"), encoding="utf-8"
    )
    path = outline.read_course(tmp_path / "course.toml").short_path
    assert path[:2] == ((0, 16) if outline.lesson(16).written else (0, 3))
    assert path[:4] == outline.course().short_path[:4] == (0, 3, 5, 6)
    assert all(outline.lesson(number).written for number in outline.course().short_path)


@pytest.mark.parametrize("number", [-1, 17, "3", 3.0, True, None])
def test_a_lesson_that_does_not_exist_is_named(number):
    with pytest.raises(outline.CourseError, match=r"lessons are whole numbers from 0 to 16") as caught:
        outline.lesson(number)
    assert repr(number) in str(caught.value)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("[parts]", "[parts", "bad.toml cannot be read:"),
        ("minutes = 110", "", "bad.toml, lesson 1: minutes is missing."),
        ("minutes = 110", 'minutes = "70"', "lesson 1: minutes is '70'; expected int."),
        ("minutes = 110", "minutes = 0", "lesson 1: minutes is 0; expected 1 to 150."),
        ("minutes = 110", "minutes = 110\nhours = 1", "lesson 1: unknown field hours; known are number, slug,"),
        ("number = 2\n", "number = 5\n", "lesson 2: number is 5; lessons stand in order, so 2 is expected."),
        ("number = 2\n", "number = true\n", "lesson 2: number is True; expected int."),
        ('part = 2\ntitle = "Coll', 'part = 6\ntitle = "Coll', "lesson 6: part is 6; parts are 1, 2, 3, 4, 5."),
        ("builds_on = [3, 6]", "builds_on = [3, 7]", "lesson 7: builds_on has 7; expected numbers of lessons"),
        ('today = ["block"]', 'today = ["bloc"]', "lesson 5: today names 'bloc'; parts of the model are embed,"),
        ("short_path = [0, 3", "short_path = [0, 33", "short_path has 33; expected numbers of lessons from 0 to 16."),
        ("short_path = [0, 3, 5, 6, 8]", "", "`short_path` is missing or no list."),
        ('repository = ""', "", "`repository` is missing or no text."),
        (
            'repository = ""',
            'repository = "a/b"',
            "repository is 'a/b'; expected \"\" or https://github.com/owner/name.",
        ),
        ("\n[model]", "\n[models]", "`model` is missing or no table."),
        ("router = 3", 'router = "3"', "model has '3'"),
        ("short_path", "extra = 1\nshort_path", "unknown `extra`"),
        ('2 = "Keep', '7 = "Keep', "expected a title for each of 1, 2, 3, …"),
        (TEXT[TEXT.rindex("[[lessons]]") :], "", "has 16 lessons; expected 17"),
    ],
)
def test_a_slip_in_the_file_is_named(old, new, said, tmp_path):
    assert old in TEXT
    (tmp_path / "bad.toml").write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(outline.CourseError) as caught:
        outline.read_course(tmp_path / "bad.toml")
    assert said in str(caught.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(outline.CourseError, match="none.toml cannot be read"):
        outline.read_course(tmp_path / "none.toml")
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(outline.CourseError, match="x.toml cannot be read"):
        outline.read_course(tmp_path / "x.toml")


def test_what_lessons_import_is_found_and_what_is_not_there_is_said():
    from moe_lite.checks import course_map, unstuck
    from moe_lite.course.diagram import model_diagram

    assert moe_lite.model_diagram is model_diagram and moe_lite.progress is course_map.progress
    assert (moe_lite.reset, moe_lite.skip, moe_lite.start_again) == (unstuck.reset, unstuck.skip, unstuck.start_again)
    assert all(hasattr(moe_lite, name) for name in moe_lite.__all__)
    with pytest.raises(AttributeError, match="module 'moe_lite' has no attribute 'progres'"):
        _ = moe_lite.progres

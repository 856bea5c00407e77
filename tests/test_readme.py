"""The README says what is there: lessons from the course's data, files and links that exist."""

import re

import pytest

from moe_lite.checks.registry import exercises
from moe_lite.course import outline

BEGIN, END = "<!-- lessons: generated, see tests/test_readme.py -->\n", "<!-- end of lessons -->"


@pytest.fixture(scope="module")
def readme(root) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def lessons_table() -> str:
    """One row a lesson; those to come are marked."""
    rows = ["| | lesson | question | minutes | exercises | you will see |", "|---|---|---|---:|---:|---|"]
    for lesson in outline.lessons():
        title = f"[{lesson.title}](notebooks/{lesson.file}.ipynb)" if lesson.written else f"{lesson.title} *(to come)*"
        number = sum(exercise.lesson == lesson.number for exercise in exercises().values()) if lesson.written else ""
        minutes = lesson.minutes if lesson.written else ""
        rows.append(f"| {lesson.number:02d} | {title} | {lesson.question} | {minutes} | {number} | {lesson.see} |")
    return "\n".join(rows) + "\n"


def test_table_of_lessons_is_the_courses(readme):
    table = readme.split(BEGIN)[1].split(END)[0]
    assert table == lessons_table(), f"Put this between the two comments in README.md:\n\n{lessons_table()}"


def test_links_lead_somewhere(readme, root):
    links = [link for link in re.findall(r"\]\(([^)#]+)", readme) if not link.startswith("http")]
    assert len(links) >= 5
    assert [link for link in links if not (root / link).exists()] == []


def test_file_tree_names_every_part_of_the_package(readme, root):
    named = set(re.findall(r"^    moe_lite/(\w+)(?:\.py|/)", readme, re.MULTILINE))
    there = {p.stem for p in (root / "moe_lite").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert named == there - {"__init__"}


def test_the_short_path_is_that_of_the_course(readme):
    said = re.search(r"Short of time\? Take\s+([\d, and]+)", readme)[1]
    assert tuple(map(int, re.findall(r"\d+", said))) == outline.course().short_path


def test_words_are_names_that_exist(readme, root):
    """Every identifier in the glossary's code column occurs in the package."""
    code = "\n".join(p.read_text(encoding="utf-8") for p in (root / "moe_lite").rglob("*.py"))
    glossary = readme.split("## Words")[1].split("## ")[0]
    cells = [row.split("|")[3] for row in glossary.splitlines() if row.startswith("| ") and "in the code" not in row]
    names = {name for cell in cells for quoted in re.findall(r"`([^`]+)`", cell) for name in re.findall(r"\w+", quoted)}
    assert len(names) > 20
    assert [name for name in sorted(names) if name not in code] == []


def test_commands_exist(readme, root):
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"`?make ([a-z]+)", readme))
    assert {"lab", "test", "help", "data"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []

"""Rules about a lesson's form: its pace, its header, its set-up cell, its words, its end."""

import ast
import re
import statistics
import unicodedata

from lint_lesson import SECTION, Found, Lesson, lines_with, place, prose_of

from moe_lite.checks.lesson_cells import NEXT

CELLS = range(45, 88)  # two of them the picture under the title, and what it shows
WORDS = (1500, 5700)  # of them a third may be answers to predictions and the open task
TOLERANCE = 0.05  # formulas, shapes and rows of a list count as words; so much is nobody's reading time
MEDIAN_LINES, MOST_LINES = 6, 16  # of a code cell, without blank lines, with the solution
CODE_CELLS_IN_A_ROW = 2
MINUTES = range(45, 151)  # what learners needed, not what was planned; above two hours it says where to pause
SETUP_LINES = 5
SUMMARY_LINES = range(4, 7)
DISPLAYS = re.compile(
    r"(?:\w+\.)*(?:plots\.\w+|claims|lesson_header|progress|[A-Z]\w*[a-z]\w*)"
)  # what calls give is looked at
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FACTS = re.compile(
    r"\*Part \d — [^·*]+ · about (?P<minutes>\d+) minutes · "
    r"(?P<core>\w+)(?: warm-up)? exercises?(?: and (?P<stretch>\w+) stretch)?\*"
)
FILLERS = re.compile(
    r"\b(?:simply|obviously|of course|trivial(?:ly)?|needless to say)\b"
    r"|\bclearly,|\bclearly (?:the|this|that|it|we|you|a|an|is|are)\b|\b(?:is|are) clearly (?:the|a|an)\b"
    r"|(?<!\bhas )(?<!\bhave )(?<!\bhad )(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )(?<!model )"
    r"\bjust\b(?! (?:as|after|before|above|below|under|over|enough|now|right|in time|once|one|two|that\b))",
    re.IGNORECASE,
)
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<)>~-])/(?:[\w.-]+/)+[\w.-]+|\b[A-Z]:\\\w+|\bsite-packages\b")
TYPED_NEXT = re.compile(r"\*\*Next question\b|\blesson \d\d\b[^.]*?\b(?:being|not|yet) written", re.IGNORECASE)
OWN_AFFAIRS = re.compile(r"\b(?:TODO|FIXME|XXX|WIP)\b|\b[Ii]ssue #\d+|\b[Pp]ull request\b|\bin commit [0-9a-f]{7}")


def cells(lesson: Lesson) -> Found:
    if (n := len(lesson.without_guesses.cells)) not in CELLS:
        yield lesson.name, f"{n} cells; expected {CELLS[0]} to {CELLS[-1]}. Split the lesson, or the long cells."


def words(lesson: Lesson) -> Found:
    n = sum(len(re.findall(r"\S*\w\S*", re.sub(r"<!--.*?-->", "", c.text, flags=re.DOTALL))) for c in lesson.prose)
    low, high = WORDS
    if not low * (1 - TOLERANCE) <= n <= high * (1 + TOLERANCE):
        yield lesson.name, f"{n:,} words of prose; expected {low:,} to {high:,} ({TOLERANCE:.0%} more or less is fine)."


def code_length(lesson: Lesson) -> Found:
    lengths = {cell: sum(bool(line.strip()) for line in lesson.sources[cell.id].splitlines()) for cell in lesson.code}
    for cell, n in lengths.items():
        if n > MOST_LINES:
            yield cell.where, f"{n} lines of code; at most {MOST_LINES} can be taken in at once. Cut it in two."
    if lengths and (median := statistics.median(lengths.values())) > MEDIAN_LINES:
        yield lesson.name, f"half of the code cells have {median:g} lines or more; expected {MEDIAN_LINES} or fewer."


def prose_between(lesson: Lesson) -> Found:
    row = 0
    for cell in lesson.without_guesses.cells:
        row = row + 1 if cell.kind == "code" else 0
        if row == CODE_CELLS_IN_A_ROW + 1:
            yield cell.where, "the third code cell in a row (checks count); say above it what was seen or what comes."


def seen(lesson: Lesson) -> Found:
    """Jupyter shows the value of a cell's last statement only: a table before it is computed and thrown away."""
    for cell in lesson.code:
        tree = lesson.tree(cell)
        for node in (n for n in ast.walk(tree) if isinstance(n, ast.Expr) and n is not tree.body[-1]):
            called = ast.unparse(node.value.func) if isinstance(node.value, ast.Call) else ""
            if DISPLAYS.fullmatch(called) or not isinstance(node.value, ast.Call | ast.Await | ast.Constant):
                told = "split the cell behind it, or leave it out"
                yield place(cell, node.lineno - 1), f"nobody sees `{_first(ast.unparse(node))[:60]}`; {told}."


def title(lesson: Lesson) -> Found:
    cell = lesson.cells[0]
    if cell.kind != "markdown" or not re.match(rf"# {lesson.number:02d} · \S", cell.text):
        yield place(cell, 0), f"the first line is {_first(cell.text)!r}; expected `# {lesson.number:02d} · Title`."


def facts(lesson: Lesson) -> Found:
    cell = lesson.cells[0]
    line = "".join(cell.text.splitlines()[1:2])
    match = FACTS.fullmatch(line)
    if match is None:
        expected = "*Part N — its name · about NN minutes · four exercises and one stretch*"
        yield place(cell, 1), f"under the title stands {line!r}; expected {expected}."
        return
    stretch = sum(exercise.stretch for exercise in lesson.exercises)
    for kind, n in (("core", len(lesson.exercises) - stretch), ("stretch", stretch)):
        said = match[kind] or "no"
        if said not in (str(n), NUMBERS[n]):
            yield place(cell, 1), f"it says {said} {kind} exercises; the checks have {NUMBERS[n]}."


def minutes(lesson: Lesson) -> Found:
    match = FACTS.search(lesson.cells[0].text)
    if match and int(match["minutes"]) not in MINUTES:
        expected = f"{MINUTES[0]} to {MINUTES[-1]}"
        yield place(lesson.cells[0], 1), f"about {match['minutes']} minutes; expected {expected}."


def question(lesson: Lesson) -> Found:
    n = len(re.findall(r"^\*\*[^*]+\?\*\*$", lesson.cells[0].text, flags=re.MULTILINE))
    if n != 1:
        yield lesson.cells[0].where, f"{n} lines `**…?**`; expected one, the question that the lesson answers."


def builds_on(lesson: Lesson) -> Found:
    before = next((i for i, cell in enumerate(lesson.cells) if "setup" in cell.tags), 1)
    opening = "\n\n".join(cell.text for cell in lesson.cells[:before] if cell.kind == "markdown")
    if not re.search(r"^\*\*Builds on\*\* \S", opening, flags=re.MULTILINE):
        yield lesson.cells[0].where, "a paragraph `**Builds on** …` is missing: what does a reader have to know?"


def setup(lesson: Lesson) -> Found:
    found = [cell for cell in lesson.code if "setup" in cell.tags]
    begins = [cell for cell in lesson.code if not {"opening", "diagram"} & set(cell.tags)]
    if len(found) != 1 or begins[0] is not found[0]:
        before = "no code cell before it but the opening and the diagram"
        yield lesson.name, f"{len(found)} cells tagged setup; expected one, and {before}."
    for i, cell in enumerate(lesson.cells):
        if "opening" in cell.tags and i != 1:
            yield cell.where, "an opening shows the lesson's question; expected it directly under the title."
    for cell in found:
        for node in lesson.tree(cell).body:
            if not isinstance(node, ast.Import | ast.ImportFrom):
                yield place(cell, node.lineno - 1), f"`{_first(ast.unparse(node))}` is no import; move it down."
        sources = {
            getattr(node, "module", None) or ast.unparse(node).removeprefix("import ")
            for node in lesson.tree(cell).body
        }
        if (n := len(sources)) > SETUP_LINES:  # a long import may stand in two lines
            yield cell.where, f"imports from {n} places; expected at most {SETUP_LINES}."


def imports(lesson: Lesson) -> Found:
    for cell in lesson.code:
        for node in ast.walk(lesson.tree(cell)) if not {"setup", "opening", "diagram"} & set(cell.tags) else ():
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield place(cell, node.lineno - 1), f"`{ast.unparse(node)}` belongs into the set-up cell."


def fillers(lesson: Lesson) -> Found:
    for cell in lesson.prose:
        for where, match in lines_with(cell, prose_of(cell), FILLERS):
            yield where, f"{match[0]!r} says that it is easy to whom it is not; leave it out."


def prices(lesson: Lesson) -> Found:
    for cell in lesson.prose:
        for where, match in lines_with(cell, prose_of(cell), re.compile(r"\$\d[\d,]*(?:\.\d+)?")):
            yield where, f"{match[0]!r}: two such signs make a formula of what stands between them; write dollars."


def exclamations(lesson: Lesson) -> Found:
    for cell in lesson.prose:
        for where, _ in lines_with(cell, prose_of(cell), re.compile(r"!(?!\[)")):
            yield where, "an exclamation mark; expected a full stop."


def headings(lesson: Lesson) -> Found:
    for cell in lesson.prose:
        for where, match in lines_with(cell, cell.text, re.compile(r"^#+ .*$", re.MULTILINE)):
            if signs := [c for c in match[0] if unicodedata.category(c) == "So"]:
                yield where, f"{signs[0]} in a heading; expected words."


def summary(lesson: Lesson) -> Found:
    cell = lesson.cells[-1]
    heads = [*SECTION.finditer(cell.text)]
    if not heads or heads[-1][1] != "Now you know":
        yield cell.where, "the last section is not `## Now you know`."
        return
    n = len(re.findall(r"^- ", cell.text[heads[-1].end() :], flags=re.MULTILINE))
    if n not in SUMMARY_LINES:
        yield cell.where, f"Now you know has {n} lines `- …`; expected {SUMMARY_LINES[0]} to {SUMMARY_LINES[-1]}."


def next_question(lesson: Lesson) -> Found:
    """course.toml knows what is next, and whether it is written."""
    last = lesson.cells[-1].text.strip().split("\n\n")[-1]
    if not NEXT.fullmatch(last):
        yield (
            lesson.cells[-1].where,
            "the last paragraph should be `<!-- next -->`; the builder puts the next lesson there.",
        )
    for cell in lesson.prose:
        for where, match in lines_with(cell, prose_of(cell), TYPED_NEXT):
            yield where, f"{match[0]!r} is typed, and will be false one day; `<!-- next -->` says it from course.toml."


def broken(lesson: Lesson) -> Found:
    lesson = lesson.without_guesses
    places = [i for i, cell in enumerate(lesson.cells) if "broken" in cell.tags]
    if not places:
        yield lesson.name, "no cell is tagged broken; expected one thing broken on purpose, and how it shows."
    for i in places:
        cell = lesson.cells[i]
        if cell.kind != "code" or not any(after.kind == "markdown" for after in lesson.cells[i + 1 : i + 3]):
            yield cell.where, "tagged broken; expected code, and within two cells the prose that says how it shows."


def own_affairs(lesson: Lesson) -> Found:
    for cell in lesson.cells:
        for where, match in lines_with(cell, cell.text, ABSOLUTE_PATH):
            yield where, f"{match[0]!r} is a path of one machine; expected paths within the course."
        for where, match in lines_with(cell, cell.text, OWN_AFFAIRS):
            yield where, f"{match[0]!r} is about how the course is made; a lesson is about its subject."


def _first(text: str) -> str:
    return "".join(text.splitlines()[:1])

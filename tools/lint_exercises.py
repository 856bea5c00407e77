"""Rules about what learners do: tasks, stubs, how their functions are used on, and questions before pictures.

What lesson_source already refuses is not looked at again: ids, minutes, lines, the place of the hints, the check cells.
"""

import ast
import re

from lesson_source import Cell
from lint_lesson import Found, Lesson, blank, place

import moe_lite
from moe_lite.checks.engine.exercise import Exercise
from moe_lite.checks.lesson_cells import QUESTION

ANSWER_WORDS = 10
HINTS = 2
KEY = {word for word in moe_lite.__doc__.split() if re.fullmatch(r"[A-Z]", word)}  # the dimension key
SHAPE = r"\((?:[\w·]+(?:, ?[\w·]+)*,?)?\)"
LETTERS = re.compile(
    r"\(((?:[A-Za-z]|\d+)(?:_\w+)?(?:, ?(?:[A-Za-z]|\d+)(?:_\w+)?)*,|(?:[A-Za-z]|\d+)(?:, ?(?:[A-Za-z]|\d+))+)\)"
)
GIVEN = re.compile(r"\*\*Given\*\*(?P<given>.*?)\*\*Return\*\*(?P<returned>.*?)\*\*Allowed:\*\*", re.DOTALL)


def task(lesson: Lesson) -> Found:
    for cell, exercise, stub in _exercises(lesson):
        parts = GIVEN.search(cell.text)
        if parts is None:
            yield cell.where, "expected **Given** …, **Return** … and **Allowed:** …, in this order."
            continue
        for name in _tensors(stub):
            if not re.search(rf"`{name}`[^.;]*?{SHAPE}", parts["given"], flags=re.DOTALL):
                yield cell.where, f"Given has no shape for `{name}`; expected something like `{name}` (N, D)."
        for shape in _shapes(exercise):
            if shape not in parts["returned"]:
                yield cell.where, f"Return does not name the shape {shape} that the check expects."
        for match in LETTERS.finditer(blank(cell.text, re.compile(r"`[^`]*`"))):
            letters = {letter[0].upper() for letter in re.split(r",\s*", match[1]) if letter and letter[0].isalpha()}
            if unknown := sorted(letters - KEY):
                where = place(cell, cell.text.count("\n", 0, match.start()))
                yield (
                    where,
                    f"{unknown[0]} in {match[0]} is not in the dimension key of moe_lite ({', '.join(sorted(KEY))}).",
                )
        if len(exercise.hints) != HINTS:
            yield (
                cell.where,
                f"the check of {exercise.id} has {len(exercise.hints)} hints; expected {HINTS}: the idea, the line.",
            )


def stub(lesson: Lesson) -> Found:
    for cell, exercise, function in _exercises(lesson):
        where, text = _cell(lesson, cell, "stub").where, ast.get_docstring(function) or ""
        arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        if bare := [a.arg for a in arguments if a.annotation is None] + (
            ["its result"] if not function.returns else []
        ):
            yield where, f"no type hint for {', '.join(bare)}."
        if not text:
            yield where, "no docstring; expected one sentence, then the shapes: x (N, D) -> y (N, E)."
            continue
        for name in _tensors(function):
            if not re.search(rf"\b{name}\b[^\n]*?{SHAPE}", text):
                yield where, f"the docstring has no shape for {name}."
        for shape in _shapes(exercise):
            if shape not in text:
                yield where, f"the docstring does not name the shape {shape} that the check expects."


def three_cells(lesson: Lesson) -> Found:
    """Task, stub and check follow one another."""
    for i, cell in enumerate(lesson.cells):
        if "exercise" in cell.tags:
            following = [(after.exercise, *after.tags) for after in lesson.cells[i + 1 : i + 3]]
            if following != [(cell.exercise, "stub"), (cell.exercise, "check")]:
                yield cell.where, "the stub and the check should follow the task directly."


def use(lesson: Lesson) -> Found:
    """A learner's function goes on through `mine`: else an open exercise would stop the cells below."""
    names = {exercise.name: exercise.id for exercise in lesson.exercises}
    used = set()
    for cell in lesson.code:
        if {"stub", "check"} & set(cell.tags):
            continue
        nodes = [*ast.walk(lesson.tree(cell))]
        passed_on = [node for node in nodes if _is_mine(node)]
        used |= {node.args[0].value for node in passed_on if isinstance(node.args[0], ast.Constant)}
        allowed = [argument for node in passed_on for argument in node.args[1:2]]
        for node in nodes:
            if isinstance(node, ast.Name) and node.id in names and node not in allowed:
                told = f'expected mine("{names[node.id]}", {node.id}, default=…), which works unsolved too.'
                yield place(cell, node.lineno - 1), f"`{node.id}` is used as it is; {told}"
    if names and not used & set(names.values()):
        yield (
            lesson.name,
            "no cell uses a learner's function through `mine`; expected their own part in the real model.",
        )


def prediction(lesson: Lesson) -> Found:
    lesson = lesson.without_guesses
    for i, cell in _pictures(lesson):
        if not any(c.kind == "markdown" and QUESTION.search(c.text) for c in lesson.cells[max(i - 2, 0) : i]):
            told = "expected **Predict:** …, **Before you run it:** … or **By hand:** … in the prose above it."
            yield cell.where, f"a {_kind(cell)} that nothing was asked about; {told}"


def answer(lesson: Lesson) -> Found:
    lesson = lesson.without_guesses
    for i, cell in _pictures(lesson):
        if not lesson.answered_by(i) or len(lesson.cells[i + 1].text.split()) < ANSWER_WORDS:
            yield cell.where, f"a {_kind(cell)} without an answer; say in the next cell what was to be seen."


def _pictures(lesson: Lesson) -> list[tuple[int, Cell]]:
    """Widgets and figures with their positions. (A diagram only says where in the model the reader is.)"""
    return [(i, cell) for i, cell in enumerate(lesson.cells) if {"widget", "figure"} & set(cell.tags)]


def _kind(cell: Cell) -> str:
    return "widget" if "widget" in cell.tags else "figure"


def _exercises(lesson: Lesson) -> list[tuple[Cell, Exercise, ast.FunctionDef]]:
    """Each task's cell, its exercise, and the function that its stub defines."""
    known = {exercise.id: exercise for exercise in lesson.exercises}
    found = []
    for cell in lesson.cells:
        if "exercise" in cell.tags and cell.exercise in known:
            exercise = known[cell.exercise]
            body = lesson.tree(_cell(lesson, cell, "stub")).body
            found.append((cell, exercise, next(n for n in body if getattr(n, "name", "") == exercise.name)))
    return found


def _cell(lesson: Lesson, task_cell: Cell, tag: str) -> Cell:
    return next(cell for cell in lesson.cells if cell.exercise == task_cell.exercise and tag in cell.tags)


def _tensors(function: ast.FunctionDef) -> list[str]:
    """The names of the arguments that are tensors."""
    hints = {a.arg: ast.unparse(a.annotation) if a.annotation else "" for a in function.args.args}
    return [name for name, hint in hints.items() if re.search(r"\bTensor\b", hint)]


def _shapes(exercise: Exercise) -> list[str]:
    return [f"({output.shape})" for output in exercise.outputs if output.shape]


def _is_mine(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "mine" and len(node.args) > 1
    )

"""The failure gallery: what is wrong with this training?"""

import html

from traitlets import Dict, Int, List, Unicode

from moe_lite.lab.failure_runs import FailureRuns, failure_runs
from moe_lite.look.svg import drawn_only
from moe_lite.widgets.failure_gallery.drawing import NARROWEST, TWIN, WIDEST, GalleryDrawing, table
from moe_lite.widgets.failure_gallery.view import (
    NAMES,
    Score,
    deal,
    given_away_by,
    healthy_run,
    is_answer,
    latest,
    scored,
    title_of,
)
from moe_lite.widgets.failure_gallery.words import MEANS, SHOWN, feedback, reading, score_text
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, script, style


class FailureGallery(MoEWidget):
    """Nine trainings under letters: a failure planted in eight of them, one healthy. Which is which?

    seed   decides which training stands under which letter
    runs   recorded trainings; the course's if None

    `case` is the letter that is looked at, `answers` all answers in their order; `answer(letter, name)` gives one, with
    a name of `names`; `meanings` says what each number is. A case can be answered again: `score` counts the latest
    answer, and the first one apart. What an answer names wrongly, and a letter that there is not, is shown in the
    widget, kept in `error` and not counted.
    Until a case is answered, nothing about it but its numbers leaves Python.
    """

    question = Unicode("What is wrong with this training?").tag(sync=True)
    inputs = ("case", "answers", "width")
    names = NAMES
    meanings = {label: MEANS[symptom] for symptom, (label, _) in SHOWN.items()}  # of the dashboard's numbers
    _esm = script("failure_gallery/script.js")
    _css = style("failure_gallery/style.css")

    case = Unicode("A", help="The letter of the case that is shown.").tag(**FROM_PAGE)
    answers = List(help="[letter, name] of each answer, in their order.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The SVG.").tag(sync=True)
    view = Dict(help="Letters and how they were answered, the answer to this case, what is said to it, the score.").tag(
        sync=True
    )
    fixed = Dict(help="What does not change: the diagnoses to choose from, bounds of the width.").tag(sync=True)

    def __init__(self, seed: int = 0, *, runs: FailureRuns | None = None):
        self.runs = failure_runs() if runs is None else runs
        self._cases = deal(self.runs, seed)
        self._healthy = healthy_run(self.runs)
        choices = [[name, title_of(name)] for name in NAMES]
        super().__init__(source="recorded", fixed={"choices": choices, "narrowest": NARROWEST, "widest": WIDEST})

    def answer(self, letter: str, name: str) -> None:
        """As if chosen on the page. The latest answer to a case counts; the first is counted apart."""
        self.case, self.answers = letter, [*self.answers, [letter, name]]

    @property
    def score(self) -> Score:
        return scored(self._cases, self.answers)

    def compute(self) -> None:
        with self.errors_shown("It is not counted."):
            self._correct()
        letter, run = self.case, self._cases[self.case]
        given = latest(self.answers)
        told = self._drawing(self.width)
        self.figure = told.svg()
        self.reading = reading(letter, run, self.runs)
        self.view = {
            "cases": [[other, self._verdict(other, given)] for other in self._cases],
            "given": given.get(letter, ""),
            "feedback": feedback(run, given[letter], self.runs) if letter in given else "",
            "score": score_text(self.score),
        }

    def _correct(self) -> None:
        """Leave out answers that are none and go back to a case that there is; ValueError says so."""
        wrong = [answer for answer in self.answers if not is_answer(answer, self._cases)]
        self.answers = [answer for answer in self.answers if is_answer(answer, self._cases)]
        if self.case not in self._cases:
            unknown, self.case = self.case, next(iter(self._cases))
            raise ValueError(f"There is no case {unknown!r}; the letters are {', '.join(self._cases)}.")
        if wrong:
            raise ValueError(f"{wrong[0]} is no answer: expected a letter and one of {', '.join(NAMES)}.")

    def _verdict(self, letter: str, given: dict[str, str]) -> str:
        """ "right", "wrong", or "" where no answer was given."""
        if letter not in given:
            return ""
        return "right" if self._cases[letter].name == given[letter] else "wrong"

    def _drawing(self, width: int) -> GalleryDrawing:
        run = self._cases[self.case]
        answered = self.case in latest(self.answers)
        told = frozenset(clue.symptom for clue in given_away_by(run)) if answered else frozenset()
        return GalleryDrawing(self.case, run, self._healthy, self.runs, told, width)

    def twin(self) -> str:
        said, names = html.escape(self.view["feedback"]), html.escape(", ".join(title_of(name) for name in NAMES))
        picture = drawn_only(self._drawing(TWIN).svg())
        numbers = table(self.case, self._cases[self.case], self.runs)
        answer = f'<p class="said">{said}</p>' if said else ""
        return (
            f'{self.error_html()}<p class="note">{html.escape(self.view["score"])}. Each is one of: {names}.</p>'
            f"{picture}{numbers}{answer}"
        )

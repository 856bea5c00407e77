"""What stands at the top of a lesson: its exercises as squares, and the model with the parts that it is about."""

from moe_lite.checks.course_map import exercise_squares
from moe_lite.course.diagram import model_diagram
from moe_lite.look.picture import Picture


def lesson_header(today: int) -> Picture:
    """The exercises of lesson `today`, filled where they pass, above the diagram of the model.

    Raises CourseError, a ValueError, if there is no such lesson.
    """
    diagram, squares = model_diagram(today), exercise_squares(today)
    return Picture(squares.html + diagram.html, f"{squares.alt} {diagram.alt}")

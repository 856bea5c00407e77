"""The learner's own program: `my_moe.py`, the whole model in one file, made of the functions that passed.

template.py   the program with the package's function in every slot; runs as it is
assemble.py   the template with the learner's functions put in, where they can do without moe_lite
trial.py      runs such a text on a tiny model
keep.py       where the file lies, and how it is written without losing what was changed by hand
show.py       what checks and learners call
"""

from moe_lite.checks.program.show import Added, add, my_program

__all__ = ["Added", "add", "my_program"]

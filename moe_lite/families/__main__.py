"""`python -m moe_lite.families`: every router class of the installed transformers beside our one function.

`python -m moe_lite.families counts`: what published models hold and cost, counted, beside the figures that they state.
"""

import argparse
import sys
from pathlib import Path

from moe_lite.families.counting_table import counting_table
from moe_lite.families.routers import as_json, as_text, find, summary, table


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 whatever the table says: a class of an unknown rule is a finding, not a failure."""
    parser = argparse.ArgumentParser(prog="python -m moe_lite.families", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("routers", "counts"), default="routers", help="which of the tables")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the routers' table to this file, too")
    asked = parser.parse_args(arguments)
    file = asked.json
    if asked.what == "counts":
        if file is not None:
            parser.error("--json is for the routers' table")
        print(counting_table().text)
        return 0
    found = find()
    transformers_logging().set_verbosity_error()  # some of its configurations are made only to see whether they fit
    rows = table(found)
    print(as_text(rows, found))
    print(summary(rows))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(as_json(rows, found), encoding="utf-8")
    return 0


def transformers_logging():
    """Imported late: `find` says how to install transformers where it is missing."""
    from transformers.utils import logging

    return logging


if __name__ == "__main__":
    sys.exit(main())

"""A plugin for the pytest that nbval runs in: writes what every code cell showed, to --outputs=FILE."""

import json

SHOWN = {}  # id of a cell -> its outputs, as nbval collected them


def pytest_addoption(parser) -> None:
    parser.addoption("--outputs", required=True, help="the JSON file: {id of a cell: its outputs}")


def pytest_runtest_setup(item) -> None:
    item.output_timeout = 300  # nbval waits five seconds for a cell's last output, and machines are busy


def pytest_runtest_teardown(item) -> None:
    SHOWN[item.cell.id] = item.test_outputs or []


def pytest_sessionfinish(session) -> None:
    with open(session.config.option.outputs, "w", encoding="utf-8") as file:
        json.dump(SHOWN, file)

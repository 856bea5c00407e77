"""A plugin for the pytest that nbval runs in: writes what every code cell showed, to --outputs=FILE, and has kernels
started by --python."""

import json

from forked import kernels_of

SHOWN = {}  # id of a cell -> its outputs, as nbval collected them


def pytest_addoption(parser) -> None:
    parser.addoption("--outputs", required=True, help="the JSON file: {id of a cell: its outputs}")
    parser.addoption("--python", type=json.loads, help="what stands in place of `python`, as JSON")


def pytest_configure(config) -> None:
    if config.option.python is None:
        return
    kernels = kernels_of(config.option.python)
    kernels.__enter__()
    config.add_cleanup(lambda: kernels.__exit__(None, None, None))


def pytest_runtest_setup(item) -> None:
    item.output_timeout = 300  # nbval waits five seconds for a cell's last output, and machines are busy


def pytest_runtest_teardown(item) -> None:
    SHOWN[item.cell.id] = item.test_outputs or []


def pytest_sessionfinish(session) -> None:
    with open(session.config.option.outputs, "w", encoding="utf-8") as file:
        json.dump(SHOWN, file)

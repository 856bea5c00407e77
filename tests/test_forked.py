"""Programs that start as forks (tests/forked.py) are told what others are told, and end as they do."""

import json
import os
import socket
import subprocess
import sys

import pytest
from waiting import until

pytestmark = pytest.mark.notebook  # beside the kernels, which have the process with the packages
PROGRAM = """
import json, os, sys, time
there = [name for name in ("torch", "moe_lite") if name in sys.modules]
print(json.dumps([sys.argv[1:], os.getcwd(), os.environ.get("TOLD"), there, sys.path[0]]), flush=True)
print(sys.stdin.read(), file=sys.stderr)
if "wait" in sys.argv:
    open("waits", "w").write(str(os.getpid()))
    time.sleep(600)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("status", [0, 3])
def test_a_program_has_its_arguments_folder_environment_and_files_and_its_status_comes_back(python, program, status):
    settings = {"cwd": program, "env": os.environ | {"TOLD": "so"}, "input": "read", "capture_output": True}
    done = subprocess.run([*python, "-m", "program", str(status)], text=True, **settings)
    assert json.loads(done.stdout) == [[str(status)], str(program), "so", ["torch"], str(program)]
    assert (done.returncode, done.stderr) == (status, "read\n")


def test_an_error_ends_in_its_traceback_as_elsewhere(python, program):
    command = ["-m", "program", "none"]
    ends = [
        subprocess.run([*start, *command], cwd=program, input="", capture_output=True, text=True)
        for start in (python, [sys.executable])
    ]
    assert [done.returncode for done in ends] == [1, 1]
    assert len({done.stderr.splitlines()[-1] for done in ends}) == 1 and "ValueError" in ends[0].stderr


def test_a_program_ends_with_the_process_that_asked_for_it(python, program):
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    asking = subprocess.Popen([*python, "-m", "program", "0", "wait"], cwd=program, **quiet)
    waits = program / "waits"
    until(lambda: waits.is_file() and waits.read_text())
    asking.kill()
    asking.wait()
    until(lambda: ended(int(waits.read_text())))


def test_a_program_ends_with_a_process_that_has_read_nothing_of_it(python, program):
    """Then the line is not closed but reset."""
    asked = {"arguments": ["program", "0", "wait"], "env": dict(os.environ), "folder": str(program)}
    waits = program / "waits"
    with socket.socket(socket.AF_UNIX) as line, open(os.devnull, "r+b") as nothing:
        line.connect(python[-1])
        socket.send_fds(line, [b"."], [nothing.fileno()] * 3)
        line.sendall(json.dumps(asked).encode() + b"\n")
        until(lambda: waits.is_file() and waits.read_text())
    until(lambda: ended(int(waits.read_text())))


def ended(pid: int) -> bool:
    """Also if nobody has asked for its status yet."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()[:1] in ("", "Z")

"""Programs in Python that find what is dear to import already there: forks of one process that has imported it.

A kernel, or an nbval, spends most of its start on PyTorch and other people's packages. `preloaded` starts a process
that imports them once, and gives what stands in place of `python` in a command: the program runs in the folder, with
the environment, the files and the arguments that it was started with. Of moe_lite nothing is imported before it begins.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from select import select
from unittest.mock import patch

DEAR = ["torch", "torch._dynamo", "matplotlib.figure", "ipywidgets", "anywidget", "tokenizers", "safetensors.torch"]
DEAR += ["ipykernel.kernelapp", "jupyter_client", "nbformat"]
KERNEL = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
FAILED = 70  # the exit status of a program that ended without telling one


@contextmanager
def preloaded() -> Iterator[list[str]]:
    """What to write in place of `python`, before `-m`, while the process with the packages is there."""
    with tempfile.TemporaryDirectory(prefix="moe-lite-forked-") as folder:
        address = os.path.join(folder, "socket")
        pipe, command = subprocess.PIPE, [sys.executable, __file__, address]
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
        try:
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"the process that imports {', '.join(DEAR)} ended before it was ready")
            yield [sys.executable, "-I", "-S", __file__, address]
        finally:
            process.kill()
            process.communicate()


@contextmanager
def kernels_of(python: list[str]) -> Iterator[None]:
    """Whoever asks ipykernel for the command of this Python's kernel gets one of `python`."""
    with patch("ipykernel.kernelspec.make_ipkernel_cmd", lambda *_, **__: [*python, *KERNEL]):
        yield


def ask(address: str, arguments: list[str]) -> int:
    """Have the process at `address` run `python -m module …`; signals go to the program, its exit status comes back."""
    if arguments[0] != "-m":
        raise ValueError(f"expected -m and a module, got {arguments}")
    asked = {"arguments": arguments[1:], "env": dict(os.environ), "folder": os.getcwd()}
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(address)
        socket.send_fds(line, [b"."], [0, 1, 2])
        line.sendall(json.dumps(asked).encode() + b"\n")
        answers = line.makefile("r")
        pid = int(answers.readline())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(pid, number))
        status = int(answers.readline() or FAILED)
        answers.readline()  # comes when the program has ended
        return status


def serve(address: str) -> None:
    """Import what is dear, then become each program that is asked for, in a fork."""
    for name in DEAR:
        import_module(name)
    gc.collect()
    gc.freeze()  # what is there stays, and no fork looks through it again
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        print("ready", flush=True)
        children: set[int] = set()
        while door in select([door, sys.stdin], [], [])[0]:  # else whoever started it is no longer there
            line, _ = door.accept()
            children -= {pid for pid in children if os.waitpid(pid, os.WNOHANG)[0]}
            if not (pid := os.fork()):
                become(line)
            children.add(pid)
            line.close()


def become(line: socket.socket) -> None:
    """Run what the other end of the line asks for, and end; at once if that end is no longer there."""
    _, files, *_ = socket.recv_fds(line, 1, 3)
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    asked = json.loads(line.makefile("r").readline())
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["folder"])
    sys.argv = asked["arguments"]
    here = os.path.dirname(__file__)
    inherited = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.path[:] = [os.getcwd(), *inherited, *(path for path in sys.path if path not in (here, *inherited))]
    line.sendall(f"{os.getpid()}\n".encode())
    threading.Thread(target=end_with, args=(line,), daemon=True).start()
    status = run(sys.argv[0])
    line.sendall(f"{status}\n".encode())
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # to take all packages apart takes as long as to import them


def end_with(line: socket.socket) -> None:
    """End this process as soon as the other end of the line is gone."""
    try:
        line.recv(1)  # nothing is ever sent
    except ConnectionResetError:  # it went before it had read what was sent to it
        pass
    os._exit(FAILED)


def run(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


if __name__ == "__main__":
    address, *arguments = sys.argv[1:]
    sys.exit(ask(address, arguments) if arguments else serve(address))

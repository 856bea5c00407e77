"""A real JupyterLab in a real Chromium, for the browser tests: start both, open a notebook, run it, look."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

# no sandbox as root, no GPU, and no calls home
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
STATE = """() => {
  const panel = document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden)');
  const prompts = [...panel.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent.trim());
  return { status: panel.querySelector('.jp-Notebook-ExecutionIndicator')?.getAttribute('data-status'),
           bar: document.querySelector('#jp-main-statusbar')?.innerText ?? '', prompts };
}"""


class Lab:
    """One server and one browser. `folder` is what the server shows: notebooks are copied there and may be changed."""

    def __init__(self, folder: Path, page: Page, address: str, token: str):
        self.folder, self.page, self.address, self.token = folder, page, address, token
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(f"page: {error}"))
        page.on("console", lambda message: message.type == "error" and self.errors.append(f"console: {message.text}"))

    def write(self, name: str, *cells: str) -> None:
        """A new notebook of code cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / name)

    def open(self, name: str, theme: str = "light") -> None:
        """Show notebook `name` of the folder, its kernel connected and idle."""
        self.page.emulate_media(color_scheme=theme)
        self.page.goto(f"{self.address}/lab/tree/{name}?reset&token={self.token}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        self.wait_idle(90)
        self.errors.clear()  # a saved widget without a kernel reports a missing model; what counts comes after

    def run_all(self, timeout: float = 240) -> None:
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        time.sleep(0.5)
        self.wait_idle(timeout, ran=True)

    def wait_idle(self, timeout: float, ran: bool = False) -> None:
        """Until the kernel is idle and nothing is queued, for 0.8 s; with `ran`, until some cell has a number."""
        end, calm = time.time() + timeout, 0
        while time.time() < end:
            state = self.page.evaluate(STATE)
            good = state["status"] == "idle" and "| Idle" in state["bar"]
            good = good and not any("*" in prompt for prompt in state["prompts"])
            good = good and (not ran or any(prompt not in ("[ ]:", "") for prompt in state["prompts"]))
            calm = calm + 1 if good else 0
            if calm >= 4:
                return
            time.sleep(0.2)
        raise TimeoutError(f"the notebook is not idle after {timeout} s: {state}")

    def error_outputs(self) -> int:
        kind = "[data-mime-type='application/vnd.jupyter.{}']"
        return self.page.locator(f".jp-OutputArea-output{kind.format('error')}").count()


@contextmanager
def open_lab(folder: Path, chromium: str, width: int = 1280, height: int = 900) -> Iterator[Lab]:
    """Start JupyterLab on `folder` (free port, own token, localhost) and a headless Chromium; end both afterwards."""
    port, token = _free_port(), secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--allow-root", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    env = {name: value for name, value in os.environ.items() if name != "MOE_LITE_CHECKS"}  # as learners have it
    with open(folder / "jupyter.log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env)
    try:
        _wait_for(port, server, folder / "jupyter.log")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": width, "height": height})
            yield Lab(folder, page, f"http://127.0.0.1:{port}", token)
            browser.close()
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def copy_notebook(source: Path, folder: Path) -> str:
    shutil.copy(source, folder / source.name)
    return source.name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(port: int, server: subprocess.Popen, log: Path) -> None:
    end = time.time() + 60
    while time.time() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")

"""A real JupyterLab in a real Chromium, for the browser tests: start both, open a notebook, run it, look.

A server and a page of JupyterLab are dear, a notebook is not: all journeys of a process share one server, one browser
and one page, as a learner who opens one lesson after another. Each has a folder of its own, and finds no notebook open
and no kernel left from another.
"""

import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from forked import KERNEL
from ipykernel.kernelspec import get_kernel_dict
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright
from waiting import LONG, until

from moe_lite.look import page

# no window, no sandbox as root, no GPU and no calls home; pages at full speed and with equal colours
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
]
FOCUS_OF_A_CLOSED_NOTEBOOK = "._ensureFocus "  # JupyterLab sometimes wants to give it back; not a fault of a widget
# leaves every notebook, saved or not
CLOSE = """() => [...window.jupyterapp.shell.widgets('main')].forEach((widget) => {
  if (widget.context?.model) widget.context.model.dirty = false;
  widget.close();
})"""
ALL_CLOSED = "() => ![...window.jupyterapp.shell.widgets('main')].some((widget) => widget.context)"
# gives nothing back: the widget that the command gives would travel with all that it holds
OPEN = """async (path) => {
  await window.jupyterapp.commands.execute('docmanager:open', { path, factory: 'Notebook' });
}"""
STATE = """() => {
  const panel = document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden)');
  const prompts = [...panel.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent.trim());
  return { status: panel.querySelector('.jp-Notebook-ExecutionIndicator')?.getAttribute('data-status'),
           bar: document.querySelector('#jp-main-statusbar')?.innerText ?? '', prompts };
}"""
OUTPUTS = """() => Object.fromEntries([...window.jupyterapp.shell.currentWidget.content.model.cells]
  .filter((cell) => cell.type === 'code').map((cell) => [cell.id, cell.outputs.toJSON()]))"""
# moves one range input by a step, as a key does, and waits until the redraw that follows has been painted; the
# milliseconds of it
MOVE = """async ([css, label, step, limit]) => {
  const root = document.querySelector(css), before = root.dataset.version;
  const input = [...root.querySelectorAll('input[type=range]')]
    .find((e) => e.ariaLabel === label || e.closest('label')?.innerText.includes(label));
  const began = performance.now();
  input.focus();
  step > 0 ? input.stepUp() : input.stepDown();
  input.dispatchEvent(new Event('input', { bubbles: true }));
  input.dispatchEvent(new Event('change', { bubbles: true }));
  while (root.dataset.version === before) {
    if (performance.now() - began > limit) throw new Error(`no redraw after ${label} moved by ${step}`);
    await new Promise((done) => setTimeout(done, 1));
  }
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  return performance.now() - began;
}"""


@dataclass(frozen=True)
class Server:
    """A JupyterLab that shows `folder`."""

    folder: Path
    address: str
    token: str

    def end_kernels(self) -> None:
        """Shut down every notebook's kernel."""
        for session in json.loads(self._ask("GET", "/api/sessions")):
            self._ask("DELETE", f"/api/sessions/{session['id']}")

    def kernels_command(self) -> list[str]:
        """What starts a kernel."""
        return json.loads(self._ask("GET", "/api/kernelspecs"))["kernelspecs"]["python3"]["spec"]["argv"]

    def _ask(self, method: str, path: str) -> bytes:
        headers = {"Authorization": f"token {self.token}"}
        with urllib.request.urlopen(urllib.request.Request(self.address + path, None, headers, method=method)) as reply:
            return reply.read()


class Driver:
    """Playwright for the browser at `address`: started when it is first needed, and kept, for each start is dear.

    Playwright's event loop bars every other one from its thread; so it is that thread's loop only while it is used.
    """

    def __init__(self, address: str):
        self.address = address
        self._playwright = self._browser = self._loop = self._page = None

    @contextmanager
    def driven(self) -> Iterator[Browser]:
        """The browser; no other event loop can run inside."""
        other = asyncio._get_running_loop()
        if self._playwright is None:
            self._playwright = sync_playwright().start()
            self._loop = asyncio._get_running_loop()
            self._browser = self._playwright.chromium.connect_over_cdp(self.address, timeout=1000 * LONG)
        asyncio._set_running_loop(self._loop)
        try:
            yield self._browser
        finally:
            asyncio._set_running_loop(other)

    @contextmanager
    def page(self, width: int = 1280, height: int = 720) -> Iterator[Page]:
        """An empty page. Each time it is the same one, for a window is dear; after a failure it is a new one."""
        with self.driven() as browser:
            page = self._page = self._page or browser.new_context().new_page()
            try:
                page.goto("about:blank")
                page.set_viewport_size({"width": width, "height": height})
                yield page
            except BaseException:
                self._page = None
                page.context.close()
                raise

    @contextmanager
    def page_that(self, **looks) -> Iterator[Page]:
        """A page of its own, with what a new context of Playwright's can be given."""
        with self.driven() as browser:
            context = browser.new_context(**looks)
            try:
                yield context.new_page()
            finally:
                context.close()

    def stop(self) -> None:
        if self._playwright is not None:
            asyncio._set_running_loop(self._loop)
            self._playwright.stop()
            asyncio._set_running_loop(None)


class Lab:
    """A page of a browser and a folder of the server's: notebooks are copied there and may be changed."""

    def __init__(self, server: Server, folder: Path, page: Page):
        self.server, self.folder, self.page = server, folder, page
        self.errors: list[str] = []
        page.on("pageerror", self._failed)
        page.on("console", self._complained)

    def stop_listening(self) -> None:
        self.page.remove_listener("pageerror", self._failed)
        self.page.remove_listener("console", self._complained)

    def _failed(self, error: Error) -> None:
        self.errors.append(f"page: {error}")

    def _complained(self, message: ConsoleMessage) -> None:
        if message.type == "error" and FOCUS_OF_A_CLOSED_NOTEBOOK not in message.text:
            self.errors.append(f"console: {message.text}")

    def write(self, name: str, *cells: str | nbformat.NotebookNode) -> None:
        """A new notebook; a text is a code cell."""
        made = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        notebook = nbformat.v4.new_notebook(cells=made)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / name)

    def open(self, name: str, theme: str = "light") -> None:
        """Show notebook `name` of the folder, its kernel connected and idle; no other kernel runs then."""
        self.leave()
        self.page.emulate_media(color_scheme=theme)
        path = (self.folder / name).relative_to(self.server.folder)
        if self.at_lab:
            self.page.evaluate(OPEN, str(path))
        else:
            self.page.goto(f"{self.server.address}/lab/tree/{path}?reset&token={self.server.token}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.wait_idle()
        self.errors.clear()  # a saved widget without a kernel reports a missing model; what counts comes after

    @property
    def at_lab(self) -> bool:
        return self.page.url.startswith(f"{self.server.address}/lab")

    def leave(self) -> None:
        """Close what is open and end its kernel."""
        if self.at_lab:
            self.page.evaluate(CLOSE)
            self.page.wait_for_function(ALL_CLOSED)
        self.server.end_kernels()

    def run_all(self, timeout: float = 2 * LONG) -> None:
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        time.sleep(0.5)
        self.wait_idle(timeout, ran=True)

    def wait_idle(self, timeout: float = LONG, ran: bool = False) -> None:
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

    def move(self, css: str, label: str, step: int) -> float:
        """Move the slider with this label by a step; the milliseconds until the widget was drawn anew."""
        return self.page.evaluate(MOVE, [css, label, step, 1000 * LONG])

    def redraws(self, css: str) -> int:
        """How often the widget has been drawn, once a second has gone by without another drawing: on a busy machine the
        page measures its width late, and draws again."""
        drawn, calm_since = "", time.monotonic()
        while time.monotonic() - calm_since < 1:
            now = self.page.locator(css).get_attribute("data-version")
            if now != drawn:
                drawn, calm_since = now, time.monotonic()
            time.sleep(0.05)
        return int(drawn)

    def outputs(self) -> dict[str, list[nbformat.NotebookNode]]:
        """Of each code cell, by its id. Asked of the notebook's model: the page holds only what is near the eye."""
        return {id: list(map(nbformat.from_dict, each)) for id, each in self.page.evaluate(OUTPUTS).items()}

    def error_outputs(self) -> list[str]:
        """The errors that cells ended in."""
        outputs = [output for each in self.outputs().values() for output in each]
        return [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"]


@contextmanager
def serve(folder: Path, python: list[str]) -> Iterator[Server]:
    """Start JupyterLab on `folder` (free port, own token and settings, localhost); end it afterwards. Its kernels are
    started by `python`, as tests/forked.py gives it."""
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={_free_port()}"]
    command += ["--allow-root", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    command += ["--LabApp.expose_app_in_browser=True", "--custom-css"]
    page.install(page.place(), Path(sys.prefix))  # as `make lab` does
    env = {name: value for name, value in os.environ.items() if name != "MOE_LITE_CHECKS"}  # as learners have it
    env["MOE_LITE_CHECK_SECONDS"] = "100"  # a check on a busy machine is slow, and not wrong
    with tempfile.TemporaryDirectory(prefix="moe-lite-jupyter-") as own:
        # what the developer has set does not count, and nothing stands before our kernel: not the environment's either
        env |= {"JUPYTER_CONFIG_DIR": own, "JUPYTER_DATA_DIR": own, "JUPYTER_PATH": own, "JUPYTER_RUNTIME_DIR": own}
        spec = Path(own) / "kernels" / "python3" / "kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(json.dumps(get_kernel_dict() | {"argv": [*python, *KERNEL]}), encoding="utf-8")
        log = Path(own) / "jupyter.log"
        with open(log, "w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=env)
        try:
            port = _port_of(process, Path(own), log)
            server = Server(folder, f"http://127.0.0.1:{port}", token)
            if (started_by := server.kernels_command()) != [*python, *KERNEL]:
                raise RuntimeError(f"this JupyterLab starts its kernels by {started_by}")
            yield server
        finally:
            _end(process)


@contextmanager
def browse(chromium: str) -> Iterator[Driver]:
    """Start a headless Chromium; what drives it. Both stay between journeys."""
    with tempfile.TemporaryDirectory(prefix="moe-lite-browser-", ignore_cleanup_errors=True) as own:
        command = [chromium, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={own}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = Path(own) / "DevToolsActivePort"
            until(lambda: process.poll() is not None or port.is_file() and port.read_text().count("\n"))
            if process.poll() is not None:
                raise RuntimeError(f"{chromium} ended with {process.returncode} before it could be reached")
            driver = Driver(f"http://127.0.0.1:{port.read_text().splitlines()[0]}")
            try:
                yield driver
            finally:
                driver.stop()
        finally:
            _end(process)


@contextmanager
def open_lab(server: Server, browser: Driver, width: int = 1280, height: int = 900) -> Iterator[Lab]:
    """A new folder of the server and the one page of the browser that `browse` started, as a new page would look."""
    folder = Path(tempfile.mkdtemp(dir=server.folder))
    with browser.driven() as driven:
        context = driven.contexts[0]
        page = context.pages[0] if context.pages else context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(media="null", color_scheme="null", reduced_motion="null", forced_colors="null")
        page.set_default_timeout(1000 * LONG)
        lab = Lab(server, folder, page)
        try:
            yield lab
            lab.leave()
        except BaseException:  # whatever is still open there must not meet the next journey
            context.new_page()
            page.close()
            server.end_kernels()
            raise
        finally:
            lab.stop_listening()


def copy_notebook(source: Path, folder: Path) -> str:
    shutil.copy(source, folder / source.name)
    return source.name


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _port_of(process: subprocess.Popen, runtime: Path, log: Path) -> int:
    """Where this JupyterLab listens, once it does: on another port if the one it was given has been taken since."""
    note = runtime / f"jpserver-{process.pid}.json"

    def listens() -> int:
        try:
            port = json.loads(note.read_text())["port"]
        except (FileNotFoundError, json.JSONDecodeError):
            return 0
        with socket.socket() as probe:
            return port if probe.connect_ex(("127.0.0.1", port)) == 0 else 0

    until(lambda: listens() or process.poll() is not None)
    if process.poll() is not None:
        raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")
    return listens()

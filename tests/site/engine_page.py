"""site/engine in a real Chromium: a page with all that its files export, served from this repository."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from lab import Driver
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "site" / "engine"
# lone surrogates pass through JSON in both directions; arrays come one behind the other, each at a multiple of 8
PAGE = """<!doctype html><meta charset="utf-8"><title>engine</title><script>
const bytesOf = async (address) => await (await fetch(address, { cache: "no-store" })).arrayBuffer();

async function start(files) {
  window.engine = Object.assign({}, ...await Promise.all(files.map((file) => import(`/site/engine/${file}`))));
  window.tokenizer = engine.makeTokenizer(await (await fetch("/data/tokenizer.json")).json());
  window.models = {};
}
async function load(name, address) {
  models[name] = engine.makeModel(engine.readSafetensors(await bytesOf(address)));
}
async function run(script, given) {
  const made = new (async () => {}).constructor("given", script), parts = [];
  let at = 0;
  const packed = (_, value) => {
    if (!ArrayBuffer.isView(value)) return value;
    const rest = new Uint8Array(-value.byteLength & 7), from = at;
    parts.push(value, rest);
    at += value.byteLength + rest.length;
    return { $array: value.constructor.name, from, length: value.length };
  };
  const text = JSON.stringify(await made(JSON.parse(given)), packed) ?? "null";
  if (at) await fetch("/arrays", { method: "POST", body: new Blob(parts) });
  return text;
}
</script>"""
DTYPES = {"Float32Array": "f4", "Float64Array": "f8", "Int16Array": "i2", "Int32Array": "i4", "Uint8Array": "u1"}


class Engine:
    """The page, and what it computes."""

    def __init__(self, page: Page, server: "_Server"):
        self.page, self.server, self.folder = page, server, server.folder
        self._loaded: set[str] = set()

    def run(self, script: str, **given):
        """What the body of an async function of `given` returns there; typed arrays come as NumPy's."""
        text = self.page.evaluate("([script, given]) => run(script, given)", [script, json.dumps(given)])
        return json.loads(text, object_hook=self._unpacked)

    def _unpacked(self, value: dict):
        if "$array" not in value:
            return value
        dtype, at = DTYPES[value["$array"]], value["from"]
        return np.frombuffer(self.server.arrays, dtype=dtype, count=value["length"], offset=at)

    def load(self, path: Path) -> str:
        """The name under which the page has the model in this file of the repository or of `folder`."""
        name = path.stem
        if name not in self._loaded:
            self._loaded.add(name)
            self.page.evaluate("([name, address]) => load(name, address)", [name, self.address_of(path)])
        return name

    def address_of(self, path: Path) -> str:
        inside = path.is_relative_to(self.folder)
        below = path.relative_to(self.folder if inside else ROOT)
        return f"{self.server.address}/{'folder/' if inside else ''}{below}"


class _Handler(SimpleHTTPRequestHandler):
    """This repository, under /folder/ a folder of the test's, and at / the page, which posts its arrays."""

    server: "_Server"

    def __init__(self, *args):
        super().__init__(*args, directory=str(ROOT))

    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def do_POST(self) -> None:
        self.server.arrays = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def translate_path(self, path: str) -> str:
        own = super().translate_path(path)
        return str(self.server.folder / path.removeprefix("/folder/")) if path.startswith("/folder/") else own

    def guess_type(self, path) -> str:  # a module must be called JavaScript; some systems' lists call it otherwise
        return "text/javascript" if str(path).endswith(".js") else super().guess_type(path)

    def log_message(self, *_) -> None:
        pass


class _Server(ThreadingHTTPServer):
    """It has the arrays that were posted last."""

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.arrays = folder, b""
        self.address = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def served(folder: Path) -> Iterator[_Server]:
    server = _Server(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def opened(browser: Driver, folder: Path) -> Iterator[Engine]:
    """The engine in the browser's page; models that a test makes lie in `folder`."""
    with browser.page() as page, loaded(page, folder) as engine:
        yield engine


@contextmanager
def loaded(page: Page, folder: Path) -> Iterator[Engine]:
    """The engine in this page."""
    with served(folder) as server:
        page.goto(f"{server.address}/")
        page.evaluate("(files) => start(files)", sorted(file.name for file in FOLDER.glob("*.js")))
        yield Engine(page, server)

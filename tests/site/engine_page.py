"""site/engine in a real Chromium: a page with all that its files export, served from this repository."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from lab import Driver
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "site" / "engine"
# lone surrogates and NaN pass through JSON in both directions, and arrays as base64 of their bytes
PAGE = """<!doctype html><meta charset="utf-8"><title>engine</title><script>
function packed(_, value) {
  if (!ArrayBuffer.isView(value)) return value;
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength), parts = [];
  for (let i = 0; i < bytes.length; i += 32768) parts.push(String.fromCharCode(...bytes.subarray(i, i + 32768)));
  return { $array: value.constructor.name, data: btoa(parts.join("")) };
}
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
  const made = new (async () => {}).constructor("given", script);
  return JSON.stringify(await made(JSON.parse(given)), packed) ?? "null";
}
</script>"""
DTYPES = {"Float32Array": "f4", "Float64Array": "f8", "Int16Array": "i2", "Int32Array": "i4", "Uint8Array": "u1"}


class Engine:
    """The page, and what it computes."""

    def __init__(self, page: Page, address: str, folder: Path):
        self.page, self.address, self.folder = page, address, folder
        self._loaded: set[str] = set()

    def run(self, script: str, **given):
        """What the body of an async function of `given` returns there; typed arrays come as NumPy's."""
        return json.loads(self.page.evaluate("([script, given]) => run(script, given)", [script, json.dumps(given)]),
                          object_hook=_unpacked)  # fmt: skip

    def load(self, path: Path) -> str:
        """The name under which the page has the model in this file of the repository or of `folder`."""
        name = path.stem
        if name not in self._loaded:
            self._loaded.add(name)
            self.page.evaluate("([name, address]) => load(name, address)", [name, self.address_of(path)])
        return name

    def address_of(self, path: Path) -> str:
        inside = path.is_relative_to(self.folder)
        return f"{self.address}/{'folder/' if inside else ''}{path.relative_to(self.folder if inside else ROOT)}"


def _unpacked(value: dict):
    if "$array" not in value:
        return value
    return np.frombuffer(base64.b64decode(value["data"]), dtype=DTYPES[value["$array"]])


class _Handler(SimpleHTTPRequestHandler):
    """This repository, under /folder/ a folder of the test's, and at / the page."""

    def __init__(self, *args, other: Path, **options):
        self.other = other
        super().__init__(*args, directory=str(ROOT), **options)

    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def translate_path(self, path: str) -> str:
        return str(self.other / path.removeprefix("/folder/")) if path.startswith("/folder/") \
            else super().translate_path(path)  # fmt: skip

    def guess_type(self, path) -> str:  # a module must be called JavaScript; some systems' lists call it otherwise
        return "text/javascript" if str(path).endswith(".js") else super().guess_type(path)

    def log_message(self, *_) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of the repository and of `folder`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, other=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def opened(browser: Driver, folder: Path) -> Iterator[Engine]:
    """The engine in the browser's page; models that a test makes lie in `folder`."""
    with served(folder) as address, browser.page() as page:
        page.goto(f"{address}/")
        page.evaluate("(files) => start(files)", sorted(file.name for file in FOLDER.glob("*.js")))
        yield Engine(page, address, folder)

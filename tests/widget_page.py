"""A widget's script on a bare page, with a model object in the kernel's place: what it draws from which state."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lab import Driver
from playwright.sync_api import Page

PAGE = """<!doctype html><meta charset="utf-8"><body><script>
const revive = (_, value) => value?.$bytes === undefined ? value
  : new DataView(Uint8Array.from(atob(value.$bytes), (c) => c.charCodeAt(0)).buffer);

function modelOf(text) {
  const listeners = {}, state = JSON.parse(text, revive);
  const texts = Object.entries(JSON.parse(text)).map(([name, value]) => [name, JSON.stringify(value)]);
  const sent = Object.fromEntries(texts);
  const model = {
    saved: [],
    get: (name) => state[name], save_changes() {}, off() {},
    on: (events, call) => events.split(" ").forEach((event) => (listeners[event] ??= []).push(call)),
    set: (name, value) => {
      state[name] = value;
      sent[name] = JSON.stringify(value);
      model.saved.push([name, value]);
      model.changed(name);
    },
    changed: (name) => (listeners[`change:${name}`] ?? []).forEach((call) => call()),
    receive: (text) => { // only what is new, as from a kernel
      const news = Object.entries(JSON.parse(text)).filter(([name, value]) => sent[name] !== JSON.stringify(value));
      for (const [name, value] of news) sent[name] = JSON.stringify(value);
      for (const [name] of news) state[name] = JSON.parse(sent[name], revive);
      news.forEach(([name]) => model.changed(name));
    },
  };
  return model;
}

async function render([state, script, host]) {
  window.model = modelOf(state); // of the widget that was rendered last
  const widget = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  widget.default.render({ model: window.model, el: document.querySelector(host) });
}
</script>"""
PLACE = """([name, order, css, twin]) => {
  const sheet = Object.assign(document.createElement("style"), { textContent: css });
  Object.assign(sheet.dataset, { widget: name, order });
  document.head.append(sheet);
  for (const [kind, html] of [["live", ""], ["twin", twin]]) {
    const host = document.createElement("div");
    host.id = `${name}-${kind}`;
    host.innerHTML = html;
    host.dataset.widget = name;
    host.style.position = "relative"; // no place in a widget depends on what stands above it
    document.body.append(host);
  }
}"""
RECEIVE = """async (text) => { window.model.receive(text); await new Promise((done) => setTimeout(done, 0)); }"""


@contextmanager
def script_page(widget, browser: Driver, width: int = 900) -> Iterator[Page]:
    """The widget's script and style, drawn from its present state."""
    with browser.page(width, 900) as page:
        page.set_content(PAGE)
        render(page, widget)
        page.add_style_tag(content=widget._css)
        page.wait_for_selector(".mx[data-version]:not([data-version='0'])")
        yield page


def render(page: Page, widget, host: str = "body") -> None:
    """The live widget inside the element that the selector `host` finds."""
    page.evaluate("render", [sent(widget), widget._esm, host])


def render_all(page: Page, made: Mapping) -> None:
    """Each widget twice, in the elements `#<name>-live` and `#<name>-twin`. The sheets of live ones stand in the page's
    head, in the order in which they were opened; twins bring theirs along."""
    page.set_content(PAGE)
    for order, (name, widget) in enumerate(made.items()):
        page.evaluate(PLACE, [name, order, widget._css, widget.static_html()])
        render(page, widget, f"#{name}-live")
        page.wait_for_selector(f"#{name}-live .mx[data-version]:not([data-version='0'])")


def send(page: Page, widget) -> None:
    """What is new in the widget's state, as one message."""
    page.evaluate(RECEIVE, sent(widget))


def sent(widget) -> str:
    """All that travels to the page, as JSON; bytes as {"$bytes": base64}."""
    state = {name: getattr(widget, name) for name in widget.keys if name.islower() and not name.startswith("_")}
    state = {name: value for name, value in state.items() if isinstance(value, (str, int, float, list, dict))}
    return json.dumps(state, default=lambda value: {"$bytes": base64.b64encode(value).decode()})

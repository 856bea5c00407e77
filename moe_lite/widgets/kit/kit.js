// Shared by all widgets: moe_lite/widgets/kit/widget.py puts this text in front of each widget's own module, because a
// widget's module cannot import its neighbours. Nothing is loaded from anywhere. Text enters the page as textContent.

// An element: el("span", { class: "n", title: "x", onclick: f, "aria-label": "y" }, "text", otherElement)
function el(tag, props = {}, ...children) {
  return dress(document.createElement(tag), props, children);
}

function svg(tag, props = {}, ...children) {
  return dress(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function dress(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// The classes of an expert, as palette.expert_class: hue by number up to 8 experts, by block beyond.
function expertClass(expert, nExperts) {
  if (nExperts <= 8) return `e${expert}`;
  return `e${Math.floor((8 * expert) / nExperts)}${expert % 2 ? " alt" : ""}`;
}

function badge(expert, nExperts) {
  return el("span", { class: `n ${expertClass(expert, nExperts)}` }, String(expert));
}

// A horizontal bar inside an element with an expert class. set(share 0…1, { open, was }): `was` leaves a tick.
function bar() {
  const fill = el("i"), tick = el("u", { hidden: true });
  const node = el("span", { class: "bar" }, fill, tick);
  const set = (share, { open = false, was = null } = {}) => {
    fill.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
    node.classList.toggle("open", open);
    tick.hidden = was === null;
    if (was !== null) tick.style.left = `${100 * Math.min(1, was)}%`;
  };
  return { node, set };
}

// A slider row: label, track, value. `values` are the steps it can stand on. onmove(value) runs on every step.
// set(value) moves it from outside; set(value, values) also changes the steps. A tick stays at the value before.
function slider({ label, values, value, width = 110, show = String, onmove }) {
  const input = el("input", { type: "range", min: 0, step: 1, "aria-label": label, "--w": `${width}px` });
  const output = el("span", { class: "v" });
  const node = el("label", {}, label, input, output);
  let steps = values, current = null;
  const place = (index) => `${7 + (index / Math.max(1, steps.length - 1)) * (width - 14) - 1}px`;
  const set = (next, newSteps = steps) => {
    const index = newSteps.indexOf(next);
    if (index < 0) throw new RangeError(`slider ${label}: ${next} is not one of ${newSteps.join(", ")}`);
    const old = steps.indexOf(current);
    if (newSteps.join() !== steps.join()) input.style.removeProperty("--was");
    else if (current !== next && old >= 0) input.style.setProperty("--was", place(old));
    steps = newSteps;
    input.max = steps.length - 1;
    input.value = index;
    current = next;
    output.textContent = show(next);
    input.setAttribute("aria-valuetext", show(next));
  };
  set(value);
  input.addEventListener("input", () => {
    const next = steps[Number(input.value)];
    if (next === current) return;
    set(next);
    onmove(next);
  });
  return { node, input, set, get value() { return current; } };
}

// Two to four choices side by side: options [[value, text], …]. set(value, disabledValues)
function segmented({ label, options, value, onpick }) {
  const buttons = options.map(([key, text]) =>
    el("button", { type: "button", "data-text": text, onclick: () => { set(key); onpick(key); } }, text));
  const node = el("span", { class: "seg", role: "group", "aria-label": label }, ...buttons);
  const set = (next, disabled = []) => options.forEach(([key], i) => {
    buttons[i].setAttribute("aria-pressed", String(key === next));
    buttons[i].disabled = disabled.includes(key);
  });
  set(value);
  return { node, set, buttons };
}

function checkbox({ label, value, onmove }) {
  const input = el("input", { type: "checkbox", onchange: () => onmove(input.checked) });
  input.checked = value;
  return { node: el("label", {}, input, label), input, set: (next) => { input.checked = next; } };
}

function button(text, onclick, props = {}) {
  return el("button", { type: "button", onclick, ...props }, text);
}

// One Tab stop for a group: the current item has tabindex 0, the others −1. focus(i) moves both.
function roving() {
  let items = [], at = 0;
  const focus = (index, { quietly = false } = {}) => {
    if (!items.length) return;
    items[at]?.setAttribute("tabindex", "-1");
    at = Math.min(items.length - 1, Math.max(0, index));
    items[at].setAttribute("tabindex", "0");
    if (!quietly) items[at].focus();
  };
  const use = (nodes) => {
    items = nodes;
    items.forEach((node) => node.setAttribute("tabindex", "-1"));
    focus(at, { quietly: true });
  };
  return { use, focus, get at() { return at; } };
}

// A sentence into `node`: plain strings, { code: "x" } and { expert: 5 }. Announced at most once a second.
function readingLine(nExperts = () => 8) {
  const node = el("p", { class: "read" });
  const voice = el("span", { class: "voice", "aria-live": "polite" });
  let timer = null;
  const part = (p) => typeof p === "string" ? p.replaceAll(" %", "\u00a0%") : "code" in p ? el("code", { dir: "auto" }, p.code) : badge(p.expert, nExperts());
  const set = (parts) => {
    node.replaceChildren(...parts.map(part));
    timer ??= setTimeout(() => { timer = null; voice.textContent = node.textContent; }, 1000);
  };
  return { node, voice, set };
}

// "{a} of {b}" with {code}/{expert} parts: template + values -> parts for readingLine. Values are parts or lists of parts.
function sentence(template, values) {
  return template.split(/\{(\w+)\}/).flatMap((text, i) => (i % 2 ? values[text] : text)).filter((part) => part !== "");
}

// [a, b, c] -> "a, b and c", as parts
function listed(parts) {
  return parts.flatMap((part, i) => (i === 0 ? [part] : [i === parts.length - 1 ? " and " : ", ", part]));
}

// What the kernel said went wrong: { what, instead, details } or {}.
function errorBox() {
  const node = el("div", { class: "err", role: "alert", hidden: true });
  const set = ({ what, instead, details } = {}) => {
    node.hidden = !what;
    node.replaceChildren(...(what ? [el("b", {}, what), " ", instead ?? "",
      details ? el("details", {}, el("summary", {}, "Details"), el("pre", {}, details)) : ""] : []));
  };
  return { node, set };
}

// The root of a widget. Keys typed in it stay in it: JupyterLab must not take "m" for "make this cell Markdown".
function openRoot(host, question, tag) {
  const mark = el("span", { class: "tag", hidden: !tag }, tag ?? "");
  const root = el("div", { class: "mx", role: "group", "aria-label": question, "data-lm-suppress-shortcuts": "true", "data-version": "0" },
    el("div", { class: "hd" }, el("span", { class: "q" }, question), mark));
  root.addEventListener("pointerdown", (event) => root.classList.toggle("drag", event.target.type === "range"));
  root.addEventListener("pointerup", () => root.classList.remove("drag"));
  root.addEventListener("keydown", (event) => { root.classList.remove("drag"); event.stopPropagation(); });
  host.append(root);
  return { root, tag: mark };
}

// Tells tests and readers of the page that a redraw is complete.
function redrawn(root) {
  root.dataset.version = String(Number(root.dataset.version) + 1);
}

// Values that the kernel must work on. Only one request is under way; what is asked for meanwhile is sent after it,
// newest value only, so that dragging never queues up. The kernel answers each with a higher `answered` trait.
// say(text) is called when no answer comes; waiting() tells whether controls are ahead of the model.
function asker(model, root, say = () => {}) {
  let busy = false, next = null, slow = null, silent = null;
  const send = (values) => {
    busy = true;
    slow = setTimeout(() => { root.classList.add("busy"); root.setAttribute("aria-busy", "true"); }, 300);
    silent = setTimeout(() => say("The kernel does not answer: another cell is running, or it has gone. This follows when it answers."), 4000);
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.set("asked", model.get("asked") + 1);
    model.save_changes();
  };
  model.on("change:answered", () => {
    if (model.get("answered") < model.get("asked")) return;
    clearTimeout(slow);
    clearTimeout(silent);
    root.classList.remove("busy");
    root.removeAttribute("aria-busy");
    busy = false;
    if (next) { const values = next; next = null; send(values); }
  });
  const ask = (values) => { if (busy) next = { ...next, ...values }; else send(values); };
  return { ask, waiting: () => busy };
}

// Moves of one press (of the pointer, or of a key held down) are one move and share their ticks: `gesture` counts them.
function byPresses(model, root, ask) {
  let gesture = model.get("gesture");
  const press = () => { gesture = model.get("gesture") + 1; };
  root.addEventListener("pointerdown", press, true);
  root.addEventListener("keydown", (event) => { if (!event.repeat) press(); }, true);
  return (values) => ask({ ...values, gesture });
}

// All that one message changed is drawn once, after the last of its events. Returns what ends it.
function whenChanged(model, names, paint) {
  let planned = false;
  const plan = () => {
    if (planned) return;
    planned = true;
    queueMicrotask(() => { planned = false; paint(); });
  };
  const events = names.map((name) => `change:${name}`);
  events.forEach((name) => model.on(name, plan));
  return () => events.forEach((name) => model.off(name, plan));
}

// Tells the kernel in steps of 20 px how wide the figure may be. Returns what ends it.
function followWidth(model, root, narrowest, widest, ask) {
  const watcher = new ResizeObserver(([entry]) => {
    const room = entry.contentRect.width;
    const width = room >= widest ? widest : Math.max(narrowest, 20 * Math.floor(room / 20));
    if (room > 0 && width !== model.get("width")) ask({ width });
  });
  watcher.observe(root);
  return () => watcher.disconnect();
}

// A figure that Python drew as SVG: the elements of the old one move to the places of the new one, so that bars slide.
// Elements with one parent differ in the first word of `class`, or in `data-expert`: they are found by it.
function drawFigure(stage, text) {
  const fresh = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const old = stage.querySelector("svg");
  if (old) become(old, fresh);
  else stage.prepend(document.importNode(fresh, true));
}

const keyOf = (node) => node.dataset.expert ?? node.getAttribute("class").split(" ")[0];

// Make `old` equal to `fresh`, keeping its elements: what is moved to a new place slides there, what is new appears.
function become(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (!fresh.firstElementChild) {
    if (old.textContent !== fresh.textContent) old.textContent = fresh.textContent;
    return;
  }
  const kept = new Map([...old.children].map((node) => [keyOf(node), node]));
  let next = old.firstElementChild;
  for (const child of fresh.children) {
    const same = kept.get(keyOf(child));
    if (same) {
      kept.delete(keyOf(child));
      become(same, child);
      next = same.nextElementSibling;
    } else old.insertBefore(document.importNode(child, true), next);
  }
  kept.forEach((node) => node.remove());
}

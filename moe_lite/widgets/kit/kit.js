// Shared by all widgets: `script()` in kit/widget.py puts this text in front of each widget's own module, because a
// widget's module cannot import its neighbours, and before it FOLDER, the name of the widget's folder. Nothing is loaded
// from anywhere. Text enters the page as textContent.

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
// set(value) moves it from outside, between the steps as well; set(value, values) also changes the steps. A tick stays at
// the value before.
function slider({ label, values, value, width = 110, show = (step) => String(step), onmove }) {
  const input = el("input", { type: "range", min: 0, step: 1, "aria-label": label, "--w": `${width}px` });
  const output = el("span", { class: "v" });
  const node = el("label", {}, label, input, output);
  let steps = values, current = null;
  const place = (index) => 7 + (index / Math.max(1, steps.length - 1)) * (width - 14) - 1; // px
  const set = (next, offered = steps) => {
    const newSteps = offered.includes(next) ? offered : withStep(offered, next); // a cell may set what no slider offers
    const index = newSteps.indexOf(next);
    const old = steps.indexOf(current);
    const moved = current !== next && old >= 0;
    if (newSteps.join() !== steps.join() || (moved && Math.abs(place(index) - place(old)) < 9)) // half under the thumb
      input.style.removeProperty("--was");
    else if (moved) input.style.setProperty("--was", `${place(old)}px`);
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

// Two to four choices side by side: options [[value, text], …]. set(value); which buttons can be pressed is the caller's.
function segmented({ label, options, value, onpick }) {
  const buttons = options.map(([key, text]) =>
    el("button", { type: "button", "data-text": text, onclick: () => { set(key); onpick(key); } }, text));
  const node = el("span", { class: "seg", role: "group", "aria-label": label }, ...buttons);
  const set = (next) => options.forEach(([key], i) => buttons[i].setAttribute("aria-pressed", String(key === next)));
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
  const set = (/** @type {any} */ { what, instead, details } = {}) => {
    node.hidden = !what;
    node.replaceChildren(...(what ? [el("b", {}, what), " ", instead ?? "",
      details ? el("details", {}, el("summary", {}, "Details"), el("pre", {}, details)) : ""] : []));
  };
  return { node, set };
}

// Key figures, [value, what it is] each. set(facts, titleOf(name)): a title is shown where the pointer rests.
function keyFigures() {
  const node = el("div", { class: "keys" });
  const set = (facts, titleOf = (_name) => null) => node.replaceChildren(...facts.map(([value, name]) =>
    el("div", { title: titleOf(name) }, el("b", {}, value), el("span", {}, name))));
  return { node, set };
}

// The root of a widget, marked with its folder's name: its style sheet holds inside of that. The question, and a tag with
// the source beside it. Keys typed in it stay in it: JupyterLab must not take "m" for "make this cell Markdown".
function openRoot(host, model) {
  const question = model.get("question"), mark = el("span", { class: "tag" });
  const tag = { node: mark, set: (text) => { mark.textContent = text; mark.hidden = !text; } };
  tag.set(model.get("source"));
  const root = el("div", { class: `mx ${FOLDER}`, role: "group", "aria-label": question, "data-lm-suppress-shortcuts": "true", "data-version": "0" },
    el("div", { class: "hd" }, el("span", { class: "q" }, question), mark));
  // while this is on the page, the twin that stands beside it in the notebook is not
  const twin = `.mx.twin[data-of="${model.get("twin_of")}"]`;
  root.append(el("style", {}, `${twin}, .jp-OutputArea-child:has(${twin}) { display: none; }`));
  root.addEventListener("pointerdown", (event) => root.classList.toggle("drag", event.target.type === "range"));
  root.addEventListener("pointerup", () => root.classList.remove("drag"));
  root.addEventListener("keydown", (event) => { root.classList.remove("drag"); event.stopPropagation(); });
  const views = model.get("suggested");
  if (views.length) root.append(suggestions(model, root, views));
  host.append(root);
  return { root, tag };
}

// Words that set the widget, [{ words, settings: { trait: value } }], as buttons. What a button moved lights up.
function suggestions(model, root, views) {
  const states = () => new Map([...root.querySelectorAll(".ctl label, button[aria-pressed]")].map((node) =>
    [node, node.getAttribute("aria-pressed") ?? [node.textContent, node.querySelector("input")?.checked].join()]));
  const show = (settings) => {
    const before = states(), version = root.dataset.version;
    const light = () => { // when the figure has been drawn anew, or after half a second
      for (const [node, state] of states()) {
        if (!before.has(node) || before.get(node) === state || state === "false") continue;
        node.classList.add("lit");
        setTimeout(() => node.classList.remove("lit"), 1500);
      }
    };
    const wait = (left) => (root.dataset.version !== version || !left ? light() : setTimeout(() => wait(left - 1), 50));
    for (const [trait, value] of Object.entries(settings)) model.set(trait, value);
    model.set("gesture", model.get("gesture") + 1);
    model.set("asked", model.get("asked") + 1);
    model.save_changes();
    wait(10);
  };
  return el("p", { class: "try" }, "Look at: ",
    ...views.flatMap(({ words, settings }, i) => [i ? " · " : "", button(words, () => show(settings), { class: "link" })]));
}

// Tells tests and readers of the page that a redraw is complete.
function redrawn(root) {
  root.dataset.version = String(Number(root.dataset.version) + 1);
}

// Values that the kernel must work on. Only one request is under way; what is asked for meanwhile is sent after it,
// newest value only, so that dragging never queues up. The kernel answers each with a higher `answered` trait.
// say(text) is called when no answer comes; waiting() tells whether controls are ahead of the model.
function asker(model, root, say = (_text) => {}) {
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

// What a widget is made of whose controls ask the kernel and whose figure Python draws:
//   slide(trait, label, steps, { width, show }), pick(trait, label, options)   controls that follow a trait; steps: an
//                            array, or a function that gives one
//   problem, keys, stage, note, reading, tag, root   error box, key figures, place of the figure, a line of status, …
//   ask(values), waiting()   as of `asker`; that the kernel does not answer is said in the note
//   show(layout, paint)      puts everything on the page, draws it now and after each change, returns what ends it.
//                            layout: what stands between question and reading line, an array in it is a row of controls
// nExperts() for the badges of the reading line; note: another element; watch: traits that are drawn beside the usual
// ones; width: [narrowest, widest] of a figure that is drawn for the room there is.
function panel(model, host, { nExperts, note = el("p", { class: "note", role: "status" }), watch = [], width } = /** @type {any} */ ({})) {
  const { root, tag } = openRoot(host, model);
  const problem = errorBox(), reading = readingLine(nExperts), keys = keyFigures(), stage = el("div", { class: "stage fig" });
  const asking = asker(model, root, (text) => { note.hidden = false; note.textContent = text; });
  const ask = byPresses(model, root, asking.ask);

  const following = []; // what brings each control to its trait
  const slide = (trait, label, steps, look = {}) => {
    const now = () => (typeof steps === "function" ? steps() : steps);
    const control = slider({ label, values: now(), value: model.get(trait), onmove: (value) => ask({ [trait]: value }), ...look });
    following.push(() => control.set(model.get(trait), now()));
    return control;
  };
  const pick = (trait, label, options) => {
    const control = segmented({ label, options, value: model.get(trait), onpick: (value) => ask({ [trait]: value }) });
    following.push(() => control.set(model.get(trait)));
    return control;
  };

  const nodeOf = (item) => item.node ?? item;
  const show = (layout, paint) => {
    const rows = layout.map((item) => (Array.isArray(item) ? el("div", { class: "ctl" }, ...item.filter(Boolean).map(nodeOf)) : nodeOf(item)));
    root.append(...rows, reading.node, reading.voice);
    let last = -Infinity;
    const draw = () => {
      // moves in quick succession (a key held down) do not slide: each would be cut off by the next
      root.classList.toggle("quick", performance.now() - last < 250);
      last = performance.now();
      problem.set(model.get("error"));
      tag.set(model.get("source"));
      if (!asking.waiting()) following.forEach((follow) => follow());
      paint();
      redrawn(root);
    };
    const usual = ["figure", "view", "parts", "note", "reading", "error", "source", "answered"];
    const ended = whenChanged(model, [...usual, ...watch], draw);
    draw();
    const unwatched = width ? followWidth(model, root, ...width, ask) : () => {};
    return () => { ended(); unwatched(); };
  };
  return { root, tag, problem, keys, stage, note, reading, ask, waiting: asking.waiting, slide, pick, show };
}

// 1, 2, … n
const upTo = (n) => Array.from({ length: Math.max(1, n) }, (_, i) => i + 1);

// The steps of a slider and a value that may lie between them.
const withStep = (steps, value) => [...new Set([...steps, value])].sort((a, b) => a - b);

const withCommas = (n) => n.toLocaleString("en-US");

// 1 -> "1.0": a temperature is no count
const withDot = (t) => (t !== 0 && Number.isInteger(t) ? t.toFixed(1) : String(t));

// A figure that Python drew as SVG, or "" for none, in the place of the one before.
function replaceFigure(stage, text) {
  const figure = text ? new DOMParser().parseFromString(text, "image/svg+xml").documentElement : null;
  stage.replaceChildren(...(figure ? [document.importNode(figure, true)] : []));
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

// HTML that Python wrote, with what came from others escaped, in the place of what was there.
function replaceHtml(node, text) {
  const { body } = new DOMParser().parseFromString(text, "text/html");
  node.replaceChildren(...[...body.childNodes].map((child) => document.importNode(child, true)));
}

// The same, but what is there moves to what the new one shows. Elements are found as in drawFigure.
function drawHtml(stage, text) {
  if (!stage.firstElementChild) replaceHtml(stage, text);
  else {
    const fresh = document.createElement("div");
    for (const { name, value } of stage.attributes) fresh.setAttribute(name, value);
    replaceHtml(fresh, text);
    become(stage, fresh);
  }
}

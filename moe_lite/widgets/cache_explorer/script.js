// Cache explorer. Python runs the model and the caches (view.py), writes (words.py) and draws (drawing.py, batches.py);
// this file has the controls, and the column that is looked at.

function render({ model, el: host }) {
  const { counts, rules, domains, new: most, texts, width, empty, point, legend } = model.get("fixed");
  const it = panel(model, host, { nExperts: () => view().experts, width, watch: ["charts", "touched", "speeds", "text"] });
  const view = () => model.get("view");

  // ---- controls

  const box = el("textarea", { rows: 3, "aria-label": "text", placeholder: empty, spellcheck: "false", dir: "auto" });
  let typing = null, shown = null;
  box.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      typing = null;
      shown = box.value.replace(/\p{Surrogate}/gu, "\ufffd");
      it.ask({ text: shown });
    }, 250);
  });
  const named = (label, control) => el("span", { class: "named" }, el("span", { class: "dim" }, label), control.node);
  const which = named("experts", it.pick("n_experts", "experts", counts.map((n) => [n, String(n)])));
  const rule = named("rule", it.pick("rule", "rule", rules));
  const layer = it.slide("layer", "layer", () => upTo(view().layers), { width: 70 });
  const slots = it.slide("slots", "room for", () => upTo(view().experts).slice(view().k - 1), { width: 120, show: (n) => `${n} of ${view().experts}` });
  const fresh = it.slide("new", "new tokens", upTo(most), { width: 110 });
  const batch = it.slide("batch", "texts at a time", upTo(texts), { width: 150 });
  const domain = el("select", { "aria-label": "texts from", onchange: () => it.ask({ domain: domain.value }) },
    ...domains.map((name) => el("option", { value: name }, name)));
  const from = el("label", {}, "from", domain);
  const measure = button("Measure here", () => { measure.disabled = true; it.ask({ measures: model.get("measures") + 1 }); });

  // ---- the column that is looked at: under the pointer, or the one that the focus has been moved to

  const told = readingLine(() => view().experts);
  told.node.className = "told";
  const strip = el("div", { class: "strip fig", tabindex: 0, role: "slider", "aria-label": "step", "aria-valuemin": 0 });
  let kept = -1, pointed = -1; // steps: 0 is the prompt, −1 none
  const last = () => view().told.length - 1;
  const plain = (parts) => parts.map((part) => (typeof part === "string" ? part : "code" in part ? part.code : part.expert)).join("");
  const stepAt = (event) => {
    const { figure, left, prompt, first, column } = view().places, frame = strip.querySelector("svg").getBoundingClientRect();
    const x = ((event.clientX - frame.left) * figure) / frame.width;
    if (x < left) return -1;
    return x < left + prompt + 4 ? 0 : Math.min(last(), Math.max(1, 1 + Math.floor((x - first) / column)));
  };
  const look = () => {
    const sentences = view().told, at = Math.min(pointed >= 0 ? pointed : kept, last());
    const mark = strip.querySelector(".at");
    strip.setAttribute("aria-valuemax", Math.max(0, last()));
    strip.setAttribute("aria-valuenow", Math.max(0, Math.min(kept, last())));
    strip.setAttribute("aria-valuetext", kept < 0 || !sentences.length ? "no token chosen" : plain(sentences[Math.min(kept, last())]));
    told.node.replaceChildren();
    told.set(at < 0 ? [point] : sentences[at]);
    told.node.classList.toggle("dim", at < 0);
    if (!mark) return;
    mark.classList.toggle("off", at < 0);
    if (at < 0) return;
    const { left, prompt, first, column } = view().places;
    mark.setAttribute("x", at === 0 ? left - 2 : first + (at - 1) * column - 1.5);
    mark.setAttribute("width", at === 0 ? prompt + 4 : column + 1.5);
  };
  strip.addEventListener("pointermove", (event) => {
    const step = stepAt(event);
    if (step !== pointed) { pointed = step; look(); }
  });
  strip.addEventListener("pointerleave", () => { pointed = -1; look(); });
  strip.addEventListener("pointerdown", (event) => { kept = stepAt(event); look(); });
  strip.addEventListener("focus", () => { if (kept < 0 && strip.matches(":focus-visible")) { kept = 0; look(); } });
  strip.addEventListener("keydown", (event) => {
    const to = { ArrowRight: kept + 1, ArrowUp: kept + 1, ArrowLeft: kept - 1, ArrowDown: kept - 1, PageUp: kept + 10,
      PageDown: kept - 10, Home: 0, End: last() }[event.key];
    if (event.key === "Escape") kept = -1;
    else if (to === undefined) return;
    else kept = Math.min(last(), Math.max(0, to));
    event.preventDefault();
    pointed = -1;
    look();
  });

  // ---- the rest

  const parts = el("div"), charts = el("div", { class: "fig charts" });
  replaceHtml(parts, legend);
  const touched = el("div", { class: "fig" }), lines = el("div"), missing = el("p", { class: "note" });
  const speeds = el("div", { class: "fig" }), speedLines = el("div"), batchSaid = el("p", { class: "said" }), speedSaid = el("p", { class: "said" });
  const sub = el("p", { class: "sub" }, "A batch of texts: how many of the layer’s experts does one step touch?");
  const beside = el("div", { class: "side" }, it.keys.node, lines);
  const first = el("div", { class: "two" }, touched, beside);
  const second = el("div", { class: "two" }, speeds, el("div", { class: "side" }, speedLines, speedSaid));
  const wait = el("span", { class: "dim", role: "status" });
  const ended = it.show([
    box, [which, rule], [layer, slots, fresh], it.note, it.problem, strip, told.node, told.voice, parts, charts,
    sub, [batch, from, measure, wait], missing, first, batchSaid, second,
  ], () => {
    const now = view();
    if (model.get("text") !== shown && typing === null && !it.waiting()) {
      shown = model.get("text");
      if (box.value !== shown) box.value = shown;
    }
    if (!it.waiting()) domain.value = model.get("domain");
    it.note.textContent = model.get("note");
    it.note.hidden = !it.note.textContent;
    const some = Boolean(model.get("figure"));
    [strip, told.node, parts, charts].forEach((node) => { node.hidden = !some; });
    replaceFigure(strip, model.get("figure"));
    replaceFigure(charts, model.get("charts"));
    look();
    replaceFigure(touched, model.get("touched"));
    replaceHtml(lines, now.lines);
    it.keys.set(now.keys);
    batchSaid.textContent = now.batch;
    missing.textContent = now.missing;
    missing.hidden = !now.missing;
    measure.disabled = Boolean(now.busy);
    wait.textContent = now.busy;
    second.hidden = !now.speeds;
    replaceFigure(speeds, model.get("speeds"));
    replaceHtml(speedLines, now.speeds ? now.speed_lines : "");
    speedSaid.textContent = now.speeds;
    it.reading.set([model.get("reading")]);
  });
  charts.after(it.reading.node); // the sentence is about what stands above it
  return ended;
}

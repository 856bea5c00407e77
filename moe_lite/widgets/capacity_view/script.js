// Capacity view. Python serves the queues and draws (moe_lite/widgets/capacity_view*.py); this file has the controls.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const now = () => model.get("view");
  const { root, tag } = openRoot(host, "Which tokens find no room?", model.get("source"));
  root.classList.add("capacity");
  const problem = errorBox();
  const note = el("p", { class: "note", role: "status" });
  const reading = readingLine(() => fixed.experts);
  const asking = asker(model, root, (text) => { note.textContent = text; });
  const ask = byPresses(model, root, asking.ask);

  const upTo = (most) => Array.from({ length: Math.max(1, most) }, (_, i) => i + 1);
  const factor = slider({ label: "capacity factor", width: 160, values: fixed.factors, value: model.get("factor"),
    show: (f) => (f === 0 ? "no limit" : String(f)), onmove: (f) => ask({ factor: f }) });
  const priority = segmented({ label: "who is served first", options: fixed.priorities, value: model.get("priority"),
    onpick: (name) => ask({ priority: name }) });
  const choices = fixed.choices && slider({ label: "top-k", width: 70, values: upTo(fixed.choices), value: model.get("top_k"),
    onmove: (k) => ask({ top_k: k }) });
  const layer = fixed.layers > 1 && slider({ label: "layer", width: 70, values: upTo(fixed.layers), value: model.get("layer"),
    onmove: (n) => ask({ layer: n }) });
  const keys = el("div", { class: "keys" });
  const stage = el("div", { class: "stage fig" });
  root.append(
    el("div", { class: "ctl" }, factor.node, priority.node, choices && choices.node, layer && layer.node),
    problem.node, keys, stage, note, reading.node, reading.voice);

  function paint() {
    problem.set(model.get("error"));
    tag.textContent = model.get("source");
    tag.hidden = !tag.textContent;
    note.textContent = now().note ?? "";
    if (!asking.waiting()) {
      factor.set(model.get("factor"));
      priority.set(model.get("priority"));
      if (choices) choices.set(model.get("top_k"));
      if (layer) layer.set(model.get("layer"));
    }
    keys.replaceChildren(...now().facts.map(([value, name]) => el("div", {}, el("b", {}, value), el("span", {}, name))));
    const drawn = new DOMParser().parseFromString(model.get("figure"), "text/html").body;
    stage.replaceChildren(...[...drawn.childNodes].map((node) => document.importNode(node, true)));
    reading.set(now().parts);
    redrawn(root);
  }

  const ended = whenChanged(model, ["figure", "view", "error", "source", "answered"], paint);
  paint();
  const unwatched = followWidth(model, root, fixed.narrowest, fixed.widest, ask);
  return () => { ended(); unwatched(); };
}

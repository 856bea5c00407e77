// Budget explorer. Python counts and draws (moe_lite/widgets/budget_explorer/drawing.py); this file has the controls.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const { root } = openRoot(host, "Where do a model’s parameters and FLOPs sit?", model.get("source"));
  root.classList.add("budgets");
  const problem = errorBox();
  const note = el("p", { class: "note", role: "status" });
  const reading = readingLine();
  const asking = asker(model, root, (text) => { note.textContent = text; });
  const ask = byPresses(model, root, asking.ask);

  // ---- controls

  const own = el("option", { value: "" }, fixed.own);
  const preset = el("select", { "aria-label": "shape", onchange: () => ask({ preset: preset.value }) },
    own, ...fixed.presets.map((name) => el("option", { value: name }, name)));
  const withCommas = (n) => n.toLocaleString("en-US");
  const steps = (name) => [...new Set([...fixed.steps[name], model.get(name)])].sort((a, b) => a - b);
  const size = (label, name) =>
    slider({ label, width: 80, values: steps(name), value: model.get(name), show: withCommas, onmove: (v) => ask({ [name]: v }) });
  const sliders = {
    d_model: size("width D", "d_model"), n_layers: size("depth L", "n_layers"), d_expert: size("feed-forward F", "d_expert"),
    vocab_size: size("vocabulary V", "vocab_size"), context: size("context", "context"),
  };
  const stage = el("div", { class: "stage fig" });
  const { d_model, n_layers, d_expert, vocab_size, context } = sliders;
  root.append(
    el("div", { class: "ctl" }, el("label", {}, "shape", preset), d_model.node, n_layers.node),
    el("div", { class: "ctl" }, d_expert.node, vocab_size.node, context.node),
    problem.node, stage, note, reading.node, reading.voice);

  // ---- drawing

  let last = -Infinity;
  function paint() {
    // moves in quick succession (a key held down) do not slide: each would be cut off by the next
    root.classList.toggle("quick", performance.now() - last < 250);
    last = performance.now();
    problem.set(model.get("error"));
    note.textContent = model.get("note");
    if (!asking.waiting()) {
      for (const [name, control] of Object.entries(sliders)) control.set(model.get(name), steps(name));
      preset.value = model.get("preset");
      own.hidden = preset.value !== "";
    }
    drawFigure(stage, model.get("figure"));
    reading.set([model.get("reading")]);
    redrawn(root);
  }

  const ended = whenChanged(model, ["figure", "note", "reading", "error", "answered"], paint);
  paint();
  const unwatched = followWidth(model, root, 560, 812, ask);
  return () => { ended(); unwatched(); };
}

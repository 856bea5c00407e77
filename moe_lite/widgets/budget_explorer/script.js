// Budget explorer. Python counts (view.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const it = panel(model, host, { width: [560, 812] });
  const own = el("option", { value: "" }, fixed.own);
  const preset = el("select", { "aria-label": "shape", onchange: () => it.ask({ preset: preset.value }) },
    own, ...fixed.presets.map((name) => el("option", { value: name }, name)));
  const size = (label, name) =>
    it.slide(name, label, () => withStep(fixed.steps[name], model.get(name)), { width: 80, show: withCommas });
  return it.show([
    [el("label", {}, "shape", preset), size("width D", "d_model"), size("depth L", "n_layers")],
    [size("feed-forward F", "d_expert"), size("vocabulary V", "vocab_size"), size("context", "context")],
    it.problem, it.stage, it.note,
  ], () => {
    it.note.textContent = model.get("note");
    if (!it.waiting()) {
      preset.value = model.get("preset");
      own.hidden = preset.value !== "";
    }
    drawFigure(it.stage, model.get("figure"));
    it.reading.set([model.get("reading")]);
  });
}

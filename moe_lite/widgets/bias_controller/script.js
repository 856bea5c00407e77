// Bias controller. Python simulates and draws (moe_lite/widgets/bias_controller*.py); this file has the controls.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const now = () => model.get("view");
  const { root } = openRoot(host, "Can a rule even out the loads, without a loss?", model.get("source"));
  root.classList.add("controller");
  const problem = errorBox();
  const note = el("p", { class: "note", role: "status" });
  const reading = readingLine();
  const asking = asker(model, root, (text) => { note.textContent = text; });
  const ask = byPresses(model, root, asking.ask);

  const row = (label, name, values, show = String, width = 90) => [name, slider({ label, width, values, show,
    value: model.get(name), onmove: (value) => ask({ [name]: value }) })];
  const sliders = Object.fromEntries([
    row("step size", "step", fixed.sizes, String, 130),
    row("tokens a batch", "n_tokens", fixed.batches, (n) => n.toLocaleString("en-US")),
    row("drift", "drift", fixed.drifts, String, 60),
    row("freeze at", "frozen_from", fixed.freeze, (n) => (n >= fixed.steps ? "never" : `step ${n}`), 70),
  ]);
  const rule = segmented({ label: "rule", options: fixed.rules, value: model.get("rule"), onpick: (name) => ask({ rule: name }) });
  const keys = el("div", { class: "keys" });
  const stage = el("div", { class: "stage fig" });
  root.append(
    el("div", { class: "ctl" }, sliders.step.node, rule.node, sliders.n_tokens.node),
    el("div", { class: "ctl" }, sliders.drift.node, sliders.frozen_from.node),
    problem.node, keys, stage, note, reading.node, reading.voice);

  function paint() {
    problem.set(model.get("error"));
    note.textContent = "";
    if (!asking.waiting()) {
      for (const [name, control] of Object.entries(sliders)) control.set(model.get(name));
      rule.set(model.get("rule"));
    }
    keys.replaceChildren(...(now().facts ?? []).map(([value, name]) => el("div", {}, el("b", {}, value), el("span", {}, name))));
    const text = model.get("figure");
    const figure = text ? new DOMParser().parseFromString(text, "image/svg+xml").documentElement : null;
    stage.replaceChildren(...(figure ? [document.importNode(figure, true)] : []));
    reading.set(now().parts ?? []);
    redrawn(root);
  }

  const ended = whenChanged(model, ["figure", "view", "error", "answered"], paint);
  paint();
  const unwatched = followWidth(model, root, fixed.narrowest, fixed.widest, ask);
  return () => { ended(); unwatched(); };
}

// Model calculator. Python counts (view.py), writes (words.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const { steps, conventions, width, legend } = model.get("fixed"), view = () => model.get("view");
  const it = panel(model, host, { width, watch: ["strip", "memory", "config"] });

  // ---- controls

  const yours = el("option", { value: "" }, "yours");
  const preset = el("select", { "aria-label": "model", onchange: () => take(preset.value) }, yours);
  const take = (name) => { // with the sizes it has, so that the one that was changed can be taken anew
    const [, n_experts, top_k, d_expert] = view().presets.find(([each]) => each === name);
    it.ask({ preset: name, n_experts, top_k, d_expert });
  };
  const slide = (name, label, room, most = () => Infinity, show = withCommas) => it.slide(name, label, () => {
    const now = model.get(name), own = view().base[name] ?? now; // the preset's own size is always a step
    return withStep(withStep(steps[name], own).filter((step) => step <= most()), now);
  }, { width: room, show });
  const experts = el("span", { class: "experts" }, slide("n_experts", "experts E", 56).node,
    slide("top_k", "top-k", 50, () => view().choosable).node, slide("d_expert", "expert width F", 64).node);
  const counted = it.pick("convention", "parameters counted", conventions);
  const free = slide("free", "kept free for cache and activations", 80, () => Infinity, (part) => `${part} %`);
  const context = slide("context", "context", 80);

  let typing = null;
  const box = el("textarea", { rows: 6, "aria-label": "config.json", spellcheck: "false", dir: "auto", placeholder: '{ "model_type": "mixtral", … }' });
  const send = () => { clearTimeout(typing); typing = null; if (box.value !== model.get("config")) it.ask({ config: box.value.replace(/\p{Surrogate}/gu, "\ufffd") }); };
  box.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(send, 400); });
  const paste = el("details", { class: "paste" }, el("summary", {}, "Count a config.json of your own"), box);

  // ---- figures

  const name = el("b"), rest = el("span", { class: "dim" });
  const pair = (kind) => el("p", { class: kind }, el("span"), el("span"));
  const over = pair("over"), sums = pair("sums"), strip = el("div", { class: "fig" }), table = el("div", { class: "fig" });
  const cache = el("p", { class: "note" });
  const write = ({ children }, texts) => texts.forEach((text, i) => { children[i].textContent = text; });

  return it.show([
    [el("label", {}, "model", preset), experts],
    [el("span", { class: "dim" }, "parameters counted"), counted],
    paste, it.problem, it.stage, el("p", { class: "apart" }, name, " ", rest), over, strip, sums,
    [free, context], cache, table, el("p", { class: "note" }, legend), it.note,
  ], () => {
    const { presets, changed, sparse, heading, captions, sums: written, cache: kept } = view();
    it.note.textContent = model.get("note");
    if (preset.options.length !== presets.length + 1)
      preset.replaceChildren(yours, ...presets.map(([each]) => el("option", { value: each }, each)));
    if (!it.waiting()) {
      yours.hidden = !changed;
      preset.value = changed ? "" : model.get("preset");
      if (typing === null && box !== document.activeElement) box.value = model.get("config");
    }
    experts.hidden = !sparse;
    drawFigure(it.stage, model.get("figure"));
    [name.textContent, rest.textContent] = heading;
    write(over, captions);
    write(sums, written);
    drawFigure(strip, model.get("strip"));
    cache.textContent = kept;
    drawTable(table, model.get("memory"));
    it.reading.set([model.get("reading")]);
  });
}

// As drawFigure, for a table: what fills the cards moves to its new level.
function drawTable(place, text) {
  const fresh = new DOMParser().parseFromString(text, "text/html").body.firstElementChild;
  if (place.firstElementChild) become(place.firstElementChild, fresh);
  else place.append(document.importNode(fresh, true));
}

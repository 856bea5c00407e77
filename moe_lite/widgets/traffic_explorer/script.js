// Traffic explorer. Python counts (view.py), writes (words.py) and draws (drawing.py); this file has the controls, and the
// cell of the matrix that is looked at.

function render({ model, el: host }) {
  const { counts, devices, limits, placements, texts, width, point } = model.get("fixed");
  const it = panel(model, host, { nExperts: () => view().experts, width, watch: ["loads"] });
  const view = () => model.get("view");

  // ---- controls

  const named = (label, control) => el("span", { class: "named" }, el("span", { class: "dim" }, label), control.node);
  const numbers = (values) => values.map((n) => [n, String(n)]);
  const which = named("experts", it.pick("n_experts", "experts", numbers(counts)));
  const layer = it.slide("layer", "layer", () => upTo(view().layers), { width: 70 });
  const many = named("devices", it.pick("devices", "devices", numbers(devices)));
  const topK = it.slide("top_k", "top-k", () => upTo(view().most_k), { width: 110 });
  const kinds = named("texts", it.pick("texts", "texts", texts));
  const place = named("placement", it.pick("placement", "placement", placements));
  const limit = segmented({ label: "devices per token, at most", options: [[null, "off"], ...numbers(limits)],
    value: model.get("limit") ?? null, onpick: (value) => it.ask({ limit: value }) });
  const bound = named("devices per token, at most", limit);
  const once = named("vector sent", it.pick("once", "vector sent", [[true, "once per device"], [false, "once per expert"]]));

  // ---- the cell that is looked at: under the pointer, or the one that was pressed or focused last

  const told = readingLine(() => view().experts);
  told.node.className = "told";
  let kept = null, pointed = null, stop = [0, 0]; // [row, column]; where Tab leads
  const n = () => view().places.n;
  const inside = (at) => at && at.map((i) => Math.min(i, n() - 1));
  const cellAt = ([i, j]) => it.stage.querySelector(`[data-cell="${i},${j}"]`);
  const placeOf = (target) => target.closest?.("[data-cell]")?.dataset.cell.split(",").map(Number) ?? null;
  const look = () => {
    const at = inside(pointed ?? kept), mark = it.stage.querySelector(".at");
    told.node.replaceChildren();
    told.set(at ? view().told[at[0]][at[1]] : [point]);
    told.node.classList.toggle("dim", !at);
    mark.classList.toggle("off", !at);
    if (!at) return;
    const { left, top, wide, tall } = view().places;
    mark.setAttribute("x", left + at[1] * wide);
    mark.setAttribute("y", top + at[0] * tall);
  };
  const stopAt = (at) => {
    cellAt(inside(stop))?.setAttribute("tabindex", "-1");
    stop = inside(at);
    cellAt(stop).setAttribute("tabindex", "0");
  };
  it.stage.addEventListener("pointermove", (event) => {
    const at = placeOf(event.target);
    if (String(at) === String(pointed)) return;
    pointed = at;
    look();
  });
  it.stage.addEventListener("pointerleave", () => { pointed = null; look(); });
  it.stage.addEventListener("pointerdown", (event) => {
    kept = placeOf(event.target);
    if (kept) { event.preventDefault(); stopAt(kept); cellAt(kept).focus({ preventScroll: true }); }
    look();
  });
  it.stage.addEventListener("focusin", (event) => {
    kept = placeOf(event.target) ?? kept;
    look();
  });
  it.stage.addEventListener("keydown", (event) => {
    const at = placeOf(event.target), last = n() - 1;
    if (!at) return;
    const [i, j] = at;
    const to = { ArrowRight: [i, Math.min(j + 1, last)], ArrowLeft: [i, Math.max(j - 1, 0)], ArrowDown: [Math.min(i + 1, last), j],
      ArrowUp: [Math.max(i - 1, 0), j], Home: [i, 0], End: [i, last] }[event.key];
    if (event.key === "Escape") { kept = pointed = null; look(); }
    else if (to) { pointed = null; stopAt(to); cellAt(stop).focus(); }
    else return;
    event.preventDefault();
  });

  // ---- the rest

  const legend = el("div"), loads = el("div", { class: "fig" });
  const two = el("div", { class: "two" }, el("div", {}, it.stage, legend), el("div", { class: "side" }, it.keys.node));
  const sub = el("div", { class: "gap" });
  return it.show([
    [which, layer, many, topK], [kinds, place], [bound, once], it.note, it.problem, two, told.node, told.voice, sub, loads,
  ], () => {
    const now = view(), focused = it.stage.contains(document.activeElement);
    if (!it.waiting()) limit.set(model.get("limit") ?? null);
    limits.forEach((each, i) => { limit.buttons[i + 1].disabled = !now.open.includes(each); });
    it.note.textContent = model.get("note");
    it.note.hidden = !it.note.textContent;
    replaceFigure(it.stage, model.get("figure"));
    stopAt(stop);
    if (focused) cellAt(stop).focus();
    look();
    replaceHtml(legend, now.legend);
    replaceFigure(loads, model.get("loads"));
    it.keys.set(now.keys);
    it.reading.set([model.get("reading")]);
  });
}

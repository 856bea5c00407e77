// Serving explorer. Python computes (view.py), writes (words.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const { models, accelerators, bits, most, steps, how, width } = model.get("fixed");
  const it = panel(model, host, { width, watch: ["bars"] });
  const axis = () => model.get("view").axis;

  // ---- controls

  const choose = (trait, label, offered) => {
    const node = el("select", { "aria-label": label, onchange: () => it.ask({ [trait]: node.value }) },
      ...offered.map((name) => el("option", { value: name }, name)));
    return { node: el("label", {}, label, node), set: () => { node.value = model.get(trait); } };
  };
  const which = choose("model", "model", models), machine = choose("accelerator", "accelerator", accelerators);
  const slide = (name, label, room, show = withCommas) =>
    it.slide(name, label, () => withStep(steps[name], model.get(name)), { width: room, show });
  const hosts = el("span", { class: "dim" });
  const weights = el("span", { class: "named" }, el("span", { class: "dim" }, "bits per weight"),
    it.pick("bits", "bits per weight", bits.map((each) => [each, String(each)])).node);
  const context = slide("context", "context", 80);
  const busy = slide("utilisation", "busy", 80, (share) => `${share} %`);
  const dollars = slide("dollars", "accelerator, $ per hour", 90, (value) => value.toFixed(2));
  const sliders = el("div", { class: "ctl sliders" }, context.node, busy.node, dollars.node);

  // ---- the batch: its slider stands under the axis, and the line in the figure can be dragged

  const octaves = Math.log2(most);
  const scrub = el("input", { type: "range", min: 0, max: octaves, step: "any", "aria-label": "batch" });
  const where = el("span", { class: "where" });
  const hint = el("span", { class: "dim hint" }, "drag the line, or ← →");
  const back = el("div", { class: "back" }, scrub, el("div", {}, el("span", {}, "batch: ", where), hint));
  const plot = el("div", { class: "plot" }, it.stage, back), bars = el("div", { class: "fig" });
  const parts = el("div");
  const told = (batch) => (batch === 1 ? "one text at a time" : `${withCommas(batch)} texts at a time`);
  let batch = model.get("batch");
  const place = (texts) => {
    batch = texts;
    scrub.value = Math.log2(texts);
    scrub.setAttribute("aria-valuetext", told(texts));
    where.textContent = told(texts);
  };
  const moveTo = (octave) => { // at once, before the kernel has computed it
    const next = 2 ** Math.min(octaves, Math.max(0, octave)), { left, width: wide, top } = axis();
    const moved = next !== batch;
    place(next); // the thumb stands on a power of two, wherever the hand has left it
    if (!moved) return;
    it.stage.querySelector("svg .cursor").setAttribute("transform", `translate(${left + (wide * Math.log2(next)) / octaves} ${top})`);
    it.stage.querySelectorAll("svg .here").forEach((node) => node.remove());
    it.ask({ batch: next });
  };
  scrub.addEventListener("input", () => moveTo(Math.round(Number(scrub.value))));
  scrub.addEventListener("keydown", (event) => {
    const at = Math.log2(batch); // a cell may have set what lies between two powers
    const down = Math.ceil(at) - 1, up = Math.floor(at) + 1;
    const to = { ArrowLeft: down, ArrowDown: down, ArrowRight: up, ArrowUp: up, PageDown: down - 2, PageUp: up + 2,
      Home: 0, End: octaves }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    moveTo(to);
  });
  let dragged = null; // the pointer that drags the line
  const octaveAt = (event) => {
    const { figure, left, width: wide } = axis(), box = it.stage.querySelector("svg").getBoundingClientRect();
    return Math.round((octaves * (((event.clientX - box.left) * figure) / box.width - left)) / wide);
  };
  it.stage.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("[data-grab]")) return;
    event.preventDefault();
    dragged = event.pointerId;
    it.stage.setPointerCapture(dragged);
    moveTo(octaveAt(event));
  });
  it.stage.addEventListener("pointermove", (event) => { if (event.pointerId === dragged) moveTo(octaveAt(event)); });
  for (const end of ["pointerup", "pointercancel"]) it.stage.addEventListener(end, () => { dragged = null; });

  const sources = el("p", { class: "note" });
  const made = el("details", { class: "note how" }, el("summary", {}, "How it is computed"), how.join(" "));
  return it.show([
    [which, machine, hosts, weights], sliders, it.problem, plot, parts, bars, it.note, sources, made,
  ], () => {
    const { axis: at, n, sources: text, legend } = model.get("view");
    if (!it.waiting()) {
      [which, machine].forEach((control) => control.set());
      place(model.get("batch"));
    }
    hosts.textContent = `${withCommas(n)} for each model`;
    it.note.textContent = model.get("note");
    it.note.hidden = !model.get("note");
    replaceFigure(it.stage, model.get("figure"));
    replaceHtml(parts, legend);
    drawFigure(bars, model.get("bars"));
    replaceHtml(sources, text);
    plot.style.maxWidth = `${at.figure}px`;
    const share = { "--x": at.left / at.figure, "--long": at.width / at.figure, "--y": at.bottom / at.height };
    for (const [name, value] of Object.entries(share)) back.style.setProperty(name, value);
    it.reading.set([model.get("reading")]);
  });
}

// Training dashboard. Python trains, counts (view.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const now = () => model.get("view");
  const status = el("span", { class: "dim", role: "status" });
  const { ask, waiting, problem, keys, stage, tag, reading, show } = panel(model, host, {
    nExperts: () => now().experts, note: status, watch: ["n_experts", "top_k"], width: [460, 812],
  });

  // ---- controls

  const begins = () => !now().live; // the main button starts a training, which takes a while to build
  const press = button("", () => {
    if (begins()) { press.textContent = "Starting…"; press.disabled = true; }
    ask({ presses: model.get("presses") + 1 });
  }, { class: "pri" });
  const halt = button("■ Stop", () => { halt.disabled = true; ask({ halts: model.get("halts") + 1 }); });
  const choices = (n) => upTo(Math.min(fixed.most, n));
  const experts = slider({ label: "experts E", values: fixed.experts, value: model.get("n_experts"), width: 90,
    show: (n) => (n === 1 ? "dense" : String(n)), onmove: (n) => { follow(n); ask({ n_experts: n, top_k: topK.value }); } });
  const topK = slider({ label: "top-k", values: choices(model.get("n_experts")), value: model.get("top_k"), width: 90,
    onmove: (k) => ask({ top_k: k }) });
  const follow = (n) => topK.set(Math.min(topK.value, choices(n).length), choices(n));
  const next = el("span", { class: "next" }, el("span", { class: "dim" }, "next training:"), experts.node, topK.node);
  const line = el("div", { class: "hair" }, el("i"));

  // ---- the step that is looked at: the slider stands under the axis, and the line in the plot can be dragged

  const scrub = el("input", { type: "range", min: 1, max: 2, step: 1, "aria-label": "step" });
  const where = el("span", { class: "where" });
  const live = button("follow", () => look(0), { class: "link" });
  const look = (step) => ask({ at: step >= now().newest ? 0 : Math.max(1, step) });
  const moveTo = (step) => { // at once, before the kernel has drawn it
    const { left, width, steps } = now().axis, y = stage.querySelector("svg .grab").getAttribute("y");
    stage.querySelector("svg .cursor").setAttribute("transform", `translate(${left + (width * step) / steps} ${y})`);
    place(step);
    look(step);
  };
  const place = (step) => {
    scrub.value = step;
    scrub.setAttribute("aria-valuetext", `step ${withCommas(step)}`);
    where.textContent = `step ${withCommas(step)}`;
  };
  const within = (step) => Math.min(now().newest, Math.max(1, step));
  scrub.addEventListener("input", () => moveTo(within(Number(scrub.value))));
  scrub.addEventListener("keydown", (event) => {
    const far = { ArrowLeft: -10, ArrowRight: 10 }[event.key];
    if (event.key === "End") { event.preventDefault(); look(0); }
    if (far && event.shiftKey) { event.preventDefault(); moveTo(within(Number(scrub.value) + far)); }
  });
  const hint = el("span", { class: "dim" }, "drag the line, or ← →");
  const back = el("div", { class: "back", hidden: true }, scrub, el("div", {}, where, hint, live));
  const plot = el("div", { class: "plot" }, stage, back);

  let dragged = null; // the pointer that drags the line
  const stepAt = (event) => {
    const { figure, left, width, steps } = now().axis, box = stage.querySelector("svg").getBoundingClientRect();
    return within(Math.round((steps * (((event.clientX - box.left) * figure) / box.width - left)) / width));
  };
  stage.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("[data-grab]") || now().newest < 2) return;
    event.preventDefault();
    dragged = event.pointerId;
    stage.setPointerCapture(dragged);
    moveTo(stepAt(event));
  });
  stage.addEventListener("pointermove", (event) => { if (event.pointerId === dragged) moveTo(stepAt(event)); });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { dragged = null; });

  const validation = el("p", { class: "note" });
  const layout = [
    [press, halt, el("span", { class: "sp" }), next],
    status, line, problem, keys, plot, validation,
  ];

  // ---- cells of the load table: one Tab stop, arrow keys inside, Enter or a click shows the expert over all steps

  let cells = [], at = "0,0";
  const pick = (key) => ask({ picked: model.get("picked") === key ? "" : key });
  const go = (key) => { const to = cells.find((c) => c.dataset.cell === key); if (to) { at = key; useCells(); to.focus(); } };
  function useCells() {
    cells = [...stage.querySelectorAll("[data-cell]")];
    if (!cells.some((c) => c.dataset.cell === at)) at = cells[0]?.dataset.cell ?? "0,0";
    for (const cell of cells) cell.setAttribute("tabindex", cell.dataset.cell === at ? "0" : "-1");
  }
  stage.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-cell]");
    if (cell) { at = cell.dataset.cell; pick(at); }
  });
  stage.addEventListener("keydown", (event) => {
    const cell = event.target.closest("[data-cell]");
    if (!cell) return;
    const [layer, expert] = cell.dataset.cell.split(",").map(Number);
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (move) { event.preventDefault(); go(`${layer + move[0]},${expert + move[1]}`); }
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(cell.dataset.cell); }
  });

  // ---- drawing

  return show(layout, () => {
    tag.node.classList.toggle("live", now().state === "running");
    press.textContent = now().button;
    press.disabled = now().state === "stopping";
    halt.hidden = !now().live;
    halt.disabled = now().state === "stopping";
    status.textContent = now().status;
    next.firstChild.hidden = !now().live;
    line.firstChild.style.width = `${100 * now().progress}%`;
    keys.set(now().facts, (name) => (name.startsWith("dead") ? fixed.dead : null));
    if (!waiting()) {
      experts.set(model.get("n_experts"));
      topK.set(model.get("top_k"), choices(model.get("n_experts")));
    }
    const held = document.activeElement?.dataset?.cell;
    replaceFigure(stage, model.get("figure"));
    useCells();
    if (held) go(held);
    const { figure, height, left, width, bottom, steps } = now().axis;
    plot.style.maxWidth = `${figure}px`;
    const share = { "--x": left / figure, "--long": width / figure, "--y": bottom / height, "--done": now().newest / steps };
    for (const [name, value] of Object.entries(share)) back.style.setProperty(name, value);
    back.hidden = now().newest < 2;
    scrub.max = steps;
    if (!waiting()) place(now().shown);
    live.hidden = model.get("at") === 0;
    validation.textContent = now().validation;
    reading.voice.setAttribute("aria-live", now().state === "running" ? "off" : "polite");
    reading.set(now().parts);
  });
}

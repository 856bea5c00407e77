// Balance lab. Python reads recordings, trains (view.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const now = () => model.get("view");
  const status = el("p", { class: "note", role: "status", hidden: true });
  const followed = ["coefficient", "top_k", "seed", "n_experts", "z_coef", "bias_step", "capacity_factor", "jitter"];
  const { ask, waiting, slide, problem, stage, tag, reading, show, root } = panel(model, host, {
    nExperts: () => now().experts, note: status, watch: ["text", "heads", "looked", ...followed], width: [560, 860],
  });
  let count = Number(model.get("command").split(" ").pop() || 0); // a page may open a lab that has been used
  const command = (what) => ask({ command: `${what} ${count += 1}` });
  const dim = (words) => el("span", { class: "dim" }, words);
  const or0 = (word) => (value) => (value ? String(value) : word);
  const offered = (name, label, width, text = String) => slide(name, label, fixed[name], { width, show: text });

  // ---- the upper half: what was recorded

  const recorded = [offered("coefficient", "coefficient", 90), offered("top_k", "top-k", 44), offered("seed", "seed", 44)];
  recorded[0].node.classList.add("long");
  const layer = slider({ label: "layer", values: Array.from({ length: fixed.layers }, (_, i) => i), value: now().layer, width: 40,
    show: (i) => String(i + 1), onmove: (i) => ask({ layer: i }) });
  const keep = button("Keep beside", () => command("keep"), { title: "a third column, which stays as it is when you move on" });
  const heads = el("div", { class: "names" });
  dress(stage, { tabindex: "0", role: "group", "aria-label": "strips: left and right move the step, up and down the expert" }, []);
  const scrub = el("input", { type: "range", min: fixed.bin, step: fixed.bin, "aria-label": "step" });
  const where = el("b");
  const back = el("div", { class: "back" }, scrub);
  const asked = el("div", { class: "asked" }, el("div", {}, dim("step "), where), dim("drag it, or ← →"));
  const plot = el("div", { class: "plot" }, stage, back, asked);

  // ---- the step that is looked at: the slider stands under the first strips, and the line in each column can be dragged

  const within = (step) => Math.max(fixed.bin, Math.min(now().newest, fixed.bin * Math.round(step / fixed.bin)));
  const look = (step) => ask({ at: step >= now().newest ? 0 : step });
  const place = (step) => {
    scrub.value = step;
    scrub.setAttribute("aria-valuetext", `step ${withCommas(step)}`);
    where.textContent = withCommas(step);
  };
  const moveTo = (step) => { // at once, before the kernel has drawn it
    const { lefts, wide, steps, top } = now().axis;
    for (const line of stage.querySelectorAll("svg .cursor")) {
      const x = lefts[line.dataset.column] + (wide * Math.min(step, line.dataset.last)) / steps;
      line.setAttribute("transform", `translate(${x} ${top})`);
    }
    place(step);
    look(step);
  };
  scrub.addEventListener("input", () => moveTo(within(Number(scrub.value))));
  stage.addEventListener("keydown", (event) => {
    const at = Number(scrub.value); // ahead of the kernel while a key is held down
    const step = { ArrowLeft: at - fixed.bin, ArrowRight: at + fixed.bin, Home: fixed.bin, End: now().newest }[event.key];
    const expert = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step === undefined && !expert) return;
    event.preventDefault();
    if (expert) pick(model.get("picked") + expert);
    else moveTo(within(step));
  });
  const pick = (expert) => ask({ picked: Math.min(now().experts - 1, Math.max(0, expert)) });

  let held = null; // the pointer that drags the line: { id, column, moved }
  const pointed = (event) => { // the place of the pointer in the figure
    const box = stage.querySelector("svg").getBoundingClientRect(), scale = now().axis.figure / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };
  const drag = (event) => {
    const { lefts, wide, steps } = now().axis;
    moveTo(within((steps * (pointed(event)[0] - lefts[held.column])) / wide));
  };
  stage.addEventListener("pointerdown", (event) => {
    const area = event.target.closest("[data-grab]");
    if (!area) return;
    event.preventDefault();
    held = { id: event.pointerId, column: area.dataset.grab, moved: false };
    stage.setPointerCapture(held.id);
    drag(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (event.pointerId !== held?.id) return;
    held.moved = true;
    drag(event);
  });
  stage.addEventListener("pointerup", (event) => { // a click on a strip without a drag picks its expert, too
    if (event.pointerId !== held?.id) return;
    const { top, row, slider: below } = now().axis, y = pointed(event)[1];
    if (!held.moved && y < below - 12) pick(Math.floor((y - top) / row));
    held = null;
  });
  stage.addEventListener("pointercancel", () => { held = null; });

  // ---- folded below: what one text does, and a training of one's own

  const routed = el("span", { class: "routed" });
  const text = el("div", { role: "group", "aria-label": "a text in its tokens, each with its first expert" });
  const signs = el("p", { class: "signs tx", "--num": "10px" });
  signs.innerHTML = fixed.signs;
  const room = slide("room", "capacity for this text", fixed.rooms, { width: 80, show: or0("no limit") });
  const row = (...items) => el("div", { class: "ctl" }, ...items.map((item) => item.node ?? item));
  const fold = (title, ...inside) => el("details", {}, el("summary", {}, title), el("div", { class: "inside" }, ...inside));
  const reads = fold("What one text does: its tokens, each with its first expert", row(routed, room), text, signs);

  const next = [
    offered("n_experts", "experts E", 44), offered("z_coef", "z-loss", 44, or0("0")), offered("bias_step", "bias step", 60, or0("none")),
    offered("capacity_factor", "capacity", 70, or0("no limit")), offered("jitter", "noise", 44, or0("0")),
  ];
  const press = button("", () => { press.textContent = "Starting…"; press.disabled = true; command("train"); }, { class: "pri" });
  const pause = button("❚❚ Pause", () => command("pause"));
  const halt = button("■ Stop", () => command("stop"));
  const takes = el("p", { class: "note" });
  const own = fold("Train your own: a new column, trained on this machine", takes, row(...next), row(press, pause, halt));
  const save = ["PNG", "CSV"].map((kind) => button(kind, () => command(kind.toLowerCase()), { class: "link", "aria-label": `save as ${kind}` }));

  // ---- drawing

  function paint() {
    const { running, columns, axis, shown } = now();
    tag.node.classList.toggle("live", Boolean(running));
    if (running && pause.hidden) own.open = true; // where it can be paused
    pause.hidden = halt.hidden = !running;
    pause.textContent = running === "paused" ? "▶ Resume" : "❚❚ Pause";
    press.textContent = "▶ Train this";
    press.disabled = false;
    const taken = `coefficient ${model.get("coefficient")}, top-${model.get("top_k")} and seed ${model.get("seed")}`;
    takes.textContent = `${withCommas(fixed.steps)} steps with ${taken}, as set above, and with these settings:`;
    status.hidden = true;
    if (!waiting()) layer.set(now().layer);
    heads.innerHTML = model.get("heads"); // as the text: written and escaped by Python
    [...heads.querySelectorAll(".head")].slice(now().fixed).forEach((head, i) => {
      const which = now().fixed + i;
      head.firstChild.after(button("×", () => command(`remove ${which}`), { class: "link", "aria-label": `remove ${columns[which]}` }));
    });
    replaceFigure(stage, model.get("figure"));
    const looked = Math.min(model.get("looked"), columns.length - 1);
    routed.replaceChildren(dim("in the column"), ...columns.map((name, i) => button(name, () => ask({ looked: i }), { "aria-pressed": String(i === looked) })));
    text.innerHTML = model.get("text");
    plot.style.maxWidth = `${axis.figure}px`;
    const first = fixed.bin / axis.steps, long = axis.wide / axis.figure;
    const share = { "--x": axis.lefts[0] / axis.figure + long * first, "--long": long * (1 - first), "--y": axis.slider / axis.height };
    for (const [name, value] of Object.entries({ ...share, "--names": axis.lefts[0] / axis.figure })) plot.style.setProperty(name, value);
    back.hidden = now().newest <= fixed.bin;
    asked.hidden = !now().newest;
    scrub.max = axis.steps;
    if (!waiting()) place(shown);
    reading.voice.setAttribute("aria-live", running ? "off" : "polite");
    reading.set(now().parts);
  }

  function download() {
    const { name, data } = model.get("file");
    if (name) el("a", { href: `data:application/octet-stream;base64,${data}`, download: name }).click();
  }

  const ended = show([[...recorded, layer, keep], status, problem, heads, plot], paint);
  root.append(reads, own, el("div", { class: "saves" }, dim("save all columns as "), ...save));
  model.on("change:file", download);
  return () => { ended(); model.off("change:file", download); };
}

// Balance lab. Python reads recordings, trains and draws (moe_lite/widgets/balance_lab*.py); this file has the controls.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const now = () => model.get("view");
  const { root, tag } = openRoot(host, "What does fairness cost?", model.get("source"));
  root.classList.add("lab2");
  const problem = errorBox();
  const status = el("span", { class: "dim", role: "status" });
  const reading = readingLine(() => model.get("n_experts"));
  const asking = asker(model, root, (text) => { status.textContent = text; });
  const ask = byPresses(model, root, asking.ask);
  let count = Number(model.get("command").split(" ").pop() || 0); // a page may open a lab that has been used
  const command = (what) => ask({ command: `${what} ${count += 1}` });

  // ---- controls: which recordings, and what the next training is like

  const or0 = (word) => (value) => (value ? String(value) : word);
  const slide = (label, name, show, width = 80) =>
    slider({ label, values: fixed[name], value: model.get(name), width, show, onmove: (value) => ask({ [name]: value }) });
  const controls = {
    coefficient: slide("coefficient", "coefficient", String, 120),
    top_k: slide("top-k", "top_k", String, 60),
    seed: slide("seed", "seed", String, 60),
    n_experts: slide("experts E", "n_experts", String, 60),
    z_coef: slide("z-loss", "z_coef", or0("0"), 60),
    bias_step: slide("bias step", "bias_step", or0("none"), 70),
    capacity_factor: slide("capacity", "capacity_factor", or0("no limit"), 80),
    jitter: slide("noise", "jitter", or0("0"), 60),
  };
  const layer = slider({ label: "layer", values: Array.from({ length: fixed.layers }, (_, i) => i), value: now().layer, width: 60,
    show: (i) => String(i + 1), onmove: (i) => ask({ layer: i }) });
  const keep = button("Keep beside", () => command("keep"));
  const press = button("▶ Train this", () => command("train"), { class: "pri" });
  const pause = button("❚❚ Pause", () => command("pause"));
  const halt = button("■ Stop", () => command("stop"));
  const save = ["PNG", "CSV"].map((kind) => button(kind, () => command(kind.toLowerCase()), { class: "link", "aria-label": `save as ${kind}` }));

  const heads = el("div", { class: "heads" });
  const stage = el("div", { class: "stage fig", tabindex: "0", role: "group", "aria-label": "strips: left and right move the step, up and down the expert" });
  const scrub = el("input", { type: "range", min: 1, max: 1, step: 1, "aria-label": "step", "--w": "360px" });
  const where = el("span", { class: "v" });
  const text = el("div", { class: "labtext", "aria-label": "a text in its tokens, each with its first expert" });
  root.append(
    el("div", { class: "ctl" }, el("span", { class: "dim" }, "recorded:"), controls.coefficient.node, controls.top_k.node, controls.seed.node, layer.node, keep),
    el("div", { class: "ctl" }, press, pause, halt, el("span", { class: "dim" }, "with"), controls.n_experts.node, controls.z_coef.node,
      controls.bias_step.node, controls.capacity_factor.node, controls.jitter.node),
    problem.node, heads, stage,
    el("div", { class: "ctl" }, el("label", {}, "step", scrub, where), el("span", { class: "sp" }), status, el("span", { class: "dim" }, "save"), ...save),
    text, reading.node, reading.voice);

  // ---- the step and the expert that are looked at

  const bin = () => Math.max(1, Math.round(now().newest / 45 / 20) * 20);
  const look = (step) => ask({ at: step >= now().newest ? 0 : Math.max(1, step) });
  scrub.addEventListener("input", () => look(Number(scrub.value)));
  stage.addEventListener("keydown", (event) => {
    const at = model.get("at") || now().newest;
    const step = { ArrowLeft: -bin(), ArrowRight: bin() }[event.key];
    const expert = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step && !expert && event.key !== "End") return;
    event.preventDefault();
    if (event.key === "End") look(now().newest);
    if (step) look(at + step);
    if (expert) ask({ picked: Math.min(model.get("n_experts") - 1, Math.max(0, model.get("picked") + expert)) });
  });

  // ---- drawing

  function head(name, i) {
    const shown = button(name, () => ask({ looked: i }), { class: "link", "aria-pressed": String(i === model.get("looked")), title: "show the text as this training routes it" });
    const remove = i >= now().fixed ? button("×", () => command(`remove ${i}`), { class: "link", "aria-label": `remove ${name}` }) : null;
    return el("span", {}, shown, remove);
  }

  function paint() {
    problem.set(model.get("error"));
    tag.textContent = model.get("source");
    tag.hidden = !tag.textContent;
    tag.classList.toggle("live", Boolean(now().running));
    pause.hidden = halt.hidden = !now().running;
    pause.textContent = now().running === "paused" ? "▶ Resume" : "❚❚ Pause";
    if (!asking.waiting()) {
      for (const [name, control] of Object.entries(controls)) control.set(model.get(name));
      layer.set(now().layer);
    }
    heads.replaceChildren(el("span", { class: "dim" }, "text of:"), ...now().columns.map(head));
    const figure = new DOMParser().parseFromString(model.get("figure"), "image/svg+xml").documentElement;
    stage.replaceChildren(document.importNode(figure, true));
    text.innerHTML = model.get("text"); // written and escaped by Python, from the lab's own text
    scrub.max = now().newest;
    const at = model.get("at") || now().newest;
    if (document.activeElement !== scrub || !model.get("at")) scrub.value = at;
    where.textContent = at.toLocaleString("en-US");
    reading.voice.setAttribute("aria-live", now().running ? "off" : "polite");
    reading.set(now().parts);
    redrawn(root);
  }

  function download() {
    const { name, data } = model.get("file");
    if (name) el("a", { href: `data:application/octet-stream;base64,${data}`, download: name }).click();
  }

  const ended = whenChanged(model, ["figure", "text", "view", "error", "source", "answered", ...Object.keys(controls)], paint);
  model.on("change:file", download);
  paint();
  const unwatched = followWidth(model, root, 560, 860, ask);
  return () => { ended(); unwatched(); model.off("change:file", download); };
}

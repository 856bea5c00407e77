// Balance lab. Python reads recordings, trains (view.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const now = () => model.get("view");
  const status = el("span", { class: "dim", role: "status" });
  const followed = ["coefficient", "top_k", "seed", "n_experts", "z_coef", "bias_step", "capacity_factor", "jitter"];
  const { ask, waiting, slide, problem, stage, tag, reading, show } = panel(model, host, {
    nExperts: () => model.get("n_experts"), note: status, watch: ["text", ...followed], width: [560, 860],
  });
  let count = Number(model.get("command").split(" ").pop() || 0); // a page may open a lab that has been used
  const command = (what) => ask({ command: `${what} ${count += 1}` });

  // ---- controls: which recordings, and what the next training is like

  const or0 = (word) => (value) => (value ? String(value) : word);
  const offered = (name, label, width, text = String) => slide(name, label, fixed[name], { width, show: text });
  const recorded = [offered("coefficient", "coefficient", 120), offered("top_k", "top-k", 60), offered("seed", "seed", 60)];
  const next = [
    offered("n_experts", "experts E", 60), offered("z_coef", "z-loss", 60, or0("0")), offered("bias_step", "bias step", 70, or0("none")),
    offered("capacity_factor", "capacity", 80, or0("no limit")), offered("jitter", "noise", 60, or0("0")),
  ];
  const layer = slider({ label: "layer", values: Array.from({ length: fixed.layers }, (_, i) => i), value: now().layer, width: 60,
    show: (i) => String(i + 1), onmove: (i) => ask({ layer: i }) });
  const keep = button("Keep beside", () => command("keep"));
  const press = button("▶ Train this", () => command("train"), { class: "pri" });
  const pause = button("❚❚ Pause", () => command("pause"));
  const halt = button("■ Stop", () => command("stop"));
  const save = ["PNG", "CSV"].map((kind) => button(kind, () => command(kind.toLowerCase()), { class: "link", "aria-label": `save as ${kind}` }));

  const heads = el("div", { class: "heads" });
  dress(stage, { tabindex: "0", role: "group", "aria-label": "strips: left and right move the step, up and down the expert" }, []);
  const scrub = el("input", { type: "range", min: 1, max: 1, step: 1, "aria-label": "step", "--w": "360px" });
  const where = el("span", { class: "v" });
  const text = el("div", { class: "labtext", "aria-label": "a text in its tokens, each with its first expert" });
  const dim = (words) => el("span", { class: "dim" }, words);
  const layout = [
    [dim("recorded:"), ...recorded, layer, keep],
    [press, pause, halt, dim("with"), ...next],
    problem, heads, stage,
    [el("label", {}, "step", scrub, where), el("span", { class: "sp" }), status, dim("save"), ...save],
    text,
  ];

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
    tag.node.classList.toggle("live", Boolean(now().running));
    pause.hidden = halt.hidden = !now().running;
    pause.textContent = now().running === "paused" ? "▶ Resume" : "❚❚ Pause";
    if (!waiting()) layer.set(now().layer);
    heads.replaceChildren(dim("text of:"), ...now().columns.map(head));
    replaceFigure(stage, model.get("figure"));
    text.innerHTML = model.get("text"); // written and escaped by Python, from the lab's own text
    scrub.max = now().newest;
    const at = model.get("at") || now().newest;
    if (document.activeElement !== scrub || !model.get("at")) scrub.value = at;
    where.textContent = withCommas(at);
    reading.voice.setAttribute("aria-live", now().running ? "off" : "polite");
    reading.set(now().parts);
  }

  function download() {
    const { name, data } = model.get("file");
    if (name) el("a", { href: `data:application/octet-stream;base64,${data}`, download: name }).click();
  }

  const ended = show(layout, paint);
  model.on("change:file", download);
  return () => { ended(); model.off("change:file", download); };
}

// Expert partition. Python trains and draws (moe_lite/widgets/expert_partition*.py); this file has the controls.

function render({ model, el: host }) {
  const now = () => model.get("view");
  const { root, tag } = openRoot(host, "How do several small networks divide a problem?", model.get("source"));
  root.classList.add("part");
  const problem = errorBox();
  const status = el("span", { class: "dim", role: "status" });
  const reading = readingLine(() => model.get("n_experts"));
  const asking = asker(model, root, (text) => { status.textContent = text; });
  const ask = byPresses(model, root, asking.ask);

  const press = button("", () => ask({ presses: model.get("presses") + 1 }), { class: "pri" });
  const experts = slider({ label: "experts E", values: [1, 2, 3, 4, 5, 6, 7, 8], value: model.get("n_experts"), width: 110,
    onmove: (n) => ask({ n_experts: n }) });
  const loss = segmented({ label: "loss", options: [["competitive", "competitive"], ["cooperative", "cooperative"]],
    value: model.get("loss"), onpick: (name) => ask({ loss: name }) });
  const task = segmented({ label: "task", options: [["1-D", "1-D curve"], ["2-D", "2-D classes"]],
    value: model.get("task"), onpick: (name) => ask({ task: name }) });
  const line = el("div", { class: "hair" }, el("i"));
  const keys = el("div", { class: "keys" });
  const stage = el("div", { class: "stage fig" });
  root.append(
    el("div", { class: "ctl" }, press, experts.node, loss.node, task.node, status),
    line, problem.node, keys, stage, reading.node, reading.voice);

  function paint() {
    problem.set(model.get("error"));
    tag.textContent = model.get("source");
    tag.hidden = !tag.textContent;
    tag.classList.toggle("live", now().running);
    press.textContent = now().button;
    status.textContent = now().status;
    line.firstChild.style.width = `${100 * now().progress}%`;
    keys.replaceChildren(...now().facts.map(([value, name]) => el("div", {}, el("b", {}, value), el("span", {}, name))));
    if (!asking.waiting()) {
      experts.set(model.get("n_experts"));
      loss.set(model.get("loss"));
      task.set(model.get("task"));
    }
    const text = model.get("figure");
    const figure = text ? new DOMParser().parseFromString(text, "image/svg+xml").documentElement : null;
    stage.replaceChildren(...(figure ? [document.importNode(figure, true)] : []));
    reading.voice.setAttribute("aria-live", now().running ? "off" : "polite");
    reading.set(now().parts);
    redrawn(root);
  }

  const ended = whenChanged(model, ["figure", "view", "error", "source", "answered", "n_experts", "loss", "task"], paint);
  paint();
  const unwatched = followWidth(model, root, 460, 812, ask);
  return () => { ended(); unwatched(); };
}

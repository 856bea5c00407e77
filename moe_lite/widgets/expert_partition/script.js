// Expert partition. Python trains (lessons/mixture.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const status = el("span", { class: "dim", role: "status" });
  const it = panel(model, host, {
    nExperts: () => model.get("n_experts"), note: status, watch: ["n_experts", "loss", "task"], width: [460, 812],
  });
  const press = button("", () => it.ask({ presses: model.get("presses") + 1 }), { class: "pri" });
  const experts = it.slide("n_experts", "experts E", upTo(8));
  const loss = it.pick("loss", "loss", [["competitive", "competitive"], ["cooperative", "cooperative"]]);
  const task = it.pick("task", "task", [["1-D", "1-D curve"], ["2-D", "2-D classes"]]);
  const line = el("div", { class: "hair" }, el("i"));
  return it.show([[press, experts, loss, task, status], line, it.problem, it.keys, it.stage], () => {
    const now = model.get("view");
    it.tag.node.classList.toggle("live", now.running);
    press.textContent = now.button;
    status.textContent = now.status;
    line.firstChild.style.width = `${100 * now.progress}%`;
    it.keys.set(now.facts);
    replaceFigure(it.stage, model.get("figure"));
    it.reading.voice.setAttribute("aria-live", now.running ? "off" : "polite");
    it.reading.set(now.parts);
  });
}

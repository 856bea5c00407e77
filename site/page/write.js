// The model goes on where the text ends; with muted experts it writes twice, with all of them and without.

const TO_WRITE = 60; // tokens

function writePanel(host, model, call, modelFor) {
  const start = button("Write", run, { class: "pri" }), halt = button("Stop", () => call("stop", { id: running }), { hidden: true });
  const temperature = slider({ label: "temperature", values: [0, 0.5, 0.8, 1, 1.5], value: 0.8, width: 90, show: withDot, onmove: () => { note.textContent = ""; } });
  const note = el("p", { class: "note", role: "status" }), out = el("div", { class: "written" });
  host.append(el("div", { class: "ctl" }, start, halt, temperature.node), out, note);
  let writings = [], seed = 0, running = 0;

  function writing(caption, muted) {
    const node = tokenText(model, () => {}, () => {}, caption, { does: "does nothing", pick: () => {} });
    const rows = [];
    const data = { get k() { return rows[0]?.[0].experts.length ?? 1; }, experts: model.get("n_experts"), n: 0,
      expert: (layer, i, c) => rows[i]?.[layer]?.experts[c] ?? NONE, weight: (layer, i, c) => rows[i]?.[layer]?.weights[c] ?? 0, moved: () => false };
    const paint = () => { if (rows.length) node.paint(data, { layer: Math.min(model.get("layer") - 1, rows[0].length - 1), choice: Math.min(model.get("choice"), data.k - 1) }, model.get("picked"), model.get("by_weight")); };
    const add = ({ first, faces, rows: newest }) => {
      rows.push(newest);
      node.extend(first, faces);
      paint();
    };
    node.build({ tokens: [], sections: [["", 0, 0]] });
    return { muted, paint, add, node: el("div", {}, el("p", { class: "cap" }, caption), node.node) };
  }

  async function run() {
    const text = model.get("text"), n = model.get("n_experts"), topK = model.get("top_k"), muted = model.get("muted");
    if (!text.trim()) { note.textContent = "Type a beginning above first."; return; }
    [start.disabled, halt.hidden, note.textContent] = [true, false, ""];
    seed += 1;
    writings = [writing(muted.length ? "with all experts" : "it writes", []), ...(muted.length ? [writing(`without ${muted.length === 1 ? "expert" : "experts"} ${muted.join(", ")}`, muted)] : [])];
    out.replaceChildren(...writings.map(({ node }) => node));
    try {
      await modelFor(n);
      for (const one of writings) {
        const options = { nTokens: TO_WRITE, topK, muted: one.muted, temperature: temperature.value, seed };
        const { id, answer } = call("write", { n, text, ...options }, { onToken: one.add });
        running = id;
        if ((await answer).stopped) break;
      }
      note.textContent = temperature.value ? "Each writing draws its tokens anew." : "At temperature 0 it takes the likeliest token each time.";
    } catch (problem) {
      note.textContent = problem.message;
    }
    [start.disabled, halt.hidden] = [false, true];
  }
  // what was written after another text, or by another model, goes
  whenChanged(model, ["text", "n_experts", "top_k", "muted"], () => {
    if (running) call("stop", { id: running });
    [writings, note.textContent] = [[], ""];
    out.replaceChildren();
  });
  whenChanged(model, ["layer", "choice", "picked", "by_weight"], () => writings.forEach(({ paint }) => paint()));
}

// Router stepper. Python routes and draws (moe_lite/widgets/router_stepper/drawing.py); this file moves the elements of the old
// figure to the places of the new one, so that bars slide, and lays an input over each logit.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const { root, tag } = openRoot(host, "How do a router’s logits become weights?", model.get("source"));
  root.classList.add("stepper");
  const problem = errorBox();
  const note = el("p", { class: "note", role: "status" });
  const reading = readingLine(() => model.get("parts").grips?.values.length ?? 8);
  const asking = asker(model, root, (text) => { note.textContent = text; });
  const ask = byPresses(model, root, asking.ask);

  // ---- controls

  const upTo = (low, high) => Array.from({ length: high - low + 1 }, (_, i) => low + i);
  const withDot = (t) => (Number.isInteger(t) ? t.toFixed(1) : String(t));
  const steps = (t) => [...new Set([...fixed.temperatures, t])].sort((a, b) => a - b);
  const experts = slider({ label: "experts E", values: upTo(2, fixed.experts), value: model.get("n_experts"), width: 90, onmove: (n_experts) => ask({ n_experts }) });
  const topK = slider({ label: "top-k", values: upTo(1, model.get("n_experts")), value: model.get("top_k"), width: 90, onmove: (top_k) => ask({ top_k }) });
  const heat = slider({ label: "temperature T", values: steps(model.get("temperature")), value: model.get("temperature"), show: withDot, onmove: (temperature) => ask({ temperature }) });
  const rule = segmented({ label: "order of scoring and choosing", options: fixed.rules, value: model.get("rule"), onpick: (key) => ask({ rule: key }) });
  const renorm = checkbox({ label: "renormalise", value: model.get("renorm"), onmove: (on) => ask({ renorm: on }) });
  const before = new Text(), token = el("b"), after = new Text(), place = el("span", { class: "dim" });
  const turn = (by) => () => ask({ token: (model.get("token") + by + fixed.tokens) % fixed.tokens });
  const buttons = [button("‹", turn(-1), { "aria-label": "previous token" }), button("next token", turn(1))];
  const tokens = el("div", { class: "sent" }, el("code", { dir: "auto" }, before, token, after), ...(fixed.tokens > 1 ? [place, ...buttons] : []));
  const putBack = button("put the logits back", () => ask({ edits: {} }), { class: "link" });
  const stage = el("div", { class: "stage fig" });
  const grips = logitGrips(model, stage, ask);
  root.append(
    tokens,
    el("div", { class: "ctl" }, experts.node, topK.node, heat.node),
    el("div", { class: "ctl" }, rule.node, renorm.node, el("span", { class: "sp" }), putBack),
    problem.node, stage, note, reading.node, reading.voice);

  // ---- drawing

  let last = -Infinity;
  function paint() {
    // moves in quick succession (a key held down) do not slide: each would be cut off by the next
    root.classList.toggle("quick", performance.now() - last < 250);
    last = performance.now();
    const parts = model.get("parts"), n = model.get("n_experts");
    tag.textContent = model.get("source");
    tag.hidden = !tag.textContent;
    problem.set(model.get("error"));
    note.textContent = parts.note ?? "";
    if (!asking.waiting()) follow(n);
    place.textContent = `token ${(parts.token ?? 0) + 1} of ${fixed.tokens}`;
    [before.data, token.textContent, after.data] = parts.sentence ?? ["", "", ""];
    tokens.hidden = fixed.tokens === 0;
    putBack.hidden = Object.keys(model.get("edits")).length === 0;
    stage.hidden = !model.get("figure");
    if (!stage.hidden) {
      drawFigure(stage, model.get("figure"));
      grips.paint(parts.grips);
    }
    reading.set(parts.reading ?? [model.get("reading")]);
    redrawn(root);
  }

  function follow(n) {
    experts.set(n);
    topK.set(model.get("top_k"), upTo(1, n));
    heat.set(model.get("temperature"), steps(model.get("temperature")));
    rule.set(model.get("rule"));
    renorm.set(model.get("renorm"));
  }

  const ended = whenChanged(model, ["figure", "parts", "error", "source", "answered"], paint);
  paint();
  const unwatched = followWidth(model, root, 520, 812, ask);
  return () => { ended(); unwatched(); };
}

// ---- moving logits by hand

// One invisible range input over each row's logit: drag it, or ↑ ↓ by 0.1; ← → go to the other rows.
function logitGrips(model, stage, ask) {
  const group = roving(), hint = el("span", { class: "hint" }, "drag, or ↑ ↓");
  let inputs = [];
  stage.append(hint);
  const move = (expert) => {
    const raw = Number(inputs[expert].value);
    // a value as near as half a step to another expert's is that value: ties can be made by hand
    const others = model.get("parts").grips.values.filter((z, e) => e !== expert && z !== null && Math.abs(z - raw) < 0.05);
    const [nearest = raw] = others.sort((a, b) => Math.abs(a - raw) - Math.abs(b - raw));
    inputs[expert].setAttribute("aria-valuetext", nearest.toFixed(2));
    ask({ edits: { ...model.get("edits"), [expert]: nearest } });
  };
  const make = (expert) => el("input", {
    type: "range", step: 0.1, "aria-label": `logit of expert ${expert}`, title: "drag, or ↑ ↓",
    oninput: () => move(expert),
    onfocus: () => group.focus(expert, { quietly: true }),
    onkeydown: (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      group.focus(expert + by);
    },
  });
  const paint = ({ low, high, left, length, width, top, row, foot, values }) => {
    if (inputs.length !== values.length) {
      inputs.slice(values.length).forEach((input) => input.remove());
      inputs = values.map((_, e) => inputs[e] ?? make(e));
      stage.append(...inputs.filter((input) => !input.isConnected));
      group.use(inputs);
    }
    const height = top + row * values.length + foot;
    hint.style.left = `${(100 * (left + 48)) / width}%`;
    inputs.forEach((input, e) => {
      input.min = low;
      input.max = high;
      input.disabled = values[e] === null;
      if (document.activeElement !== input || !input.closest(".drag")) input.value = values[e] ?? 0;
      input.setAttribute("aria-valuetext", values[e] === null ? "not a number" : values[e].toFixed(2));
      // the thumb of an input, 14 px wide, stays inside of it
      input.style.left = `calc(${(100 * left) / width}% - 7px)`;
      input.style.width = `calc(${(100 * length) / width}% + 14px)`;
      input.style.top = `${(100 * (top + row * e + 1)) / height}%`;
    });
  };
  return { paint };
}

// Router stepper. Python routes (view.py) and draws (drawing.py); this file moves the elements of the old figure to the
// places of the new one, so that bars slide, and lays an input over each logit.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const { ask, waiting, slide, pick, problem, stage, note, reading, show } = panel(model, host, {
    nExperts: () => model.get("parts").grips?.values.length ?? 8, width: [520, 812],
  });

  // ---- controls

  const experts = slide("n_experts", "experts E", upTo(fixed.experts).slice(1), { width: 90 });
  const topK = slide("top_k", "top-k", () => upTo(model.get("n_experts")), { width: 90 });
  const heat = slide("temperature", "temperature T", () => withStep(fixed.temperatures, model.get("temperature")), { show: withDot });
  const rule = pick("rule", "order of scoring and choosing", fixed.rules);
  const renorm = checkbox({ label: "renormalise", value: model.get("renorm"), onmove: (on) => ask({ renorm: on }) });
  const before = new Text(), token = el("b"), after = new Text(), place = el("span", { class: "dim" });
  const turn = (by) => () => ask({ token: (model.get("token") + by + fixed.tokens) % fixed.tokens });
  const buttons = [button("‹", turn(-1), { "aria-label": "previous token" }), button("next token", turn(1))];
  const tokens = el("div", { class: "sent" }, el("code", { dir: "auto" }, before, token, after), ...(fixed.tokens > 1 ? [place, ...buttons] : []));
  const putBack = button("put the logits back", () => ask({ edits: {} }), { class: "link" });
  const grips = logitGrips(model, stage, ask);

  // ---- drawing

  const layout = [tokens, [experts, topK, heat], [rule, renorm, el("span", { class: "sp" }), putBack], problem, stage, note];
  return show(layout, () => {
    const parts = model.get("parts");
    note.textContent = parts.note ?? "";
    if (!waiting()) renorm.set(model.get("renorm"));
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
  });
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

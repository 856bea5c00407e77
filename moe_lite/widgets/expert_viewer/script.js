// Expert viewer. Python counts (view.py), writes (words.py) and draws the tables (drawing.py); this file has the
// controls and the text, which it draws with the token viewer's parts.js.

function render({ model, el: host }) {
  const fixed = model.get("fixed"), state = { page: null, pointed: -1 };
  const view = () => model.get("view");
  const it = panel(model, host, { nExperts: () => view().experts ?? 8, watch: ["page", "text"] });

  // ---- controls

  const experts = it.slide("n_experts", "experts", fixed.counts, { width: 70 });
  experts.node.hidden = fixed.counts.length < 2;
  const layer = it.slide("layer", "layer", () => upTo(view().layers ?? 1), { width: 90 });
  const choice = it.pick("choice", "choice shown", fixed.ordinals.map((word, c) => [c, c < 2 ? `${word} choice` : word]));
  const box = el("textarea", { rows: 2, "aria-label": "text", placeholder: fixed.empty, spellcheck: "false", dir: "auto" });
  let typing = null, shown = null;
  box.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      typing = null;
      shown = box.value.replace(/\p{Surrogate}/gu, "\ufffd");
      it.ask({ text: shown });
    }, 250);
  });
  const select = (expert) => { if (expert >= 0 && expert < view().experts && expert !== view().expert) it.ask({ expert }); };
  const toggle = () => it.ask({ muted: !view().muted });
  const mute = button("", toggle, { class: "mute" });

  // ---- heatmap: a click in a column selects its expert; the heads are one stop, ← → select as they go

  const heat = el("div", { class: "fig" }), ramp = el("div"), columns = roving();
  replaceHtml(ramp, fixed.ramp);
  const expertAt = (event) => Number(event.target.closest?.("[data-expert]")?.dataset.expert ?? -1);
  heat.addEventListener("click", (event) => {
    const expert = expertAt(event);
    if (expert >= 0) columns.focus(expert);
    select(expert);
  });
  heat.addEventListener("keydown", (event) => {
    const at = expertAt(event), last = view().experts - 1;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last }[event.key];
    if (at < 0 || to === undefined) return;
    const expert = Math.min(last, Math.max(0, to));
    columns.focus(expert);
    select(expert);
    event.preventDefault();
  });

  // ---- text

  const shownExpert = (i) => view().chosen?.[i]?.[model.get("choice")] ?? NONE;
  const tokens = tokenText(model, () => {}, (i) => { if (i !== state.pointed) tokens.mark((state.pointed = i), false); }, "",
    { does: "selects its expert", pick: (i) => { if (shownExpert(i) !== NONE) select(shownExpert(i)); } });
  const caption = el("div"), text = el("div", { class: "fig" }, tokens.node);
  const data = {
    get k() { return view().k; },
    get experts() { return view().experts; },
    expert: (_, i) => shownExpert(i),
    moved: (_, i) => Boolean(view().moved[i]?.[model.get("choice")]),
    off: (_, i) => (view().muted ? !data.moved(_, i) : shownExpert(i) !== view().expert),
  };

  // ---- the expert's card

  const name = el("div", { class: "title" }), facts = keyFigures(), domains = el("div"), top = el("div");
  const who = el("div", { class: "who" }, name, mute);
  const card = el("div", { class: "card fig" }, domains, top);
  it.root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !event.target.closest("table.heat, [data-i]")) return;
    const digit = Number(event.key);
    if (event.key === "m") toggle();
    else if (digit >= 1 && digit <= view().layers) it.ask({ layer: digit });
  });
  const corrected = el("p", { class: "note", role: "status" });

  return it.show([
    [experts, layer], corrected, it.problem, heat, ramp, box, [choice], caption, text, who, facts, card, it.note,
  ], () => {
    const now = view();
    if (model.get("text") !== shown && typing === null && !it.waiting()) {
      shown = model.get("text");
      if (box.value !== shown) box.value = shown;
    }
    it.reading.set(now.reading ?? [model.get("reading")]);
    [heat, ramp, caption, text, who, facts.node, card, choice.node].forEach((node) => { node.hidden = !now.heat; });
    corrected.textContent = now.corrected ?? "";
    corrected.hidden = !corrected.textContent;
    it.note.textContent = now.note ?? "";
    if (!now.heat) return;
    drawHtml(heat, now.heat);
    columns.use([...heat.querySelectorAll("th button")]);
    if (!heat.contains(document.activeElement)) columns.focus(now.expert, { quietly: true });
    if (model.get("page") !== state.page) {
      state.page = model.get("page");
      state.pointed = -1;
      tokens.build(state.page);
    }
    choice.buttons.forEach((node, c) => { node.hidden = c >= now.k; });
    choice.node.hidden = now.k < 2;
    if (now.chosen.length) tokens.paint(data, { layer: 0, choice: model.get("choice") }, [], false);
    replaceHtml(caption, now.caption);
    name.replaceChildren("Expert ", badge(now.expert, now.experts), ` in layer ${now.layer}`);
    mute.textContent = `Mute expert ${now.expert} in layer ${now.layer}`;
    mute.setAttribute("aria-pressed", String(now.muted));
    facts.set(now.facts);
    drawHtml(domains, now.domains);
    drawHtml(top, now.top);
  });
}

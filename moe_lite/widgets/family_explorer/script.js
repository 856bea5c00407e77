// Family explorer. Python routes (view.py), writes (words.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const { families, tokens, most, experts, strengths, others, width } = model.get("fixed");
  const it = panel(model, host, { nExperts: () => experts, width });

  // ---- controls

  const choose = (trait, label) => {
    const groups = families.map(([year, group]) =>
      el("optgroup", { label: year }, ...group.map(([name, title]) => el("option", { value: name }, title))));
    const node = el("select", { "aria-label": label, onchange: () => it.ask({ [trait]: node.value }) }, ...groups);
    return { node, set: () => { node.value = model.get(trait); } };
  };
  const left = choose("left", "first family"), right = choose("right", "second family");
  const topK = it.slide("top_k", "k", upTo(most), { width: 80 });
  const bias = it.slide("bias", "bias ×", () => withStep(strengths, model.get("bias")), { width: 80 });
  const text = tokenRow(tokens, () => model.get("token"), (token) => it.ask({ token }));
  const rules = el("div", { class: "rules" });

  return it.show([
    text, [el("span", { class: "pair" }, left.node, el("span", { class: "dim" }, "against"), right.node), topK, bias],
    it.problem, it.stage, it.note, rules, el("p", { class: "note" }, others),
  ], () => {
    const { reading = [], note = "", biased = true, rules: told = [] } = model.get("parts");
    if (!it.waiting()) [left, right, text].forEach((control) => control.set());
    it.note.textContent = note;
    bias.input.disabled = !biased;
    bias.node.classList.toggle("off", !biased);
    if (model.get("figure")) drawFigure(it.stage, model.get("figure"));
    rules.replaceChildren(...told.map(([name, when, rows]) => el("div", {},
      el("p", { class: "whose" }, el("b", {}, name), " ", el("span", { class: "dim" }, when)),
      ...rows.map(([key, words]) => el("p", { class: key.split(" ")[0] }, words)))));
    it.reading.set(reading);
  });
}

// The sentence, one token of which is chosen: a click, or ← → Home End, which choose as they go.
function tokenRow(tokens, chosen, onpick) {
  const group = roving();
  const pick = (at) => {
    const token = Math.min(tokens.length - 1, Math.max(0, at));
    group.focus(token);
    if (items[token].getAttribute("aria-checked") === "true") return;
    mark(token);
    onpick(token);
  };
  const keys = { ArrowRight: (i) => i + 1, ArrowDown: (i) => i + 1, ArrowLeft: (i) => i - 1, ArrowUp: (i) => i - 1, Home: () => 0, End: () => tokens.length - 1 };
  const items = tokens.map(([gap, name], i) => el("span", {
    class: gap ? "tok gap" : "tok", role: "radio", "data-i": i, onclick: () => pick(i),
    onkeydown: (event) => {
      if (event.key === " " || event.key === "Enter") pick(i);
      else if (keys[event.key]) pick(keys[event.key](i));
      else return;
      event.preventDefault();
    },
  }, name));
  const mark = (token) => items.forEach((item, i) => item.setAttribute("aria-checked", String(i === token)));
  group.use(items);
  const node = el("div", { class: "toks", role: "radiogroup", "aria-label": "token", dir: "auto" }, ...items);
  node.hidden = !tokens.length;
  const set = () => { mark(chosen()); group.focus(chosen(), { quietly: true }); };
  return { node, set };
}

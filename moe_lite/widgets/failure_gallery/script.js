// Failure gallery. Python keeps what is under which letter, judges (view.py) and draws (drawing.py).

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const now = () => model.get("view");
  const score = el("span", { class: "dim", role: "status" });
  const { ask, problem, stage, reading, show } = panel(model, host, { note: score, width: [fixed.narrowest, fixed.widest] });

  // ---- cases: one Tab stop, arrow keys inside

  const letters = now().cases.map(([letter]) => letter);
  const lookAt = (letter) => ask({ case: letter });
  const tabs = letters.map((letter) => el("button", { type: "button", onclick: () => { group.focus(letters.indexOf(letter)); lookAt(letter); } }));
  const row = el("span", { class: "seg cases", role: "group", "aria-label": "case" }, ...tabs);
  const group = roving();
  group.use(tabs);
  row.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: group.at - 1, ArrowRight: group.at + 1, Home: 0, End: letters.length - 1 }[event.key];
    if (to === undefined || to < 0 || to >= letters.length) return;
    event.preventDefault();
    group.focus(to);
    lookAt(letters[to]);
  });

  // ---- the answer: chosen, then given, so that arrow keys in the list give none

  const choice = el("select", { "aria-label": "what is it?", onchange: () => press() },
    el("option", { value: "" }, "what is it?"), ...fixed.choices.map(([name, title]) => el("option", { value: name }, title)));
  const give = button("Answer", () => ask({ answers: [...model.get("answers"), [model.get("case"), choice.value]] }), { class: "pri" });
  const press = () => { give.disabled = choice.value === "" || choice.value === now().given; };
  const said = el("p", { class: "said", role: "status", hidden: true });

  // ---- drawing

  let drawn = null;
  return show([[row, choice, give, el("span", { class: "sp" }), score], problem, stage, said], () => {
    const letter = model.get("case");
    now().cases.forEach(([name, verdict], i) => {
      tabs[i].replaceChildren(name, el("span", { class: `mark ${verdict}` }, { right: "✓", wrong: "✗" }[verdict] ?? ""));
      tabs[i].setAttribute("aria-label", `case ${name}${verdict ? `, answered ${verdict}` : ""}`);
      tabs[i].setAttribute("aria-pressed", String(name === letter));
    });
    if (!row.contains(document.activeElement)) group.focus(letters.indexOf(letter), { quietly: true });
    const place = `${letter} ${now().given}`;
    if (place !== drawn) choice.value = now().given;
    drawn = place;
    press();
    score.textContent = now().score;
    drawFigure(stage, model.get("figure"));
    said.hidden = !now().feedback;
    said.textContent = now().feedback.replaceAll(" %", "\u00a0%");
    reading.set([model.get("reading")]);
  });
}

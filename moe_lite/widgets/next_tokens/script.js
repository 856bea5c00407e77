// Next-token bars. The kernel runs the model, draws and counts (view.py); this file shows what it sent and asks for more.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const { ask, waiting, slide, problem, note, reading, show } = panel(model, host, { watch: ["line", "text"] });

  // ---- controls

  const box = el("textarea", { rows: 2, "aria-label": "text", placeholder: fixed.empty, spellcheck: "false", dir: "auto" });
  let typing = null, shown = null, wanted = model.get("n_drawn");
  box.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(sendText, 200);
  });
  function sendText() {
    clearTimeout(typing);
    typing = null;
    wanted = 0;
    ask({ text: box.value.replace(/\p{Surrogate}/gu, "\ufffd"), n_drawn: 0 });
  }
  const drawUpTo = (n) => {
    if (typing !== null) sendText(); // a draw goes on from what stands in the box
    wanted = Math.max(0, n);
    ask({ n_drawn: wanted });
  };
  const heat = slide("temperature", "temperature", () => withStep(fixed.temperatures, model.get("temperature")), { width: 120, show: withDot });
  const one = button("draw", () => drawUpTo(wanted + 1), { class: "pri" });
  const many = button("draw 20", () => drawUpTo(wanted + 20));
  const undo = button("undo", () => drawUpTo(wanted - 1));
  const reset = button("reset", () => {
    clearTimeout(typing);
    typing = null;
    wanted = 0;
    ask({ text: fixed.text, n_drawn: 0 });
  });
  const sofar = drawnLine();
  const bars = tokenBars();

  // ---- drawing

  const layout = [
    box,
    [heat, el("span", { class: "dim" }, fixed.zero), el("span", { class: "draws" }, one, many, undo, reset)],
    problem, sofar, bars, note,
  ];
  return show(layout, () => {
    note.textContent = model.get("note");
    note.hidden = !note.textContent;
    const text = model.get("text"), some = Boolean(model.get("figure").rows);
    if (!waiting()) {
      wanted = model.get("n_drawn");
      if (typing === null && text !== shown) {
        shown = text;
        if (box.value !== text) box.value = text;
      }
    }
    one.disabled = many.disabled = !some;
    undo.disabled = !some || model.get("n_drawn") === 0;
    reset.disabled = model.get("n_drawn") === 0 && text === fixed.text;
    sofar.paint(some ? model.get("line") : null);
    bars.paint(some ? model.get("figure") : null, model.get("reading"));
    reading.set(model.get("parts"));
  });
}

// ---- the text so far: its end, then each drawn token underlined; one Tab stop, ← → go from token to token

function drawnLine() {
  const group = roving(), tail = el("span", { class: "dim" }), tokens = el("span", {});
  const facts = el("div", { class: "facts" });
  const text = el("div", { class: "sofar", dir: "auto" }, tail, tokens);
  const node = el("div", { hidden: true }, text, facts);
  let shown = null, drawn = [];
  const tell = (i) => { facts.textContent = drawn[i]?.[1] ?? "drawn: nothing yet"; };
  const latest = () => tell(drawn.length - 1);
  const make = ([token, about], i) => el("u", {
    role: "note", "aria-label": about, onpointerenter: () => tell(i), onpointerleave: latest, onfocus: () => { group.focus(i, { quietly: true }); tell(i); }, onblur: latest,
    onkeydown: (event) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: drawn.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      group.focus(to);
    },
  }, token);
  const paint = (line) => {
    node.hidden = line === null;
    if (line === null || line === shown) return;
    shown = line;
    drawn = line.drawn;
    tail.textContent = line.tail;
    const nodes = drawn.map(make);
    tokens.replaceChildren(...nodes);
    group.use(nodes);
    group.focus(nodes.length - 1, { quietly: true });
    text.scrollTop = text.scrollHeight;
    latest();
  };
  return { node, paint };
}

// ---- one row a token, and one for all others

function tokenBars() {
  const node = el("div", { class: "nt fig", role: "img", hidden: true });
  const key = el("span", { class: "key" }, el("u"), "before the move");
  const head = el("div", { class: "row h" }, el("span", {}, "next token"), el("span", { class: "r" }, "probability"), key);
  let rows = [];
  const make = (kind) => {
    const name = el(kind, { dir: "auto" }), b = bar(), value = el("span", { class: "r" });
    node.append(el("div", { class: "row" }, name, value, b.node));
    return { name, b, value };
  };
  const paint = (figure, label) => {
    node.hidden = figure === null;
    if (figure === null) return;
    const all = figure.others.length ? [...figure.rows, figure.others] : figure.rows;
    if (rows.length !== all.length) {
      node.replaceChildren(head);
      rows = all.map((_, i) => make(i < figure.rows.length ? "code" : "span"));
    }
    all.forEach(([name, printed, share, was], i) => {
      rows[i].name.textContent = rows[i].name.title = name;
      rows[i].value.textContent = printed;
      rows[i].b.set(share, { open: i >= figure.rows.length, was });
    });
    key.hidden = all.every(([, , , was]) => was === null);
    node.setAttribute("aria-label", label);
  };
  return { node, paint };
}

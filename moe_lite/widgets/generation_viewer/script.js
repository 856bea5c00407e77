// Generation viewer. The kernel generates, routes and counts (view.py, drawing.py); this file adds what is new to what it
// has. The text is the token viewer's (parts.js there).

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const { root, tag } = openRoot(host, model);
  const problem = errorBox();
  const note = el("p", { class: "note", role: "status", hidden: true });
  const reading = readingLine(() => model.get("prompted").experts ?? 8);
  const asking = asker(model, root, (text) => { note.textContent = text; note.hidden = false; });
  let telling = null; // what the page does alone is told to the kernel when the hand rests
  const put = (name, value) => {
    model.set(name, value);
    clearTimeout(telling);
    telling = setTimeout(() => model.save_changes(), 120);
  };

  // What has come so far. `lacks`: a message has been missed, or this view began late; all has been asked for again.
  const all = { run: null, tokens: [], choice: [], weight: [], beside: [], lacks: false };
  const state = { prompted: null, news: null, pointed: -1 };
  const running = () => model.get("state") === "running";
  const onPointed = (i) => { if (i !== state.pointed) { state.pointed = i; paintPointed(); } };

  // ---- controls

  const box = el("textarea", { rows: 2, "aria-label": "prompt", placeholder: fixed.empty, spellcheck: "false", dir: "auto" });
  const typed = () => box.value.replace(/\p{Surrogate}/gu, "\ufffd");
  let typing = null, shown = null;
  box.addEventListener("input", () => {
    clearTimeout(typing);
    go.disabled = !box.value;
    typing = setTimeout(() => { typing = null; ask({ prompt: typed() }); }, 250);
  });
  const ask = (values) => asking.ask(values);
  const generate = () => {
    clearTimeout(typing);
    typing = null;
    if (box.value) ask({ prompt: typed(), temperature: heat.value, seed: chance.value, starts: model.get("starts") + 1 });
  };
  const stop = () => { if (running()) ask({ stops: model.get("stops") + 1 }); };
  const go = button("Generate", generate, { class: "pri", title: "Ctrl + Enter" });
  const halt = button("Stop", stop, { title: "Esc" });
  const sliderOf = (name, label, values, width, show) => slider({ label, values: withStep(values, model.get(name)), value: model.get(name), width, show,
    onmove: (value) => ask({ [name]: value }) });
  const heat = sliderOf("temperature", "temperature T", fixed.temperatures, 110, withDot);
  const chance = sliderOf("seed", "seed", fixed.seeds, 90, String);
  const layer = slider({ label: "layer", values: [1], value: 1, width: 90, onmove: (value) => put("layer", value) });
  const choice = segmented({ label: "choice shown", value: 0, onpick: (c) => put("choice", c),
    options: fixed.ordinals.map((word, c) => [c, c < 2 ? `${word} choice` : word]) });

  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); generate(); return; }
    if (event.key === "Escape") {
      if (running()) stop(); else { put("pinned", -1); onPointed(-1); }
      return;
    }
    const digit = Number(event.key);
    if (!figure.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (digit >= 1 && digit <= (state.prompted?.layers ?? 0)) put("layer", digit);
  });

  // ---- figure

  const facts = el("p", { class: "cap dim" });
  const text = tokenText(model, put, onPointed, "new");
  const prompt = el("span", { class: "prompt" }), beside = el("span", { class: "beside" });
  const second = el("div", { class: "dom" }, el("span", {}, fixed.names[1] ?? ""), el("div", { class: "tx" }, el("span", { class: "prompt" }, "…"), beside));
  const rail = shareRail();
  const how = el("p", { class: "note" }, fixed.how);
  const figure = el("div", { class: "fig" }, facts, el("div", { class: "tv" }, el("div", {}, text.node, second), rail.node), how);
  root.append(box,
    el("div", { class: "ctl" }, heat.node, chance.node, el("span", { class: "draws" }, go, halt)),
    el("div", { class: "ctl" }, layer.node, choice.node),
    note, problem.node, figure, reading.node, reading.voice);

  function begin(prompted) {
    state.prompted = prompted;
    state.pointed = -1;
    text.build({ tokens: [], sections: prompted.text ? [[fixed.names[0] ?? "", 0, 0]] : [] });
    text.node.querySelector(".tx")?.append(prompt);
    prompt.textContent = prompted.text ?? "";
    Object.assign(all, { run: null, tokens: [], choice: [], weight: [], beside: [] });
  }

  // Adds a message. One that does not follow what has come shows that another was missed.
  function add(news) {
    state.news = news;
    if (news.first === undefined) return;
    const { k, layers } = state.prompted, each = k * layers;
    if (news.run !== all.run && news.first > 0 || news.first > all.tokens.length) {
      if (!all.lacks) ask({ lacking: model.get("lacking") + 1 });
      all.lacks = true;
      return;
    }
    const kept = (list) => list.slice(0, news.first);
    all.run = news.run;
    all.lacks = false;
    all.tokens = [...kept(all.tokens), ...news.tokens];
    const perToken = (read) => news.tokens.map((_, j) => Array.from({ length: each }, (_, n) => read(j * each + n)));
    all.choice = [...kept(all.choice), ...perToken((n) => news.choice.getUint8(n))];
    all.weight = [...kept(all.weight), ...perToken((n) => news.weight.getUint16(2 * n, true))];
    all.beside = [...all.beside.slice(0, news.beside[0]), ...news.beside[1]]; // by characters, as the kernel counts
    text.extend(news.first, news.tokens);
    beside.textContent = all.beside.join("");
  }

  // What tokenText paints from: expert, weight and the like of a token in a layer.
  const data = {
    get k() { return state.prompted.k; },
    get experts() { return state.prompted.experts; },
    expert: (l, i, c) => all.choice[i][l * data.k + c],
    weight: (l, i, c) => all.weight[i][l * data.k + c],
    moved: () => false,
    chosen: (l, i) => all.choice[i].slice(l * data.k, (l + 1) * data.k).filter((e) => e !== NONE),
  };

  function paint() {
    const prompted = model.get("prompted"), news = model.get("news");
    if (prompted !== state.prompted) begin(prompted);
    if (news !== state.news) add(news);
    tag.set(model.get("source"));
    problem.set(model.get("error"));
    note.textContent = model.get("note");
    note.hidden = !note.textContent;
    follow();
    const some = Boolean(prompted.text);
    figure.hidden = !some;
    if (some) {
      text.paint(data, { layer: model.get("layer") - 1, choice: model.get("choice") }, [], false);
      rail.paint(prompted, news, model.get("layer") - 1);
      facts.textContent = news.facts ?? "";
      facts.hidden = !facts.textContent;
      second.hidden = !fixed.names.length || !all.tokens.length;
    }
    paintPointed();
  }

  function follow() {
    const { layers = 1, k = 1 } = state.prompted, busy = running();
    layer.set(Math.min(model.get("layer"), layers), upTo(layers));
    choice.set(model.get("choice"));
    choice.buttons.forEach((node, c) => { node.hidden = c >= k; });
    choice.node.hidden = k < 2;
    reading.voice.setAttribute("aria-live", busy ? "off" : "polite"); // a sentence a token would be too many
    halt.disabled = !busy;
    if (typing === null && !asking.waiting() && model.get("prompt") !== shown) {
      shown = model.get("prompt");
      if (typed() !== shown) box.value = shown;
    }
    go.disabled = !box.value;
    if (asking.waiting()) return;
    heat.set(model.get("temperature"), withStep(fixed.temperatures, model.get("temperature")));
    chance.set(model.get("seed"), withStep(fixed.seeds, model.get("seed")));
  }

  // The token that the reading line is about: the pinned one, else the one under the pointer or the focus.
  function paintPointed() {
    const pinned = model.get("pinned"), i = pinned >= 0 && pinned < all.tokens.length ? pinned : state.pointed;
    text.mark(i, i === pinned && i >= 0);
    reading.set(state.prompted.text && state.news?.spread ? readingParts(model.get("layer") - 1, i) : [model.get("reading")]);
    if (!asking.waiting()) redrawn(root); // what the kernel was asked for is still to come
  }

  function readingParts(l, i) {
    if (i < 0 || !all.tokens[i]) return state.news.spread[l];
    const before = i ? plainToken(all.tokens[i - 1]) : state.prompted.last.replaceAll("\n", "");
    const chosen = data.chosen(l, i), weights = chosen.map((_, c) => (data.weight(l, i, c) / 100).toFixed(2));
    return sentence(fixed.say.made, {
      token: { code: plainToken(all.tokens[i]) }, input: { code: before }, layer: String(l + 1),
      experts: named(chosen), weights: [chosen.length === 1 ? "weight " : "weights ", ...listed(weights)],
    });
  }

  const names = ["prompted", "news", "state", "layer", "choice", "pinned", "error", "note", "source", "prompt",
    "temperature", "seed", "reading", "answered"];
  const ended = whenChanged(model, names, paint);
  paint();
  return ended;
}

// One row an expert: its share of the assignments that made the text so far, a tick at its share of the prompt's.
function shareRail() {
  const body = el("div"), fair = el("div", { class: "fair" });
  const key = el("span", { class: "key" }, el("u"), "prompt");
  const node = el("div", { class: "rail", role: "img" }, el("div", { class: "row h" }, el("span"), el("span", {}, "share of assignments ", key)), body, fair);
  let rows = [];
  const percent = (share) => (share > 0 && share < 0.005 ? "<1 %" : `${Math.round(100 * share)} %`);
  const sharesOf = (load) => {
    const sum = load.reduce((a, b) => a + b, 0) || 1;
    return load.map((n) => n / sum);
  };
  function build(experts) {
    rows = Array.from({ length: experts }, (_, e) => {
      const share = bar(), value = el("span", { class: "r" }), line = el("s");
      share.node.append(line);
      return { share, value, line, row: el("div", { "data-expert": e, class: `row ${expertClass(e, experts)}` }, badge(e, experts), share.node, value) };
    });
    body.replaceChildren(...rows.map(({ row }) => row));
  }
  function paint(prompted, news, layer) {
    const { experts, full } = prompted;
    if (rows.length !== experts) build(experts);
    const shares = sharesOf(news.load?.[layer] ?? prompted.load[layer].map(() => 0)), was = sharesOf(prompted.load[layer]);
    rows.forEach(({ share, value, line }, e) => {
      share.set(shares[e] / full, { was: was[e] / full });
      line.style.left = `${100 / experts / full}%`;
      value.textContent = percent(shares[e]);
    });
    fair.textContent = `fair share ${prompted.fair}`;
    node.setAttribute("aria-label", `Shares of the experts: ${shares.map((share, e) => `${e}: ${percent(share)}`).join(", ")}`);
  }
  return { node, paint };
}

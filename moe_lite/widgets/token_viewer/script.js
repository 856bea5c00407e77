// Token viewer. The kernel routes (view.py); this file draws what it sent (page.py) with parts.js and counts nothing but
// tokens. The spans of a text are built once; after that only classes, numerals and bar lengths change.
// With a model before there are two sides, each text and rail of one model; one of them or both are seen.

const ROUTED = { before: "routed_before", after: "routed" };

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const { root, tag } = openRoot(host, model);
  const problem = errorBox();
  const note = el("p", { class: "note", role: "status", hidden: true });
  const reading = readingLine(() => model.get("routed").experts ?? 8);
  const asking = asker(model, root, (text) => { note.textContent = text; note.hidden = false; });
  let telling = null; // what the page does alone is told to the kernel when the hand rests
  const put = (name, value) => {
    model.set(name, value);
    clearTimeout(telling);
    telling = setTimeout(() => model.save_changes(), 120);
  };

  const state = { page: null, pointed: -1 };
  const onPointed = (i) => { if (i !== state.pointed) { state.pointed = i; paintPointed(); } };
  const paging = el("p", { class: "note" });
  const key = el("span", { class: "dim key" }, el("u"), "another expert than before");
  const sides = Object.fromEntries((fixed.names.badges ? ["before", "after"] : ["after"]).map((side) => [side, viewerSide(side)]));
  const { after } = sides;
  const shown = () => (sides.before ? model.get("shown") : "after");
  const seen = (side) => shown() === side || shown() === "both";
  const controls = viewerControls(model, put, asking);
  const compare = segmented({ label: "model shown", value: shown(), options: ["before", "after", "both"].map((word) => [word, word]),
    onpick: (which) => put("shown", which) });
  compare.node.classList.add("compare");
  if (sides.before) controls.nodes.at(-1).append(compare.node);
  const figure = el("div", { class: "fig" }, ...Object.values(sides).map(({ node }) => node));
  root.append(...controls.nodes, note, problem.node, figure, sides.before ? paging : "", reading.node, reading.voice);

  root.addEventListener("keydown", (event) => {
    const layer = Number(event.key);
    if (!figure.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { put("pinned", -1); onPointed(-1); }
    else if (layer >= 1 && layer <= (after.routed?.layers ?? 0)) put("layer", layer);
  });

  // Text and rail of one model. take() unpacks what the kernel sent, if that is new.
  function viewerSide(side) {
    const text = tokenText(model, put, onPointed, fixed.names.badges ? side : ""), rail = expertRail(model, put, asking.ask);
    const caption = el("p", { class: "cap" }, el("b", {}, side), " ", el("span", { class: "dim" }, fixed.names.captions?.[side] ?? ""), side === "after" ? key : null);
    const node = el("div", { class: "side" }, fixed.names.badges ? caption : null, el("div", { class: "tv" }, el("div", {}, text.node, fixed.names.badges ? null : paging), rail.node));
    const it = { side, node, text, rail, routed: null, data: null };
    it.take = () => {
      const routed = model.get(ROUTED[side]);
      if (routed === it.routed) return;
      it.routed = routed;
      it.data = routed.choice ? unpack(routed) : null;
    };
    return it;
  }

  // ---- drawing

  function take() {
    const page = model.get("page");
    for (const it of Object.values(sides)) {
      it.take();
      if (page !== state.page) it.text.build(page);
    }
    if (page === state.page) return;
    state.page = page;
    state.pointed = -1;
    drawPaging();
  }

  function paint() {
    take();
    tag.set(fixed.names.badges?.[shown()] ?? model.get("source"));
    problem.set(model.get("error"));
    note.textContent = model.get("note");
    note.hidden = !note.textContent;
    compare.set(shown());
    controls.follow(after.routed, seen("before") ? "" : after.routed.loss); // the loss is that of the model after
    const some = after.data !== null, both = shown() === "both";
    figure.hidden = !some;
    paging.hidden = !some || !paging.textContent.trim();
    key.hidden = !both;
    figure.className = `fig${both ? " pair" : ""}${sides.before && !both ? " alone" : ""}`;
    const at = { layer: model.get("layer") - 1, choice: model.get("choice") };
    for (const it of Object.values(sides)) {
      it.node.hidden = !seen(it.side);
      if (!some || it.node.hidden) continue;
      it.text.paint(both ? changedIn(it) : it.data, at, model.get("picked"), model.get("by_weight"));
      it.rail.paint(it.routed, at.layer);
    }
    paintPointed();
  }

  // Where both are seen, the bar below a token of the one after means: another expert than before.
  function changedIn({ side, data }) {
    if (side === "before") return { ...data, moved: () => false };
    const { changed } = after.routed;
    return { ...data, moved: (layer, i, c) => changed.getUint8((layer * data.n + i) * data.k + c) === 1 };
  }

  // The token whose scores are shown: the pinned one, else the one under the pointer or the focus. Framed on both sides.
  function paintPointed() {
    const pinned = model.get("pinned"), i = pinned >= 0 ? pinned : state.pointed;
    for (const { text, rail, data, node } of Object.values(sides)) {
      if (node.hidden) continue;
      text.mark(i, pinned >= 0);
      const token = state.page.tokens?.[i];
      if (data) rail.scores(data, model.get("layer") - 1, i, token ? plainToken(token) : "");
    }
    reading.set(after.data ? readingParts(model.get("layer") - 1, i) : [model.get("reading")]);
    if (!asking.waiting()) redrawn(root); // what the kernel was asked for is still to come
  }

  function readingParts(layer, i) {
    const choice = model.get("choice"), both = shown() === "both";
    const { routed, data } = both ? after : sides[shown()];
    const about = sentenceAbout(routed, data, layer, choice, i);
    if (!both) return [...(about ?? routed.spread[layer]), ...routed.moves[layer][choice], fixed.names.closing?.[shown()] ?? ""];
    return [...(about ? [...about, ...sentenceBefore(layer, choice, i)] : routed.pair[layer][choice]), ...routed.pair_moves[layer][choice]];
  }

  // About the token, else about the picked experts, else null: the sentence about the layer comes from the kernel.
  function sentenceAbout(routed, data, layer, choice, i) {
    const picked = model.get("picked");
    if (i >= 0) return tokenSentence(fixed.say.token, state.page.tokens[i], data, layer, i);
    return picked.length ? pickedSentence(fixed, state.page, data, layer, choice, picked) : null;
  }

  function sentenceBefore(layer, choice, i) {
    const { data } = sides.before;
    if (i >= 0) return sentence(fixed.say.then_token, namedChoice(data, layer, i));
    const taken = takenBy(model.get("picked"), data, layer, choice, 0, data.n);
    return sentence(fixed.say.then_picked, { count: count(taken), n: count(data.n) });
  }

  function drawPaging() {
    const { first = 0, total = 0, size = 1, cut = "", tokens = [] } = state.page, stop = first + tokens.length;
    const go = (to, words) => button(words, () => asking.ask({ first: to }), { class: "link" });
    const range = first === 0 ? `First ${count(stop)} of ${count(total)} tokens` : `Tokens ${count(first + 1)} to ${count(stop)} of ${count(total)}`;
    const parts = total > tokens.length ? [`${range}. `,
      stop < total && go(stop, `Show the next ${count(Math.min(size, total - stop))}`), " ",
      first > 0 && go(first - size, `Show the previous ${count(size)}`), " "].filter(Boolean) : [];
    paging.replaceChildren(...parts, cut);
  }

  const names = ["page", "routed", "routed_before", "shown", "layer", "choice", "picked", "pinned", "by_weight", "error", "note", "source", "text",
    "domains", "n_experts", "top_k", "answered"];
  const ended = whenChanged(model, names, paint);
  paint();
  return ended;
}

// ---- data

function unpack({ layers, k, experts, choice, weight, scores, moved }) {
  const n = choice.byteLength / (layers * k);
  const at = (layer, i, c) => (layer * n + i) * k + c;
  return {
    n, k, experts,
    expert: (layer, i, c) => choice.getUint8(at(layer, i, c)),
    weight: (layer, i, c) => weight.getUint16(2 * at(layer, i, c), true), // hundredths
    moved: (layer, i, c) => moved.getUint8(at(layer, i, c)) === 1,
    score: (layer, i, e) => scores.getUint8((layer * n + i) * experts + e), // hundredths
    chosen: (layer, i) => Array.from({ length: k }, (_, c) => choice.getUint8(at(layer, i, c))).filter((e) => e !== NONE),
  };
}

function namedChoice(data, layer, i) {
  const chosen = data.chosen(layer, i), weights = chosen.map((_, c) => (data.weight(layer, i, c) / 100).toFixed(2));
  return { experts: named(chosen), weights: [chosen.length === 1 ? "weight " : "weights ", ...listed(weights)] };
}

function tokenSentence(template, token, data, layer, i) {
  const partOf = token[3] ? [" (a part of ", { code: token[3] }, ")"] : [];
  return sentence(template, { layer: String(layer + 1), token: [{ code: plainToken(token) }, ...partOf], ...namedChoice(data, layer, i) });
}

// How many of the tokens start…stop−1 have a picked expert as this choice.
function takenBy(picked, data, layer, choice, start, stop) {
  let sum = 0;
  for (let i = start; i < stop; i++) sum += picked.includes(data.expert(layer, i, choice));
  return sum;
}

function pickedSentence(fixed, page, data, layer, choice, picked) {
  const taken = (start, stop) => takenBy(picked, data, layer, choice, start, stop);
  const all = taken(0, data.n);
  const parts = sentence(fixed.say.picked, {
    experts: [...named(picked, "Expert ", "Experts "), picked.length === 1 ? " is" : " are"],
    choice: fixed.ordinals[choice], layer: String(layer + 1), count: count(all), n: count(data.n),
  });
  const sections = page.sections.map(([name, start, stop]) => [name, taken(start, stop)]);
  const [name, most] = sections.reduce((best, next) => (next[1] > best[1] ? next : best));
  if (!name || !most) return parts;
  return [...parts, ...sentence(fixed.say.domain, { most: count(most), count: count(all), domain: name })];
}

// Token viewer. The kernel routes; this file draws what it sent (moe_lite/widgets/token_data.py) and counts nothing
// but tokens. The spans of a text are built once; after that only classes, numerals and bar lengths change.

const NONE = 255;

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const { root, tag } = openRoot(host, "Which expert takes each token?", model.get("source"));
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

  const state = { page: null, routed: null, data: null, pointed: -1 };
  const onPointed = (i) => { if (i !== state.pointed) { state.pointed = i; paintPointed(); } };
  const text = tokenText(model, put, onPointed);
  const rail = expertRail(model, put, asking.ask);
  const controls = viewerControls(model, put, asking);
  const paging = el("p", { class: "note" });
  const figure = el("div", { class: "tv fig" }, el("div", {}, text.node, paging), rail.node);
  root.append(...controls.nodes, note, problem.node, figure, reading.node, reading.voice);

  root.addEventListener("keydown", (event) => {
    const layer = Number(event.key);
    if (!figure.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { put("pinned", -1); onPointed(-1); }
    else if (layer >= 1 && layer <= (state.routed?.layers ?? 0)) put("layer", layer);
  });

  // ---- drawing

  function take() {
    const routed = model.get("routed"), page = model.get("page");
    if (routed !== state.routed) {
      state.routed = routed;
      state.data = routed.choice ? unpack(routed) : null;
    }
    if (page !== state.page) {
      state.page = page;
      state.pointed = -1;
      text.build(page);
      drawPaging();
    }
  }

  function paint() {
    take();
    tag.textContent = model.get("source");
    tag.hidden = !tag.textContent;
    problem.set(model.get("error"));
    note.textContent = model.get("note");
    note.hidden = !note.textContent;
    controls.follow(state.routed);
    const some = state.data !== null;
    figure.hidden = !some;
    if (some) {
      const at = { layer: model.get("layer") - 1, choice: model.get("choice") };
      text.paint(state.data, at, model.get("picked"), model.get("by_weight"));
      rail.paint(state.routed, at.layer);
    }
    paintPointed();
  }

  // The token whose scores are shown: the pinned one, else the one under the pointer or the focus.
  function paintPointed() {
    const pinned = model.get("pinned"), i = pinned >= 0 ? pinned : state.pointed;
    text.mark(i, pinned >= 0);
    if (state.data) {
      const layer = model.get("layer") - 1, token = state.page.tokens[i];
      rail.scores(state.data, layer, i, token ? plainToken(token) : "");
      reading.set(readingParts(layer, i));
    } else reading.set([model.get("reading")]);
    if (!asking.waiting()) redrawn(root); // what the kernel was asked for is still to come
  }

  function readingParts(layer, i) {
    const { routed, data, page } = state, choice = model.get("choice"), picked = model.get("picked");
    const moves = routed.moves[layer][choice];
    if (i >= 0) return [...tokenSentence(fixed.say.token, page.tokens[i], data, layer, i), ...moves];
    if (picked.length) return [...pickedSentence(fixed, page, data, layer, choice, picked), ...moves];
    return [...routed.spread[layer], ...moves];
  }

  function drawPaging() {
    const { first = 0, total = 0, size = 1, cut = "", tokens = [] } = state.page, stop = first + tokens.length;
    const go = (to, words) => button(words, () => asking.ask({ first: to }), { class: "link" });
    const range = first === 0 ? `First ${count(stop)} of ${count(total)} tokens` : `Tokens ${count(first + 1)} to ${count(stop)} of ${count(total)}`;
    const parts = total > tokens.length ? [`${range}. `,
      stop < total && go(stop, `Show the next ${count(Math.min(size, total - stop))}`), " ",
      first > 0 && go(first - size, `Show the previous ${count(size)}`), " "].filter(Boolean) : [];
    paging.replaceChildren(...parts, cut);
    paging.hidden = !paging.textContent.trim();
  }

  const names = ["page", "routed", "layer", "choice", "picked", "pinned", "by_weight", "error", "note", "source", "text",
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

const count = (n) => n.toLocaleString("en-US");
const plainToken = ([text]) => text.replaceAll("\n", "");

function named(experts, one = "expert ", many = "experts ") {
  return [experts.length === 1 ? one : many, ...listed(experts.map((expert) => ({ expert })))];
}

function tokenSentence(template, token, data, layer, i) {
  const chosen = data.chosen(layer, i), weights = chosen.map((_, c) => (data.weight(layer, i, c) / 100).toFixed(2));
  return sentence(template, {
    layer: String(layer + 1),
    token: [{ code: plainToken(token) }, ...(token[3] ? [" (a part of ", { code: token[3] }, ")"] : [])],
    experts: named(chosen),
    weights: [chosen.length === 1 ? "weight " : "weights ", ...listed(weights)],
  });
}

function pickedSentence(fixed, page, data, layer, choice, picked) {
  const taken = (start, stop) => {
    let sum = 0;
    for (let i = start; i < stop; i++) sum += picked.includes(data.expert(layer, i, choice));
    return sum;
  };
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

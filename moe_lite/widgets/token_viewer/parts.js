// The parts of the token viewer: the controls above, the text at the left, the rail of experts at the right. The
// generation viewer has the text, too.

const NONE = 255; // no expert
const count = withCommas;
const plainToken = ([text]) => text.replaceAll("\n", "");
const named = (experts, one = "expert ", many = "experts ") => [experts.length === 1 ? one : many, ...listed(experts.map((expert) => ({ expert })))];

// Sample buttons, text box, sliders. follow(routed) brings them to what the model says, unless they are ahead of it.
function viewerControls(model, put, { ask, waiting }) {
  const fixed = model.get("fixed");
  const samples = fixed.samples.map((name) => button(name, () => toggleSample(name), { "data-text": name }));
  const box = el("textarea", { rows: 2, "aria-label": "text", placeholder: fixed.empty, spellcheck: "false", dir: "auto" });
  let typing = null, shown = null;
  box.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      typing = null;
      ask({ text: box.value.replace(/\p{Surrogate}/gu, "\ufffd"), domains: [], first: 0 });
    }, 250);
  });
  function toggleSample(name) {
    clearTimeout(typing);
    typing = null;
    const old = model.get("domains");
    const domains = old.includes(name) ? old.filter((other) => other !== name) : [...old, name];
    ask(domains.length ? { domains, first: 0 } : { domains, text: "", first: 0 });
  }

  const layer = slider({ label: "layer", values: [1], value: 1, width: 90, onmove: (v) => put("layer", v) });
  const choice = segmented({ label: "choice shown", value: 0, onpick: (c) => put("choice", c),
    options: fixed.ordinals.map((word, c) => [c, c < 2 ? `${word} choice` : word]) });
  const weight = checkbox({ label: "weight as opacity", value: false, onmove: (on) => put("by_weight", on) });
  const experts = slider({ label: "experts", values: fixed.counts, value: model.get("n_experts"), width: 70, onmove: (v) => ask({ n_experts: v }) });
  const topK = slider({ label: "top-k", values: [1], value: 1, width: 110, onmove: (v) => ask({ top_k: v }) });
  const loss = el("span", { class: "loss" });
  experts.node.hidden = fixed.counts.length < 2;

  const follow = (routed, lossText) => {
    const some = Boolean(routed.choice), domains = model.get("domains");
    samples.forEach((node, i) => node.setAttribute("aria-pressed", String(domains.includes(fixed.samples[i]))));
    if (model.get("text") !== shown && typing === null && !waiting()) {
      shown = model.get("text");
      if (box.value !== shown) box.value = shown;
    }
    second.hidden = third.hidden = !some;
    if (!some) return;
    layer.set(Math.min(model.get("layer"), routed.layers), upTo(routed.layers));
    choice.set(model.get("choice"));
    choice.buttons.forEach((node, c) => { node.disabled = c >= routed.k; node.hidden = c > 1 && c >= routed.k; });
    weight.set(model.get("by_weight"));
    loss.textContent = lossText;
    if (waiting()) return;
    if (fixed.counts.includes(model.get("n_experts"))) experts.set(model.get("n_experts"));
    topK.set(Math.min(model.get("top_k"), model.get("n_experts")), upTo(model.get("n_experts")));
  };
  const first = el("div", { class: "samples", role: "group", "aria-label": "samples" }, el("span", {}, "samples"), ...samples);
  const second = el("div", { class: "ctl" }, layer.node, choice.node, weight.node);
  const third = el("div", { class: "ctl" }, experts.node, topK.node, loss);
  return { nodes: [first, el("div", { class: "type" }, box), third, second], follow };
}

// The text: one span a token. build(page) makes them, extend(first, tokens) replaces those from `first` on,
// paint(…) colours them, mark(i, pinned) frames one. Tokens of experts that are not picked keep only their numeral;
// where data has off(layer, i, choice), those of which it is true. Enter or a click pins, or does what `pick` does.
function tokenText(model, put, onPointed, side = "", { does = "pins", pick = null } = {}) {
  const node = el("div", { role: "listbox", "aria-label": `Tokens${side && `, ${side}`}. Arrow keys move, Enter ${does}, digits change the layer.`, "aria-orientation": "horizontal" });
  const tabs = roving();
  let spans = [], numerals = [], looks = [], marked = null;

  function make([text, gap, blank, partOf, place], i) {
    const lines = text.split("\n"), ends = text.endsWith("\n");
    if (ends) lines.pop();
    const face = lines.flatMap((line, l) => (l ? [el("br"), line] : [line]));
    return el("span", { "data-i": i, role: "option", "aria-selected": "false", title: partOf && `a part of ${partOf}` || null,
      "data-char": place === "first" ? partOf : null, "data-base": `tk${gap ? " gap" : ""}${lines.length > 1 ? " brk" : ""}${place && ` by ${place}`}` },
    ...(blank ? [el("em", {}, ...face)] : face), el("b"));
  }
  // tokens into a line, which may be broken before those that do not stay with the one before
  const write = (line, tokens, first) => tokens.forEach(([text, , , , , stays], j) =>
    line.append(...(stays ? [] : [el("wbr")]), spans[first + j], ...(text.endsWith("\n") ? [el("br")] : [])));
  function build(page) {
    const { tokens = [], sections = [] } = page;
    spans = tokens.map(make);
    marked = null;
    node.replaceChildren(...sections.map(([name, start, stop]) => {
      const line = el("div", { class: "tx" });
      write(line, tokens.slice(start, stop), start);
      return el("div", { class: "dom" }, el("span", {}, name), line);
    }));
    node.classList.toggle("plain", !sections.some(([name]) => name));
    settle(0);
  }
  function settle(kept) { // spans from `kept` on are new, and not yet painted
    numerals = spans.map((span) => span.lastChild);
    looks = spans.map((_, i) => (i < kept ? looks[i] : ""));
    node.classList.toggle("many", spans.length > 150);
    tabs.use(spans);
  }

  function extend(first, tokens) {
    const line = node.querySelector(".tx");
    for (const span of spans.slice(first)) {
      if (span.previousSibling?.nodeName === "WBR") span.previousSibling.remove();
      if (span.nextSibling?.nodeName === "BR") span.nextSibling.remove();
      span.remove();
    }
    if (marked && spans.indexOf(marked.span) >= first) marked = null;
    spans = [...spans.slice(0, first), ...tokens.map((token, j) => make(token, first + j))];
    write(line, tokens, first);
    settle(first);
  }

  function paint(data, { layer, choice }, picked, byWeight) {
    node.style.setProperty("--num", `${4 + 6 * String(data.experts - 1).length}px`);
    for (let i = 0; i < spans.length; i++) {
      const expert = data.expert(layer, i, choice), none = expert === NONE;
      let opacity = "";
      if (byWeight && !none) {
        let sum = 0;
        for (let c = 0; c < data.k; c++) sum += data.weight(layer, i, c);
        opacity = `${Math.max(25, Math.round((100 * data.weight(layer, i, choice)) / (sum || 1)))}%`;
      }
      const off = data.off?.(layer, i, choice) ?? (picked.length > 0 && !picked.includes(expert));
      const classes = `${none ? "none" : expertClass(expert, data.experts)}${off ? " off" : ""}${data.moved(layer, i, choice) ? " mv" : ""}`;
      const look = `${classes}|${expert}|${opacity}`;
      if (look === looks[i]) continue;
      looks[i] = look;
      const span = spans[i];
      span.className = `${span.dataset.base} ${classes}`;
      span.dataset.expert = none ? "" : expert;
      if (opacity) span.style.setProperty("--w", opacity); else span.style.removeProperty("--w");
      numerals[i].textContent = none ? "" : expert;
    }
    if (marked) marked.span.classList.add(marked.look);
  }

  function mark(i, pinned) {
    if (marked) { marked.span.classList.remove("at", "pin"); marked.span.setAttribute("aria-selected", "false"); }
    marked = i >= 0 && spans[i] ? { span: spans[i], look: pinned ? "pin" : "at" } : null;
    if (!marked) return;
    marked.span.classList.add(marked.look);
    marked.span.setAttribute("aria-selected", String(pinned));
  }

  // The token above or below: on the next line of the page, nearest to where this one stands.
  function vertical(i, step) {
    const boxes = spans.map((span) => span.getBoundingClientRect()), here = boxes[i];
    const lines = boxes.map((box, j) => [j, Math.round(box.top - here.top)]).filter(([, dy]) => dy * step > 4);
    if (!lines.length) return i;
    const next = Math.min(...lines.map(([, dy]) => Math.abs(dy)));
    const distance = (line) => Math.abs(boxes[line[0]].left - here.left);
    return lines.filter(([, dy]) => Math.abs(dy) < next + 6).reduce((a, b) => (distance(b) < distance(a) ? b : a))[0];
  }

  const indexOf = (event) => Number(event.target.closest?.("[data-i]")?.dataset.i ?? -1);
  const pin = pick ?? ((i) => put("pinned", i === model.get("pinned") ? -1 : i));
  const keys = { ArrowRight: (i) => i + 1, ArrowLeft: (i) => i - 1, Home: () => 0, End: () => spans.length - 1,
    ArrowDown: (i) => vertical(i, 1), ArrowUp: (i) => vertical(i, -1) };
  node.addEventListener("pointerover", (event) => { if (indexOf(event) >= 0) onPointed(indexOf(event)); });
  node.addEventListener("pointerleave", () => onPointed(node.contains(document.activeElement) ? tabs.at : -1));
  node.addEventListener("focusin", (event) => { if (indexOf(event) >= 0) onPointed(indexOf(event)); });
  node.addEventListener("focusout", () => onPointed(-1));
  node.addEventListener("click", (event) => { const i = indexOf(event); if (i >= 0) { tabs.focus(i); pin(i); } });
  node.addEventListener("keydown", (event) => {
    const i = indexOf(event);
    if (i < 0) return;
    if (event.key === "Enter" || event.key === " ") pin(i);
    else if (keys[event.key]) tabs.focus(keys[event.key](i));
    else return;
    event.preventDefault();
  });
  return { node, build, extend, paint, mark };
}

// The rail: one row an expert is legend, filter, load chart and score panel at once.
function expertRail(model, put, ask) {
  const head = { token: el("code"), words: el("span") };
  const tabs = roving();
  const body = el("div");
  const fair = el("div", { class: "fair" });
  const node = el("div", { class: "rail", role: "group", "aria-label": "Experts. Enter shows only an expert's tokens, m mutes it." },
    el("div", { class: "row h" }, el("span"), el("span", { class: "h2" }, "share of assignments"), el("span"),
      el("span", { class: "h3" }, head.words, " ", head.token)), body, fair);
  let rows = [], before = null, built = 0;

  const pick = (expert, add) => {
    const old = model.get("picked"), had = old.includes(expert);
    if (add) put("picked", had ? old.filter((e) => e !== expert) : [...old, expert].sort((a, b) => a - b));
    else put("picked", had && old.length === 1 ? [] : [expert]);
  };
  const mute = (expert) => {
    const old = model.get("muted");
    ask({ muted: old.includes(expert) ? old.filter((e) => e !== expert) : [...old, expert].sort((a, b) => a - b) });
  };

  function build(experts) {
    built = experts;
    before = null;
    rows = Array.from({ length: experts }, (_, e) => {
      const share = bar(), score = bar(), line = el("s");
      share.node.append(line);
      score.node.classList.add("sc");
      const name = button(el("span", {}, String(e)), (event) => pick(e, event.shiftKey), { class: "n", title: "Show only this expert's tokens (Shift adds)", "aria-label": `expert ${e}: show only its tokens` });
      const off = button("mute", () => mute(e), { class: "mute", tabindex: -1, "aria-label": `mute expert ${e}`, title: "Route again without this expert" });
      const percent = el("span", { class: "r" }), value = el("span", { class: "r" });
      const row = el("div", { "data-expert": e }, name, share.node, percent, score.node, value, off);
      row.addEventListener("keydown", (event) => onKey(event, e));
      return { row, name, share, line, percent, score, value, off };
    });
    body.replaceChildren(...rows.map(({ row }) => row));
    tabs.use(rows.map(({ name }) => name));
  }

  function onKey(event, e) {
    const moves = { ArrowDown: e + 1, ArrowUp: e - 1, Home: 0, End: rows.length - 1 };
    if (event.key in moves) tabs.focus(moves[event.key]);
    else if (event.key === "ArrowRight") rows[e].off.focus();
    else if (event.key === "ArrowLeft") tabs.focus(e);
    else if (event.key === "m" && !event.ctrlKey && !event.metaKey) mute(e);
    else return;
    event.preventDefault();
  }

  function paint(routed, layer) {
    if (routed.experts !== built) build(routed.experts);
    const load = routed.load[layer], sum = load.reduce((a, b) => a + b, 0) || 1, picked = model.get("picked");
    const shares = load.map((n) => n / sum), old = before?.layer !== layer || before?.routed !== routed ? before?.shares : before?.was;
    rows.forEach(({ row, name, share, line, percent, off }, e) => {
      const muted = routed.muted.includes(e), on = picked.includes(e);
      row.className = `row ${expertClass(e, routed.experts)}${on ? " picked" : ""}${muted ? " muted" : ""}`;
      share.set(shares[e] / routed.full, { was: old && old[e] !== shares[e] ? old[e] / routed.full : null });
      line.style.left = `${100 / routed.experts / routed.full}%`;
      percent.textContent = shares[e] > 0 && shares[e] < 0.005 ? "<1 %" : `${Math.round(100 * shares[e])} %`;
      name.setAttribute("aria-pressed", String(on));
      off.setAttribute("aria-pressed", String(muted));
      off.textContent = muted ? "muted" : "mute";
    });
    before = { layer, routed, shares, was: old };
    fair.textContent = `fair share ${routed.fair}`;
  }

  function scores(data, layer, i, token) {
    head.words.textContent = i >= 0 ? "router score for" : "router score: point at a token";
    head.token.textContent = token;
    const chosen = i >= 0 ? data.chosen(layer, i) : [];
    rows.forEach(({ score, value }, e) => {
      const points = i >= 0 ? data.score(layer, i, e) : 0;
      score.set(points / 100, { open: !chosen.includes(e) });
      score.node.style.visibility = i < 0 ? "hidden" : "";
      score.node.classList.toggle("chosen", chosen.includes(e));
      value.textContent = i >= 0 ? (points / 100).toFixed(2) : "";
      value.style.fontWeight = chosen.includes(e) ? "700" : "";
    });
  }
  return { node, paint, scores };
}

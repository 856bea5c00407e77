// One token in one layer: what the router did, and the same by hand. Token, layer and top-k can be moved here, too.

function routePanel(host, model, call) {
  const send = (values) => {
    Object.entries(values).forEach(([name, value]) => model.set(name, value));
    model.set("asked", model.get("asked") + 1);
    model.save_changes();
  };
  const name = el("code", {}), place = el("span", { class: "dim" });
  const turn = (by) => button(by < 0 ? "‹" : "›", () => send({ pinned: (token() + by + model.get("page").tokens.length) % model.get("page").tokens.length }),
    { "aria-label": by < 0 ? "previous token" : "next token" });
  const layerSlide = slider({ label: "layer", values: [1], value: 1, width: 80, onmove: (layer) => send({ layer }) });
  const topK = slider({ label: "top-k", values: [1], value: 1, width: 80, onmove: (top_k) => send({ top_k }) });
  const table = el("table", {}), stage = el("div", { class: "stage", "aria-hidden": "true" });
  const figure = el("div", { class: "mx router_stepper" }, stage), reading = readingLine(() => model.get("n_experts"));
  const buttons = el("div", { class: "ctl", role: "group", "aria-label": "the experts of this token, by hand" }), result = readingLine(() => model.get("n_experts"));
  const every = button("Try every choice", tryAll), best = button("Take the best", () => choose(found)), own = button("The router's choice again", () => choose(null), { class: "link" });
  host.append(
    el("div", { class: "ctl at" }, el("span", {}, "token ", name, " ", place), turn(-1), turn(1), layerSlide.node, topK.node), figure, table, reading.node,
    el("div", { class: "hand" }, el("p", {}, el("b", {}, "You are the router. "), "Choose the experts of this token yourself."), buttons, result.node, el("div", { class: "ctl" }, every, best, own)),
  );
  let text = "", example = 0; // the token that stands here until one is chosen, or once it is let go
  let routers = null, shown = null, before = null; // steps: the router's, the one that is drawn, and the one before the last move
  // by hand: a list of experts, the one that makes room first in front, or null; the best choice, once it was looked for
  let chosen = null, found = null, count = 0;

  const token = () => (model.get("pinned") >= 0 ? model.get("pinned") : example);
  // all of one answer of the kernel: what the sliders say meanwhile may be newer
  const now = () => {
    const { experts, k, muted } = model.get("routed"), layer = Math.min(model.get("layer"), model.get("logits").length) - 1;
    return { E: experts, k, muted, layer, all: model.get("logits")[layer] };
  };
  const where = () => ({ n: now().E, layer: now().layer, token: token(), topK: now().k, muted: now().muted });

  function paint() {
    const { tokens = [] } = model.get("page");
    host.closest("section").hidden = !tokens.length;
    if (!tokens.length) return;
    const { E, k, muted, layer, all } = now();
    if (text !== (text = tokens.map(plainToken).join(" "))) example = surest(tokens, all, E);
    if (model.get("pinned") >= 0) example = model.get("pinned");
    const i = token(), step = stepOf(all.subarray(i * E, (i + 1) * E), k, muted);
    Object.assign(step, { key: `${E}/${layer}/${i}/${plainToken(tokens[i])}` });
    [routers, chosen, found, count] = [step, null, null, count + 1]; // an answer that is still to come is about what was
    name.textContent = plainToken(tokens[i]);
    place.textContent = `(${i + 1} of ${tokens.length})`;
    layerSlide.set(layer + 1, upTo(model.get("logits").length));
    topK.set(k, upTo(E - muted.length));
    result.set([]);
    show(step);
  }
  function show(step) {
    if (JSON.stringify(step) !== JSON.stringify(shown)) [before, shown] = [shown?.key === step.key && !step.byHand && !shown.byHand ? shown : null, step];
    draw();
    const E = step.scores.length, cells = (e) => [badge(e, E), numberText(step.logits[e]), numberText(step.scores[e]),
      step.muted.includes(e) ? "muted" : step.chosen.includes(e) ? ordinalOf(step.chosen.indexOf(e) + 1) : "", step.chosen.includes(e) ? numberText(step.weights[e]) : ""];
    table.replaceChildren(
      el("thead", {}, el("tr", {}, ...["expert", "logit", "score", step.byHand ? "yours" : `top ${step.k}`, "weight"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, ...step.scores.map((_, e) => el("tr", { class: expertClass(e, E) }, ...cells(e).map((cell) => el("td", {}, cell))))));
    reading.set(step.byHand ? byHandSentence(step, routers) : routerSentence(step, before, columns().narrow));
    const focused = [...buttons.children].indexOf(document.activeElement);
    buttons.replaceChildren(...step.scores.map((_, e) =>
      button(String(e), () => toggle(e), { disabled: step.muted.includes(e), class: `n ${expertClass(e, E)}`, "aria-pressed": String(step.chosen.includes(e)), "aria-label": `expert ${e}` })));
    if (focused >= 0) /** @type {HTMLElement} */ (buttons.children[focused])?.focus();
    const many = ways(E - step.muted.length, step.k);
    every.hidden = many < 2 || many > MOST_WAYS;
    best.hidden = found === null || [...found].sort().join() === [...step.chosen].sort().join();
    own.hidden = chosen === null;
  }
  function draw() {
    drawFigure(stage, stepFigure(shown, before, logitSpan(now().all), columns(), "the router of one token"));
  }
  const columns = () => stepColumns(host.clientWidth - 8);
  const experts = (list) => list.map((expert) => ({ expert }));

  function toggle(e) {
    const held = chosen ?? [...routers.chosen].reverse();
    if (held.includes(e)) { choose(held.filter((other) => other !== e)); return; }
    const full = held.length >= now().k;
    choose([...held.slice(full ? 1 : 0), e], full ? held[0] : null);
  }
  // experts: the list, or null for the router's own; gone: the one whose place was taken
  async function choose(list, gone = null) {
    chosen = list;
    const { E, k, muted, layer, all } = now(), i = token(), said = gone === null ? [] : [{ expert: gone }, " makes room. "];
    show(list === null ? routers : { ...stepOf(all.subarray(i * E, (i + 1) * E), k, muted, list), key: routers.key });
    const asked = count += 1;
    if (list === null) { result.set([]); return; }
    if (list.length < k) { result.set([...said, `Choose ${k - list.length} more.`]); return; }
    await told(async () => {
      const { yours, its } = await call("byHand", { ...where(), experts: list }).answer;
      if (asked !== count) return;
      result.set(yours === null ? [...said, LAST_TOKEN] : [...said, `Loss of the next token: ${yours.next.toFixed(2)} with yours, ${its.next.toFixed(2)} with the router's. `,
        `Mean of all that follow: ${yours.mean.toFixed(3)} against ${its.mean.toFixed(3)}. For the rest of the text ${verdict(its.mean - yours.mean)}`]);
    });
  }
  async function tryAll() {
    if (chosen && chosen.length < now().k) { // half a choice
      chosen = null;
      show(routers);
    }
    const asked = count += 1;
    result.set([`Trying all ${Math.round(ways(now().E - now().muted.length, now().k))} choices …`]);
    await told(async () => {
      const { rank, of, best: one, its } = await call("everyChoice", where()).answer;
      if (asked !== count) return;
      if (rank === null) { result.set([LAST_TOKEN]); return; }
      const gain = its - one.mean, less = gain < ALIKE ? `, better by ${gain < 0.001 ? "less than 0.001" : gain.toFixed(3)}, which is next to nothing` : ` with ${one.mean.toFixed(3)}`;
      found = rank === 1 ? null : one.experts;
      result.set([`Of ${of} choices, the router's is number ${rank} for the rest of the text (mean loss ${its.toFixed(3)}). `,
        ...(rank === 1 ? ["None is better."] : ["The best is ", ...listed(experts(one.experts)), `${less}.`]), " The router learned what helps on the whole, and cannot see what comes."]);
      best.hidden = found === null;
    });
  }
  async function told(work) {
    try { await work(); } catch (problem) { result.set([problem.message]); }
  }
  whenChanged(model, ["routed", "layer", "pinned", "page"], paint);
  new ResizeObserver(() => { if (shown && host.clientWidth) draw(); }).observe(host);
}

// The word, or the token where there is none, whose expert has the largest logit of all.
function surest(tokens, logits, E) {
  const words = tokens.flatMap((token, i) => (/\p{L}{3}/u.test(plainToken(token)) ? [i] : [])), places = words.length ? words : tokens.map((_, i) => i);
  const best = (i) => Math.max(...logits.subarray(i * E, (i + 1) * E));
  return places.reduce((a, b) => (best(b) > best(a) ? b : a));
}

// What the router did with the token, and what the last move did to it.
function routerSentence(step, before, narrow) {
  const over = mutedAbove(step), kept = sum(step.chosen.map((e) => step.scores[e]));
  const parts = [narrow ? "The router gives every expert a score; together they are 1. " : "The router gives every expert a number, its logit; as shares of 1 these are its scores. "];
  if (over.length) parts.push(...listed(over.map((expert) => ({ expert }))), over.length === 1 ? " scores higher, but is muted. Of the others the best " : " score higher, but are muted. Of the others the best ");
  else parts.push("The best ");
  parts.push(...(step.k === 1 ? ["one is kept, with weight 1."]
    : [`${step.k} are kept. Divided by their sum, ${numberText(kept)}, their scores are the weights with which their answers are added.`]));
  if (before && step.logits.some((z, e) => Math.abs(z - before.logits[e]) > 1e-6)) parts.push(" Your move changed the logits, too: the layers before this one answer otherwise now.");
  return parts;
}

function byHandSentence(step, routers) {
  const weights = (of) => listed(of.chosen.map((expert) => ({ expert }))).map((part) => (part.expert === undefined ? part : [part, ` with weight ${numberText(of.weights[part.expert])}`])).flat();
  return step.chosen.length ? ["You choose ", ...weights(step), "; the router's own choice is ", ...weights(routers), ". The scores stay the router's."] : ["Choose experts below."];
}

const ALIKE = 0.005; // nats: a difference that is not worth a word
const verdict = (gain) => (gain > ALIKE ? "your choice is better." : gain < -ALIKE ? "the router's choice is better." : "it makes next to no difference.");
const MOST_WAYS = 130;
const LAST_TOKEN = "It is the last token: nothing comes after it that could be guessed better or worse.";
const ways = (n, k) => Array.from({ length: k }, (_, i) => (n - i) / (i + 1)).reduce((a, b) => a * b, 1);

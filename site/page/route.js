// One token in one layer: what the router did, and the same by hand.

function routePanel(host, model, call) {
  const place = el("p", {}), table = el("table", {}), stage = el("div", { class: "stage", "aria-hidden": "true" });
  const figure = el("div", { class: "mx router_stepper" }, stage), hand = el("div", { class: "hand" }), reading = readingLine(() => model.get("n_experts"));
  const buttons = el("div", { class: "ctl", role: "group", "aria-label": "the experts of this token, by hand" }), result = el("p", { class: "note", role: "status" });
  const every = button("Try every choice", tryAll), own = button("The router's choice again", () => choose(null), { class: "link" });
  hand.append(el("p", {}, el("b", {}, "You are the router. ")), buttons, result, el("div", { class: "ctl" }, every, own));
  host.append(place, figure, table, reading.node, hand); // where there is no room for the figure, the table shows
  let chosen = null, routers = null, count = 0; // by hand: a list of experts, or null
  let drawn = null, before = null; // the step that is shown, and what was shown before the last move

  const token = () => (model.get("pinned") >= 0 ? model.get("pinned") : firstWorth());
  // until a token is pinned, one from the middle of the text stands there
  const firstWorth = () => Math.max(0, Math.floor((model.get("page").tokens?.length ?? 0) / 2) - 1);
  const where = () => ({ n: model.get("n_experts"), layer: model.get("layer") - 1, token: token(), topK: model.get("top_k"), muted: model.get("muted") });

  function paint() {
    const { tokens = [] } = model.get("page");
    host.hidden = !tokens.length;
    chosen = null;
    result.textContent = "";
    if (!tokens.length) return;
    const i = token(), layer = model.get("layer") - 1, muted = model.get("muted"), all = model.get("logits")[layer], E = model.get("n_experts");
    const step = { ...stepOf(all.subarray(i * E, (i + 1) * E), model.get("top_k"), muted), key: `${E}/${layer}/${i}/${plainToken(tokens[i])}` };
    routers = step.chosen;
    if (JSON.stringify(step) !== JSON.stringify(drawn)) [before, drawn] = [drawn?.key === step.key ? drawn : null, step];
    place.replaceChildren("Layer ", el("b", {}, String(layer + 1)), ", token ", el("code", {}, plainToken(tokens[i])), model.get("pinned") < 0 ? " (choose another in the text above)." : ".");
    draw();
    const cells = (e) => [badge(e, E), numberText(step.logits[e]), numberText(step.scores[e]),
      muted.includes(e) ? "muted" : step.chosen.includes(e) ? ordinalOf(step.chosen.indexOf(e) + 1) : "", step.chosen.includes(e) ? numberText(step.weights[e]) : ""];
    table.replaceChildren(
      el("thead", {}, el("tr", {}, ...["expert", "logit", "score", `top ${step.k}`, "weight"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, ...step.scores.map((_, e) => el("tr", { class: expertClass(e, E) }, ...cells(e).map((cell) => el("td", {}, cell))))));
    const kept = sum(step.chosen.map((e) => step.scores[e]));
    reading.set(step.k > 1 ? ["The router gives every expert a number, its logit; softmax makes them scores that add up to 1. The best ", String(step.k), " are kept, and their scores divided by their sum, ", numberText(kept), ": these are the weights with which their answers are added."]
      : ["The router gives every expert a number, its logit; softmax makes them scores that add up to 1. The best one is kept, with weight ", numberText(step.weights[step.chosen[0]]), "."]);
    paintHand();
  }
  function draw() {
    const span = logitSpan(model.get("logits")[model.get("layer") - 1]);
    drawFigure(stage, stepFigure(drawn, before, span, stepColumns(host.clientWidth - 8), "the router of one token"));
  }
  function paintHand() {
    const data = unpack(model.get("routed")), now = chosen ?? routers;
    buttons.replaceChildren(...Array.from({ length: data.experts }, (_, e) =>
      button(String(e), () => toggle(e), { disabled: model.get("muted").includes(e), class: `n ${expertClass(e, data.experts)}`, "aria-pressed": String(now.includes(e)), "aria-label": `expert ${e}` })));
    own.hidden = chosen === null;
    const many = ways(data.experts - model.get("muted").length, model.get("top_k"));
    every.hidden = many < 2 || many > MOST_WAYS;
  }
  function toggle(e) {
    const now = chosen ?? routers;
    const next = now.includes(e) ? now.filter((other) => other !== e) : [...now.slice(0, model.get("top_k") - 1), e]; // the last one makes room
    choose(next);
  }
  async function choose(experts) {
    chosen = experts;
    paintHand();
    if (experts === null) { result.textContent = ""; return; }
    if (experts.length < model.get("top_k")) { result.textContent = `Choose ${model.get("top_k") - experts.length} more.`; return; }
    const asked = count += 1;
    await told(async () => {
      const { yours, its } = await call("byHand", { ...where(), experts }).answer;
      if (asked !== count) return;
      result.textContent = yours === null ? LAST_TOKEN
        : `${verdict(its.mean - yours.mean)} Loss of the next token: ${yours.next.toFixed(2)} with yours, ${its.next.toFixed(2)} with the router's. Mean of all that follow: ${yours.mean.toFixed(3)} against ${its.mean.toFixed(3)}.`;
    });
  }
  async function tryAll() {
    const asked = count += 1;
    result.textContent = "Trying …";
    await told(async () => {
      const { rank, of, best, its } = await call("everyChoice", where()).answer;
      if (asked !== count) return;
      result.textContent = rank === null ? LAST_TOKEN : `Of ${of} choices, the router's is number ${rank} for the rest of the text (mean loss ${its.toFixed(3)}). ${rank === 1 ? "None is better." : `The best is ${best.experts.join(" and ")} (${best.mean.toFixed(3)}).`} The router learned what helps on the whole, and cannot see what comes.`;
    });
  }
  async function told(work) {
    try { await work(); } catch (problem) { result.textContent = problem.message; }
  }
  whenChanged(model, ["routed", "layer", "pinned", "page"], paint);
  new ResizeObserver(() => { if (drawn && !host.hidden) draw(); }).observe(host);
}

const verdict = (gain) => (gain > 0.0005 ? "Your choice is better here." : gain < -0.0005 ? "The router's choice is better." : "It makes no difference here.");
const MOST_WAYS = 130;
const LAST_TOKEN = "It is the last token: nothing comes after it that could be guessed better or worse.";
const ways = (n, k) => Array.from({ length: k }, (_, i) => (n - i) / (i + 1)).reduce((a, b) => a * b, 1);

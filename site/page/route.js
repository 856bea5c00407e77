// One token in one layer: what the router did, and the same by hand.

function routePanel(host, model, call) {
  const place = el("p", {}), table = el("table", {}), hand = el("div", { class: "hand" }), reading = readingLine(() => model.get("n_experts"));
  const buttons = el("div", { class: "ctl", role: "group", "aria-label": "the experts of this token, by hand" }), result = el("p", { class: "note", role: "status" });
  const every = button("Try every choice", tryAll), own = button("The router's choice again", () => choose(null), { class: "link" });
  hand.append(el("p", {}, el("b", {}, "You are the router. ")), buttons, result, el("div", { class: "ctl" }, every, own));
  const both = el("div", { class: "chosen-by" }, el("div", {}, table), hand);
  host.append(place, both, reading.node);
  let chosen = null, routers = null, count = 0; // by hand: a list of experts, or null

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
    const data = unpack(model.get("routed")), i = token(), layer = model.get("layer") - 1, muted = model.get("muted");
    const ids = data.chosen(layer, i), kept = ids.map((e) => data.score(layer, i, e));
    routers = ids;
    place.replaceChildren("Layer ", el("b", {}, String(layer + 1)), ", token ", el("code", {}, plainToken(tokens[i])), model.get("pinned") < 0 ? " (choose another in the text above)." : ".");
    const sum = kept.reduce((a, b) => a + b, 0);
    table.replaceChildren(
      el("thead", {}, el("tr", {}, ...["expert", "1 · its score", "", `2 · the best ${ids.length}`, "3 · its weight"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, ...Array.from({ length: data.experts }, (_, e) => {
        const score = data.score(layer, i, e) / 100, at = ids.indexOf(e), line = bar();
        line.set(score, { open: at < 0 });
        return el("tr", { class: expertClass(e, data.experts) }, el("td", {}, badge(e, data.experts)), el("td", {}, line.node), el("td", {}, score.toFixed(2)),
          el("td", {}, muted.includes(e) ? "muted" : at < 0 ? "" : ORDINAL[at] ?? String(at + 1)), el("td", {}, at < 0 ? "" : (data.weight(layer, i, at) / 100).toFixed(2)));
      })));
    reading.set(ids.length > 1 ? ["The scores of all experts add up to 1. The best ", String(ids.length), " are kept, and their scores divided by their sum, ", (sum / 100).toFixed(2), ": these are the weights with which their answers are added."]
      : ["The scores of all experts add up to 1. The best one is kept, with weight ", (data.weight(layer, i, 0) / 100).toFixed(2), "."]);
    paintHand();
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
}

const verdict = (gain) => (gain > 0.0005 ? "Your choice is better here." : gain < -0.0005 ? "The router's choice is better." : "It makes no difference here.");
const ORDINAL = ["first", "second", "third", "fourth"], MOST_WAYS = 130;
const LAST_TOKEN = "It is the last token: nothing comes after it that could be guessed better or worse.";
const ways = (n, k) => Array.from({ length: k }, (_, i) => (n - i) / (i + 1)).reduce((a, b) => a * b, 1);

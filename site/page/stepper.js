// One token on its way through a router, as the notebooks' router stepper draws it: logits, scores, the k best, weights.
// The picture is that of moe_lite/widgets/router_stepper/drawing.py under the rule of the page's models (softmax, the k
// best, divided by their sum), and tests/site holds the two equal. The page has beside it: plain words under the heads,
// muted experts, experts chosen by hand, and a narrow figure, without the logits.

const STEP = { row: 26, top: 46, foot: 42, narrowest: 520, widest: 812 }; // px
const STEP_WORDS = { hz: "the router's numbers", hs: "as shares of 1", hk: "the largest", hw: "divided by their sum" };

// What becomes of a token's logits: {logits, scores, weights, chosen, k, muted, byHand}; weights of experts not chosen are
// 0, chosen has the largest first, of equal scores the lower number. byHand: experts that are chosen instead, or null.
function stepOf(logits, k, muted = [], byHand = null) {
  const most = Math.max(...logits), powers = Array.from(logits, (z) => Math.exp(z - most)), total = sum(powers);
  const scores = powers.map((power) => power / total), open = byHand ? [...byHand] : scores.map((_, e) => e).filter((e) => !muted.includes(e));
  const chosen = open.sort((a, b) => scores[b] - scores[a] || a - b).slice(0, k), kept = sum(chosen.map((e) => scores[e]));
  return { logits: Array.from(logits), scores, weights: scores.map((s, e) => (chosen.includes(e) ? s / kept : 0)), chosen, k, muted, byHand: byHand !== null };
}
// Whether a muted expert scores higher than one that works.
const mutedAbove = ({ scores, chosen, muted }) => muted.filter((e) => scores[e] > Math.min(...chosen.map((other) => scores[other])));

const sum = (values) => values.reduce((a, b) => a + b, 0);

// One scale for the logits of all tokens of a layer, so that no bar jumps when another is shown.
/** @returns {[number, number]} */
function logitSpan(values) {
  let low = -2, high = 2;
  for (const z of values) [low, high] = [Math.min(low, Math.floor(z)), Math.max(high, Math.ceil(z))];
  return [low, high];
}

// Where things stand in a figure for this much room; bars share it out, text keeps its size.
function stepColumns(room) {
  if (room < STEP.narrowest) {
    const width = Math.round(Math.max(room, 280)), unit = Math.floor((width - 182) / 2), pill = 84 + unit;
    return { narrow: true, width, unit, scores: 36, scoreValue: 70 + unit, pill, weights: pill + 60, weightValue: pill + 94 + unit };
  }
  const width = Math.round(Math.min(Math.max(STEP.narrowest, room), STEP.widest)), bars = width - 342;
  const unit = Math.round(bars * 0.362), length = bars - 2 * unit, weights = 294 + length + unit;
  return {
    width, unit, length, logits: 36, logitValue: 84 + length, scores: 120 + length, scoreValue: 160 + length + unit,
    pill: 196 + length + unit, weights, weightValue: weights + unit + 40,
  };
}

// The figure as SVG text. before: the step before the last move, whose values become ticks, or null.
function stepFigure(step, before, [low, high], c, label) {
  const { logits, scores, weights, chosen, k, muted, byHand } = step, n = logits.length, bottom = STEP.top + STEP.row * n;
  const logitX = (z) => c.logits + c.length * (Math.min(Math.max(z, low), high) - low) / (high - low);
  const scoreX = (s) => c.scores + c.unit * s, weightX = (w) => c.weights + c.unit * Math.min(w, 1);
  const left = scores.map((_, e) => e).filter((e) => !chosen.includes(e) && !muted.includes(e));
  const border = Math.min(...chosen.map((e) => scores[e])), out = Math.max(...left.map((e) => scores[e]));
  const cut = left.length > 0 && !byHand; // what scores less does not pass
  const digits = cut ? partingDigits(border, out) : 2, tie = cut && border === out;

  const words = c.narrow ? { hs: STEP_WORDS.hs } : { ...STEP_WORDS, ...(byHand ? { hk: "by hand" } : {}) };
  const heads = [["hz", c.logits, "logits"], ["hs", c.scores, "scores"], ["hk", c.pill, byHand ? "yours" : `top ${k}`], ["hw", c.weights, "weights"]]
    .filter(([, x]) => x !== undefined)
    .map(([name, x, title]) => `<g class="${name}"><text class="t" x="${x}" y="14">${title}</text><text class="f" x="${x}" y="31">${words[name] ?? ""}</text></g>`);
  const axes = [...(c.narrow ? [] : [["az", logitX(0)]]), ["as", c.scores], ["aw", c.weights]]
    .map(([name, x]) => `<path class="${name} ax" d="M${at(x - 0.5)} ${STEP.top}V${bottom}"/>`);
  if (cut) axes.push(`<path class="cut" transform="translate(${at(scoreX(border))})" d="M0 ${STEP.top}V${bottom}"/>`);

  const was = (name, place, values, e) => {
    const from = before?.[values][e], to = step[values][e];
    if (from === undefined || Math.abs(from - to) < 1e-6) return "";
    return `<rect class="w${name} was" x="${at(place(from) - 0.75)}" y="4" width="1.5" height="18"/>`;
  };
  const row = (e) => {
    const on = chosen.indexOf(e), zero = c.narrow ? 0 : logitX(0), end = c.narrow ? 0 : logitX(logits[e]);
    const mark = tie && scores[e] === border && !muted.includes(e) ? (on < 0 ? "= out" : "= in") : "";
    const begin = c.scoreValue + (mark ? 38 : 6), x = mark ? c.pill + 8 : c.pill - 14;
    const pick = on >= 0
      ? `${linkTo("l2", begin, c.pill)}<rect class="pill" x="${c.pill}" y="4" width="44" height="18" rx="9"/><text class="rank" x="${c.pill + 22}" y="17">${ordinalOf(on + 1)}</text>${linkTo("l3", c.pill + 44, c.weights - 4)}`
      : muted.includes(e) ? `<text class="mut d" x="${c.pill}" y="17">muted</text>` : `${linkTo("l2", begin, x)}<path class="x" d="M${x} 9l8 8m0 -8l-8 8"/>`;
    return `<g class="row ${expertClass(e, n)}${on >= 0 ? " on" : ""}" data-expert="${e}" transform="translate(0 ${STEP.top + STEP.row * e})">`
      + `<rect class="hit" width="${c.width}" height="${STEP.row}"/><rect class="tint" x="1" y="5" width="20" height="16" rx="3"/><text class="n0" x="11" y="17">${e}</text>`
      + (c.narrow ? "" : beam("z", Math.min(zero, end), Math.abs(end - zero)) + was("z", logitX, "logits", e) + valueAt("tz", c.logitValue, numberText(logits[e]))
        + linkTo("l1", c.logitValue + 6, c.scores - 4)) + beam("sc", c.scores, scoreX(scores[e]) - c.scores) + was("s", scoreX, "scores", e)
      + valueAt("ts", c.scoreValue, numberText(scores[e], digits), mark) + pick
      + (on >= 0 ? beam("w", c.weights, weightX(weights[e]) - c.weights) : "") + was("w", weightX, "weights", e)
      + valueAt("tw", c.weightValue, on >= 0 ? numberText(weights[e]) : "0") + "</g>";
  };

  const foot = [];
  if (cut) {
    const others = mutedAbove(step).length ? " of the others" : "";
    const x = scoreX(border), place = x < c.width / 2 ? `x="${at(x + 4)}"` : `x="${at(x - 4)}" text-anchor="end"`;
    foot.push(`<text class="c d" ${place} y="12">the ${k === 1 ? "best" : `${ordinalOf(k)} best`}${others} passes</text>`);
  }
  const kept = sum(chosen.map((e) => scores[e]));
  foot.push(`<text class="fs d" x="${c.scores}" y="32">sum ${numberText(sum(scores))}</text>`, `<text class="fk d" x="${c.pill}" y="32">kept ${numberText(kept)}</text>`,
    `<text class="fw" x="${c.weights}" y="32">sum ${numberText(sum(weights))}</text>`);
  if (before && !c.narrow) foot.push(`<rect class="was" x="${c.logits}" y="23" width="1.5" height="11"/>`, `<text class="fz d" x="${c.logits + 7}" y="32">before the move</text>`);

  const height = bottom + STEP.foot, rows = Array.from({ length: n }, (_, e) => row(e));
  return `<svg xmlns="http://www.w3.org/2000/svg" class="step" width="${c.width}" height="${height}" viewBox="0 0 ${c.width} ${height}" role="img" aria-label="${label}">`
    + `${heads.join("")}${axes.join("")}${rows.join("")}<g class="foot" transform="translate(0 ${bottom})">${foot.join("")}</g></svg>`;
}

const at = (x) => x.toFixed(1);
const numberText = (value, digits = 2) => {
  const text = value.toFixed(digits);
  return text.replace("-", Number(text) === 0 ? "" : "−");
};
const ordinalOf = (n) => `${n}${n % 100 > 9 && n % 100 < 21 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[n % 10] ?? "th"}`;
// the fewest decimals at which both print differently; 2 if 4 are not enough
const partingDigits = (a, b) => [2, 3, 4].find((digits) => numberText(a, digits) !== numberText(b, digits)) ?? 2;
const beam = (name, x, width) => `<rect class="${name} beam" x="${at(x)}" y="6" width="${at(Math.max(width, 1))}" height="14"/>`;
const valueAt = (name, x, text, mark = "") => `<text class="${name} val" x="${x}" y="17">${text}</text>${mark ? `<text class="${name}e tie" x="${x + 5}" y="17">${mark}</text>` : ""}`;
const linkTo = (name, begin, end) => (end > begin ? `<path class="${name}" d="M${begin} 13H${end}"/>` : "");

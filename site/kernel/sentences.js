// @ts-check
// The sentences that the notebook's kernel writes for the token viewer (moe_lite/widgets/token_viewer/words.py). The
// templates themselves come from there, when the page is built.

/** A text, a piece of code or an expert: what the viewer's script makes a reading line of.
 * @typedef {string | { code: string } | { expert: number }} Part */

/** @param {string} template @param {Record<string, Part | Part[]>} values @returns {Part[]} */
export function filled(template, values) {
  return template.split(/\{(\w+)\}/).flatMap((text, i) => (i % 2 ? values[text] : text)).filter((part) => part !== "");
}

/** [5, 1] -> experts 5 and 1 @param {number[]} experts @returns {Part[]} */
export function expertsNamed(experts) {
  const ends = experts.length - 1;
  return [ends ? "experts " : "expert ",
    ...experts.flatMap((expert, i) => [...(i ? [i === ends ? " and " : ", "] : []), { expert }])];
}

/** A share of a whole: 0.163 -> "16 %"; "0 %" only for none at all. @param {number} share */
export function percent(share) {
  return share > 0 && share < 0.005 ? "<1 %" : `${Math.floor(100 * share + 0.5)} %`;
}

/** 8 -> "12.5 %" @param {number} nExperts */
export function fairShare(nExperts) {
  return `${Number((100 / nExperts).toFixed(2))} %`;
}

/** How evenly the experts of a layer are used; load: assignments of each, layer counted from 0.
 * @param {Record<string, string>} say @param {number[]} load @param {number} layer @returns {Part[]} */
export function layerSentence(say, load, layer) {
  const total = load.reduce((a, b) => a + b, 0), high = Math.max(...load), low = Math.min(...load);
  const values = { layer: String(layer + 1), assignments: `${thousands(total)} assignments` };
  const [most, least] = [high, low].map((end) => load.flatMap((n, expert) => (n === end ? [expert] : [])));
  if (high === low)
    return filled(say.even, { high: fairShare(load.length), n_experts: String(load.length), ...values });
  return filled(say.spread, {
    busiest: [...allNamed(most), most.length === 1 ? " takes" : " take"], idlest: allNamed(least),
    high: `${percent(high / total)}${most.length > 1 ? " each" : ""}`, low: percent(low / total), ...values,
  });
}

/** @param {number[]} experts @returns {Part[]} */
const allNamed = (experts) => (experts.length <= 3 ? expertsNamed(experts) : [`${experts.length} experts`]);

/** How many tokens have another expert because of the muting.
 * @param {Record<string, string>} say @param {number[]} muted @param {number} moved @param {number} n
 * @param {string} choice @returns {Part[]} */
export function mutedSentence(say, muted, moved, n, choice) {
  return filled(say.muted, { experts: expertsNamed(muted), count: thousands(moved), n: thousands(n), choice });
}

/** @param {number} n */
export const thousands = (n) => n.toLocaleString("en-US");

// @ts-check
// How tokens look: moe_lite/widgets/kit/text.py, in the page. tests/site holds the two equal.

/** A token as the viewer's script reads it: text, gap before it, only white space, the character it is a part of, its
 * place among the parts, and whether it stays on the line of the token before.
 * @typedef {[text: string, gap: boolean, blank: boolean, partOf: string, place: string, stays: boolean]} Face */

const TOGETHER = 30, IF_SHORT = 16; // letters that are kept on one line at most: of a word; of several that signs join
const BEHIND = 2; // letters that a token's numeral and the space after it are as wide as
/** @type {Record<string, string>} */
const SIGNS = { " ": "·", "\n": "↵\n", "\t": "→" };
const WHITE = /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/u;
const HIDDEN = /^[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]$/u;

/** The faces of tokens, given as their bytes.
 * @param {Uint8Array[]} pieces @returns {Face[]} */
export function facesOf(pieces) {
  const owners = splitCharacters(pieces);
  return together(pieces.map((piece, i) => face(pieceText(piece), ...owners[i])));
}

/** What a token shows: its characters, and ⟨c3⟩ for a byte that is only a part of one. @param {Uint8Array} bytes */
export function pieceText(bytes) {
  return characters(bytes).map(({ text, byte }) => text ?? `⟨${hex(byte)}⟩`).join("");
}

/** @param {number} n */
const hex = (n) => n.toString(16).padStart(2, "0");

/** @param {string} piece @param {string} partOf @param {string} place @returns {Face} */
function face(piece, partOf, place) {
  if (WHITE.test(piece)) return [[...piece].map((c) => SIGNS[c] ?? visible(c)).join(""), false, true, "", "", false];
  const gap = piece.startsWith(" ");
  let shown = [...(gap ? piece.slice(1) : piece)].map((c) => (c === "\n" ? "↵\n" : visible(c))).join("");
  if (/^\p{Mn}/u.test(shown)) shown = `\u25cc${shown}`; // a dotted circle for the mark to stand on
  return [shown, gap, false, partOf, place, false];
}

/** @param {string} character */
function visible(character) {
  if (/^\p{Zs}$/u.test(character) && character !== " ") return "␣"; // a space of another kind
  if (HIDDEN.test(character)) return `⟨${hex(/** @type {number} */ (character.codePointAt(0)))}⟩`;
  return character;
}

/** The same faces in a row, each with whether it stays with the one before. @param {Face[]} faces @returns {Face[]} */
function together(faces) {
  let long = 0; // letters since the last place where the line may end
  return faces.map((one, i) => {
    const wide = [...one[0]].length + BEHIND;
    const stays = i > 0 && long + wide <= longest(faces[i - 1], one);
    long = wide + (stays ? long : 0);
    return /** @type {Face} */ ([...one.slice(0, 5), stays]);
  });
}

/** How many letters a line's piece may have in which a face stays with the one before; 0: it never does.
 * @param {Face} before @param {Face} one */
function longest(before, one) {
  const [text, gap, blank, , place] = one;
  if (before[0].endsWith("\n") || gap) return 0;
  if (blank || place === "inner" || place === "last") return text.startsWith("↵") || !blank ? TOGETHER : 0;
  const end = /** @type {string} */ ([...before[0]].at(-1)), start = [...text][0];
  const word = letter(start) && (letter(end) || "'’".includes(end) || (/\p{Nd}/u.test(start) && ".,:".includes(end)));
  if (word || ".,;:!?)]}'\"’”".includes(start)) return TOGETHER;
  return '_([{"“'.includes(end) || start === "_" || ("([".includes(start) && letter(end)) ? IF_SHORT : 0;
}

/** @param {string} c */
const letter = (c) => /[\p{L}\p{N}]/u.test(c);

/** For each token the character that it shares with neighbours, and its place among them.
 * @param {Uint8Array[]} pieces @returns {[string, string][]} */
function splitCharacters(pieces) {
  /** @type {[string, string][]} */
  const owners = pieces.map(() => ["", ""]);
  /** @type {number[]} */
  const ends = [];
  let total = 0;
  for (const piece of pieces) ends.push(total += piece.length);
  const all = new Uint8Array(total);
  pieces.forEach((piece, i) => all.set(piece, ends[i] - piece.length));
  let position = 0, token = 0;
  for (const { text, length } of characters(all)) {
    const stop = position + length;
    while (ends[token] <= position) token++;
    let last = token;
    while (ends[last] < stop) last++;
    for (let i = token; last > token && i <= last; i++)
      owners[i] = [text ?? "", i === token ? "first" : i === last ? "last" : "inner"];
    position = stop;
  }
  return owners;
}

/** UTF-8 in characters; a byte that belongs to none stands alone, without a text.
 * @param {Uint8Array} bytes @returns {{ text: string | null, byte: number, length: number }[]} */
function characters(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at], length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const text = wholeCharacter(bytes.subarray(at, at + length));
    found.push({ text, byte: lead, length: text === null ? 1 : length });
    at += text === null ? 1 : length;
  }
  return found;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param {Uint8Array} bytes */
function wholeCharacter(bytes) {
  try {
    const text = strict.decode(bytes);
    return [...text].length === 1 ? text : null;
  } catch {
    return null;
  }
}

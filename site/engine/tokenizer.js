// @ts-check
// Byte-level BPE, as data/tokenizer.json describes it: a text becomes words, a word bytes, and pairs of neighbours are
// merged, the rule that was learned first before all others, until no rule fits.

/**
 * @typedef {object} Tokenizer
 * @property {(text: string) => number[]} encode token ids; half of a surrogate pair is read as "?"
 * @property {(ids: ArrayLike<number>) => string} decode the text; bytes that are no character become "\ufffd"
 * @property {(id: number) => Uint8Array} bytes what a token stands for; an Error if the vocabulary has no such id
 * @property {number} size how many ids there are
 */

/** @typedef {{ rank: number, id: number }} Merge the smaller rank goes first; id is what the pair becomes */

const LONE_SURROGATE = /\p{Surrogate}/gu;

/**
 * @param {any} json what data/tokenizer.json holds
 * @returns {Tokenizer}
 */
export function makeTokenizer(json) {
  const vocabulary = readVocabulary(json);
  const idOf = new Map(Object.entries(json.model.vocab));
  const idOfByte = byteCharacters().map((character) => idOf.get(character));
  const size = vocabulary.length;
  /** @type {Map<number, Merge>} left · size + right -> what becomes of the pair */
  const merges = new Map();
  for (const [rank, pair] of json.model.merges.entries()) {
    const [left, right] = typeof pair === "string" ? pair.split(" ") : pair;
    merges.set(idOf.get(left) * size + idOf.get(right), { rank, id: idOf.get(left + right) });
  }
  const word = wordPattern(json.pre_tokenizer.pretokenizers[0].pattern.Regex);
  const encoder = new TextEncoder(), decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** @type {Map<string, number[]>} */
  const known = new Map();

  /** @param {string} word */
  function encodeWord(word) {
    let ids = known.get(word);
    if (ids === undefined) {
      ids = mergePairs(Array.from(encoder.encode(word), (byte) => idOfByte[byte]), merges, size);
      known.set(word, ids);
    }
    return ids;
  }

  /** @param {number} id */
  function bytes(id) {
    if (vocabulary[id] === undefined) throw new Error(`There is no token ${id}; the vocabulary has 0 to ${size - 1}.`);
    return vocabulary[id];
  }

  return {
    encode: (text) => (text.replace(LONE_SURROGATE, "?").match(word) ?? []).flatMap(encodeWord),
    decode: (ids) => decoder.decode(Uint8Array.from(Array.from(ids, (id) => [...bytes(id)]).flat())),
    bytes,
    size,
  };
}

/**
 * Apply merges to the ids of a word's bytes. One round applies one rule in all its places, from the left; so a word of
 * n bytes takes at most as many rounds as there are rules, and not n.
 * @param {number[]} ids
 * @param {Map<number, Merge>} merges
 * @param {number} size
 * @returns {number[]}
 */
export function mergePairs(ids, merges, size) {
  for (;;) {
    /** @type {Merge | undefined} */
    let first;
    for (let i = 0; i + 1 < ids.length; i++) {
      const merge = merges.get(ids[i] * size + ids[i + 1]);
      if (merge !== undefined && (first === undefined || merge.rank < first.rank)) first = merge;
    }
    if (first === undefined) return ids;
    const merged = [];
    for (let i = 0; i < ids.length; i++) {
      const fits = i + 1 < ids.length && merges.get(ids[i] * size + ids[i + 1]) === first;
      merged.push(fits ? first.id : ids[i]);
      if (fits) i++;
    }
    ids = merged;
  }
}

/**
 * id -> bytes. Throws an Error for a tokenizer of another kind.
 * @param {any} json
 * @returns {Uint8Array[]}
 */
function readVocabulary(json) {
  const [split, level] = json?.pre_tokenizer?.pretokenizers ?? [];
  const usual = json?.model?.type === "BPE" && split?.pattern?.Regex && level?.type === "ByteLevel";
  if (!usual || json.normalizer || json.added_tokens.length) {
    throw new Error("This is no tokenizer of the course: expected byte-level BPE that splits words by a pattern.");
  }
  const byteOf = new Map(byteCharacters().map((character, byte) => [character, byte]));
  const vocabulary = [];
  for (const [token, id] of Object.entries(json.model.vocab)) {
    vocabulary[id] = Uint8Array.from(Array.from(token, (character) => byteOf.get(character) ?? 0));
  }
  return vocabulary;
}

/**
 * What is one word. White_Space takes the place of \s, which in JavaScript has U+FEFF besides and lacks U+0085.
 * @param {string} pattern
 */
function wordPattern(pattern) {
  const spelled = pattern.replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}");
  return new RegExp(spelled, "gu");
}

/**
 * byte -> the character that stands for it (GPT-2): itself if it is printable, the others from U+0100 onwards.
 * @returns {string[]}
 */
function byteCharacters() {
  let hidden = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCharCode(printable ? byte : 256 + hidden++);
  });
}

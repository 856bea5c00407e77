// @ts-check
// A checkpoint as `moe_lite.checkpoint.save` writes it: one safetensors file, whose header carries the settings.
// First 8 bytes with the length of the header, then the header as JSON, then the numbers of all tensors.
import { modelConfig } from "./config.js";

/** @typedef {{ shape: number[], values: Float32Array }} Tensor */
/** @typedef {{ config: import("./config.js").ModelConfig, tensors: Record<string, Tensor> }} Checkpoint */

const FORMAT = "moe-lite", VERSION = 1;
const WEIGHT = /^model\.(_orig_mod\.)?/; // before the names of a model's tensors; the second part was compiled once

/**
 * The settings and the weights in a file, float32. Throws an Error that says what the file is instead of a checkpoint.
 * @param {ArrayBuffer} buffer
 * @returns {Checkpoint}
 */
export function readSafetensors(buffer) {
  const { header, start } = readHeader(buffer);
  const config = modelConfig(readSettings(header));
  /** @type {Record<string, Tensor>} */
  const tensors = {};
  for (const [name, entry] of Object.entries(header)) {
    if (!WEIGHT.test(name)) continue; // the metadata, and what a training saved for itself
    const { dtype, shape, data_offsets: [from, to] } = entry;
    if (start + to > buffer.byteLength) {
      throw new Error(`The file ends inside of ${name}: it has ${buffer.byteLength} bytes. Was a copy broken off?`);
    }
    const values = floats(buffer.slice(start + from, start + to), dtype, name);
    if (values.length !== product(shape)) {
      throw new Error(`${name} has ${values.length} numbers, and not the shape ${shape.join(" × ")} that it claims.`);
    }
    tensors[name.replace(WEIGHT, "")] = { shape, values };
  }
  return { config, tensors };
}

/**
 * The header, and the byte at which the numbers start.
 * @param {ArrayBuffer} buffer
 * @returns {{ header: Record<string, any>, start: number }}
 */
function readHeader(buffer) {
  const length = buffer instanceof ArrayBuffer ? buffer.byteLength : 0;
  const size = length < 8 ? Infinity : Number(new DataView(buffer).getBigUint64(0, true));
  if (8 + size > length) throw new Error(`This is no whole safetensors file (${length} bytes).`);
  try {
    return { header: JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size))), start: 8 + size };
  } catch {
    throw new Error("This is no safetensors file: its header is not JSON.");
  }
}

/**
 * The model's settings, as the package wrote them.
 * @param {Record<string, any>} header
 * @returns {Record<string, unknown>}
 */
function readSettings(header) {
  const written = header.__metadata__?.[FORMAT];
  if (written === undefined) throw new Error(`This safetensors file is of another program; expected one of ${FORMAT}.`);
  const { version, model } = JSON.parse(written);
  if (version !== VERSION) throw new Error(`The file has format version ${version}; this page reads ${VERSION}.`);
  return model;
}

/** @param {number[]} sizes */
function product(sizes) {
  return sizes.reduce((all, size) => all * size, 1);
}

/**
 * Bytes as numbers. bfloat16 is the upper half of a float32.
 * @param {ArrayBuffer} bytes
 * @param {string} dtype
 * @param {string} name
 * @returns {Float32Array}
 */
function floats(bytes, dtype, name) {
  if (dtype === "F32") return new Float32Array(bytes);
  if (dtype !== "BF16") throw new Error(`${name} is ${dtype}; this page reads BF16 and F32.`);
  const halves = new Uint16Array(bytes), whole = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) whole[i] = halves[i] << 16; // Uint32Array.from takes many times as long
  return new Float32Array(whole.buffer);
}

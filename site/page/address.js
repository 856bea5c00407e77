// The state of the view in the address, so that a view can be shared: #text=…&experts=8&k=2&layer=1&muted=3&token=4

const IN_ADDRESS = { text: "text", domains: "samples", n_experts: "experts", top_k: "k", layer: "layer", choice: "choice", muted: "muted", picked: "only", pinned: "token" };

// The traits that an address names; what cannot be read in it is left out.
function readAddress(hash, { counts, samples }) {
  const given = new URLSearchParams(hash.replace(/^#/, "")), state = {};
  const numbers = (text) => text.split(",").filter((part) => /^\d{1,6}$/.test(part)).map(Number);
  const number = (name, low) => { const [n] = numbers(given.get(name) ?? ""); return n >= low ? n : undefined; };
  if (given.has("text")) state.text = given.get("text").slice(0, 20_000);
  const domains = (given.get("samples") ?? "").split(",").filter((name) => samples.includes(name));
  if (domains.length) state.domains = domains;
  if (counts.includes(number("experts", 1))) state.n_experts = number("experts", 1);
  const found = { top_k: number("k", 1), layer: number("layer", 1), choice: number("choice", 1) - 1, pinned: number("token", 1) - 1 };
  for (const [name, value] of Object.entries(found)) if (value >= 0) state[name] = value;
  for (const name of ["muted", "picked"]) if (given.has(IN_ADDRESS[name])) state[name] = numbers(given.get(IN_ADDRESS[name]));
  return state;
}

// Only what differs from how the page opens.
function writeAddress(state, opening) {
  const given = new URLSearchParams();
  for (const [name, key] of Object.entries(IN_ADDRESS)) {
    const value = state(name);
    if (String(value) === String(opening[name]) || (name === "text" && state("domains").length)) continue;
    given.set(key, name === "choice" || name === "pinned" ? value + 1 : String(value));
  }
  const text = given.toString();
  return text ? `#${text}` : "";
}

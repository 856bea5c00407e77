// The search over all lessons: read when it is first wanted, and nothing is asked of any server.
(() => {
  "use strict";
  const COMMON = new Set("a an and are as by can do does for how in is it of on or the to what when which why with".split(" "));
  const form = document.querySelector(".find"), field = form.querySelector("input"), list = form.querySelector("ul");
  let reading = null;
  const read = () => (reading ??= new Promise((done) => {
    const node = document.createElement("script");
    node.src = "search.js";
    node.onload = () => done(window.moeLiteSearch);
    node.onerror = () => done([]);
    document.head.append(node);
  }));
  async function find() {
    const typed = field.value.toLowerCase().match(/[\p{L}\p{N}](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}])?/gu) ?? [], telling = typed.filter((word) => !COMMON.has(word));
    const words = telling.length ? telling : typed;
    list.hidden = !words.length;
    if (!words.length) return;
    const found = [];
    for (const entry of await read()) {
      const heading = entry.heading.toLowerCase(), text = entry.text.toLowerCase();
      if (!words.every((word) => heading.includes(word) || text.includes(word))) continue;
      const worth = words.reduce((sum, word) => sum + 10 * heading.includes(word) + 15 * entry.lesson.toLowerCase().includes(word) + Math.min(5, text.split(word).length - 1), 0);
      // where a thing is explained comes before where it is asked for, and of equals the earlier lesson
      const asks = entry.heading.startsWith("Exercise") ? 14 : 0, first = words.map((word) => text.indexOf(word)).find((at) => at >= 0) ?? 0;
      found.push({ entry, worth: worth - asks, at: Math.max(0, first - 60) });
    }
    found.sort((a, b) => b.worth - a.worth);
    list.replaceChildren(...found.slice(0, 10).map(({ entry, at }) => {
      const item = document.createElement("li"), link = document.createElement("a"), title = document.createElement("b"), near = document.createElement("span");
      link.href = entry.where;
      title.textContent = `${entry.lesson}${entry.heading ? ` · ${entry.heading}` : ""}`;
      near.append(at ? "… " : "", ...marked(entry.text.slice(at, at + 160), words), " …");
      link.append(title, near);
      item.append(link);
      return item;
    }));
    if (!found.length) list.replaceChildren(Object.assign(document.createElement("li"), { textContent: "Nothing found." }));
  }
  // the words that were looked for, marked
  function marked(text, words) {
    const any = new RegExp(`(${words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "gi");
    return text.split(any).map((part, i) => (i % 2 ? Object.assign(document.createElement("mark"), { textContent: part }) : part));
  }
  field.addEventListener("focus", read, { once: true });
  field.addEventListener("input", find);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    list.querySelector("a")?.click();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { list.hidden = true; field.focus(); }
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || list.hidden) return;
    event.preventDefault();
    const stops = [field, ...list.querySelectorAll("a")];
    stops[Math.min(stops.length - 1, Math.max(0, stops.indexOf(document.activeElement) + by))].focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelectorAll("header details[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
  });
})();

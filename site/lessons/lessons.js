// The search over all lessons: read when it is first wanted, and nothing is asked of any server.
(() => {
  "use strict";
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
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    list.hidden = !words.length;
    if (!words.length) return;
    const found = [];
    for (const entry of await read()) {
      const heading = entry.heading.toLowerCase(), text = entry.text.toLowerCase();
      if (!words.every((word) => heading.includes(word) || text.includes(word))) continue;
      const worth = words.reduce((sum, word) => sum + 10 * heading.includes(word) + 15 * entry.lesson.toLowerCase().includes(word) + Math.min(5, text.split(word).length - 1), 0);
      found.push({ entry, worth, at: Math.max(0, text.indexOf(words[0]) - 60) });
    }
    found.sort((a, b) => b.worth - a.worth);
    list.replaceChildren(...found.slice(0, 10).map(({ entry, at }) => {
      const item = document.createElement("li"), link = document.createElement("a"), title = document.createElement("b"), near = document.createElement("span");
      link.href = entry.where;
      title.textContent = `${entry.lesson}${entry.heading ? ` · ${entry.heading}` : ""}`;
      near.textContent = `${at ? "… " : ""}${entry.text.slice(at, at + 160)} …`;
      link.append(title, near);
      item.append(link);
      return item;
    }));
    if (!found.length) list.replaceChildren(Object.assign(document.createElement("li"), { textContent: "Nothing found." }));
  }
  field.addEventListener("focus", read, { once: true });
  field.addEventListener("input", find);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    list.querySelector("a")?.click();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { list.hidden = true; field.focus(); }
  });
})();

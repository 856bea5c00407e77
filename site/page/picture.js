// The viewer's tokens as a picture: SVG that holds the page's own HTML, drawn into a PNG.

async function savePicture(root, question) {
  const figure = root.querySelector(".tx")?.closest(".tv") ?? root, { width, height } = figure.getBoundingClientRect();
  const sheet = [...document.querySelectorAll("style")].map((node) => node.textContent).join("\n");
  const holder = el("div", { class: root.className, style: "padding:0" }, figure.cloneNode(true));
  const body = el("div", { class: "shot", style: `width:${Math.ceil(width)}px;padding:12px;background:${getComputedStyle(document.querySelector(".page")).backgroundColor}` },
    el("p", { style: "margin:0 0 8px;font:600 15px/20px system-ui,sans-serif" }, question), holder);
  const high = Math.ceil(height) + 60, wide = Math.ceil(width) + 24;
  const html = new XMLSerializer().serializeToString(body);
  const theme = getComputedStyle(document.querySelector(".page"));
  const text = `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${high}"><foreignObject width="100%" height="100%"><body xmlns="http://www.w3.org/1999/xhtml" style="margin:0;color:${theme.color}"><style>${sheet.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</style>${html}</body></foreignObject></svg>`;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: 2 * wide, height: 2 * high }), paper = canvas.getContext("2d");
  paper.scale(2, 2);
  paper.drawImage(image, 0, 0);
  el("a", { href: canvas.toDataURL("image/png"), download: "which-expert.png" }).click();
}

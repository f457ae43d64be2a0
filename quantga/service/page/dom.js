// Elements, and numbers as people read them. Nothing here or elsewhere makes elements from text.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false && child !== ""));
  return element;
}

const minus = (text) => text.replace("-", "−");
export const missing = "–";
export const count = (value) => (value == null ? missing : minus(Math.round(value).toLocaleString("en-US").replaceAll(",", "\u202f")));
export const figure = (value, digits = 2) => (value == null ? missing : minus(value.toFixed(digits)));
export const percent = (value, digits = 1) => (value == null ? missing : `${minus((100 * value).toFixed(digits))} %`);
export const probability = (value) => (value == null ? missing : value < 0.001 ? value.toExponential(0) : value.toPrecision(2));
export const day = (at) => (at == null ? missing : new Date(at).toISOString().slice(0, 10));
export const moment = (at) => (at == null ? missing : new Date(at).toISOString().slice(0, 16).replace("T", " "));

export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return missing;
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  return minutes ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.round(seconds)} s`;
}

export function card(width, title, note, ...children) {
  return h("section", { class: `card w${width}` }, title ? h("h2", {}, title) : null, note ? h("p", { class: "note" }, note) : null, ...children);
}

export function tiles(rows) {
  return h("dl", { class: "tiles" }, rows.map(([name, value, more]) => h("div", {}, h("dt", {}, name), h("dd", {}, value, more ? h("small", {}, more) : null))));
}

// rows: arrays of cells; numeric: which columns stand to the right; pick(row number) makes rows choosable.
export function table(caption, heads, rows, numeric = [], pick = null, chosen = -1) {
  const kind = (place) => (numeric.includes(place) ? "num" : null);
  const line = (cells, number) => {
    const attributes = pick ? { class: "pick", tabindex: 0, "aria-selected": String(number === chosen), onclick: () => pick(number), onkeydown: (event) => event.key === "Enter" && pick(number) } : {};
    return h("tr", attributes, cells.map((cell, place) => h("td", { class: kind(place) }, cell ?? missing)));
  };
  return h("div", { class: "scroll" }, h("table", { "aria-label": caption }, h("thead", {}, h("tr", {}, heads.map((head, place) => h("th", { class: kind(place), scope: "col" }, head)))), h("tbody", {}, rows.map(line))));
}

export function empty(title, ...lines) {
  return h("section", { class: "card empty" }, h("h2", {}, title), lines.map((line) => h("p", {}, line)));
}

export function failed(error, again) {
  return h("section", { class: "card empty error", role: "alert" }, h("h2", {}, "That did not work"), h("p", {}, error.message), h("button", { onclick: again }, "Try again"));
}

export const command = (text) => h("code", {}, text);

export function option(value, text, chosen) {
  return h("option", { value, selected: value === chosen }, text);
}

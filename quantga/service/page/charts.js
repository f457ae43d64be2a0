// Pictures: lines over time or generations, a histogram, and what the pointer or the arrow keys read out of them.

import { h, s } from "./dom.js";

const tip = document.getElementById("tip");

export function showTip(text, x, y) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const width = tip.offsetWidth;
  tip.style.left = `${Math.min(Math.max(8, x + 14), innerWidth - width - 8)}px`;
  tip.style.top = `${Math.max(8, y - tip.offsetHeight - 12)}px`;
}

export function ticks(low, high, about) {
  if (!(high > low)) return [low];
  const raw = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5, 10].find((one) => one * power >= raw) ?? 10);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
}

function dateTicks(low, high, about) {
  const months = Math.max(1, Math.ceil((high - low) / 2.63e9 / about));
  const step = [1, 2, 3, 6, 12, 24, 48].find((one) => one >= months) ?? 120;
  const found = [];
  const first = new Date(low);
  for (let month = first.getUTCFullYear() * 12 + first.getUTCMonth() + 1; ; month += 1) {
    const at = Date.UTC(Math.floor(month / 12), month % 12, 1);
    if (at > high) return found;
    if (month % step === 0) found.push(at);
  }
}

// series: [{name, kind, points: [[x, y|null], …]}]; options: label, x ("number" or "date"), format, formatX, bands, area, height, levels.
export function lineChart(series, options) {
  const box = h("div", { class: "chart" });
  const draw = () => {
    const width = Math.max(300, box.clientWidth || 640);
    box.replaceChildren(plot(series, options, width, options.height ?? Math.min(320, Math.max(210, width * 0.42))));
  };
  let drawn = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width && width !== drawn) {
      drawn = width;
      draw();
    }
  }).observe(box);
  return box;
}

function plot(series, options, width, height) {
  const { format = String, formatX = String, bands = [], levels = [] } = options;
  const all = series.flatMap((one) => one.points).filter(([, y]) => y != null);
  const xs = [...series.flatMap((one) => one.points.map(([x]) => x)), ...(options.xs ?? [])];
  const ys = [...all.map(([, y]) => y), ...(options.ys ?? []), ...levels.map((one) => one.y), ...levels.flatMap((one) => one.band ?? [])];
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  let [y0, y1] = [Math.min(...ys), Math.max(...ys)];
  const pad = (y1 - y0) * 0.06 || Math.abs(y1) * 0.1 || 1;
  if (!options.flush) [y0, y1] = [y0 - pad, y1 + pad];
  const [left, right, top, bottom] = [50, width - 10, 16, height - 26];
  const px = (x) => (x1 > x0 ? left + ((x - x0) / (x1 - x0)) * (right - left) : (left + right) / 2);
  const py = (y) => bottom - ((y - y0) / (y1 - y0 || 1)) * (bottom - top);
  const root = s("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: 0, "aria-label": options.label });
  for (const band of bands) {
    const from = px(Math.max(band.from, x0));
    root.append(s("rect", { class: band.kind, x: from, y: top, width: Math.max(0, px(Math.min(band.to, x1)) - from), height: bottom - top }));
    if (band.name && px(Math.min(band.to, x1)) - from > 7 * band.name.length) root.append(s("text", { x: from + 5, y: top + 13 }, band.name));
  }
  for (const y of ticks(y0, y1, height > 160 ? 5 : 3)) {
    root.append(s("line", { class: y === 0 ? "zero" : "gridline", x1: left, x2: right, y1: py(y), y2: py(y) }), s("text", { x: left - 8, y: py(y) + 4, "text-anchor": "end" }, format(y)));
  }
  const marks = options.x === "date" ? dateTicks(x0, x1, width / 90) : ticks(x0, x1, width / 90).filter(Number.isInteger);
  for (const x of marks) root.append(s("text", { x: px(x), y: height - 7, "text-anchor": "middle" }, formatX(x)));
  for (const level of levels) {
    if (level.band) root.append(s("rect", { class: "placebo", x: left, width: right - left, y: py(level.band[1]), height: Math.max(1, py(level.band[0]) - py(level.band[1])) }));
    root.append(s("line", { class: "placebo-line", x1: left, x2: right, y1: py(level.y), y2: py(level.y) }), s("text", { class: "halo", x: left + 6, y: py(level.y) - 5 }, level.name));
  }
  if (options.area) root.append(s("path", { class: "under", d: `${trace(series[0].points, px, py)}L${px(series[0].points.at(-1)[0])} ${py(0)}L${px(series[0].points[0][0])} ${py(0)}Z` }));
  for (const one of series) root.append(s("path", { class: `line ${one.kind}`, d: trace(one.points, px, py) }));
  if (all.length === series.filter((one) => one.points.length).length) for (const one of series) for (const [x, y] of one.points) if (y != null) root.append(s("circle", { cx: px(x), cy: py(y), r: 3, class: `line ${one.kind}` }));
  readOut(root, series, { px, py, left, right, top, bottom, width, format, name: options.nameX ?? formatX });
  return root;
}

function trace(points, px, py) {
  let path = "";
  let pen = "M";
  for (const [x, y] of points) {
    if (y == null) pen = "M";
    else {
      path += `${pen}${px(x).toFixed(1)} ${py(y).toFixed(1)}`;
      pen = "L";
    }
  }
  return path;
}

function readOut(root, series, frame) {
  const places = [...new Set(series.flatMap((one) => one.points.map(([x]) => x)))].sort((a, b) => a - b);
  const known = series.map((one) => new Map(one.points));
  const cross = s("line", { class: "cross", y1: frame.top, y2: frame.bottom, visibility: "hidden" });
  root.append(cross);
  let at = -1;
  const tell = (place, event) => {
    at = Math.max(0, Math.min(places.length - 1, place));
    const x = places[at];
    if (x === undefined) return;
    cross.setAttribute("x1", frame.px(x));
    cross.setAttribute("x2", frame.px(x));
    cross.setAttribute("visibility", "visible");
    const lines = series.map((one, number) => [one.name, known[number].get(x)]).filter(([name, y]) => name && y != null);
    const box = root.getBoundingClientRect();
    showTip([frame.name(x), ...lines.map(([name, y]) => `${name}  ${frame.format(y)}`)].join("\n"), event ? event.clientX : box.left + (frame.px(x) * box.width) / frame.width, event ? event.clientY : box.top + 40);
  };
  const leave = () => {
    cross.setAttribute("visibility", "hidden");
    showTip("");
  };
  root.addEventListener("pointermove", (event) => {
    const box = root.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * frame.width;
    let best = 0;
    for (let i = 1; i < places.length; i += 1) if (Math.abs(frame.px(places[i]) - x) < Math.abs(frame.px(places[best]) - x)) best = i;
    tell(best, event);
  });
  root.addEventListener("pointerleave", leave);
  root.addEventListener("blur", leave);
  root.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (!step) return;
    event.preventDefault();
    tell(at < 0 ? places.length - 1 : at + step);
  });
}

export function histogram(values, mark, options) {
  const box = h("div", { class: "chart" });
  const [width, height, left, bottom] = [560, 250, 40, 222];
  const [low, high] = [Math.min(...values, mark ?? Infinity), Math.max(...values, mark ?? -Infinity)];
  const pad = (high - low) * 0.06 || 0.5;
  const bins = 20;
  const edge = (i) => low - pad + ((high - low + 2 * pad) * i) / bins;
  const counts = Array.from({ length: bins }, (_, i) => values.filter((v) => v >= edge(i) && v < edge(i + 1)).length);
  const most = Math.max(1, ...counts);
  const px = (v) => left + ((v - edge(0)) / (edge(bins) - edge(0))) * (width - left - 12);
  const root = s("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": options.label });
  for (const n of ticks(0, most, 4).filter(Number.isInteger)) {
    const y = bottom - (n / most) * (bottom - 34);
    root.append(s("line", { class: "gridline", x1: left, x2: width - 12, y1: y, y2: y }), s("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, String(n)));
  }
  counts.forEach((n, i) => {
    if (n) root.append(s("rect", { class: "nullbar", x: px(edge(i)) + 0.5, width: px(edge(i + 1)) - px(edge(i)) - 1, y: bottom - (n / most) * (bottom - 34), height: (n / most) * (bottom - 34) }));
  });
  for (const v of ticks(edge(0), edge(bins), 6)) root.append(s("text", { x: px(v), y: bottom + 18, "text-anchor": "middle" }, options.format(v)));
  if (mark != null) {
    const side = px(mark) > width / 2;
    root.append(s("line", { class: "mark", x1: px(mark), x2: px(mark), y1: bottom, y2: 26 }), s("text", { class: "marktext", x: px(mark) + (side ? -7 : 7), y: 24, "text-anchor": side ? "end" : "start" }, `this run ${options.format(mark)}`));
  }
  box.append(root);
  return box;
}

export function legend(rows) {
  return h("ul", { class: "legend" }, rows.map(([kind, name]) => h("li", {}, h("i", { class: kind }), name)));
}

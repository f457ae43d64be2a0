// Data: which bars there are, what is locked, what is missing.

import { get } from "./api.js";
import { showTip } from "./charts.js";
import { card, command, count, day, empty, h, moment, percent, s, table, tiles } from "./dom.js";

export async function draw(room, [wanted]) {
  const { datasets } = await get("datasets");
  room.append(h("div", { class: "head" }, h("h1", {}, "Data"), datasets.length ? select(datasets, wanted || datasets[0].dataset) : null));
  if (!datasets.length) {
    room.append(empty("No bars yet", "Import candles from files, or pull them from a venue:", command("quantga data import FOLDER")));
    return;
  }
  const told = await get(`datasets/${wanted || datasets[0].dataset}`);
  const bars = told.instruments.reduce((sum, one) => sum + one.rows, 0);
  const lacking = told.instruments.reduce((sum, one) => sum + one.missing, 0);
  room.append(
    tiles([
      ["Bars", count(bars), `${told.instruments.length} symbols, ${told.interval}, ${told.venue}`],
      ["Coverage", percent(bars / Math.max(1, bars + lacking), 2), `${count(lacking)} bars are missing`],
      ["Gaps", count(told.instruments.reduce((sum, one) => sum + one.gaps, 0)), "stretches without bars"],
      ["Dataset", h("code", {}, told.dataset.slice(0, 8)), told.newest ? "the newest import" : "an earlier import"],
    ]),
    h("div", { class: "grid" }, card(12, "Coverage", "Blue: bars that a search may read. Hatched: the locked holdout. Red: the longest gaps.", h("div", { class: "scroll" }, coverage(told))), gaps(told)),
  );
}

function select(datasets, chosen) {
  const name = (one) => `${one.venue} ${one.interval} · ${one.symbols} symbols · ${one.dataset.slice(0, 8)}${one.newest ? "" : " (earlier)"}`;
  return h("select", { "aria-label": "Dataset", onchange: (event) => (location.hash = `#/data/${event.target.value}`) }, datasets.map((one) => h("option", { value: one.dataset, selected: one.dataset === chosen }, name(one))));
}

function coverage(told) {
  const [first, end] = [Math.min(...told.instruments.map((one) => one.first)), Math.max(...told.instruments.map((one) => one.end))];
  const [width, left, row] = [1000, 110, 30];
  const px = (at) => left + ((at - first) / (end - first || 1)) * (width - left - 8);
  const height = told.instruments.length * row + 30;
  const root = s("svg", { class: "plot coverage", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Coverage of each symbol over time" });
  const pattern = s("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, s("rect", { class: "have", width: 6, height: 6, opacity: 0.25 }), s("line", { class: "s0", x1: 0, y1: 0, x2: 0, y2: 6, "stroke-width": 2.5 }));
  root.append(s("defs", {}, pattern));
  const years = [];
  for (let year = new Date(first).getUTCFullYear(); year <= new Date(end).getUTCFullYear(); year += 1) years.push([Date.UTC(year, 0, 1), String(year)]);
  for (const [at, name] of years.filter(([at]) => at >= first)) root.append(s("line", { class: "gridline", x1: px(at), x2: px(at), y1: 0, y2: height - 22 }), s("text", { x: px(at) + 4, y: height - 6 }, name));
  told.instruments.forEach((one, place) => {
    const y = place * row + 6;
    const locked = Math.min(one.locked_from, one.end);
    const tell = `${one.symbol}: ${count(one.rows)} bars\n${day(one.first)} to ${day(one.end)}\nlocked from ${day(one.locked_from)}\n${count(one.missing)} missing in ${count(one.gaps)} gaps`;
    const group = s("g", { tabindex: 0, role: "img", "aria-label": tell, onpointermove: (event) => showTip(tell, event.clientX, event.clientY), onpointerleave: () => showTip(""), onblur: () => showTip(""), onfocus: (event) => showTip(tell, event.target.getBoundingClientRect().left, event.target.getBoundingClientRect().top) });
    group.append(s("text", { x: left - 10, y: y + 13, "text-anchor": "end" }, one.symbol), s("rect", { class: "have", x: px(one.first), y, width: Math.max(1, px(locked) - px(one.first)), height: 18, rx: 3 }), s("rect", { class: "hatched", x: px(locked), y, width: Math.max(0, px(one.end) - px(locked)), height: 18, rx: 3 }));
    for (const gap of one.longest) group.append(s("rect", { class: "gap", x: px(gap.first), y: y - 2, width: Math.max(2, px(gap.first + gap.bars * told.interval_ms) - px(gap.first)), height: 22 }));
    root.append(group);
  });
  return root;
}

function gaps(told) {
  const rows = told.instruments.flatMap((one) => one.longest.map((gap) => [one.symbol, moment(gap.first), count(gap.bars)]));
  if (!rows.length) return card(12, "Gaps", "None: every bar between the first and the last is there.");
  rows.sort((a, b) => Number(b[2].replaceAll("\u202f", "")) - Number(a[2].replaceAll("\u202f", "")));
  return card(12, "Longest gaps", "The ten longest of each symbol.", table("Gaps", ["symbol", "from (UTC)", "bars"], rows.slice(0, 60), [2]));
}

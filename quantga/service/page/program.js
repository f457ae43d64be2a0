// One program in full, or several side by side: the rule in words and as a tree, what it earned phase by phase.

import { get } from "./api.js";
import { legend, lineChart } from "./charts.js";
import { count, day, failed, figure, h, percent, s, table } from "./dom.js";

const PHASES = { searched: "phase-none", embargo: "phase-embargo", holdout: "phase-holdout" };

function sheet(title, ...content) {
  const dialog = h("dialog", { "aria-label": title, onclose: () => dialog.remove(), onclick: (event) => event.target === dialog && dialog.close() });
  dialog.append(h("div", { class: "sheet" }, h("div", { class: "sheet-head" }, h("h1", {}, title), h("button", { class: "plain", "aria-label": "Close", onclick: () => dialog.close() }, "✕")), ...content));
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function later(promise, made) {
  const place = h("div", { class: "wait" }, "One moment …");
  const run = () =>
    promise().then(
      (told) => place.replaceWith(...[made(told)].flat()),
      (error) => place.replaceWith(failed(error, run)),
    );
  run();
  return place;
}

export function open(run, id) {
  sheet(
    `Program ${id.slice(0, 8)}`,
    later(
      () => get(`programs/${id}`),
      (told) => {
        const at = told.appraised.find((one) => one.run === run) ?? told.appraised[0];
        return h(
          "div",
          {},
          h("div", { class: "rule" }, told.words.map((line) => h("p", { class: `d${Math.min(5, line.depth)}` }, line.text))),
          h("div", { class: "scroll" }, tree(told.tree, told.text)),
          h("pre", {}, told.text),
          h("h3", {}, "Figures, in-sample"),
          figures([at], [id]),
          h("p", { class: "note" }, `Looks back ${count(told.lookback)} bars; ${count(told.size)} words; asked for ${told.appraised.length} times.`),
        );
      },
    ),
    h("h3", {}, "Equity by phase"),
    later(
      () => get(`runs/${run}/programs/${id}/equity`),
      (told) => equity([told]),
    ),
  );
}

export function compare(run, programs) {
  const ids = programs.map((one) => one.id);
  sheet(
    `${programs.length} programs side by side`,
    figures(programs, ids),
    h("h3", {}, "Equity by phase"),
    later(
      () => Promise.all(ids.map((id) => get(`runs/${run}/programs/${id}/equity`))),
      (told) => equity(told),
    ),
    h("h3", {}, "Rules"),
    programs.map((one) => h("pre", {}, `${one.id.slice(0, 8)}  ${one.text}`)),
  );
}

function figures(rows, ids) {
  const heads = ["program", "score", "alpha Sharpe", "Sharpe", "return", "drawdown", "trades"];
  const cells = rows.map((one, place) => [h("code", {}, ids[place].slice(0, 8)), figure(one.score), figure(one.alpha_sharpe), figure(one.sharpe), percent(one.total_return), percent(one.max_drawdown), count(one.trades)]);
  return table("Figures", heads, cells, [1, 2, 3, 4, 5, 6]);
}

function equity(told) {
  const first = told[0];
  const shares = (one, values) => one.time.map((at, i) => [at, values[i] == null ? null : values[i] / one.capital - 1]);
  const series = told.map((one, place) => ({ name: told.length > 1 ? one.program.slice(0, 8) : "program", kind: `s${place}`, points: shares(one, one.equity) }));
  series.push({ name: "holding", kind: "soft", points: shares(first, first.holding) });
  const longest = told.reduce((a, b) => (b.phases.length > a.phases.length ? b : a));
  const bands = longest.phases.map((one) => ({ kind: PHASES[one.phase], from: one.start, to: one.end, name: one.phase }));
  const common = { x: "date", formatX: (x) => day(x).slice(0, 7), nameX: day, bands };
  const parts = [
    lineChart(series, { label: "Return after costs by day, phase by phase", format: (v) => percent(v, 0), ...common }),
    legend([...told.map((one, place) => [`f${place}`, told.length > 1 ? one.program.slice(0, 8) : "program, after all costs"]), ["gray", "buying and holding, without costs"]]),
  ];
  if (told.length === 1) {
    const points = first.time.map((at, i) => [at, first.drawdown[i]]);
    parts.push(h("h3", {}, "Drawdown"), lineChart([{ name: "drawdown", kind: "s5", points }], { label: "Drawdown by day", format: (v) => percent(v, 0), ys: [0], height: 150, area: true, ...common, bands: bands.map((one) => ({ ...one, name: "" })) }));
  }
  const note = longest.phases.length > 1 ? "The search read only the first phase; the holdout was opened once, by the validation." : "All of this was searched: it is in-sample. What a validation opened is told for its shortlist.";
  parts.push(h("p", { class: "note" }, note));
  return h("div", { class: "equity" }, parts);
}

const [STEP, HEIGHT, CHAR, PAD, GAP] = [36, 26, 7.3, 10, 52];

function tree(boxes, text) {
  const wide = (box) => 2 * PAD + CHAR * (box.label.length + (box.numbers ? box.numbers.length + 1 : 0));
  const depth = Math.max(...boxes.map((box) => box.depth));
  const columns = [0];
  for (let i = 0; i < depth; i += 1) columns.push(columns[i] + Math.max(...boxes.filter((box) => box.depth === i).map(wide)) + GAP);
  const width = Math.max(...boxes.map((box) => columns[box.depth] + wide(box))) + 2;
  const height = Math.max(...boxes.map((box) => box.y)) + STEP / 2;
  const root = s("svg", { class: "tree", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `The rule as a tree: ${text}` });
  for (const box of boxes) {
    if (box.parent < 0) continue;
    const from = boxes[box.parent];
    const [x0, x1] = [columns[from.depth] + wide(from), columns[box.depth]];
    const middle = x1 - GAP + 12;
    root.append(s("path", { d: `M${x0} ${from.y}H${middle - 6}Q${middle} ${from.y} ${middle} ${from.y + Math.sign(box.y - from.y) * Math.min(6, Math.abs(box.y - from.y))}V${box.y}H${x1}` }));
  }
  for (const box of boxes) {
    const x = columns[box.depth];
    const group = s("g", {}, s("title", {}, box.title), s("rect", { class: box.kind, x, y: box.y - HEIGHT / 2, width: wide(box), height: HEIGHT, rx: 6 }), s("text", { x: x + PAD, y: box.y + 4 }, box.label, box.numbers ? s("tspan", { class: "numbers", dx: CHAR }, box.numbers) : null));
    if (box.branch) group.append(s("text", { class: "branch", x: x - 4, y: box.y - 6, "text-anchor": "end" }, box.branch));
    root.append(group);
  }
  return root;
}

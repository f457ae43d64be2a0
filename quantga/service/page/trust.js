// Trust: whether a run may be believed: luck's histogram, the funnel, what this history can show, the ledger.

import { get } from "./api.js";
import { histogram, legend, lineChart } from "./charts.js";
import { card, command, count, day, empty, figure, h, missing, moment, percent, probability, table, tiles } from "./dom.js";

const HEADS = { promoted: "Promoted", "not promoted": "Not promoted", "not provable": "Not provable with this history", unopened: "Nothing found that luck would not find" };
const upper = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

export async function draw(room, [wanted]) {
  const [{ validations }, ledger, { strategies }] = await Promise.all([get("validations"), get("ledger?limit=100"), get("strategies")]);
  const run = wanted || validations[0]?.run;
  room.append(h("div", { class: "head" }, h("h1", {}, "Trust"), run && validations.length ? select(validations, run) : null));
  const inside = h("div", { class: "grid" });
  room.append(inside);
  if (validations.some((one) => one.run === run)) inside.append(...verdict((await get(`runs/${run}/validation`)).record));
  else inside.append(h("div", { class: "w12" }, empty(run ? "This run was not validated" : "Nothing was validated yet", "A validation runs the whole search again where nothing can be found, then looks once at locked bars:", command(`quantga validate ${run ?? "last"}`))));
  inside.append(promoted(strategies), book(ledger));
}

function select(validations, run) {
  const rows = validations.map((one) => h("option", { value: one.run, selected: one.run === run }, `${one.run} · ${one.decision}`));
  return h("select", { "aria-label": "Run", onchange: (event) => (location.hash = `#/trust/${event.target.value}`) }, rows);
}

function verdict(record) {
  const search = record.search;
  const maxima = search.maxima.filter((one) => one != null);
  const parts = [
    h(
      "section",
      { class: "card w12" },
      h("p", { class: "lead" }, h("b", {}, `${HEADS[record.decision] ?? record.decision}. `), `${upper(record.words)}.`),
      h("p", { class: "note" }, `${count(search.null_searches)} whole searches on markets where nothing can be found; ${count(search.exceedances)} did as well (p = ${probability(search.p)}). Holdout ${day(record.split.holdout[0])} to ${day(record.split.holdout[1])}: ${record.holdout_opened ? "opened once" : "not opened"}.`),
      tiles([
        ["p of the run", probability(record.p), `needed: ${record.level}`],
        ["Trials", count(record.trials), record.history.words],
        ["Looks before", count(record.looks_before.count), `luck grants them ${figure(record.looks_before.expected_false)} false promotions`],
        ["Holdout", `${count(record.split.holdout_days)} days`, record.permission || "still locked"],
      ]),
    ),
  ];
  if (maxima.length) parts.push(card(6, "Luck", "The best score of each surrogate search, and this run's.", histogram(maxima, search.score, { label: `${maxima.length} surrogate champions and this run`, format: (v) => figure(v, 1) })));
  parts.push(card(6, "The funnel", "From every program appraised to those promoted; lengths are logarithmic.", funnel(record.funnel)));
  if (record.power.lengths.length) parts.push(power(record.power));
  if (record.shortlist.length) parts.push(shortlist(record));
  return parts;
}

function funnel(rows) {
  const most = Math.log10(1 + Math.max(1, ...rows.map((one) => one.count)));
  const cells = rows.flatMap((one) => {
    const bar = h("span", { class: "fill" });
    bar.style.width = `${(100 * Math.log10(1 + one.count)) / most}%`;
    return [h("span", {}, one.step), h("span", { class: "track" }, bar), h("b", {}, count(one.count))];
  });
  return h("div", { class: "funnel" }, cells);
}

function power(told) {
  const names = ["a true Sharpe ratio of 1", "of 2", "of 3"];
  const series = names.map((name, place) => ({ name, kind: `s${place}`, points: told.lengths.map((one) => [one.years, one.power[place]]) }));
  const words = told.words.map((one) => h("p", { class: "note" }, `${upper(one)}.`));
  return card(12, "What this history can show", "How often a real edge would pass all this, by the years of history there are.", h("div", { class: "grid" }, h("div", { class: "w8" }, lineChart(series, { label: "Power by years of history", format: (v) => percent(v, 0), ys: [0, 1], flush: true, formatX: (x) => `${x} y`, nameX: (x) => `${x} years`, height: 230 }), legend(names.map((name, place) => [`f${place}`, name]))), h("div", { class: "w4" }, words)));
}

function shortlist(record) {
  const rows = record.shortlist.map((one) => [
    h("a", { href: `#/databank/${record.run}/${one.program}`, class: "mono" }, one.program.slice(0, 8)),
    figure(one.score),
    probability(one.p_mine),
    one.p_hold == null ? missing : probability(one.p_hold),
    one.p == null ? missing : probability(one.p),
    one.holdout ? figure(one.holdout.sharpe) : missing,
    one.forecast ? `${figure(one.forecast.sharpe)} (${figure(one.forecast.low)} to ${figure(one.forecast.high)})` : missing,
    h("span", { class: `badge ${one.promoted ? "good" : ""}` }, one.promoted ? "promoted" : one.reasons[0] ?? "not looked at"),
  ]);
  return card(12, "Shortlist", "The score is in-sample; the forecast is what the holdout showed, shrunk, with a 90 % interval.", table("Shortlist", ["program", "score", "p search", "p holdout", "p both", "holdout Sharpe", "forecast", "verdict"], rows, [1, 2, 3, 4, 5, 6]));
}

function promoted(strategies) {
  if (!strategies.length) return "";
  const rows = strategies.map((one) => [h("code", {}, one.id), `${one.venue} ${one.symbols.join(", ")} ${one.interval}`, `${figure(one.forecast)} (${figure(one.low)} to ${figure(one.high)})`, probability(one.p), h("span", { class: "mono" }, one.text)]);
  return card(12, "Promoted strategies", "", table("Promoted strategies", ["strategy", "market", "forecast Sharpe", "p", "rule"], rows, [2, 3]));
}

// A search's generations, which stand together, become one line.
function summed(rows) {
  const found = [];
  for (const one of rows) {
    const last = found.at(-1);
    if (one.kind === "trials" && last?.kind === "trials" && last.run === one.run) {
      last.trials += one.trials;
      last.first = one.number;
    } else found.push({ ...one, first: one.number });
  }
  return found.map((one) => ({ ...one, row: one.first === one.number ? String(one.number) : `${one.first}–${one.number}` }));
}

function book(told) {
  if (!told.total) return card(12, "The ledger", "No row yet: what was tried elsewhere is not known.");
  const state = told.sound ? h("span", { class: "badge good" }, "chain is whole") : h("span", { class: "badge bad" }, told.faults[0]);
  const rows = summed(told.rows).map((one) => [one.row, moment(one.at), one.kind, h("span", { class: "mono" }, one.run), [...new Set(one.spans.map((span) => span.asset))].join(", "), one.trials ? count(one.trials) : "", one.p == null ? (one.level ? `level ${one.level}` : "") : `p ${probability(one.p)}`]);
  return h("section", { class: "card w12" }, h("div", { class: "head" }, h("h2", {}, "The ledger"), state), h("p", { class: "note" }, `Every program ever appraised and every look at a holdout. ${count(told.total)} rows; head ${told.head.slice(0, 20)}…`), table("Ledger", ["row", "when (UTC)", "kind", "run", "assets", "programs", ""], rows, [0, 5]));
}

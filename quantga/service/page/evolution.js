// Evolution: how a run goes, while it goes: scores per island, real against placebo, diversity, pace, time left.

import { follow, get } from "./api.js";
import { legend, lineChart } from "./charts.js";
import { card, command, count, duration, empty, figure, h, missing, option, percent, table, tiles } from "./dom.js";

const SHOWN = 60;

export async function draw(room, [wanted], { end }) {
  const { runs, total } = await get(`runs?limit=${SHOWN}`);
  if (!runs.length) {
    room.append(head(), empty("No run yet", "A run breeds trading programs on the store's bars. Start one:", command("quantga evolve --symbols BTC,ETH")));
    return;
  }
  const run = wanted || (runs.find((one) => one.state === "unfinished") ?? runs[0]).run;
  const [{ line, placebo }, progress] = await Promise.all([get(`runs/${run}`), get(`runs/${run}/generations`)]);
  const generations = progress.generations;
  const badge = h("span", { class: "badge", id: "state" });
  const inside = h("div", { id: "progress" });
  const redraw = () => inside.replaceChildren(...picture(line, generations, placebo));
  const say = (text, kind) => {
    badge.textContent = text;
    badge.className = `badge ${kind}`;
  };
  say(progress.finished ? "finished" : "following", progress.finished ? "" : "live");
  redraw();
  room.append(head(select(runs, line), badge), inside, list(runs, total, run));
  if (progress.finished) return;
  end(
    follow(
      run,
      (one) => {
        if (one.generation > (generations.at(-1)?.generation ?? 0)) {
          generations.push(one);
          redraw();
        }
      },
      () => say("finished", ""),
      (answers) => say(answers ? "following" : "not reached, asking again", answers ? "live" : "warn"),
    ),
  );
}

function head(...more) {
  return h("div", { class: "head" }, h("h1", {}, "Evolution"), ...more);
}

export function select(runs, line, part = "evolution") {
  const rows = runs.some((one) => one.run === line.run) ? runs : [line, ...runs];
  const name = (one) => `${one.run} · ${one.symbols.slice(0, 3).join(", ")}${one.symbols.length > 3 ? " …" : ""} ${one.interval}`;
  const go = (event) => (location.hash = `#/${part}/${event.target.value}`);
  return h("select", { "aria-label": "Run", onchange: go }, rows.map((one) => option(one.run, name(one), line.run)));
}

function pace(generations) {
  const timed = generations.filter((one) => one.seconds > 0);
  const seconds = timed.reduce((sum, one) => sum + one.seconds, 0);
  return seconds ? { rate: timed.reduce((sum, one) => sum + one.new, 0) / seconds, each: seconds / timed.length } : null;
}

function picture(line, generations, placebo) {
  const last = generations.at(-1);
  if (!last) return [empty("The first programs are being appraised", "Figures appear with the first generation.")];
  const speed = pace(generations);
  const left = line.generations - last.generation;
  const best = Math.max(...last.best.map((one) => one ?? -Infinity));
  const facts = [
    ["Generation", `${last.generation} of ${line.generations ?? missing}`, left > 0 && speed ? `${duration(left * speed.each)} left` : left > 0 ? "time left: not known yet" : "done"],
    ["Trials", count(last.trials), "distinct programs appraised"],
    ["Best score", Number.isFinite(best) ? figure(best) : missing, `in-sample, best of ${count(last.trials)}`],
    ["Throughput", speed ? `${count(speed.rate)}/s` : missing, "new programs a second"],
    ["Diversity", percent(last.distinct / Math.max(1, last.asked), 0), "of what was asked behaves unlike"],
  ];
  if (placebo.length) facts.push(["Placebo", figure(quantile(placebo, 0.5)), `median best of ${placebo.length} searches of nothing`]);
  const islands = last.best.length;
  const series = [];
  for (let island = 0; island < islands; island += 1) {
    series.push({ name: `island ${island + 1} best`, kind: `s${island % 8}`, points: generations.map((one) => [one.generation, one.best[island] ?? null]) });
    if (islands <= 8) series.push({ name: `island ${island + 1} median`, kind: `s${island % 8} thin`, points: generations.map((one) => [one.generation, one.median[island] ?? null]) });
  }
  const levels = placebo.length ? [{ y: quantile(placebo, 0.5), band: [quantile(placebo, 0.05), quantile(placebo, 0.95)], name: "placebo" }] : [];
  const note = placebo.length
    ? "Solid: the best of each island, dashed: its median. The grey band is where 90 % of the best scores of the same search on markets without an edge lie."
    : "Solid: the best of each island, dashed: its median. In-sample: the best of many looks good in any market; a validation adds what luck reaches.";
  const names = Array.from({ length: Math.min(islands, 8) }, (_, island) => [`f${island}`, `island ${island + 1}`]);
  const number = { formatX: String, nameX: (x) => `generation ${x}` };
  return [
    tiles(facts),
    h(
      "div",
      { class: "grid" },
      card(12, "Score by island", note, lineChart(series, { label: "Best and median score of each island by generation", format: (v) => figure(v, 1), levels, ys: [], ...number }), legend(names)),
      card(6, "Diversity", "Share of the programs asked for that behave differently.", lineChart([{ name: "unlike", kind: "s0", points: generations.map((one) => [one.generation, one.distinct / Math.max(1, one.asked)]) }], { label: "Diversity by generation", format: (v) => percent(v, 0), ys: [0, 1], flush: true, height: 180, ...number })),
      card(6, "New programs", "Appraised for the first time, by generation.", lineChart([{ name: "new", kind: "s2", points: generations.map((one) => [one.generation, one.new]) }], { label: "New programs by generation", format: count, ys: [0], height: 180, ...number })),
    ),
  ];
}

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
}

function list(runs, total, run) {
  const rows = runs.map((one) => [h("a", { href: `#/evolution/${one.run}`, class: "mono" }, one.run), `${one.symbols.join(", ")} ${one.interval}`, one.venue, one.generations ? `${one.generation}/${one.generations}` : count(one.generation), count(one.trials), figure(one.best), verdict(one)]);
  const more = total > runs.length ? ` The newest ${runs.length} of ${count(total)}.` : "";
  const title = h("div", {}, h("h2", {}, "Runs"), h("p", { class: "note" }, `Best scores are in-sample.${more}`));
  const chosen = runs.findIndex((one) => one.run === run);
  return h("section", { class: "card w12 runs" }, title, table("Runs", ["run", "markets", "venue", "generation", "trials", "best", "state"], rows, [3, 4, 5], null, chosen));
}

function verdict(one) {
  if (one.verdict) return h("a", { href: `#/trust/${one.run}`, class: `badge ${one.verdict === "promoted" ? "good" : ""}` }, one.verdict);
  return h("span", { class: "badge" }, one.state);
}

// Databank: every program of a run; only the rows in sight are elements, and pages are fetched as they come into sight.

import { get } from "./api.js";
import { command, count, empty, figure, h, percent } from "./dom.js";
import { select } from "./evolution.js";
import { compare, open } from "./program.js";

const ROW = 38;
const PAGE = 200;
const SPARE = 12;
const MOST = 4;
const COLUMNS = [["score", "score", ""], ["sharpe", "Sharpe", ""], ["total_return", "return", "wide"], ["max_drawdown", "drawdown", "wide"], ["trades", "trades", "wide"], ["size", "size", ""]];

export async function draw(room, [wanted, program]) {
  const { runs } = await get("runs?limit=100");
  if (!runs.length) {
    room.append(h("div", { class: "head" }, h("h1", {}, "Databank")), empty("No programs yet", "They come with the first run:", command("quantga evolve --symbols BTC,ETH")));
    return;
  }
  const run = wanted || runs[0].run;
  const { line } = await get(`runs/${run}`);
  const bank = new Bank(run);
  room.append(h("div", { class: "head" }, h("h1", {}, "Databank"), select(runs, line, "databank")), bank.filters(), bank.element);
  await bank.reload();
  if (program) open(run, program);
}

class Bank {
  constructor(run) {
    this.run = run;
    this.sort = "score";
    this.order = "desc";
    this.asked = { q: "", min_score: "", min_trades: "", max_size: "" };
    this.chosen = new Map();
    this.space = h("div", { class: "bank-space" });
    this.view = h("div", { class: "bank-view", role: "listbox", "aria-label": "Programs", "aria-multiselectable": true, tabindex: 0, onscroll: () => this.soon(), onkeydown: (event) => this.key(event) }, this.space);
    this.said = h("span", { role: "status" });
    this.button = h("button", { class: "main", disabled: true, onclick: () => compare(this.run, [...this.chosen.values()]) }, "Compare");
    this.top = h("div", { class: "bank-head" });
    this.element = h("section", { class: "card bank" }, this.top, this.view, h("div", { class: "bank-foot" }, this.said, this.button));
    this.rows = new Map();
    this.focused = -1;
    new ResizeObserver(() => this.soon()).observe(this.view);
  }

  filters() {
    const field = (name, label, more) => h("label", { class: more.class }, label, h("input", { name, ...more, class: null, oninput: (event) => this.changed(name, event.target.value) }));
    return h(
      "form",
      { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      field("q", "Text or id contains", { type: "search", class: "grow", placeholder: "rsi(close, 14)", maxlength: 200 }),
      field("min_score", "Score at least", { type: "number", step: "any" }),
      field("min_trades", "Trades at least", { type: "number", min: 0, step: 1 }),
      field("max_size", "Size at most", { type: "number", min: 1, step: 1 }),
    );
  }

  changed(name, value) {
    this.asked[name] = value.trim();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.reload(), 200);
  }

  heads() {
    const names = COLUMNS.map(([key, name, kind]) => {
      const sorted = this.sort === key;
      const arrow = sorted ? (this.order === "desc" ? " ↓" : " ↑") : "";
      return h("button", { type: "button", class: kind, "aria-sort": sorted ? (this.order === "desc" ? "descending" : "ascending") : null, onclick: () => this.sortBy(key) }, name + arrow);
    });
    this.top.replaceChildren(h("span", {}, ""), ...names, h("span", { class: "note" }, "rule"));
  }

  sortBy(key) {
    this.order = this.sort === key && this.order === "desc" ? "asc" : "desc";
    this.sort = key;
    this.reload();
  }

  address(offset) {
    const filters = Object.entries(this.asked).filter(([, value]) => value !== "");
    return `runs/${this.run}/programs?${new URLSearchParams({ ...Object.fromEntries(filters), sort: this.sort, order: this.order, limit: PAGE, offset })}`;
  }

  async reload() {
    this.abort?.abort();
    this.abort = new AbortController();
    this.heads();
    try {
      const first = await get(this.address(0), this.abort.signal);
      this.pages = new Map([[0, first.programs]]);
      this.total = first.total;
      this.space.style.height = `${this.total * ROW}px`;
      this.view.scrollTop = 0;
      this.focused = -1;
      this.say(first.trials);
      this.clear();
      this.render();
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
    }
  }

  say(trials) {
    this.trials = trials ?? this.trials;
    const some = this.total ? `${count(this.total)} programs that traded; in-sample, of ${count(this.trials)} trials` : "No program of this run is like that: loosen the filters";
    this.said.textContent = this.chosen.size ? `${some} · ${this.chosen.size} chosen` : some;
    this.button.disabled = this.chosen.size < 2;
  }

  fail(error) {
    this.said.textContent = error.message;
  }

  clear() {
    for (const element of this.rows.values()) element.remove();
    this.rows.clear();
  }

  soon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
    });
  }

  render() {
    if (!this.pages) return;
    const first = Math.max(0, Math.floor(this.view.scrollTop / ROW) - SPARE);
    const last = Math.min(this.total, Math.ceil((this.view.scrollTop + this.view.clientHeight) / ROW) + SPARE);
    for (const [number, element] of this.rows) {
      if (number < first || number >= last) {
        element.remove();
        this.rows.delete(number);
      }
    }
    for (let number = first; number < last; number += 1) {
      const standing = this.rows.get(number);
      if (standing && !("waits" in standing.dataset)) continue;
      const page = Math.floor(number / PAGE);
      const one = this.pages.get(page)?.[number % PAGE];
      if (!this.pages.has(page)) this.fetch(page);
      const element = this.row(number, one);
      if (standing) standing.replaceWith(element);
      else this.space.append(element);
      this.rows.set(number, element);
    }
  }

  async fetch(page) {
    this.pages.set(page, null);
    const pages = this.pages;
    try {
      const found = await get(this.address(page * PAGE), this.abort.signal);
      pages.set(page, found.programs);
      this.soon();
    } catch (error) {
      pages.delete(page);
      if (error.name !== "AbortError") this.fail(error);
    }
  }

  row(number, one) {
    const place = { class: "bank-row", role: "option", "aria-posinset": number + 1, "aria-setsize": this.total };
    const element = one
      ? h(
          "div",
          { ...place, "aria-selected": String(this.chosen.has(one.id)), tabindex: -1, "data-id": one.id, onclick: (event) => event.target.type !== "checkbox" && open(this.run, one.id) },
          h("input", { type: "checkbox", tabindex: -1, checked: this.chosen.has(one.id), "aria-label": `Choose ${one.id} to compare`, onchange: () => this.toggle(one) }),
          h("span", {}, figure(one.score)),
          h("span", {}, figure(one.sharpe)),
          h("span", { class: `wide ${one.total_return < 0 ? "down" : "up"}` }, percent(one.total_return)),
          h("span", { class: "wide" }, percent(one.max_drawdown)),
          h("span", { class: "wide" }, count(one.trades)),
          h("span", {}, count(one.size)),
          h("span", { class: "text mono", title: one.text }, one.text),
        )
      : h("div", { ...place, "data-waits": true }, "");
    element.style.transform = `translateY(${number * ROW}px)`;
    return element;
  }

  toggle(one) {
    if (this.chosen.has(one.id)) this.chosen.delete(one.id);
    else if (this.chosen.size < MOST) this.chosen.set(one.id, one);
    for (const element of this.rows.values()) {
      const held = this.chosen.has(element.dataset.id);
      element.setAttribute("aria-selected", String(held));
      const box = element.querySelector("input");
      if (box) box.checked = held;
    }
    this.say();
  }

  key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity };
    const one = this.pages?.get(Math.floor(this.focused / PAGE))?.[this.focused % PAGE];
    if (event.key in steps) this.focus(this.focused + steps[event.key]);
    else if (event.key === "Enter" && one) open(this.run, one.id);
    else if (event.key === " " && one) this.toggle(one);
    else return;
    event.preventDefault();
  }

  focus(number) {
    this.focused = Math.max(0, Math.min(this.total - 1, number));
    const top = this.focused * ROW;
    if (top < this.view.scrollTop) this.view.scrollTop = top;
    else if (top + ROW > this.view.scrollTop + this.view.clientHeight) this.view.scrollTop = top + ROW - this.view.clientHeight;
    this.render();
    this.rows.get(this.focused)?.focus({ preventScroll: true });
  }
}

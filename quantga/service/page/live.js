// Live: what trades: equity, positions, orders and how they filled, and whether anything is halted.

import { get, post, who } from "./api.js";
import { card, command, count, empty, figure, h, missing, moment, percent, table, tiles } from "./dom.js";

const EVERY_MS = 3000;

export async function draw(room, [wanted], { end }) {
  const [{ sessions }, { caller }] = await Promise.all([get("sessions"), who()]);
  if (!sessions.length) {
    room.append(h("div", { class: "head" }, h("h1", {}, "Live")), empty("Nothing trades", "No session of this store has a journal. A promoted strategy is what can be traded:", command("quantga validate last")));
    return;
  }
  const name = wanted || sessions[0].session;
  const badge = h("span", { class: "badge" });
  const inside = h("div");
  const choose = h("select", { "aria-label": "Session", onchange: (event) => (location.hash = `#/live/${event.target.value}`) }, sessions.map((one) => h("option", { value: one.session, selected: one.session === name }, one.session)));
  room.append(h("div", { class: "head" }, h("h1", {}, "Live"), choose, badge, ...(caller.scopes.includes("trade") ? acts(name) : [])), inside);
  const refresh = async () => {
    const [{ positions }, { orders }, risk] = await Promise.all(["positions", "orders", "risk"].map((part) => get(`sessions/${name}/${part}`)));
    const halted = risk.halts.length > 0;
    badge.textContent = halted ? "halted" : "may trade";
    badge.className = `badge ${halted ? "bad" : "good"}`;
    inside.replaceChildren(...picture(positions, orders, risk));
  };
  await refresh();
  const timer = setInterval(() => refresh().catch((error) => ((badge.textContent = error.message), (badge.className = "badge warn"))), EVERY_MS);
  end(() => clearInterval(timer));
}

const SAID = {
  halt: ["Halt", "No new risk is taken. What is held stays, with its stops, until a person resumes."],
  flatten: ["Flatten", "Everything is closed at the market, and the account is halted."],
};

function acts(name) {
  return Object.keys(SAID).map((act) => h("button", { class: act === "flatten" ? "danger" : null, onclick: () => confirm(act, name) }, SAID[act][0]));
}

function confirm(act, name) {
  const [title, what] = SAID[act];
  const typed = h("input", { autocomplete: "off", "aria-label": "Session", oninput: () => (go.disabled = typed.value !== name) });
  const said = h("p", { class: "down", role: "alert" });
  const go = h("button", { class: "danger", type: "submit", disabled: true }, title);
  const close = () => dialog.close();
  const submit = async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      await post(`sessions/${name}/${act}`, { confirm: typed.value });
      close();
      dispatchEvent(new HashChangeEvent("hashchange"));
    } catch (error) {
      said.textContent = error.message;
      go.disabled = false;
    }
  };
  const form = h("form", { onsubmit: submit }, h("label", {}, `Type ${name} to confirm`, typed), said, h("div", { class: "head" }, h("button", { type: "button", onclick: close }, "Cancel"), go));
  const dialog = h("dialog", { class: "ask", "aria-label": title, onclose: () => dialog.remove() }, h("div", { class: "sheet" }, h("h1", {}, `${title}?`), h("p", {}, what), form));
  document.body.append(dialog);
  dialog.showModal();
}

function picture(positions, orders, risk) {
  const unknown = orders.filter((one) => one.phase === "unknown").length;
  const facts = [
    ["Equity", `${count(risk.equity)} USDC`, `peak ${count(risk.peak)}`],
    ["Today", percent(-risk.daily_loss, 2), "since 00:00 UTC"],
    ["Drawdown", percent(risk.drawdown, 2), "from the peak"],
    ["Positions", count(positions.length), `${orders.filter((one) => one.open).length} orders open`],
    ["Unknown orders", count(unknown), unknown ? "asked about before anything else is sent" : "every outcome is known"],
  ];
  const held = positions.map((one) => [one.symbol, h("span", { class: one.size < 0 ? "down" : "up" }, figure(one.size, 5)), Object.entries(one.strategies).map(([name, size]) => `${name.slice(0, 8)} ${figure(size, 5)}`).join(", ")]);
  const sent = orders.map((one) => [moment(one.at), one.symbol, one.side, figure(one.size, 5), figure(one.price), one.purpose, h("span", { class: `badge ${one.phase === "unknown" || one.phase === "rejected" ? "bad" : one.open ? "good" : ""}` }, one.phase), one.average == null ? missing : figure(one.average), one.slippage == null ? missing : percent(one.slippage, 3)]);
  return [
    tiles(facts),
    risk.halts.length ? h("section", { class: "card error", role: "alert" }, h("h2", {}, "Halted"), risk.halts.map((one) => h("p", {}, `${one.symbol || "The account"}: ${one.reason}`)), h("p", { class: "note" }, "A halt stays until a person resumes it.")) : "",
    h("div", { class: "grid" }, held.length ? card(12, "Positions", "Net, as the journal's book has them, with each strategy's part.", table("Positions", ["symbol", "size", "of"], held, [1])) : card(12, "Positions", "Flat: nothing is held."), sent.length ? card(12, "Orders", "The newest first; slippage is against the price that was asked for, positive where it cost.", table("Orders", ["when (UTC)", "symbol", "side", "size", "price", "for", "state", "filled at", "slippage"], sent, [3, 4, 7, 8])) : card(12, "Orders", "None was sent yet.")),
  ];
}

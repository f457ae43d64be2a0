// The page: which part is shown, by the address after #; each part draws itself and is told when it ends.

import { who } from "./api.js";
import { failed, h } from "./dom.js";

const PARTS = { evolution: "./evolution.js", databank: "./databank.js", trust: "./trust.js", live: "./live.js", data: "./data.js" };
const main = document.getElementById("main");
let ending = [];
let shown = 0;

async function show() {
  const [part, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const name = part in PARTS ? part : "evolution";
  const turn = ++shown;
  ending.forEach((end) => end());
  ending = [];
  for (const link of document.querySelectorAll(".bar nav a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${name[0].toUpperCase()}${name.slice(1)} · quantga`;
  const waiting = setTimeout(() => turn === shown && main.replaceChildren(h("div", { class: "wait" }, "One moment …")), 300);
  const room = h("div", { class: `part-${name}` });
  try {
    const { draw } = await import(PARTS[name]);
    await draw(room, rest, { end: (what) => (turn === shown ? ending.push(what) : what()) });
    if (turn === shown) main.replaceChildren(room);
  } catch (error) {
    if (turn === shown) main.replaceChildren(failed(error, show));
  } finally {
    clearTimeout(waiting);
    if (turn === shown) main.dataset.part = name;
  }
}

function theme(chosen) {
  if (chosen) document.documentElement.dataset.theme = chosen;
}

document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme:dark)").matches;
  localStorage.setItem("theme", dark ? "light" : "dark");
  theme(dark ? "light" : "dark");
});
theme(localStorage.getItem("theme"));
addEventListener("hashchange", () => {
  show();
  main.focus({ preventScroll: true });
});
who().then(
  ({ store, caller }) => (document.getElementById("who").textContent = `${store} · ${caller.name}`),
  () => {},
);
show();

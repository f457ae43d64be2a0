(() => {
  "use strict";
  const root = document.documentElement, tip = document.getElementById("tip");
  root.classList.add("js");

  const place = (x, y) => {
    const w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - w - 8)) + "px";
    tip.style.top = (y - h - 12 > 8 ? y - h - 12 : y + 18) + "px";
  };
  const show = (text, x, y) => { tip.textContent = text; tip.hidden = false; place(x, y); };
  const hide = () => { tip.hidden = true; };

  // Tabs: the champion asked for in the address, arrow keys between them.
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const panels = tabs.map((tab) => document.getElementById(tab.getAttribute("aria-controls")));
  const choose = (at, focus) => {
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === at));
      tab.tabIndex = i === at ? 0 : -1;
      panels[i].hidden = i !== at;
    });
    if (focus) tabs[at].focus();
  };
  const asked = () => Math.max(0, tabs.findIndex((tab) => tab.hash === location.hash));
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", (event) => { event.preventDefault(); choose(at, true); history.replaceState(null, "", tab.hash); });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const to = event.key === "Home" ? 0 : event.key === "End" ? tabs.length - 1 : step ? (at + step + tabs.length) % tabs.length : -1;
      if (to >= 0) { event.preventDefault(); choose(to, true); history.replaceState(null, "", tabs[to].hash); }
    });
  });
  if (tabs.length) {
    choose(asked(), false);
    addEventListener("hashchange", () => {
      if (!tabs.some((tab) => tab.hash === location.hash)) return;
      choose(asked(), false);
      document.getElementById("champions").scrollIntoView();
    });
  }

  // One market's trades at a time.
  for (const pick of document.querySelectorAll("[data-pick]")) {
    const blocks = [...document.getElementById(pick.dataset.pick).children];
    const update = () => blocks.forEach((block) => { block.hidden = block.dataset.choice !== pick.value; });
    pick.addEventListener("change", update);
    update();
  }

  // Things with a text of their own.
  for (const point of document.querySelectorAll("[data-tip]")) {
    const at = () => { const box = point.getBoundingClientRect(); show(point.dataset.tip, box.left + box.width / 2, box.top); };
    point.addEventListener("pointerenter", at);
    point.addEventListener("focus", at);
    point.addEventListener("pointerleave", hide);
    point.addEventListener("blur", hide);
  }

  // What a reading says.
  const apart = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, "\u00a0").replace("-", "−");
  const money = (value) => apart(value.toFixed(0));
  const percent = (value, places, sign) => (sign && value >= 0 ? "+" : "") + value.toFixed(places).replace("-", "−") + "\u00a0%";
  const stamp = (minutes) => new Date(minutes * 6e4).toISOString().slice(0, 16).replace("T", " ");
  const says = {
    equity: (d, i) => {
      const day = new Date(d.start + d.x[i] * (d.end - d.start) - 1).toISOString().slice(0, 10);
      const line = (name, value) => name + " " + money(value) + " (" + percent((value / d.from - 1) * 100, 1, true) + ")";
      return [day, line("champion", d.e[i]), line("holding", d.m[i]), "drawdown " + percent(d.d[i] / 10, 1, false)].join("\n");
    },
    trades: (d, i) => {
      const [side, opened, entry, closed, exit, reason, points] = d.t[i];
      const head = (side > 0 ? "long" : "short") + " · " + stamp(opened) + " at " + entry;
      if (!closed) return head + "\nstill open at the end of the data";
      return head + "\nout " + stamp(closed) + " at " + exit + " · " + d.ends[reason] + "\n" + percent(points / 100, 2, true) + " of the position after costs";
    },
  };
  const reading = (data, i) => (says[data.kind] ? says[data.kind](data, i) : data.t[i]);

  // Crosshair: the nearest reading under the pointer, or step by step with the arrow keys.
  for (const figure of document.querySelectorAll(".chart.hover")) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const svgs = [...figure.querySelectorAll("svg[data-plot]")];
    let current = -1;
    const line = document.createElementNS(svgs[0].namespaceURI, "line");
    line.setAttribute("class", "cross");
    const visible = () => svgs.find((svg) => svg.getClientRects().length);
    const mark = (at) => {
      const svg = visible();
      if (!svg || at < 0 || at >= data.x.length) return;
      const [left, right, top, bottom] = svg.dataset.plot.split(" ").map(Number);
      const x = left + data.x[at] * (right - left);
      current = at;
      line.setAttribute("x1", x); line.setAttribute("x2", x); line.setAttribute("y1", top); line.setAttribute("y2", bottom);
      svg.append(line);
      const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
      const pane = svg.closest(".scroll");
      if (pane && document.activeElement === figure) pane.scrollLeft = Math.min(Math.max(pane.scrollLeft, x - pane.clientWidth + 60), x - 60);
      show(reading(data, at), svg.getBoundingClientRect().left + x * scale, box.top + top * scale + 40);
    };
    const leave = () => { line.remove(); hide(); current = -1; };
    const nearest = (event) => {
      const svg = visible();
      if (!svg) return;
      const box = svg.getBoundingClientRect(), [left, right] = svg.dataset.plot.split(" ").map(Number);
      const x = ((event.clientX - box.left) / box.width * svg.viewBox.baseVal.width - left) / (right - left);
      if (x < -0.03 || x > 1.03) return leave();
      let low = 0, high = data.x.length - 1;
      while (high - low > 1) { const middle = (low + high) >> 1; if (data.x[middle] < x) low = middle; else high = middle; }
      mark(data.x.length && Math.abs(data.x[low] - x) <= Math.abs(data.x[high] - x) ? low : high);
    };
    figure.addEventListener("pointermove", (event) => { if (event.target.closest("svg")) nearest(event); });
    figure.addEventListener("pointerdown", (event) => { if (event.target.closest("svg")) nearest(event); });
    figure.addEventListener("pointerleave", leave);
    figure.addEventListener("blur", leave);
    figure.addEventListener("keydown", (event) => {
      const far = event.shiftKey ? 10 : 1, last = data.x.length - 1;
      const to = { ArrowRight: Math.min(last, current + far), ArrowLeft: Math.max(0, current < 0 ? last : current - far), Home: 0, End: last, Escape: -1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      if (to < 0) leave(); else mark(to);
    });
  }

  // Prices: the visible stretch fills the height, whatever the rest of history did.
  const nice = (low, high, wanted) => {
    const raw = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((v) => v >= raw * 0.999);
    const found = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(i * step);
    return found;
  };
  const quote = (value) => {
    const [whole, rest] = value.toFixed(value >= 1000 ? 0 : value >= 1 ? 2 : value >= 0.01 ? 4 : 7).split(".");
    return apart(whole) + (rest ? "." + rest : "");
  };
  for (const figure of document.querySelectorAll(".chart.trades")) {
    const svg = figure.querySelector(".prices"), axis = figure.querySelector(".axis"), pane = figure.querySelector(".scroll");
    const [, , top, bottom] = svg.dataset.plot.split(" ").map(Number), [low, high, log] = svg.dataset.scale.split(" ").map(Number);
    const value = (y) => { const f = (bottom - y) / (bottom - top); return log ? low * (high / low) ** f : low + f * (high - low); };
    const pixel = (v) => bottom - (log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low)) * (bottom - top);
    const paths = [...svg.querySelectorAll("path")].map((path) => ({
      path,
      parts: [...path.getAttribute("d").matchAll(/([ML])(-?[\d.]+) (-?[\d.]+)([^ML]*)/g)].map((m) => [m[1], +m[2], +m[3], m[4]]),
    }));
    const level = svg.querySelector(".level"), ns = svg.namespaceURI;
    const draw = () => {
      const left = pane.scrollLeft - 20, right = pane.scrollLeft + pane.clientWidth + 20;
      if (!pane.clientWidth) return;
      let up = Infinity, down = -Infinity;
      for (const { parts } of paths) for (const [, x, y] of parts) if (x >= left && x <= right) { up = Math.min(up, y); down = Math.max(down, y); }
      if (!(down > up)) return;
      const room = Math.max((down - up) * 0.12, 1), from = up - room, scale = (bottom - top) / (down + room - from);
      const moved = (y) => top + (y - from) * scale;
      for (const { path, parts } of paths) path.setAttribute("d", parts.map(([c, x, y, rest]) => c + x + " " + moved(y).toFixed(1) + rest).join(""));
      svg.querySelectorAll(".level").forEach((line) => line.remove());
      axis.replaceChildren();
      for (const tick of nice(value(down + room), value(from), 6)) {
        const y = moved(pixel(tick)), line = level.cloneNode(), text = document.createElementNS(ns, "text");
        line.setAttribute("y1", y); line.setAttribute("y2", y); svg.prepend(line);
        text.setAttribute("x", 52); text.setAttribute("y", y + 4); text.setAttribute("class", "tick"); text.setAttribute("text-anchor", "end");
        text.textContent = quote(tick); axis.append(text);
      }
    };
    let seen = false, asked = false;
    new ResizeObserver(() => {
      if (!seen && pane.clientWidth) { seen = true; pane.scrollLeft = svg.clientWidth; }
      draw();
    }).observe(pane);
    pane.addEventListener("scroll", () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => { asked = false; draw(); });
    });
  }
})();

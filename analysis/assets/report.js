(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("study-data").textContent);
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const panel = document.getElementById("panel");
  const announcement = document.getElementById("announcement");
  const SVG = "http://www.w3.org/2000/svg";
  const GOOD = "#0072B2", BAD = "#D55E00", INK = "#1f2933", MUTED = "#52606d";
  let opener = null;

  // ---- small helpers; text always goes in as text, never as HTML ----
  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null));
    return node;
  }
  function draw(tag, attributes, text) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }
  function number(value) {
    if (value === null || value === undefined) return "\u2013";
    const size = Math.abs(value);
    const text = size >= 10 ? value.toFixed(1) : size >= 0.001 || size === 0 ? value.toFixed(3) : String(Number(value.toPrecision(3)));
    return text.replace("-", "\u2212");
  }
  function interval(item) {
    return item.low === null || item.high === null ? "" : number(item.low) + " to " + number(item.high);
  }
  const VERDICT = { pass: "pass", violation: "violation", too_little_data: "too little data", missing: "missing" };

  // ---- one check: every adversary's estimate and interval beside baseline, chance, majority and bound ----
  const WIDTH = 520, LEFT = 84, RIGHT = 388, STEP = 30;
  const isNumber = (value) => typeof value === "number";
  // The range follows what is judged; chance and majority join it where that costs less than half the width.
  function scaleOf(check) {
    const reach = (names) => check.members.flatMap((member) => names.map((name) => member[name]).filter(isNumber));
    const judged = reach(["value", "low", "high", "baseline", "baseline_low", "baseline_high", "at"]);
    if (!judged.length) return null;
    let low = Math.min(...judged), high = Math.max(...judged);
    const all = judged.concat(reach(["chance", "majority"]));
    if (Math.max(...all) - Math.min(...all) <= 2 * (high - low)) { low = Math.min(...all); high = Math.max(...all); }
    const room = (high - low) * 0.06 || 0.05;
    low -= room; high += room;
    return { low, high, at: (value) => LEFT + ((value - low) / (high - low)) * (RIGHT - LEFT) };
  }
  const isInside = (value, scale) => value >= scale.low && value <= scale.high;
  function outside(check) {
    const scale = scaleOf(check), found = new Set();
    for (const member of scale === null ? [] : check.members)
      for (const name of ["chance", "majority"])
        if (isNumber(member[name]) && !isInside(member[name], scale)) found.add(name + " " + number(member[name]));
    return found.size ? "; " + [...found].join(" and ") + " outside the range drawn" : "";
  }
  function bullet(svg, member, check, scale, y) {
    svg.append(draw("text", { x: 0, y: y + 4, opacity: member.votes ? 1 : 0.55 }, member.name));
    svg.append(draw("line", { x1: LEFT, x2: RIGHT, y1: y, y2: y, stroke: "#cbd2d9" }));
    if (isNumber(member.at)) {
      const at = scale.at(member.at), upper = check.sense === "<=";
      const from = upper ? at : LEFT, to = upper ? RIGHT : at;
      svg.append(draw("rect", { x: from, width: Math.max(0, to - from), y: y - 11, height: 22, fill: BAD, opacity: 0.1 }));
      svg.append(draw("line", { x1: at, x2: at, y1: y - 11, y2: y + 11, stroke: BAD, "stroke-width": 2.2 }));
    }
    for (const [name, dash] of [["chance", "2 2"], ["majority", "6 2"]])
      if (isNumber(member[name]) && isInside(member[name], scale)) {
        const at = scale.at(member[name]);
        svg.append(draw("line", { x1: at, x2: at, y1: y - 8, y2: y + 8, stroke: MUTED, "stroke-width": 1.4, "stroke-dasharray": dash }));
      }
    if (isNumber(member.baseline_low) && isNumber(member.baseline_high))
      svg.append(draw("line", { x1: scale.at(member.baseline_low), x2: scale.at(member.baseline_high), y1: y, y2: y, stroke: INK, opacity: 0.35, "stroke-width": 8 }));
    const stated = draw("text", { x: RIGHT + 12, y: y + 4 });
    stated.append(draw("tspan", { "font-weight": 600 }, member.value === null ? "no result" : number(member.value)));
    stated.append(draw("tspan", { dx: 6, class: "soft" }, member.votes ? interval(member) : "no vote"));
    svg.append(stated);
    if (member.value !== null) {
      const colour = member.votes ? GOOD : "#9aa5b1";
      if (member.low !== null && member.high !== null)
        svg.append(draw("line", { x1: scale.at(member.low), x2: scale.at(member.high), y1: y, y2: y, stroke: colour, "stroke-width": 3 }));
      svg.append(draw("circle", { cx: scale.at(member.value), cy: y, r: 5.2, fill: member.votes ? colour : "#fff", stroke: colour, "stroke-width": 2 }));
    }
    if (isNumber(member.baseline)) {
      const at = scale.at(member.baseline);
      svg.append(draw("path", { d: `M${at - 7} ${y} L${at} ${y - 7} L${at + 7} ${y} L${at} ${y + 7} Z`, fill: "none", stroke: INK, "stroke-width": 1.6 }));
    }
  }
  function describe(check) {
    return check.label + " (" + check.bound + "): " + check.members.map((member) =>
      member.name + " " + number(member.value) + (interval(member) ? " (" + interval(member) + ")" : "") +
      (isNumber(member.at) ? ", bound " + number(member.at) : "") + ", baseline " + number(member.baseline) +
      ", chance " + number(member.chance) + ", majority " + number(member.majority) + (member.votes ? "" : ", no vote")).join("; ");
  }
  function checkBlock(check) {
    const state = check.missing ? "\u2297 no result, counted as violated"
      : check.within ? "\u25cf estimate: within" : "\u2297 estimate: beyond";
    const block = make("div", { class: "check" },
      make("div", { class: "title" }, make("strong", {}, check.label),
        make("span", { class: "chip " + (check.within ? "good" : "bad") }, state),
        make("span", { class: "chip " + (check.verdict in VERDICT ? check.verdict : "") }, "verdict: " + (VERDICT[check.verdict] || check.verdict))),
      make("div", { class: "rule" }, check.bound + " [" + check.unit + "]; margin " + number(check.margin) + " in units of " + String(check.scale) + outside(check)));
    const scale = scaleOf(check);
    if (scale === null) return block;
    const height = STEP * check.members.length + 22;
    const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": describe(check) });
    check.members.forEach((member, index) => bullet(svg, member, check, scale, 15 + STEP * index));
    const ends = [[LEFT, "start", scale.low], [RIGHT, "end", scale.high]];
    for (const [x, anchor, value] of ends) svg.append(draw("text", { x, y: height - 4, class: "soft", "text-anchor": anchor }, number(value)));
    const better = check.sense === "<=" ? "\u25c0 lower is less noticed" : "higher is less noticed \u25b6";
    svg.append(draw("text", { x: (LEFT + RIGHT) / 2, y: height - 4, class: "soft", "text-anchor": "middle" }, better));
    block.append(svg);
    return block;
  }
  function key() {
    function sample(text, ...shapes) {
      const svg = draw("svg", { viewBox: "0 0 26 14", "aria-hidden": "true" });
      svg.append(...shapes);
      return make("span", {}, svg, text);
    }
    const vertical = (stroke, dash) => draw("line", { x1: 13, x2: 13, y1: 0, y2: 14, stroke, "stroke-width": 2, "stroke-dasharray": dash });
    return make("p", { class: "key" },
      sample("estimate, 95 % interval", draw("line", { x1: 2, x2: 24, y1: 7, y2: 7, stroke: GOOD, "stroke-width": 3 }), draw("circle", { cx: 13, cy: 7, r: 5, fill: GOOD })),
      sample("honest baseline", draw("path", { d: "M7 7 L13 1 L19 7 L13 13 Z", fill: "#fff", stroke: INK, "stroke-width": 1.4 })),
      sample("bound, shaded beyond", vertical(BAD, "none")), sample("chance", vertical(MUTED, "2 2")), sample("majority class", vertical(MUTED, "6 2")),
      make("br"), "Margins are estimates; verdicts are judged by interval.");
  }
  function checksOf(trial) {
    const found = data.trials[trial].checks;
    return found.length ? [...found.map(checkBlock), key()] : [make("p", { class: "empty" }, "The study has no check.")];
  }

  // ---- the panel of one trial ----
  function rowsTable(headers, rows) {
    return make("table", {},
      make("thead", {}, make("tr", {}, ...headers.map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", / to /.test(cell) ? { class: "fixed" } : {}, cell))))));
  }
  function picture(trial) {
    const gallery = data.galleries[trial];
    if (!gallery) return make("p", { class: "empty" }, "No gallery is embedded for this trial; see artifacts/" + trial + "/gallery.png in the study folder, if it is there.");
    return make("figure", { class: "gallery" },
      make("img", { src: gallery.uri, width: gallery.width, height: gallery.height, alt: "Gallery of trial " + trial + "; a row an image, the columns are named in the picture" }),
      make("figcaption", {}, "A row a test image; the columns are named above them."));
  }
  function parameterRow(item) {
    const value = item.value === null ? make("span", { class: "inactive" }, "inactive") : item.value + (item.unit ? " " + item.unit : "");
    return [item.name, value, item.role];
  }
  function heading(item, place) {
    const button = (text, label, target) => {
      const node = make("button", { type: "button", "aria-label": label }, text);
      if (target === undefined) node.disabled = true; else node.addEventListener("click", () => show(target));
      return node;
    };
    const close = make("button", { type: "button", "aria-label": "Close the panel" }, "Close \u2715");
    close.addEventListener("click", hide);
    return make("header", {}, make("h2", {}, "Trial " + item.trial),
      button("\u25c0 better", "Show the next better trial", data.order[place - 1]),
      button("worse \u25b6", "Show the next worse trial", data.order[place + 1]), close);
  }
  function fill(item) {
    const place = data.order.indexOf(item.trial);
    const objectives = item.objectives.map((o) => [o.label + (o.searched ? " (searched)" : ""), number(o.value), interval(o), o.unit + "; " + o.direction]);
    const metrics = item.metrics.map((m) => [m.label + (m.votes ? "" : " (no vote)"), number(m.value), interval(m), number(m.baseline), m.unit]);
    const facts = ["rank " + item.rank + " of " + data.order.length, ...item.strata, item.outcome + (item.meaning ? ": " + item.meaning : ""),
      item.seconds === null ? null : item.seconds.toFixed(0) + " s", item.seed === null ? null : "seed " + item.seed];
    const parts = [heading(item, place),
      make("p", { class: "facts" }, make("span", { class: "chip " + (item.feasible ? "good" : "bad") }, item.feasible ? "\u25cf feasible by estimate" : "\u2297 infeasible"),
        item.front ? " \u2605 on the feasible front \u00b7 " : " ", facts.filter((text) => text).join(" \u00b7 ")),
      item.error ? make("div", { class: "failure" }, make("strong", {}, "Error. "), item.error) : null,
      picture(item.trial),
      make("h3", {}, "Objectives"), rowsTable(["Objective", "Value", "95 % interval", "Unit and direction"], objectives),
      make("h3", {}, "Checks"), make("div", { class: "bullets" }, ...checksOf(item.trial)),
      make("h3", {}, "Further metrics"), rowsTable(["Metric", "Value", "95 % interval", "Baseline", "Unit"], metrics),
      make("h3", {}, "Configuration"), rowsTable(["Parameter", "Value", "Role"], item.parameters.map(parameterRow))];
    panel.replaceChildren(...parts.filter((part) => part !== null));
  }
  function show(trial) {
    const item = data.trials[trial];
    if (!item) return;
    if (panel.hidden) opener = document.activeElement;
    panel.replaceChildren();
    fill(item);
    panel.querySelectorAll("table").forEach((table) => table.replaceWith(make("div", { class: "scroll" }, table.cloneNode(true))));
    panel.hidden = false;
    panel.scrollTop = 0;
    panel.focus({ preventScroll: true });
    mark(trial);
    history.replaceState(null, "", "#trial=" + trial);
    announcement.textContent = "Showing trial " + trial + ", " + (item.feasible ? "feasible" : "infeasible");
  }
  function hide() {
    panel.hidden = true;
    mark(null);
    history.replaceState(null, "", location.pathname + location.search);
    if (opener && opener.focus) opener.focus({ preventScroll: true });
  }
  function mark(trial) {
    document.querySelectorAll("tr.chosen").forEach((row) => row.classList.remove("chosen"));
    document.querySelectorAll(`main button.trial[data-trial="${trial}"]`).forEach((button) => {
      const row = button.closest("tr");
      if (row) row.classList.add("chosen");
    });
  }
  function fromAddress() {
    const match = /^#trial=(\d+)$/.exec(location.hash);
    if (match) show(Number(match[1]));
  }

  // ---- wiring ----
  document.querySelectorAll("[data-checks-of]").forEach((place) => place.append(...checksOf(place.dataset.checksOf)));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.trial");
    if (button) show(Number(button.dataset.trial));
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !panel.hidden) hide(); });
  window.addEventListener("hashchange", fromAddress);
  const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]], toImageButtonOptions: { format: "svg" } };
  fromAddress();
  document.querySelectorAll("[data-figure]").forEach((place) => {
    const figure = figures[place.dataset.figure];
    try {  // One figure that fails must not take the others and the panel with it.
      Plotly.newPlot(place, figure.data, figure.layout, config);
    } catch (error) {
      place.replaceChildren(make("p", { class: "empty" }, "This figure cannot be drawn in this browser: " + error.message));
      console.error(place.dataset.figure, error);
      return;
    }
    place.on("plotly_click", (event) => {
      const point = event.points.find((candidate) => typeof candidate.customdata === "number");
      if (point) show(point.customdata);
    });
  });
  window.addEventListener("beforeprint", () => document.querySelectorAll("[data-figure]").forEach((place) => Plotly.Plots.resize(place)));
})();

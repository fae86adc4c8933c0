  // ---- the panel of one trial ----
  const panel = document.getElementById("panel");
  const announcement = document.getElementById("announcement");
  let opener = null;
  function rowsTable(headers, rows) {
    return make("div", { class: "scroll" }, make("table", {},
      make("thead", {}, make("tr", {}, ...headers.map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", / to /.test(cell) ? { class: "fixed" } : {}, cell)))))));
  }
  const galleryFile = (trial) => (data.artifacts ? data.artifacts + "/" + trial + "/gallery.png" : null);
  // The thumbnail is in this file; the whole gallery is fetched from the study folder when somebody looks at the trial.
  function picture(trial) {
    const small = data.thumbnails[trial], file = galleryFile(trial), words = "Gallery of trial " + trial + "; a row an image, the columns are named in the picture";
    const caption = make("figcaption", {}, "A row a test image; the columns are named above them.");
    const figure = make("figure", { class: "gallery" });
    function without() {
      caption.textContent = small ? "The first images only, as this file holds them: the whole gallery was not found at " + file + "." : "No gallery was found at " + file + ".";
      figure.replaceChildren(...(small ? [make("img", { src: small.uri, width: small.width, height: small.height, alt: words })] : []), caption);
    }
    if (file === null) { without(); return figure; }
    const whole = make("img", { loading: "lazy", decoding: "async", alt: words });
    if (small) { whole.style.background = `url(${small.uri}) top / 100% auto no-repeat`; whole.style.minHeight = Math.round(540 * small.height / small.width) + "px"; }
    whole.addEventListener("error", without);
    whole.addEventListener("load", () => whole.removeAttribute("style"));
    whole.src = file;
    figure.append(whole, caption);
    return figure;
  }

  // ---- learning curves: a small chart a signal, the losses together ----
  const CHART = { width: 262, height: 104, left: 40, right: 6, top: 20, bottom: 16 };
  function chart(title, lines) {
    const all = lines.flatMap((line) => line.values), steps = lines.flatMap((line) => line.steps);
    let low = Math.min(...all), high = Math.max(...all);
    if (low === high) { low -= 0.5; high += 0.5; }
    const first = Math.min(...steps), last = Math.max(...steps);
    const x = (step) => CHART.left + ((step - first) / Math.max(1, last - first)) * (CHART.width - CHART.left - CHART.right);
    const y = (value) => CHART.height - CHART.bottom - ((value - low) / (high - low)) * (CHART.height - CHART.top - CHART.bottom);
    const svg = draw("svg", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, class: "curve", role: "img",
      "aria-label": title + ": from " + number(lines[0].values[0]) + " to " + number(lines[0].values.at(-1)) + " over " + (last - first + 1) + " steps" });
    svg.append(draw("text", { x: 0, y: 12, "font-weight": 600 }, title));
    for (const value of [low, high]) {
      svg.append(draw("line", { x1: CHART.left, x2: CHART.width - CHART.right, y1: y(value), y2: y(value), stroke: GRID }));
      svg.append(draw("text", { x: CHART.left - 4, y: y(value) + 4, "text-anchor": "end", class: "soft small" }, number(value)));
    }
    svg.append(draw("text", { x: CHART.left, y: CHART.height - 2, class: "soft small" }, "step " + first));
    svg.append(draw("text", { x: CHART.width - CHART.right, y: CHART.height - 2, "text-anchor": "end", class: "soft small" }, String(last)));
    lines.forEach((line, index) => {
      const colour = PALETTE[index % PALETTE.length];
      const way = line.steps.map((step, point) => (point ? "L" : "M") + x(step).toFixed(1) + " " + y(line.values[point]).toFixed(1)).join("");
      const path = draw("path", { d: way, fill: "none", stroke: colour, "stroke-width": 1.6 });
      path.append(draw("title", {}, line.name));
      svg.append(path);
    });
    return svg;
  }
  function curvesOf(trial) {
    const found = data.curves[trial];
    if (!found) return [];
    const lines = Object.entries(found).map(([name, [steps, values]]) => ({ name, steps, values, group: name.split(".")[0] }));
    const words = (name) => name.split(".").slice(1).join(" \u00b7 ").replace(/_/g, " ");
    const charts = lines.map((line) => chart((line.group === "loss" ? "loss: " : "") + words(line.name), [line]));
    return [make("h3", {}, "Learning curves"), make("div", { class: "curves" }, ...charts)];
  }

  function parameterRow(item) {
    const value = item.value === null ? make("span", { class: "inactive" }, "inactive") : item.value + (item.unit ? " " + item.unit : "");
    return [item.name, value, item.role];
  }
  function heading(item) {
    const order = shownPlaces(), place = order.indexOf(item.place);
    const button = (text, label, target) => {
      const node = make("button", { type: "button", "aria-label": label }, text);
      if (target === undefined) node.disabled = true; else node.addEventListener("click", () => show(data.trials[target]));
      return node;
    };
    const close = make("button", { type: "button", "aria-label": "Close the panel" }, "Close \u2715");
    close.addEventListener("click", hide);
    return make("header", {}, make("h2", {}, "Trial " + item.trial),
      button("\u25c0 better", "Show the next better trial", place > 0 ? order[place - 1] : undefined),
      button("worse \u25b6", "Show the next worse trial", place >= 0 ? order[place + 1] : undefined), close);
  }
  function fill(item) {
    const objectives = item.objectives.map((o) => [o.label + (o.searched ? " (searched)" : ""), number(o.value) + (isNumber(o.error) ? " \u00b1 " + number(o.error) : ""), interval(o), o.unit + "; " + o.direction]);
    const metrics = item.metrics.map((m) => [m.label + (m.votes ? "" : " (no vote)"), number(m.value), interval(m), number(m.baseline), m.unit]);
    const facts = ["rank " + (item.place + 1) + " of " + data.total, ...item.strata, item.outcome + (item.meaning ? ": " + item.meaning : ""),
      item.seconds === null ? null : item.seconds.toFixed(0) + " s", item.seed === null ? null : "seed " + item.seed];
    const parts = [heading(item),
      make("p", { class: "facts" }, make("span", { class: "chip " + (item.feasible ? "good" : "bad") }, item.feasible ? "\u25cf feasible by estimate" : "\u2297 infeasible"),
        " ", make("span", { class: "chip" }, "probability of feasibility " + share(item.probability)),
        item.front ? " \u2605 on the feasible front \u00b7 " : " ", facts.filter((text) => text).join(" \u00b7 ")),
      item.error ? make("div", { class: "failure" }, make("strong", {}, "Error. "), item.error) : null,
      picture(item.trial),
      make("h3", {}, "Objectives"), rowsTable(["Objective", "Value", "95 % interval", "Unit and direction"], objectives),
      make("h3", {}, "Checks"), make("div", { class: "bullets" }, ...checksOf(item.trial)),
      make("h3", {}, "Configuration"), rowsTable(["Parameter", "Value", "Role"], item.parameters.map(parameterRow)),
      ...curvesOf(item.trial),
      ...(metrics.length ? [make("h3", {}, "Further metrics"), rowsTable(["Metric", "Value", "95 % interval", "Baseline", "Unit"], metrics)] : [])];
    panel.replaceChildren(...parts.filter((part) => part !== null));
  }
  function show(trial) {
    if (!placeOf.has(trial)) return;
    const item = trialAt(placeOf.get(trial));
    if (panel.hidden) opener = document.activeElement;
    fill(item);
    panel.hidden = false;
    panel.scrollTop = 0;
    panel.focus({ preventScroll: true });
    state.trial = trial;
    mark();
    remember();
    announcement.textContent = "Showing trial " + trial + ", " + (item.feasible ? "feasible" : "infeasible");
  }
  function hide() {
    panel.hidden = true;
    state.trial = null;
    mark();
    remember();
    if (opener && opener.focus) opener.focus({ preventScroll: true });
  }
  function mark() {
    document.querySelectorAll("tr.chosen").forEach((row) => row.classList.remove("chosen"));
    document.querySelectorAll(`main button.trial[data-trial="${state.trial}"]`).forEach((button) => {
      const row = button.closest("tr");
      if (row) row.classList.add("chosen");
    });
    ringChosen();
  }

  // ---- parallel coordinates, table and words that follow filters and brushes ----
  const lineOf = new Map();  // Place -> its line, cut out of the figure as it was drawn first.
  let parallelRest = null;
  function readParallel() {
    const figure = figures.parallel;
    if (!figure) return;
    parallelRest = [];
    for (const trace of figure.data) {
      if (!trace.customdata || trace.mode !== "lines+markers") { parallelRest.push(trace); continue; }
      trace.customdata.forEach((trial, index) => {
        if (trial === null) return;
        const place = placeOf.get(trial);
        if (!lineOf.has(place)) lineOf.set(place, { x: [], y: [], look: trace });
        lineOf.get(place).x.push(trace.x[index]);
        lineOf.get(place).y.push(trace.y[index]);
      });
    }
  }
  function strung(places, look) {
    const found = { x: [], y: [], customdata: [], hovertext: [] };
    for (const place of places) {
      const own = lineOf.get(place);
      own.x.forEach((x, index) => { found.x.push(x); found.y.push(own.y[index]); found.customdata.push(data.trials[place]); found.hovertext.push(data.hover[place]); });
      for (const name of Object.keys(found)) found[name].push(null);
    }
    return { type: "scatter", mode: "lines+markers", connectgaps: false, showlegend: false, hovertemplate: "%{hovertext}<extra></extra>", ...found, ...look };
  }
  function drawParallel() {
    const place = document.getElementById("plot-parallel");
    if (!place || !parallelRest) return;
    const shown = new Set(shownPlaces()), inside = [...lineOf.keys()].filter((found) => shown.has(found)), outside = [...lineOf.keys()].filter((found) => !shown.has(found));
    const byLook = new Map();
    for (const found of inside) { const look = lineOf.get(found).look; byLook.set(look, [...(byLook.get(look) || []), found]); }
    const traces = outside.length ? [strung(outside, { line: { color: FAINT, width: 0.8 }, marker: { size: 3, color: FAINT }, opacity: 0.6, customdata: undefined, hovertext: undefined, hovertemplate: undefined, hoverinfo: "skip" })] : [];
    for (const [look, places] of byLook) traces.push(strung(places, { line: look.line, marker: look.marker, opacity: look.opacity }));
    Plotly.react(place, [...traces, ...parallelRest], { ...figures.parallel.layout, dragmode: "select", selections: [] }, config);
  }

  // ---- the table ----
  let sorting = null, rowsWanted = 15;
  const body = document.querySelector("#trials-table tbody");
  const columnsShown = body ? JSON.parse(document.getElementById("trials-table").dataset.columns) : [];
  function cellOf(kind, place) {
    const item = quantityOf.get(kind);
    if (kind === "trial") { const button = make("button", { type: "button", class: "trial", "data-trial": data.trials[place], title: "Show trial " + data.trials[place] }, String(data.trials[place])); return button; }
    if (kind === "picture") { const small = data.thumbnails[data.trials[place]]; return small ? make("img", { src: small.uri, width: 84, height: Math.round(84 * small.height / small.width), alt: "Faces of trial " + data.trials[place] }) : ""; }
    if (kind === "feasible") return make("span", { class: "chip " + (at(data.feasible, place) ? "good" : "bad") }, at(data.feasible, place) ? "\u25cf feasible" : "\u2297 infeasible");
    if (kind === "front") return at(data.front, place) ? "\u2605\u00a0yes" : "";
    if (kind === "stopped") return data.checks.filter((check) => !(at(check.margin, place) <= 0 && at(check.margin, place) !== null)).map((check) => check.label + (at(check.missing, place) ? " (no result)" : "")).join(", ");
    if (kind === "outcome") return at(data.outcome, place);
    if (kind === "seeds") return String(at(data.seeds, place));
    if (kind.startsWith("stratum:")) return stratumOf(kind.slice(8), place);
    if (!item) return "";
    if (kind === "probability") return share(item.value(place));
    if (kind === "seconds") return isNumber(item.value(place)) ? item.value(place).toFixed(0) : number(null);
    const range = interval({ low: item.low(place), high: item.high(place) }), error = kind.startsWith("objective") ? at(data.objectives[Number(kind.slice(9))].error, place) : null;
    return make("span", {}, number(item.value(place)) + (isNumber(error) ? " \u00b1 " + number(error) : ""), range ? make("small", {}, range) : null);
  }
  function sortKey(kind, place) {
    const item = quantityOf.get(kind);
    if (kind === "trial") return data.trials[place];
    if (kind === "feasible" || kind === "front") return at(data[kind], place) ? 0 : 1;
    if (item) return item.value(place) === null ? Infinity : item.value(place);
    const cell = cellOf(kind, place);
    return typeof cell === "string" ? cell : 0;
  }
  function drawTable() {
    if (!body) return;
    const places = [...shownPlaces()];
    if (sorting) places.sort((a, b) => { const one = sortKey(sorting.kind, a), two = sortKey(sorting.kind, b); return sorting.sign * (one < two ? -1 : one > two ? 1 : 0) || a - b; });
    body.replaceChildren(...places.slice(0, rowsWanted).map((place) => make("tr", {}, ...columnsShown.map((kind) => make("td", {}, cellOf(kind, place))))));
    const more = document.getElementById("trials-more"), rest = places.length - rowsWanted;
    more.hidden = rest <= 0;
    more.textContent = "Show " + Math.min(rest, 100) + " more of " + rest;
    document.querySelectorAll("#trials-table th[data-kind]").forEach((head) => head.setAttribute("aria-sort", sorting && sorting.kind === head.dataset.kind ? (sorting.sign > 0 ? "ascending" : "descending") : "none"));
    mark();
  }
  function wireTable() {
    if (!body) return;
    document.querySelectorAll("#trials-table th[data-kind]").forEach((head) => head.addEventListener("click", () => {
      sorting = sorting && sorting.kind === head.dataset.kind ? (sorting.sign > 0 ? { kind: sorting.kind, sign: -1 } : null) : { kind: head.dataset.kind, sign: 1 };
      drawTable();
    }));
    document.getElementById("trials-more").addEventListener("click", () => { rowsWanted += 100; drawTable(); });
  }

  // ---- what is shown, in words ----
  function drawStatus() {
    const place = document.getElementById("explorer-status");
    if (!place) return;
    const shown = shownPlaces().length, feasible = shownPlaces().filter((found) => at(data.feasible, found)).length;
    const chips = [...brushes].map(([name, places]) => {
      const button = make("button", { type: "button", class: "tag" }, name + ": " + places.size + " trials \u2715");
      button.addEventListener("click", () => brush(name, null));
      return button;
    });
    place.replaceChildren(make("strong", {}, shown + " of " + count + " trials"), " shown, " + feasible + " within every bound, " + frontPlaces.length + " on the feasible front of these axes. ", ...chips);
  }

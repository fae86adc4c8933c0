  // ---- the front, in any two quantities ----
  const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "select2d", "lasso2d", "resetScale2d"]], toImageButtonOptions: { format: "svg" } };
  const still = { ...config, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
  const FONT = "'Inter', 'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif";
  const axisLook = { gridcolor: GRID, linecolor: "#9aa5b1", showline: true, zeroline: false, ticks: "outside", tickcolor: "#9aa5b1", automargin: true };
  const layoutOf = (height, more) => ({ height, font: { family: FONT, size: 13, color: INK }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "#fff", hovermode: "closest",
    margin: { l: 70, r: 24, t: 44, b: 64 }, legend: { orientation: "h", yanchor: "bottom", y: 1.02, x: 0, font: { size: 12.5 } },
    hoverlabel: { bgcolor: "#fff", bordercolor: MUTED, font: { family: FONT, size: 12.5 }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: "#9aa5b1", activecolor: GOOD }, ...more });
  function axisOf(item, more) {
    const direction = item.maximise === null ? "" : "<br><i>" + (item.maximise ? "higher" : "lower") + " is better</i>";
    const found = { ...axisLook, title: { text: escapePlotly(item.label) + " [" + escapePlotly(item.unit) + "]" + direction, standoff: 10, font: { size: 13 } }, ...more };
    if (item.categories) Object.assign(found, { type: "category", categoryorder: "array", categoryarray: item.categories });
    else if (item.log) found.type = "log";
    return found;
  }
  const groups = [...new Set(everyone.map((place) => (data.strata.length ? stratumOf(data.strata[0], place) : "trials")))].sort();
  const groupOf = (place) => groups.indexOf(data.strata.length ? stratumOf(data.strata[0], place) : "trials");
  function colourOf(places) {
    const item = quantityOf.get(state.colour);
    if (state.colour === "feasible") return { color: places.map((place) => (at(data.feasible, place) ? GOOD : BAD)) };
    if (!item || item.categories) {
      const name = item ? null : state.colour, label = (place) => (item ? item.value(place) || "inactive" : stratumOf(name, place));
      const labels = [...new Set(everyone.map(label))].sort();
      return { color: places.map((place) => PALETTE[labels.indexOf(label(place)) % PALETTE.length]), labels };
    }
    const known = everyone.map(item.value).filter(isNumber), chance = /^(probability|chance)/.test(item.key);
    const bar = { title: { text: escapePlotly(item.label), side: "right", font: { size: 12 } }, thickness: 12, len: 0.86, outlinewidth: 0 };
    return { color: places.map((place) => item.value(place)), colorscale: chance ? CHANCES : SCALE, cmin: chance ? 0 : Math.min(...known), cmax: chance ? 1 : Math.max(...known), showscale: true, colorbar: bar };
  }
  const FEW = 150;
  function errorBar(places, item, onFront) {
    if (!state.intervals || item.categories) return undefined;
    const drawn = (place) => (places.length <= FEW || onFront.has(place)) && isNumber(item.low(place)) && isNumber(item.high(place)) && isNumber(item.value(place));
    if (!places.some(drawn)) return undefined;
    return { type: "data", symmetric: false, array: places.map((place) => (drawn(place) ? Math.max(0, item.high(place) - item.value(place)) : 0)),
      arrayminus: places.map((place) => (drawn(place) ? Math.max(0, item.value(place) - item.low(place)) : 0)), color: "rgba(82,96,109,.45)", thickness: 1, width: 0 };
  }
  function line(places, x, y, name, look) {
    if (!places.length) return null;
    const xs = places.map(x.value), ys = places.map(y.value);
    return { x: xs, y: ys, mode: "lines", name, line: { shape: x.maximise ? "vh" : "hv", ...look }, hoverinfo: "skip" };
  }
  let frontPlaces = [];
  function frontTraces(x, y) {
    const known = activePlaces.filter((place) => x.value(place) !== null && y.value(place) !== null);
    const feasible = front(known.filter((place) => at(data.feasible, place)), x, y), unchecked = front(known, x, y);
    frontPlaces = feasible;
    const onFront = new Set(feasible), inside = known.filter(isBrushed), outside = known.filter((place) => !isBrushed(place));
    const looks = colourOf(inside), size = known.length > FEW ? 7 : 10;
    const points = (places, more) => ({ x: places.map(x.value), y: places.map(y.value), mode: "markers", customdata: places.map((place) => data.trials[place]),
      hovertext: places.map((place) => data.hover[place]), hovertemplate: "%{hovertext}<extra></extra>", ...more });
    const traces = [
      line(unchecked, x, y, "front if nobody checked", { color: MUTED, width: 1.4, dash: "dot" }),
      line(feasible, x, y, "feasible front", { color: GOOD, width: 2.4 }),
      outside.length ? points(outside, { name: "outside the selection", marker: { color: FAINT, size: size - 3 }, hoverinfo: "skip", hovertemplate: undefined, showlegend: false }) : null,
      points(inside, { name: "trials", showlegend: false, error_x: errorBar(inside, x, onFront), error_y: errorBar(inside, y, onFront),
        marker: { ...looks, labels: undefined, symbol: inside.map((place) => SYMBOLS[groupOf(place) % SYMBOLS.length][at(data.feasible, place) ? 0 : 1]),
          size: inside.map((place) => (onFront.has(place) ? size + 3 : size)), opacity: 0.9,
          line: { width: inside.map((place) => (onFront.has(place) ? 1.8 : at(data.feasible, place) ? 0.6 : 1.6)), color: onFront.size ? inside.map((place) => (onFront.has(place) ? "#000" : "rgba(0,0,0,0)")) : undefined } } }),
    ];
    for (const [index, group] of groups.entries()) if (groups.length > 1) traces.push({ x: [null], y: [null], mode: "markers", name: escapePlotly(group), marker: { symbol: SYMBOLS[index % SYMBOLS.length][0], color: MUTED, size: 9 } });
    for (const [index, label] of (looks.labels || []).entries()) traces.push({ x: [null], y: [null], mode: "markers", name: escapePlotly(label), marker: { symbol: "square", color: PALETTE[index % PALETTE.length], size: 9 } });
    traces.push({ x: [null], y: [null], mode: "markers", name: "filled: within every bound; open: beyond", marker: { symbol: "circle-open", color: MUTED, size: 9, line: { width: 1.6 } } });
    if (isNumber(x.reference) && isNumber(y.reference)) traces.push({ x: [x.reference], y: [y.reference], mode: "markers", name: "honest baseline", hovertemplate: "<b>Honest baseline</b><br>%{x:.3f}, %{y:.3f}<extra></extra>", marker: { symbol: "star-open", size: 15, color: "#000", line: { width: 2 } } });
    return traces.filter((trace) => trace !== null);
  }
  function markLines(x, y) {
    const shapes = [], annotations = [];
    const look = { color: BAD, width: 1.2, dash: "dash" }, font = { size: 11, color: BAD };
    for (const mark of x.marks) {
      shapes.push({ type: "line", xref: "x", yref: "paper", x0: mark.at, x1: mark.at, y0: 0, y1: 1, line: look });
      annotations.push({ x: mark.at, y: 1, xref: "x", yref: "paper", text: escapePlotly("bound" + (mark.name ? ", " + mark.name : "")), textangle: -90, showarrow: false, xanchor: "left", yanchor: "top", font, bgcolor: "rgba(255,255,255,.7)" });
    }
    for (const mark of y.marks) shapes.push({ type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: mark.at, y1: mark.at, line: look });
    return { shapes, annotations };
  }
  function drawFront() {
    const place = document.getElementById("plot-explorer"), x = quantityOf.get(state.x), y = quantityOf.get(state.y);
    if (!place || !x || !y) return;
    const layout = layoutOf(540, { xaxis: axisOf(x), yaxis: axisOf(y), dragmode: "select", uirevision: state.x + state.y, selections: [], ...markLines(x, y) });
    Plotly.react(place, frontTraces(x, y), layout, config);
    place.setAttribute("data-front", frontPlaces.map((found) => data.trials[found]).sort((a, b) => a - b).join(" "));
    place.setAttribute("data-axes", state.x + " " + state.y);
    ringChosen();
  }
  // A ring around the trial that the panel shows.
  function ringChosen() {
    const place = document.getElementById("plot-explorer");
    if (!place || !place.data) return;
    const found = place.data.findIndex((trace) => trace.name === "the trial shown"), chosen = state.trial === null ? undefined : placeOf.get(state.trial);
    if (found >= 0) Plotly.deleteTraces(place, found);
    if (chosen === undefined) return;
    const x = quantityOf.get(state.x), y = quantityOf.get(state.y);
    Plotly.addTraces(place, { x: [x.value(chosen)], y: [y.value(chosen)], mode: "markers", name: "the trial shown", hoverinfo: "skip", showlegend: false, marker: { symbol: "circle-open", size: 24, color: "#000", line: { width: 2.2 } } });
  }

  // ---- slices: one parameter against one quantity; contours: two parameters and a quantity, smoothed ----
  const varied = quantities.filter((item) => item.group === "Parameters" && new Set(everyone.map(item.value).filter((value) => value !== null)).size > 1);
  const targets = quantities.filter((item) => ["Objectives", "Checks: margins", "Feasibility", "Costs"].includes(item.group) && item.key !== "number");
  const COLUMNS = 4, MOST_SLICES = 16;
  const scaleFor = (item) => (value) => (item.log ? Math.log10(value) : value);
  // Gaussian kernel regression; where the kernels of all trials together weigh less than one trial nearby, nothing is said.
  const BANDWIDTH = 0.12, ENOUGH = 0.5;
  function smooth(points, at) {
    let weight = 0, sum = 0;
    for (const point of points) {
      const distance = point.at.reduce((total, value, index) => total + (value - at[index]) ** 2, 0);
      const own = Math.exp(-distance / (2 * BANDWIDTH ** 2));
      weight += own;
      sum += own * point.value;
    }
    return weight < ENOUGH ? null : sum / weight;
  }
  function unit(item, places) {
    const scale = scaleFor(item), values = places.map((place) => scale(item.value(place)));
    const low = Math.min(...values), width = Math.max(...values) - low || 1;
    return { to: (value) => (scale(value) - low) / width, from: (share) => (item.log ? 10 ** (low + share * width) : low + share * width) };
  }
  const usable = (items) => activePlaces.filter((place) => items.every((item) => item.value(place) !== null && item.value(place) !== undefined));
  function drawSlices() {
    const place = node("plot-slices"), target = quantityOf.get(state.target);
    if (!place || !target) return;
    const ordered = [...varied].sort((a, b) => rankOf(a) - rankOf(b)).slice(0, MOST_SLICES);
    const rows = Math.max(1, Math.ceil(ordered.length / COLUMNS)), traces = [], layout = layoutOf(60 + 200 * rows, { showlegend: false, margin: { l: 64, r: 16, t: 16, b: 44 } });
    ordered.forEach((item, index) => {
      const row = Math.floor(index / COLUMNS), column = index % COLUMNS, suffix = index ? String(index + 1) : "";
      const found = usable([item, target]), gap = 0.022, width = (1 - 3 * gap) / COLUMNS, height = 1 / rows;
      layout["xaxis" + suffix] = { ...axisOf(item), title: { text: escapePlotly(item.label.split(".").slice(-2).join(".")), standoff: 4, font: { size: 11.5 } }, tickfont: { size: 10.5 }, automargin: false, nticks: 5,
        domain: [column * (width + gap), column * (width + gap) + width], anchor: "y" + suffix };
      layout["yaxis" + suffix] = { ...axisLook, domain: [1 - (row + 1) * height + 0.3 * height, 1 - row * height], anchor: "x" + suffix, tickfont: { size: 10.5 }, automargin: false, showticklabels: column === 0, ...(index ? { matches: "y" } : {}) };
      const axes = { xaxis: "x" + suffix, yaxis: "y" + suffix };
      for (const [within, colour, symbol] of [[false, BAD, "circle-open"], [true, GOOD, "circle"]]) {
        const own = found.filter((one) => at(data.feasible, one) === within);
        traces.push({ ...axes, x: own.map(item.value), y: own.map(target.value), mode: "markers", marker: { color: colour, symbol, size: count > FEW ? 4 : 6, opacity: 0.75 },
          customdata: own.map((one) => data.trials[one]), hovertext: own.map((one) => data.hover[one]), hovertemplate: "%{hovertext}<extra></extra>" });
      }
      if (!item.categories && found.length >= 8) {
        const scale = unit(item, found), points = found.slice(0, 800).map((one) => ({ at: [scale.to(item.value(one))], value: target.value(one) }));
        const steps = Array.from({ length: 41 }, (_, step) => step / 40);
        traces.push({ ...axes, x: steps.map(scale.from), y: steps.map((step) => smooth(points, [step])), mode: "lines", line: { color: INK, width: 1.6 }, hoverinfo: "skip" });
      }
    });
    if (ordered.length) layout.yaxis.title = { text: escapePlotly(target.label), font: { size: 12 } };
    Plotly.react(place, traces, layout, still);
  }
  const rankOf = (item) => { const found = data.important.indexOf(item.label); return found < 0 ? 1e6 : found; };
  const FINE = 36;
  function drawContours() {
    const place = node("plot-contours"), target = quantityOf.get(state.target), one = quantityOf.get(state.one), two = quantityOf.get(state.two);
    if (!place || !target || !one || !two) return;
    const found = usable([one, two, target]), traces = [], layout = layoutOf(470, { xaxis: axisOf(one), yaxis: axisOf(two), showlegend: false });
    if (found.length >= 4 && one !== two) {
      const across = unit(one, found), up = unit(two, found), steps = Array.from({ length: FINE }, (_, step) => step / (FINE - 1));
      const points = found.slice(0, 800).map((own) => ({ at: [across.to(one.value(own)), up.to(two.value(own))], value: target.value(own) }));
      traces.push({ type: "contour", x: steps.map(across.from), y: steps.map(up.from), z: steps.map((y) => steps.map((x) => smooth(points, [x, y]))), colorscale: SCALE, connectgaps: false,
        ncontours: 12, line: { width: 0.6, color: "rgba(255,255,255,.7)" }, hovertemplate: "%{z:.3f}<extra>smoothed</extra>",
        colorbar: { title: { text: escapePlotly(target.label), side: "right", font: { size: 12 } }, thickness: 12, outlinewidth: 0 } });
    }
    traces.push({ x: found.map(one.value), y: found.map(two.value), mode: "markers", customdata: found.map((own) => data.trials[own]), hovertext: found.map((own) => data.hover[own]), hovertemplate: "%{hovertext}<extra></extra>",
      marker: { size: 8, symbol: found.map((own) => (at(data.feasible, own) ? "circle" : "circle-open")), color: "#000", line: { width: 1.4, color: found.map((own) => (at(data.feasible, own) ? "#fff" : "#000")) } } });
    const words = one === two ? "Choose two different parameters." : found.length < 4 ? "Fewer than four of the trials shown use both parameters." : "";
    if (words) layout.annotations = [{ x: 0.5, y: 0.5, xref: "paper", yref: "paper", text: words, showarrow: false, font: { size: 14, color: MUTED }, bgcolor: "rgba(255,255,255,.8)" }];
    Plotly.react(place, traces, layout, still);
  }
  function wireParameters() {
    if (!node("parameters-target")) return;
    quantityMenu("parameters-target", state.target, (item) => targets.includes(item), (key) => { state.target = key; remember(); drawSlices(); drawContours(); });
    const numeric = varied.filter((item) => !item.categories).sort((a, b) => rankOf(a) - rankOf(b));
    if (!node("contours-one")) return;
    const used = (pair) => everyone.filter((place) => pair.every((item) => item.value(place) !== null)).length;
    const pairs = numeric.flatMap((one, index) => numeric.slice(index + 1).map((two) => [one, two]));
    const best = pairs.find((pair) => used(pair) >= Math.max(8, count / 5)) || pairs.sort((a, b) => used(b) - used(a))[0];
    if (!quantityOf.has(state.one)) state.one = best ? best[0].key : null;
    if (!quantityOf.has(state.two)) state.two = best ? best[1].key : null;
    for (const name of ["one", "two"]) quantityMenu("contours-" + name, state[name], (item) => numeric.includes(item), (key) => { state[name] = key; remember(); drawContours(); });
  }

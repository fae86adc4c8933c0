  // ---- wiring ----
  document.querySelectorAll("[data-checks-of]").forEach((place) => place.append(...checksOf(place.dataset.checksOf)));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.trial");
    if (button) show(Number(button.dataset.trial));
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !panel.hidden) hide(); });
  const trialOf = (event) => event.points.map((point) => point.customdata).find(isNumber);
  function clickable(place) {
    place.on("plotly_click", (event) => { const trial = trialOf(event); if (trial !== undefined) show(trial); });
  }
  function selectable(place, nameOf) {
    place.on("plotly_selected", (event) => {
      if (!event || !event.points.length) return;
      const places = new Set(event.points.map((point) => placeOf.get(point.customdata)).filter((found) => found !== undefined));
      brush(nameOf(event), places);
    });
  }
  function guarded(place, work) {
    try { work(); } catch (error) {  // One figure that fails must not take the others and the panel with it.
      place.replaceChildren(make("p", { class: "empty" }, "This figure cannot be drawn in this browser: " + error.message));
      console.error(place.id, error);
    }
  }
  // Figures drawn before the page was made carry trial numbers; the texts they show on hovering are kept once.
  for (const figure of Object.values(figures))
    for (const trace of figure.data)
      if (Array.isArray(trace.customdata) && trace.customdata.some(isNumber)) trace.hovertext = trace.customdata.map((trial) => (placeOf.has(trial) ? data.hover[placeOf.get(trial)] : null));
  const asked = recall();
  readParallel();
  wireFilters();
  wireTable();
  wireParameters();
  if (asked !== null) { state.trial = asked; }
  document.querySelectorAll("[data-figure]").forEach((place) => guarded(place, () => {
    const figure = figures[place.dataset.figure];
    if (place.dataset.figure !== "parallel") Plotly.newPlot(place, figure.data, figure.layout, still);
  }));
  for (const id of ["plot-explorer", "plot-parallel", "plot-slices", "plot-contours"]) if (node(id)) guarded(node(id), () => {
    Plotly.newPlot(node(id), [], {}, config);
  });
  update();
  document.querySelectorAll(".plot").forEach((place) => { if (place.on) clickable(place); });
  if (node("plot-explorer")) selectable(node("plot-explorer"), () => "front");
  if (node("plot-parallel")) selectable(node("plot-parallel"), (event) => {
    const middle = event.range ? Math.round((event.range.x[0] + event.range.x[1]) / 2) : null;
    const axis = figures.parallel.layout.meta && middle !== null ? figures.parallel.layout.meta.axes[middle] : null;
    return axis || "parallel axes";
  });
  if (asked !== null) show(asked);
  window.addEventListener("hashchange", () => { const trial = recall(); fillFilters(); update(); if (trial !== null) show(trial); });
  window.addEventListener("beforeprint", () => document.querySelectorAll(".plot").forEach((place) => { if (place.data) Plotly.Plots.resize(place); }));

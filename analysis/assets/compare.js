  // ---- the figures of a comparison; they answer no click ----
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]], toImageButtonOptions: { format: "svg" } };
  document.querySelectorAll("[data-figure]").forEach((place) => {
    const figure = figures[place.dataset.figure];
    try { Plotly.newPlot(place, figure.data, figure.layout, config); } catch (error) {
      place.textContent = "This figure cannot be drawn in this browser: " + error.message;
      console.error(place.id, error);
    }
  });

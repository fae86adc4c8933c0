  // ---- what the reader chose: axes, filters, brushes and the open trial; all but brushes live in the address ----
  const first = quantities[0] ? quantities[0].key : null;
  const primary = "objective" + data.primary;
  const second = data.objectives.findIndex((item, index) => index !== data.primary);
  const initial = () => ({ x: second < 0 ? "number" : "objective" + second, y: quantityOf.has(primary) ? primary : first, colour: "probability", intervals: true,
    kind: "all", chance: 0, strata: {}, ranges: [], target: primary, one: null, two: null, trial: null });
  const state = initial();
  const brushes = new Map();  // Where it was drawn -> places.
  function remember() {
    const plain = initial(), kept = {};
    for (const name of Object.keys(plain)) if (name !== "trial" && JSON.stringify(state[name]) !== JSON.stringify(plain[name])) kept[name] = state[name];
    const parts = [];
    if (state.trial !== null) parts.push("trial=" + state.trial);
    if (Object.keys(kept).length) parts.push("view=" + encodeURIComponent(JSON.stringify(kept)));
    history.replaceState(null, "", location.pathname + location.search + (parts.length ? "#" + parts.join("&") : ""));
  }
  function recall() {
    const found = new URLSearchParams(location.hash.slice(1));
    try {
      const kept = JSON.parse(found.get("view") || "{}"), plain = initial();
      for (const name of Object.keys(plain)) if (name in kept && (plain[name] === null || typeof kept[name] === typeof plain[name])) state[name] = kept[name];
    } catch (error) { console.warn("the view in the address cannot be read", error.message); }
    for (const name of ["x", "y"]) if (!quantityOf.has(state[name])) state[name] = initial()[name];
    if (!Array.isArray(state.ranges)) state.ranges = [];
    const trial = found.get("trial");
    return trial !== null && /^\d+$/.test(trial) ? Number(trial) : null;
  }

  // ---- which trials that leaves ----
  function passes(place) {
    if (state.kind === "within" && !at(data.feasible, place)) return false;
    if (state.kind === "beyond" && at(data.feasible, place)) return false;
    if (state.chance > 0 && !(at(data.probability, place) >= state.chance)) return false;
    for (const [name, hidden] of Object.entries(state.strata)) if (hidden.includes(stratumOf(name, place))) return false;
    return state.ranges.every(({ key, low, high }) => {
      if (low === null && high === null) return true;
      const item = quantityOf.get(key), value = item ? item.value(place) : null;
      return isNumber(value) && (low === null || value >= low) && (high === null || value <= high);
    });
  }
  let activePlaces = everyone;
  const isBrushed = (place) => [...brushes.values()].every((found) => found.has(place));
  const shownPlaces = () => (brushes.size ? activePlaces.filter(isBrushed) : activePlaces);

  // ---- the front of two quantities: sort by the first, keep what is better in the second than all before ----
  function front(places, x, y) {
    if (x.maximise === null || y.maximise === null || x === y) return [];
    const cost = (item, place) => (item.maximise ? -item.value(place) : item.value(place));
    const known = places.filter((place) => isNumber(x.value(place)) && isNumber(y.value(place)))
      .sort((a, b) => cost(x, a) - cost(x, b) || cost(y, a) - cost(y, b));
    const found = [];
    let best = Infinity, width = null;
    for (const place of known) {
      const high = cost(y, place), along = cost(x, place);
      if (high < best) { found.push(place); best = high; width = along; }
      else if (high === best && along === width) found.push(place);  // A copy stays with what it copies.
    }
    return found;
  }
  function update() {
    activePlaces = everyone.filter(passes);
    remember();
    drawFront();
    drawParallel();
    drawTable();
    drawStatus();
    drawSlices();
    drawContours();
  }
  function brush(name, places) {
    if (places === null || !places.size) brushes.delete(name); else brushes.set(name, places);
    drawFront();
    drawParallel();
    drawTable();
    drawStatus();
  }

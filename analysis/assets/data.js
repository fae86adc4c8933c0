  // ---- what the page knows: trials by position in the ranking, and every quantity that can stand on an axis ----
  const data = JSON.parse(document.getElementById("study-data").textContent);
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const GOOD = "#0072B2", BAD = "#D55E00", INK = "#1f2933", MUTED = "#52606d", FAINT = "#d5dbe1", GRID = "#e4e7eb";
  const VERDICT = { pass: "pass", violation: "violation", too_little_data: "too little data", missing: "missing" };
  const SYMBOLS = [["circle", "circle-open"], ["square", "square-open"], ["diamond", "diamond-open"], ["hexagon", "hexagon-open"], ["triangle-up", "triangle-up-open"]];
  const PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#3d4852", "#D55E00"];
  const CHANCES = [[0, "#D55E00"], [0.5, "#b9b3ab"], [1, "#0072B2"]];
  const SCALE = [[0, "#00224e"], [0.33, "#4d566c"], [0.66, "#8c8b76"], [1, "#d2b94f"]];
  const count = data.trials.length;
  const everyone = Array.from({ length: count }, (_, place) => place);
  const placeOf = new Map(data.trials.map((trial, place) => [trial, place]));

  const isNumber = (value) => typeof value === "number";
  const at = (column, place) => (Array.isArray(column) ? column[place] : column);
  function number(value) {
    if (value === null || value === undefined) return "\u2013";
    const size = Math.abs(value);
    const text = size >= 1e5 ? String(Number(value.toPrecision(3))) : size >= 10 ? value.toFixed(1) : size >= 0.001 || size === 0 ? value.toFixed(3) : String(Number(value.toPrecision(3)));
    return text.replace("-", "\u2212");
  }
  function interval(item) {
    return isNumber(item.low) && isNumber(item.high) ? number(item.low) + " to " + number(item.high) : "";
  }
  const share = (value) => (isNumber(value) ? Math.round(100 * value) + " %" : "\u2013");

  // ---- nodes; text always goes in as text, never as HTML ----
  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }
  function draw(tag, attributes, text) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }
  const escapePlotly = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  // ---- one trial, as the panel shows it ----
  function memberAt(index, place) {
    const metric = data.metrics[index], found = { name: metric.name, label: metric.label, unit: metric.unit, votes: at(metric.votes, place) };
    for (const field of ["value", "low", "high", "baseline", "baseline_low", "baseline_high", "chance", "majority"]) found[field] = at(metric[field], place);
    return found;
  }
  function trialAt(place) {
    const trial = data.trials[place], outcome = at(data.outcome, place);
    return {
      trial, place, outcome, meaning: data.meanings[outcome] || "", feasible: at(data.feasible, place), front: at(data.front, place),
      seed: at(data.seed, place), seeds: at(data.seeds, place), seconds: at(data.seconds, place), error: data.errors[trial] || null,
      probability: at(data.probability, place), strata: data.strata.map((name) => stratumOf(name, place)),
      objectives: data.objectives.map((item) => ({ label: item.label, unit: item.unit, direction: item.direction, searched: item.searched,
        value: at(item.value, place), low: at(item.low, place), high: at(item.high, place), error: at(item.error, place) })),
      checks: data.checks.map((item) => ({ label: item.label, bound: item.bound, sense: item.sense, unit: item.unit, scale: item.scale,
        margin: at(item.margin, place), missing: at(item.missing, place), verdict: at(item.verdict, place), probability: at(item.probability, place),
        found: item.found ? at(item.found, place) : null, within: isNumber(at(item.margin, place)) && at(item.margin, place) <= 0,
        members: item.members.map((member) => ({ ...memberAt(member.metric, place), at: at(member.at, place) })) })),
      metrics: data.metrics.flatMap((item, index) => (item.judged ? [] : [memberAt(index, place)])),
      parameters: data.parameters.map((item) => ({ name: item.name, unit: item.unit, role: item.role, value: at(item.text === null ? item.value : item.text, place) })),
    };
  }
  const parameterNamed = new Map(data.parameters.map((item) => [item.name, item]));
  function stratumOf(name, place) {
    const item = parameterNamed.get(name), value = item ? at(item.text === null ? item.value : item.text, place) : null;
    return value === null || value === undefined ? "not set" : String(value);
  }

  // ---- quantities: {key, label, unit, group, maximise (null: no good end), value, low, high, categories, log} ----
  const quantities = [];
  function quantity(key, group, label, unit, maximise, column, more) {
    const known = everyone.some((place) => at(column, place) !== null && at(column, place) !== undefined);
    if (known) quantities.push({ key, group, label, unit, maximise, value: (place) => at(column, place), low: () => null, high: () => null, categories: null, log: false, marks: [], reference: null, ...more });
  }
  const ends = (item) => ({ low: (place) => at(item.low, place), high: (place) => at(item.high, place) });
  data.objectives.forEach((item, index) => quantity("objective" + index, "Objectives", item.label, item.unit, item.maximise, item.value, { ...ends(item), marks: data.lines[index].marks, reference: data.lines[index].reference }));
  data.checks.forEach((item, index) => {
    quantity("margin" + index, "Checks: margins", item.label + ", margin", "at or below 0 is within", false, item.margin, { ...ends(item), marks: [{ name: "", at: 0 }] });
    item.members.forEach((member) => {
      const metric = data.metrics[member.metric];
      quantity("metric" + member.metric, "Checks: readings", metric.label, metric.unit, item.sense === ">=", metric.value, ends(metric));
    });
    quantity("chance" + index, "Checks: probability", item.label + ", probability of being within", "estimated from intervals", true, item.probability);
  });
  quantity("probability", "Feasibility", "Probability of feasibility", "estimated from intervals", true, data.probability);
  quantity("violation", "Feasibility", "Total violation", "sum of positive margins", false, data.violation);
  quantity("seconds", "Costs", "Time of a trial", "s", false, data.seconds);
  if (data.finished !== null) quantity("finished", "Costs", "Finished, since the first", "s", null, data.finished);
  quantity("number", "Costs", "Number of the trial", "count", null, data.trials);
  data.parameters.forEach((item, index) => quantity("parameter" + index, "Parameters", item.name, item.unit || "no unit", null, item.value, { categories: item.categories, log: item.log }));
  data.metrics.forEach((item, index) => { if (!item.judged) quantity("metric" + index, "Further metrics", item.label, item.unit, null, item.value, ends(item)); });
  const quantityOf = new Map(quantities.map((item) => [item.key, item]));
  function quantityMenu(id, chosen, wanted, change) {
    const menu = document.getElementById(id);
    if (!menu) return null;
    const groups = new Map();
    for (const item of quantities.filter(wanted)) {
      if (!groups.has(item.group)) groups.set(item.group, make("optgroup", { label: item.group }));
      groups.get(item.group).append(make("option", { value: item.key }, item.label));
    }
    menu.append(...groups.values());
    menu.value = chosen;
    menu.addEventListener("change", () => change(menu.value));
    return menu;
  }

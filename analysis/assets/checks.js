  // ---- one check: every adversary's estimate and interval beside baseline, chance, majority and bound ----
  const WIDTH = 520, LEFT = 84, RIGHT = 388, STEP = 30;
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
  function powerText(check) {
    return isNumber(check.found) ? "; would have found " + number(check.found) + " or more [" + check.unit + "]" : "";
  }
  function checkBlock(check) {
    const state = check.missing ? "\u2297 no result, counted as violated"
      : check.within ? "\u25cf estimate: within" : "\u2297 estimate: beyond";
    const block = make("div", { class: "check" },
      make("div", { class: "title" }, make("strong", {}, check.label),
        make("span", { class: "chip " + (check.within ? "good" : "bad") }, state),
        make("span", { class: "chip " + (check.verdict in VERDICT ? check.verdict : "") }, "verdict: " + (VERDICT[check.verdict] || check.verdict))),
      make("div", { class: "rule" }, check.bound + " [" + check.unit + "]; margin " + number(check.margin) + " in units of " + String(check.scale) + "; probability of being within " + share(check.probability) + powerText(check) + outside(check)));
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
    const found = trialAt(placeOf.get(Number(trial))).checks;
    return found.length ? [...found.map(checkBlock), key()] : [make("p", { class: "empty" }, "The study has no check.")];
  }


  // ---- the controls of the explorer ----
  const node = (id) => document.getElementById(id);
  function labelled(text, ...children) { return make("label", {}, make("span", {}, text), ...children); }
  function wireFilters() {
    if (!node("explorer-x")) return;
    const drawable = () => true;
    quantityMenu("explorer-x", state.x, drawable, (key) => { state.x = key; brushes.delete("front"); update(); });
    quantityMenu("explorer-y", state.y, drawable, (key) => { state.y = key; brushes.delete("front"); update(); });
    const colours = node("explorer-colour");
    colours.append(make("option", { value: "feasible" }, "within every bound or not"), ...data.strata.map((name) => make("option", { value: name }, name)));
    quantityMenu("explorer-colour", state.colour, () => true, (key) => { state.colour = key; update(); });
    node("explorer-intervals").addEventListener("change", (event) => { state.intervals = event.target.checked; update(); });
    node("explorer-kind").addEventListener("change", (event) => { state.kind = event.target.value; update(); });
    node("explorer-chance").addEventListener("input", (event) => { state.chance = Number(event.target.value); node("explorer-chance-value").textContent = share(state.chance); update(); });
    node("explorer-clear").addEventListener("click", () => {
      const kept = { x: state.x, y: state.y, colour: state.colour, intervals: state.intervals, target: state.target, one: state.one, two: state.two, trial: state.trial };
      Object.assign(state, initial(), kept);
      brushes.clear();
      fillFilters();
      update();
    });
    node("explorer-add").addEventListener("click", () => { state.ranges.push({ key: state.x, low: null, high: null }); fillRanges(); });
    fillFilters();
  }
  function fillFilters() {
    node("explorer-intervals").checked = state.intervals;
    node("explorer-kind").value = state.kind;
    node("explorer-chance").value = state.chance;
    node("explorer-chance-value").textContent = share(state.chance);
    const place = node("explorer-strata");
    place.replaceChildren(...data.strata.map((name) => {
      const values = [...new Set(everyone.map((found) => stratumOf(name, found)))].sort();
      return make("fieldset", {}, make("legend", {}, name.split(".").at(-1).replace(/_/g, " ")), ...values.map((value) => {
        const box = make("input", { type: "checkbox", "data-stratum": name, "data-value": value });
        box.checked = !(state.strata[name] || []).includes(value);
        box.addEventListener("change", () => {
          const hidden = new Set(state.strata[name] || []);
          if (box.checked) hidden.delete(value); else hidden.add(value);
          if (hidden.size) state.strata[name] = [...hidden]; else delete state.strata[name];
          update();
        });
        return make("label", { class: "pill" }, box, value);
      }));
    }));
    fillRanges();
  }
  function fillRanges() {
    const numeric = quantities.filter((item) => !item.categories);
    node("explorer-ranges").replaceChildren(...state.ranges.map((range, index) => {
      const menu = make("select", { "aria-label": "Quantity of this filter" }, ...numeric.map((item) => make("option", { value: item.key }, item.label)));
      menu.value = range.key;
      menu.addEventListener("change", () => { range.key = menu.value; update(); });
      const field = (name, words) => {
        const input = make("input", { type: "number", step: "any", placeholder: words, "aria-label": words });
        if (range[name] !== null) input.value = range[name];
        input.addEventListener("input", () => { range[name] = input.value === "" ? null : Number(input.value); update(); });
        return input;
      };
      const drop = make("button", { type: "button", class: "tag", "aria-label": "Remove this filter" }, "\u2715");
      drop.addEventListener("click", () => { state.ranges.splice(index, 1); fillRanges(); update(); });
      return make("span", { class: "range" }, menu, field("low", "at least"), field("high", "at most"), drop);
    }));
  }

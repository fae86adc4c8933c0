  // ---- a page that `python -m analysis watch` serves asks now and then whether the records changed ----
  const live = document.querySelector('meta[name="records"]');
  if (live) {
    const badge = document.createElement("div");
    badge.className = "live";
    badge.setAttribute("role", "status");
    badge.textContent = "live";
    document.body.append(badge);
    const ask = async () => {
      try {
        const answer = await fetch("records", { cache: "no-store" });
        const stamp = answer.ok ? (await answer.text()).trim() : null;
        badge.textContent = stamp === null ? "live: the records cannot be read" : "live";
        if (stamp !== null && stamp !== live.content) location.reload();  // The address keeps axes, filters and the open trial.
      } catch (error) { badge.textContent = "not live any more: `python -m analysis watch` was stopped"; badge.classList.add("gone"); }
    };
    setInterval(ask, Number(live.dataset.seconds) * 1000);
  }

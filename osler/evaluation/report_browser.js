"use strict";
(() => {
  const box = document.getElementById("browser");
  const form = box.querySelector("form");
  const cards = [...box.querySelectorAll("article")].map(node => ({
    node,
    badge: node.querySelector(".outcome"),
    outcomes: JSON.parse(node.dataset.outcomes),
    facts: JSON.parse(node.dataset.facts),
    text: node.textContent.toLowerCase(),
  }));
  const protocol = form.querySelector("[name=protocol]");
  const outcome = form.querySelector("[name=outcome]");
  const search = form.querySelector("[name=text]");
  const filters = [...form.querySelectorAll("[data-filter]")];
  const count = form.querySelector("output");
  const page = 60;
  let room = page;
  const more = document.getElementById("more");
  function apply() {
    const words = search.value.toLowerCase().trim();
    const tally = {};
    let fit = 0, judged = 0;
    for (const card of cards) {
      const found = card.outcomes[protocol.value];
      const fits = filters.every(f => !f.value || card.facts[f.dataset.filter] === f.value) && card.text.includes(words);
      if (fits && found) { tally[found] = (tally[found] || 0) + 1; judged += 1; }
      const wanted = fits && found && (!outcome.value || found === outcome.value);
      if (wanted) fit += 1;
      card.node.hidden = !wanted || fit > room;
      card.badge.textContent = found || "";
      card.badge.dataset.is = found || "";
    }
    for (const option of outcome.options)
      option.textContent = option.value ? `${option.value} (${tally[option.value] || 0})` : `any (${judged})`;
    count.textContent = `${fit} of ${cards.length} items`;
    more.hidden = fit <= room;
    more.textContent = `show ${Math.min(page, fit - room)} more`;
  }
  form.addEventListener("input", () => { room = page; apply(); });
  form.addEventListener("submit", event => event.preventDefault());
  more.addEventListener("click", () => { room += page; apply(); });
  form.hidden = false;
  apply();
})();

"use strict";
// Search, order and paging of the series. Without it every card is shown; no text becomes markup here.
(() => {
  const box = document.getElementById("cards");
  const controls = document.getElementById("controls");
  if (!box || !controls) return;
  const PAGE = 24;
  const search = document.getElementById("search");
  const order = document.getElementById("order");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  const cards = Array.from(box.children, (card, place) => {
    const name = card.querySelector("h3").textContent.trim();
    return { card, place, name, key: name.toLowerCase(), rank: Number(card.dataset.rank) };
  });
  const last = (rank) => rank || Infinity;
  const orders = {
    worst: (a, b) => last(a.rank) - last(b.rank) || a.place - b.place,
    best: (a, b) => b.rank - a.rank || a.place - b.place,
    name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }) || a.place - b.place,
  };
  let shown = PAGE;
  function show() {
    const words = search.value.toLowerCase().trim().split(/\s+/);
    const found = cards.filter((one) => words.every((word) => one.key.includes(word)));
    found.sort(order ? orders[order.value] : (a, b) => a.place - b.place);
    for (const one of cards) one.card.hidden = true;
    found.slice(0, shown).forEach((one) => { one.card.hidden = false; box.append(one.card); });
    const some = Math.min(shown, found.length);
    count.value = found.length
      ? `${some} of ${found.length} series shown`
      : "no series drawn here has such a name";
    more.hidden = some >= found.length;
    more.textContent = `Show ${Math.min(PAGE, found.length - some)} more`;
  }
  function again() { shown = PAGE; show(); }
  search.addEventListener("input", again);
  if (order) order.addEventListener("change", again);
  more.addEventListener("click", () => { shown += PAGE; show(); });
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.hidden = false;
  show();
})();

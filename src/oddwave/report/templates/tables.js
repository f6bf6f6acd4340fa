"use strict";
/* Tables of every page: a header sorts its column, a search field hides the rows whose name lacks its text. */
(() => {
  function sortKey(cell) {
    const text = cell.dataset.sort ?? cell.textContent.trim();
    const number = Number(text.replace(/^<|,/g, ""));
    return text !== "" && !Number.isNaN(number) ? number : text;
  }

  function sortBy(header) {
    const column = [...header.parentElement.children].indexOf(header);
    const descending = header.getAttribute("aria-sort") === "ascending";
    const body = header.closest("table").tBodies[0];
    const keyed = [...body.rows].map((row) => [sortKey(row.cells[column]), row]);
    const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    keyed.sort((a, b) => (descending ? -1 : 1) * compare(a[0], b[0]));
    body.append(...keyed.map(([, row]) => row));
    [...header.parentElement.children].forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  }

  function onFilter(event) {
    const field = event.target;
    if (!field.dataset || !field.dataset.filters) return;
    const wanted = field.value.toLowerCase();
    for (const row of document.getElementById(field.dataset.filters).tBodies[0].rows) {
      row.hidden = !row.querySelector(".name").textContent.toLowerCase().includes(wanted);
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".sort");
    if (button) sortBy(button.closest("th"));
  });
  document.addEventListener("input", onFilter);
})();

// Heads of tables with the class "sortable" become buttons that sort the rows of each body by what they show.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];

  function key(row, head) {
    const text = row.cells[head.cellIndex].innerText.trim();
    return head.classList.contains("number") ? parseFloat(text.replace("\u2212", "-")) : text;
  }

  function compare(a, b, sign) {
    if (typeof a === "string") return sign * a.localeCompare(b, undefined, { numeric: true });
    return isNaN(a) - isNaN(b) || sign * (a - b) || 0; // What has no number stays last.
  }

  function sort(head, order) {
    const sign = order === "ascending" ? 1 : -1;
    for (const body of table.tBodies) {
      const rows = [...body.rows].map((row) => [key(row, head), row]);
      rows.sort(([a], [b]) => compare(a, b, sign));
      body.append(...rows.map(([, row]) => row));
    }
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
  }

  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      sort(head, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
    });
  }

  // A switch of the page may change what cells show.
  document.addEventListener("change", () => {
    const head = heads.find((other) => other.hasAttribute("aria-sort"));
    if (head) sort(head, head.getAttribute("aria-sort"));
  });
}

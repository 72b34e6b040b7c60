// Labels at the ends of curves: those of the methods that are shown lie as near to their curves as they find room.
function spreadLabels() {
  for (const plot of document.querySelectorAll(".plot:has(.leader)")) {
    const labels = [...plot.querySelectorAll(".label")];
    const shown = [...plot.querySelectorAll(".leader")]
      .map((group, n) => ({ path: group.querySelector("path"), label: labels[n] }))
      .filter(({ path }) => path.getBoundingClientRect().width > 0)
      .map((one) => ({ ...one, from: (one.path.dataset.d ??= one.path.getAttribute("d")).match(/-?[\d.]+/g).map(Number) }))
      .sort((a, b) => a.from[1] - b.from[1]);
    const gap = 10, places = [];
    for (const { from } of shown) places.push(Math.max(from[1], (places.at(-1) ?? -Infinity) + gap));
    // What does not fit below the last curve moves up.
    let limit = Math.max(...shown.map(({ from }) => from[1])) + (shown.length - 1) * gap / 2;
    for (let n = places.length - 1; n >= 0; n--) limit = (places[n] = Math.min(places[n], limit)) - gap;
    shown.forEach(({ path, label, from: [x, y, end, place] }, n) => {
      path.setAttribute("d", `M ${x} ${y} L ${end} ${places[n]}`);
      label.setAttribute("transform", `translate(0 ${places[n] - place})`);
    });
  }
}
for (const name of ["change", "chosen"]) document.addEventListener(name, spreadLabels);
spreadLabels();

"use strict";
// The slice viewers of the section Examples; without this script they stay hidden and the still pictures remain.
for (const viewer of document.querySelectorAll(".viewer")) {
  const cases = JSON.parse(document.getElementById(viewer.dataset.slices).textContent);
  const find = (selector) => viewer.querySelector(selector);
  const [svg, picture, casing, slider] = ["svg", "image", ".casing", "[type=range]"].map(find);
  const lines = [...viewer.querySelectorAll("path:not(.casing)")].filter((path) => path.parentNode === svg);
  const boxes = [...viewer.querySelectorAll("[type=checkbox]")];
  const radios = [...viewer.querySelectorAll("[type=radio]")];
  const chosen = () => cases[radios.findIndex((radio) => radio.checked)];

  function show() {
    const data = chosen(), at = slider.value;
    const paths = lines.map((_, n) => (boxes[n].checked && data.outlines[n] ? data.outlines[n][at] : ""));
    const label = `slice ${data.slices[at]} of ${data.total}`;
    picture.setAttribute("href", data.images[at]);
    lines.forEach((line, n) => line.setAttribute("d", paths[n]));
    casing.setAttribute("d", paths.join(""));
    find("p label").textContent = label;
    slider.setAttribute("aria-valuetext", label);
    svg.setAttribute("aria-label", `${data.name}, ${label}`);
  }

  function open() {
    const data = chosen();
    svg.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
    picture.setAttribute("width", data.width);
    picture.setAttribute("height", data.height);
    find("p span").textContent = data.step > 1 ? `${data.name}, one slice in ${data.step}` : data.name;
    boxes.forEach((box, n) => {
      box.disabled = !data.outlines[n];
      box.nextElementSibling.querySelector("span").textContent = data.notes[n];
    });
    slider.max = data.slices.length - 1;
    slider.value = data.start;
    show();
  }

  radios.forEach((radio) => radio.addEventListener("change", open));
  // Other sections choose methods too; chooser.js sets the boxes first.
  for (const name of ["change", "chosen"]) document.addEventListener(name, show);
  slider.addEventListener("input", show);
  open();
  viewer.hidden = false;
}

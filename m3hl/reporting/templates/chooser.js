// A method that is shown or hidden in one section is so in all of them.
document.addEventListener("change", ({ target }) => {
  if (target.dataset.shows === undefined) return;
  for (const box of document.querySelectorAll(`[data-shows="${target.dataset.shows}"]`)) box.checked = target.checked;
});
for (const chooser of document.querySelectorAll(".chooser")) {
  for (const [text, shown] of [["all", true], ["none", false]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => {
      for (const box of document.querySelectorAll("[data-shows]")) box.checked = shown;
      document.dispatchEvent(new Event("chosen"));
    });
    chooser.append(button);
  }
}

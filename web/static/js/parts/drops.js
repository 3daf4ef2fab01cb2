// What is dropped anywhere on a page, for the bar that takes it.

/**
 * Mark a bar while files or pictures are dragged over the page, and hand it what is dropped.
 * @param {HTMLElement} bar
 * @param {(data: DataTransfer | null) => boolean} take  returns whether there was something for it
 */
export function takeDrops(bar, take) {
  const over = (/** @type {boolean} */ on) => bar.classList.toggle("over", on);
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.some((type) => type === "Files" || type === "text/uri-list")) return;
    event.preventDefault();
    over(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && over(false));
  addEventListener("drop", (event) => {
    over(false);
    if (take(event.dataTransfer)) event.preventDefault();
  });
}

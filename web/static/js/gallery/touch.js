// A long press on a phone chooses a picture, as it does in other galleries.

const LONG = 450; // ms
const STILL = 10; // px that a finger may move meanwhile

/**
 * @param {HTMLElement} place
 * @param {(index: number) => void} work
 */
export function onLongPress(place, work) {
  let pressed = false;
  place.addEventListener("pointerdown", (event) => {
    pressed = false;
    const cell = event.target instanceof Element ? event.target.closest("[data-index]") : null;
    if (event.pointerType !== "touch" || !cell) return;
    const timer = setTimeout(() => {
      pressed = true;
      work(Number(cell.getAttribute("data-index")));
    }, LONG);
    const stop = () => clearTimeout(timer);
    const move = (/** @type {PointerEvent} */ now) => Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) > STILL && stop();
    place.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) {
      addEventListener(name, () => { stop(); place.removeEventListener("pointermove", move); }, { once: true });
    }
  });
  const swallow = (/** @type {Event} */ event) => {
    if (!pressed) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.type === "click") pressed = false;
  };
  place.addEventListener("click", swallow, true);
  place.addEventListener("contextmenu", swallow, true);
}

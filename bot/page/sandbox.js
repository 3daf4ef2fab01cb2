// Added to simcord's page. An edited message gets new elements for its pictures, and a new picture is there only after
// it was fetched: until then the one before stays in its place. And the page shows the newest message.
// Enter sends a command where the suggestion is what is typed already, such as one that tells of unknown words,
// and where the member that it is about is chosen.

const LIST = document.getElementById("channel-message-list");
const TIMELINE = document.getElementById("channel-timeline");
const AT_END = 300; // pixels from the end within which the page follows new messages

const pictures = (nodes) =>
  [...nodes].flatMap((node) => (node instanceof Element ? [...node.querySelectorAll("img[src^='blob:']")] : []));

function keepPictureBefore(before, message) {
  const after = message.querySelector(".media-lightbox-trigger img:not([src])");
  if (!after || !before.naturalWidth) return;
  before.className = "picture-before";
  after.width = after.width || before.width;
  after.height = after.height || before.height;
  after.parentElement.append(before);
  const remove = () => before.remove();
  after.addEventListener("load", remove, { once: true });
  after.addEventListener("error", remove, { once: true });
}

let following = true;
const follow = () => {
  if (following) TIMELINE.scrollTop = TIMELINE.scrollHeight;
};
TIMELINE.addEventListener("wheel", () => {
  requestAnimationFrame(() => {
    following = TIMELINE.scrollHeight - TIMELINE.scrollTop - TIMELINE.clientHeight < AT_END;
  });
});
new ResizeObserver(follow).observe(LIST);

new MutationObserver((records) => {
  for (const record of records) {
    const message = record.target instanceof Element ? record.target.closest("[data-message-id]") : null;
    if (message) pictures(record.removedNodes).forEach((before) => keepPictureBefore(before, message));
    const isNew = (node) => node instanceof Element && node.matches("[data-message-id]");
    if (record.target === LIST && [...record.addedNodes].some(isNew)) following = true;
  }
}).observe(LIST, { childList: true, subtree: true });

document.addEventListener(
  "keydown",
  (event) => {
    const { key, target } = event;
    if (key !== "Enter" || !(target instanceof Element)) return;
    const chosen = document.querySelector('.command-suggestion[aria-selected="true"]');
    if (chosen && chosen.dataset.value === target.value) chosen.ariaSelected = "false";
    if (!target.matches(".command-mention")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    document.getElementById("send-message").click();
  },
  { capture: true },
);

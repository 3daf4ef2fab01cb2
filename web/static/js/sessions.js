// Where somebody is signed in: times as people say them, and an end to each without a new page.
import { endSession } from "./core/api.js";
import { element, startPage } from "./core/page.js";
import { ago, complain, toast } from "./core/text.js";

const list = element("sessions", HTMLElement);

for (const time of list.querySelectorAll("time")) {
  time.title = time.dateTime;
  time.textContent = ago(time.dateTime);
}

list.addEventListener("submit", async (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const row = form.closest("li");
  if (row?.querySelector(".chip")) return; // this browser: the server signs it out
  event.preventDefault();
  try {
    await endSession(form.dataset.session ?? "");
    row?.remove();
    toast("Session ended");
  } catch (error) {
    complain(error);
  }
});
startPage();

// Takes over the form that makes a link, where the page has one.

export function offerShare() {
  const form = document.getElementById("share-form");
  if (!(form instanceof HTMLFormElement)) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { shareByForm } = await import("./share-form.js");
    await shareByForm(form);
  });
}

import { copyKey, forgetKept, keepHere, keptHere, withCopies } from "/static/js/core/api.js";
import { documentText, History, newDocument, Saving, withBase } from "/static/editor/document.js";
import { Mask } from "/static/editor/mask.js";
import { equal } from "./assert.js";

const START = newDocument({ job: "abcd2345efgh", n: 1 }, 64, 64);
const turn = () => new Promise((done) => setTimeout(done));

/** Wait until something holds. @param {() => unknown} holds */
async function until(holds) {
  for (let n = 0; n < 1000 && !(await holds()); n += 1) await turn();
}

const kept = (key) => withCopies("readonly", (all) => all.get(copyKey(key)));

/** A server with one document, at version 3, that answers by hand. */
function server() {
  const calls = [];
  let version = 3;
  window.fetch = (path, { method, headers }) =>
    new Promise((done) => {
      const has = Number(/\d+/.exec(headers["If-Match"])?.[0] ?? 0);
      const give = (status, body) => done(new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } }));
      const answer = () => {
        if (method === "POST") return give(201, { id: "new2345abcde", version: 1 });
        if (has !== version) return give(412, { detail: "changed", version });
        version += 1;
        return give(200, { version });
      };
      calls.push({ call: `${method} ${path} ${has}`, answer, give });
    });
  return calls;
}

function editing(id = "x") {
  const told = [];
  const now = { state: { ...START, words: "one" } };
  const saving = new Saving(id, () => now.state, () => ({ ...new History(now.state).kept, run: null }), () => {}, (said) => told.push(said));
  saving.listen();
  Object.assign(saving, { id, version: 3, sent: START });
  return { saving, told, now };
}

function leave() {
  Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}

export async function a_page_that_is_left_while_it_saves_sends_one_after_the_other() {
  const calls = server();
  const { saving, told, now } = editing();
  saving.save();
  await until(() => calls[0]);
  now.state = { ...now.state, words: "two" };
  leave();
  await turn();
  equal(calls.length, 1);
  calls[0].answer();
  await until(() => calls[1]);
  calls[1].answer();
  await saving.before;
  equal([calls.map(({ call }) => call), told.at(-1)], [["PUT /api/documents/x 3", "PUT /api/documents/x 4"], "Saved"]);
}

export async function a_save_after_a_page_was_left_waits_for_what_was_sent_then() {
  const calls = server();
  const { saving, now } = editing();
  leave();
  await until(() => calls[0]);
  now.state = { ...now.state, words: "two" };
  saving.save();
  await turn();
  equal(calls.length, 1);
  calls[0].answer();
  await until(() => calls[1]);
  calls[1].answer();
  await saving.before;
  equal(calls.map(({ call }) => call), ["PUT /api/documents/x 3", "PUT /api/documents/x 4"]);
}

export async function a_document_that_was_deleted_elsewhere_is_saved_as_a_new_one() {
  const calls = server();
  const { saving, told, now } = editing();
  saving.save();
  await until(() => calls[0]);
  calls[0].give(404, { detail: "There is no such document." });
  await until(() => calls[1]);
  calls[1].answer();
  await saving.before;
  equal([saving.id, saving.sent === now.state, location.pathname], ["new2345abcde", true, "/edit/d/new2345abcde"]);
  equal(told.at(-1), "The document was deleted elsewhere; this is saved as a new one");
}

export async function what_was_sent_when_the_page_before_was_left_is_nobody_elses() {
  const calls = server();
  const { saving, told } = editing();
  saving.tried = ["{}", documentText({ ...START, words: "zero" })];
  saving.save();
  await until(() => calls[0]);
  calls[0].give(412, { detail: "changed", version: 4 });
  await until(() => calls[1]);
  calls[1].give(200, { id: "x", version: 4, document: JSON.parse(documentText({ ...START, words: "zero" })) });
  await until(() => calls[2]);
  calls[2].give(200, { version: 5 });
  await saving.before;
  equal([calls[2].call, saving.version, told.at(-1)], ["PUT /api/documents/x 4", 5, "Saved"]);
}

export async function a_copy_is_its_persons_and_goes_when_the_server_has_it() {
  document.body.dataset.person = "1";
  const calls = server();
  const { saving } = editing();
  leave();
  await until(() => kept("x"));
  equal([(await kept("x")).version, JSON.parse((await kept("x")).tried[0]).words], [3, "one"]);
  document.body.dataset.person = "2";
  equal(await kept("x"), undefined);
  document.body.dataset.person = "1";
  calls[0].answer();
  await saving.before;
  equal(await kept("x"), undefined);
}

export async function who_signs_out_leaves_nothing_behind() {
  keepHere("prompt", "a house");
  await withCopies("readwrite", (all) => all.put({ text: "{}" }, copyKey("x")));
  await forgetKept();
  equal([keptHere("prompt"), await withCopies("readonly", (all) => all.count())], [null, 0]);
}

export async function what_can_be_undone_and_what_is_drawn_come_back_with_their_masks() {
  const { saving } = editing("worked");
  const history = new History(START);
  const mask = new Mask(64, 64);
  mask.rect([8, 8, 24, 24], 1);
  history.found(mask.bits);
  history.change({ ...history.present, words: "a star" });
  const run = { id: "abcd2345efgh", state: history.present, said: "", seam: 0 };
  saving.work = () => ({ ...history.kept, run });
  saving.keepWork();
  await until(() => saving.listed === "worked");
  const found = await saving.lastWork();
  equal([found.past.length, found.run.id, found.run.state === found.present], [2, run.id, true]);
  const again = new History(found.present);
  again.resume(found, true);
  equal(again.mask.count, 256);
  again.undo();
  equal([again.mask.count, again.present.words], [256, ""]);
  again.undo();
  equal(again.mask.count, 0);
  again.redo();
  equal(again.mask.count, 256);
}

export function a_browser_keeps_no_more_steps_than_their_masks_have_room() {
  const history = new History(START, { steps: 200, room: 2 ** 20, clips: 2 ** 20, strokes: 500, kept: 2000 });
  for (let n = 0; n < 9; n += 1) {
    const mask = new Mask(64, 64);
    mask.rect([n, 0, n + 9, 9], 1);
    history.clipped(withBase(START, mask), 0);
  }
  const { past, present } = history.kept;
  equal([past.length < 9, present === history.present, past.at(-1)?.state === history.past.at(-1)?.state], [true, true, true]);
}

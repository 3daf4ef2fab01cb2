import { keepHere, keptHere, Outbox, Problem, sendOnce } from "/static/js/core/api.js";
import { equal } from "./assert.js";

const letter = (name, label = "") => ({ name, method: "POST", path: "/", body: { label } });
const turn = () => new Promise((done) => setTimeout(done));

/** An outbox whose letters are answered by hand. */
function byHand() {
  const sent = [];
  const box = new Outbox((one) => new Promise((done, failed) => sent.push({ ...one, done, failed })));
  return { box, sent };
}

export async function letters_go_one_after_the_other_and_a_later_one_takes_the_place_of_one_that_waits() {
  const { box, sent } = byHand();
  for (const [name, label] of [["a", "1"], ["b", "2"], ["b", "3"], ["a", "4"]]) box.put(letter(name, label));
  for (let n = 0; n < 3; n += 1) {
    equal(sent.length, n + 1);
    sent[n].done();
    await turn();
  }
  equal([sent.map(({ body }) => body.label), box.letters.length, keptHere("outbox")], [["1", "3", "4"], 0, null]);
}

export async function a_page_goes_on_with_what_the_one_before_has_left() {
  byHand().box.put(letter("a", "1"));
  const { box, sent } = byHand();
  equal([sent[0].body.label, box.waiting("a").length], ["1", 1]);
  sent[0].done();
  await turn();
  equal(keptHere("outbox"), null);
}

export async function what_is_kept_for_one_person_is_not_sent_by_another() {
  document.body.dataset.person = "1";
  byHand().box.put(letter("a"));
  document.body.dataset.person = "2";
  equal(byHand().sent.length, 0);
}

export async function a_refusal_is_told_and_the_next_letter_goes() {
  const { box, sent } = byHand();
  const refused = [];
  box.senders.set("desk", { refused: (one, error) => refused.push([one.name, error.message]) });
  box.put(letter("desk 1"));
  box.put(letter("other"));
  sent[0].failed(new Problem(400, "No such label."));
  await turn();
  equal([refused, sent.length, box.letters.length], [[["desk 1", "No such label."]], 2, 1]);
}

export async function a_session_that_ends_keeps_the_letter() {
  const { box, sent } = byHand();
  box.put(letter("a"));
  sent[0].failed(new Problem(401, "Sign in first."));
  await turn();
  equal([sent.length, keptHere("outbox").length], [1, 1]);
}

export async function a_wish_without_an_answer_keeps_its_key_and_one_with_an_answer_gets_another() {
  const keys = [];
  const send = (answer) => async (key) => {
    keys.push(key);
    if (answer) throw answer;
    return key;
  };
  await sendOnce("a house", send(new Problem(429, "That was a lot."))).catch(() => {});
  await sendOnce("a house", send());
  await sendOnce("a house", send());
  equal([keys[0] === keys[1], keys[1] === keys[2]], [true, false]);
  await Promise.all([sendOnce("a boat", send()), sendOnce("a boat", send())]);
  equal(new Set(keys.slice(3)).size, 2); // asked twice on purpose
}

// Runs the editor's document, history and mask under Node: a line of JSON in, a line of JSON out.
import "./page.mjs";
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { Brushing, clipPixels, Clips, History, withCutOut } from "../../../web/static/editor/document.js";
import * as documents from "../../../web/static/editor/document.js";
import { decodePng, encodePng, Mask } from "../../../web/static/editor/mask.js";

const SOURCE = { width: 300, height: 24 }; // px of every layer's picture
let clips = new Clips();

const digest = (bits) => createHash("sha256").update(bits).digest("hex");
const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer());

async function baseOf(file) {
  const { width, height, bits } = await decodePng(file);
  const mask = new Mask(width, height);
  mask.bits.set(bits);
  return documents.baseOf(mask, digest(bits));
}

/** A layer as the model has it: what is shown of it by its pixels, which the kept ones are too. */
function plain(layer) {
  const [seen, kept] = [clips.of(layer)?.bits ?? null, layer.clip && clipPixels(layer.clip, SOURCE).bits];
  if ((seen && digest(seen)) !== (kept && digest(kept))) throw new Error("What is shown isn't what is kept.");
  return { ...layer, clip: seen && digest(seen) };
}

async function replay({ width, height, base, strokes }) {
  const state = { ...documents.newDocument({ upload: "" }, width, height), mask: { base: base && (await baseOf(Buffer.from(base, "base64"))), strokes } };
  const { mask } = new History(state);
  const again = await decodePng(await bytesOf(await encodePng(mask.bits, width, height)));
  return { painted: mask.count, sha256: digest(mask.bits), bounds: mask.bounds, png: digest(again.bits) };
}

/** Save and load: what the server would keep, and nothing else. */
async function reloaded(history) {
  const files = new Map();
  for (const [at, base] of documents.filesOf(history.present)) {
    const { bits } = clipPixels(base, base);
    const file = await bytesOf(await encodePng(bits, base.width, base.height));
    base.sha256 = digest(file);
    files.set(at, await baseOf(file));
  }
  const text = JSON.stringify(documents.writeDocument(history.present));
  clips = new Clips();
  return new History(documents.fromDocument(JSON.parse(text), files), history.limits);
}

const commands = {
  stroke: (history, { stroke }) => void history.paint(stroke),
  brush(history, { value, points, radii, taken_back: isTakenBack }) {
    const brushing = new Brushing(history, value);
    points.forEach((point, at) => brushing.to(point, radii[at]));
    if (isTakenBack) brushing.cancel();
    else brushing.end();
  },
  found: (history, { box }) => {
    const mask = new Mask(history.mask.width, history.mask.height);
    mask.rect(box, 1);
    history.found(mask.bits);
  },
  canvas: (history, { left, top, width, height }) => history.resize(documents.withCanvas(history.present, left, top, width, height), left, top),
  layer: (history, { id, change, kind }) => history.change(documents.withLayer(history.present, id, change), kind),
  add: (history, { id }) => history.change({ ...history.present, layers: [...history.present.layers, documents.newLayer(id, { upload: id })] }),
  raise: (history, { id, way }) => history.change(documents.withRaised(history.present, id, way)),
  restore(history, { id, value, points, radii, taken_back: isTakenBack }) {
    const layer = history.present.layers.find((one) => one.id === id);
    const ground = clips.painting(layer, SOURCE, (clip, bytes) => history.clipped(documents.withLayer(history.present, id, { clip }), bytes));
    const brushing = new Brushing(ground, value);
    points.forEach((point, at) => brushing.to(point, radii[at]));
    if (isTakenBack) brushing.cancel();
    else brushing.end();
    clips.live = null;
  },
  cut(history, { id, new: made, hole }) {
    const { mask, present } = history;
    const state = withCutOut(present, mask, present.layers.find((one) => one.id === id), SOURCE, made, hole);
    if (state) history.found(new Uint8Array(mask.bits.length), state);
  },
  words: (history, { words }) => history.change({ ...history.present, words }, "words"),
  settle: (history) => history.settle(),
  undo: (history) => void history.undo(),
  redo: (history) => void history.redo(),
  reload: reloaded,
};

async function run({ width, height, limits, commands: all }) {
  let history = new History(documents.newDocument({ upload: "base" }, width, height), limits);
  clips = new Clips();
  const seen = [];
  for (const command of all) {
    history = (await commands[command.do](history, command)) ?? history;
    const { mask, layers, ...rest } = history.present;
    const kept = new History(history.present).mask; // what its strokes say
    seen.push({ bits: digest(history.mask.bits), strokes: digest(kept.bits), state: { ...rest, layers: layers.map(plain) }, past: history.past.length, future: history.future.length });
  }
  return seen;
}

/** A document as it is written again after it was read. */
function rewritten({ document }) {
  const names = [["", document.mask?.base], ...document.layers.map(({ id, clip }) => [id, clip])].filter(([, sha256]) => sha256);
  return documents.writeDocument(documents.fromDocument(document, new Map(names.map(([at, sha256]) => [at, documents.baseOf(new Mask(1, 1), sha256)]))));
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const answer = asked.document ? rewritten(asked) : asked.commands ? await run(asked) : await replay(asked);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

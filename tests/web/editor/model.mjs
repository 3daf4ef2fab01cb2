// Runs the editor's document, history and mask under Node: a line of JSON in, a line of JSON out.
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import * as documents from "../../../web/static/editor/document.js";
import { Brushing, History } from "../../../web/static/editor/history.js";
import { decode, encode } from "../../../web/static/editor/png.js";
import { Mask } from "../../../web/static/editor/mask.js";
import { snapshot } from "../../../web/static/editor/tiles.js";

const digest = (bits) => createHash("sha256").update(bits).digest("hex");
const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer());

async function baseOf(file) {
  const { width, height, bits } = await decode(file);
  const mask = new Mask(width, height);
  mask.bits.set(bits);
  return { tiles: snapshot(mask), sha256: digest(bits) };
}

async function replay({ width, height, base, strokes }) {
  const state = { ...documents.fresh({ upload: "" }, width, height), mask: { base: base && (await baseOf(Buffer.from(base, "base64"))), strokes } };
  const { mask } = new History(state);
  const again = await decode(await bytesOf(await encode(mask.bits, width, height)));
  return { painted: mask.count, sha256: digest(mask.bits), bounds: mask.bounds, png: digest(again.bits) };
}

/** Save and load: what the server would keep, and nothing else. */
async function reloaded(history) {
  const { base } = history.present.mask;
  const mask = new Mask(history.mask.width, history.mask.height);
  base?.tiles.swap(mask);
  const file = await bytesOf(await encode(mask.bits, mask.width, mask.height));
  if (base) base.sha256 = digest(file);
  const text = JSON.stringify(documents.written(history.present));
  return new History(documents.fromWritten(JSON.parse(text), base && (await baseOf(file))), history.limits);
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
  add: (history, { id }) => history.change({ ...history.present, layers: [...history.present.layers, documents.layer(id, { upload: id })] }),
  raise: (history, { id, way }) => history.change(documents.raised(history.present, id, way)),
  words: (history, { words }) => history.change({ ...history.present, words }, "words"),
  settle: (history) => history.settle(),
  undo: (history) => void history.undo(),
  redo: (history) => void history.redo(),
  reload: reloaded,
};

async function run({ width, height, limits, commands: all }) {
  let history = new History(documents.fresh({ upload: "base" }, width, height), limits);
  const seen = [];
  for (const command of all) {
    history = (await commands[command.do](history, command)) ?? history;
    const { mask, ...rest } = history.present;
    const kept = new History(history.present).mask; // what its strokes say
    seen.push({ bits: digest(history.mask.bits), strokes: digest(kept.bits), state: rest, past: history.past.length, future: history.future.length });
  }
  return seen;
}

/** A document as it is written again after it was read. */
function rewritten({ document }) {
  const sha256 = document.mask?.base ?? null;
  return documents.written(documents.fromWritten(document, sha256 && { tiles: snapshot(new Mask(1, 1)), sha256 }));
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const answer = asked.document ? rewritten(asked) : asked.commands ? await run(asked) : await replay(asked);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

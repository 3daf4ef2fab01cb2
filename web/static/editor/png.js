// Masks as PNG files of one bit a pixel, written and read with the platform's own deflate. Pure.
// Source: https://www.w3.org/TR/png-3/.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CRC = Int32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = -1;
  for (let at = 0; at < bytes.length; at++) crc = (CRC[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0) ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}

/** @param {string} kind @param {Uint8Array} body */
function chunk(kind, body) {
  const out = new Uint8Array(12 + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  for (let at = 0; at < 4; at++) out[4 + at] = kind.charCodeAt(at);
  out.set(body, 8);
  view.setUint32(8 + body.length, crc32(out.subarray(4, 8 + body.length)));
  return out;
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {CompressionStream | DecompressionStream} way */
const through = async (bytes, way) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(way)).arrayBuffer());

/** @param {Uint8Array} bits  one byte a pixel, 0 or 1 @param {number} width @param {number} height */
export async function encode(bits, width, height) {
  const stride = ((width + 7) >> 3) + 1; // a byte for the filter, none
  const raw = new Uint8Array(stride * height);
  for (let y = 0, from = 0; y < height; y++) {
    const row = y * stride + 1;
    for (let x = 0; x < width; x++, from++) if (bits[from]) raw[row + (x >> 3)] = (raw[row + (x >> 3)] ?? 0) | (128 >> (x & 7));
  }
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head[8] = 1; // bit a pixel, grey
  const data = await through(raw, new CompressionStream("deflate"));
  return new Blob([new Uint8Array(SIGNATURE), chunk("IHDR", head), chunk("IDAT", data), chunk("IEND", new Uint8Array())], { type: "image/png" });
}

/**
 * Read a mask that is a PNG of one grey bit a pixel, its rows without a filter. Raises an Error for any other kind.
 * @param {Uint8Array} file
 * @returns {Promise<{width: number, height: number, bits: Uint8Array}>}
 */
export async function decode(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  if (SIGNATURE.some((byte, at) => file[at] !== byte) || view.getUint32(24) !== 0x01000000 || file[28] !== 0) throw new Error("This isn't a mask.");
  const parts = [];
  for (let at = 8; at < file.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x49444154) parts.push(file.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const data = new Uint8Array(await new Blob(/** @type {Uint8Array<ArrayBuffer>[]} */ (parts)).arrayBuffer());
  const stride = ((width + 7) >> 3) + 1;
  const rows = await through(data, new DecompressionStream("deflate"));
  const bits = new Uint8Array(width * height);
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * stride + 1;
    for (let x = 0; x < width; x++, to++) bits[to] = ((rows[row + (x >> 3)] ?? 0) >> (7 - (x & 7))) & 1;
  }
  return { width, height, bits };
}

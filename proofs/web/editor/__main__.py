"""The editor with a large picture and a long past: ``python -m proofs.web.editor [--side 4096]
[--strokes 200]`` measures opening, brushing, zooming, undo and what goes along when it is sent."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from proofs.web.figures import Report, p95
from tests.web.conftest import COOKIE, Site, open_site
from tests.web.editor.scenery import Scenes

SMALL = 1024  # px a side, to which a large picture is compared
OPENED = """async () => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  const frame = () => new Promise(requestAnimationFrame);
  const until = async (isThere) => { while (!isThere()) await frame(); await frame();
    return performance.now(); };
  const all = () => [...editor.pictures.loaded.values()];
  const seen = await until(() => all().length && editor.view.width > 1);
  const sharp = await until(() => all().some(({ width, levels: [full] }) => full.width === width));
  return { seen, sharp, strokes: editor.state.mask.strokes.length, bits: editor.mask.count }; }"""
PAST = """async (strokes) => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  const { width, height } = editor.state;
  const at = (seed) => { const x = Math.sin(seed * 12.9898) * 43758.5453; return x - Math.floor(x); };
  const { Brushing } = await import(new URL('../editor/document.js',
    document.querySelector('script[type=module]').src));
  for (let one = 0; one < strokes; one++) {
    const brush = new Brushing(editor.history, one % 5 ? 1 : 0);
    let [x, y] = [at(one) * width, at(one + 0.5) * height];
    for (let step = 0; step < 40; step++) {
      brush.to([Math.round(x * 8), Math.round(y * 8)], Math.round(width / 60 * 8));
      [x, y] = [x + (at(one + step) - 0.5) * width / 20, y + (at(one - step) - 0.5) * height / 20];
    }
    brush.end();
  }
  editor.look();
}"""
MOVES = """async (way) => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  const stage = document.querySelector('#stage'), box = stage.getBoundingClientRect();
  const [handled, gaps] = [[], []];
  const point = (name, turn) => {
    const [x, y] = [box.left + box.width * (0.5 + 0.35 * Math.sin(turn)), box.top + box.height * (0.5 
      + 0.35 * Math.cos(1.7 * turn))];
    const event = new PointerEvent(name, { clientX: x, clientY: y, button: 0, buttons: 1, pointerId: 1,
      bubbles: true });
    const began = performance.now();
    stage.dispatchEvent(event);
    handled.push(performance.now() - began);
  };
  stage.setPointerCapture = () => {};
  if (way === 'brush') { editor.set({ size: editor.state.width / 30 }); point('pointerdown', 0); }
  let last = await new Promise(requestAnimationFrame);
  for (let frame = 1; frame <= 240; frame++) {
    if (way === 'brush') for (let each = 0; each < 2; each++) point('pointermove', (2 * frame + each) / 40);
    else editor.zoom(frame % 60 < 30 ? 1.03 : 1 / 1.03);
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    last = now;
  }
  if (way === 'brush') point('pointerup', 12);
  return { handled, gaps };
}"""
UNDO = """async () => {
  const { editor } = await import(document.querySelector('script[type=module]').src);
  const took = [];
  for (let one = 0; one < 20; one++) { const began = performance.now(); editor.undo();
    took.push(performance.now() - began); }
  for (let one = 0; one < 20; one++) { const began = performance.now(); editor.redo();
    took.push(performance.now() - began); }
  return took;
}"""
SENT = """async () => {
  const script = document.querySelector('script[type=module]').src;
  const [{ editor }, { encodePng }, { writeDocument }] = [await import(script),
    await import(new URL('../editor/mask.js', script)), await import(new URL('../editor/document.js',
      script))];
  const began = performance.now();
  await crypto.subtle.digest('SHA-256', editor.mask.bits);
  const text = JSON.stringify(writeDocument({ ...editor.state, mask: { ...editor.state.mask, base: null } }));
  const hashed = performance.now();
  const file = await encodePng(editor.mask.bits, editor.mask.width, editor.mask.height);
  const { past, limits } = editor.history;
  const kept = past.reduce((sum, step) => sum + (step.tiles?.bytes ?? 0) 
    + (step.state.mask.base?.tiles.bytes ?? 0), 0);
  const pictures = [...editor.pictures.loaded.values()].flatMap(({ levels }) => levels).reduce((sum,
    one) => sum + 4 * one.width * one.height, 0);
  const canvases = 2 * 4 * editor.view.width * editor.view.height;
  return { document: hashed - began, mask: performance.now() - hashed, text: text.length,
    file: file.size, bytes: kept + pictures + canvases + editor.mask.bits.length };
}"""


async def measured(browser: Any, site: Site, strokes: int) -> dict[str, Any]:
    """Return what one picture's editor takes."""
    job = await site.drawn(site.you, "a house")
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    cookie = {"name": COOKIE, "value": site.you.cookie, "domain": "127.0.0.1", "path": "/", "secure": True}
    await context.add_cookies([cookie])
    page = await context.new_page()
    await page.goto(f"{site.web.url}/edit/{job['id']}/1")
    await page.evaluate(OPENED)
    await page.evaluate(PAST, strokes)
    await page.locator("#stage").press("Control+s")
    await page.wait_for_selector(".saved >> text='Saved'")
    again = await context.new_page()
    await again.goto(page.url, wait_until="commit")
    await again.wait_for_selector("#tools button")
    opened = await again.evaluate(OPENED)
    await again.close()
    assert opened["strokes"] == strokes, "all of it was kept"
    brushing, zooming = await page.evaluate(MOVES, "brush"), await page.evaluate(MOVES, "zoom")
    found = {
        "open": opened["seen"],
        "sharp": opened["sharp"],
        "handler": p95(brushing["handled"]),
        "brush": p95(brushing["gaps"]),
        "zoom": p95(zooming["gaps"]),
        "undo": p95(await page.evaluate(UNDO)),
        **await page.evaluate(SENT),
    }
    await context.close()
    return found


async def prove(side: int, strokes: int) -> bool:
    """Print every row; True when all hold."""
    from playwright.async_api import async_playwright

    found: dict[int, dict[str, Any]] = {}
    async with async_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = await playwright.chromium.launch(executable_path=path)
        for px in (SMALL, side):
            with tempfile.TemporaryDirectory() as folder:
                async with open_site(Path(folder), executor=Scenes(px, px)) as site:  # type: ignore[arg-type]
                    found[px] = await measured(browser, site, strokes)
        await browser.close()
    report, large = Report(), found[side]
    name = f"{side} × {side} px after {strokes} strokes"
    report.row(f"{name}: kept, opened, to its strokes over the picture", large["open"], 1500, "ms")
    report.row(f"{name}: … and every pixel of the picture", large["sharp"], 1500, "ms")
    report.row(f"{name}: handler of a move, p95", large["handler"], 4, "ms")
    report.row(f"the same at {SMALL} × {SMALL} px", found[SMALL]["handler"], 4, "ms")
    report.row(f"{name}: gap of frames brushing, p95", large["brush"], 20, "ms")
    report.row(f"{name}: gap of frames zooming, p95", large["zoom"], 34, "ms")
    report.row(f"{name}: undo and redo, p95", large["undo"], 50, "ms")
    report.row(f"{name}: the document with its mask's hash", large["document"], 400, "ms")
    report.row(f"{name}: its text", large["text"] / 1000, 200, "kB")
    report.row(f"{name}: the mask as a file", large["mask"], 400, "ms")
    report.row(f"{name}: that file", large["file"] / 1000, 200, "kB")
    report.row(f"{name}: pictures, canvases, mask and undo", large["bytes"] / 1e6, 300, "MB")
    return report.good


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--strokes", type=int, default=200)
    given = parser.parse_args()
    return 0 if asyncio.run(prove(given.side, given.strokes)) else 1


if __name__ == "__main__":
    raise SystemExit(main())

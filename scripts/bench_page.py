"""How long a person waits: the caption page loaded in a new browser, and its first caption after the click.

    python scripts/bench_page.py --url http://localhost:8000 --clip ../shared/samples/a_hello.mp4 --runs 10

A headless Chromium opens the page as at a first visit, without anything kept, and presses "Use the camera"; the clip
plays as the camera, with still seconds behind the sign so that the sentence ends. Landmarks are found in the page
(--where device), on the processor where there is no GPU. Times are taken in the page, from the start of the navigation
and from the click. No caption comes before its sign has been made, and the clip's first showing may be over before the
browser is ready. --hover 0.4 waits between pointing at the button and the click, as a hand does; --granted --look 3 is
somebody who has allowed the camera before. --teach NAME times the page for teaching instead, and prints what happens
when. Needs `pip install playwright` and a Chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from scripts.check_page import CHROMIUM, as_camera  # noqa: E402

#: Notes what happens in the page, in its own time.
WATCH = """
localStorage["glossline.settings"] = JSON.stringify({ where: "%s", vocabulary: "%s" });
window.noted = { pictures: [] };
const note = (name) => { noted[name] ??= performance.now(); };
window.Worker = class extends Worker {
  constructor(...from) {
    super(...from);
    this.addEventListener("message", ({ data }) => {
      if (data.loaded) { note("prepared"); noted.path = data.loaded.path; }
      if (data.points !== undefined) { note("first_picture"); noted.pictures.push([performance.now(), data.ms]); }
    });
  }
};
addEventListener("DOMContentLoaded", () => {
  const watch = (id, name) => new MutationObserver(() => {
    if (document.getElementById(id).textContent.trim()) note(name);
  }).observe(document.getElementById(id), { childList: true, subtree: true, characterData: true });
  watch("live-gloss", "caption");
  watch("history", "final");
  document.getElementById("camera").addEventListener("click", () => note("click"), { capture: true });
  document.getElementById("live-video").addEventListener("playing", () => note("camera"));
});
"""

#: Notes what the page for teaching does, and what it asks the service for.
WATCH_TEACHING = """
localStorage["glossline.settings"] = JSON.stringify({ where: "%s" });
window.noted = [];
const note = (what) => { if (noted.at(-1)?.[1] !== what) noted.push([performance.now(), what]); };
const asked = window.fetch;
window.fetch = async (address, given) => {
  const what = `${given?.method ?? "GET"} ${String(address).split("/").at(-1)}`;
  note(`${what} …`);
  const answer = await asked(address, given);
  note(`${what}: ${answer.status}`);
  return answer;
};
addEventListener("DOMContentLoaded", () => {
  document.getElementById("teach-form").addEventListener("submit", () => note("click"), { capture: true });
  const watch = (id, options, told) => new MutationObserver(() => note(told(document.getElementById(id))))
    .observe(document.getElementById(id), options);
  const text = { childList: true, subtree: true, characterData: true };
  watch("mirror", { attributeFilter: ["data-look"] }, ({ dataset }) => `mirror: ${dataset.look}`);
  watch("teach-live", text, ({ textContent }) => `said: ${textContent}`);
  watch("teach-sends", text, ({ textContent }) => textContent && `sends: ${textContent}`);
});
"""

MOMENTS = ("camera", "prepared", "first_picture", "caption", "final")


async def visit(browser: Any, options: argparse.Namespace) -> dict[str, Any]:
    """What was noted, in milliseconds."""
    context = await browser.new_context(viewport={"width": 1366, "height": 657}, locale="en-GB")
    if options.granted:
        await context.grant_permissions(["camera"])
    page = await context.new_page()
    page.set_default_timeout(120_000)
    await page.add_init_script(WATCH % (options.where, options.vocabulary))
    await page.goto(options.url, wait_until="load")
    await page.wait_for_selector("#vocabulary-name:not(:has-text('…'))", state="attached")
    loaded = await page.evaluate("[performance.getEntriesByType('navigation')[0].loadEventEnd, performance.now()]")
    await asyncio.sleep(options.look)
    await page.hover("#camera")
    await asyncio.sleep(options.hover)
    await page.click("#camera")
    await page.wait_for_selector("#history li")
    noted: dict[str, Any] = await page.evaluate("noted")
    noted["said"] = await page.inner_text("#history li")
    await context.close()
    click, until = noted["click"], noted["caption"]
    searching = [ms for at, ms in noted["pictures"] if at <= until]
    found = {"picture_ms": float(np.median(searching)), "pictures": len(searching)} if searching else {}
    return {
        "page_loaded_ms": loaded[0],
        "page_filled_ms": loaded[1],
        **{
            f"click_to_{name}_ms": noted[name] - click
            for name in ("camera", "prepared", "first_picture", "caption", "final")
        },
        **found,
        "search_share": sum(searching) / (until - click),
        "path": noted.get("path"),
        "said": noted["said"],
    }


async def teach(browser: Any, options: argparse.Namespace) -> float:
    """Seconds from the button to a sign that is taught, by three recordings at the page's own pace."""
    context = await browser.new_context(viewport={"width": 1366, "height": 657}, locale="en-GB")
    page = await context.new_page()
    page.set_default_timeout(180_000)
    await page.add_init_script(WATCH_TEACHING % options.where)
    await page.goto(f"{options.url}/teach")
    await page.wait_for_selector("#all:not([hidden])")
    await page.fill("#sign-called", options.teach)
    if await page.is_visible("#sign-set"):
        await page.select_option("#sign-set", "")
    began = time.perf_counter()
    await page.click("#teach-start")
    # The camera is looped, so a recording may begin or end within the sign, or have none; a person would not be asked.
    await page.add_locator_handler(page.locator("#take-keep"), lambda keep: keep.click())
    again = page.locator("#take-actions:has(#take-keep[hidden]) #take-again:visible")
    await page.add_locator_handler(again, lambda button: button.click())
    await page.wait_for_selector("#taught-use:visible")
    took = time.perf_counter() - began
    noted: list[tuple[float, str]] = await page.evaluate("noted")
    click = next(at for at, what in noted if what == "click")
    for at, what in noted:
        if at >= click:
            print(f"{(at - click) / 1000:6.1f} s  {what}", file=sys.stderr, flush=True)
    await context.close()
    return took


def report(runs: list[dict[str, Any]]) -> None:
    for name, value in runs[0].items():
        if isinstance(value, float | int):
            values = [run[name] for run in runs]
            print(f"{name:24} p50 {np.percentile(values, 50):9.2f}   p95 {np.percentile(values, 95):9.2f}")
    print("said                    ", json.dumps([run["said"] for run in runs]))
    print("path                    ", {run["path"] for run in runs}, flush=True)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--clip", type=Path, default=REPOSITORY / "app/signer/samples/hello.mp4")
    parser.add_argument("--still", type=float, default=1.5, help="seconds without a movement behind the sign")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--where", choices=("auto", "device", "pictures"), help="auto to teach, else device")
    parser.add_argument("--granted", action="store_true", help="the camera was allowed at an earlier visit")
    parser.add_argument("--look", type=float, default=0.0, help="seconds that the page is looked at before")
    parser.add_argument("--hover", type=float, default=0.0, help="seconds between pointing at the button and the click")
    parser.add_argument("--vocabulary", default="everyday")
    parser.add_argument(
        "--teach", metavar="NAME", help="instead: how long teaching this sign takes by three recordings"
    )
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    options.where = options.where or ("auto" if options.teach else "device")
    from playwright.async_api import async_playwright

    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / "camera.y4m"
        as_camera(options.clip, camera, options.still)
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(
                executable_path=options.chromium, args=[*CHROMIUM, f"--use-file-for-fake-video-capture={camera}"]
            )
            if options.teach:
                took = [await teach(browser, options) for _ in range(options.runs)]
                print(f"taught in {np.percentile(took, 50):.1f} s (p50), {max(took):.1f} s (longest)", flush=True)
                await browser.close()
                return 0
            runs = []
            for _ in range(options.runs):
                runs.append(await visit(browser, options))
                print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
            report(runs)
            await browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

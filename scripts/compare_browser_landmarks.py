"""Landmarks that the page finds in a browser against those of the service, on whole clips.

    python scripts/compare_browser_landmarks.py ../shared/samples/a_*.mp4 --vocabulary everyday

The browser gets the images that the service decodes, as wide as the page takes them of a camera. Distances are in
widths of the shoulders; of the body, points count that the service sees (visibility of 0.5 or more), of the hands those
that both find. Both are read by the same recogniser. Needs the npm files (`make page`), `pip install playwright` and a
Chromium; without a GPU an image takes a quarter of a second. Ends with 1 when fewer than nine of ten answers are the
same.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import shutil
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from app.api import browser_landmarks, pages  # noqa: E402
from app.pipeline.keypoints import Keypoints  # noqa: E402
from app.pipeline.module1_preprocessing.landmarks.engine import find_landmarks  # noqa: E402
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine  # noqa: E402
from app.pipeline.module1_preprocessing.video import read_frames  # noqa: E402
from app.pipeline.recogniser import Recogniser  # noqa: E402

WIDTH = 640  # as the page takes them
LEFT_SHOULDER, RIGHT_SHOULDER, FIRST_HAND_POINT = 11, 12, 33
SEEN = 0.5

#: Keeps the finder for the next image; `first`: of a clip.
_FIND = """async ([image, first]) => {
  const { landmarkFinder } = await import("/web/landmarks.js");
  const finder = await landmarkFinder();
  if (first) await finder.reset();
  const bytes = Uint8Array.from(atob(image), (c) => c.charCodeAt(0));
  const { points, ms } = await finder.find(await createImageBitmap(new Blob([bytes])));
  return { points: [...points], ms, path: finder.path, renderer: finder.renderer };
}"""


@asynccontextmanager
async def page_files() -> AsyncIterator[str]:
    """Address of a server that has the page and the files for the browser, and no recogniser."""
    app = FastAPI()
    app.include_router(pages.router)
    app.include_router(browser_landmarks.router)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def found_in_browser(
    page: Any, images: Sequence[NDArray[np.uint8]]
) -> tuple[NDArray[np.float32], list[float], str]:
    """Landmarks (T, 75, 3) of RGB images, milliseconds each, and what computed them, on a page of the service."""
    rows, took, where = [], [], ""
    for i, rgb in enumerate(images):
        height = round(WIDTH * rgb.shape[0] / rgb.shape[1])
        small = cv2.resize(rgb, (WIDTH, height), interpolation=cv2.INTER_AREA) if rgb.shape[1] > WIDTH else rgb
        _, png = cv2.imencode(".png", small[:, :, ::-1])
        found = await page.evaluate(_FIND, [base64.b64encode(png.tobytes()).decode(), i == 0])
        rows.append(np.asarray(found["points"], np.float32).reshape(-1, 3))
        took.append(found["ms"])
        where = f"{found['path']} ({found['renderer']})"
    return np.stack(rows), took, where


def distances(
    service: NDArray[np.float32], browser: NDArray[np.float32], aspect: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the body and of the hands, in widths of the shoulders; one number for each point that counts."""
    square = np.array([aspect, 1.0])
    shoulders = np.linalg.norm((service[:, LEFT_SHOULDER, :2] - service[:, RIGHT_SHOULDER, :2]) * square, axis=1)
    apart = np.linalg.norm((service[..., :2] - browser[..., :2]) * square, axis=2) / shoulders[:, None]
    body = service[:, :FIRST_HAND_POINT, 2] >= SEEN
    hands = (service[:, FIRST_HAND_POINT:, 2] > 0) & (browser[:, FIRST_HAND_POINT:, 2] > 0)
    return apart[:, :FIRST_HAND_POINT][body], apart[:, FIRST_HAND_POINT:][hands]


async def compare(options: argparse.Namespace) -> int:
    from playwright.async_api import async_playwright

    recogniser = Recogniser.load(REPOSITORY / "checkpoints" / options.checkpoint).reading_with(options.vocabulary)
    bodies, hands, took, agree, same = [], [], [], [], 0
    async with page_files() as url, async_playwright() as playwright:
        arguments = ["--no-sandbox"] if options.gpu else ["--no-sandbox", "--disable-gpu"]
        browser = await playwright.chromium.launch(executable_path=options.chromium, args=arguments)
        page = await browser.new_page()
        await page.goto(url)
        with MediaPipeEngine(1) as engine:
            for clip in options.clips:
                frames = list(read_frames(clip))
                with closing(engine.open()) as track:
                    ours = find_landmarks(frames, track)
                points, ms, where = await found_in_browser(page, [frame.rgb for frame in frames])
                theirs = Keypoints(
                    points.astype(np.float16).astype(np.float32), ours.times, ours.aspect
                )  # as it is sent
                body, hand = distances(ours.points, theirs.points, ours.aspect)
                answers = [" ".join(recogniser.recognise(each).gloss) for each in (ours, theirs)]
                bodies.append(body)
                hands.append(hand)
                took += ms
                agree.append((ours.points[:, FIRST_HAND_POINT:, 2] > 0) == (points[:, FIRST_HAND_POINT:, 2] > 0))
                same += answers[0] == answers[1]
                print(
                    f"{clip.name:<18} {len(frames):3} images  body {_figures(body)}  hands {_figures(hand)}  "
                    f"{statistics.median(ms):4.0f} ms  service {answers[0]!r}, browser {answers[1]!r}",
                    flush=True,
                )
        await browser.close()
    body, hand = np.concatenate(bodies), np.concatenate(hands)
    print(f"all: body {_figures(body)}, hands {_figures(hand)}, both {_figures(np.concatenate([body, hand]))}")
    print(f"the same hands found: {np.concatenate(agree).mean():.1%}; computed by {where}")
    print(f"{statistics.median(took):.0f} ms an image: {1000 / statistics.median(took):.1f} images a second")
    print(f"{same} of {len(options.clips)} answers are the same ({recogniser.model_id}, {recogniser.reads})")
    return 0 if same >= 0.9 * len(options.clips) else 1


def _figures(apart: NDArray[np.float64]) -> str:
    if not apart.size:
        return "     -     "
    return f"{np.median(apart):.3f} (95 %: {np.quantile(apart, 0.95):.3f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clips", type=Path, nargs="+", help="videos of signs")
    parser.add_argument("--checkpoint", default="asl-large", help="id under checkpoints/")
    parser.add_argument("--vocabulary", help="name of the vocabulary to read with; default: the recogniser's own")
    parser.add_argument("--gpu", action="store_true", help="let the browser use the graphics processor of this machine")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="default: Playwright's own")
    options = parser.parse_args()
    if (why := browser_landmarks.missing()) is not None:
        print(why, file=sys.stderr)
        return 2
    try:
        import playwright  # noqa: F401
    except ImportError:
        print("This drives a browser: pip install playwright, and have a Chromium.", file=sys.stderr)
        return 2
    return asyncio.run(compare(options))


if __name__ == "__main__":
    sys.exit(main())

// Other ways to see the captions: full screen, a small window that stays above other programs, and a page of captions alone
// for OBS, a second screen or another device.

import { alsoIn } from "./captions.js";
import { CaptionView } from "./caption_view.js";
import { el, make } from "./dom.js";
import { followLink } from "./followers.js";
import { t } from "./texts.js";

const FPS = 15;
const WIDTH = 640, HEIGHT = 360;

function say(text) { el("view-status").textContent = text; }

// -- full screen -----------------------------------------------------------------------------------------------------

el("full-screen").hidden = !document.fullscreenEnabled;
el("full-screen").addEventListener("click", () => {
  el("view-menu").open = false;
  if (document.fullscreenElement) document.exitFullscreen();
  else el("stage").requestFullscreen().catch(() => say(t("The browser refuses full screen.")));
});

// -- a small window --------------------------------------------------------------------------------------------------

async function smallPage() {
  const small = await documentPictureInPicture.requestWindow({ width: 480, height: 160 });
  for (const name of ["tokens.css", "page.css", "captions.css"]) {
    const link = small.document.createElement("link");
    Object.assign(link, { rel: "stylesheet", href: `/web/${name}` });
    small.document.head.append(link);
  }
  small.document.title = t("Captions");
  small.document.documentElement.lang = "en";
  small.document.body.className = "alone solid";
  const parts = { before: make("p", "", "before"), sentence: make("p", "", "sentence") };
  const box = make("main", "", "caption");
  box.append(parts.before, parts.sentence);
  small.document.body.append(box);
  const leave = alsoIn(new CaptionView(parts));
  small.addEventListener("pagehide", leave);
}

// Where a page cannot be so small a window, a video can: of the captions, drawn.
async function smallVideo() {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: WIDTH, height: HEIGHT });
  const pen = canvas.getContext("2d");
  const parts = { before: make("p", ""), sentence: make("p", "") };
  const view = new CaptionView(parts);
  const draw = () => {
    pen.fillStyle = "#100d17";
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    const picture = el("live-video");
    if (!picture.hidden && picture.videoWidth) {
      const high = HEIGHT, wide = (high * picture.videoWidth) / picture.videoHeight;
      pen.drawImage(picture, (WIDTH - wide) / 2, 0, wide, high);
    }
    pen.font = `${view.open ? "italic 500" : "600"} 34px system-ui, sans-serif`;
    pen.textAlign = "center";
    const lines = wrapped(pen, parts.sentence.textContent, WIDTH - 60).slice(-2);
    lines.forEach((line, i) => {
      const y = HEIGHT - 24 - (lines.length - 1 - i) * 44, wide = pen.measureText(line).width + 28;
      pen.fillStyle = "rgb(12 9 20 / .86)";
      pen.fillRect((WIDTH - wide) / 2, y - 34, wide, 44);
      pen.fillStyle = "#f7f4ff";
      pen.fillText(line, WIDTH / 2, y);
    });
  };
  draw();
  const video = document.createElement("video");
  Object.assign(video, { muted: true, srcObject: canvas.captureStream(FPS) });
  await video.play();
  await video.requestPictureInPicture();
  const leave = alsoIn(view);
  const timer = setInterval(draw, 1000 / FPS);
  video.addEventListener("leavepictureinpicture", () => {
    clearInterval(timer);
    leave();
    video.srcObject.getTracks().forEach((track) => track.stop());
  });
}

function wrapped(pen, text, wide) {
  const lines = [];
  for (const word of text.split(" ").filter(Boolean)) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && pen.measureText(longer).width <= wide) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

el("small-window").addEventListener("click", async () => {
  say("");
  try {
    if ("documentPictureInPicture" in window) await smallPage();
    else if (document.pictureInPictureEnabled) await smallVideo();
    else return say(t("This browser has no small window; “Captions alone” opens an ordinary one."));
    el("view-menu").open = false;
  } catch {
    say(t("The browser refuses the small window; “Captions alone” opens an ordinary one."));
  }
});

// -- captions alone --------------------------------------------------------------------------------------------------

async function link() {
  const address = await followLink();
  if (address === null) say(t("The link works only on pages over https or on localhost."));
  return address;
}

el("caption-window").addEventListener("click", async () => {
  const address = await link();
  if (address === null) return;
  if (!window.open(`${address}&ground=dark`, "glossline-captions", "popup,width=720,height=220")) {
    say(t("The browser refuses the window. Allow pop-ups of this page, or copy the link."));
    return;
  }
  el("view-menu").open = false;
});

el("caption-link").addEventListener("click", async () => {
  const address = await link();
  if (address === null) return;
  try {
    await navigator.clipboard.writeText(address);
    say(t("The link is copied. Who has it can read your captions. Its ground is transparent."));
  } catch {
    say(address);
  }
});

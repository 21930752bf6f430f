// The code that the page for developers shows; the tests run it as it is shown.

export const LANGUAGES = { javascript: "JavaScript", python: "Python", curl: "curl" };

// address: of this service. key: whether it asks for one.
export function samples(address, key) {
  const sockets = address.replace(/^http/, "ws");
  return {
    file: {
      javascript: `const form = new FormData();
form.append("file", document.querySelector("input[type=file]").files[0]);
const answer = await fetch("${address}/api/inference/predict", {
  method: "POST",
  body: form,${key ? "\n  headers: { Authorization: `Bearer ${token}` }, // of who has signed in; never put a key into a page" : ""}
});
const { sentence, gloss, detail } = await answer.json();
if (!answer.ok) throw new Error(detail);
console.log(sentence, gloss);
`,
      python: `# pip install httpx
${key ? "import os\n\n" : ""}import httpx

with open("clip.mp4", "rb") as clip:
    answer = httpx.post(
        "${address}/api/inference/predict",
        files={"file": clip},${key ? '\n        headers={"Authorization": "Bearer " + os.environ["GLOSSLINE_KEY"]},' : ""}
        timeout=300,
    )
answer.raise_for_status()
print(answer.json()["sentence"])
`,
      curl: `curl --fail-with-body \\
${key ? '  -H "Authorization: Bearer $GLOSSLINE_KEY" \\\n' : ""}  -F file=@clip.mp4 \\
  "${address}/api/inference/predict"

# as subtitles
curl --fail-with-body \\
${key ? '  -H "Authorization: Bearer $GLOSSLINE_KEY" \\\n' : ""}  -F file=@clip.mp4 -o clip.vtt \\
  "${address}/api/inference/predict?format=vtt"
`,
    },
    live: {
      javascript: `<video muted playsinline></video>
<p></p>
<script type="module">
  import { Glossline } from "${address}/glossline.js";

  const video = document.querySelector("video");
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  await video.play();
${key ? `
  // Your server asks POST ${address}/api/auth/ticket with its key; a ticket works once.
  const ticket = async () => (await (await fetch("/ticket")).json()).ticket;
` : ""}
  const captions = new Glossline(video${key ? ", { ticket }" : ""});
  const show = ({ detail }) => {
    document.querySelector("p").textContent = detail.sentence;
  };
  captions.addEventListener("partial", show);
  captions.addEventListener("final", show);
  await captions.start();
</script>
`,
      python: `# pip install opencv-python-headless websockets
import asyncio
import base64
import json
${key ? "import os\n" : ""}
import cv2
import websockets

ADDRESS = "${sockets}/api/ws/stream"
VIDEO = "clip.mp4"  # 0: the camera
${key ? 'HEADERS = {"Authorization": "Bearer " + os.environ["GLOSSLINE_KEY"]}\n' : ""}

async def send(ws):
    video = cv2.VideoCapture(VIDEO)
    pause = 1 / (video.get(cv2.CAP_PROP_FPS) or 25)
    while (frame := video.read())[0]:
        jpeg = cv2.imencode(".jpg", frame[1])[1].tobytes()
        await ws.send(json.dumps({"type": "frame", "data": base64.b64encode(jpeg).decode()}))
        await asyncio.sleep(pause)
    await ws.send(json.dumps({"type": "stop"}))


async def main():
    async with websockets.connect(ADDRESS${key ? ", additional_headers=HEADERS" : ""}) as ws:
        sending = asyncio.create_task(send(ws))
        async for text in ws:
            event = json.loads(text)
            if event["type"] == "final":
                print(event["sentence"])
            elif event["type"] == "error":
                print(event["message"])
        await sending


asyncio.run(main())
`,
      curl: `# Reads a live session along: whoever captions sends the secret as "follow" in its "start".
secret=0123456789abcdef0123456789abcdef
id=$(printf %s "$secret" | sha256sum | cut -d' ' -f1)
curl --no-buffer "${address}/api/live/follow?session=$id"
`,
    },
  };
}

// Whoever has the link reads the captions of this browser's sessions, on any device (docs/live.md): the link has the hash of
// a secret, and the secret goes to the service with `start`. The link stays the same, so OBS has to be set up once.

const KEY = "glossline.follow";

function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

let secret = null;

export function followSecret() {
  if (secret) return secret;
  try {
    secret = localStorage.getItem(KEY);
    if (!/^[\w-]{32}$/.test(secret ?? "")) localStorage.setItem(KEY, secret = fresh());
  } catch {
    secret = fresh();
  }
  return secret;
}

// null where the browser cannot hash: pages that are neither https nor of this machine.
export async function followLink() {
  if (!crypto.subtle) return null;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(followSecret()));
  const id = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${location.origin}/captions?session=${id}`;
}

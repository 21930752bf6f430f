// Who has signed in, and requests in their name. The access token lives in the memory of this page alone; the refresh
// token is in a cookie that no script can read. What is kept in the browser says only that there may be such a cookie.

const MARK = "glossline.signed-in";
const EARLY_MS = 30_000; // before the access token expires

let access = null; // { token, until }
let user = null;
let refreshing = null;
const listeners = [];

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? "The service did not say why.");
    this.status = status;
    this.title = problem.title ?? "The service refused";
    this.code = problem.code ?? "";
  }
}

// What the service asks of people; null where it does not answer.
export const options = fetch("/api/auth/options").then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);

// -- the mark --------------------------------------------------------------------------------------------------------

// Private windows and locked-down browsers have no storage: then every page tries.
function marked() {
  try { return localStorage.getItem(MARK) !== null; } catch { return true; }
}

function mark(id) {
  try {
    if (id) localStorage.setItem(MARK, id);
    else localStorage.removeItem(MARK);
  } catch { /* the cookie is there all the same */ }
}

addEventListener("storage", (event) => { // another tab has signed in or out
  if (event.key !== MARK || event.newValue === (user?.id ?? null)) return;
  change(null, null);
  if (event.newValue) refresh().catch(() => {});
});

// -- who it is -------------------------------------------------------------------------------------------------------

function change(next, token) {
  const same = next?.id === user?.id;
  user = next;
  access = token;
  if (!same) listeners.forEach((act) => act(user));
}

function taken(answer) {
  change(answer.user, { token: answer.access_token, until: performance.now() + answer.expires_in * 1000 });
  mark(answer.user.id);
  return answer.user;
}

function over() {
  mark(null);
  change(null, null);
}

export const signedIn = () => user;

// Each tab refreshes alone: a token works once. Without locks (plain http from elsewhere) the service is patient.
const alone = (work) => (navigator.locks ? navigator.locks.request("glossline.refresh", work) : work());

function refresh() {
  refreshing ??= alone(async () => {
    const answer = await post("/api/auth/refresh", { cookie: true });
    if (answer.status === 401 || answer.status === 404) return over();
    return taken(await (await checked(answer)).json());
  }).finally(() => { refreshing = null; });
  return refreshing;
}

// When it is known whether somebody has signed in.
export const restored = marked() ? options.then((known) => (known?.accounts ? refresh() : null)).catch(() => {})
  : Promise.resolve();

// `act` runs with the account, or null, once that is known and whenever it changes.
export function follow(act) {
  restored.then(() => {
    listeners.push(act);
    act(user);
  });
}

// Whether captions may be asked for: signed in, or where nobody has to.
export async function mayCaption() {
  const [known] = await Promise.all([options, restored]);
  return user !== null || known?.auth_mode !== "required";
}

// -- requests --------------------------------------------------------------------------------------------------------

const post = (path, body) => fetch(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
});

async function checked(answer) {
  if (answer.ok) return answer;
  throw new Refused(answer.status, await answer.json().catch(() => ({})));
}

// The access token, fresh for the next half minute; null for anonymous people.
export async function bearer() {
  await restored;
  if (access && performance.now() > access.until - EARLY_MS) await refresh();
  return access?.token ?? null;
}

// The answer, in the name of the account if there is one. Raises Refused; TypeError without an answer.
export async function request(path, { method = "GET", body, headers = {} } = {}) {
  for (let again = false; ; again = true) {
    const token = await bearer();
    const answer = await fetch(path, {
      method,
      headers: {
        ...headers, ...(token && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "Content-Type": "application/json" }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({}));
    // A token that is void before its time: signed out elsewhere, or the clock of this machine stood still.
    if (answer.status === 401 && problem.code === "unauthenticated" && token && !again) {
      await refresh();
      if (user) continue;
    }
    throw new Refused(answer.status, problem);
  }
}

export async function ask(path, given) {
  const answer = await request(path, given);
  return answer.status === 204 ? null : answer.json();
}

export const query = (given) => {
  const found = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== null && value !== ""));
  return found.size ? `?${found}` : "";
};

// The address of a socket, with a ticket that opens it once.
export async function socketAddress(path) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const here = `${scheme}://${location.host}${path}`;
  if (!await bearer()) return here;
  const { ticket } = await ask("/api/auth/ticket", { method: "POST" });
  return here + query({ ticket });
}

// -- signing in and out ----------------------------------------------------------------------------------------------

const entered = async (path, body) => taken(await (await checked(await post(path, { ...body, cookie: true }))).json());

export const signIn = (email, password, code) => entered("/api/auth/sign-in", { email, password, code: code || null });
export const register = (email, password) => entered("/api/auth/register", { email, password });

export async function changePassword(old_password, new_password) {
  return taken(await ask("/api/auth/password", { method: "POST", body: { old_password, new_password, cookie: true } }));
}

// Wherever it fails, this page is signed out.
export async function signOut() {
  await post("/api/auth/sign-out", { cookie: true }).catch(() => {});
  over();
}

export async function signOutEverywhere() {
  await ask("/api/auth/sign-out-everywhere", { method: "POST" });
  over();
}

export async function deleteAccount(password) {
  await ask("/api/account", { method: "DELETE", body: { password } });
  over();
}

// What the account itself says of it, such as after a second factor was turned on.
export async function renewed() {
  user = await ask("/api/users/me");
  return user;
}

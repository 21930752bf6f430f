// The sign sets that captions of this browser are read with, chosen on the page for teaching or in the settings.

const KEY = "glossline.sign-sets";
const listeners = [];
// sets: [{ id, name }], where an id may be the token of a shared set. alone: without the recogniser's own signs.
let chosen = { sets: [], alone: false };

function load() {
  try {
    const { sets, alone } = JSON.parse(localStorage.getItem(KEY)) ?? chosen;
    chosen = { sets: sets.filter(({ id, name }) => typeof id === "string" && typeof name === "string"), alone: alone === true };
  } catch { /* none */ }
}

export const chosenSets = () => chosen;
export const isChosen = (id) => chosen.sets.some((one) => one.id === id);

export function change(changes) {
  chosen = { ...chosen, ...changes };
  try { localStorage.setItem(KEY, JSON.stringify(chosen)); } catch { /* until the page is closed */ }
  listeners.forEach((act) => act());
}

export function choose({ id, name }, wanted) {
  const others = chosen.sets.filter((one) => one.id !== id);
  change({ sets: wanted ? [...others, { id, name }] : others });
}

// `act` runs whenever the choice changes, in this tab or another.
export const onChoice = (act) => listeners.push(act);

addEventListener("storage", (event) => {
  if (event.key !== KEY) return;
  load();
  listeners.forEach((act) => act());
});
load();

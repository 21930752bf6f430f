// What every page has around it: who has signed in, the language, sheets and menus.

import "./who.js";
import { el, make } from "./dom.js";
import { fillLanguages, onLanguage, t } from "./texts.js";

fillLanguages(el("language"));

// -- pages that have no place in the header of a narrow window ---------------------------------------------------------

const nav = document.querySelector(".bar nav");
const extras = [...nav.querySelectorAll(".extra")];
const more = make("details", "", "menu");
const moreName = make("summary", t("More"));
const moreBody = make("div", "", "menu-body");
const narrow = matchMedia("(max-width: 60rem)");
more.append(moreName, moreBody);
onLanguage(() => { moreName.textContent = t("More"); });

function arrange() {
  if (narrow.matches) moreBody.append(...extras);
  else nav.append(...extras);
  if (narrow.matches) nav.append(more);
  else more.remove();
}

narrow.addEventListener("change", arrange);
arrange();

// -- sheets: <dialog class="sheet">, opened by data-opens -------------------------------------------------------------

export function openSheet(id) {
  const sheet = el(id);
  if (!sheet.open) sheet.showModal();
}

for (const button of document.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", () => openSheet(button.dataset.opens));
}
for (const sheet of document.querySelectorAll("dialog.sheet")) {
  sheet.querySelector("[data-closes]").addEventListener("click", () => sheet.close());
  sheet.addEventListener("click", (event) => { // beside the sheet
    if (event.target !== sheet) return;
    const { left, right, top, bottom } = sheet.getBoundingClientRect();
    if (event.clientX < left || event.clientX > right || event.clientY < top || event.clientY > bottom) sheet.close();
  });
}

// -- menus: <details class="menu"> -----------------------------------------------------------------------------------

const menus = [more, ...document.querySelectorAll("main details.menu")];
document.addEventListener("click", (event) => {
  for (const menu of menus) if (menu.open && !menu.contains(event.target)) menu.open = false;
});
for (const menu of menus) {
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
    event.stopPropagation();
  });
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
}

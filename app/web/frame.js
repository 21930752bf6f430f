// What every page has around it: who has signed in, the language, sheets and menus.

import "./who.js";
import { el, make } from "./dom.js";
import { fillLanguages, onLanguage, t } from "./texts.js";

fillLanguages(el("language"));

// -- the header: pages that have no place in it go into a menu, the last ones first -------------------------------------

const nav = document.querySelector(".bar nav");
const links = [...nav.querySelectorAll("a")];
const more = make("details", "", "menu");
const moreName = make("summary", "");
const moreBody = make("div", "", "menu-body");
more.append(moreName, moreBody);

function arrange() {
  moreName.textContent = t("More");
  more.remove();
  nav.append(...links);
  const others = links.filter((link) => !link.ariaCurrent); // the page that is open stays in sight
  while (others.length && nav.scrollWidth > nav.clientWidth) {
    nav.append(more);
    moreBody.prepend(others.pop());
  }
}

onLanguage(arrange);
const watching = new ResizeObserver(arrange); // also who has signed in, which comes later
watching.observe(document.querySelector(".bar"));
watching.observe(document.querySelector(".bar .end"));

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

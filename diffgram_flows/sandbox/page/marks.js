// Small parts that several views show: who drew what, a legend, and what to do where there is nothing yet.

import { el, setText } from "./dom.js";

/** Says which boxes are whose and how many there are; each entry is a switch that hides or shows them. */
export function legend() {
  const numbers = {};
  const entry = (who) => {
    numbers[who] = el("span", { class: "number" }, "0");
    const button = el(
      "button", { type: "button", class: `who ${who}`, title: `Show or hide what is ${who} made` }, `${who} `, numbers[who],
    );
    const tell = () => button.setAttribute("aria-pressed", !document.body.classList.contains(`without-${who}`));
    button.addEventListener("click", () => {
      document.body.classList.toggle(`without-${who}`); // on the body: it stays when another view opens
      tell();
    });
    tell();
    return button;
  };
  return {
    element: el("p", { class: "legend" }, entry("human"), entry("machine")),
    show(counts) {
      for (const [who, number] of Object.entries(numbers)) setText(number, counts[who].toLocaleString("en"));
    },
  };
}

/** A text for an empty place, with a command that fills it. */
export function emptyState(title, text, command) {
  return el(
    "section",
    { class: "empty" },
    el("h2", {}, title),
    el("p", {}, text),
    command ? el("pre", {}, el("code", {}, command)) : null,
  );
}

/** The word for a status, with a colour. */
export function badge(status) {
  return el("span", { class: `badge ${kindOf(status)}`, "data-status": status }, String(status).replaceAll("_", " "));
}

/** Give a badge another status. */
export function setBadge(element, status) {
  if (element.dataset.status === String(status)) return;
  element.replaceWith(badge(status));
}

const KINDS = {
  success: "good",
  complete: "good",
  failed: "bad",
  archived: "still",
  draft: "still",
  init: "still",
};

function kindOf(status) {
  return KINDS[status] ?? "busy";
}

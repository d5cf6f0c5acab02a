// One small box beside the pointer that says what an instance is.

import { el } from "./dom.js";
import { labelOf, placeOf, scoreOf } from "./format.js";
import { instanceAt } from "./overlay.js";

const GAP = 14;

function lines(instance, names) {
  const machine = instance.machine_made;
  const score = scoreOf(instance);
  const run = names.run(instance);
  return [
    el("strong", {}, labelOf(instance)),
    el("span", { class: `who ${machine ? "machine" : "human"}` }, machine ? "machine" : "human"),
    score === null ? null : el("span", {}, `score ${score}`),
    run === null ? null : el("span", {}, `model run ${run}`),
    el("span", {}, names.who(instance)),
    el("span", { class: "quiet" }, `${instance.type}, ${placeOf(instance)}`),
  ].filter((line) => line !== null);
}

/** Tell about instances below an element while the pointer is over them. */
export function tellAbout(element, names) {
  const box = document.getElementById("tooltip");
  element.addEventListener("pointermove", (event) => {
    const instance = instanceAt(event.target);
    if (instance === null) {
      hide();
      return;
    }
    if (box.dataset.id !== String(instance.id)) {
      box.dataset.id = instance.id;
      box.replaceChildren(...lines(instance, names));
    }
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    const right = event.clientX + GAP + width < window.innerWidth;
    const below = event.clientY + GAP + height < window.innerHeight;
    box.style.left = `${Math.max(0, right ? event.clientX + GAP : event.clientX - GAP - width)}px`;
    box.style.top = `${Math.max(0, below ? event.clientY + GAP : event.clientY - GAP - height)}px`;
  });
  element.addEventListener("pointerleave", hide);
}

/** Put the box away. */
export function hide() {
  const box = document.getElementById("tooltip");
  box.hidden = true;
  delete box.dataset.id;
}

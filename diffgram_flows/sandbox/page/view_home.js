// The first look: the fullest dataset, or what to do while none has files.

import { el } from "./dom.js";
import { emptyState } from "./marks.js";

export class HomeView {
  constructor({ datasets }) {
    this.datasets = datasets;
    this.element = el("div", { class: "view" });
  }

  async refresh() {
    document.title = "Diffgram sandbox";
    const id = this.datasets.fullest();
    if (id !== null) {
      location.replace(`#/dataset/${id}`);
      return;
    }
    if (this.element.childElementCount) return;
    this.element.append(
      emptyState(
        "No dataset has files yet",
        "Run this in a terminal in which the four export lines of the server were entered; what it brings appears here.",
        "diffgram-flows import file:///path/to/images --dataset photos",
      ),
    );
  }
}

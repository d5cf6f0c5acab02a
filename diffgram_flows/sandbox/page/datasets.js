// The list of datasets at the side, with how many files each has.

import { each } from "./api.js";
import { el, keyed, setAttribute, setText } from "./dom.js";

const COUNTED_EACH_TIME = 20; // datasets; with more of them the counts are read less often

export class Datasets {
  constructor(project, names) {
    this.project = project;
    this.names = names;
    this.list = [];
    this.counts = new Map();
    this.turn = 0;
    this.ul = document.getElementById("datasets");
  }

  async refresh(signal) {
    const project = await this.project.view(signal);
    this.names.know(project.member_list);
    this.list = project.directory_list;
    setText(document.getElementById("project-name"), project.name);
    setText(document.getElementById("project-id"), project.project_string_id);
    const pause = Math.ceil(this.list.length / COUNTED_EACH_TIME) || 1;
    const due = this.list.filter((row) => !this.counts.has(row.directory_id) || this.turn % pause === 0);
    this.turn += 1;
    const counts = await each(due, (row) => this.project.fileCount(row.directory_id, signal));
    due.forEach((row, place) => this.counts.set(row.directory_id, counts[place]));
    this.show();
  }

  show() {
    const current = Number(/^#\/dataset\/(\d+)/.exec(location.hash)?.[1]);
    keyed(
      this.ul,
      this.list,
      (row) => row.directory_id,
      (row) => el("li", {}, el("a", { href: `#/dataset/${row.directory_id}` }, el("span"), el("span", { class: "count" }))),
      (item, row) => {
        const [link] = item.children;
        setText(link.children[0], row.nickname);
        setText(link.children[1], (this.counts.get(row.directory_id) ?? 0).toLocaleString("en"));
        setAttribute(link, "title", row.nickname);
        setAttribute(link, "aria-current", row.directory_id === current ? "page" : null);
      },
    );
  }

  nameOf(id) {
    return this.list.find((row) => row.directory_id === id)?.nickname ?? `dataset ${id}`;
  }

  /** The dataset with most files, null if none has any. */
  fullest() {
    const sorted = [...this.list].sort((one, other) => this.counts.get(other.directory_id) - this.counts.get(one.directory_id));
    return sorted.length && this.counts.get(sorted[0].directory_id) ? sorted[0].directory_id : null;
  }
}

// One image, large, and the list of what is drawn on it.

import { el, keyed, setAttribute, setText } from "./dom.js";
import { ago, labelOf, moment, placeOf, scoreOf, tally } from "./format.js";
import { emptyState, legend } from "./marks.js";
import { draw, instanceAt, overlay } from "./overlay.js";
import { hide, tellAbout } from "./tooltip.js";
import { gridHash } from "./view_grid.js";

const MOST = 25000; // ids that the server lists at once

export class FileView {
  constructor({ project, names, datasets }, datasetId, fileId, instanceId) {
    this.project = project;
    this.names = names;
    this.datasets = datasets;
    this.datasetId = datasetId;
    this.fileId = fileId;
    this.chosen = instanceId;
    this.neighbours = {};
    this.build();
  }

  build() {
    this.back = el("a", { href: gridHash(this.datasetId), class: "back" });
    this.title = el("h1", { class: "file-name" });
    this.facts = el("span", { class: "quiet" });
    this.newer = el("a", { rel: "prev" }, "← Newer");
    this.position = el("span", { class: "quiet" });
    this.older = el("a", { rel: "next" }, "Older →");
    this.legend = legend();
    this.image = el("img", { alt: "", decoding: "async" });
    this.image.addEventListener("error", () => this.image.classList.add("lost"));
    this.image.addEventListener("load", () => this.image.classList.remove("lost"));
    this.stage = el("div", { class: "stage" }, this.image);
    this.list = el("ol", { class: "instances", id: "instances" });
    this.nothing = el("div");
    const pages = el("nav", { class: "pages", "aria-label": "Neighbours" }, this.newer, this.position, this.older);
    const head = el("div", { class: "head" }, el("div", {}, this.title, this.facts), pages);
    const side = el("aside", { "aria-label": "Instances" }, this.legend.element, this.nothing, this.list);
    this.element = el("div", { class: "view" }, this.back, head, el("div", { class: "large" }, this.stage, side));
    tellAbout(this.stage, this.names);
    this.stage.addEventListener("click", (event) => this.choose(instanceAt(event.target)?.id ?? null, true));
    this.stage.addEventListener("pointerover", (event) => this.point(instanceAt(event.target)?.id ?? null));
    this.stage.addEventListener("pointerleave", () => this.point(null));
  }

  async refresh(signal) {
    const file = await this.project.annotations(this.fileId, signal);
    const instances = file.instance_list;
    await this.names.learn(instances, signal);
    this.showFile(file);
    draw(this.layer, instances);
    const sorted = [...instances].sort((one, other) => one.machine_made - other.machine_made || one.id - other.id);
    keyed(this.list, sorted, (each) => each.id, (each) => this.row(each), (row, each) => this.update(row, each));
    this.legend.show(tally(instances));
    this.showNothing(instances.length);
    this.mark();
    await this.showNeighbours(signal);
  }

  showFile(file) {
    const { width, height } = file.image;
    if (!this.layer) {
      this.layer = overlay(width, height);
      this.stage.append(this.layer);
    }
    if (!this.image.hasAttribute("src") || this.image.classList.contains("lost")) {
      this.image.src = file.image.url_signed;
    }
    setAttribute(this.image, "width", width);
    setAttribute(this.image, "height", height);
    this.stage.style.aspectRatio = `${width || 1} / ${height || 1}`;
    setText(this.title, file.original_filename);
    document.title = `${file.original_filename} – sandbox`;
    setText(this.back, `← ${this.datasets.nameOf(this.datasetId)}`);
    const done = file.ann_is_complete ? ", complete" : "";
    setText(this.facts, `${width} × ${height} pixels, file ${file.id}${done}`);
  }

  row(instance) {
    const parts = Object.fromEntries(["label", "score", "who", "where", "extra"].map((part) => [part, el("span")]));
    parts.label.className = "label";
    parts.score.className = "score";
    parts.who.className = `who ${instance.machine_made ? "machine" : "human"}`;
    parts.where.className = "quiet";
    parts.extra.className = "quiet attributes";
    const button = el("button", { type: "button", "data-id": instance.id }, ...Object.values(parts));
    button.addEventListener("click", () => this.choose(this.chosen === instance.id ? null : instance.id, false));
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => this.point(instance.id));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => this.point(null));
    const row = el("li", {}, button);
    Object.assign(row, { button, parts });
    return row;
  }

  update(row, instance) {
    const { label, score, who, where, extra } = row.parts;
    const run = this.names.run(instance);
    const by = instance.machine_made ? (run ?? "machine") : this.names.who(instance);
    const time = moment(instance.created_time);
    setText(label, labelOf(instance));
    setText(score, scoreOf(instance));
    setText(who, by);
    setAttribute(who, "title", instance.machine_made ? `machine, ${this.names.who(instance)}` : "human");
    setText(where, [instance.type, placeOf(instance), ago(time)].filter(Boolean).join(" · "));
    setText(extra, instance.attribute_groups ? attributes(instance.attribute_groups) : "");
  }

  showNothing(count) {
    this.nothing.replaceChildren();
    if (count) return;
    this.nothing.append(
      emptyState("Nothing is drawn", "A person draws at a task; predictions come with diffgram-flows update."),
    );
  }

  async showNeighbours(signal) {
    const { file_list: ids } = await this.project.files(this.datasetId, { mode: "ids_only", limit: MOST }, signal);
    const place = ids.indexOf(this.fileId);
    this.neighbours = place < 0 ? {} : { newer: ids[place - 1], older: ids[place + 1] };
    for (const name of ["newer", "older"]) {
      const id = this.neighbours[name];
      setAttribute(this[name], "href", id === undefined ? null : `#/dataset/${this.datasetId}/file/${id}`);
      setAttribute(this[name], "aria-disabled", id === undefined ? "true" : null);
    }
    setText(this.position, place < 0 ? "" : `${place + 1} of ${ids.length.toLocaleString("en")}`);
  }

  /** Choose an instance, or none; from the image the list follows. */
  choose(id, follow) {
    this.chosen = id;
    this.mark();
    if (follow && id !== null) this.list.querySelector(`[data-id="${id}"]`)?.scrollIntoView({ block: "nearest" });
  }

  point(id) {
    this.pointed = id;
    this.mark();
  }

  mark() {
    for (const shape of this.layer?.querySelectorAll("g.instance") ?? []) {
      const id = Number(shape.dataset.id);
      shape.classList.toggle("chosen", id === this.chosen || id === this.pointed);
    }
    this.layer?.classList.toggle("choosing", this.chosen !== null || Boolean(this.pointed));
    for (const button of this.list.querySelectorAll("button")) {
      const id = Number(button.dataset.id);
      setAttribute(button, "aria-pressed", String(id === this.chosen));
      button.classList.toggle("pointed", id === this.pointed);
    }
  }

  /** Arrow keys go to the neighbours, Escape back to the dataset. */
  key(event) {
    const to = { ArrowLeft: this.newer, ArrowRight: this.older, Escape: this.back }[event.key];
    if (!to?.hasAttribute("href")) return;
    event.preventDefault();
    location.hash = to.getAttribute("href");
  }

  leave() {
    hide();
  }
}

function attributes(groups) {
  const value = (each) => (each !== null && typeof each === "object" ? (each.name ?? JSON.stringify(each)) : each);
  return Object.entries(groups).map(([id, each]) => `attribute ${id}: ${value(each)}`).join(", ");
}

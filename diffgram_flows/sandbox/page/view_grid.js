// The images of a dataset, a page at a time, with what is drawn on them.

import { each } from "./api.js";
import { el, keyed, setAttribute, setText } from "./dom.js";
import { plural, tally } from "./format.js";
import { emptyState, legend } from "./marks.js";
import { draw, instanceAt, overlay } from "./overlay.js";
import { hide, tellAbout } from "./tooltip.js";

const PAGE = 24;
const FORGET_AFTER = 8; // refreshes after which annotations are read again even if the file says nothing is new

/** The hash of a page of a dataset. */
export function gridHash(datasetId, { page = 1, search = "" } = {}) {
  const query = new URLSearchParams();
  if (page > 1) query.set("page", page);
  if (search) query.set("search", search);
  const text = query.toString();
  return `#/dataset/${datasetId}${text ? `?${text}` : ""}`;
}

export class GridView {
  constructor({ project, names, datasets }, datasetId, query) {
    this.project = project;
    this.names = names;
    this.datasets = datasets;
    this.datasetId = datasetId;
    this.wanted = {
      page: Math.max(1, Number(query.get("page")) || 1),
      search: query.get("search") ?? "",
    };
    this.known = new Map(); // file id to its instances and the state of the file that they belong to
    this.turn = 0;
    this.build();
  }

  build() {
    this.title = el("h1");
    this.count = el("span", { class: "quiet", id: "file-count" });
    this.legend = legend();
    this.grid = el("ul", { class: "grid", id: "files" });
    this.pages = el("nav", { class: "pages", "aria-label": "Pages" });
    this.nothing = el("div");
    const search = el("input", {
      type: "search", name: "search", placeholder: "Name contains", "aria-label": "Name contains",
      value: this.wanted.search,
    });
    const form = el("form", { class: "filter", role: "search" }, search, el("button", { type: "submit" }, "Find"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      location.hash = gridHash(this.datasetId, { search: search.value.trim() });
    });
    const head = el("div", { class: "head" }, el("div", {}, this.title, this.count), form);
    const below = el("div", { class: "below" }, this.legend.element, this.pages);
    this.element = el("div", { class: "view" }, head, below, this.nothing, this.grid);
    tellAbout(this.grid, this.names);
    this.grid.addEventListener("click", (event) => this.open(event));
  }

  /** A click on a box opens its image with the box chosen; elsewhere on the tile the link does it. */
  open(event) {
    const instance = instanceAt(event.target);
    if (instance === null || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    location.hash = `#/dataset/${this.datasetId}/file/${instance.file_id}/${instance.id}`;
  }

  async refresh(signal) {
    this.turn += 1;
    const listed = await this.project.files(
      this.datasetId, { ...this.wanted, mode: "annotation", limit: PAGE }, signal,
    );
    const files = listed.file_list;
    const count = listed.metadata.file_count;
    setText(this.title, this.datasets.nameOf(this.datasetId));
    document.title = `${this.datasets.nameOf(this.datasetId)} – sandbox`;
    setText(this.count, plural(count, "file"));
    this.showPages(listed.metadata.total_pages);
    this.showNothing(count, files.length);
    this.show(files); // the pictures first: what is drawn on them takes longer
    const stale = files.filter((file) => this.isStale(file));
    const read = await each(stale, (file) => this.project.annotations(file.id, signal));
    stale.forEach((file, place) => {
      this.known.set(file.id, { stamp: stampOf(file), turn: this.turn, instances: read[place].instance_list });
    });
    const all = files.flatMap((file) => this.known.get(file.id).instances);
    await this.names.learn(all, signal);
    this.show(files);
    this.legend.show(tally(all));
  }

  isStale(file) {
    const known = this.known.get(file.id);
    return !known || known.stamp !== stampOf(file) || this.turn - known.turn >= FORGET_AFTER;
  }

  show(files) {
    keyed(this.grid, files, (file) => file.id, (file) => this.tile(file), (tile, file) => this.update(tile, file));
  }

  tile(file) {
    const { width, height } = file.image;
    const image = el("img", { alt: "", loading: "lazy", decoding: "async" });
    image.addEventListener("error", () => image.classList.add("lost")); // an expired link: the next refresh has a new one
    image.addEventListener("load", () => image.classList.remove("lost"));
    const layer = overlay(width, height);
    const name = el("span", { class: "name", title: file.original_filename }, file.original_filename);
    const counts = el("span", { class: "counts" });
    const link = el(
      "a",
      { href: `#/dataset/${this.datasetId}/file/${file.id}` },
      el("span", { class: "picture" }, image, layer),
      el("span", { class: "caption" }, name, counts),
    );
    const tile = el("li", { class: "tile", "data-file": file.id }, link);
    Object.assign(tile, { image, layer, counts });
    return tile;
  }

  update(tile, file) {
    const { image, layer, counts } = tile;
    if (!image.hasAttribute("src") || image.classList.contains("lost")) image.src = file.image.url_signed_thumb;
    const instances = this.known.get(file.id)?.instances;
    if (instances === undefined) return;
    draw(layer, instances);
    const drawn = tally(instances);
    keyed(
      counts,
      Object.entries(drawn).filter(([, count]) => count),
      ([who]) => who,
      ([who]) => el("span", { class: `who ${who}` }),
      (element, [who, count]) => {
        setText(element, count);
        setAttribute(element, "title", `${who}: ${plural(count, "instance")}`);
      },
    );
  }

  showPages(total) {
    const { page } = this.wanted;
    const link = (number, text, enabled) => {
      if (!enabled) return el("span", { class: "quiet" }, text);
      return el("a", { href: gridHash(this.datasetId, { ...this.wanted, page: number }) }, text);
    };
    const stamp = `${page} ${total}`;
    if (this.pages.dataset.stamp === stamp) return;
    this.pages.dataset.stamp = stamp;
    this.pages.hidden = total < 2 && page === 1;
    this.pages.replaceChildren(
      link(page - 1, "← Newer", page > 1),
      el("span", {}, `page ${page} of ${Math.max(total, 1)}`),
      link(page + 1, "Older →", page < total),
    );
  }

  showNothing(count, shown) {
    if (shown) {
      this.nothing.replaceChildren();
      return;
    }
    if (this.nothing.childElementCount) return;
    const filtered = this.wanted.search || count > 0;
    const name = this.datasets.nameOf(this.datasetId);
    this.nothing.append(
      filtered
        ? emptyState("No file matches", "Try another name, or an earlier page.")
        : emptyState(
            "This dataset has no files yet",
            "Import images into it; they appear here by themselves.",
            `diffgram-flows import file:///path/to/images --dataset ${quoted(name)}`,
          ),
    );
  }

  leave() {
    hide();
  }
}

function stampOf(file) {
  return `${file.time_last_updated} ${file.count_instances_changed} ${file.ann_is_complete}`;
}

function quoted(name) {
  return /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}

// The newest imports: what arrived, what waits, what failed and why.

import { el, keyed, setAttribute, setText } from "./dom.js";
import { ago, moment, plural, withoutQueries } from "./format.js";
import { badge, emptyState, setBadge } from "./marks.js";

const LIMIT = 100;
const FILTERS = { All: "All", Success: "Success", Failed: "Failed", Processing: "Not finished", Init: "Waiting" };

/** Why an import failed: the server says it in one of three places, or not at all. */
export function reasonOf(row) {
  if (row.status !== "failed") return row.status === "success" ? "" : (row.processing_deferred ? "in the queue" : "");
  const log = row.update_log ?? {};
  const words = Object.values(log.error ?? {}).filter((each) => typeof each === "string" || typeof each === "number");
  const told = row.status_text && !row.status_text.startsWith("Version:") ? row.status_text : null;
  const text = told ?? log.download_media ?? (words.length ? words.join(" ") : "the server does not say why");
  const more = told && log.download_media ? ` ${log.download_media}` : "";
  return withoutQueries(`${text}${more}`);
}

function nameOf(item) {
  if (item.original_filename) return item.original_filename;
  return item.mode?.startsWith("update") ? `onto file ${item.file_id}` : "without a name";
}

export class ImportsView {
  constructor({ project }, filter) {
    this.project = project;
    this.filter = filter in FILTERS ? filter : "All";
    this.count = el("span", { class: "quiet" });
    this.nothing = el("div");
    this.body = el("tbody", { id: "imports" });
    const links = Object.entries(FILTERS).map(([value, text]) => {
      return el("a", { href: `#/imports/${value}`, "aria-current": value === this.filter ? "true" : null }, text);
    });
    const names = ["Name", "Status", "Dataset", "Boxes", "Changed"];
    const heads = names.map((name) => el("th", { scope: "col" }, name));
    const head = el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, "Imports"), this.count),
      el("nav", { class: "choices", "aria-label": "Status" }, ...links),
    );
    this.table = el("table", {}, el("thead", {}, el("tr", {}, ...heads)), this.body);
    this.element = el("div", { class: "view" }, head, this.nothing, el("div", { class: "sheet" }, this.table));
  }

  async refresh(signal) {
    document.title = "Imports – sandbox";
    const rows = await this.project.imports(this.filter, LIMIT, signal);
    setText(this.count, rows.length === LIMIT ? `the newest ${LIMIT}` : plural(rows.length, "import"));
    keyed(this.body, rows, (row) => row.id, (row) => this.row(row), (line, row) => this.update(line, row));
    this.table.hidden = !rows.length;
    this.nothing.replaceChildren();
    if (rows.length) return;
    this.nothing.append(
      this.filter === "All"
        ? emptyState(
            "Nothing was imported yet",
            "Bring a folder of images into this server:",
            "diffgram-flows import file:///path/to/images --dataset photos",
          )
        : emptyState(`No import with this status`, "Choose another one above."),
    );
  }

  row(item) {
    const parts = {
      name: el("span", { class: "name" }),
      reason: el("span", { class: "reason" }),
      status: el("span", { class: "status" }, badge(item.status)),
      dataset: el("span"),
      boxes: el("span"),
      time: el("span", { class: "quiet" }),
    };
    const cells = [[parts.name, parts.reason], [parts.status], [parts.dataset], [parts.boxes], [parts.time]];
    const line = el("tr", { "data-import": item.id }, ...cells.map((each) => el("td", {}, ...each)));
    line.parts = parts;
    return line;
  }

  update(line, item) {
    const { name, reason, status, dataset, boxes, time } = line.parts;
    const changed = moment(item.time_updated ?? item.created_time);
    setText(name, nameOf(item));
    setText(reason, reasonOf(item));
    setBadge(status.firstElementChild, item.status);
    setText(dataset, item.directory?.nickname ?? "");
    setText(boxes, item.instance_list?.list?.length ?? "");
    setText(time, ago(changed));
    setAttribute(time, "title", changed?.toLocaleString("en-GB"));
  }
}

// The jobs: what people are asked to do, and how far they are.

import { each } from "./api.js";
import { el, keyed, setAttribute, setText } from "./dom.js";
import { ago, moment, plural } from "./format.js";
import { badge, emptyState, setBadge } from "./marks.js";

const PARTS = { completed: "complete", in_review: "in review", requires_changes: "to be changed" };

export class JobsView {
  constructor({ project }) {
    this.project = project;
    this.count = el("span", { class: "quiet" });
    this.nothing = el("div");
    this.list = el("ul", { class: "jobs", id: "jobs" });
    const head = el("div", { class: "head" }, el("div", {}, el("h1", {}, "Jobs"), this.count));
    this.element = el("div", { class: "view" }, head, this.nothing, this.list);
  }

  async refresh(signal) {
    document.title = "Jobs – sandbox";
    const { jobs, total } = await this.project.jobs(signal);
    const stats = await each(jobs, (job) => this.project.jobStat(job.id, signal));
    const shown = jobs.map((job, place) => ({ job, stat: stats[place] }));
    const more = total > jobs.length ? `, the newest ${jobs.length}` : "";
    setText(this.count, `${plural(total, "job")}${more}`);
    keyed(this.list, shown, ({ job }) => job.id, () => this.row(), (row, item) => this.update(row, item));
    this.nothing.replaceChildren();
    if (!jobs.length) {
      this.nothing.append(
        emptyState(
          "No job yet",
          "An import that gives its files to people makes one:",
          "diffgram-flows cycle file:///path/to/images --dataset photos",
        ),
      );
    }
  }

  row() {
    const parts = {
      name: el("h2", { class: "name" }),
      status: el("span", { class: "status" }, badge("draft")),
      facts: el("p", { class: "quiet" }),
      numbers: el("p", { class: "numbers" }),
    };
    parts.bar = el("div", { class: "bar", role: "progressbar", "aria-valuemin": 0 });
    for (const part of Object.keys(PARTS)) parts.bar.append(el("span", { class: part }));
    const head = el("div", { class: "job-head" }, parts.name, parts.status);
    const row = el("li", { class: "card" }, head, parts.bar, parts.numbers, parts.facts);
    row.parts = parts;
    return row;
  }

  update(row, { job, stat }) {
    const { name, status, facts, numbers, bar } = row.parts;
    setAttribute(row, "data-job", job.id);
    setText(name, job.name);
    setBadge(status.firstElementChild, job.status);
    setAttribute(bar, "aria-valuemax", stat.total);
    setAttribute(bar, "aria-valuenow", stat.completed);
    setAttribute(bar, "aria-label", `${stat.completed} of ${plural(stat.total, "task")} complete`);
    for (const part of Object.keys(PARTS)) {
      bar.querySelector(`.${part}`).style.width = `${stat.total ? (100 * stat[part]) / stat.total : 0}%`;
    }
    setText(numbers, describe(job, stat));
    const from = job.attached_directories_dict?.attached_directories_list ?? [];
    const datasets = from.map((each) => each.nickname).join(", ");
    const made = ago(moment(job.time_created));
    setText(facts, [datasets && `from ${datasets}`, made && `made ${made}`].filter(Boolean).join(" · "));
  }
}

function describe(job, stat) {
  if (!stat.total) return job.status === "draft" ? "Not launched yet." : "No tasks yet: they appear after a moment.";
  const percent = Math.floor((100 * stat.completed) / stat.total);
  const others = ["in_review", "requires_changes"]
    .filter((part) => stat[part])
    .map((part) => `, ${stat[part].toLocaleString("en")} ${PARTS[part]}`);
  const drawn = stat.instances_created ? `, ${plural(stat.instances_created, "instance")} drawn` : "";
  const done = stat.completed.toLocaleString("en");
  return `${done} of ${plural(stat.total, "task")} complete (${percent} %)${others.join("")}${drawn}`;
}

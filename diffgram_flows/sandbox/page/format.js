// Numbers, moments and instances as words.

/** "1 file", "2 files". */
export function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

/** A moment as the server writes it; without a zone it is UTC. */
export function moment(text) {
  if (!text || text === "None") return null;
  const plain = /^\d{4}-\d\d-\d\d[ T]/.test(text) ? text.replace(" ", "T") : text;
  const zoned = /(Z|GMT|[+-]\d\d:?\d\d)$/.test(plain) ? plain : `${plain}Z`;
  const date = new Date(zoned);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** "just now", "5 min ago", or the day. */
export function ago(date) {
  if (date === null) return "";
  const seconds = (Date.now() - date.getTime()) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/** A text without the query strings of the URLs and paths in it: signed ones are keys. */
export function withoutQueries(text) {
  return text.replace(/(\/[^\s?'"]*)\?[^\s'"]*/g, "$1?…");
}

/** Who and what is behind numbers: the people of the project and the model runs. */
export class Names {
  constructor(project) {
    this.project = project;
    this.people = new Map();
    this.runs = new Map();
  }

  know(members) {
    for (const each of members) {
      const name = [each.first_name, each.last_name].filter(Boolean).join(" ");
      this.people.set(each.member_id, name || each.email);
    }
  }

  /** Ask for model runs if an instance has one that is not known yet. */
  async learn(instances, signal) {
    if (instances.every((each) => each.model_run_id === null || this.runs.has(each.model_run_id))) return;
    this.runs = await this.project.modelRuns(signal);
    for (const each of instances) {
      if (each.model_run_id !== null && !this.runs.has(each.model_run_id)) this.runs.set(each.model_run_id, null);
    }
  }

  who(instance) {
    const member = instance.member_created_id;
    if (member === null) return "came with an import";
    return this.people.get(member) ?? `API credential (member ${member})`;
  }

  run(instance) {
    if (instance.model_run_id === null) return instance.model_id === null ? null : `model ${instance.model_id}`;
    return this.runs.get(instance.model_run_id) ?? `run ${instance.model_run_id}`;
  }
}

export function labelOf(instance) {
  return instance.label_file?.label?.name ?? `label ${instance.label_file_id}`;
}

export function scoreOf(instance) {
  return instance.score === null ? null : instance.score.toFixed(2);
}

/** Where an instance is, in pixels. */
export function placeOf(instance) {
  if (instance.type === "tag") return "the whole image";
  if (instance.points.length === 1) return `at ${instance.points[0].x}, ${instance.points[0].y}`;
  const { x_min: x, y_min: y, x_max: right, y_max: bottom } = instance;
  const size = `${right - x} × ${bottom - y} at ${x}, ${y}`;
  return instance.points.length ? `${instance.points.length} points, ${size}` : size;
}

/** How many instances people and machines drew. */
export function tally(instances) {
  const machine = instances.filter((each) => each.machine_made).length;
  return { human: instances.length - machine, machine };
}

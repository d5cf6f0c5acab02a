// The calls of the recorded API that the page needs, as the person whose session cookie the browser holds.

/** Nobody is logged in any more. */
export class SessionEnded extends Error {}

/** The server's last word: trying again does not help. */
export class Refused extends Error {}

/** No answer, or one that may be another in a moment. */
export class Unreachable extends Error {}

const PAUSES = [250, 800]; // milliseconds before another try: a sandbox may have faults on purpose
const AT_ONCE = 6;

async function attempt(path, body, signal) {
  const request = { signal, cache: "no-store" };
  if (body !== undefined) {
    Object.assign(request, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  }
  try {
    const response = await fetch(path, request);
    const text = await response.text();
    return { status: response.status, headers: response.headers, text };
  } catch (error) {
    if (signal?.aborted) throw error;
    return { status: 0, headers: new Headers(), text: "" };
  }
}

function reason(reply) {
  try {
    const json = JSON.parse(reply.text);
    const error = json.log?.error ?? json.error ?? json.message ?? json;
    return typeof error === "string" ? error : Object.values(error).join(" ");
  } catch {
    return `The sandbox answered ${reply.status}.`;
  }
}

function isPassing(status) {
  return status === 0 || status === 429 || status >= 500;
}

function checked(reply) {
  if (reply.status === 401) throw new SessionEnded("The session has ended.");
  if (isPassing(reply.status)) throw new Unreachable(reply.status ? reason(reply) : "The sandbox does not answer.");
  if (reply.status !== 200) throw new Refused(reason(reply));
  try {
    return JSON.parse(reply.text);
  } catch {
    throw new Unreachable("The sandbox's answer is not complete.");
  }
}

/** Read something; what fails for the moment is tried again. */
async function read(path, body, signal) {
  let reply = await attempt(path, body, signal);
  for (const pause of PAUSES) {
    if (!isPassing(reply.status)) break;
    await new Promise((resolve) => setTimeout(resolve, pause));
    signal?.throwIfAborted();
    reply = await attempt(path, body, signal);
  }
  return checked(reply);
}

/** Log in and give the person. */
export async function logIn(email, password) {
  const reply = await attempt("/api/user/login", { email, password, mode: "password" });
  if (reply.status === 429) {
    const seconds = reply.headers.get("Retry-After") ?? "some";
    throw new Refused(`Too many attempts to log in. Wait ${seconds} seconds.`);
  }
  return checked(reply).user;
}

/** End the session. */
export async function logOut() {
  await attempt("/sandbox/logout", {});
}

/** What one project holds. */
export class Project {
  constructor(id) {
    this.id = id;
    this.name = encodeURIComponent(id);
  }

  async view(signal) {
    return (await read(`/api/project/${this.name}/view`, undefined, signal)).project;
  }

  /** One page of a dataset's files; `mode` is base, annotation (with links) or ids_only. */
  files(datasetId, { mode, page = 1, limit, search = "" }, signal) {
    const metadata = {
      directory_id: datasetId,
      file_view_mode: mode,
      limit,
      page,
      search_term: search || null,
      annotations_are_machine_made_setting: "All",
      annotation_status: "All",
    };
    return read(`/api/project/${this.name}/user/sdk/file/list`, { metadata }, signal);
  }

  async fileCount(datasetId, signal) {
    return (await this.files(datasetId, { mode: "ids_only", limit: 1 }, signal)).metadata.file_count;
  }

  /** A file with everything that is drawn on it. */
  async annotations(fileId, signal) {
    const reply = await read(`/api/project/${this.name}/file/${fileId}/annotation/list`, {}, signal);
    return reply.file_serialized;
  }

  /** Reference of each model run by its id. */
  async modelRuns(signal) {
    const reply = await read(`/api/v1/project/${this.name}/model-runs/list`, {}, signal);
    return new Map(reply.model_run_list.map((run) => [run.id, run.reference_id]));
  }

  /** The newest jobs, and how many there are. */
  async jobs(signal) {
    const metadata = { project_string_id: this.id, limit: 50, page_number: 1, status: ["All"] };
    const reply = await read("/api/v1/job/list", { metadata }, signal);
    return { jobs: reply.Job_list, total: reply.metadata.total_job_number };
  }

  jobStat(jobId, signal) {
    return read(`/api/job/${jobId}/stat`, undefined, signal);
  }

  /** The newest imports; `status` is All, Success, Failed, Processing or Init. */
  async imports(status, limit, signal) {
    const body = { status_filter: status, limit };
    return (await read(`/api/walrus/v1/project/${this.name}/input/view/list`, body, signal)).input_list;
  }
}

/** Do something for each item, a few at a time, and give the results in order. */
export async function each(items, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const place = next++;
      results[place] = await work(items[place]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  return results;
}

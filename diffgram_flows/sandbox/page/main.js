// Who is logged in, which view is open, and its renewal every few seconds.

import { logIn, logOut, Project, Refused, SessionEnded, Unreachable } from "./api.js";
import { Datasets } from "./datasets.js";
import { setAttribute, setText } from "./dom.js";
import { Names } from "./format.js";
import { emptyState } from "./marks.js";
import { FileView } from "./view_file.js";
import { GridView } from "./view_grid.js";
import { HomeView } from "./view_home.js";
import { ImportsView } from "./view_imports.js";
import { JobsView } from "./view_jobs.js";

const EVERY = 3000; // milliseconds
const KEPT = "sandbox-session"; // who was here; the session itself is a cookie that no script can read
const at = (id) => document.getElementById(id);

let house = null; // what all views share; null while nobody is logged in
let view = null;
let controller = new AbortController();
let timer = 0;

function open() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [section, ...rest] = path.split("/");
  const number = Number(rest[0]);
  if (section === "jobs") return new JobsView(house);
  if (section === "imports") return new ImportsView(house, rest[0]);
  const [file, instance] = rest.slice(2).map(Number);
  if (section === "dataset" && number > 0 && file > 0) return new FileView(house, number, file, instance || null);
  if (section === "dataset" && number > 0) return new GridView(house, number, new URLSearchParams(query));
  return new HomeView(house);
}

function navigate() {
  if (house === null) return;
  view?.leave?.();
  view = open();
  at("content").replaceChildren(view.element);
  window.scrollTo(0, 0);
  for (const name of ["jobs", "imports"]) {
    setAttribute(at(`to-${name}`), "aria-current", location.hash.startsWith(`#/${name}`) ? "page" : null);
  }
  house.datasets.show();
  refresh();
}

async function refresh() {
  controller.abort();
  controller = new AbortController();
  clearTimeout(timer);
  const { signal } = controller;
  try {
    await house.datasets.refresh(signal);
    await view.refresh(signal);
    setText(at("jobs-count"), (await house.project.jobs(signal)).total);
    if (!signal.aborted) {
      tell(null);
      refuse(null);
    }
  } catch (error) {
    if (signal.aborted) return;
    explain(error);
  }
  if (!signal.aborted && house !== null) timer = setTimeout(refresh, document.hidden ? 5 * EVERY : EVERY);
}

function explain(error) {
  if (error instanceof SessionEnded) {
    leave("Your session has ended. Log in again.");
  } else if (error instanceof Unreachable) {
    tell(`${error.message} Trying again; what you see may be old.`);
  } else if (error instanceof Refused) {
    refuse(error.message);
  } else {
    throw error;
  }
}

/** Show a refusal in the place of the view, which stays as it is for the case that the next try succeeds. */
function refuse(text) {
  const shown = at("content").querySelector(":scope > .refusal");
  view.element.hidden = text !== null;
  if (shown?.dataset.text === text) return;
  shown?.remove();
  if (text === null) return;
  const refusal = emptyState("The sandbox refused this", text);
  refusal.classList.add("refusal");
  refusal.dataset.text = text;
  at("content").append(refusal);
}

function tell(text) {
  const bar = at("trouble");
  bar.hidden = text === null;
  if (text !== null) setText(bar, text);
  at("live").classList.toggle("off", text !== null);
  setText(at("live"), text === null ? "live" : "waiting");
}

function enter(person) {
  const project = new Project(person.project);
  const names = new Names(project);
  house = { project, names, datasets: new Datasets(project, names) };
  setText(at("person"), person.email);
  at("login").hidden = true;
  at("app").hidden = false;
  navigate();
}

function leave(note) {
  localStorage.removeItem(KEPT);
  controller.abort();
  clearTimeout(timer);
  view?.leave?.();
  house = null;
  view = null;
  at("content").replaceChildren();
  at("app").hidden = true;
  at("login").hidden = false;
  tell(null);
  problem(note);
  document.title = "Log in – sandbox";
  (at("email").value ? at("password") : at("email")).focus();
}

function problem(text) {
  at("login-problem").hidden = !text;
  setText(at("login-problem"), text);
}

async function submit(event) {
  event.preventDefault();
  const button = at("login-form").querySelector("button");
  button.disabled = true;
  try {
    const user = await logIn(at("email").value.trim(), at("password").value);
    const person = { project: user.current_project_string_id, email: user.email };
    if (!person.project) throw new Refused("This person belongs to no project.");
    at("password").value = "";
    problem(null);
    localStorage.setItem(KEPT, JSON.stringify(person));
    enter(person);
  } catch (error) {
    problem(error.message);
    at("password").select();
  } finally {
    button.disabled = false;
  }
}

function remembered() {
  try {
    const person = JSON.parse(localStorage.getItem(KEPT));
    return person?.project && person?.email ? person : null;
  } catch {
    return null;
  }
}

at("login-form").addEventListener("submit", submit);
at("log-out").addEventListener("click", async () => {
  controller.abort(); // a call under way would learn that the session has ended
  clearTimeout(timer);
  await logOut();
  leave(null);
});
window.addEventListener("hashchange", navigate);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && house !== null) refresh();
});
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select, textarea")) return;
  view?.key?.(event);
});

const person = remembered();
if (person === null) leave(null);
else enter(person);

// Queues of files, started here or on the command line: what is in them, another order, a stop.
import { $, call, duration, post, setText } from "./basics.js";

const views = new Map();
const WORDS = { running: "Running", stopping: "Stopping after the segments in progress", stopped: "Stopped", ended: "Ended" };
const MOVES = {
  first: "Do next", up: "Move up", down: "Move down", "leave-out": "Leave out", "take-back": "Take back",
};
const BAD = ["refused", "failed"];

export async function refreshQueues() {
  let queues;
  try {
    queues = await call("/queues");
  } catch {
    return; // the list of jobs says that the server is away
  }
  $("queues-section").hidden = queues.length === 0;
  const seen = new Set(queues.map((queue) => queue.id));
  for (const [id, view] of views) {
    if (!seen.has(id)) { view.remove(); views.delete(id); }
  }
  for (const queue of queues.reverse()) {
    if (!views.has(queue.id)) views.set(queue.id, newView(queue.id));
    show(views.get(queue.id), queue);
  }
}

function newView(id) {
  const view = $("queue-template").content.firstElementChild.cloneNode(true);
  view.addEventListener("click", (event) => act(id, event));
  view.querySelector("details").addEventListener("toggle", () => refreshFiles(id));
  $("queues").prepend(view);
  return view;
}

function show(view, queue) {
  const part = (name) => view.querySelector(name);
  setText(part(".name"), `${queue.sources.join(", ")} → ${queue.output ?? "next to the sources"}`);
  setText(part(".state"), WORDS[queue.state] + (queue.watch && queue.state === "running" ? ", watching for new files" : ""));
  part("progress").hidden = queue.state === "ended";
  part("progress").value = queue.total_frames ? queue.frames / queue.total_frames : 0;
  part("progress").setAttribute("aria-label", `Progress of the queue ${queue.id}`);
  const figures = Object.entries(queue.counts).map(([state, count]) => `${count} ${state}`);
  if (queue.state === "running" && queue.total_frames) figures.push(`${queue.frames} of ${queue.total_frames} frames`);
  if (queue.seconds_left !== null) figures.push(`${duration(queue.seconds_left)} left`);
  setText(part(".figures"), figures.join(", "));
  const runs = ["running", "stopping"].includes(queue.state);
  part("[data-do=stop]").hidden = !runs;
  setText(part("[data-do=stop]"), queue.state === "stopping" ? "Stop now" : "Stop");
  part("[data-do=resume]").hidden = queue.state !== "stopped";
  part("[data-do=remove]").hidden = runs;
  for (const button of view.querySelectorAll("[data-do]")) {
    button.setAttribute("aria-label", `${button.textContent}: the queue of ${queue.sources.join(", ")}`);
  }
  if (part("details").open) refreshFiles(queue.id);
}

async function refreshFiles(id) {
  const view = views.get(id);
  if (!view.querySelector("details").open) return;
  let queue;
  try {
    queue = await call(`/queues/${id}`);
  } catch {
    return;
  }
  const list = view.querySelector("ol");
  const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
  queue.files.forEach((file, place) => {
    const row = rows.get(file.id) ?? $("queue-file-template").content.firstElementChild.cloneNode(true);
    row.dataset.id = file.id;
    rows.delete(file.id);
    showFile(row, file);
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
  for (const gone of rows.values()) gone.remove();
}

function showFile(row, file) {
  setText(row.querySelector(".name"), file.name);
  const share = file.state === "running" && file.total_frames ? `, ${Math.floor((100 * file.frames) / file.total_frames)} %` : "";
  setText(row.querySelector(".kind"), file.state + share + (file.reason ? `: ${file.reason}` : ""));
  row.classList.toggle("bad", BAD.includes(file.state));
  const can = {
    first: file.state === "waiting", up: file.state === "waiting", down: file.state === "waiting",
    "leave-out": ["waiting", "running", "growing"].includes(file.state), "take-back": file.left_out,
  };
  for (const button of row.querySelectorAll("[data-move]")) {
    const move = button.dataset.move;
    button.hidden = !can[move];
    button.setAttribute("aria-label", `${MOVES[move]}: ${file.name}`);
    button.title = MOVES[move];
  }
}

async function act(id, event) {
  const what = event.target.closest("[data-do]")?.dataset.do;
  const move = event.target.closest("[data-move]")?.dataset.move;
  if (!what && !move) return;
  const error = views.get(id).querySelector(".error");
  error.hidden = true;
  try {
    if (what === "remove") await call(`/queues/${id}`, { method: "DELETE" });
    else if (what) await post(`/queues/${id}/${what}`);
    else {
      const file = event.target.closest("[data-id]").dataset.id;
      const path = `/queues/${id}/files/${file}`;
      if (move === "leave-out" || move === "take-back") await post(`${path}/${move}`);
      else await post(`${path}/move`, { where: move });
    }
    await refreshQueues();
    if (views.has(id)) await refreshFiles(id);
  } catch (problem) {
    setText(error, problem.message);
    error.hidden = false;
  }
}

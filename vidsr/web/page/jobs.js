// The list of jobs: fetched every second and updated in place, so that focus and playback are kept.
import { $, API, call, duration, element, post, setText } from "./basics.js";

const views = new Map();
const WORDS = {
  queued: "Waiting", running: "Running", paused: "Paused", done: "Done", failed: "Failed", cancelled: "Cancelled",
};
// The page's counterpart of a command-line flag.
const TAKEN = "tick “Replace an existing result” and start again, or choose another name for the result";
const STAGES = { index: ": reading the source", assemble: ": joining", verify: ": checking the result" };

export async function refresh() {
  let jobs;
  try {
    jobs = await call("/jobs");
  } catch {
    setText($("no-jobs"), "The server does not respond. Its jobs continue; they will appear here when it is back.");
    $("no-jobs").hidden = false;
    return;
  }
  setText($("no-jobs"), "No jobs yet.");
  $("no-jobs").hidden = jobs.length > 0;
  const seen = new Set(jobs.map((job) => job.id));
  for (const [id, view] of views) {
    if (!seen.has(id)) { view.remove(); views.delete(id); }
  }
  for (const job of jobs.reverse()) {
    if (!views.has(job.id)) {
      const view = $("job-template").content.firstElementChild.cloneNode(true);
      view.addEventListener("click", (event) => act(job.id, event));
      views.set(job.id, view);
      $("jobs").prepend(view);
    }
    show(views.get(job.id), job);
  }
}

function show(view, job) {
  const part = (name) => view.querySelector(name);
  setText(part(".name"), job.output ? `${job.source} → ${job.output}` : job.source);
  const pausing = ": will stop after the current segment";
  setText(part(".state"), WORDS[job.state] + (job.stopping ? pausing : STAGES[job.stage] ?? ""));
  setText(part("[data-do=pause]"), job.stopping ? "Pause now" : "Pause");
  const bar = part("progress");
  bar.hidden = ["done", "cancelled", "failed"].includes(job.state);
  bar.setAttribute("aria-label", `Progress of ${job.source}`);
  bar.value = job.total_frames ? job.frames / job.total_frames : 0;
  setText(part(".figures"), figures(job));
  const failed = job.state === "failed" && job.error;
  if (failed) setText(part(".error"), job.error.replace("use --overwrite to replace it", TAKEN));
  if (failed) part(".error").hidden = false;
  else if (job.state !== view.dataset.state) part(".error").hidden = true;
  view.dataset.state = job.state;
  if (part(".notes").childElementCount !== job.notes.length) {
    part(".notes").replaceChildren(...job.notes.map((note) => element("li", note)));
  }
  showActions(view, job);
  showResult(view, job);
  if (job.state === "running") showThumbnail(part(".thumb"), job);
  else part(".thumb").hidden = true;
}

function figures(job) {
  const parts = [];
  if (job.state === "done" && job.result) {
    for (const [name, count] of Object.entries(job.result.counts ?? {})) parts.push(`${count} ${name},`);
    if (job.result.frames) parts.push(`${job.result.frames} frames`);
    if (job.result.size) parts.push(job.result.size.join(" × "));
    if (job.result.seconds !== undefined) parts.push(`in ${duration(job.result.seconds)}`);
    return parts.join(" ");
  }
  if (job.total_frames) parts.push(`${job.frames} of ${job.total_frames} frames`);
  if (job.segments_done) parts.push(`${job.segments_done} segments done`);
  if (job.fps) parts.push(speed(job.fps));
  if (job.seconds_left !== null) parts.push(`${duration(job.seconds_left)} left`);
  return parts.join(", ");
}

function speed(fps) {
  return fps >= 1 ? `${fps.toPrecision(3)} frames per second` : `${(1 / fps).toPrecision(2)} seconds per frame`;
}

function showActions(view, job) {
  const can = {
    pause: job.state === "running",
    resume: ["paused", "failed", "cancelled"].includes(job.state),
    cancel: ["queued", "running", "paused"].includes(job.state),
    download: job.has_result,
    master: job.has_master,
    report: job.can_compare,
    record: job.has_report,
    remove: job.state !== "running",
  };
  for (const [name, shown] of Object.entries(can)) {
    const control = view.querySelector(`[data-do=${name}]`);
    control.hidden = !shown;
    control.setAttribute("aria-label", `${control.textContent}: ${job.source}`);
  }
  if (job.has_result) view.querySelector("[data-do=download]").href = `${API}/jobs/${job.id}/result`;
  if (job.has_master) view.querySelector("[data-do=master]").href = `${API}/jobs/${job.id}/master`;
  if (job.can_compare) view.querySelector("[data-do=report]").href = `${API}/jobs/${job.id}/comparison`;
}

function showResult(view, job) {
  if (!job.has_result || view.dataset.shown) return;
  view.dataset.shown = "yes";
  const address = `${API}/jobs/${job.id}/result?download=false`;
  const player = view.querySelector(".player");
  const picture = view.querySelector(".picture");
  if (/\.(mp4|m4v|mov|webm|mkv)$/i.test(job.output)) {
    player.setAttribute("aria-label", `The result ${job.output}`);
    player.src = address;
    player.hidden = false;
  } else if (/\.(png|jpe?g|webp|gif|avif)$/i.test(job.output)) {
    picture.src = address;
    picture.hidden = false;
  }
}

async function showThumbnail(image, job) {
  if (Date.now() - Number(image.dataset.asked ?? 0) < 1500) return;
  image.dataset.asked = String(Date.now());
  try {
    const answer = await fetch(`${API}/jobs/${job.id}/thumbnail.jpg`);
    if (answer.status !== 200) return;
    const old = image.src;
    image.src = URL.createObjectURL(await answer.blob());
    image.hidden = false;
    if (old) URL.revokeObjectURL(old);
  } catch { /* the next one will do */ }
}

async function act(id, event) {
  const what = event.target.closest("[data-do]")?.dataset.do;
  if (!what || what === "download" || what === "master" || what === "report") return;
  const error = views.get(id).querySelector(".error");
  try {
    if (what === "record") await showRecord(id);
    else if (what === "remove") await call(`/jobs/${id}`, { method: "DELETE" });
    else await post(`/jobs/${id}/${what}`);
    await refresh();
  } catch (problem) {
    setText(error, problem.message);
    error.hidden = false;
  }
}

async function showRecord(id) {
  setText($("record-text"), JSON.stringify(await call(`/jobs/${id}/report`), null, 2));
  $("record").showModal();
}

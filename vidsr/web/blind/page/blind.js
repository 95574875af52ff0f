"use strict";
const get = id => document.getElementById(id);
let current = null; // number of the trial on screen
let busy = false;

async function ask(method, path, body) {
  const options = { method, headers: body === undefined ? {} : { "content-type": "application/json" } };
  if (body !== undefined) options.body = JSON.stringify(body);
  const answer = await fetch(path, options);
  const data = await answer.json();
  if (!answer.ok) throw new Error(data.detail);
  return data;
}

async function once(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
    get("trouble").hidden = true;
  } catch (error) {
    get("trouble").textContent = error.message === "Failed to fetch"
      ? "The comparison has ended. Run the same command again to continue." : error.message;
    get("trouble").hidden = false;
  } finally {
    busy = false;
  }
}

async function loaded(image, address) {
  image.src = address;
  await image.decode();
}

async function show(state) {
  if (state.videos) finished(state.videos, "All pairs have a vote.");
  else await Promise.all(["left", "right"].map(side => loaded(get(side), `/api/v1/trials/${state.number}/${side}.png`)));
  current = state.number;
  // After the pictures: who reads the count can vote.
  get("progress").textContent = `${state.voted} of ${state.total} votes`;
  get("undo").disabled = state.voted === 0;
}

function finished(videos, text) {
  current = null;
  get("trial").hidden = true;
  get("result").hidden = false;
  get("closing").textContent = text;
  const percent = value => `${(100 * value).toFixed(0)} %`;
  const row = (tag, cells) => {
    const line = document.createElement("tr");
    for (const cell of cells) {
      const node = document.createElement(tag);
      node.textContent = cell;
      line.append(node);
    }
    return line;
  };
  get("preferences").replaceChildren(row("th", ["Video", "Preferred", "95 % confidence", "Votes"]),
    ...videos.map(v => row("td", [v.name, percent(v.share), `${percent(v.low)} to ${percent(v.high)}`, v.votes])));
}

const vote = choice => once(async () => {
  if (current === null) return;
  const trial = current;
  current = null; // a second key press does not vote on a picture that nobody has seen
  try {
    await show(await ask("POST", "/api/v1/votes", { trial, choice }));
  } catch (error) {
    current = trial;
    throw error;
  }
});
const undo = () => once(async () => show(await ask("DELETE", "/api/v1/votes/last")));

function zoom() {
  const on = document.querySelector(".pair").classList.toggle("zoomed");
  get("zoom").setAttribute("aria-pressed", String(on));
}

for (const button of document.querySelectorAll("[data-choice]"))
  button.addEventListener("click", () => vote(button.dataset.choice));
get("undo").addEventListener("click", undo);
get("zoom").addEventListener("click", zoom);
for (const id of ["end", "close"]) get(id).addEventListener("click", () => once(async () => {
  finished((await ask("POST", "/api/v1/end")).videos, "The votes are saved. You can close this page.");
  get("close").hidden = true;
}));
document.addEventListener("keydown", event => {
  if (get("trial").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const keys = { ArrowLeft: () => vote("left"), ArrowRight: () => vote("right"), ArrowDown: () => vote("same"),
    " ": () => vote("same"), Backspace: undo, z: zoom, Z: zoom };
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
once(async () => show(await ask("GET", "/api/v1/trial")));

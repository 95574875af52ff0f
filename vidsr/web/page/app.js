// The page of `vidsr serve`. It keeps no state of its own: all of it is asked from the server, so that closing or
// reloading the page loses nothing. Text from files and errors only ever goes into textContent.
import { buildOptions, chosenOptions } from "./options.js";
import { refresh } from "./jobs.js";
import { $, API, bytes, call, duration, element, post, setText } from "./basics.js";

const state = { about: null, file: null, previewing: 0 };

// ---- choosing -------------------------------------------------------------------------------------------------

async function openFolder(path) {
  let listing;
  try {
    listing = await call(`/files?path=${encodeURIComponent(path)}`);
  } catch (error) {
    setText($("folder"), error.message);
    return;
  }
  setText($("folder"), listing.path === "." ? "Top folder" : listing.path);
  $("up").disabled = listing.parent === null;
  $("up").onclick = () => openFolder(listing.parent);
  $("files").replaceChildren(...listing.entries.map(fileEntry));
  if (listing.entries.length === 0) $("files").append(element("li", "No video or picture here.", { class: "hint" }));
}

function fileEntry(entry) {
  const button = element("button", undefined, { type: "button", "data-path": entry.path });
  button.append(element("span", entry.name, { class: "name" }));
  const kind = entry.kind === "folder" ? "folder" : `${entry.kind}, ${bytes(entry.size_bytes)}`;
  button.append(element("span", kind, { class: "kind" }));
  button.onclick = () => (entry.kind === "folder" ? openFolder(entry.path) : choose(entry.path));
  const item = element("li");
  item.append(button);
  return item;
}

async function choose(path) {
  setText($("upload-text"), "Looking at the file…");
  try {
    state.file = await call(`/inspect?path=${encodeURIComponent(path)}`);
    setText($("upload-text"), "");
  } catch (error) {
    setText($("upload-text"), error.message);
    return;
  }
  history.replaceState(null, "", `#${encodeURIComponent(path)}`);
  for (const button of $("files").querySelectorAll("button")) {
    if (button.dataset.path === path) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  showFile(state.file);
}

function showFile(file) {
  setText($("chosen-name"), file.path);
  const facts = [["Picture", `${file.width} × ${file.height}, ${file.format}`], ["Details", file.details]];
  if (file.seconds !== null) facts.push(["Length", duration(file.seconds)]);
  for (const s of file.streams.filter((stream) => stream.kind !== "video")) {
    facts.push([s.kind, [s.codec, s.language, s.details].filter(Boolean).join(", ")]);
  }
  $("facts").replaceChildren(...facts.flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
  $("file-notes").replaceChildren(...file.notes.map((note) => element("li", note)));
  for (const id of ["chosen", "settings", "try", "go"]) $(id).hidden = false;
  $("moment").hidden = file.kind === "picture";
  $("at").max = String(Math.max(0.01, (file.seconds ?? 0) - 0.01));
  $("at").value = String((file.seconds ?? 0) / 3);
  showTime();
  $("compare").hidden = true;
  setText($("preview-text"), "");
}

function upload(file) {
  const bar = $("upload-bar");
  if (file.size > state.about.max_upload_bytes) {
    setText($("upload-text"), `Too large: at most ${bytes(state.about.max_upload_bytes)}`);
    return;
  }
  const request = new XMLHttpRequest();
  bar.hidden = false;
  setText($("upload-text"), "");
  request.upload.onprogress = (event) => { bar.value = event.loaded / Math.max(1, event.total); };
  request.onloadend = async () => {
    bar.hidden = true;
    let body = {};
    try { body = JSON.parse(request.responseText); } catch { /* no answer: said below */ }
    if (request.status !== 201) {
      setText($("upload-text"), body.detail || "The upload failed.");
      return;
    }
    await openFolder(folderOf(body.path));
    await choose(body.path);
  };
  request.open("PUT", `${API}/uploads/${encodeURIComponent(file.name)}`);
  request.send(file);
}

function folderOf(path) {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".";
}

// ---- trying a moment ------------------------------------------------------------------------------------------

function showTime() {
  setText($("at-text"), `${Number($("at").value).toFixed(1)} s`);
}

async function preview() {
  state.previewing += 1;
  const mine = state.previewing;
  const say = (text) => { if (mine === state.previewing) setText($("preview-text"), text); };
  say("Working…");
  try {
    const options = chosenOptions(state.about.options);
    let found = await post("/previews", { source: state.file.path, at_seconds: Number($("at").value), options });
    while (found.state === "queued" || found.state === "running") {
      await new Promise((done) => { setTimeout(done, 300); });
      if (mine !== state.previewing) return;
      found = await call(`/previews/${found.id}`);
    }
    if (found.state !== "done") throw new Error(found.error || `the preview was ${found.state}`);
    await Promise.all(["before", "after"].map((side) => load($(side), `${API}/previews/${found.id}/${side}.png`)));
    $("compare").hidden = false;
    say(`${found.width} × ${found.height}`);
  } catch (error) {
    say(error.message);
  }
}

function load(image, address) {
  return new Promise((done, failed) => {
    image.onload = done;
    image.onerror = () => failed(new Error("the preview cannot be shown"));
    image.src = address;
  });
}

function moveCut() {
  document.querySelector(".frame").style.setProperty("--cut", `${$("slider").value}%`);
}

// ---- beginning ------------------------------------------------------------------------------------------------

async function start() {
  $("start").disabled = true;
  setText($("start-text"), "");
  try {
    const options = { ...chosenOptions(state.about.options), provenance: true };
    await post("/jobs", { source: state.file.path, output: $("output").value.trim() || null, options });
    setText($("start-text"), "The job is in the queue. It goes on even if this page is closed.");
    await refresh();
  } catch (error) {
    setText($("start-text"), error.message);
  } finally {
    $("start").disabled = false;
  }
}

async function begin() {
  $("upload").onchange = (event) => { if (event.target.files[0]) upload(event.target.files[0]); };
  $("at").oninput = showTime;
  $("slider").oninput = moveCut;
  $("preview").onclick = preview;
  $("start").onclick = start;
  $("record-close").onclick = () => $("record").close();
  state.about = await call("/about");
  buildOptions(state.about);
  const named = decodeURIComponent(location.hash.slice(1));
  await openFolder(folderOf(named));
  if (named && named !== "main") await choose(named);
  await refresh();
  setInterval(refresh, 1000);
}

begin().catch((error) => setText($("folder"), error.message));

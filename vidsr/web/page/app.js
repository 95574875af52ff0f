// The page of `vidsr serve`. All state is kept by the server, so that closing or reloading the page loses
// nothing. Text from files and errors only ever goes into textContent.
import { buildOptions, chosenOptions, setOptions } from "./options.js";
import { refresh } from "./jobs.js";
import { refreshQueues } from "./queues.js";
import { setUpPresets } from "./presets.js";
import { setUpTrying, tableOfParts, tryFile, tryFolder } from "./trying.js";
import { $, API, bytes, call, duration, element, fault, post, setText } from "./basics.js";

const state = { about: null, file: null, folder: ".", choosing: null, looking: null };

// ---- choosing -------------------------------------------------------------------------------------------------

async function openFolder(path) {
  let listing;
  try {
    listing = await call(`/files?path=${encodeURIComponent(path)}`);
  } catch (error) {
    fault($("place-text"), error.message);
    return null;
  }
  setText($("place-text"), "");
  state.folder = listing.path;
  $("folder").value = listing.path === "." ? "" : listing.path;
  $("up").disabled = listing.parent === null;
  $("up").onclick = () => openFolder(listing.parent);
  $("files").replaceChildren(...listing.entries.map(fileEntry));
  if (listing.entries.length === 0) $("files").append(element("li", "No videos or pictures in this folder.", { class: "hint" }));
  return listing.file ?? null;
}

// The typed path may be a folder or a file.
async function openPath(event) {
  event.preventDefault();
  const file = await openFolder($("folder").value.trim() || ".");
  if (file) await choose(file);
}

function offerRoots(roots) {
  $("roots").replaceChildren(...roots.map((root, i) => element("option", root, { value: i ? root : "." })));
  $("roots-row").hidden = roots.length < 2;
  $("roots").onchange = () => openFolder($("roots").value);
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
  const mine = (state.choosing = {});
  for (const button of $("files").querySelectorAll("button")) {
    if (button.dataset.path === path) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  show(false);
  setText($("place-text"), "Reading the file…");
  let file;
  try {
    file = await call(`/inspect?path=${encodeURIComponent(path)}`);
  } catch (error) {
    if (mine === state.choosing) fault($("place-text"), error.message);
    return;
  }
  if (mine !== state.choosing) return;
  setText($("place-text"), "");
  history.replaceState(null, "", `#${encodeURIComponent(path)}`);
  showFile(file);
}

function show(shown) {
  for (const id of ["chosen", "settings", "try", "go"]) $(id).hidden = !shown;
}

// A whole folder is a queue of files: there is no single moment to try.
function chooseFolder() {
  state.choosing = {};
  state.looking?.abort();
  const path = state.folder;
  state.file = { path, kind: "folder" };
  setText($("chosen-name"), path === "." ? "The whole folder" : path);
  const listed = [...$("files").querySelectorAll(".kind")].map((kind) => kind.textContent);
  const count = (kind) => listed.filter((text) => text.startsWith(kind)).length;
  const facts = [["Videos", count("video")], ["Pictures", count("picture")], ["Folders", count("folder")]];
  $("facts").replaceChildren(...facts.flatMap(([name, text]) => [element("dt", name), element("dd", String(text))]));
  const note = "Everything in this folder and the folders in it is enhanced, one file after the other.";
  $("file-notes").replaceChildren(element("li", note));
  $("closer").hidden = true;
  $("findings").replaceChildren();
  setText($("start-text"), "");
  show(true);
  $("try").hidden = true;
  tryFolder(state.file);
  showPlace(true);
}

function namePlace(folder) {
  const file = "Result file (leave empty to save next to the source)";
  setText($("output-label"), folder ? "Folder for the results (leave empty to have it chosen)" : file);
}

// A queue's results go into a folder.
function showPlace(folder) {
  namePlace(folder);
  $("watch-row").hidden = !folder;
  $("watch").checked = false;
}

function showFile(file) {
  state.file = file;
  setText($("chosen-name"), file.path);
  const facts = [["Picture", `${file.width} × ${file.height}, ${file.format}`], ["Details", file.details]];
  if (file.seconds !== null) facts.push(["Length", duration(file.seconds)]);
  for (const s of file.streams.filter((stream) => stream.kind !== "video")) {
    const kind = s.kind[0].toUpperCase() + s.kind.slice(1);
    facts.push([kind, [s.codec, s.language, s.details].filter(Boolean).join(", ")]);
  }
  $("facts").replaceChildren(...facts.flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
  $("file-notes").replaceChildren(...file.notes.map((note) => element("li", note)));
  setText($("start-text"), "");
  show(true);
  showPlace(false);
  tryFile(file);
  lookCloser(file);
}

// Shows the findings of `vidsr inspect`; aborted when another file is chosen.
async function lookCloser(file) {
  state.looking?.abort();
  const looking = (state.looking = new AbortController());
  $("findings").replaceChildren();
  $("use").hidden = true;
  $("closer").hidden = file.kind === "picture";
  if (file.kind === "picture") return;
  setText($("findings-text"), "Checking the video for interlacing, bars, grain and flicker…");
  try {
    const signal = looking.signal;
    const found = await call(`/findings?path=${encodeURIComponent(file.path)}`, { signal });
    $("findings").replaceChildren(...found.sentences.map((sentence) => element("li", sentence)));
    const wanted = Object.entries(found.recommended);
    const advice = wanted.map(([name, value]) => name.replaceAll("_", " ") + (value === true ? "" : ` ${value}`)).join(", ");
    setText($("findings-text"), advice ? `Recommended: ${advice}` : "No restoration needed.");
    $("use").hidden = !advice;
    $("use").onclick = () => { setOptions(found.recommended); setText($("findings-text"), `Applied: ${advice}`); };
  } catch (error) {
    if (!looking.signal.aborted) setText($("findings-text"), error.message);
  }
}

function upload(file) {
  const bar = $("upload-bar");
  if (file.size > state.about.max_upload_bytes) {
    fault($("upload-text"), `Too large: uploads are limited to ${bytes(state.about.max_upload_bytes)}`);
    return;
  }
  const request = new XMLHttpRequest();
  bar.hidden = false;
  setText($("upload-text"), "");
  request.upload.onprogress = (event) => { bar.value = event.loaded / Math.max(1, event.total); };
  request.onloadend = async () => {
    bar.hidden = true;
    let body = {};
    try { body = JSON.parse(request.responseText); } catch { /* no answer: reported below */ }
    if (request.status !== 201) {
      fault($("upload-text"), body.detail || "The upload failed; try again.");
      return;
    }
    await openFolder(body.path);
    await choose(body.path);
  };
  request.open("PUT", `${API}/uploads/${encodeURIComponent(file.name)}`);
  request.send(file);
}

// ---- beginning ------------------------------------------------------------------------------------------------

async function start() {
  $("start").disabled = true;
  setText($("start-text"), "");
  try {
    const options = { ...chosenOptions(state.about.options), provenance: true };
    const output = $("output").value.trim() || null;
    await post("/jobs", { source: state.file.path, output, options, watch: $("watch").checked, spans: tableOfParts() });
    setText($("start-text"), "The job was added to the list. It continues even if you close this page.");
    await refresh();
    document.querySelector(".job")?.scrollIntoView({ block: "nearest" });
  } catch (error) {
    fault($("start-text"), error.message);
  } finally {
    $("start").disabled = false;
  }
}

async function begin() {
  $("upload").onchange = (event) => { if (event.target.files[0]) upload(event.target.files[0]); };
  $("place").onsubmit = openPath;
  $("start").onclick = start;
  $("spans").oninput = () => namePlace(Boolean(tableOfParts()));
  $("whole-folder").onclick = chooseFolder;
  $("record-close").onclick = () => $("record").close();
  state.about = await call("/about");
  buildOptions(state.about);
  setUpPresets(state.about);
  offerRoots(state.about.roots);
  setUpTrying(() => chosenOptions(state.about.options));
  const named = location.hash === "#main" ? "" : decodeURIComponent(location.hash.slice(1));
  const file = await openFolder(named || ".");
  if (file) await choose(file);
  else if (named) await openFolder("."); // the page was reloaded and its file no longer exists
  await refresh();
  await refreshQueues();
  setInterval(() => { refresh(); refreshQueues(); }, 1000);
}

begin().catch((error) => fault($("place-text"), error.message));

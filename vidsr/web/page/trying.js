// Previewing a moment: the source frame, before and after with a slider, and the estimate for the whole job.
import { $, API, bytes, call, duration, element, fault, post, setText } from "./basics.js";

const FRAME_DELAY = 250;
let source = null;
let options = () => ({});
let asked = 0;
let frameTimer = 0;
let previewed = null;

export function setUpTrying(chosen) {
  options = chosen;
  $("at").oninput = () => { showTime(); showMoment(); };
  $("preview").onclick = preview;
  $("part-from").onclick = () => setPart("start");
  $("part-to").onclick = () => setPart("end");
  $("part-clear").onclick = clearPart;
  $("estimate").onclick = estimate;
  $("slider").oninput = moveCut;
  $("map-on").onchange = showMap;
  $("zoom").onclick = () => zoom($("zoom").getAttribute("aria-pressed") !== "true");
  const frame = $("frame");
  frame.onscroll = moveCut;
  frame.onpointerdown = (event) => {
    if (zoomed() || event.button) return;
    frame.setPointerCapture(event.pointerId);
    follow(event);
  };
  frame.onpointermove = (event) => { if (frame.hasPointerCapture(event.pointerId)) follow(event); };
  window.addEventListener("resize", moveCut);
}

export function tryFile(file) {
  source = file;
  asked += 1;
  $("moment").hidden = $("estimate").hidden = file.kind === "picture";
  $("part").hidden = $("parts").hidden = file.kind === "picture";
  clearPart();
  $("spans").value = "";
  $("at").max = String(Math.max(0.01, (file.seconds ?? 0) - 0.01));
  $("at").value = String((file.seconds ?? 0) / 3);
  setText($("preview-text"), "");
  setText($("estimate-text"), "");
  $("outlook").hidden = true;
  $("still").hidden = true;
  showTime();
  showMoment();
}

// Of a folder only the whole can be estimated.
export function tryFolder(folder) {
  source = folder;
  asked += 1;
  $("spans").value = "";
  clearTimeout(frameTimer);
  $("estimate").hidden = false;
  setText($("estimate-text"), "");
}

// ---- the source frame ---------------------------------------------------------------------------------------

function showTime() {
  const text = duration(Number($("at").value), 1);
  setText($("at-text"), text);
  $("at").setAttribute("aria-valuetext", text);
}

function showMoment() {
  $("compare").hidden = true;
  clearTimeout(frameTimer);
  const path = encodeURIComponent(source.path);
  const address = `${API}/frame.jpg?path=${path}&at_seconds=${Number($("at").value)}`;
  frameTimer = setTimeout(async () => {
    try {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error("the frame at this time cannot be shown");
      const old = $("still").src;
      $("still").src = URL.createObjectURL(await answer.blob());
      if (old) URL.revokeObjectURL(old);
      $("still").hidden = !$("compare").hidden;
    } catch {
      $("still").hidden = true;
    }
  }, FRAME_DELAY);
}

// ---- a part of the video ----------------------------------------------------------------------------------------

// The points are the option fields --from and --to, so that jobs and estimates take them like every other option.
function partField(name) {
  return document.querySelector(`[data-option=${name}]`);
}

function setPart(name) {
  partField(name).value = Number($("at").value).toFixed(3);
  showPart();
}

// The path of a table of parts, null for none.
export function tableOfParts() {
  return $("spans").value.trim() || null;
}

function clearPart() {
  for (const name of ["start", "end"]) partField(name).value = "";
  showPart();
}

function showPart() {
  const [start, end] = ["start", "end"].map((name) => partField(name).value);
  $("part-clear").hidden = !start && !end;
  const from = start ? duration(Number(start), 2) : "the beginning";
  const to = end ? duration(Number(end), 2) : "the end";
  setText($("part-text"), start || end ? `Only from ${from} to ${to}` : "");
}

// ---- before and after -----------------------------------------------------------------------------------------

async function finished(kind, order, mine) {
  let found = await post(`/${kind}`, order);
  while (found.state === "queued" || found.state === "running") {
    await new Promise((done) => { setTimeout(done, 300); });
    if (mine !== asked) return null;
    found = await call(`/${kind}/${found.id}`);
  }
  if (found.state !== "done") throw new Error(found.error || `the run was ${found.state}`);
  return found;
}

async function preview() {
  asked += 1;
  const mine = asked;
  const say = (text) => { if (mine === asked) setText($("preview-text"), text); };
  say("Enhancing this frame. The first preview takes longest…");
  try {
    const order = { source: source.path, at_seconds: Number($("at").value), options: options() };
    const found = await finished("previews", order, mine);
    if (!found) return;
    await Promise.all(["before", "after"].map((side) => load($(side), `${API}/previews/${found.id}/${side}.png`)));
    previewed = found.id;
    forgetMap();
    $("compare").hidden = false;
    $("still").hidden = true;
    zoom(false);
    say(`${found.place}: ${found.width} × ${found.height}`);
  } catch (error) {
    if (mine === asked) fault($("preview-text"), error.message);
  }
}

// ---- what was invented ------------------------------------------------------------------------------------------

function forgetMap() {
  $("map-on").checked = false;
  $("map").hidden = true;
  $("map").removeAttribute("src");
  setText($("map-text"), "");
}

// The map is made when it is first asked for, and kept until the next preview.
async function showMap() {
  const on = $("map-on");
  $("map").hidden = !on.checked || !$("map").hasAttribute("src");
  if (!on.checked || $("map").hasAttribute("src")) return;
  const shown = previewed;
  on.disabled = true;
  setText($("map-text"), "Measuring what the source supports…");
  try {
    const found = await finished("maps", { preview: shown }, asked);
    if (!found || shown !== previewed) return;
    await load($("map"), `${API}/maps/${found.id}/map.png`);
    const shares = `${Math.round(found.supported_percent)} % of this frame is supported by the source`;
    const invented = `${Math.round(found.invented_percent)} % is invented`;
    const error = `expected error ${found.expected_error.toFixed(1)} code values`;
    setText($("map-text"), `${shares}, ${invented}; ${error}`);
    $("map").hidden = !on.checked;
  } catch (error) {
    if (shown === previewed) {
      forgetMap();
      fault($("map-text"), error.message);
    }
  } finally {
    on.disabled = false;
    if (!$("map").hasAttribute("src")) on.checked = false;
  }
}

function load(image, address) {
  return new Promise((done, failed) => {
    image.onload = done;
    image.onerror = () => failed(new Error("the preview cannot be shown"));
    image.src = address;
  });
}

function zoomed() {
  return $("frame").classList.contains("zoomed");
}

// At actual size the picture is larger than its frame, which then scrolls; the cut stays visible.
function zoom(on) {
  $("zoom").setAttribute("aria-pressed", String(on));
  const frame = $("frame");
  frame.classList.toggle("zoomed", on);
  frame.tabIndex = on ? 0 : -1;
  $("stage").style.width = on ? `${$("after").naturalWidth / devicePixelRatio}px` : "";
  if (on) {
    frame.scrollLeft = (frame.scrollWidth - frame.clientWidth) / 2;
    frame.scrollTop = (frame.scrollHeight - frame.clientHeight) / 2;
  }
  moveCut();
}

function follow(event) {
  const box = $("frame").getBoundingClientRect();
  $("slider").value = String(Math.round((100 * (event.clientX - box.left)) / box.width));
  moveCut();
}

function moveCut() {
  const share = Number($("slider").value);
  const frame = $("frame");
  const cut = zoomed() ? `${frame.scrollLeft + (share / 100) * frame.clientWidth}px` : `${share}%`;
  $("stage").style.setProperty("--cut", cut);
}

// ---- the whole job --------------------------------------------------------------------------------------------

async function estimate() {
  asked += 1;
  const mine = asked;
  const say = (text) => { if (mine === asked) setText($("estimate-text"), text); };
  $("outlook").hidden = true;
  say("Running a few samples of the job…");
  try {
    const place = { output: $("output").value.trim() || null, spans: tableOfParts() };
    const order = { source: source.path, ...place, options: options() };
    const found = await finished("estimates", order, mine);
    if (!found) return;
    const about = `about ${bytes(found.result_bytes)}`;
    const size = found.width === null ? about : `${found.width} × ${found.height}, ${about}`;
    const memory = found.memory_bytes === null ? "" : ` and ${bytes(found.memory_bytes)} of memory`;
    const needs = `${bytes(found.disk_bytes)} of disk space${memory} while running`;
    say(`About ${duration(found.seconds)} for ${found.frames} frames. Result: ${size}. The job needs ${needs}.`);
    $("outlook").replaceChildren(...found.lines.map((line) => element("li", line.replace(/^(\w+) +/, "$1: "))));
    $("outlook").hidden = false;
  } catch (error) {
    if (mine === asked) fault($("estimate-text"), error.message);
  }
}

// Shared by all parts of the page: API calls, elements, formatting of numbers.
export const API = "/api/v1";
export const $ = (id) => document.getElementById(id);

export async function call(path, options = {}) {
  const answer = await fetch(API + path, options);
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || `the server answered with status ${answer.status}`);
  return body;
}

export function post(path, body) {
  return send("POST", path, body);
}

export function put(path, body) {
  return send("PUT", path, body);
}

function send(method, path, body) {
  const headers = { "content-type": "application/json" };
  return call(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}

export function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

export function setText(node, text) {
  node.classList.remove("fault");
  if (node.textContent !== text) node.textContent = text;
}

export function fault(node, text) {
  setText(node, text);
  node.classList.add("fault");
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let left = count;
  while (left >= 999.5 && unit < 4) { left /= 1000; unit += 1; }
  return `${unit > 1 ? left.toFixed(1) : Math.round(left)} ${units[unit]}`;
}

// 12 s, 1:05, 2:03:04; with `digits` also parts of a second.
export function duration(seconds, digits = 0) {
  const whole = Math.max(0, Number(seconds.toFixed(digits)));
  if (whole < 60) return `${whole.toFixed(digits)} s`;
  const last = (whole % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${last}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${last}`;
}

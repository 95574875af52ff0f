// The option fields, built from the server's list of options.
import { $, element, setText } from "./basics.js";

const SHOWN_APART = new Set(["model", "codec", "scale", "height", "size", "provenance", "overwrite"]);

export function buildOptions({ options, models, presets }) {
  buildPresets(options, presets);
  $("o-model").replaceChildren(...models.map((m) => element("option", called(m), { value: m.name })));
  const usual = options.find((o) => o.name === "model").default;
  if (models.some((m) => m.name === usual)) $("o-model").value = usual;
  const codec = options.find((o) => o.name === "codec");
  $("o-codec").replaceChildren(...codec.choices.map((c) => element("option", c, { value: c })));
  $("o-codec").value = codec.default;
  const advise = () => setText($("advice"), models.find((m) => m.name === $("o-model").value)?.advice ?? "");
  $("o-model").onchange = advise;
  advise();
  const groups = new Map();
  for (const option of options.filter((o) => !SHOWN_APART.has(o.name))) {
    if (!groups.has(option.group)) groups.set(option.group, []);
    groups.get(option.group).push(option);
  }
  for (const [name, members] of groups) {
    const set = element("fieldset");
    set.append(element("legend", name), ...members.map(field));
    $("all-options").append(set);
  }
}

export function chosenOptions(options) {
  const known = new Map(options.map((o) => [o.name, o]));
  const values = {};
  for (const input of document.querySelectorAll("[data-option]")) {
    const option = known.get(input.dataset.option);
    let value = option.type === "boolean" ? input.checked : input.value;
    if (value === "") continue;
    if (option.type === "integer" || option.type === "number") value = Number(value);
    if (value !== option.default) values[option.name] = value;
  }
  if ($("size").value) {
    const [name, number] = $("size").value.split(":");
    values[name] = name === "size" ? number : Number(number);
  }
  return values;
}

// A model's purpose comes first, because people choose by it.
function called(model) {
  const [use] = model.advice.split(/[.;:]/);
  return use ? `${use} (${model.name})` : model.name;
}

// A preset replaces every option; "overwrite" is the user's own.
export function buildPresets(options, presets) {
  const select = $("preset");
  for (const old of select.querySelectorAll("optgroup")) old.remove();
  const group = (label, members) => {
    if (!members.length) return;
    const box = element("optgroup", undefined, { label });
    box.append(...members.map((p) => element("option", p.name, { value: p.name })));
    select.append(box);
  };
  group("Material", presets.filter((p) => p.material));
  group("Saved", presets.filter((p) => !p.material));
  select.onchange = () => {
    const chosen = presets.find((p) => p.name === select.value);
    const plain = options.filter((o) => o.name !== "overwrite").map((o) => [o.name, o.default ?? ""]);
    $("size").value = "";
    setOptions(Object.fromEntries(plain), false);
    setOptions(chosen?.options ?? {});
    const listed = Object.entries(chosen?.options ?? {}).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`);
    setText($("preset-text"), listed.join(", "));
    $("o-model").onchange();
  };
}

// Choose a preset whose options the fields already hold.
export function showPreset(name) {
  $("preset").value = name;
  setText($("preset-text"), `Saved as ${name}.`);
}

function setSize(name, value) {
  const wanted = `${name}:${value}`;
  const size = $("size");
  if (![...size.options].some((o) => o.value === wanted)) size.append(element("option", `${name} ${value}`, { value: wanted }));
  size.value = wanted;
}

// Put values into their fields, as if typed.
export function setOptions(values, show = true) {
  for (const [name, value] of Object.entries(values)) {
    if (["scale", "height", "size"].includes(name) && value !== "") setSize(name, value);
    const input = document.querySelector(`[data-option=${name}]`);
    if (!input) continue;
    if (input.tagName === "SELECT" && ![...input.options].some((o) => o.value === String(value))) {
      input.append(element("option", String(value), { value: String(value) }));
    }
    if (input.type === "checkbox") input.checked = value === true;
    else input.value = String(value);
    if (show) input.closest("details")?.setAttribute("open", "");
  }
}

function field(option) {
  const id = `o-${option.name}`;
  const box = element("div", undefined, { class: "option" });
  const title = option.flag.replace(/^--/, "").replaceAll("-", " ");
  const input = option.type === "boolean" ? tick(option, id) : option.choices.length ? choice(option, id) : entry(option, id);
  if (option.type === "boolean") {
    const label = element("label", undefined, { class: "check" });
    label.append(input, element("span", title));
    box.append(label);
  } else {
    box.append(element("label", title, { for: id }), input);
  }
  const help = element("small", option.help, { id: `${id}-help` });
  input.setAttribute("aria-describedby", help.id);
  box.append(help);
  return box;
}

function tick(option, id) {
  const input = element("input", undefined, { type: "checkbox", id, "data-option": option.name });
  input.checked = option.default === true;
  return input;
}

function choice(option, id) {
  const select = element("select", undefined, { id, "data-option": option.name });
  if (option.default === null) select.append(element("option", "not set", { value: "" }));
  for (const value of option.choices) select.append(element("option", value, { value }));
  select.value = option.default ?? "";
  return select;
}

function entry(option, id) {
  const number = option.type === "integer" || option.type === "number";
  const input = element("input", undefined, { id, type: number ? "number" : "text", "data-option": option.name });
  if (number) input.step = option.type === "integer" ? "1" : "any";
  if (option.minimum !== null) input.min = String(option.minimum);
  if (option.maximum !== null) input.max = String(option.maximum);
  if (option.default !== null) input.placeholder = String(option.default);
  return input;
}

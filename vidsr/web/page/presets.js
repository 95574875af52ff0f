// Saving the chosen options as a preset, with a question before one is replaced.
import { $, fault, put, setText } from "./basics.js";
import { buildPresets, chosenOptions, showPreset } from "./options.js";

let about = null;
let replacing = "";

export function setUpPresets(facts) {
  about = facts;
  $("preset-save").onclick = open;
  $("save-close").onclick = () => $("save").close();
  $("save-name").oninput = () => ask("");
  $("save-form").onsubmit = save;
}

function open() {
  const chosen = about.presets.find((p) => p.name === $("preset").value);
  $("save-name").value = chosen && !chosen.material ? chosen.name : "";
  ask("");
  $("save").showModal();
}

// The name that the next click replaces, "" for none.
function ask(name) {
  replacing = name;
  setText($("save-go"), name ? "Replace it" : "Save");
  setText($("save-text"), name ? `A preset named ${name} exists. Replace it?` : "");
}

async function save(event) {
  event.preventDefault();
  const name = $("save-name").value.trim();
  if (replacing !== name && about.presets.some((p) => p.name === name && !p.material)) {
    ask(name);
    return;
  }
  $("save-go").disabled = true;
  try {
    const order = { options: chosenOptions(about.options), overwrite: replacing === name };
    about.presets = await put(`/presets/${encodeURIComponent(name)}`, order);
    buildPresets(about.options, about.presets);
    showPreset(name);
    $("save").close();
  } catch (error) {
    fault($("save-text"), error.message);
  } finally {
    $("save-go").disabled = false;
  }
}

// Models: what each was trained on, how it was calibrated, and what was chosen automatically.

import { get } from "./api.js";
import { facts, h, number } from "./dom.js";

function choices(found) {
  if (!found.length) return null;
  return h("details", {}, h("summary", {}, "How the settings were chosen without labels"), found.map((choice) => h("div", { class: "choice" },
    h("h3", {}, choice.name + (choice.chosen ? `: ${choice.chosen}` : "")), choice.why && h("p", { class: "small" }, choice.why),
    choice.evidence.length ? facts(choice.evidence) : null)));
}

function card(model) {
  return h("article", { class: "card", id: `model-${model.name}` }, h("h2", {}, model.name),
    facts([...Object.entries(model.trained_on), ["modality", model.kind === model.modality ? model.modality : `${model.modality}, ${model.kind}`],
      ["threshold", `${number(model.threshold)} at alpha ${number(model.alpha)}`], ["smallest alpha", number(model.smallest_alpha)],
      ["calibration", `${model.calibration.num_scores.toLocaleString("en")} scores: ${model.calibration.source}`],
      ["preset, seed", `${model.preset}, ${model.seed}`], ["added since", model.times_added ? `${model.times_added} times` : ""],
      ["fingerprint", model.fingerprint.slice(0, 16)], ["made with oddwave", model.package_version]]),
    model.warnings.length ? h("div", {}, h("h3", {}, "Warnings when it was fitted"), h("ul", { class: "notes" }, model.warnings.map((text) => h("li", {}, text)))) : null,
    choices(model.choices));
}

export async function models(main, view) {
  const found = await get("v1/models");
  if (view.isHere()) main.append(...found.map(card));
}

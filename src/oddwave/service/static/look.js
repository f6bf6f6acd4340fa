// Look: files are dropped, scored, and shown by the report's own page.

import { get, query, sendFiles } from "./api.js";
import { h, number, verdictWord } from "./dom.js";

const WANTED = { image: "images", audio: "recordings", series: "tables of series (CSV)" };
const ACCEPTED = { image: "image/*,.npy,.tif,.tiff", audio: "audio/*", series: ".csv,.tsv,.txt,.gz,.parquet,.npy,.npz" };

function field(label, control) {
  return h("label", {}, label, control);
}

export async function look(main, view) {
  const models = await get("v1/models");
  if (!view.isHere()) return;
  const chosen = h("select", { name: "model" }, models.map((model) => h("option", { value: model.name }, `${model.name} (${model.modality})`)));
  const alpha = h("input", { name: "alpha", inputmode: "decimal", placeholder: "as the model", autocomplete: "off" });
  const source = h("input", { name: "source", maxlength: 200, placeholder: "for the history", autocomplete: "off" });
  const keep = h("input", { type: "checkbox", name: "record", checked: true });
  const files = h("input", { type: "file", multiple: true, "aria-label": "Choose files" });
  const words = h("p", {});
  const drop = h("div", { class: "drop" }, words, h("label", { class: "choose" }, "Choose files", files));
  const found = h("section", { class: "stack", "aria-live": "polite" });
  const model = () => models.find((own) => own.name === chosen.value);
  const adapt = () => {
    words.textContent = `Drop ${WANTED[model().modality] || "files"} here, one or several.`;
    files.setAttribute("accept", ACCEPTED[model().modality] || "");
    alpha.setAttribute("aria-label", `False-alarm rate, at least ${number(model().smallest_alpha)}`);
  };
  const send = async (given) => {
    if (!given.length) return;
    found.replaceChildren(h("p", { class: "card" }, `Looking at ${given.length === 1 ? given[0].name : `${given.length} files`} ...`));
    try {
      const path = `v1/models/${encodeURIComponent(chosen.value)}/look?${query({ alpha: alpha.value.replace(",", "."), source: source.value, record: keep.checked, explain: "flagged" })}`;
      const answer = await sendFiles(path, given);
      if (view.isHere()) found.replaceChildren(...shown(answer));
    } catch (error) {
      found.replaceChildren(h("p", { class: "card note", role: "alert" }, `Refused: ${error.message}`));
    }
    files.value = "";
  };
  chosen.addEventListener("change", adapt);
  files.addEventListener("change", () => send([...files.files]));
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); send([...event.dataTransfer.files]); });
  for (const kind of ["dragover", "drop"]) {
    const beside = (event) => event.preventDefault(); // a file dropped beside the frame must not replace the page
    window.addEventListener(kind, beside);
    view.atEnd(() => window.removeEventListener(kind, beside));
  }
  main.append(h("section", { class: "card" }, h("div", { class: "form" }, field("Model", chosen), field("False-alarm rate (alpha)", alpha), field("Source", source)),
    h("p", { class: "small" }, h("label", {}, keep, " Keep what is found in the history")), drop), found);
  adapt();
}

function shown(answer) {
  const lost = answer.items.filter((item) => item.label === -1);
  const odd = answer.items.filter((item) => item.label === 1).length;
  const words = [`${odd} of ${answer.items.length} anomalous`, lost.length ? `, ${lost.length} not judged` : "",
    answer.recorded ? "; kept in the history" : answer.recorded === false ? "; the history could not keep it" : ""].join("");
  if (!answer.report) {
    return [h("section", { class: "card" }, h("h2", {}, "Nothing could be judged"),
      h("ul", {}, answer.items.map((item) => h("li", {}, `${item.id}: ${item.reason || verdictWord(item)}`))))];
  }
  return [h("p", { class: "card row" }, h("strong", { class: odd ? "flag" : "" }, words + "."), h("a", { href: answer.report, target: "_blank", rel: "noopener" }, "Open the report in a tab of its own")),
    h("iframe", { class: "report", src: answer.report, title: "Report of what was found", sandbox: "allow-scripts allow-downloads" })];
}

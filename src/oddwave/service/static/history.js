// History: what was judged, by model, source, time and verdict; how scores went; and what a person says of each.

import { excerpt, get, post, query } from "./api.js";
import { facts, h, moment, number, pValue, tell, verdictWord } from "./dom.js";
import { spark, trend } from "./trend.js";

const SAID = [["real", "Real"], ["false_alarm", "False alarm"], ["unsure", "Unsure"]];
const TIMES = [["", "all time"], ["1", "a day"], ["7", "a week"], ["30", "30 days"], ["90", "90 days"]];

function options(pairs, chosen) {
  return pairs.map(([value, text]) => h("option", { value, selected: value === chosen }, text));
}

export async function history(main, view) {
  const models = await get("v1/models");
  if (!view.isHere()) return;
  const given = (name) => view.given.get(name) || "";
  const controls = {
    model: h("select", {}, options([["", "all"], ...models.map((model) => [model.name, model.name])], given("model"))),
    source: h("input", { value: given("source"), placeholder: "all", autocomplete: "off" }),
    label: h("select", {}, options([["", "all"], ["1", "anomalous"], ["0", "normal"], ["-1", "not judged"]], given("label"))),
    verdict: h("select", {}, options([["", "all"], ["none", "nothing said"], ["any", "something said"], ...SAID], given("verdict"))),
    days: h("select", {}, options(TIMES, given("days") || "30")),
    bucket: h("select", {}, options([["hour", "hour"], ["day", "day"], ["week", "week"]], given("bucket") || "day")),
  };
  const words = { model: "Model", source: "Source", label: "Judged as", verdict: "A person said", days: "Of the last", bucket: "Course by" };
  const course = h("section", { class: "card" });
  const list = h("ul", { class: "items" });
  const more = h("button", { class: "plain", type: "button", hidden: true }, "Older ones");
  main.append(h("form", { class: "card form", role: "search", onsubmit: (event) => event.preventDefault() },
    Object.entries(controls).map(([name, control]) => h("label", {}, words[name], control))), course,
    h("section", { class: "card" }, h("h2", {}, "What was judged"), list, more));
  const wanted = () => ({
    model: controls.model.value, source: controls.source.value, label: controls.label.value, verdict: controls.verdict.value,
    since: controls.days.value ? String(Math.round(Date.now() - 86400000 * Number(controls.days.value))) : "",
  });
  let next = null;
  const page = async (before) => {
    const told = await get(`v1/history?${query({ ...wanted(), before, limit: 25 })}`);
    if (!view.isHere()) return;
    if (!before) list.replaceChildren();
    list.append(...told.items.map(entry));
    if (!list.children.length) list.append(h("li", { class: "small" }, "Nothing was found."));
    next = told.next;
    more.hidden = next === null;
  };
  const draw = async () => {
    const told = await get(`v1/history/trends?${query({ ...wanted(), bucket: controls.bucket.value })}`);
    if (!view.isHere()) return;
    const by = Map.groupBy ? Map.groupBy(told.buckets, (own) => own.model) : grouped(told.buckets);
    course.replaceChildren(h("h2", {}, "Course of the scores"),
      ...[...by].map(([model, buckets]) => h("div", {}, h("h3", {}, model), trend(buckets, told.bucket))),
      by.size ? "" : h("p", { class: "small" }, "There are no scores in this time."));
    await page("");
  };
  for (const control of Object.values(controls)) control.addEventListener("change", () => draw().catch((error) => tell(error.message, true)));
  more.addEventListener("click", () => page(next));
  await draw();
}

function grouped(buckets) {
  const by = new Map();
  for (const own of buckets) by.set(own.model, [...(by.get(own.model) || []), own]);
  return by;
}

function entry(item) {
  const picture = h("div", { class: "shown" });
  if (item.has_excerpt) {
    excerpt(item.id).then((told) => {
      picture.replaceChildren(told.url ? h("img", { src: told.url, alt: `${item.item}, small`, onload: () => URL.revokeObjectURL(told.url) }) : spark(told.values));
    }).catch(() => {});
  }
  const about = h("div", {}, h("p", { class: "name" }, item.item),
    h("p", {}, h("span", { class: item.label === 1 ? "flag" : "muted" }, verdictWord(item)),
      item.label === -1 ? `: ${item.reason}` : `, score ${number(item.score)} (threshold ${number(item.threshold)}), p ${pValue(item.p_value)}`),
    h("p", { class: "small" }, [moment(item.received_ms), item.model, item.source].filter(Boolean).join(" · ")),
    item.num_events > 0 && details(item));
  return h("li", { class: "item" }, picture, about, verdicts(item));
}

function details(item) {
  const inside = h("div", {});
  const shown = h("details", {}, h("summary", {}, `${item.num_events} event${item.num_events === 1 ? "" : "s"}`), inside);
  shown.addEventListener("toggle", async () => {
    if (!shown.open || inside.children.length) return;
    const whole = await get(`v1/history/${item.id}`);
    inside.replaceChildren(...whole.events.map((event) => facts([["from", event.start], ["to", event.end], ["score", number(event.score)],
      ["p", pValue(event.p_value)], ["channel", event.channel], ["what", event.text]])));
  });
  return shown;
}

function verdicts(item) {
  let said = item.verdict;
  const note = h("input", { placeholder: "Note", "aria-label": `Note on ${item.item}`, value: item.note || "", maxlength: 2000 });
  const buttons = SAID.map(([word, text]) => h("button", { class: "plain", type: "button", "aria-pressed": String(said === word), "data-word": word }, text));
  const say = async (word) => {
    try {
      await post(`v1/history/${item.id}/verdict`, { verdict: word, note: note.value });
      said = word === "none" ? null : word;
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.word === said));
      tell(word === "none" ? "Taken back." : "Kept.");
    } catch (error) { tell(error.message, true); }
  };
  for (const button of buttons) button.addEventListener("click", () => say(button.dataset.word === said ? "none" : button.dataset.word));
  note.addEventListener("change", () => { if (said) say(said); });
  return h("div", { class: "verdicts", role: "group", "aria-label": `What ${item.item} really was` }, buttons, note);
}

// Now: each source of each model, its last verdict, how far that is from the threshold, drift, and how busy the model is.

import { get } from "./api.js";
import { ago, h, number, pValue, s, verdictWord } from "./dom.js";

const EVERY_MS = 5000;

function gauge(item) {
  const top = 2 * item.threshold;
  if (!(item.threshold > 0) || item.score === null) return null;
  const at = Math.min(100, Math.max(0, (100 * item.score) / top));
  const label = `score ${number(item.score)}, threshold ${number(item.threshold)}`;
  return h("div", { class: "gauge" }, s("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": label },
    s("rect", { class: "fill", x: 0, y: 0, width: at, height: 10 }), s("path", { class: "mark", d: "M50 0V10" })));
}

function state(item) {
  const tone = { 1: "odd", 0: "well", "-1": "lost" }[item.label];
  return h("article", { class: `card state ${tone}` },
    h("h2", {}, h("span", {}, item.model), h("span", { class: "muted" }, item.source || "no source named")),
    h("p", { class: "word" }, verdictWord(item) + (item.severity ? `, ${item.severity}` : "")),
    gauge(item),
    h("p", {}, item.label === -1 ? item.reason : `Score ${number(item.score)}, threshold ${number(item.threshold)}, p ${pValue(item.p_value)}.`),
    item.num_events > 0 && h("p", {}, `${item.num_events} event${item.num_events === 1 ? "" : "s"} in ${item.item}.`),
    item.drift && h("p", { class: "note" }, item.drift),
    h("p", { class: "small" }, `${item.item}, ${ago(item.received_ms)}; ${item.num_items.toLocaleString("en")} judged in all. `,
      h("a", { href: `#history?model=${encodeURIComponent(item.model)}&source=${encodeURIComponent(item.source)}` }, "History")));
}

function idle(model) {
  return h("article", { class: "card state" }, h("h2", {}, h("span", {}, model.name), h("span", { class: "muted" }, model.modality)),
    h("p", { class: "word" }, "nothing judged yet"), h("p", {}, "Send data to the service, or ", h("a", { href: "#look" }, "have a look"), "."));
}

function fed(stream) {
  const open = stream.open_events;
  return h("article", { class: `card state ${open.length ? "odd" : "well"}` },
    h("h2", {}, h("span", {}, stream.model), h("span", { class: "muted" }, `stream ${stream.name}`)),
    h("p", { class: "word" }, open.length ? `${open.length} open event${open.length === 1 ? "" : "s"}` : "no open event"),
    open.map((event) => h("p", {}, `Since ${event.start_time || `point ${event.start}`}, score ${number(event.score)}, p ${pValue(event.p_value)}.`)),
    stream.drift && h("p", { class: "note" }, stream.drift),
    h("p", { class: "small" }, `${stream.settled_points.toLocaleString("en")} points judged` + (stream.fed_ms ? `, fed ${ago(stream.fed_ms)}.` : ".")));
}

function busy(model) {
  const waiting = model.waiting ? `, ${model.waiting} waiting` : "";
  return h("li", {}, `${model.name}: ${model.in_flight} request${model.in_flight === 1 ? "" : "s"} in progress${waiting}` +
    (model.seconds_each ? `, lately ${number(Math.round(1000 * model.seconds_each))} ms for each` : ""));
}

export async function now(main, view) {
  const place = h("div", {});
  main.append(place);
  const draw = async () => {
    const told = await get("v1/now");
    const health = await get("health");
    if (!view.isHere()) return;
    const known = new Set([...told.sources, ...told.streams].map((item) => item.model));
    const kept = health.history;
    const cards = [...told.streams.map(fed), ...told.sources.sort((a, b) => b.label - a.label || b.received_ms - a.received_ms).map(state),
      ...told.models.filter((model) => !known.has(model.name)).map(idle)];
    place.replaceChildren(
      h("div", { class: "states" }, cards),
      kept && !kept.reachable && h("p", { class: "card note", role: "alert" },
        `The history does not answer; ${kept.spooled} entries wait on the disk and are written later. Scoring goes on.`) || "",
      h("section", { class: "card" }, h("h2", {}, "How busy the models are"), h("ul", {}, told.models.map(busy))));
    place.className = "stack";
  };
  await draw();
  const timer = setInterval(() => { if (!document.hidden) draw().catch(() => {}); }, EVERY_MS);
  view.atEnd(() => clearInterval(timer));
}

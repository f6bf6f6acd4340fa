// The course of scores over hours, days or weeks, drawn as SVG: mean and highest score, threshold, anomalous items.

import { h, number, s } from "./dom.js";

const H = 240, LEFT = 56, RIGHT = 12, TOP = 12, BOTTOM = 46;

export function trend(buckets, bucket) {
  const known = buckets.filter((own) => own.mean_score !== null);
  if (!known.length) return h("p", { class: "small" }, "There are no scores in this time.");
  const W = window.innerWidth < 700 ? 360 : 900;
  const width = { hour: 3.6e6, day: 8.64e7, week: 6.048e8 }[bucket];
  const first = known[0].start_ms, last = Math.max(known[known.length - 1].start_ms, first + width);
  const threshold = known[known.length - 1].threshold;
  const low = Math.min(0, ...known.map((own) => own.mean_score));
  const high = Math.max(...known.map((own) => own.highest_score), threshold ?? -Infinity) * 1.08 || 1;
  const x = (ms) => LEFT + ((ms - first) / (last - first)) * (W - LEFT - RIGHT);
  const y = (value) => TOP + (1 - (value - low) / (high - low || 1)) * (H - TOP - BOTTOM);
  const path = (name) => known.map((own, index) => `${index ? "L" : "M"}${x(own.start_ms).toFixed(1)} ${y(own[name]).toFixed(1)}`).join("");
  const most = Math.max(...known.map((own) => own.num_anomalous), 1);
  const total = known.reduce((sum, own) => sum + own.num_items, 0), odd = known.reduce((sum, own) => sum + own.num_anomalous, 0);
  const ticks = [low, (low + high) / 2, high];
  const dates = known.length === 1 ? [known[0]] : [known[0], known[Math.floor(known.length / 2)], known[known.length - 1]];
  const format = bucket === "hour" ? { dateStyle: "short", timeStyle: "short" } : { dateStyle: "medium" };
  const label = `Scores per ${bucket}: ${total} items, ${odd} anomalous`;
  return h("figure", {},
    s("svg", { class: "trend", viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label },
      ticks.map((value) => [s("path", { class: "grid", d: `M${LEFT} ${y(value)}H${W - RIGHT}` }), s("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, number(value))]),
      known.map((own) => own.num_anomalous > 0 && s("rect", { class: "bar-odd", x: x(own.start_ms) - 2, width: 4, y: H - BOTTOM + 20 - (16 * own.num_anomalous) / most, height: (16 * own.num_anomalous) / most },
        s("title", {}, `${own.num_anomalous} of ${own.num_items} anomalous`))),
      threshold !== null && s("path", { class: "threshold", d: `M${LEFT} ${y(threshold)}H${W - RIGHT}` }),
      s("path", { class: "high", d: path("highest_score") }), s("path", { class: "mean", d: path("mean_score") }),
      known.length < 40 && known.map((own) => s("circle", { class: "dot", cx: x(own.start_ms), cy: y(own.mean_score), r: 3 })),
      dates.map((own, index) => s("text", { x: x(own.start_ms), y: H - 8, "text-anchor": ["start", "middle", "end"][known.length === 1 ? 0 : index] }, new Date(own.start_ms).toLocaleString(undefined, format)))),
    h("figcaption", { class: "legend" }, h("span", {}, h("i", { class: "key key-scored" }), "mean score"), h("span", {}, h("i", { class: "key key-signal" }), "highest score"),
      h("span", {}, h("i", { class: "key key-threshold" }), "threshold"), h("span", {}, h("i", { class: "key key-event" }), "anomalous items"), h("span", {}, label)));
}

export function spark(told) {
  const values = told.values.map((value) => (value === null ? NaN : value));
  const known = values.filter((value) => !Number.isNaN(value));
  const low = Math.min(...known), span = Math.max(...known) - low || 1;
  let pen = "M";
  const d = values.map((value, index) => {
    if (Number.isNaN(value)) { pen = "M"; return ""; }
    const point = `${pen}${((100 * index) / Math.max(1, values.length - 1)).toFixed(2)} ${(38 - (36 * (value - low)) / span).toFixed(2)}`;
    pen = "L";
    return point;
  }).join("");
  const at = (index) => (100 * (index - told.begin)) / told.step / Math.max(1, values.length - 1);
  const event = told.start !== null && s("rect", { x: at(told.start), y: 0, width: Math.max(1.5, at(told.end) - at(told.start)), height: 40 });
  return s("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": `${told.channel} around the event` }, event, s("path", { d }));
}

// Elements without innerHTML: whatever text a file or a client brought stays text.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

export const h = (name, attributes, ...children) => filled(document.createElement(name), attributes, children);
export const s = (name, attributes, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
}

export function number(value) {
  if (value === null || value === undefined) return "n/a";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 0.005)) return value.toExponential(1);
  return value.toLocaleString("en", { maximumFractionDigits: 2 });
}

export function pValue(value) {
  if (value === null || value === undefined) return "n/a";
  return value < 0.0001 ? "< 0.0001" : value.toPrecision(2);
}

export function moment(ms) {
  return new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

export function ago(ms) {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1000));
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const [word, size] = units.find(([, length]) => seconds >= length) || ["second", 1];
  const count = Math.floor(seconds / size);
  return `${count} ${word}${count === 1 ? "" : "s"} ago`;
}

export function verdictWord(item) {
  return { 1: "anomalous", 0: "normal", "-1": "not judged" }[item.label];
}

export function tell(text, wrong = false) {
  const status = document.getElementById("status");
  status.textContent = text;
  status.classList.toggle("wrong", wrong);
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { status.textContent = ""; }, wrong ? 9000 : 3500);
}

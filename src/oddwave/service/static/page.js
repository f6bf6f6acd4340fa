// The page: four views, one at a time, by the address behind #. Read now.js, look.js, history.js, models.js.

import { h, tell } from "./dom.js";
import { now } from "./now.js";
import { look } from "./look.js";
import { history } from "./history.js";
import { models } from "./models.js";

const VIEWS = { now: ["Now", now], look: ["Look", look], history: ["History", history], models: ["Models", models] };
let leave = () => {};

async function show(focus) {
  const [name, rest] = location.hash.slice(1).split("?");
  const [title, view] = VIEWS[name] || VIEWS.now;
  leave();
  const main = document.getElementById("view");
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.hash === `#${VIEWS[name] ? name : "now"}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  tell("");
  document.title = `${title} - oddwave`;
  main.replaceChildren(h("h1", {}, title));
  let here = true;
  const ends = [];
  leave = () => { here = false; ends.forEach((end) => end()); };
  if (focus) main.focus();
  try {
    await view(main, { isHere: () => here, atEnd: (end) => ends.push(end), given: new URLSearchParams(rest || "") });
  } catch (error) {
    if (here) main.append(h("p", { class: "card note", role: "alert" }, `This cannot be shown: ${error.message}`));
  }
  main.dataset.ready = here ? name || "now" : "";
}

window.addEventListener("hashchange", () => show(true));
window.addEventListener("unhandledrejection", (event) => tell(event.reason?.message || "something went wrong", true));
show(false);

"use strict";
/* The contact sheet, one page of thumbnails at a time, and the switches of the detailed views. Text from the data reaches
   the page only through textContent and attributes that hold no code. */
(() => {
  /* -- contact sheet: entries lie in one block of JSON per page and are read when they are needed ------------------ */

  const sheet = document.querySelector("[data-facts]");
  const facts = sheet ? JSON.parse(sheet.dataset.facts) : { total: 0, flagged: 0, size: 1 };
  const blocks = new Map();
  const state = { only: facts.flagged ? "flagged" : "all", wanted: "", page: 0 };

  function entry(index) {
    const block = Math.floor(index / facts.size);
    if (!blocks.has(block)) blocks.set(block, JSON.parse(document.getElementById(`sheet-${block}`).textContent));
    return blocks.get(block)[index % facts.size];
  }

  function chosen() {
    const all = Array.from({ length: state.only === "flagged" ? facts.flagged : facts.total }, (_, index) => index);
    return state.wanted ? all.filter((index) => entry(index).id.toLowerCase().includes(state.wanted)) : all;
  }

  function make(tag, kind, text) {
    const node = document.createElement(tag);
    if (kind) node.className = kind;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function frame(item) {
    const node = make("span", "frame");
    const image = make("img");
    image.src = item.image;
    image.alt = "";
    node.append(image);
    item.boxes.forEach(([left, top, width, height]) => {
      const box = make("span", "box");
      Object.entries({ left, top, width, height }).forEach(([side, share]) => { box.style[side] = `${share}%`; });
      node.append(box);
    });
    return node;
  }

  function thumb(index) {
    const item = entry(index);
    const asRow = index >= facts.thumbnails;
    const place = make("li", asRow ? "wide" : "");
    const node = make(item.view === null ? "div" : "button", `thumb${item.flagged ? " flagged" : ""}${asRow ? " row" : ""}`);
    if (item.view !== null) {
      node.type = "button";
      node.dataset.view = item.view;
    }
    node.title = item.where ? `${item.id}\n${item.where}` : item.id;
    if (!asRow) node.append(item.image ? frame(item) : make("span", "lost", "cannot be shown"));
    const words = make("span", "words");
    words.append(make("span", "name", asRow ? item.id : item.id.split("/").slice(-2).join("/")), make("span", "number", `${item.score}, p ${item.p}`));
    node.append(words);
    place.append(node);
    return place;
  }

  function showSheet() {
    const found = chosen();
    const last = Math.max(0, Math.ceil(found.length / facts.size) - 1);
    state.page = Math.min(Math.max(0, state.page), last);
    const first = state.page * facts.size;
    const page = found.slice(first, first + facts.size);
    sheet.querySelector(".thumbs").replaceChildren(...page.map(thumb));
    const number = (value) => value.toLocaleString("en");
    sheet.querySelector(".status").textContent = page.length
      ? `${number(first + 1)} to ${number(first + page.length)} of ${number(found.length)}` : "no image of that name";
    sheet.querySelectorAll("[data-only]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.only === state.only)));
    sheet.querySelectorAll("[data-turn]").forEach((button) => {
      button.disabled = ["first", "previous"].includes(button.dataset.turn) ? state.page === 0 : state.page === last;
    });
  }

  const TURNS = { first: () => 0, previous: (page) => page - 1, next: (page) => page + 1, last: () => Infinity };

  /* -- detailed views ---------------------------------------------------------------------------------------------- */

  /* Flagged items beyond the first lie in templates until they are asked for, each behind the one before it. */
  function take(view) {
    const template = document.getElementById(`more-${view}`);
    const box = template.content.firstElementChild;
    const shown = [...document.querySelectorAll("#details > .detail")];
    const next = shown.find((other) => Number(other.id.slice("item-".length)) > view);
    document.getElementById("details").insertBefore(box, next || null);
    place(box);
    return box;
  }

  function open(view) {
    const box = document.getElementById(`item-${view}`) || take(Number(view));
    box.open = true;
    box.scrollIntoView({ block: "start" });
    box.querySelector("summary").focus({ preventScroll: true });
  }

  function pointOut(button) {
    const item = button.closest(".detail");
    const wanted = button.getAttribute("aria-pressed") === "true" ? null : button.dataset.region;
    item.querySelectorAll("[data-region]").forEach((other) => other.setAttribute("aria-pressed", String(other.dataset.region === wanted)));
    item.querySelectorAll(".box").forEach((box) => box.classList.toggle("current", box.dataset.rank === wanted));
  }

  function onInput({ target }) {
    if ("find" in target.dataset) {
      Object.assign(state, { wanted: target.value.toLowerCase(), page: 0 });
      return showSheet();
    }
    const viewer = target.closest(".viewer");
    if (!viewer) return;
    if ("layer" in target.dataset) viewer.dataset.layer = target.value;
    if ("sets" in target.dataset) viewer.style.setProperty(target.dataset.sets, target.value / 100);
    if ("boxes" in target.dataset) viewer.querySelector(".boxes").hidden = !target.checked;
  }

  function onClick(event) {
    const target = event.target.closest("button, [data-view]");
    if (!target) return;
    const { only, turn, region } = target.dataset;
    if (only) Object.assign(state, { only, page: 0 });
    if (turn) state.page = TURNS[turn](state.page);
    if (only || turn) return showSheet();
    if (region) return pointOut(target);
    const source = target.closest("[data-view]");
    if (source) open(source.dataset.view);
  }

  /* In the normal version, dragging across the image moves the border between the two. */
  function onDrag(event) {
    const stage = event.target.closest(".viewer[data-layer='normal'] .stage");
    if (!stage || !stage.querySelector(".handle") || !(event.buttons & 1)) return;
    const { left, width } = stage.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - left) / width));
    const viewer = stage.closest(".viewer");
    viewer.style.setProperty("--split", share);
    viewer.querySelector("[data-sets='--split']").value = Math.round(100 * share);
    event.preventDefault();
  }

  /* A box's number stays inside the image. */
  const place = (within) => within.querySelectorAll(".stage .box").forEach((box) => box.classList.toggle("under", parseFloat(box.style.top) < 5));

  if (sheet) showSheet();
  document.querySelectorAll("input[data-layer]:checked").forEach((input) => { input.closest(".viewer").dataset.layer = input.value; }); // after a reload
  place(document);
  document.addEventListener("input", onInput);
  document.addEventListener("click", onClick);
  document.addEventListener("pointerdown", onDrag);
  document.addEventListener("pointermove", onDrag);
})();

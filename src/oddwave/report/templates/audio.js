"use strict";
/* The players of a recording: one plays at a time, a cursor moves over the map with it, and a click into the map plays
   from there, as does the button of an event. Switches, boxes and rows are in items.js. */
(() => {
  const players = (place) => [...place.closest(".recording").querySelectorAll("audio")];
  const LEAD_S = 0.3; // heard before an event
  let playing = null;

  function draw(audio) {
    const stage = audio.closest(".recording").querySelector(".stage");
    const [start, end] = stage.dataset.span.split(" ").map(Number);
    const cursor = stage.querySelector(".cursor");
    cursor.hidden = false;
    cursor.style.setProperty("--at", Math.min(1, audio.currentTime / (end - start)));
  }

  function follow() {
    if (!playing || playing.paused) return;
    draw(playing);
    requestAnimationFrame(follow);
  }

  function onPlay({ target }) {
    if (playing && playing !== target) playing.pause();
    playing = target;
    follow();
  }

  function playFrom(stage, share) {
    const [start, end] = stage.dataset.span.split(" ").map(Number);
    const own = players(stage);
    const audio = own.includes(playing) ? playing : own[0];
    if (!audio) return;
    const seek = () => {
      audio.currentTime = Math.min(1, Math.max(0, share)) * (end - start);
      draw(audio);
      audio.play();
    };
    if (audio.readyState >= 1) return seek();
    audio.addEventListener("loadedmetadata", seek, { once: true });
    audio.preload = "auto";
    audio.load();
  }

  function onClick({ target, clientX }) {
    const stage = target.closest(".recording .stage");
    if (stage) {
      const { left, width } = stage.getBoundingClientRect();
      return playFrom(stage, (clientX - left) / width);
    }
    if (!target.dataset || !("hear" in target.dataset)) return;
    const shown = target.closest(".recording").querySelector(".stage");
    const [start, end] = shown.dataset.span.split(" ").map(Number);
    playFrom(shown, (target.dataset.hear - LEAD_S - start) / (end - start));
  }

  /* Browsers allow only so many players at a time: those of folded recordings load nothing before they are seen. */
  function ready(box) {
    if (box.open) box.querySelectorAll("audio").forEach((audio) => { audio.preload = "metadata"; });
  }

  document.querySelectorAll(".recording").forEach(ready);
  document.addEventListener("toggle", ({ target }) => { if (target.matches(".recording")) ready(target); }, true);
  document.addEventListener("play", onPlay, true);
  document.addEventListener("seeked", ({ target }) => draw(target), true);
  document.addEventListener("click", onClick);
})();

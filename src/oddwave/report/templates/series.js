"use strict";
/* Draws the plots when they come into view, and links rows, buttons and keys to them. Text from the data reaches the
   page only through `plain` or textContent, so that it is never read as markup. */
(() => {
  const FIRST_ROWS = 4;
  const models = new Map(); // plot element -> what is drawn in it
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  const narrow = () => innerWidth < 700;
  const margins = (model) => ({ l: model.score ? (narrow() ? 44 : 56) : 36, r: model.score ? 12 : 4, b: model.score ? 34 : 22,
    t: (written(model)[0] ? 18 : 4) + (model.figure.events.length ? 22 : 0) });
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\$/g, "&#36;");
  const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

  function wash(name, opacity) {
    const digits = colour(name).slice(1);
    const [red, green, blue] = [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
    return `rgba(${red},${green},${blue},${opacity})`;
  }

  function unpack(text) {
    const bytes = Uint8Array.from(atob(text.slice(3)), (letter) => letter.charCodeAt(0));
    return text.startsWith("f4") ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  }

  function load(node) {
    const figure = JSON.parse(document.getElementById(`figure-${node.dataset.figure}`).textContent);
    const x = unpack(figure.x);
    const rows = figure.rows.map((row) => ({
      name: row.name,
      values: unpack(row.values),
      normal: row.normal ? unpack(row.normal) : null,
      missing: row.missing,
    }));
    const half = x.length > 1 ? (x[x.length - 1] - x[0]) / (x.length - 1) / 2 : 0.5;
    const whole = x.length ? [x[0] - half, x[x.length - 1] + half] : [0, 1];
    const order = figure.events.map((_, place) => place).sort((a, b) => figure.events[a].from - figure.events[b].from);
    return { figure, x, rows, whole, order, view: whole, expanded: false, current: -1,
      score: figure.score ? unpack(figure.score) : null };
  }

  /* -- what is visible ---------------------------------------------------------------------------------------- */

  function firstAtOrAfter(x, value) {
    let [low, high] = [0, x.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function rangeOf(arrays, from, to, extra, log) {
    let [low, high] = [Infinity, -Infinity];
    const see = (value) => {
      if (value < low && (!log || value > 0)) low = value;
      if (value > high) high = value;
    };
    for (const values of arrays) for (let at = from; at < to; at += 1) see(values[at]);
    extra.forEach(see);
    if (!(high >= low)) [low, high] = [log ? 0.1 : 0, 1];
    if (log) [low, high] = [Math.log10(low), Math.log10(high)];
    const pad = (high - low || Math.abs(high) || 1) * 0.08;
    return [low - pad, high + pad];
  }

  function visibleRanges(model) {
    const from = Math.max(0, firstAtOrAfter(model.x, model.view[0]) - 1);
    const to = Math.min(model.x.length, firstAtOrAfter(model.x, model.view[1]) + 1);
    const ranges = shownRows(model).map((row) => rangeOf(row.normal ? [row.values, row.normal] : [row.values], from, to, []));
    if (model.score) {
      const { threshold, scale } = model.figure;
      ranges.push(rangeOf([model.score], from, to, threshold === null ? [] : [threshold], scale === "log"));
    }
    return ranges;
  }

  const shownRows = (model) => (model.expanded ? model.rows : model.rows.slice(0, model.score ? FIRST_ROWS : 2));
  const axisName = (place) => (place === 0 ? "yaxis" : `yaxis${place + 1}`);
  const axisRef = (place) => (place === 0 ? "y" : `y${place + 1}`);

  /* -- one figure: channels above, score below, one shared horizontal axis -------------------------------------- */

  function panes(model) {
    const num = shownRows(model).length;
    const single = model.score ? (narrow() ? 190 : 240) : 110;
    const heights = Array(num).fill(num === 1 ? single : model.score ? 104 : 74);
    if (model.score) heights.push(narrow() ? 96 : 110);
    const gap = 16;
    const total = heights.reduce((sum, height) => sum + height, 0) + gap * (heights.length - 1);
    let top = total;
    const domains = heights.map((height) => {
      const domain = [Math.max(0, (top - height) / total), top / total];
      top -= height + gap;
      return domain;
    });
    return { domains, height: total + margins(model).t + margins(model).b };
  }

  function traces(model) {
    const drawn = [];
    const line = (place, y, name, style, format) => drawn.push({
      type: "scatter", mode: "lines", x: model.x, y, name, line: style, xaxis: "x", yaxis: axisRef(place),
      connectgaps: false, hovertemplate: `%{y:${format}}`, zorder: style.width > 2 ? 0 : 1,
    });
    shownRows(model).forEach((row, place) => {
      const label = model.rows.length > 1 ? plain(shorten(row.name, 22)).replace(/%/g, "&#37;") : "data";
      // The normal version lies beneath as a broad band of colour: equal lines stay readable, and a gap shows at once.
      line(place, row.values, label, { color: colour("signal"), width: 1.1 }, ".5~g");
      const normal = model.rows.length > 1 ? "its normal version" : "normal version";
      if (row.normal) line(place, row.normal, normal, { color: wash("normal", 0.7), width: 3 }, ".5~g");
    });
    if (model.score) line(shownRows(model).length, model.score, "score", { color: colour("score"), width: 1.4 }, ".4~g");
    return drawn;
  }

  function shapes(model, domains) {
    const marks = [];
    shownRows(model).forEach((row, place) => row.missing.forEach(([from, to]) => marks.push({
      type: "rect", xref: "x", yref: `${axisRef(place)} domain`, x0: from, x1: to, y0: 0, y1: 1, layer: "below",
      fillcolor: wash("missing", 0.26), line: { width: 0 },
    })));
    model.figure.events.forEach((event) => marks.push({
      type: "rect", xref: "x", yref: "paper", x0: event.from, x1: event.to, y0: 0, y1: 1, layer: "below",
      fillcolor: wash("event", 0.2), line: { width: 1, color: wash("event", 0.75) },
    }));
    if (model.score && model.figure.threshold !== null) {
      marks.push({
        type: "line", xref: "paper", yref: axisRef(domains.length - 1), x0: 0, x1: 1, y0: model.figure.threshold,
        y1: model.figure.threshold, line: { color: colour("event"), width: 1.6, dash: "dash" },
      });
    }
    return marks;
  }

  function written(model) {
    const names = shownRows(model).map((row) => (model.rows.length > 1 || row.name !== "value" ? row.name : ""));
    return model.score ? [...names, model.figure.scale === "log" ? "score (log scale)" : "score"] : names;
  }

  function labels(model, domains) {
    const above = written(model)[0] ? 17 : 2; // the numbers stand above the first channel's name
    const titles = written(model).map((name, place) => ({
      text: plain(shorten(name, narrow() ? 30 : 60)), showarrow: false, xref: "paper", yref: "paper", x: 0, xanchor: "left", y: domains[place][1],
      yanchor: "bottom", yshift: -1, font: { size: 11, color: colour("muted") },
    }));
    const badges = model.figure.events.filter((event) => event.rank <= 20 || model.figure.events.length <= 20).map((event) => ({
      text: String(event.rank), showarrow: false, xref: "x", yref: "paper", x: (event.from + event.to) / 2, y: 1,
      yanchor: "bottom", yshift: above, borderpad: 2, font: { size: 11, color: colour("event-ink") }, bgcolor: colour("event-wash"),
      bordercolor: colour("event"), borderwidth: 1,
    }));
    return [...titles, ...badges];
  }

  function layoutOf(model) {
    const { domains, height } = panes(model);
    const ranges = visibleRanges(model);
    const touch = matchMedia("(pointer: coarse)").matches; // a finger on the plot must still scroll the page
    const layout = {
      height, margin: margins(model), showlegend: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "x unified", hoversubplots: "axis",
      dragmode: touch || !model.score ? false : "zoom", font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("muted") },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") }, namelength: 24 },
      shapes: shapes(model, domains), annotations: labels(model, domains),
      xaxis: {
        type: model.figure.axis === "time" ? "date" : "linear", range: [...model.view], anchor: axisRef(domains.length - 1),
        gridcolor: colour("grid"), linecolor: colour("line"), zeroline: false, nticks: narrow() || !model.score ? 4 : 9, automargin: false,
        hoverformat: model.figure.axis === "time" ? "%Y-%m-%d %H:%M:%S" : ",.10~g", fixedrange: !model.score, separatethousands: true,
        spikethickness: 1, spikedash: "dot", spikecolor: colour("muted"),
      },
    };
    domains.forEach((domain, place) => {
      const log = model.score && place === domains.length - 1 && model.figure.scale === "log";
      layout[axisName(place)] = {
        domain, anchor: "x", range: ranges[place], type: log ? "log" : "linear", fixedrange: true, gridcolor: colour("grid"),
        zeroline: false, nticks: 4, tickfont: { size: 11 }, exponentformat: "SI",
      };
    });
    return layout;
  }

  const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };

  function draw(node) {
    if (!models.has(node)) models.set(node, load(node));
    const model = models.get(node);
    const layout = layoutOf(model);
    node.style.height = `${layout.height}px`;
    const first = !node.classList.contains("drawn");
    Plotly.react(node, traces(model), layout, CONFIG);
    if (!first) return;
    node.classList.add("drawn");
    node.on("plotly_relayout", (change) => {
      if ("xaxis.range[0]" in change) show(node, [change["xaxis.range[0]"], change["xaxis.range[1]"]].map((edge) => toNumber(model, edge)));
    });
    node.on("plotly_doubleclick", () => show(node, model.whole));
  }

  function toNumber(model, edge) {
    if (typeof edge === "number" || model.figure.axis !== "time") return Number(edge);
    return Date.parse(edge.includes(" ") ? `${edge.replace(" ", "T")}Z` : edge);
  }

  /* -- moving about --------------------------------------------------------------------------------------------- */

  function show(node, [from, to]) {
    const model = models.get(node);
    const least = (model.whole[1] - model.whole[0]) / Math.max(2, model.x.length) * 4;
    const width = Math.min(Math.max(to - from, least), model.whole[1] - model.whole[0]);
    const start = Math.min(Math.max((from + to - width) / 2, model.whole[0]), model.whole[1] - width);
    model.view = [start, start + width];
    node.dataset.view = model.view.join(" ");
    const change = { "xaxis.range": [...model.view] }; // a copy: Plotly writes date texts into the array it is given
    visibleRanges(model).forEach((range, place) => { change[`${axisName(place)}.range`] = range; });
    Plotly.relayout(node, change);
  }

  function showEvent(node, place) {
    const model = models.get(node);
    const event = model.figure.events[place];
    const length = event.to - event.from;
    const pad = Math.max(length * 1.2, (model.whole[1] - model.whole[0]) * 0.01);
    model.current = model.order.indexOf(place);
    show(node, [event.from - pad, event.to + pad]);
    say(node, `Event ${event.rank}`);
    document.querySelectorAll(".event-row").forEach((row) => {
      if (row.dataset.section === node.dataset.figure && Number(row.dataset.place) === place) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    });
  }

  function say(node, text) {
    const status = document.querySelector(`.toolbar[data-for="${node.dataset.figure}"] .status`);
    if (status) status.textContent = text;
  }

  function zoomBy(node, factor) {
    const [from, to] = models.get(node).view;
    const pad = ((to - from) * (factor - 1)) / 2;
    show(node, [from - pad, to + pad]);
  }

  function pan(node, share) {
    const [from, to] = models.get(node).view;
    show(node, [from + (to - from) * share, to + (to - from) * share]);
  }

  function step(node, by) {
    const model = models.get(node);
    const count = model.order.length;
    if (!count) return;
    const next = model.current < 0 ? (by > 0 ? 0 : count - 1) : (model.current + by + count) % count;
    showEvent(node, model.order[next]);
  }

  const ACTIONS = {
    whole: (node) => { models.get(node).current = -1; show(node, models.get(node).whole); say(node, ""); },
    previous: (node) => step(node, -1),
    next: (node) => step(node, 1),
    in: (node) => zoomBy(node, 0.5),
    out: (node) => zoomBy(node, 2),
    channels: (node, button) => {
      const model = models.get(node);
      model.expanded = !model.expanded;
      button.setAttribute("aria-pressed", String(model.expanded));
      draw(node);
    },
  };
  const KEYS = {
    ArrowLeft: (node) => pan(node, -0.25), ArrowRight: (node) => pan(node, 0.25),
    "+": (node) => zoomBy(node, 0.5), "=": (node) => zoomBy(node, 0.5), "-": (node) => zoomBy(node, 2), 0: ACTIONS.whole,
  };

  const plotOf = (section) => document.querySelector(`.plot[data-figure="${section}"]`);

  function open(section) {
    const node = plotOf(section);
    if (!node) return null;
    for (let box = node.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    if (!models.has(node)) draw(node);
    document.getElementById(`item-${section}`).scrollIntoView({ block: "start" });
    return node;
  }

  /* -- clicks and keys ------------------------------------------------------------------------------------------- */

  function onClick(event) {
    const target = event.target.closest("button, tr.event-row, tr.stream-row");
    if (!target) return;
    if (target.dataset.act) {
      const node = plotOf(target.closest(".toolbar").dataset.for);
      if (!models.has(node)) draw(node);
      return ACTIONS[target.dataset.act](node, target);
    }
    const source = target.closest("[data-section]");
    if (!source) return;
    const node = open(source.dataset.section);
    if (node && source.dataset.place !== undefined) showEvent(node, Number(source.dataset.place));
  }

  function onKey(event) {
    const node = event.target;
    if (!node.matches(".plot[data-figure]") || !models.has(node) || !(event.key in KEYS) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    KEYS[event.key](node);
  }

  if (typeof Plotly === "undefined") {
    document.getElementById("no-plots").hidden = false;
    return;
  }
  const watcher = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    watcher.unobserve(entry.target);
    draw(entry.target);
  }), { rootMargin: "400px" });
  const plots = document.querySelectorAll(".plot");
  plots.forEach((node) => watcher.observe(node));
  const repaint = () => document.querySelectorAll(".plot.drawn").forEach(draw);
  darkScheme.addEventListener("change", repaint);
  matchMedia("(max-width: 699px)").addEventListener("change", repaint);
  addEventListener("beforeprint", () => plots.forEach((node) => node.offsetParent && draw(node)));
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
})();

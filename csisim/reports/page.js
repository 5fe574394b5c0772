"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const make = (name, words, parent) => {
    const made = document.createElement(name);
    made.textContent = words;
    if (parent) parent.append(made);
    return made;
  };

  const replay = one("#replay");
  if (replay && navigator.clipboard) {
    const copy = make("button", "Copy", replay.parentElement);
    copy.addEventListener("click", () => navigator.clipboard.writeText(replay.textContent).then(() => { copy.textContent = "Copied"; }));
  }

  const list = one("#events details");
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.closest("#events")) { list.open = true; target.hidden = false; target.scrollIntoView({ block: "center" }); }
    else if (target && target.classList.contains("badge")) target.scrollIntoView({ block: "center", inline: "center" });
  };
  addEventListener("hashchange", reveal);
  reveal();

  const events = all(".events > li");
  const search = document.createElement("input");
  search.type = "search";
  search.placeholder = "Search events: pvc-1, fail, DeleteVolume";
  search.size = 42;
  search.setAttribute("aria-label", "Search events");
  const found = document.createElement("span");
  const finder = document.createElement("div");
  finder.className = "tools";
  finder.append(search, found);
  if (list) list.before(finder);
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const hits = new Set();
      for (const line of events) {
        const said = line.textContent.toLowerCase();
        line.hidden = !words.every((word) => said.includes(word));
        if (!line.hidden) hits.add(line.id.slice(1));
      }
      found.textContent = words.length ? `${hits.size} of ${events.length}` : "";
      if (words.length) list.open = true;
      for (const shape of all("#lanes [data-e]")) {
        shape.classList.toggle("dim", words.length > 0 && !shape.dataset.e.split(" ").some((seq) => hits.has(seq)));
      }
    }, 120);
  });

  const lanes = one("#lanes");
  if (!lanes) return;
  const scroll = lanes.parentElement;
  const drawn = Number(lanes.getAttribute("width"));
  let width = drawn;
  const percent = (shape, name) => Number.parseFloat(shape.getAttribute(name));
  const labels = Array.from(lanes.querySelectorAll("text.in"), (label) =>
    [label, percent(label.previousElementSibling, "width"), label.textContent.length * 5 + 6]);
  const marks = ["text.tick", "text.gap", "text.phase"].map((kind) =>
    Array.from(lanes.querySelectorAll(kind), (label) => [label, percent(label, "x"), label.textContent.length * 5.6 + 10]));
  const relabel = () => {
    for (const [label, share, needed] of labels) label.classList.toggle("off", share * width / 100 < needed);
    for (const kind of marks) {
      let free = 0;
      for (const [label, place, needed] of kind) {
        const hidden = place * width / 100 < free;
        label.classList.toggle("off", hidden);
        if (!hidden) free = place * width / 100 + needed;
      }
    }
  };
  const zoom = (wanted, at) => {
    const before = (scroll.scrollLeft + at) / lanes.getBoundingClientRect().width;
    width = Math.min(200000, Math.max(scroll.clientWidth, wanted));
    lanes.style.width = `${width}px`;
    relabel();
    scroll.scrollLeft = before * width - at;
  };
  const tools = document.createElement("div");
  tools.className = "tools";
  const middle = () => scroll.clientWidth / 2;
  for (const [words, act] of [["Zoom in", () => zoom(width * 1.6, middle())], ["Zoom out", () => zoom(width / 1.6, middle())],
    ["Whole run", () => zoom(0, 0)], ["As drawn", () => zoom(drawn, 0)]]) make("button", words, tools).addEventListener("click", act);
  make("span", "Ctrl and wheel zooms; a click pins what is under the pointer", tools);
  scroll.parentElement.before(tools);
  scroll.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(width * (event.deltaY < 0 ? 1.2 : 1 / 1.2), event.clientX - scroll.getBoundingClientRect().left);
  }, { passive: false });

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  for (const title of all("#lanes [data-e] > title")) { title.parentElement.dataset.title = title.textContent; title.remove(); }
  let pinned = false;
  const show = (shape, event) => {
    tip.replaceChildren();
    make("b", shape.dataset.title || "", make("p", "", tip));
    for (const seq of shape.dataset.e.split(" ").slice(0, 6)) {
      const line = document.getElementById(`e${seq}`);
      if (!line) continue;
      const shown = make("p", Array.from(line.querySelectorAll("i"), (cell) => cell.textContent).join("  ") + "  ", tip);
      const value = line.querySelector("p");
      if (value) shown.append(...value.cloneNode(true).childNodes);
    }
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${event.clientY + 18 + box.height < innerHeight ? event.clientY + 18 : Math.max(8, event.clientY - box.height - 12)}px`;
  };
  const hide = () => { tip.hidden = true; pinned = false; };
  const under = (event) => event.target.closest && event.target.closest("[data-e]");
  lanes.addEventListener("mousemove", (event) => { if (pinned) return; const shape = under(event); if (shape) show(shape, event); else hide(); });
  lanes.addEventListener("mouseleave", () => { if (!pinned) hide(); });
  lanes.addEventListener("click", (event) => {
    const shape = under(event);
    if (!shape) { hide(); return; }
    event.preventDefault();
    show(shape, event);
    pinned = true;
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();

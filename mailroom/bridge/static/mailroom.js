"use strict";

// HTTP/1.1 browsers open six connections to a server, and an event stream holds one for good.
// So a tab that nobody looks at gives its stream back; the server sends what it missed at once.
class LiveSource {
  constructor(url) {
    this.url = url;
    this.listeners = [];
    this.turn = () => (document.hidden ? this.rest() : this.open());
    document.addEventListener("visibilitychange", this.turn);
    this.turn();
  }

  get readyState() {
    return this.source ? this.source.readyState : EventSource.CONNECTING;
  }

  open() {
    if (this.source) return;
    this.source = new EventSource(this.url);
    this.source.onopen = (event) => this.onopen && this.onopen(event);
    this.source.onerror = (event) => {
      // The extension makes a new source of one that ended.
      if (this.readyState === EventSource.CLOSED) this.retire();
      if (this.onerror) this.onerror(event);
    };
    for (const [name, listener] of this.listeners) this.source.addEventListener(name, listener);
  }

  rest() {
    if (this.source) this.source.close();
    this.source = null;
  }

  retire() {
    document.removeEventListener("visibilitychange", this.turn);
  }

  close() {
    this.retire();
    this.rest();
  }

  addEventListener(name, listener) {
    this.listeners.push([name, listener]);
    if (this.source) this.source.addEventListener(name, listener);
  }

  removeEventListener(name, listener) {
    this.listeners = this.listeners.filter((known) => known[1] !== listener);
    if (this.source) this.source.removeEventListener(name, listener);
  }
}

htmx.createEventSource = (url) => new LiveSource(url);

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

htmx.onLoad((part) => {
  for (const time of part.querySelectorAll("time[data-local]")) {
    time.textContent = clock.format(new Date(time.dateTime));
  }
  for (const all of part.querySelectorAll("input[data-all]")) {
    all.hidden = false;
    all.checked = areAllChosen(all);
  }
  for (const field of part.querySelectorAll("input[autofocus]")) {
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }
});

// A link or button that is replaced between press and release is not clicked: what is the same
// stays. So does what somebody has opened, and a list of which somebody has chosen something.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, serverResponse } = event.detail;
  if (!target.matches("[hx-trigger^='sse:']")) return;
  const next = document.createElement("template");
  next.innerHTML = serverResponse;
  for (const opened of target.querySelectorAll("details[id][open]")) {
    const same = next.content.getElementById(opened.id);
    if (same) same.open = true;
  }
  const kept = carry(target, next.content);
  event.detail.serverResponse = next.innerHTML;
  const same = next.innerHTML.trim() === target.innerHTML.trim();
  if (same || !kept) event.detail.shouldSwap = false;
});

// Where rows may change under a choice they keep it; one that is not among the new ones keeps all.
function carry(target, next) {
  const chosen = [...target.querySelectorAll("input:checked:not([data-all])")];
  if (!("carries" in target.dataset)) return chosen.length === 0;
  const same = chosen.map((input) => next.getElementById(input.id));
  for (const input of same) if (input) input.setAttribute("checked", "");
  return same.every(Boolean);
}

// The box for all of them says whether they are, also after some are others.
document.addEventListener("change", ({ target }) => {
  if (target.dataset.all) {
    for (const input of rowsOf(target)) input.checked = target.checked;
  } else if (target.form && target.type === "checkbox") {
    for (const all of target.form.querySelectorAll("input[data-all]")) {
      all.checked = areAllChosen(all);
    }
  }
});

function rowsOf(all) {
  const named = `input[type=checkbox][name="${all.dataset.all}"]`;
  return all.form ? [...all.form.querySelectorAll(named)] : [];
}

function areAllChosen(all) {
  const rows = rowsOf(all);
  return rows.length > 0 && rows.every((input) => input.checked);
}

document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  const next = fragment.firstElementChild;
  const key = next && next.dataset.key;
  if (key && key === target.dataset.key) event.detail.shouldSwap = false;
});

function tell(sentence) {
  const notice = document.getElementById("notice");
  if (notice) notice.textContent = sentence;
}

function live(connected) {
  const sign = document.querySelector(".offline");
  if (sign) sign.textContent = connected ? "" : "Not connected";
}

document.addEventListener("htmx:sseError", () => live(false));
document.addEventListener("htmx:sseOpen", () => live(true));
document.addEventListener("htmx:sendError", () => tell("Mailroom can't be reached; try again."));
document.addEventListener("htmx:responseError", () => tell("That failed here; the log says why."));

"use strict";

// Each chart is drawn from the table beneath it: one source for those who see it and for those
// who read it.
const HEIGHT = 200;
const dark = matchMedia("(prefers-color-scheme: dark)");
const plots = new Map();
// As the states of messages look elsewhere.
const STATES = { delivered: "--sent", deferred: "--waiting", bounced: "--failed" };

function numbers(table) {
  const rows = [...table.tBodies[0].rows].reverse();
  return [...table.tHead.rows[0].cells].map((_, column) =>
    rows.map((row) => (column ? value(row.cells[column]) : moment(row.cells[0]) / 1000)),
  );
}

function moment(cell) {
  const time = cell.querySelector("time");
  return Date.parse(time ? time.dateTime : cell.textContent);
}

function value(cell) {
  return cell.textContent === "" ? null : Number(cell.textContent);
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axis(more) {
  return { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, ...more };
}

function options(table, width, data) {
  const whole = data.flat().every((one) => one === null || Number.isInteger(one));
  const times = "times" in table.dataset;
  const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  return {
    width,
    height: HEIGHT,
    tzDate: (seconds) => (times ? new Date(seconds * 1000) : uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC")),
    cursor: { drag: { x: false, y: false } },
    // Around a single point uPlot itself would draw years.
    scales: { x: { range: (plot, first, last) => (plot.data[0].length === 1 ? [plot.data[0][0] - 3600, plot.data[0][0] + 3600] : [first, last]) }, y: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.1] } },
    axes: [
      axis(times ? { size: 44 } : { size: 32, values: days }),
      axis({ size: 56, values: (_, ticks) => ticks.map((tick) => (whole && tick % 1 ? "" : compact.format(tick))) }),
    ],
    series: [
      times
        ? { label: "at", value: (_, seconds) => (seconds === null ? "" : hour.format(new Date(seconds * 1000))) }
        : { label: "day", value: (_, seconds) => (seconds === null ? "" : iso(seconds)) },
      ...names.map((label, n) => ({
        label,
        stroke: color(STATES[label] ?? `--line-${n + 1}`),
        width: 2,
        dash: n ? [6, 2 * n] : [],
        spanGaps: true,
        points: { show: table.tBodies[0].rows.length < 40, size: 5 },
      })),
    ],
  };
}

const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 2 });
const hour = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const dayMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });

// A tick between two days says nothing; nor does one between two mails, above.
function days(_, ticks) {
  return ticks.map((seconds) => (seconds % 86400 ? "" : dayMonth.format(new Date(seconds * 1000))));
}

function iso(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

function draw(section) {
  const table = section.querySelector("details table");
  const place = section.querySelector(".plot");
  const known = plots.get(place);
  if (known) known.destroy();
  const data = numbers(table);
  plots.set(place, new uPlot(options(table, place.clientWidth, data), data, place));
}

function drawAll() {
  document.querySelectorAll(".chart").forEach(draw);
}

const widths = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const plot = plots.get(target);
    if (plot && plot.width !== contentRect.width) plot.setSize({ width: contentRect.width, height: HEIGHT });
  }
});

// A table that is asked for anew has newer points.
document.addEventListener("htmx:afterSwap", (event) => {
  const section = event.target.closest(".chart");
  const plot = section && plots.get(section.querySelector(".plot"));
  if (plot) plot.setData(numbers(section.querySelector("details table")));
});

drawAll();
document.querySelectorAll(".plot").forEach((place) => widths.observe(place));
dark.addEventListener("change", drawAll);

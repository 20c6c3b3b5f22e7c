/**
 * Draws what the benchmark found: a row per measure, a dot per peer, on one axis
 * of how fast each is against the base of its measure. Further right is better.
 * Below it, what one command costs when there are more and more at a time: level
 * is what it should be.
 *
 *     node test/bench/plot.mjs result.json >result.svg
 *
 * @module
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const WIDTH = 920;
const LEFT = 396;
const RIGHT = 30;
const TOP = 96;
const ROW = 30;
const CURVE = 170;
const TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** What is drawn of whom; Limpet last, so that it lies on top. */
const STYLES = [
  ["bare relay", "#8a8f98", "bare relay"],
  ["bare TLS relay", "#8a8f98", ""],
  ["OpenSSH", "#c2792b", "OpenSSH"],
  ["ssh2 to sshd", "#3a7ca8", "ssh2 to sshd"],
  ["ssh2 to ssh2", "#7fb2d1", "ssh2 to ssh2"],
  ["dev-tunnels-ssh", "#9a6fb0", "dev-tunnels-ssh"],
  ["limpet (Deno)", "#83c092", "Limpet on Deno"],
  ["limpet", "#1f7a3d", "Limpet"],
];

/** @param {any} result */
export function plot(result) {
  const measures = result.measures.filter((/** @type {any} */ measure) =>
    measure.base !== null && measure.base !== "itself"
  );
  const curves = result.measures.filter((/** @type {any} */ { rows }) =>
    rows.some((/** @type {any} */ row) => row.curve !== undefined)
  );
  const bottom = TOP + ROW * measures.length + 10;
  const height = bottom + 40 + CURVE * curves.length;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
    `font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(16, 26, "How fast, against the base of each row", "start", 16),
    text(
      16,
      46,
      `${result.date}, ${result.machine}, Node ${result.versions.node}`,
    ),
  ];
  let x = 16;
  for (const [, colour, label] of STYLES) {
    if (label === "") continue;
    parts.push(`<circle cx="${x + 5}" cy="68" r="5" fill="${colour}"/>`);
    parts.push(text(x + 14, 72, label));
    x += 30 + label.length * 6.6;
  }
  for (const tick of TICKS) {
    const at = position(tick);
    const dashes = tick === 1 ? "" : ` stroke-dasharray="2 4"`;
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${TOP - 8}" y2="${bottom}" ` +
        `stroke="#b5bac2"${dashes}/>`,
      text(at, bottom + 18, `${tick}×`, "middle"),
    );
  }
  measures.forEach((/** @type {any} */ measure, /** @type {number} */ i) => {
    const y = TOP + ROW * i + ROW / 2;
    parts.push(text(LEFT - 12, y + 4, measure.title, "end"));
    for (const [peer, colour] of STYLES) {
      const row = measure.rows.find((/** @type {any} */ each) =>
        each.peer === peer
      );
      if (row?.ratio == null) continue;
      const speed = measure.better === "higher" ? row.ratio : 1 / row.ratio;
      const radius = peer === "limpet" ? 7 : 5;
      parts.push(
        `<circle cx="${position(speed)}" cy="${y}" r="${radius}" ` +
          `fill="${colour}"><title>${escape(`${peer}: ${speed.toFixed(2)}`)}` +
          "</title></circle>",
      );
    }
  });
  curves.forEach((/** @type {any} */ measure, /** @type {number} */ i) => {
    parts.push(...curvesOf(measure, bottom + 50 + CURVE * i));
  });
  return `${[...parts, "</svg>"].join("\n")}\n`;
}

/**
 * What one costs, against what it costs alone.
 *
 * @param {any} measure
 * @param {number} top
 */
function curvesOf(measure, top) {
  const bottom = top + CURVE - 60;
  const parts = [text(LEFT - 12, top + 14, measure.title, "end")];
  /** @type {[string, string, [number, number][]][]} */
  const lines = STYLES.flatMap(([peer, colour]) => {
    const row = measure.rows.find((/** @type {any} */ { peer: name }) =>
      name === peer
    );
    return row?.curve === undefined ? [] : [[peer, colour, row.curve]];
  });
  const costs = lines.flatMap(([, , curve]) =>
    curve.map(([, cost]) => cost / curve[0][1])
  );
  const most = Math.max(2, ...costs);
  const largest = Math.max(
    ...lines.map(([, , curve]) => curve[curve.length - 1][0]),
  );
  const across = (/** @type {number} */ number) =>
    round(
      LEFT + Math.log(number) / Math.log(largest) * (WIDTH - LEFT - RIGHT - 30),
    );
  const up = (/** @type {number} */ cost) =>
    round(bottom - cost / most * (bottom - top));
  for (let cost = 0; cost <= most; cost++) {
    parts.push(
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${up(cost)}" ` +
        `y2="${up(cost)}" stroke="#b5bac2" stroke-dasharray="2 4"/>`,
      text(WIDTH - RIGHT + 4, up(cost) + 4, `${cost}×`),
    );
  }
  for (let number = 1; number <= largest; number *= 10) {
    parts.push(text(across(number), bottom + 18, String(number), "middle"));
  }
  for (const [peer, colour, curve] of lines) {
    const points = curve.map(([number, cost]) =>
      `${across(number)},${up(cost / curve[0][1])}`
    );
    parts.push(
      `<polyline points="${points.join(" ")}" fill="none" ` +
        `stroke="${colour}" stroke-width="2"><title>${
          escape(peer)
        }</title></polyline>`,
    );
  }
  return parts;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/** @param {number} speed */
function position(speed) {
  const [low, high] = [TICKS[0], TICKS[TICKS.length - 1]].map(Math.log);
  const inside = Math.min(Math.max(Math.log(speed), low), high);
  const part = (inside - low) / (high - low);
  return round(LEFT + part * (WIDTH - LEFT - RIGHT));
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} words
 */
function text(x, y, words, anchor = "start", size = 13) {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="${size}" ` +
    `fill="#24292f">${escape(words)}</text>`;
}

/** @param {string} words */
function escape(words) {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll("`", "");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file] = process.argv.slice(2);
  if (file === undefined) {
    console.error("limpet: name the JSON file of a benchmark to draw");
    process.exit(2);
  }
  process.stdout.write(plot(JSON.parse(readFileSync(file, "utf8"))));
}

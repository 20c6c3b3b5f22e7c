/**
 * Draws what the benchmark found: a row per measure, a dot per peer, on one axis
 * of how fast each is against the base of its measure. Further right is better.
 *
 *     node test/bench/plot.mjs result.json >result.svg
 *
 * @module
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const WIDTH = 860;
const LEFT = 330;
const RIGHT = 30;
const TOP = 96;
const ROW = 30;
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
  const height = TOP + ROW * measures.length + 50;
  const bottom = height - 40;
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
  return `${[...parts, "</svg>"].join("\n")}\n`;
}

/** @param {number} speed */
function position(speed) {
  const [low, high] = [TICKS[0], TICKS[TICKS.length - 1]].map(Math.log);
  const inside = Math.min(Math.max(Math.log(speed), low), high);
  const part = (inside - low) / (high - low);
  return Math.round((LEFT + part * (WIDTH - LEFT - RIGHT)) * 10) / 10;
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

/**
 * From figures to a table: a round's ratio is the median of its turns', and the
 * table has the median of the rounds' with their spread, and whether Limpet is
 * where it should be.
 *
 * @module
 */

import { median } from "./measures.mjs";
import { microLines } from "./micro.mjs";

/** @type {Record<string, string>} */
const COMPARED = {
  spawn: ", against the local spawn",
  relay: ", against the bare relay",
  OpenSSH: ", against OpenSSH",
  trip: ", in round trips",
  itself: "",
};

/** What a round trip of the slow line takes, in milliseconds. */
const TRIP_MS = 50;

/**
 * @typedef {object} Row
 * @property {string} peer
 * @property {number} figure median, in the measure's unit
 * @property {number | null} ratio median; null without anything to compare with
 * @property {number | null} low of the ratios
 * @property {number | null} high
 * @property {[number, number][]} [curve] of the last round
 * @property {string[]} [failures] why each turn that is in none of these failed
 * @property {number} [target] for Limpet
 * @property {boolean} [met]
 * @property {number} [by] how far on the one side or the other, as a part of the
 * target
 */

/**
 * @typedef {object} Found by measure and peer
 * @property {Record<string, Record<string, (number | null)[][]>>} figures of each
 * round's turns; null for one that failed
 * @property {Record<string, Record<string, [number, number][]>>} curves
 * @property {Record<string, Record<string, string[]>>} failures
 *
 * @param {import("./measures.mjs").Measure[]} measures
 * @param {import("./peers.mjs").Peer[]} peers
 * @param {Found} found
 */
export function summarise(measures, peers, found) {
  return measures.map((measure) => {
    const of = found.figures[measure.id] ?? {};
    const rows = peers.filter(({ name }) => name in of).map((peer) => {
      const curve = found.curves[measure.id]?.[peer.name];
      const failures = found.failures[measure.id]?.[peer.name];
      return {
        ...row(measure, peer, peers, of),
        ...(curve && { curve }),
        ...(failures && { failures }),
      };
    });
    const { id, title, unit, base, better } = measure;
    return { id, title, unit, base, better, rows };
  });
}

/**
 * @param {import("./measures.mjs").Measure} measure
 * @param {import("./peers.mjs").Peer} peer
 * @param {import("./peers.mjs").Peer[]} peers
 * @param {Record<string, (number | null)[][]>} of
 * @returns {Row}
 */
function row({ base, better, target }, peer, peers, of) {
  const own = of[peer.name];
  const other = of[baseOf(base, peer, peers) ?? ""];
  const ratios = own.flatMap((turns, round) =>
    medians(turns.map((figure, turn) => {
      const compared = base === "trip" ? TRIP_MS : other?.[round]?.[turn];
      if (figure === null || compared == null) return null;
      return better === "higher" ? compared / figure : figure / compared;
    }))
  );
  const good = own.flatMap(medians);
  const ratio = ratios.length === 0 ? null : median(ratios);
  const due = peer.kind === "limpet"
    ? target?.[peer.tls ? "tls" : "plain"]
    : undefined;
  // Without a base the figure is what has a target.
  const judged = (base === null || base === "itself") && good.length > 0
    ? median(good)
    : ratio;
  return {
    peer: peer.name,
    figure: good.length === 0 ? NaN : median(good),
    ratio,
    low: ratio === null ? null : Math.min(...ratios),
    high: ratio === null ? null : Math.max(...ratios),
    ...(due === undefined || Number.isNaN(due) || judged === null ? {} : {
      target: due,
      met: better === "higher" ? judged >= due : judged <= due,
      by: Math.abs(judged - due) / due,
    }),
  };
}

/**
 * @param {(number | null)[]} turns
 * @returns {number[]} the median of those that did not fail, or nothing
 */
function medians(turns) {
  const good = turns.filter((figure) => figure !== null);
  return good.length === 0 ? [] : [median(good)];
}

/**
 * @param {import("./measures.mjs").Measure["base"]} base
 * @param {import("./peers.mjs").Peer} peer
 * @param {import("./peers.mjs").Peer[]} peers
 * @returns {string | undefined} its name
 */
function baseOf(base, peer, peers) {
  /** @type {Record<string, string>} */
  const names = {
    spawn: "local spawn",
    relay: peer.tls ? "bare TLS relay" : "bare relay",
    OpenSSH: "OpenSSH",
  };
  const named = names[base ?? ""];
  if (named === undefined) return undefined;
  const suffixed = peer.runtime === "deno" ? `${named} (Deno)` : named;
  return peers.some(({ name }) => name === suffixed) ? suffixed : named;
}

/**
 * For a terminal of 80 columns.
 *
 * @param {any} result
 * @returns {string}
 */
export function report(result) {
  const { machine, rounds, size } = result;
  const lines = [
    `${result.date}, ${machine}`,
    versionsOf(result),
    `${rounds} rounds; ${size.bytes / 2 ** 20} MiB, ${size.count} commands`,
  ];
  for (const { name, reason } of result.missing) {
    lines.push(`not measured: ${name} (${reason})`);
  }
  for (const { title, unit, base, rows } of result.measures) {
    const of = base === null ? "" : COMPARED[base];
    lines.push("", `${title}${of}`);
    for (const each of rows) {
      lines.push(line(each, unit), ...failureLines(each));
    }
  }
  if (result.micro !== undefined) lines.push(...microLines(result.micro));
  const judged = result.measures.flatMap((/** @type {any} */ { rows }) =>
    rows.filter((/** @type {Row} */ { met }) => met !== undefined)
  );
  const met = judged.filter((/** @type {Row} */ { met }) => met).length;
  lines.push("", `${met} of ${judged.length} targets met`);
  const failed = failedTurns(result);
  if (failed > 0) lines.push(`${failed} turns failed and are in no figure`);
  return `${lines.join("\n")}\n`;
}

/**
 * How many turns failed.
 *
 * @param {any} result
 * @returns {number}
 */
export function failedTurns({ measures }) {
  return measures.flatMap((/** @type {any} */ { rows }) =>
    rows.flatMap((/** @type {Row} */ { failures = [] }) => failures)
  ).length;
}

/**
 * Each reason once, and how often.
 *
 * @param {Row} row
 * @returns {string[]}
 */
function failureLines({ failures = [] }) {
  return [...new Set(failures)].map((reason) => {
    const times = failures.filter((each) => each === reason).length;
    return `    failed ${times === 1 ? "once" : `${times} times`}: ${reason}`;
  });
}

/** @param {any} result */
export function versionsOf({ versions: { node, deno, openssh } }) {
  const others = [deno?.replace(/ \(.*/, ""), openssh?.replace(/[ ,].*/, "")];
  return [`Node ${node}`, ...others.filter(Boolean)].join(", ");
}

/**
 * @param {Row} row
 * @param {string} unit
 */
function line({ peer, figure, ratio, low, high, target, met, by = 0 }, unit) {
  const compared = ratio === null
    ? ""
    : `${short(ratio).padStart(6)}  ${short(low ?? 0)} to ${short(high ?? 0)}`;
  const verdict = target === undefined
    ? ""
    : `${met ? "met" : "MISSED"} ${target} by ${Math.round(by * 100)} %`;
  return `  ${peer.padEnd(22)}${short(figure).padStart(7)} ${unit.padEnd(4)}${
    compared.padEnd(23)
  }${verdict}`.trimEnd();
}

/** @param {number} value three digits of it, whatever its size */
export function short(value) {
  if (Number.isNaN(value)) return "failed";
  return value >= 1_000 ? value.toFixed(0) : value.toPrecision(3);
}

/**
 * From figures to a table: medians of the ratios of each round, their spread, and
 * whether Limpet is where it should be.
 *
 * @module
 */

import { median } from "./measures.mjs";

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
 * @property {number} low of the ratios
 * @property {number} high
 * @property {number} [target] for Limpet
 * @property {boolean} [met]
 */

/**
 * @param {import("./measures.mjs").Measure[]} measures
 * @param {import("./peers.mjs").Peer[]} peers
 * @param {Record<string, Record<string, (number | null)[]>>} figures
 */
export function summarise(measures, peers, figures) {
  return measures.map((measure) => {
    const of = figures[measure.id] ?? {};
    const rows = peers.filter(({ name }) => name in of).map((peer) =>
      row(measure, peer, peers, of)
    );
    const { id, title, unit, base, better } = measure;
    return { id, title, unit, base, better, rows };
  });
}

/**
 * @param {import("./measures.mjs").Measure} measure
 * @param {import("./peers.mjs").Peer} peer
 * @param {import("./peers.mjs").Peer[]} peers
 * @param {Record<string, (number | null)[]>} of
 * @returns {Row}
 */
function row({ base, better, target }, peer, peers, of) {
  const own = of[peer.name];
  const other = base === "trip"
    ? own.map(() => TRIP_MS)
    : of[baseOf(base, peer, peers) ?? ""];
  const ratios = own.flatMap((figure, round) => {
    const compared = other?.[round] ?? null;
    if (figure === null || compared === null) return [];
    return [better === "higher" ? compared / figure : figure / compared];
  });
  const good = own.filter((figure) => figure !== null);
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
    low: Math.min(...ratios),
    high: Math.max(...ratios),
    ...(due === undefined || Number.isNaN(due) || judged === null ? {} : {
      target: due,
      met: better === "higher" ? judged >= due : judged <= due,
    }),
  };
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
 * @param {any} result
 * @returns {string}
 */
export function report(result) {
  const { date, machine, versions, rounds, size } = result;
  const lines = [
    `${date}, ${machine}; Node ${versions.node}, ${versions.deno}, ` +
    `${versions.openssh}`,
    `${rounds} rounds; ${size.bytes / 2 ** 20} MiB, ${size.count} commands`,
  ];
  for (const { name, reason } of result.missing) {
    lines.push(`not measured: ${name} (${reason})`);
  }
  for (const { title, unit, base, rows } of result.measures) {
    const of = base === null ? "" : COMPARED[base];
    lines.push("", `${title}${of}`);
    for (const each of rows) lines.push(line(each, unit));
  }
  return `${lines.join("\n")}\n`;
}

/**
 * @param {Row} row
 * @param {string} unit
 */
function line({ peer, figure, ratio, low, high, target, met }, unit) {
  const compared = ratio === null
    ? "".padEnd(24)
    : `${ratio.toFixed(2).padStart(8)}  (${low.toFixed(2)} to ${
      high.toFixed(2)
    })`.padEnd(28);
  const verdict = target === undefined
    ? ""
    : `${met ? "met" : "MISSED"} (${target})`;
  return `  ${peer.padEnd(24)}${figure.toPrecision(3).padStart(10)} ${
    unit.padEnd(3)
  }${compared}${verdict}`.trimEnd();
}

/**
 * Writes what the benchmark found into the performance sections of README.md and
 * README.zh-CN.md, and its plot beside this file.
 *
 *     npm run bench -- --json test/bench/result.json
 *     node test/bench/readme.mjs
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { plot } from "./plot.mjs";
import { failedTurns, short, versionsOf } from "./report.mjs";
import { binary, root } from "./set_up.mjs";

const BEGIN = "<!-- The benchmark writes what follows. -->";
const END = "<!-- So far. -->";

/** A column each: the peer, or two where one has no figure of some measures. */
const COLUMNS = [
  "limpet",
  "limpet TLS",
  "limpet (Deno)",
  "OpenSSH",
  "ssh2 to sshd",
  "dev-tunnels-ssh",
];

const WORDS = {
  en: {
    file: "README.md",
    title: "## Performance",
    work: "work",
    base: "in terms of",
    /** @type {Record<string, string>} */
    bases: {
      spawn: "local spawn",
      relay: "bare relay",
      OpenSSH: "OpenSSH",
      trip: "round trips",
    },
    intro: (/** @type {any} */ result) =>
      `Measured by \`npm run bench\` on ${result.date}: ${result.machine}, ` +
      `${versionsOf(result)}; ${
        result.rounds === 1 ? "one round" : `medians of ${result.rounds} rounds`
      }. Each figure is ` +
      "a ratio to what the same machine does without Limpet in the same round, " +
      "or has its unit. Of rates (↑) more is better, of the others less. To " +
      `start a process and see its end takes ${spawnMs(result)} ms there.`,
    missed: (/** @type {number} */ count, /** @type {number} */ all) =>
      count === 0
        ? `All ${all} targets are met.`
        : `**Bold** is what misses its target (${count} of ${all}, of which some ` +
          "are not shown here): the benchmark prints by how much.",
    missing: (/** @type {string} */ names) => `Not installed: ${names}.`,
    failed: (/** @type {number} */ count) =>
      `Turns that failed, and are in no figure: ${count}.`,
    plot: "The same as a picture",
  },
  zh: {
    file: "README.zh-CN.md",
    title: "## 性能",
    work: "工作",
    base: "相对于",
    /** @type {Record<string, string>} */
    bases: {
      spawn: "本地启动进程",
      relay: "裸转发",
      OpenSSH: "OpenSSH",
      trip: "往返次数",
    },
    intro: (/** @type {any} */ result) =>
      `由 \`npm run bench\` 于 ${result.date} 测得：${result.machine}，` +
      `${versionsOf(result)}；${
        result.rounds === 1 ? "一轮" : `取 ${result.rounds} 轮的中位数`
      }。每个数字都是与同一轮中` +
      "同一台机器不用 Limpet 时的比值，或者带有单位。速率（↑）越大越好，其余越小越好。" +
      `在该机器上启动一个进程并等到它结束需要 ${spawnMs(result)} 毫秒。`,
    missed: (/** @type {number} */ count, /** @type {number} */ all) =>
      count === 0
        ? `全部 ${all} 个目标均已达到。`
        : `**粗体**为未达到的目标（共 ${all} 个，其中 ${count} 个未达到，部分未列出）：` +
          "基准测试会打印相差多少。",
    missing: (/** @type {string} */ names) => `未安装：${names}。`,
    failed: (/** @type {number} */ count) =>
      `失败且未计入任何数字的轮次：${count}。`,
    plot: "图示",
  },
};

/**
 * What a command cannot go below: machines differ in that most of all.
 *
 * @param {any} result
 */
function spawnMs({ measures }) {
  const { rows } = measures.find((/** @type {any} */ { id }) => id === "true");
  const spawn = rows.find((/** @type {any} */ { peer }) =>
    peer === "local spawn"
  );
  return short(spawn.figure);
}

/**
 * @param {any} result
 * @param {typeof WORDS.en} words
 */
export function section(result, words) {
  const peers = COLUMNS.filter((name) =>
    result.measures.some((/** @type {any} */ { rows }) =>
      rows.some((/** @type {any} */ { peer }) => peer === name)
    )
  );
  const rows = result.measures.map((/** @type {any} */ measure) => {
    const { title, unit, base, better } = measure;
    const arrow = better === "higher" ? " ↑" : "";
    const against = words.bases[base ?? ""] ?? unit;
    const cells = peers.map((name) => cell(measure, name));
    return `| ${[title + arrow, against, ...cells].join(" | ")} |`;
  });
  const judged = result.measures.flatMap((/** @type {any} */ { rows }) =>
    rows.filter((/** @type {any} */ { met }) => typeof met === "boolean")
  );
  const missed = judged.filter((/** @type {any} */ { met }) => !met);
  const missing = result.missing.map((/** @type {any} */ { name }) => name);
  const failed = failedTurns(result);
  return [
    words.intro(result),
    "",
    `| ${[words.work, words.base, ...peers].join(" | ")} |`,
    `| ${["---", "---", ...peers.map(() => "---:")].join(" | ")} |`,
    ...rows,
    "",
    words.missed(missed.length, judged.length),
    ...(missing.length === 0 ? [] : [words.missing(missing.join(", "))]),
    ...(failed === 0 ? [] : [words.failed(failed)]),
    "",
    `![${words.plot}](test/bench/result.svg)`,
  ].join("\n");
}

/**
 * @param {any} measure
 * @param {string} peer
 */
function cell({ rows, base }, peer) {
  const row = rows.find((/** @type {any} */ each) => each.peer === peer);
  if (row === undefined || row.figure === null) return "–";
  const compared = base !== null && base !== "itself" && row.ratio !== null;
  const shown = short(compared ? row.ratio : row.figure);
  return row.met === false ? `**${shown}**` : shown;
}

/**
 * @param {string} page
 * @param {string} title of the section, which is made before the last if need be
 * @param {string} text
 */
export function replaceSection(page, title, text) {
  const whole = `${title}\n\n${BEGIN}\n\n${text}\n\n${END}\n\n`;
  const begin = page.indexOf(`${title}\n`);
  if (begin < 0) {
    const last = page.lastIndexOf("\n## ") + 1;
    return page.slice(0, last) + whole + page.slice(last);
  }
  const end = page.indexOf(END, begin);
  if (end < 0) throw new Error(`There is no "${END}" below "${title}"`);
  return page.slice(0, begin) + whole.trimEnd() + page.slice(end + END.length);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = process.argv[2] ?? join(root, "test", "bench", "result.json");
  if (!existsSync(file)) {
    console.error(
      `limpet: there is no ${file}: npm run bench -- --json ${file} makes it`,
    );
    process.exit(2);
  }
  const result = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(join(root, "test", "bench", "result.svg"), plot(result));
  const pages = [];
  for (const words of [WORDS.en, WORDS.zh]) {
    const page = join(root, words.file);
    const text = readFileSync(page, "utf8");
    writeFileSync(
      page,
      replaceSection(text, words.title, section(result, words)),
    );
    pages.push(page);
  }
  // Tables as wide as they are, lines as long as elsewhere.
  const { status } = spawnSync(binary("@deno", ["deno"]), ["fmt", ...pages], {
    stdio: ["ignore", 2, 2],
    cwd: root,
  });
  process.exitCode = status ?? 1;
}

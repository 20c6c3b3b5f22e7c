/**
 * Fuzzing by hand, for as long as you like:
 *
 *     npm run fuzz -- --target server --cases 1000000
 *     deno task fuzz --target client --seed 7 --case 1234
 *     bun test/fuzz/start.mjs --target raw-server --minutes 5
 *
 * Without `--target` it takes all of them in turn; without `--seed`, a new one.
 * With `--minutes` it runs each for so long, unless `--cases` come first. The
 * exit status is 1 if something was found.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { fuzz, report, type TargetName, TARGETS } from "./run.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    seed: { type: "string" },
    cases: { type: "string" },
    minutes: { type: "string" },
    case: { type: "string" },
  },
});
const names = Object.keys(TARGETS) as TargetName[];
const chosen = names.filter((name) => name === (values.target ?? name));
if (chosen.length === 0) {
  fail(`--target ${values.target} is none of ${names.join(", ")}`);
}
const seed = values.seed === undefined
  ? crypto.getRandomValues(new Uint32Array(1))[0]
  : count("seed", values.seed);
const one = values.case === undefined ? null : count("case", values.case);
const minutes = values.minutes && count("minutes", values.minutes);
const enough = minutes ? Infinity : 100_000;
const given = values.cases === undefined
  ? enough
  : count("cases", values.cases);
const cases = one === null ? given : 1;

let last = () => {};
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    last();
    process.exit(130);
  });
}

for (const target of chosen) {
  const started = performance.now();
  let done = 0;
  const say = () => {
    const rate = Math.round(done * 1_000 / (performance.now() - started));
    process.stderr.write(`${target}: ${done} cases, ${rate} per second\n`);
  };
  last = say;
  process.stderr.write(`${target}: seed ${seed}\n`);
  let shown = 0;
  const { finding, cases: ran, reached } = await fuzz({
    target,
    seed,
    from: one ?? 0,
    cases,
    ms: minutes ? minutes * 60_000 : undefined,
    progress: (count) => {
      done = count;
      if (performance.now() - shown < 10_000) return;
      shown = performance.now();
      say();
    },
  });
  if (finding !== null) {
    console.log(report(finding));
    process.exit(1);
  }
  done = ran;
  say();
  for (const [what, times] of [...reached].sort()) {
    process.stderr.write(`  ${times} × ${what}\n`);
  }
  console.log(`${target}: ${ran} cases of seed ${seed}, nothing found`);
}

function count(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  return fail(`--${name} takes a whole number, not ${text}`);
}

function fail(message: string): never {
  process.stderr.write(`fuzz: ${message}\n`);
  return process.exit(2);
}

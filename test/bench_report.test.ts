import { expect, test } from "vitest";
import { MEASURES } from "./bench/measures.mjs";
import { failedTurns, report, summarise } from "./bench/report.mjs";

test("a turn of the benchmark that failed is in no figure, but counted and named", () => {
  const peers = ["bare relay", "limpet"].map((name) => ({
    name,
    kind: name === "limpet" ? "limpet" as const : "relay" as const,
    module: "",
    runtime: "node" as const,
    serve: () => Promise.reject(new Error("Not in this test")),
  }));
  const measures = summarise(
    MEASURES.filter(({ id }) => id === "echo"),
    peers,
    {
      figures: {
        echo: { "bare relay": [[2, 2, 2, 2]], limpet: [[4, null, null, null]] },
      },
      curves: {},
      failures: { echo: { limpet: ["It hung", "It hung", "Connection lost"] } },
    },
  );
  const result = {
    date: "2026-11-29",
    machine: "any",
    versions: { node: "v20", deno: null, openssh: null },
    rounds: 1,
    size: { bytes: 1, count: 1 },
    missing: [],
    measures,
  };
  const text = report(result);
  expect(text).toMatch(/limpet {2,}4\.00 ms +2\.00 {2}2\.00 to 2\.00/);
  expect(text).toContain("    failed 2 times: It hung\n");
  expect(text).toContain("    failed once: Connection lost\n");
  expect(text).toMatch(/\n3 turns failed and are in no figure\n$/);
  expect(failedTurns(result)).toBe(3);
  // What is said of the relay says nothing of them.
  expect(text.match(/failed/g)).toHaveLength(3);
});

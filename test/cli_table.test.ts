import { expect, test } from "vitest";
import { tableText } from "../core/cli/table.ts";

const ROWS = [
  ["JOB", "COMMAND", "STATUS"],
  ["one", "find / -name core -type f", "Running"],
  ["two", "true", "Exited (0) 3 minutes ago"],
];

test("a table is whole where it fits, and where there is no terminal", () => {
  const whole = tableText(ROWS, null, [1, 2]);
  expect(whole).toBe(
    "JOB  COMMAND                    STATUS\n" +
      "one  find / -name core -type f  Running\n" +
      "two  true                       Exited (0) 3 minutes ago\n",
  );
  expect(tableText(ROWS, 56, [1, 2])).toBe(whole);
  expect(tableText(ROWS, 0, [1, 2])).toBe(whole);
});

test("in a narrower terminal no line is wider, and what is cut says so", () => {
  expect(tableText(ROWS, 50, [1, 2])).toBe(
    "JOB  COMMAND              STATUS\n" +
      "one  find / -name core …  Running\n" +
      "two  true                 Exited (0) 3 minutes ago\n",
  );
  for (let columns = 23; columns < 56; columns++) {
    for (const line of tableText(ROWS, columns, [1, 2]).split("\n")) {
      expect(line.length).toBeLessThanOrEqual(columns);
    }
  }
});

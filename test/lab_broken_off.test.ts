import { expect, test } from "vitest";
import { changed, labHere } from "./support/lab.ts";
import { checkLeaks } from "./support/leaks.ts";

test("an experiment that fails half way gives everything back", async () => {
  await labHere(["reset"]);
  const noLeaks = checkLeaks();
  let sends = 0;
  const sockets = changed((socket) => ({
    send: (bytes) => {
      if (++sends > 2) throw new Error("The wire is cut");
      return socket.send(bytes);
    },
  }));
  for (const name of ["sticky", "nagle", "empty", "reset"]) {
    sends = 0;
    const { code, stderr } = await labHere([name], { sockets });
    expect(code, name).not.toBe(0);
    if (code !== 1) expect(stderr).toContain("The wire is cut");
    await noLeaks();
  }
});

test.each(["16,777,216", "send(", "recv(1024)", "recv(1,048,576)"])(
  "Ctrl-C ends split when it has just said %s",
  async (words) => {
    const { code, stdout, stderr } = await labHere(["split"], {
      interruptAt: words,
    });
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
    expect(stdout).toContain(words);
    expect(stdout).not.toContain("✓ Cured");
  },
);

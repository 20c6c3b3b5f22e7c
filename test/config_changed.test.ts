import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TokenKey } from "../core/auth/token.ts";
import { clientMessage } from "../core/auth/proof.ts";
import { LiveIdentities } from "../core/config/live.ts";
import type { Identity } from "../core/identity.ts";
import { temporaryFolder } from "./support/cli.ts";
import { machine } from "./support/machine.ts";
import { serving, TOKEN } from "./support/serving.ts";

const folder = temporaryFolder();

test("an entry whose keys stand in another order is the same one", async () => {
  const own = join(folder, "order");
  mkdirSync(own, { mode: 0o700 });
  const path = join(own, "server.json");
  const write = (entry: object) =>
    writeFileSync(path, JSON.stringify({ identities: [entry] }), {
      mode: 0o600,
    });
  const commands = [["ls"], ["ps"]];
  write({
    name: "a",
    token: TOKEN,
    policy: { commands, maxCommands: 2 },
  });
  const live = await LiveIdentities.open({
    place: machine,
    path,
    token: () => Promise.reject(new Error("not in this test")),
    hostKey: () => Promise.reject(new Error("not in this test")),
    tell: () => {},
    warn: () => {},
    examine: () => Promise.resolve({ problems: [], warnings: [] }),
    used: () => {},
  });
  const key = await TokenKey.from(TOKEN);
  const transcript = new Uint8Array(32);
  const proof = await key.sign(clientMessage(transcript));
  const { identity } = await live.authenticate({
    key: await key.id,
    proof,
    transcript,
    peer: "unix",
  }) as { identity: Identity };
  write({
    policy: { maxCommands: 2, commands },
    token: TOKEN,
    name: "a",
  });
  await live.reload();
  expect(live.whyGone(identity)).toBe(null);
  // The order within a list says something.
  write({
    name: "a",
    token: TOKEN,
    policy: { commands: commands.toReversed(), maxCommands: 2 },
  });
  await live.reload();
  expect(live.whyGone(identity)).toMatchObject({ logged: "policy" });
});

test("what the operator has changed is for the log, and not for the client", async () => {
  await using served = await serving();
  const session = await served.connect();
  await served.server.endSessions(() => ({
    told: "Identity was changed",
    logged: "from, policy",
  }));
  const { code, message } = await session.closed;
  expect(code).toBe("unauthenticated");
  expect(message).toContain("Identity was changed (");
  expect(message).not.toContain("policy");
  const [{ message: logged }] = await served.untilDisconnected(1);
  expect(logged).toBe(
    "Identity was changed: from, policy; 0 commands ended with it",
  );
});

import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tokenAuthenticator } from "../core/auth/authenticator.ts";
import { Identities, type KnownIdentity } from "../core/auth/identities.ts";
import { KeyCredential } from "../core/auth/key_credential.ts";
import { KeyPair, makeKeyPair } from "../core/auth/key_pair.ts";
import type { Session } from "../core/client.ts";
import { jobServer, jobSession, temporaryFolder } from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { type Serving, TOKEN, warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

const OLD = `the-old-one-${TOKEN}`;
const NEW = `the-new-one-${TOKEN}`;
const JOB = { shell: true, onDisconnect: "detach", jobId: "x" } as const;

const known = (...identities: KnownIdentity[]) => Identities.from(identities);

async function served(path: string, ...identities: KnownIdentity[]) {
  return await jobServer(path, {}, {
    token: undefined,
    authenticator: await known(...identities),
  });
}

/** Runs the job `x`, and waits until its end is written down. */
async function runJob(serving: Serving, session: Session, line: string) {
  const { events } = serving;
  const ends = () =>
    events.filter(({ type }) => type === "command_ended").length;
  const before = ends();
  await session.output(line, JOB);
  await eventually(() => ends() > before, () => "its end is told");
}

async function idsOf(session: Session): Promise<string[]> {
  return (await session.jobs().list()).map(({ id }) => id);
}

/** What a session is told that asks for `x` in every way. */
async function answers(session: Session): Promise<string[]> {
  const job = session.jobs().job("x");
  const asked = [
    session.attach("x").status,
    job.info(),
    job.wait(),
    job.kill(),
    job.remove(),
  ];
  return (await Promise.allSettled(asked)).map((outcome) =>
    outcome.status === "rejected" ? outcome.reason.code : "told"
  );
}

const NOTHING = Array(5).fill("no_such_job");

test("a name that is revoked and given to somebody else has not the old one's jobs", async () => {
  using folder = temporaryFolder();
  const { path } = folder;
  {
    await using serving = await served(path, { name: "ann", token: OLD });
    const { server } = serving;
    {
      await using ann = await jobSession(serving, { token: OLD });
      await runJob(serving, ann, "echo of the old one");
    }
    server.replaceAuthenticator(await known());
    await server.endSessions(() => true);
    server.replaceAuthenticator(await known({ name: "ann", token: NEW }));
    await using other = await jobSession(serving, { token: NEW });
    expect(await idsOf(other)).toEqual([]);
    expect(await answers(other)).toEqual(NOTHING);
    // And it is a new one's name, too.
    await runJob(serving, other, "echo of the new one; exit 3");
    expect(serving.spawned).toHaveLength(2);
  }
  // On the disk as well, and whoever has the token finds their own.
  for (
    const [token, said, code] of [
      [NEW, "of the new one\n", 3],
      [OLD, "of the old one\n", 0],
    ] as const
  ) {
    await using serving = await served(path, { name: "ann", token });
    await using session = await jobSession(serving, { token });
    expect(await idsOf(session)).toEqual(["x"]);
    const job = session.attach("x");
    const reader = job.stdout.getReader();
    const { value } = await reader.read();
    expect(new TextDecoder().decode(value)).toBe(said);
    expect((await job.status).code).toBe(code);
  }
});

test("nor has a token that took a key pair's place", async () => {
  using folder = temporaryFolder();
  const host = await KeyPair.fromPem(await makeKeyPair());
  const pair = await KeyPair.fromPem(await makeKeyPair());
  const { publicKey } = pair;
  const identities = (one: KnownIdentity) => Identities.from([one], host);
  await using serving = await jobServer(folder.path, {}, {
    token: undefined,
    authenticator: await identities({ name: "ann", publicKey }),
  });
  const credential = new KeyCredential(pair, host.publicKey);
  {
    await using ann = await jobSession(serving, { credential });
    await runJob(serving, ann, "true");
    expect(await idsOf(ann)).toEqual(["x"]);
  }
  const { server } = serving;
  server.replaceAuthenticator(await identities({ name: "ann", token: NEW }));
  await using other = await jobSession(serving, { token: NEW });
  expect(await answers(other)).toEqual(NOTHING);
});

test("who has the one token has all of its jobs: it may be replaced, or become one of many", async () => {
  using folder = temporaryFolder();
  await using serving = await jobServer(folder.path, {}, {
    token: undefined,
    authenticator: await tokenAuthenticator(OLD),
  });
  const { server } = serving;
  {
    await using session = await jobSession(serving, { token: OLD });
    await runJob(serving, session, "true");
  }
  const many = [
    { name: "default", token: OLD },
    { name: "bob", token: NEW },
  ];
  server.replaceAuthenticator(await known(...many));
  {
    await using session = await jobSession(serving, { token: OLD });
    expect(await idsOf(session)).toEqual(["x"]);
    await using bob = await jobSession(serving, { token: NEW });
    expect(await answers(bob)).toEqual(NOTHING);
  }
  server.replaceAuthenticator(await tokenAuthenticator(NEW));
  await using session = await jobSession(serving, { token: NEW });
  expect(await idsOf(session)).toEqual(["x"]);
  // Not run a second time either.
  await runOnce(session);
  expect(serving.spawned).toHaveLength(1);
});

async function runOnce(session: Session): Promise<void> {
  await session.output("true", JOB);
}

test("a record without a key is shown to no key, and goes with its time", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "jobs");
  const ann = { name: "ann", token: OLD };
  {
    await using serving = await served(path, ann);
    await using session = await jobSession(serving, { token: OLD });
    await runJob(serving, session, "true");
  }
  // As an earlier version wrote it.
  const [owner] = readdirSync(path).filter((name) => name.startsWith("ann."));
  renameSync(join(path, owner), join(path, "ann"));
  const file = join(path, "ann", "x", "record.json");
  const { key, ...record } = JSON.parse(readFileSync(file, "utf8"));
  expect(owner).toBe(`ann.${key}`);
  writeFileSync(file, JSON.stringify(record));
  {
    await using serving = await served(path, ann);
    await using session = await jobSession(serving, { token: OLD });
    expect(await answers(session)).toEqual(NOTHING);
    expect(serving.events.filter(({ type }) => type === "jobs_problem"))
      .toEqual([]);
    expect(readdirSync(join(path, "ann"))).toEqual(["x"]);
  }
  await using serving = await jobServer(path, { jobTtlMs: 1 }, {
    token: undefined,
    authenticator: await known(ann),
  });
  // Whoever asks first has the folder read.
  await using session = await jobSession(serving, { token: OLD });
  expect(await idsOf(session)).toEqual([]);
  await eventually(
    () => readdirSync(join(path, "ann")).length === 0,
    () => "it is gone",
  );
});

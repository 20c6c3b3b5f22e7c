import { expect, test } from "vitest";
import type { ServerLimits } from "../core/server_limits.ts";
import { resumable } from "../core/resume.ts";
import { FrameType } from "../core/frame/frame.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { jsonFrame, proofFrame, RawPeer } from "./support/raw_peer.ts";
import { arriveFrom, serving, TOKEN, warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

/** A server to which everybody comes from one address, and a session's key. */
async function behindOneAddress(limits: Partial<ServerLimits>) {
  const served = await serving(limits);
  arriveFrom(served, () => "192.0.2.1:40312");
  const first = new RawPeer(await served.dial());
  const { clientProof } = await first.greetServer({}, TOKEN, {
    features: ["resume"],
  });
  await first.write(proofFrame(clientProof));
  const { payload } = await first.expect(FrameType.PROOF);
  const said = JSON.parse(new TextDecoder().decode(payload));
  let ends = 0;
  return {
    served,
    session: String(said.session.id),
    /** Ways back that stand behind HELLO, all at once, and are given up. */
    giveUp: async (session: string, count: number) => {
      const peers = await Promise.all(
        Array.from({ length: count }, async () => {
          const peer = new RawPeer(await served.dial());
          const resume = { session, received: 0 };
          await peer.greetServer({}, TOKEN, { features: ["resume"], resume });
          return peer;
        }),
      );
      await Promise.all(peers.map((peer) => peer.drop()));
      await served.untilDisconnected(ends += count);
    },
    /** Waits until another connection is dropped before anything is read. */
    isLockedOut: async () => {
      const dialled = await served.dial().catch(() => null);
      await eventually(
        () =>
          served.events.some((event) =>
            event.type === "refused" && event.reason === "penalty"
          ),
        () => `it is for a penalty: ${JSON.stringify(served.events)}`,
      );
      if (dialled !== null) await new RawPeer(dialled).drop();
    },
    [Symbol.asyncDispose]: async () => {
      await first.write(
        jsonFrame(FrameType.CLOSE, { code: "closed", message: "" }),
      );
      await first.drop();
      await served[Symbol.asyncDispose]();
    },
  };
}

// One unfinished connection locks a source out for as long as a test may take.
const STRICT = { penaltyNoProofMs: 600_000 };

test("ways back that stall behind HELLO lock out nobody at their address", async () => {
  await using at = await behindOneAddress(STRICT);
  await at.giveUp(at.session, 3);
  await using session = await at.served.connect({ resume: resumable() });
  expect((await session.output("echo", { args: ["in"] })).stdout.byteLength)
    .toBe(3);
});

test("of a session that nobody has, one is too many", async () => {
  await using at = await behindOneAddress(STRICT);
  await at.giveUp("A".repeat(22), 1);
  await at.isLockedOut();
});

test("who has only seen a session's key gets six for nothing and no more", async () => {
  // A third of it has to pass for one more, and does not while this runs.
  const limits = { ...STRICT, handshakeTimeoutMs: 600_000 };
  await using at = await behindOneAddress(limits);
  await at.giveUp(at.session, 6);
  // The first of them may stand for what has run off meanwhile.
  await at.giveUp(at.session, 2);
  await at.isLockedOut();
});

test("what a peer says of its own end is no excuse", async () => {
  await using at = await behindOneAddress(STRICT);
  const peer = new RawPeer(await at.served.dial());
  await peer.greetServer({}, TOKEN, {});
  const goodbye = { code: "shutting_down", message: "" };
  await peer.write(jsonFrame(FrameType.CLOSE, goodbye));
  await peer.drop();
  await at.served.untilDisconnected(1);
  await at.isLockedOut();
});

test("a wrong proof counts, whatever it is for", async () => {
  await using at = await behindOneAddress({ penaltyProofMs: 600_000 });
  const peer = new RawPeer(await at.served.dial());
  const resume = { session: at.session, received: 0 };
  const offers = { features: ["resume"], resume };
  const { clientProof } = await peer.greetServer({}, TOKEN, offers);
  clientProof[0] ^= 1;
  await peer.write(proofFrame(clientProof));
  expect(await peer.closeCode()).toBe("unauthenticated");
  await peer.drop();
  await at.served.untilDisconnected(1);
  await at.isLockedOut();
});

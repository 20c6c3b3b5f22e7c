import { expect, test } from "vitest";
import { LimpetError } from "../core/errors.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { serving, TOKEN } from "./support/serving.ts";

test("a refusal that is not of the directory leaves the prompt where it is", async () => {
  await using served = await serving({}, undefined, {
    authorize: (_, request) => {
      if (!request.line?.includes("forbidden")) {
        return Promise.resolve({ request });
      }
      const message = 'Policy of "ci" allows 2 commands at once (maxCommands)';
      return Promise.reject(new LimpetError("refused", message));
    },
  });
  const { hostname, port } = served.target;
  const shell = (input: string) =>
    limpetHere(["shell", `tcp://${hostname}:${port}`], {
      input,
      env: { LIMPET_TOKEN: TOKEN },
    });
  const stderr =
    'limpet: Policy of "ci" allows 2 commands at once (maxCommands)\n';
  expect(await shell("cd /usr\nforbidden\npwd\n"))
    .toMatchObject({ code: 0, stdout: "/usr\n", stderr });
  expect(await shell("cd /usr\npwd\nforbidden\n"))
    .toMatchObject({ code: 125, stdout: "/usr\n", stderr });
});

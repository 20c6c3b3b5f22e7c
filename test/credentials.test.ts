import { expect, test } from "vitest";
import { isOpenToOthers } from "../core/token_file.ts";

const HANDED = "/run/credentials/limpet.service";

test.each([
  ["only the owner's", "/etc/limpet/key.pem", 0o600, false],
  ["the group's", "/etc/limpet/key.pem", 0o440, true],
  ["everybody's", "/etc/limpet/key.pem", 0o644, true],
  ["handed over by systemd", `${HANDED}/key.pem`, 0o440, false],
  ["handed over, and everybody's", `${HANDED}/key.pem`, 0o444, true],
  ["handed over, and the group may write", `${HANDED}/key.pem`, 0o460, true],
  ["beside what was handed over", `${HANDED}/../key.pem`, 0o440, true],
  ["of another service", `${HANDED}2/key.pem`, 0o440, true],
  ["without modes", "C:\\key.pem", null, false],
])("a secret that is %s", (_, path, mode, isOpen) => {
  const env = (name: string) =>
    name === "CREDENTIALS_DIRECTORY" ? HANDED : undefined;
  expect(isOpenToOthers({ env }, path, mode)).toBe(isOpen);
});

test("without a place for them, nothing is handed over", () => {
  const env = () => undefined;
  expect(isOpenToOthers({ env }, `${HANDED}/token`, 0o440)).toBe(true);
  expect(isOpenToOthers({ env: () => "" }, "/token", 0o440)).toBe(true);
});

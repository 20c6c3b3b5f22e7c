/** The adapter of the runtime that the suite is running on. */

export type Adapter =
  & typeof import("../../adapters/node/socket.ts")
  & Pick<typeof import("../../adapters/node/spawn.ts"), "spawner">
  & typeof import("../../adapters/node/stdio.ts");

async function load(): Promise<Adapter> {
  if (typeof Deno === "undefined") {
    const [socket, spawn, stdio] = await Promise.all([
      import("../../adapters/node/socket.ts"),
      import("../../adapters/node/spawn.ts"),
      import("../../adapters/node/stdio.ts"),
    ]);
    return { ...socket, ...spawn, ...stdio };
  }
  const [socket, spawn, stdio] = await Promise.all([
    import("../../adapters/deno/socket.ts"),
    import("../../adapters/deno/spawn.ts"),
    import("../../adapters/deno/stdio.ts"),
  ]);
  return { ...socket, ...spawn, ...stdio };
}

export const adapter: Adapter = await load();

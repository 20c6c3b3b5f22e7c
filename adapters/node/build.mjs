/**
 * Builds `dist/`: the library's entries with their shared parts in common chunks
 * (so that there is one `LimpetError` whichever entry it comes from), their
 * declarations, and the command line as one file for `exec` and one for all else,
 * because reading one file, with little in it, is what makes it start fast.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));
const at = (/** @type {string[]} */ ...parts) => join(root, ...parts);

// Built beside and then exchanged by renaming: whoever runs `dist/` at the moment
// never sees half of it, and two builds at once do not get in each other's way.
const out = at("node_modules", `.limpet-build-${process.pid}`);
const old = `${out}-old`;

/** @type {import("esbuild").BuildOptions} */
const common = {
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  target: "node20.19",
  plugins: [streams()],
  // Dependencies of the package, loaded by those alone who need them.
  external: ["node:*", "asn1js", "iconv-lite", "jsonc-parser", "pkijs"],
  legalComments: "none",
  logLevel: "warning",
  // The licence of what is bundled asks for its notice.
  footer: {
    js: "// Parts: Copyright 2018-2025 the Deno authors. MIT license.",
  },
};

try {
  await Promise.all([
    build({
      ...common,
      entryPoints: {
        mod: at("core/mod.ts"),
        iconv: at("core/text/iconv.ts"),
        jobs: at("core/jobs/client.ts"),
        certificate: at("core/tls/certificate.ts"),
        node: at("adapters/node/mod.ts"),
        deno: at("adapters/deno/mod.ts"),
      },
      outdir: out,
      platform: "neutral",
      splitting: true,
      chunkNames: "shared-[hash]",
    }),
    program("limpet", at("adapters/node/main.ts"), [without(), late()]),
    program("program", at("adapters/node/program.ts"), []),
  ]);
  chmodSync(join(out, "limpet.cjs"), 0o755);
  for (const type of ["mjs", "py"]) {
    const name = `spawn_helper_program.${type}`;
    copyFileSync(at(`adapters/node/${name}`), join(out, name));
  }
  declarations();
  exchange();
} catch (error) {
  // esbuild has shown its own errors already.
  if (!(error instanceof Error && "errors" in error)) console.error(error);
  process.exitCode = 1;
} finally {
  rmSync(out, { recursive: true, force: true });
  rmSync(old, { recursive: true, force: true });
}

/**
 * One of the command line's two files.
 *
 * @param {string} name
 * @param {string} entry
 * @param {import("esbuild").Plugin[]} plugins
 */
function program(name, entry, plugins) {
  return build({
    ...common,
    entryPoints: { [name]: entry },
    plugins: [streams(), ...plugins, apart(), atOnce(), globalProcess()],
    outdir: out,
    outExtension: { ".js": ".cjs" },
    platform: "node",
    define: { "import.meta.dirname": "__dirname" },
    // Loading the first of Node's other modules takes as long as all of ours.
    format: "cjs",
    minifyWhitespace: true,
    minifySyntax: true,
    banner: { js: "#!/usr/bin/env node" },
  });
}

/**
 * `@std/streams` under the name it has on npm. That package does not say what
 * holds of it: a module nobody imports from need not be there.
 *
 * @returns {import("esbuild").Plugin}
 */
function streams() {
  const folder = at("node_modules/deno-std/streams");
  const found = (/** @type {string} */ name) => ({
    path: join(folder, name),
    sideEffects: false,
  });
  return {
    name: "@std/streams",
    setup({ onResolve }) {
      onResolve({ filter: /^@std\/streams$/ }, () => found("mod.js"));
      onResolve(
        { filter: /^\.\// },
        ({ path, resolveDir }) => resolveDir === folder ? found(path) : null,
      );
    },
  };
}

/**
 * What `execAlone` never needs, for it leaves those command lines to the whole
 * program: to compile it would take longer than all that the rest does.
 *
 * @returns {import("esbuild").Plugin}
 */
function without() {
  const modules = new RegExp(
    `/(${
      [
        "cli/json_output",
        "cli/raw_exec",
        "core/command_duplex",
        "node/job_files",
        "node/lab_sockets",
        "node/listener",
        "node/spawn",
        "node/stdio",
        "tls/listen",
      ].join("|")
    })\\.ts$`,
  );
  return {
    name: "without",
    setup({ onLoad }) {
      onLoad({ filter: modules }, ({ path }) => {
        const exported = /^export (?:async )?(?:function|const|class) (\w+)/gm;
        const source = readFileSync(path, "utf8");
        const contents = [...source.matchAll(exported)].map(([, name]) =>
          `export const ${name} = () => {
            throw new Error("${name} is in program.cjs alone");
          };`
        );
        return { contents: contents.join("\n") };
      });
    },
  };
}

/**
 * Modules of Node's that it takes a millisecond or two to load, and that are not
 * needed most of the time: loaded by the first call of one of their functions.
 *
 * @returns {import("esbuild").Plugin}
 */
function late() {
  const namespace = "late";
  const modules = /^node:(child_process|fs\/promises)$/;
  return {
    name: "late",
    setup({ onResolve, onLoad }) {
      onResolve(
        { filter: modules },
        ({ path, importer }) =>
          importer === path
            ? { path, external: true }
            : { path, namespace, sideEffects: false },
      );
      onLoad({ filter: /./, namespace }, async ({ path }) => {
        const functions = Object.entries(await import(path))
          .filter(([, value]) => typeof value === "function")
          .map(([name]) => name)
          .filter((name) => name !== "default");
        const contents = functions.map((name) =>
          `export const ${name} = (...args) =>
            require("${path}").${name}(...args);`
        );
        return { contents: contents.join("\n") };
      });
    },
  };
}

/**
 * What the program loads only when it needs it, from a file of its own: all that
 * `exec` does without, the encodings' tables, and what makes certificates.
 *
 * @returns {import("esbuild").Plugin}
 */
function apart() {
  return {
    name: "apart",
    setup({ onResolve }) {
      for (
        const [name, path] of [
          ["^\\./program", "./program.cjs"],
          ["/text/iconv", "./iconv.js"],
          ["/tls/certificate", "./certificate.js"],
        ]
      ) {
        const filter = new RegExp(`${name}\\.ts$`);
        onResolve({ filter }, () => ({ path, external: true }));
      }
    },
  };
}

/**
 * Within one file there is nothing to gain by `import()`: it wraps all that the
 * module needs in functions, and nothing of it can be left out any more.
 *
 * @returns {import("esbuild").Plugin}
 */
function atOnce() {
  const call = /\bimport\(\s*("\.[^"]+")\s*\)/g;
  const kept = /\/(iconv|certificate)\.ts"$/;
  return {
    name: "at once",
    setup({ onLoad }) {
      onLoad({ filter: /[/\\](core|adapters)[/\\].*\.ts$/ }, ({ path }) => {
        /** @type {string[]} */
        const imports = [];
        const source = readFileSync(path, "utf8").replace(
          call,
          (whole, /** @type {string} */ module) => {
            // To import CommonJS, Node first reads it for its exports' names.
            if (module === '"./program.ts"') return `require(${module})`;
            if (kept.test(module)) return whole;
            const name = `atOnce${imports.length}`;
            imports.push(`import * as ${name} from ${module};\n`);
            return name;
          },
        );
        return { contents: imports.join("") + source, loader: "ts" };
      });
    },
  };
}

/**
 * `process` as it is, not as a copy of its properties, which a bundle of this
 * format makes of modules: Bun opens all three standard streams for that, and
 * stdout then no longer waits for whoever reads it.
 *
 * @returns {import("esbuild").Plugin}
 */
function globalProcess() {
  return {
    name: "process",
    setup({ onResolve, onLoad }) {
      const namespace = "global";
      onResolve(
        { filter: /^node:process$/ },
        ({ path }) => ({ path, namespace, sideEffects: false }),
      );
      onLoad(
        { filter: /./, namespace },
        () => ({ contents: "export default process" }),
      );
    },
  };
}

function exchange(tries = 3) {
  try {
    rmSync(old, { recursive: true, force: true });
    if (existsSync(at("dist"))) renameSync(at("dist"), old);
    renameSync(out, at("dist"));
  } catch (error) {
    // Another build was at it between our two steps.
    if (tries === 0) throw error;
    exchange(tries - 1);
  }
}

function declarations() {
  const manifest = at("node_modules/typescript/package.json");
  const { bin } = JSON.parse(readFileSync(manifest, "utf8"));
  const { status } = spawnSync(process.execPath, [
    join(dirname(manifest), bin.tsc),
    "--project",
    at("adapters/node/tsconfig.build.json"),
    "--outDir",
    join(out, "types"),
  ], { stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("The declarations could not be made");
}

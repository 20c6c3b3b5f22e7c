/**
 * The files that a configuration names.
 *
 * @module
 */

import { folderOf } from "./permissions.ts";
import type { ServerConfig } from "./types.ts";

/**
 * With paths that do not depend on where anybody stands: what is not absolute is
 * in the configuration's folder, whoever looks.
 */
export function withPaths(config: ServerConfig, file: string): ServerConfig {
  const { audit, tls } = config;
  const place = (path: string) => placed(path, file);
  return {
    ...config,
    ...(audit === undefined || audit.file === "stderr"
      ? {}
      : { audit: { ...audit, file: place(audit.file) } }),
    ...(tls === undefined ? {} : {
      tls: Object.fromEntries(
        Object.entries(tls).map(([name, path]) => [name, place(path)]),
      ),
    }),
  };
}

/** Where a path leads that is written in `file`. */
export function placed(path: string, file: string): string {
  if (/^([/\\]|[A-Za-z]:[/\\])/.test(path)) return path;
  const folder = folderOf(file);
  return folder.endsWith("/") ? folder + path : `${folder}/${path}`;
}

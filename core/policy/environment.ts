/**
 * Which variables a client may set under a policy.
 *
 * @module
 */

/**
 * No policy lets a client set these: with PATH a name would mean another
 * program than the policy means, and LIMPET_* are the server's words.
 */
const NEVER = /^(PATH|LIMPET_.*)$/i;

/**
 * What makes programs load code, or read another file as their configuration.
 * A policy has to name them letter by letter: no `*` covers them.
 */
const DANGEROUS: readonly RegExp[] = [
  // The dynamic linkers, the C library and the allocator.
  /^(LD_.*|DYLD_.*|_RLD.*|LIBPATH|SHLIB_PATH|GCONV_PATH|LOCPATH|NLSPATH)$/i,
  /^(GLIBC_TUNABLES|MALLOC_.*|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS|RESOLV_.*)$/i,
  /^(NIS_PATH|TZDIR|GETCONF_DIR|TMPDIR|TEMP|TMP)$/i,
  // Shells.
  /^(BASH.*|ENV|IFS|SHELLOPTS|PROMPT_COMMAND|PS[0-4]|CDPATH|FPATH|ZDOTDIR)$/i,
  /^(GLOBIGNORE|FIGNORE|HISTFILE|INPUTRC|TERMINFO.*|TERMCAP|TERMPATH)$/i,
  // Interpreters and runtimes.
  /^(NODE_.*|NPM_.*|npm_.*|DENO_.*|BUN_.*|PYTHON.*|PERL.*|RUBY.*|GEM_.*)$/i,
  /^(BUNDLE_.*|LUA_.*|PHP.*|JAVA_.*|JDK_.*|_JAVA_.*|CLASSPATH|R_.*|TCL.*)$/i,
  /^GO(PATH|ROOT|BIN|FLAGS|ENV|DEBUG|PROXY|SUMDB|TOOLCHAIN|WORK)$/i,
  /^(CARGO_.*|RUST.*|DOTNET_.*|COMPLUS_.*|OPENSSL_.*|SSL_.*)$/i,
  // Programs that programs start.
  /^(EDITOR|VISUAL|PAGER|MANPAGER|BROWSER|LESS.*|SHELL|GIT_.*|SSH_.*|CVS_.*)$/i,
  /^(SVN_.*|HG(RCPATH|EDITOR|MERGE)|RSYNC_.*|TAR_.*|MAKEFLAGS|MAKEFILES|MAKE|CC|CXX|AWKPATH)$/i,
  /^(VIMINIT|EXINIT|PSQLRC|PSQL_.*|FZF_.*|SUDO_.*|RIPGREP_.*|EMACSLOADPATH)$/i,
  /^(GTK.*|QT_.*|GIO_.*|GST_.*|ERL_.*|CAML.*|OCAML.*|JULIA_.*|GUILE_.*)$/i,
  /^(GCC_.*|COMPILER_PATH|MAVEN_.*|GRADLE_.*|SBT_.*|CORECLR_.*|NIX_.*)$/i,
  /^(ANSIBLE_.*|ODBC.*|SCREENRC|WGETRC|CURL_.*|AWS_.*|.*_PROXY)$/i,
  // Where configuration is looked for.
  /^(HOME|XDG_.*|DBUS_.*|SYSTEMD_.*|KRB5.*|GNUPGHOME|DOCKER_.*|KUBE.*)$/i,
];

/** Whether a variable can make a program load code, or is no name at all. */
export function isDangerous(name: string): boolean {
  return !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ||
    DANGEROUS.some((names) => names.test(name));
}

/** Why an entry of a policy's `env` cannot be one; null if it can. */
export function entryProblem(entry: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]*\*?$|^\*$/.test(entry)) {
    return "is no name of a variable, nor the beginning of one with a *";
  }
  return NEVER.test(entry) ? "can be set under no policy" : null;
}

/**
 * Whether an entry lets a client set nothing at all: every name that it is the
 * beginning of makes programs load code, which no `*` covers.
 */
export function matchesNothing(entry: string): boolean {
  const beginning = entry.slice(0, -1);
  // No name that means something to a program ends like this.
  return entry.endsWith("*") && isDangerous(`${beginning}_9ZQ`) &&
    (beginning === "" || isDangerous(beginning));
}

/** Whether a policy with these entries lets a client set the variable. */
export function allowsVariable(
  entries: readonly string[],
  name: string,
): boolean {
  if (NEVER.test(name)) return false;
  if (entries.some((entry) => entry === name)) return true;
  // A shell takes `BASH_FUNC_ls%%` for a function: no * covers what is no name.
  if (isDangerous(name)) return false;
  return entries.some((entry) =>
    entry.endsWith("*") && name.startsWith(entry.slice(0, -1))
  );
}

/**
 * The same without what would be looked for in the command's own directory. A
 * PATH of which nothing is left goes too: an empty one means that directory.
 */
export function withAbsolutePath(
  env: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => {
      // Windows calls it Path.
      if (name.toUpperCase() !== "PATH") return [[name, value]];
      const path = absoluteParts(value);
      return path === "" ? [] : [[name, path]];
    }),
  );
}

/**
 * Of Windows is one that begins with no slash and has a part with a drive or a
 * share in it: there a colon is part of a path.
 */
const OF_WINDOWS = /^(?!\/)(.*;)?([A-Za-z]:\\|\\\\)/;

function absoluteParts(path: string): string {
  const [separator, isAbsolute] = OF_WINDOWS.test(path)
    ? [";", /^([A-Za-z]:[\\/]|\\\\)/]
    : [":", /^\//];
  return path.split(separator).filter((part) => isAbsolute.test(part))
    .join(separator);
}

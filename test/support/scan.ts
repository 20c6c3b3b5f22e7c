/**
 * Just enough of a TypeScript scanner to know names and strings from comments,
 * string contents and regular expressions, so that what a test says about the
 * sources is about their code.
 *
 * @module
 */

/** A piece of code. Of a template literal only the expressions inside count. */
export interface Token {
  readonly kind: "name" | "string" | "number" | "regex" | "template" | "mark";
  /** As written; without the quotes if it is a string. */
  readonly text: string;
  readonly line: number;
}

const NAME = /[\p{ID_Start}$_#@][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\d(?:[eE][+-]|[\w.])*/y;
const STRING = /"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const COMMENT = /\/\/[^\n]*|\/\*[^]*?\*\//y;
const TEMPLATE = /(?:[^`\\$]|\\[^]|\$(?!\{))*(?:`|\$\{)/y;

/** Words after which a slash begins a regular expression, not a division. */
const OPERATORS =
  /^(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield)$/;

/** Cuts a source into tokens. Throws on what is not TypeScript at all. */
export function scan(source: string): Token[] {
  const tokens: Token[] = [];
  // One entry per open brace: whether it is the `${` of a template.
  const braces: boolean[] = [];
  let at = 0;
  let line = 1;

  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text === undefined || text === "") return null;
    at += text.length;
    return text;
  };
  const push = (kind: Token["kind"], text: string, written = text) => {
    tokens.push({ kind, text, line });
    line += written.split("\n").length - 1;
  };
  const template = () => {
    const text = take(TEMPLATE);
    if (text === null) throw new SyntaxError(`Line ${line}: open template`);
    push("template", text);
    if (text.endsWith("${")) braces.push(true);
  };

  while (at < source.length) {
    let text: string | null;
    const next = source[at];
    if (/\s/.test(next)) {
      if (next === "\n") line++;
      at++;
    } else if ((text = take(COMMENT)) !== null) {
      line += text.split("\n").length - 1;
    } else if ((text = take(STRING)) !== null) {
      push("string", text.slice(1, -1), text);
    } else if (next === "`") {
      at++;
      template();
    } else if ((text = take(NAME)) !== null) {
      push("name", text);
    } else if ((text = take(NUMBER)) !== null) {
      push("number", text);
    } else if (
      next === "/" && regexMayFollow(tokens.at(-1)) &&
      (text = take(REGEX)) !== null
    ) {
      push("regex", text);
    } else if (next === '"' || next === "'") {
      throw new SyntaxError(`Line ${line}: open string`);
    } else {
      at++;
      if (next === "{") braces.push(false);
      if (next === "}" && braces.pop() === true) template();
      else push("mark", next);
    }
  }
  return tokens;
}

function regexMayFollow(before: Token | undefined): boolean {
  if (before === undefined) return true;
  if (before.kind === "name") return OPERATORS.test(before.text);
  if (before.kind === "mark") return !")]}".includes(before.text);
  return before.kind === "template" && before.text.endsWith("${");
}

/** What a module imports or re-exports, types and `import()` included. */
export function importsOf(source: string): string[] {
  const tokens = scan(source);
  return tokens.filter(({ kind }, i) => {
    if (kind !== "string") return false;
    const before = tokens[i - 1];
    const callee = before?.text === "(" ? tokens[i - 2] : before;
    if (callee?.kind !== "name") return false;
    return callee.text === "import" ||
      (callee.text === "from" && before === callee);
  }).map(({ text }) => text);
}

const FORBIDDEN = new Set([
  "Deno",
  "Bun",
  "Buffer",
  "process",
  "require",
  "navigator",
  "__dirname",
  "__filename",
]);

/**
 * The places where a module touches a runtime's own globals or asks which one
 * it runs on. A name that the module binds itself is its own (the compiler
 * knows of no other here).
 */
export function runtimeNamesOf(source: string): string[] {
  const tokens = scan(source);
  const text = (i: number) => tokens[i]?.text ?? "";
  const isName = (i: number) => tokens[i]?.kind === "name";
  const bound = new Set<string>();
  tokens.forEach((token, i) => {
    if (token.kind !== "name" || text(i - 1) === ".") return;
    const declared = /^(?:const|let|var|function|class|import)$/
      .test(text(i - 1));
    const parameter = text(i + 1) === ":" && text(i - 1) !== "?" &&
      /^[(,]$/.test(text(i - 1));
    const arrow = text(i + 1) === "=" && text(i + 2) === ">";
    if (declared || parameter || arrow) bound.add(token.text);
  });
  const found: string[] = [];
  tokens.forEach((token, i) => {
    if (!isName(i)) return;
    const { text: name, line } = token;
    const afterDot = text(i - 1) === ".";
    const ofGlobal = afterDot &&
      (text(i - 2) === "globalThis" || text(i - 3) === "globalThis");
    // Property names, `a.process` and `{ process: 1 }`, are nobody's globals.
    const isKey = text(i + 1) === ":" ||
      (text(i + 1) === "?" && text(i + 2) === ":");
    if (FORBIDDEN.has(name) && !isKey) {
      if (ofGlobal || (!afterDot && !bound.has(name))) {
        found.push(`line ${line}: ${name}`);
      }
    } else if (name === "globalThis") {
      // `globalThis["Deno"]`, `(globalThis as …).Deno`, `"Deno" in globalThis`
      const sniffs = text(i + 1) === "[" || text(i + 1) === "as" ||
        text(i - 1) === "in";
      if (sniffs) found.push(`line ${line}: ${name}`);
    }
  });
  return found;
}

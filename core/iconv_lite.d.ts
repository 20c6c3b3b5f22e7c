/**
 * `iconv-lite` where its own types are not read; `text/iconv.ts` has what we use.
 */
declare module "iconv-lite" {
  const iconv: unknown;
  export default iconv;
}

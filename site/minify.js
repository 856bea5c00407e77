// The page's script from standard input, made small by esbuild for `make site`: one scope, without what nothing calls,
// without comments, with short names. esbuild knows the language, where patterns of our own would guess.
import { readFileSync, writeFileSync } from "node:fs";
import { buildSync } from "esbuild";

const options = { bundle: true, minify: true, format: "iife", charset: "utf8", target: "es2022", write: false };
try {
  const made = buildSync({ stdin: { contents: readFileSync(0, "utf8") }, ...options, logLevel: "error" });
  writeFileSync(1, made.outputFiles[0].text);
} catch {
  process.exitCode = 1; // esbuild has said what is wrong, and where
}

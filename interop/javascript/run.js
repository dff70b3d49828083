// The official JavaScript client, unmodified, against our emulator.
//
//   node run.js ASSIGNMENT
//
// ASSIGNMENT is the JSON that `cargo xtask interop` passes to every runner; see interop/README.md.
// Prints `ok NAME (SECONDS s)` or `FAIL NAME: reason` for each case and ends with `N passed, M failed`.

import { readFile } from "node:fs/promises";

import { run } from "./runner.js";

const CLIENT = "6.0.4";

// The runner ends with the process that started it, which holds the other end of its input.
process.stdin.on("end", () => process.exit(3)).resume();

const manifest = new URL("node_modules/@azure/event-hubs/package.json", import.meta.url);
const { version } = JSON.parse(await readFile(manifest, "utf8"));
if (version !== CLIENT) {
  console.log(`FAIL start: @azure/event-hubs is ${version}, not ${CLIENT}: run npm ci\n0 passed, 1 failed`);
  process.exit(2);
}
process.exit((await run(JSON.parse(process.argv[2]))) ? 0 : 1);

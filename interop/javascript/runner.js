// Runs the selected cases, a few at a time, and says what became of each.

import { cases } from "./cases.js";
import { crossCases } from "./cross.js";
import { World } from "./world.js";

// A case which has not come back by then has failed; the others still run.
const CASE_SECONDS = 60;
// A case that meets a known defect of the client is cut off sooner.
const DEFECT_SECONDS = 12;
// Cases mostly wait, each on a hub of its own.
const AT_A_TIME = 8;

class CutOff extends Error {}

/** The result of `promise`, or an error once `seconds` have passed. */
async function limited(promise, seconds) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new CutOff(`no result within ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function reasonOf(error) {
  if (error instanceof AggregateError) {
    return error.errors.map(reasonOf).join(" / ");
  }
  const code = error?.code ? ` [${error.code}]` : "";
  const name = error?.code === "ERR_ASSERTION" ? "" : `${error?.name ?? "Error"}${code}: `;
  return `${name}${error?.message ?? error}`.replace(/\s+/g, " ");
}

/** Runs one case in which the client has a known defect: only that defect is forgiven. */
async function tolerant(entry, world, defect) {
  let met = null;
  try {
    await limited(entry.run(world), DEFECT_SECONDS);
  } catch (error) {
    const reason = reasonOf(error);
    const known = error instanceof CutOff ? defect.hangs : defect.errors.some((text) => reason.includes(text));
    if (!known) {
      throw error;
    }
    met = reason;
  }
  if (entry.next === undefined) {
    throw new Error("a known defect needs an operation that works next");
  }
  await limited(entry.next(world), CASE_SECONDS);
  return met;
}

/** Runs one case; prints its line; true when it passed. */
async function outcome(entry, world, defect) {
  const began = performance.now();
  const seconds = () => ((performance.now() - began) / 1000).toFixed(1);
  try {
    if (defect === undefined) {
      await limited(entry.run(world), CASE_SECONDS);
    } else {
      const met = await tolerant(entry, world, defect);
      console.log(`defect ${entry.name}: ${met ?? "not met"}`);
    }
    console.log(`ok ${entry.name} (${seconds()} s)`);
    return true;
  } catch (error) {
    console.log(`FAIL ${entry.name}: ${reasonOf(error)}`);
    return false;
  } finally {
    await limited(world.closeAll(), 5).catch(() => {});
  }
}

/** Does what the assignment says; true when everything passed. */
export async function run(assignment) {
  const entries = assignment.mode === "cases" ? cases : crossCases(assignment);
  const selected = entries
    .map((entry, index) => ({ ...entry, hub: `hub${index}` }))
    .filter((entry) => !assignment.only || entry.name.includes(assignment.only));
  let passed = 0;
  let failed = 0;
  const worker = async () => {
    for (let entry = selected.shift(); entry !== undefined; entry = selected.shift()) {
      const defect = assignment.defects.find((one) => one.case === entry.name);
      const world = new World(assignment, entry.hub);
      if (await outcome(entry, world, defect)) {
        passed += 1;
      } else {
        failed += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0;
}

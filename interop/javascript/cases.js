// All cases, in the order in which they start.

import { faults } from "./cases/faults.js";
import { ownership } from "./cases/ownership.js";
import { properties } from "./cases/properties.js";
import { receiving } from "./cases/receiving.js";
import { refusals } from "./cases/refusals.js";
import { sending } from "./cases/sending.js";

// The slow ones first, so that the fast ones fill the time beside them.
export const cases = [faults, sending, receiving, ownership, properties, refusals].flatMap((group) =>
  Object.entries(group).map(([name, body]) =>
    typeof body === "function" ? { name, run: body } : { name, ...body },
  ),
);

// The page: loads the library and starts its three parts.

import { byId } from "./dom";
import { geometryView } from "./geometry/view";
import { gpuView } from "./gpu/view";
import { lambdaView } from "./lambda/view";
import { Library } from "./library";

try {
  const library = await Library.load();
  geometryView(library);
  lambdaView(library);
  gpuView(library);
  document.documentElement.dataset["ready"] = "true";
} catch (error) {
  const problem = byId("fatal");
  problem.textContent = `The library did not start: ${error instanceof Error ? error.message : String(error)}`;
  problem.hidden = false;
}

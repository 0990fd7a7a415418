// The app that makes most attempts.
import { serve } from "./attempts.js";
import egress from "./egress.js";
import engine from "./engine.js";
import files from "./files.js";
import network from "./network.js";
import remote from "./remote.js";
import processes from "./processes.js";
import writes from "./writes.js";

export default serve({ ...files, ...writes, ...network, ...egress, ...processes, ...engine, ...remote });

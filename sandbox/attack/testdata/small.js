// The app of the attempts that end it or use something up: it is started often, and so it is small.
import { serve } from "./attempts.js";
import itself from "./itself.js";
import resources from "./resources.js";

export default serve({ ...itself, ...resources });

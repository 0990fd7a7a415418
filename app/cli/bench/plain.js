// The same app on plain Deno: what starting it costs without Paddock.
import app from "./main.js";
Deno.serve({ path: Deno.args[0], onListen() {} }, app.fetch);

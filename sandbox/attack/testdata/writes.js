// Changing what the app was not given.
import fs from "node:fs";
import { AT_FDCWD, bytes, call, fresh, must, own } from "./kit.js";

const there = (path) => must(call("statx", AT_FDCWD, bytes(path), 0, 0, new Uint8Array(256)) === 0) && path;

export default {
  "write: Deno.writeTextFileSync": (w) => Deno.writeTextFileSync(fresh(w.outside), "x") ?? "written",
  "write: Deno.writeFile": async (w) => (await Deno.writeFile(fresh(w.outside), new Uint8Array(1))) ?? "written",
  "write: Deno.create": (w) => must(Deno.createSync(fresh(w.outside))),
  "write: Deno.open": (w) => must(Deno.openSync(w.home + "/written-1", { write: true }).writeSync(new Uint8Array(1))),
  "write: append": (w) => Deno.writeTextFileSync(w.home + "/written-1", "x", { append: true }) ?? "written",
  "write: Deno.truncate": (w) => Deno.truncateSync(w.home + "/written-1", 0) ?? "emptied",
  "write: open and truncate": (w) => must(Deno.openSync(w.home + "/written-1", { write: true, truncate: true })),
  "write: Deno.mkdir": (w) => Deno.mkdirSync(fresh(w.outside)) ?? "made",
  "write: Deno.makeTempFile in a folder": (w) => must(Deno.makeTempFileSync({ dir: w.outside })),
  "write: Deno.makeTempDir": () => must(Deno.makeTempDirSync({ dir: "/tmp" })),
  "write: Deno.copyFile out": (w) => Deno.copyFileSync(own(w), fresh(w.outside)) ?? "copied",
  "write: Deno.rename out": (w) => Deno.renameSync(own(w), fresh(w.outside)) ?? "moved",
  "write: Deno.link out": (w) => Deno.linkSync(own(w), fresh(w.outside)) ?? "linked",
  "write: Deno.symlink outside": (w) => Deno.symlinkSync(w.data, fresh(w.outside)) ?? "linked",
  "write: Deno.remove": (w) => Deno.removeSync(w.home + "/removed-1") ?? "removed",
  "write: Deno.remove, a tree": (w) => Deno.removeSync(w.home + "/tree-1", { recursive: true }) ?? "removed",
  "write: fs.writeFileSync": (w) => fs.writeFileSync(fresh(w.outside), "x") ?? "written",
  "write: fs.appendFileSync": (w) => fs.appendFileSync(w.home + "/written-1", "x") ?? "written",
  "write: fs.promises.writeFile": async (w) => (await fs.promises.writeFile(fresh(w.outside), "x")) ?? "written",
  "write: fs.createWriteStream": (w) =>
    new Promise((resolve, reject) => {
      const stream = fs.createWriteStream(fresh(w.outside));
      stream.on("error", reject);
      stream.on("finish", () => resolve("written"));
      stream.end("x");
    }),
  "write: fs.mkdtempSync": (w) => must(fs.mkdtempSync(w.outside + "/x")),
  "write: fs.cpSync out": (w) => fs.cpSync(own(w), fresh(w.outside)) ?? "copied",
  "write: fs.renameSync out": (w) => fs.renameSync(own(w), fresh(w.outside)) ?? "moved",
  "write: fs.linkSync out": (w) => fs.linkSync(own(w), fresh(w.outside)) ?? "linked",
  "write: fs.rmSync": (w) => fs.rmSync(w.home + "/tree-2", { recursive: true }) ?? "removed",
  "write: fs.unlinkSync": (w) => fs.unlinkSync(w.home + "/removed-2") ?? "removed",
  "write: fs.truncateSync": (w) => fs.truncateSync(w.home + "/written-1", 1) ?? "cut",
  "write: truncate": (w) => call("truncate", bytes(w.home + "/written-1"), 0) === 0,
  "write: through a link": (w) => {
    const to = fresh(w.data);
    fs.symlinkSync(w.outside, to);
    fs.writeFileSync(to + "/through", "x");
    return there(w.outside + "/through");
  },
  "write: the app's own code": (w) => Deno.writeTextFileSync(w.app + "/new.js", "x") ?? "written",
  "write: replace the app's module": (w) => Deno.renameSync(own(w), w.app + "/spare.js") ?? "replaced",
  "write: the entry module's folder": (w) => Deno.writeTextFileSync(w.entry + "/new.js", "x") ?? "written",
  "write: the log": (w) => Deno.writeTextFileSync(w.log + "/forged", "x") ?? "written",
  "write: the socket folder": (w) => Deno.writeTextFileSync(fresh(w.sockets), "x") ?? "written",
  "write: /tmp": () => {
    const path = fresh("/tmp");
    Deno.writeTextFileSync(path, "x");
    Deno.removeSync(path);
    return "written";
  },

  // persistence: places from which something would start the app's code again
  "persist: autostart": (w) => {
    Deno.mkdirSync(w.home + "/.config/autostart", { recursive: true });
    return Deno.writeTextFileSync(w.home + "/.config/autostart/x.desktop", "[Desktop Entry]\nExec=x") ?? "written";
  },
  "persist: a shell's start-up file": (w) => Deno.writeTextFileSync(w.home + "/.bashrc", "x") ?? "written",
  "persist: a user service": (w) => {
    Deno.mkdirSync(w.home + "/.config/systemd/user", { recursive: true });
    return Deno.writeTextFileSync(w.home + "/.config/systemd/user/x.service", "[Service]\nExecStart=x") ?? "written";
  },
  "persist: ssh keys": (w) => Deno.writeTextFileSync(w.home + "/.ssh/authorized_keys", "x") ?? "written",

  // modes, owners, times
  "mode: Deno.chmod outside": (w) => Deno.chmodSync(w.home + "/mode-1", 0o777) ?? "changed",
  "mode: fs.chmodSync outside": (w) => fs.chmodSync(w.home + "/mode-1", 0o777) ?? "changed",
  "mode: Deno.chown outside": (w) => Deno.chownSync(w.home + "/mode-1", w.uid, w.gid) ?? "changed",
  "mode: Deno.utime outside": (w) => Deno.utimeSync(w.home + "/mode-1", 1, 1) ?? "changed",
  "mode: fs.lutimesSync outside": (w) => fs.lutimesSync(w.home + "/mode-1", 1, 1) ?? "changed",
  "mode: extended attributes outside": (w) => call("setxattr", bytes(w.home + "/mode-1"), bytes("user.x"), bytes("x"), 1, 0) === 0,
  "mode: times of a file open for reading": async (w) => {
    using file = Deno.openSync(w.app + "/spare.js");
    file.utimeSync(1, 1);
    return must(file.statSync().mtime.getTime() === 1000);
  },
  "set-uid: Deno.chmod": (w) => {
    const path = own(w);
    Deno.chmodSync(path, 0o4755);
    return must(Deno.statSync(path).mode & 0o6000);
  },
  "set-uid: fs.chmodSync": (w) => {
    const path = own(w);
    fs.chmodSync(path, 0o2755);
    return must(fs.statSync(path).mode & 0o6000);
  },
  "set-uid: fs.fchmodSync": (w) => {
    const path = own(w);
    const fd = fs.openSync(path, "r+");
    fs.fchmodSync(fd, 0o4755);
    fs.closeSync(fd);
    return must(fs.statSync(path).mode & 0o6000);
  },
  "set-gid: a new folder's mode": (w) => {
    const path = fresh(w.data);
    Deno.mkdirSync(path, { mode: 0o2755 });
    call("chmod", bytes(path), 0o2755); // mkdir drops the bit by itself on Linux
    return must(Deno.statSync(path).mode & 0o6000);
  },
  "set-uid: creat": (w) => {
    const path = fresh(w.data);
    call("creat", bytes(path), 0o4755);
    return must(Deno.statSync(path).mode & 0o6000);
  },
  "set-uid: openat": (w) => {
    const path = fresh(w.data);
    call("openat", AT_FDCWD, bytes(path), 0o101, 0o4755);
    return must(Deno.statSync(path).mode & 0o6000);
  },
  "set-uid: mknod": (w) => {
    const path = fresh(w.data);
    call("mknodat", AT_FDCWD, bytes(path), 0o104755, 0);
    return must(Deno.statSync(path).mode & 0o6000);
  },
  "set-uid: fchmodat2": (w) => {
    const path = own(w);
    call("fchmodat2", AT_FDCWD, bytes(path), 0o4755, 0);
    return must(Deno.statSync(path).mode & 0o6000);
  },
  "special file: a pipe by mknod": (w) => call("mknodat", AT_FDCWD, bytes(fresh(w.data)), 0o010600, 0) === 0,
};

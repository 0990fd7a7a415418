// What the rows share. A row is a function of the world around the app; it returns when its attempt has succeeded and
// throws when it was refused. It must not return for any other reason: a row that reads shows what it read.

const mark = "PADDOCK-SECRET";

// leak returns when what was read is one of the secrets that the test has laid out.
export function leak(value) {
  const text = value instanceof Uint8Array || value instanceof ArrayBuffer ? new TextDecoder().decode(value) : String(value);
  const at = text.indexOf(mark);
  if (at < 0) throw new Error("read something, but no secret: " + text.slice(0, 60));
  return text.slice(at, at + 30);
}

export function must(condition, why) {
  if (!condition) throw new Error(why ?? "it did not come to that");
  return condition;
}

let counter = 0;
// fresh is a new name below a folder.
export const fresh = (folder) => `${folder}/new-${Deno.pid}-${++counter}`;

// own is a new file of the app's own, with some text in it.
export function own(w, text = "own") {
  const path = fresh(w.data);
  Deno.writeTextFileSync(path, text);
  return path;
}

// event waits for one event and fails on "error".
export const event = (source, name) =>
  new Promise((resolve, reject) => {
    source.once(name, resolve);
    source.once("error", reject);
  });

// posted is the first message of a worker.
export const posted = (worker) =>
  new Promise((resolve, reject) => {
    worker.onmessage = (m) => {
      worker.terminate();
      resolve(m.data);
    };
    worker.onerror = (e) => {
      e.preventDefault();
      reject(new Error(e.message));
    };
  });

export const script = (text) => "data:application/javascript," + encodeURIComponent(text);

// collect reads a connection to its end, or as much as one answer is.
export async function collect(conn, most = 1 << 16) {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  let text = "";
  while (text.length < most) {
    const n = await conn.read(buffer);
    if (n === null) break;
    text += decoder.decode(buffer.subarray(0, n), { stream: true });
    if (text.includes(mark)) break;
  }
  return text;
}

// ---- native code: what an app could do that has broken out of V8, or that Deno's wall does not stop ----

let libc;
function library() {
  libc ??= Deno.dlopen("libc.so.6", {
    syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
    __errno_location: { parameters: [], result: "pointer" },
  });
  return libc.symbols;
}

// Call numbers: x86-64, arm64 (include/uapi/asm-generic/unistd.h). null: the call does not exist there.
const numbers = {
  chmod: [90, null], fchmodat: [268, 53], chown: [92, null], fchownat: [260, 54], mkdir: [83, null], mkdirat: [258, 34],
  mknod: [133, null], mknodat: [259, 33], creat: [85, null], openat: [257, 56], open: [2, null], fchmod: [91, 52], fchmodat2: [452, 452],
  ptrace: [101, 117], process_vm_readv: [310, 270], process_vm_writev: [311, 271], pidfd_open: [434, 434],
  pidfd_send_signal: [424, 424], pidfd_getfd: [438, 438], kcmp: [312, 272], kill: [62, 129], tkill: [200, 130], tgkill: [234, 131],
  rt_sigqueueinfo: [129, 138], unshare: [272, 97], clone: [56, 220], clone3: [435, 435], fork: [57, null], vfork: [58, null],
  execve: [59, 221], execveat: [322, 281], personality: [135, 92], keyctl: [250, 219], userfaultfd: [323, 282],
  io_uring_setup: [425, 425], socket: [41, 198], socketpair: [53, 199], bind: [49, 200], connect: [42, 203], sendto: [44, 206],
  shmget: [29, 194], msgget: [68, 186], semget: [64, 190], mq_open: [240, 180], setpriority: [141, 140],
  sched_setaffinity: [203, 122], sched_setscheduler: [144, 119], ioprio_set: [251, 30], prlimit64: [302, 261], setrlimit: [160, 164],
  inotify_init1: [294, 26], fanotify_init: [300, 262], landlock_create_ruleset: [444, 444], setpgid: [109, 154], setsid: [112, 157],
  prctl: [157, 167], setuid: [105, 146], setresuid: [117, 147], name_to_handle_at: [303, 264], openat2: [437, 437],
  fallocate: [285, 47], move_pages: [279, 239], exit_group: [231, 94], mount: [165, 40], perf_event_open: [298, 241], bpf: [321, 280],
  setxattr: [188, 5], utimensat: [280, 88], getxattr: [191, 8], memfd_secret: [447, 447], mbind: [237, 235], process_madvise: [440, 440],
  get_robust_list: [274, 100], statx: [332, 291], truncate: [76, 45], renameat2: [316, 276], linkat: [265, 37], symlinkat: [266, 36],
  syslog: [103, 116], read: [0, 63], write: [1, 64],
  shmctl: [31, 195], semctl: [66, 191], msgctl: [71, 187], mq_unlink: [241, 181], add_key: [248, 217], request_key: [249, 218], memfd_create: [319, 279], mmap: [9, 222], chroot: [161, 51],
};

export const bytes = (text) => new TextEncoder().encode(text + "\0");

// call makes one system call by name. Buffers are passed by address. It throws on an error.
export function call(name, ...args) {
  const number = numbers[name][Deno.build.arch === "x86_64" ? 0 : 1];
  if (number === null) throw new Error(`${name}: no such call on this architecture`);
  const all = [number, ...args, 0, 0, 0, 0, 0, 0].slice(0, 7).map((a) =>
    ArrayBuffer.isView(a) ? BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(a))) : BigInt(a)
  );
  const result = Number(library().syscall(...all));
  if (result < 0) {
    throw new Error(`${name}: errno ${new Deno.UnsafePointerView(library().__errno_location()).getInt32()}`);
  }
  return result;
}

export const AT_FDCWD = -100;

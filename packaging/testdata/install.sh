#!/usr/bin/env bash
# Installs, uses, removes and purges the package on a throw-away copy of this very system: an overlay in
# memory over the root file system, in mount and process namespaces of its own. Run by TestDeb as root:
#
#   unshare --mount --pid --fork --kill-child install.sh DEB SHAPE BUNDLE
#
# SHAPE is a file with a bundle's outer form, BUNDLE a real one, of the example app Notes.
#
# Prints what it checks; exits non-zero with the reason when something is wrong, 77 when this machine
# cannot make the copy.
set -euo pipefail
deb=$1 shape=$2 bundle=$3

fail() { printf 'FAIL: %s\n' "$*"; exit 1; }
step() { printf '== %s\n' "$*"; }
cannot() { printf 'CANNOT: %s\n' "$*"; exit 77; }

mount --make-rprivate / || cannot "mounts are not private to this test"
mount -t proc proc /proc || cannot "no proc"
copy=$(mktemp -d /tmp/paddock-install.XXXXXX)
trap 'umount --lazy "$copy" 2>/dev/null; rmdir "$copy" 2>/dev/null || true' EXIT
mount -t tmpfs -o size=2g tmpfs "$copy" || cannot "no tmpfs"
mkdir "$copy"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$copy/upper,workdir=$copy/work" "$copy/root" || cannot "no overlay file system"
mount -t proc proc "$copy/root/proc" || cannot "no proc"
mount --rbind /dev "$copy/root/dev" || cannot "no dev"
mount -t tmpfs -o mode=1777 tmpfs "$copy/root/tmp"
mount -t tmpfs -o mode=0755 tmpfs "$copy/root/run"
cp "$deb" "$copy/root/tmp/paddock.deb"
cp "$shape" "$copy/root/tmp/double-click.paddock"
cp "$shape" "$copy/root/tmp/no-extension"
cp "$bundle" "$copy/root/tmp/notes.paddock"
export HOME=/tmp/home LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
mkdir "$copy/root/tmp/home"
in_copy() { chroot "$copy/root" "$@"; }

if in_copy dpkg-query -W paddock >/dev/null 2>&1; then
  step "the machine has a Paddock of its own: the copy loses it first"
  in_copy dpkg --purge paddock >/dev/null
fi

# new_files lists what is there and was not in the system below, without what apt and dpkg keep for
# themselves and what the desktop's caches are rebuilt from.
new_files() {
  (cd "$copy/upper" && find . -type f -o -type l) | sed 's/^\.//' | while IFS= read -r f; do
    case "$f" in /var/lib/dpkg/* | /var/lib/apt/* | /var/cache/* | /var/log/* | *icon-theme.cache | *mimeinfo.cache | /usr/share/mime/*) continue ;; esac
    [ -e "$f" ] || [ -L "$f" ] || printf '%s\n' "$f"
  done | sort
}
before=$(new_files)

step "apt installs it"
in_copy apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install /tmp/paddock.deb </dev/null
[ "$(in_copy dpkg-query -W -f '${Status}' paddock)" = 'install ok installed' ] || fail "not installed"

step "the programs start"
help=$(in_copy paddock --help 2>&1) || fail "paddock --help: $help"
for program in paddock-tray paddock-window paddock-launch deno; do
  in_copy test -x "/usr/lib/paddock/$program" || fail "/usr/lib/paddock/$program cannot be run"
  if in_copy ldd "/usr/lib/paddock/$program" 2>/dev/null | grep 'not found'; then fail "$program lacks a library"; fi
done
in_copy /usr/lib/paddock/deno --version >/dev/null || fail "deno does not start"

step "the desktop knows the file type and the link"
type_of() { in_copy gio info -a standard::content-type "$1" | sed -n 's/.*standard::content-type: //p'; }
for f in double-click.paddock no-extension; do
  [ "$(type_of /tmp/$f)" = application/vnd.paddock.bundle ] || fail "$f has the type $(type_of /tmp/$f)"
done
for type in application/vnd.paddock.bundle x-scheme-handler/paddock; do
  opens=$(in_copy gio mime "$type") # not into a pipe: grep -q closes it early, and gio would fail
  [[ $opens == *org.paddock.Paddock.Review.desktop* ]] || fail "nothing opens $type: $opens"
done

step "an agent runs from it"
mkfifo "$copy/root/tmp/out"
in_copy env -i PATH=/usr/bin:/bin HOME=/tmp/home paddock agent --headless --listen 127.0.0.1:0 >"$copy/root/tmp/out" 2>"$copy/root/tmp/err" </dev/null &
IFS= read -r -t 60 ready <"$copy/root/tmp/out" || { cat "$copy/root/tmp/err"; fail "the agent did not get ready"; }
[[ $ready == *'"ready":true'* ]] || fail "the agent said $ready"
pid=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' <<<"$ready")
kill -0 "$pid" || fail "there is no agent $pid"

step "installing it again keeps the agent and the user's data"
in_copy dpkg -i /tmp/paddock.deb >/dev/null
kill -0 "$pid" || fail "an upgrade ended the agent"

step "the application menu starts it, and a double click opens the review"
mkfifo "$copy/root/tmp/display"
in_copy Xvfb -displayfd 1 -screen 0 1000x900x24 -nolisten tcp >"$copy/root/tmp/display" 2>/dev/null </dev/null &
x=$!
IFS= read -r -t 60 display <"$copy/root/tmp/display" || fail "no X server"
mkdir "$copy/root/tmp/desk"
on_desk() { in_copy env -i PATH=/usr/bin:/bin HOME=/tmp/desk DISPLAY=":$display" LIBGL_ALWAYS_SOFTWARE=1 LANG=C.UTF-8 "$@"; }
# window waits for a window with that title; reading a pipe that nobody writes to paces the loop.
mkfifo "$copy/never"
exec {never}<>"$copy/never"
window() {
  for _ in $(seq 300); do
    if on_desk xdotool search --onlyvisible --name "$1" >/dev/null 2>&1; then return 0; fi
    read -r -t 0.2 -u "$never" || true
  done
  cat "$copy/root/tmp/menu" "$copy/root/tmp/desk/.local/share/paddock/agent.log" 2>/dev/null || true
  fail "no window called $1"
}
on_desk gio launch /usr/share/applications/org.paddock.Paddock.desktop >"$copy/root/tmp/menu" 2>&1 </dev/null &
window '^Paddock$'
on_desk gio open /tmp/notes.paddock >>"$copy/root/tmp/menu" 2>&1 </dev/null || { cat "$copy/root/tmp/menu"; fail "the file cannot be opened"; }
window 'Notes'
listed=$(on_desk paddock list --json) || fail "paddock list: $listed"
[ "$listed" = '[]' ] || fail "opening the file installed something: $listed"

step "removing it ends the agent and leaves the user's data"
in_copy apt-get -qq -y -o Dpkg::Use-Pty=0 remove paddock </dev/null
if kill -0 "$pid" 2>/dev/null && [ "$(awk '{print $3}' "/proc/$pid/stat" 2>/dev/null)" != Z ]; then fail "the agent still runs"; fi
if left=$(pgrep -x 'paddock|paddock-tray|paddock-window' | tr '\n' ' ') && [ -n "$left" ]; then fail "still running: $left"; fi
kill "$x" 2>/dev/null || true
wait || true
in_copy test -e /tmp/home/.local/share/paddock/store.db || fail "the user's data is gone"

step "purging it leaves nothing"
in_copy dpkg --purge paddock >/dev/null 2>&1
if in_copy dpkg-query -W paddock >/dev/null 2>&1; then fail "dpkg still knows it"; fi
after=$(new_files)
[ "$before" = "$after" ] || fail "left behind: $(comm -13 <(echo "$before") <(echo "$after"))"
if in_copy gio mime x-scheme-handler/paddock 2>/dev/null | grep org.paddock; then fail "the link handler is still registered"; fi
echo "installed, used, removed and purged"

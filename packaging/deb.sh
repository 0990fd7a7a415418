#!/usr/bin/env bash
# Makes dist/paddock_VERSION-1_ARCH.deb from the programs in bin/ and prints its path. The same sources
# give the same bytes: times come from SOURCE_DATE_EPOCH (the last commit's when it is not set), and
# nothing else of this machine goes in.
#
# PADDOCK_RELEASE=1 compresses with xz (a minute, a quarter smaller) instead of zstd (seconds).
# PADDOCK_DIST names another folder than dist/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
umask 022
export LC_ALL=C TZ=UTC

die() { printf 'deb: %s\n' "$*" >&2; exit 1; }

field() { sed -n "s/^$1 *= *\"\\{0,1\\}\\([^\"]*\\)\"\\{0,1\\} *\$/\\1/p" FyneApp.toml; }

VERSION=$(field Version)
[ -n "$VERSION" ] || die "FyneApp.toml names no Version"
ARCH=$(go env GOARCH)
nfpm=${NFPM:?names the nfpm program: use make deb}
dist=${PADDOCK_DIST:-dist}

if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
  # A tarball has no history: the day of its version file then.
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y FyneApp.toml)
fi
export SOURCE_DATE_EPOCH VERSION ARCH
MTIME=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
STAGE=$(mktemp -d "${TMPDIR:-/tmp}/paddock-deb.XXXXXX")
trap 'rm -rf "$STAGE"' EXIT
export STAGE

for program in paddock paddock-tray paddock-window paddock-launch; do
  [ -x "bin/$program" ] || die "bin/$program is missing: run make build"
  # Debian ships programs without symbols; Go keeps what it needs for stack traces elsewhere.
  strip --strip-unneeded --remove-section=.comment --remove-section=.note -o "$STAGE/$program" "bin/$program"
done
packaging/setup.sh headless # refuses a bin/deno that is not the pinned one by fetching it again
cp bin/deno "$STAGE/deno"

CGO_ENABLED=0 go run ./packaging/licenses -version "$VERSION" \
  -texts "$STAGE/third-party.txt" -sbom "$STAGE/sbom.spdx.json" \
  . ./sandbox/launch ./app/tray ./app/window

for shell in bash zsh fish; do
  "$STAGE/paddock" completion "$shell" </dev/null >"$STAGE/completion.$shell"
done
fill() { sed -e "s/@VERSION@/$VERSION/" -e "s/@DATE@/${MTIME%T*}/" \
  -e "s/@MANDATE@/$(date -u -d "@$SOURCE_DATE_EPOCH" '+%B %-d, %Y')/" "$1"; }
fill packaging/linux/org.paddock.Paddock.metainfo.xml >"$STAGE/org.paddock.Paddock.metainfo.xml"
fill packaging/linux/paddock.1 >"$STAGE/paddock.1"
cat >"$STAGE/changelog.Debian" <<END
paddock ($VERSION-1) unstable; urgency=medium

  * Version $VERSION.

 -- The Paddock authors <paddock@paddock.example>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
gzip -9n "$STAGE"/{changelog.Debian,third-party.txt,sbom.spdx.json,paddock.1}

compression=zstd
[ -z "${PADDOCK_RELEASE:-}" ] || compression=xz
sed -e "s/@COMPRESSION@/$compression/" -e "s/@MTIME@/$MTIME/" packaging/nfpm.yaml >"$STAGE/nfpm.yaml"
mkdir -p "$dist"
file=$dist/paddock_$VERSION-1_$ARCH.deb
"$nfpm" package --config "$STAGE/nfpm.yaml" --packager deb --target "$STAGE/out.deb" >&2
mv -f "$STAGE/out.deb" "$file"
printf '%s\n' "$file"

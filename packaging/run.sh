#!/usr/bin/env bash
# make run: starts Paddock from bin/ with the two example apps, installed by URL as any stranger's app.
# With a display the tray and the windows come up; without one the link of the Notes app is printed.
# Ctrl-C ends the agent, every app and the example server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'run: %s\n' "$*" >&2; }
paddock=$PWD/bin/paddock
agent= server= temp=$(mktemp -d "${TMPDIR:-/tmp}/paddock-run.XXXXXX")

finish() {
  trap - EXIT INT TERM HUP
  # The agent gets SIGTERM even after the Ctrl-C that the terminal sent to everybody: it ends its apps once.
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
  # An agent that cannot end within 20 s is killed; its apps go with it (parent-death signal).
  if [ -n "$agent" ]; then
    # Waiting with read, on a pipe that nobody writes to: a sleep would outlive its killed shell.
    (read -r -t 20 -u "$never" || kill -KILL "$agent" 2>/dev/null && say "the agent did not end and was killed") &
    local late=$!
    wait "$agent" || true
    kill "$late" 2>/dev/null || true
  fi
  [ -z "$server" ] || wait "$server" || true
  rm -rf "$temp"
}
trap finish EXIT
trap 'say "ending…"; exit 0' INT TERM HUP

# first_line NAME SECONDS waits for the line with which a program says that it is ready.
first_line() {
  local line
  IFS= read -r -t "$2" line <"$temp/$1" || return 1
  printf '%s\n' "$line"
}

# Each program's output is a named pipe that this script holds open at both ends, so that opening it never
# blocks and the program never meets a closed pipe. The example server reads a pipe whose only writer is
# this script, and ends when that closes: it cannot outlive the script, however that ends.
mkfifo "$temp/agent" "$temp/server" "$temp/hold" "$temp/never"
exec {agent_out}<>"$temp/agent" {server_out}<>"$temp/server" {hold}<>"$temp/hold" {never}<>"$temp/never"

headless=()
[ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || headless=(--headless)

"$paddock" agent "${headless[@]}" >&"$agent_out" {agent_out}>&- {server_out}>&- {hold}>&- </dev/null &
agent=$!
ready=
for _ in $(seq 60); do
  ready=$(first_line agent 1) && break
  kill -0 "$agent" 2>/dev/null || break
done
if [ -z "$ready" ]; then
  code=0
  wait "$agent" || code=$?
  agent=
  say "the agent did not start (exit $code); its reason is above. If Paddock runs already, “paddock quit” ends it."
  exit "$((code == 0 ? 1 : code))"
fi

.cache/bin/serve-examples <"$temp/hold" >&"$server_out" {agent_out}>&- {server_out}>&- {hold}>&- &
server=$!
served=$(first_line server 120) || { say "the example apps could not be packed; the reason is above"; exit 1; }

installed=$("$paddock" --json list)
for app in notes feeds; do
  if grep -q "\"short\": *\"$app\"" <<<"$installed"; then
    continue
  fi
  url=$(sed -n "s/.*\"$app\":\"\([^\"]*\)\".*/\1/p" <<<"$served")
  say "installing $app from $url"
  "$paddock" install "$url"
done

if [ "${#headless[@]}" -eq 0 ]; then
  "$paddock" || say "the library did not open; see above"
  # In the background: it waits for the answer to the permission prompt.
  "$paddock" open notes &
  say "Notes opens in the browser. Feeds is in the library: it asks before it may reach the network."
else
  if opened=$("$paddock" --json open notes --no-browser); then
    say "there is no display. Notes is open at this link, which works once and for 30 seconds:"
    sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' <<<"$opened"
    say "a new link: bin/paddock open notes --no-browser; everything else: bin/paddock --help"
  else
    say "Notes did not start: $opened"
  fi
fi
say "Ctrl-C ends Paddock and every app."
wait "$agent" || { code=$?; agent=; say "the agent ended with exit $code"; exit "$code"; }
agent=

# make run    set this machine up, build everything, start Paddock with two example apps
# make test   set this machine up, build everything, run every test
# make help   the rest
#
# Programs are built with two sets of flags and no more, because each has its own compiler cache and
# the desktop libraries take minutes to compile:
#   CGO_ENABLED=0 -trimpath   paddock, paddock-launch and all tests that draw nothing on a real screen
#   CGO_ENABLED=1 -trimpath   paddock-tray and paddock-window (GTK and OpenGL are C)
# The race detector is a third, for tests only: it needs cgo and instruments what it compiles. It is kept
# to RACE_PKGS, none of which pulls in the desktop libraries, so that it costs a minute and not ten.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

# Version control stamps would make the bytes depend on the state of the checkout, and git refuses to
# answer for the checkout of another user.
export GOFLAGS := -trimpath -buildvcs=false
export GOWORK := off
PURE := CGO_ENABLED=0
CGO := CGO_ENABLED=1

# Packages that start goroutines or timers; arch_test.go says when one is missing. The one that takes longest is first.
RACE_PKGS = ./sandbox ./app ./app/bundle ./app/cli ./app/control ./app/control/server ./app/e2e/browser ./app/gateway ./app/gateway/loadtest ./sandbox/egress ./sandbox/wall ./store
# Of these, tests that run without the detector, which would find nothing more in them: one long computation (scrypt at
# minisign's own price, in test-logic), and browsers that need both processors for themselves (in test-chromium and test-firefox).
NOT_UNDER_RACE = ^(TestEncryptedKey|TestMatrix|TestShell)$$
BROWSER_TESTS = ^(TestMatrix|TestShell)$$
# Packages whose tests use only what the test cache sees: their own files and environment, and the test program. Their
# result is remembered until one of these changes (test-chromium and test-firefox say what else is). All others use real
# apps, browsers, walls and programs in bin/, and run each time.
LOGIC_PKGS = ./app/backup ./app/bundle ./app/cli ./app/ui ./sandbox/permission ./store
GUI_PKGS = ./app/tray ./app/window
# With ./packaging, which builds, checks and installs the .deb: both wait a lot, and for different things.
E2E_PKGS = ./app/e2e ./packaging
# What must at least compile for the other systems.
PORTABLE = ./app ./app/backup ./app/bundle/... ./app/cli ./app/control/... ./app/gateway ./packaging ./sandbox/... ./store

# Programs of other projects that tests, linting and packaging use, built from the Go module proxy.
# They stay out of go.mod: their dependencies are not ours.
# Named from here, so that the checkout may lie at any path.
TOOLS := .cache/bin
GOTESTSUM := $(TOOLS)/gotestsum@v1.13.0
GOFUMPT := $(TOOLS)/gofumpt@v0.12.0
STATICCHECK := $(TOOLS)/staticcheck@v0.8.2
NFPM := $(TOOLS)/nfpm@v2.45.2

TEST_TIMEOUT ?= 10m
FUZZ_TIME ?= 10s

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

# --- Set-up and building ---------------------------------------------------------------------------

.PHONY: setup setup-headless setup-build
setup: ## install what is missing on this machine (apt, npm); quiet the second time
	@packaging/setup.sh

setup-headless:
	@packaging/setup.sh headless

setup-build:
	@packaging/setup.sh headless build

.PHONY: headless build programs desktop-programs
headless: setup-headless programs ## paddock, paddock-launch and deno in bin/; needs no desktop library

build: setup-build programs desktop-programs ## all programs in bin/

programs:
	@mkdir -p bin
	$(PURE) go build -o bin/paddock .
ifeq ($(shell go env GOOS),linux)
	$(PURE) go build -o bin/paddock-launch ./sandbox/launch
endif

desktop-programs:
	@mkdir -p bin
	$(CGO) go build -o bin/paddock-tray ./app/tray
	$(CGO) go build -o bin/paddock-window ./app/window

$(TOOLS)/serve-examples: FORCE
	@$(PURE) go build -o $@ ./packaging/serve

.PHONY: run
run: build $(TOOLS)/serve-examples ## start Paddock with the example apps; Ctrl-C ends everything
	@packaging/run.sh

# --- Tests -----------------------------------------------------------------------------------------
# In the order in which they fail fastest. -count=1: run, whatever the test cache remembers. -p 3: more packages at once than
# processors, because their tests mostly wait. VETTED: lint-pure has vetted all that is built without cgo, and go test would do it
# again for each set of flags.

GO_TEST = $(GOTESTSUM) --format pkgname-and-test-fails --format-hide-empty-pkg -- -timeout $(TEST_TIMEOUT)
VETTED := -vet=off
# No display, session bus or state of the person who runs the tests: tests that need one start their own.
ALONE := env -u DISPLAY -u WAYLAND_DISPLAY -u DBUS_SESSION_BUS_ADDRESS -u PADDOCK_HOME -u PADDOCK_LIBEXEC

.PHONY: test test-logic test-race test-gui test-pure test-chromium test-firefox test-e2e
test: setup programs $(GOTESTSUM) lint-pure test-logic test-race desktop-programs $(TOOLS)/serve-examples test-gui test-pure test-chromium test-firefox test-e2e ## set up, build, run every test
	@echo 'make test: every step passed'

test-logic: $(GOTESTSUM)
	@echo '== logic, tested again when its inputs have changed'
	@$(ALONE) $(PURE) $(GO_TEST) $(VETTED) $(filter-out $(RACE_PKGS),$(LOGIC_PKGS))
	@$(ALONE) $(PURE) $(GO_TEST) $(VETTED) -run '$(NOT_UNDER_RACE)' ./app/bundle
	@$(ALONE) $(CGO) $(GO_TEST) $(VETTED) -race -skip '$(NOT_UNDER_RACE)' $(filter $(RACE_PKGS),$(LOGIC_PKGS))

# A program with the race detector waits a second before it ends, so that races show up late in its life. Our tests start
# many programs, and insist that no goroutine is left at the end: they need not wait.
test-race: $(GOTESTSUM)
	@echo '== packages with goroutines, under the race detector'
	@$(ALONE) $(CGO) GORACE=atexit_sleep_ms=0 $(GO_TEST) $(VETTED) -count=1 -p 3 -race -skip '$(NOT_UNDER_RACE)' $(filter-out $(LOGIC_PKGS),$(RACE_PKGS))

test-gui: $(GOTESTSUM)
	@echo '== tray and windows on a virtual display'
	@# One package after the other: two X servers that start at the same moment can take the same number over
	@# from a killed one, and the first to end removes the socket of both.
	@$(ALONE) $(CGO) $(GO_TEST) -count=1 -p 1 $(GUI_PKGS)

test-pure: $(GOTESTSUM)
	@echo '== tests that need neither a C compiler nor a display'
	@pkgs=$$(go list -e ./... | sed 's|^paddock|.|' | grep -vxF -f <(printf '%s\n' $(RACE_PKGS) $(LOGIC_PKGS) $(GUI_PKGS) $(E2E_PKGS))); \
	$(ALONE) $(PURE) $(GO_TEST) $(VETTED) -count=1 -p 3 $$pkgs

# They run nothing but a browser and the front door in the test program itself, so their result is remembered too, for
# these versions of the browsers, of Go and of the kernel. Each browser has a step, and both processors, of its own.
test-chromium test-firefox: test-%: $(GOTESTSUM)
	@echo '== the front door, attacked from pages in $*'
	@machine="$$(dpkg-query -W chromium firefox-esr 2>/dev/null | tr '\t\n' '  ') $$(uname -srv)"; \
	$(ALONE) $(PURE) PADDOCK_TEST_MACHINE="$$machine" $(GO_TEST) $(VETTED) -run '$(BROWSER_TESTS)/^$*$$' ./app/gateway

test-e2e: $(GOTESTSUM) deb-tools
	@echo '== end to end: programs, apps, browser, installer'
	@$(ALONE) $(PURE) NFPM='$(CURDIR)/$(NFPM)' $(GO_TEST) $(VETTED) -count=1 $(E2E_PKGS)

# What needs no C compiler is a step of make test too: seconds when the caches are warm, a minute when not.
# A file that is saved while staticcheck reads it leaves wrong facts in its cache, on which every later run
# panics (exit code 2): the cache is this checkout's own, and thrown away then.
STATICCHECK_CACHE := .cache/staticcheck
RUN_STATICCHECK = run() { STATICCHECK_CACHE='$(CURDIR)/$(STATICCHECK_CACHE)' $(STATICCHECK) "$$@"; }; \
	check() { local code=0; run "$$@" 2>$(STATICCHECK_CACHE).log || code=$$?; \
	  if [ $$code -gt 1 ]; then rm -rf $(STATICCHECK_CACHE); code=0; run "$$@" || code=$$?; \
	  else cat $(STATICCHECK_CACHE).log >&2; fi; return $$code; }; check
.PHONY: lint lint-pure
lint: setup-build lint-pure ## formatting, go vet, staticcheck; the other systems compile
	for os in windows darwin; do $(PURE) GOOS=$$os go build $(PORTABLE); done
	$(CGO) go vet ./app/tray ./app/window ./app/ui
	@export $(CGO); $(RUN_STATICCHECK) ./app/tray ./app/window ./app/ui

lint-pure: $(GOFUMPT) $(STATICCHECK)
	@echo '== formatting, go vet, staticcheck'
	@unformatted=$$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 $(GOFUMPT) -l); \
	if [ -n "$$unformatted" ]; then echo "not formatted (run $(GOFUMPT) -w):"; echo "$$unformatted"; exit 1; fi
	@$(PURE) go vet ./...
	@export $(PURE); $(RUN_STATICCHECK) $$(go list ./... | grep -vE "/app/(tray|window)$$")

.PHONY: screenshots
screenshots: ## draw the README's pictures anew
	@mkdir -p assets/screenshots
	$(ALONE) PADDOCK_README_SHOTS='$(CURDIR)/assets/screenshots' $(PURE) go test -count=1 -run '^TestShots$$' ./app/ui

# Caddy and nginx, which the front door is compared with, are unpacked into .cache and neither installed nor started.
.PHONY: bench
bench: headless ## Go benchmarks, then the program's own
	@packaging/setup.sh bench
	@export PATH="$$PATH:$(CURDIR)/.cache/bench/usr/bin:$(CURDIR)/.cache/bench/usr/sbin"; \
	$(PURE) go test -run '^$$' -bench . -benchmem ./... && bin/paddock bench

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZ_TIME (10s)
	@for folder in $$(grep -rl --include='*_test.go' '^func Fuzz' app assets packaging sandbox store | xargs -n 1 dirname | sort -u); do \
	  for target in $$(grep -h '^func Fuzz' $$folder/*_test.go | sed 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/'); do \
	    echo "== $$folder $$target"; \
	    $(PURE) go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_TIME) ./$$folder; \
	  done; \
	done

# --- Installers ------------------------------------------------------------------------------------

.PHONY: deb deb-tools deb-package
deb: build deb-tools deb-package ## dist/paddock_VERSION_ARCH.deb (PADDOCK_RELEASE=1 compresses for release)

deb-tools: $(NFPM)
	@packaging/setup.sh package

deb-package:
	@NFPM=$(NFPM) packaging/deb.sh

# --- Tools and cleaning ----------------------------------------------------------------------------

# go install names the program after its folder; the version goes into our name, so that a new pin
# is a new file.
define tool
$(1):
	@mkdir -p $(TOOLS)
	@echo 'building $(notdir $(1))' >&2
	@GOBIN='$(CURDIR)/$(TOOLS)/new' $(PURE) go install $(2)$(patsubst $(firstword $(subst @, ,$(notdir $(1))))%,%,$(notdir $(1)))
	@mv -f $(TOOLS)/new/$(firstword $(subst @, ,$(notdir $(1)))) $(1)
endef
$(eval $(call tool,$(GOTESTSUM),gotest.tools/gotestsum))
$(eval $(call tool,$(GOFUMPT),mvdan.cc/gofumpt))
$(eval $(call tool,$(STATICCHECK),honnef.co/go/tools/cmd/staticcheck))
$(eval $(call tool,$(NFPM),github.com/goreleaser/nfpm/v2/cmd/nfpm))

.PHONY: FORCE
FORCE:

.PHONY: clean
clean: ## remove bin/ and dist/; downloads and tools stay in .cache/
	rm -rf bin dist

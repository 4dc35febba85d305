# The verbs people expect; meson does the work.  `make help` lists them.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
MESON ?= meson
JOBS ?= $(shell nproc)

.DEFAULT_GOAL := all
.PHONY: all deps demo check soak ci fuzz bench bench-edge install clean help

all: $(BUILD)/build.ninja ## build into build/
	$(MESON) compile -C $(BUILD) -j $(JOBS)

$(BUILD)/build.ninja:
	@command -v $(MESON) >/dev/null || { echo "$(MESON) is missing; 'make deps' installs what is needed" >&2; exit 1; }
	$(MESON) setup $(BUILD)

deps: ## install the Debian packages that are missing (tools/packages.txt)
	tools/install-deps.sh

demo: ## names go live over HTTPS on this machine; ONCE=1 ends when they are
	tools/install-deps.sh build demo
	$(MAKE) all
	tools/demo.py $(if $(filter-out 0,$(ONCE)),--once) --build $(BUILD)

check: ## unit and system tests; SANITIZE=1: under ASan and UBSan
	tools/install-deps.sh build demo check
	JOBS=$(JOBS) tools/check.sh $(if $(filter-out 0,$(SANITIZE)),sanitize,plain)

soak: all ## kill tests, ROUNDS=20 of them, and the edge under sanitizers; SEED=number repeats one
	tools/install-deps.sh build demo check
	JOBS=$(JOBS) tools/sanitized-nginx.sh || [ $$? -eq 3 ]
	CERTHERD_BIN=$(BUILD)/src/certherd CERTHERD_MODULE=$(BUILD)/nginx/ngx_http_certherd_module.so \
	CERTHERD_KILL_ROUNDS=$(or $(ROUNDS),20) $(if $(SEED),CERTHERD_KILL_SEED=$(SEED)) \
	CERTHERD_EDGE_ROUNDS=600 $(if $(SEED),CERTHERD_EDGE_SEED=$(SEED)) \
		/usr/bin/python3 -m pytest -p no:cacheprovider -sv tests/system/test_kills.py \
		tests/system/test_edge_sanitized.py

ci: ## everything: style, gcc and sanitized clang without warnings, all tests with both
	tools/install-deps.sh
	JOBS=$(JOBS) tools/check.sh plain sanitize

fuzz: ## fuzz every target for SECONDS=60 each; TARGETS="api seal": only these
	tools/install-deps.sh
	tools/fuzz.sh $(or $(SECONDS),60) $(TARGETS)

bench: all ## figures and their limits; SUITE="seal start": some; results in bench/results/
	tools/install-deps.sh build demo check $(if $(filter issue_peers,$(SUITE)),peers)
	bench/run.py --build $(BUILD) $(SUITE)

bench-edge: all ## the edge with N=10000 names; SECONDS=600 of changes; PART="start change": some; PEERS=1: others
	tools/install-deps.sh build demo $(if $(filter-out 0,$(PEERS)),peers)
	bench/bench_edge.py --build $(BUILD) --names $(or $(N),10000) --seconds $(or $(SECONDS),60) \
		$(if $(SAMPLES),--samples $(SAMPLES)) $(if $(CACHE),--cache $(CACHE)) \
		$(if $(filter-out 0,$(PEERS)),--peers) $(addprefix --part ,$(PART))

install: all ## install under DESTDIR and PREFIX
	@$(MESON) introspect $(BUILD) --buildoptions | grep -q '"prefix", "value": "$(PREFIX)"' || \
		{ $(MESON) configure $(BUILD) -Dprefix=$(PREFIX) && $(MESON) compile -C $(BUILD) -j $(JOBS); }
	DESTDIR=$(abspath $(DESTDIR)) $(MESON) install -C $(BUILD) --no-rebuild

clean: ## remove what was built
	rm -rf build build-asan build-fuzz

help:
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1 \t/p' $(MAKEFILE_LIST) | expand -t 16

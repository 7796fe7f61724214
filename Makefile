# make demo    see it work: a correct cluster under faults, then a defect found
# make test    formatting, lints, unit, property, integration and end-to-end tests; those of containers on two engines
# make bench   how fast the harness and the checkers are
# make images  container images of the systems that ship with Duress
# make calibrate   what is detected, how reliably: writes docs/calibration.md
# make calibrate-etcd   the same with etcd in containers: writes docs/calibration-etcd.md

CARGO ?= cargo
DURESS = target/release/duress
SPECIMEN = cluster/systems/specimen

# nextest gives each test a process of its own and a time limit; without it `cargo test` runs the same tests.
# The container tests are those that need a container engine: `profile.containers` in .config/nextest.toml.
ifneq ($(shell $(CARGO) nextest --version 2>/dev/null),)
TEST = $(CARGO) nextest run --workspace --no-fail-fast
TEST_COMPILED = $(CARGO) nextest run --workspace --no-run
TEST_CONTAINERS = $(TEST) --profile containers
else
TEST = $(CARGO) test --workspace --no-fail-fast
TEST_COMPILED = $(CARGO) test --workspace --no-run
TEST_CONTAINERS = sh -ec '$(TEST) --test compose; $(TEST) --test it --test hostile -- compose containers_'
endif

.DEFAULT_GOAL := help
include cluster/systems/images.mk

# Images that tests use on the second engine too.
ON_BOTH = $(filter-out duress/nats% duress/rabbitmq%,$(IMAGES))

.PHONY: help demo test test-compiled test-images bench calibrate calibrate-etcd build clean

help:
	@sed -n 's/^# make /make /p' Makefile

build:
	@scripts/setup build
	$(CARGO) build --release

demo:
	@scripts/setup build run
	$(CARGO) build --profile demo
	@scripts/demo target/demo/duress

test:
	@scripts/setup build run test
	$(MAKE) --no-print-directory --jobs test-compiled test-images
	scripts/tidy-images $(TEST)
	$(CARGO) test --workspace --doc
	scripts/engine26 run --or-skip $(ON_BOTH:%=--load %) scripts/tidy-images $(TEST_CONTAINERS)

# What tests need: compilers wait for the processors, images mostly for the network, so both at once.
test-compiled:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(TEST_COMPILED)

test-images:
	@if docker version >/dev/null 2>&1; then $(MAKE) --no-print-directory --jobs 1 images; fi
	-scripts/engine26 root >/dev/null

bench:
	@scripts/setup build run
	$(CARGO) bench -p duress
	$(CARGO) bench -p duress-checker

calibrate: build
	@scripts/setup run
	$(DURESS) calibrate $(SPECIMEN) --out docs/calibration.md

calibrate-etcd: build images
	@scripts/setup run
	$(DURESS) calibrate cluster/systems/etcd --seeds 10 --defect-seeds 5 --out docs/calibration-etcd.md

clean:
	$(CARGO) clean

# Images of the systems that Duress ships. Included by the root Makefile; works alone too:
#
#     make -f cluster/systems/images.mk images
#
# An image that is there is left alone; `make images FORCE=1` makes all of them anew, the base included.

SYSTEMS := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

# Versions of etcd, and the arguments of `docker build` for each.
ETCD_VERSIONS := 3.4 3.5.0 3.5.1
etcd-3.4   := --file $(SYSTEMS)/etcd/Dockerfile.debian
etcd-3.5.0 := --build-arg ETCD=3.5.0
etcd-3.5.1 := --build-arg ETCD=3.5.1

# Likewise of NATS Server.
NATS_VERSIONS := 2.9 2.10.25 2.12.1
nats-2.9     := --file $(SYSTEMS)/nats/Dockerfile.debian
nats-2.10.25 := --build-arg NATS=2.10.25
nats-2.12.1  := --build-arg NATS=2.12.1

# What asks a system from a container beside it, from the folder client of the system.
NATS_CLIENT_IMAGE := duress/nats-client:2.16.0
RABBITMQ_CLIENT_IMAGE := duress/rabbitmq-client:5.1

# Systems with one version, each from the Dockerfile in its folder.
REDIS_IMAGE := duress/redis:7.0
SQLITE_IMAGE := duress/sqlite:3.40
RABBITMQ_IMAGE := duress/rabbitmq:3.10

# Not one of `images`, as it takes minutes to compile: `make image-hiqlite`.
HIQLITE_IMAGE := duress/hiqlite:0.15.3

# The specimen is of this very version: its image is made anew each time, from whatever the sources are now.
SPECIMEN_IMAGE := duress/specimen:$(shell sed -n 's/^version = "\(.*\)"/\1/p' $(SYSTEMS)/../../Cargo.toml)

# All of them, and the base that tests use as it is.
IMAGES := debian:bookworm-slim $(SPECIMEN_IMAGE) $(ETCD_VERSIONS:%=duress/etcd:%) $(REDIS_IMAGE) $(SQLITE_IMAGE) \
  $(NATS_VERSIONS:%=duress/nats:%) $(NATS_CLIENT_IMAGE) $(RABBITMQ_IMAGE) $(RABBITMQ_CLIENT_IMAGE)

# Those that come from the Dockerfile in a folder, and from versions of one.
PLAIN := image-redis image-sqlite image-rabbitmq image-nats-client image-rabbitmq-client
VERSIONED := $(ETCD_VERSIONS:%=image-etcd-%) $(NATS_VERSIONS:%=image-nats-%)

.PHONY: images image-base image-specimen image-hiqlite $(PLAIN) $(VERSIONED)

images: image-specimen $(PLAIN) $(VERSIONED)

# A static program, so that nothing else has to be in the image.
image-specimen:
	@echo "image: compiling the specimen" >&2
	cd $(SYSTEMS)/../.. && cargo rustc --quiet -p duress-specimen --bin duress-specimen --profile demo -- -C target-feature=+crt-static
	@tar --create --directory $(SYSTEMS)/specimen/containers Dockerfile --directory $(or $(CARGO_TARGET_DIR),$(CURDIR)/$(SYSTEMS)/../../target)/demo duress-specimen \
	  | $(SYSTEMS)/build-image.sh $(SPECIMEN_IMAGE) -

image-base:
	@FORCE=$(FORCE) $(SYSTEMS)/base/make-base.sh

image-redis: image = $(REDIS_IMAGE)
image-sqlite: image = $(SQLITE_IMAGE)
image-rabbitmq: image = $(RABBITMQ_IMAGE)
image-nats-client: image = $(NATS_CLIENT_IMAGE)
image-rabbitmq-client: image = $(RABBITMQ_CLIENT_IMAGE)
$(PLAIN): image-%: image-base
	@if [ -z "$(FORCE)" ] && docker image inspect $(image) >/dev/null 2>&1; then \
	  echo "image: $(image) is there" >&2; \
	else \
	  $(SYSTEMS)/build-image.sh $(image) $(SYSTEMS)/$(patsubst %-client,%/client,$*); \
	fi

# Compiled where what it needs is kept for the next time. Two jobs, and others first.
image-hiqlite: image-base
	@if [ -z "$(FORCE)" ] && docker image inspect $(HIQLITE_IMAGE) >/dev/null 2>&1; then \
	  echo "image: $(HIQLITE_IMAGE) is there" >&2; \
	else \
	  echo "image: compiling Hiqlite" >&2; \
	  built=$(or $(CARGO_TARGET_DIR),$(CURDIR)/$(SYSTEMS)/../../target)/hiqlite; \
	  (cd $(SYSTEMS)/hiqlite/node && nice cargo build --quiet --release --locked --jobs 2 --target-dir "$$built") \
	    && tar --create --directory $(SYSTEMS)/hiqlite Dockerfile --directory "$$built/release" hiqlite-node \
	    | $(SYSTEMS)/build-image.sh $(HIQLITE_IMAGE) -; \
	fi

# $* is the system and its version: etcd-3.5.0.
$(VERSIONED): image-%: image-base
	@system=$(firstword $(subst -, ,$*)); version=$(lastword $(subst -, ,$*)); \
	if [ -z "$(FORCE)" ] && docker image inspect duress/$$system:$$version >/dev/null 2>&1; then \
	  echo "image: duress/$$system:$$version is there" >&2; \
	else \
	  $(SYSTEMS)/build-image.sh duress/$$system:$$version $($*) $(SYSTEMS)/$$system; \
	fi

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

# Systems with one version, each from the Dockerfile in its folder.
REDIS_IMAGE := duress/redis:7.0
SQLITE_IMAGE := duress/sqlite:3.40

# Not one of `images`, as it takes minutes to compile: `make image-hiqlite`.
HIQLITE_IMAGE := duress/hiqlite:0.15.3

# The specimen is of this very version: its image is made anew each time, from whatever the sources are now.
SPECIMEN_IMAGE := duress/specimen:$(shell sed -n 's/^version = "\(.*\)"/\1/p' $(SYSTEMS)/../../Cargo.toml)

# All of them, and the base that tests use as it is.
IMAGES := debian:bookworm-slim $(SPECIMEN_IMAGE) $(ETCD_VERSIONS:%=duress/etcd:%) $(REDIS_IMAGE) $(SQLITE_IMAGE)

.PHONY: images image-base image-specimen image-redis image-sqlite image-hiqlite $(ETCD_VERSIONS:%=image-etcd-%)

images: image-specimen image-redis image-sqlite $(ETCD_VERSIONS:%=image-etcd-%)

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
image-redis image-sqlite: image-%: image-base
	@if [ -z "$(FORCE)" ] && docker image inspect $(image) >/dev/null 2>&1; then \
	  echo "image: $(image) is there" >&2; \
	else \
	  $(SYSTEMS)/build-image.sh $(image) $(SYSTEMS)/$*; \
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

$(ETCD_VERSIONS:%=image-etcd-%): image-etcd-%: image-base
	@if [ -z "$(FORCE)" ] && docker image inspect duress/etcd:$* >/dev/null 2>&1; then \
	  echo "image: duress/etcd:$* is there" >&2; \
	else \
	  $(SYSTEMS)/build-image.sh duress/etcd:$* $(etcd-$*) $(SYSTEMS)/etcd; \
	fi

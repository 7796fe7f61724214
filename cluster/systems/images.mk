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

.PHONY: images image-base $(ETCD_VERSIONS:%=image-etcd-%)

images: $(ETCD_VERSIONS:%=image-etcd-%)

image-base:
	@FORCE=$(FORCE) $(SYSTEMS)/base/make-base.sh

$(ETCD_VERSIONS:%=image-etcd-%): image-etcd-%: image-base
	@if [ -z "$(FORCE)" ] && docker image inspect duress/etcd:$* >/dev/null 2>&1; then \
	  echo "image: duress/etcd:$* is there" >&2; \
	else \
	  echo "image: building duress/etcd:$*" >&2; \
	  docker build --quiet --tag duress/etcd:$* $(etcd-$*) $(SYSTEMS)/etcd >/dev/null; \
	fi

#!/bin/bash
# Builds an image, and removes what that leaves without a name: the image that had this tag before, and stages of the
# Dockerfile that have a label duress.stage=TAG (only the builder before BuildKit leaves stages).
#
# usage: build-image.sh TAG ARGUMENT…      arguments of docker build
set -euo pipefail

tag=${1:?usage: build-image.sh TAG ARGUMENT…}
shift
unnamed() { docker image ls --quiet --no-trunc --filter dangling=true "$@"; }

before=$(docker image inspect --format '{{.Id}}' "$tag" 2>/dev/null) || before=
echo "image: building $tag" >&2
docker build --quiet --force-rm --tag "$tag" "$@" >/dev/null

for image in $(unnamed --filter "label=duress.stage=$tag") $(unnamed | grep -Fx "$before"); do
  # One that a container still uses stays.
  docker image rm "$image" >/dev/null 2>&1 || true
done

#!/bin/bash
# Sees to it that an image debian:bookworm-slim exists: the one that is there, else the one from the registry, else one
# made here from the apt sources of this host, which takes half a minute and 130 MB and needs root on a Debian machine.
# Mirrors, proxies, keys and certificate authorities are the host's own; none is named here.
#
# usage: make-base.sh [TAG]        FORCE=1: make it even if there is one
set -euo pipefail

tag=${1:-debian:bookworm-slim}
# A registry that cannot be reached may take minutes to say so.
pull_seconds_max=60

say() { printf 'base image: %s\n' "$*" >&2; }

if [ -z "${FORCE:-}" ]; then
  if docker image inspect "$tag" >/dev/null 2>&1; then
    say "$tag is there"
    exit 0
  fi
  if timeout "$pull_seconds_max" docker pull --quiet "$tag" >/dev/null 2>&1; then
    say "$tag pulled"
    exit 0
  fi
fi

say "$tag cannot be pulled: making it from this host's apt sources"
if ! command -v mmdebstrap >/dev/null; then
  say "installing mmdebstrap"
  apt-get install --yes --no-install-recommends mmdebstrap >/dev/null 2>&1 ||
    { apt-get update >/dev/null && apt-get install --yes --no-install-recommends mmdebstrap >/dev/null; }
fi

sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  if [ -s "$file" ]; then sources+=("$file"); fi
done
if [ ${#sources[@]} -eq 0 ]; then
  say "there is no source file in /etc/apt: give this host one, or put an image $tag there yourself"
  exit 1
fi

# What each customisation is for:
# - the host's own certificate authorities, without which package downloads fail behind a proxy that has one;
# - docker-clean: without it every image built from this one grows by the 74 MB of apt's caches;
# - policy-rc.d: packages must not start services while an image is built.
mmdebstrap --quiet --mode=root --variant=minbase --include=ca-certificates \
  --aptopt='Acquire::Check-Valid-Until "false"' \
  --aptopt='Acquire::Check-Date "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook='mkdir -p "$1/usr/local/share/ca-certificates"
    cp /usr/local/share/ca-certificates/*.crt "$1/usr/local/share/ca-certificates/" 2>/dev/null || :
    chroot "$1" update-ca-certificates >/dev/null 2>&1' \
  --customize-hook='printf "%s\n" \
    "Dir::Cache::pkgcache \"\";" "Dir::Cache::srcpkgcache \"\";" \
    "DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb || true\"; };" \
    "Acquire::Languages \"none\";" "Acquire::GzipIndexes \"true\";" > "$1/etc/apt/apt.conf.d/docker-clean"' \
  --customize-hook='printf "#!/bin/sh\nexit 101\n" > "$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"' \
  --customize-hook='rm -f "$1"/var/cache/apt/*.bin' \
  bookworm - "${sources[@]}" | docker import --change 'CMD ["bash"]' - "$tag" >/dev/null
say "$tag made"

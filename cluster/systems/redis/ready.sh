#!/bin/sh
# Succeeds once this node's sentinel knows the whole cluster, and its server is what the sentinel says: the primary, or a
# replica that is in sync with it. A primary that was replaced and has not been told yet is not ready.
set -eu
field() { tr -d '\r' | sed -n "s/^$1//p"; }

known=$(redis-cli -p 26379 info sentinel | field master0:)
case $known in
  *status=ok,*,slaves=2,sentinels=3) ;;
  *) exit 1 ;;
esac
primary=${known#*address=}
primary=${primary%%:*}
replication=$(redis-cli info replication)
case $(echo "$replication" | field role:) in
  master) getent ahostsv4 "$(hostname)" | grep -q "^$primary " ;;
  *)
    [ "$(echo "$replication" | field master_host:)" = "$primary" ]
    [ "$(echo "$replication" | field master_link_status:)" = up ]
    ;;
esac

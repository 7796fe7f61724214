#!/bin/sh
# Runs one node: its sentinel in the background, and its server. Both write their logs to standard output.
#
#   PRIMARY                 the host name of the first primary
#   MIN_REPLICAS_TO_WRITE   how many replicas must have answered within the last second for a primary to take writes
#
# Sentinel rewrites both configurations when roles change, so they are made on the first start and kept with the data.
set -eu
cd /var/lib/redis
address() { getent ahostsv4 "$1" | awk '{ print $1; exit }'; }

if [ ! -s sentinel.conf ]; then
  self=$(address "$(hostname)")
  primary=
  while [ -z "$primary" ]; do
    # A name is known once its container runs.
    primary=$(address "$PRIMARY") || sleep 0.1
  done
  cat > redis.conf <<END
dir /var/lib/redis
protected-mode no
appendonly yes
save ""
repl-diskless-sync-delay 0
min-replicas-to-write $MIN_REPLICAS_TO_WRITE
min-replicas-max-lag 1
END
  if [ "$self" != "$primary" ]; then echo "replicaof $primary 6379" >> redis.conf; fi
  cat > sentinel.conf <<END
port 26379
dir /tmp
protected-mode no
sentinel monitor duress $primary 6379 2
sentinel down-after-milliseconds duress 2000
sentinel failover-timeout duress 5000
END
fi
redis-sentinel sentinel.conf &
exec redis-server redis.conf

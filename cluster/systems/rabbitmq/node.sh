#!/bin/sh
# Runs one node of a cluster of three, n1 to n3.
#
#   PARTITION_HANDLING   what nodes do that see others again: ignore, pause_minority or autoheal
set -eu
export HOME=/var/lib/rabbitmq
export RABBITMQ_NODENAME="rabbit@$(hostname)"
# One scheduler, which sleeps when it has nothing to do.
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
printf duress > "$HOME/.erlang.cookie.new"
chmod 400 "$HOME/.erlang.cookie.new"
mv -f "$HOME/.erlang.cookie.new" "$HOME/.erlang.cookie"
chown -R rabbitmq:rabbitmq "$HOME" /etc/rabbitmq
cat > /etc/rabbitmq/rabbitmq.conf <<END
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = rabbit@n1
cluster_formation.classic_config.nodes.2 = rabbit@n2
cluster_formation.classic_config.nodes.3 = rabbit@n3
cluster_partition_handling = $PARTITION_HANDLING
net_ticktime = 5
loopback_users = none
log.console = true
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
END
# Quorum queues write a log of 512 MB before they begin another one, if nothing is said.
echo '[{ra, [{wal_max_size_bytes, 33554432}]}].' > /etc/rabbitmq/advanced.config
exec setpriv --reuid rabbitmq --regid rabbitmq --init-groups /usr/lib/rabbitmq/bin/rabbitmq-server

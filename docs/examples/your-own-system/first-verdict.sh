#!/bin/sh
# From a compose file to a first verdict under faults: what docs/your-own-system.md tells, in one go. The tests run it.
# It writes a folder `duress` beside the compose file. Needs `duress` in PATH and a container engine.
set -eu
cd "$(dirname "$0")"

duress init compose.yaml --yes

# The edits, as one would make them in an editor.
edit() { sed -i "$1" duress/system.toml; }
in_block() { sed -i "/^\[http.$1\]/,/^\$/ $2" duress/system.toml; }
edit 's|^path = .*|path = "/shelf/{key}"|'
edit 's|{ status = 200, ok = "/value" },.*|{ status = 200, ok = "text\|json" },|'
edit 's|{ status = 404, ok = "absent" },.*|{ status = 404, ok = "absent" },|'
in_block write 's|^body = .*|text = "{value}"|'
in_block write 's|{ status = .*|{ status = 204, ok = true },|'
in_block cas 's|^method = .*|method = "put"|'
in_block cas 's|^body = .*|headers = { if-match = "{old}" }\ntext = "{new}"|'
in_block cas 's|{ status = .*, ok = .*|{ status = 204, ok = true },|'
in_block cas 's|{ status = .*, fail = .*|{ status = 412, fail = "mismatch" },|'
in_block create 's|^body = .*|text = "{new}"|'

duress try ./duress --file compose.yaml --services amsterdam,bergen,cadiz
duress run duress/spec.toml --seed 7

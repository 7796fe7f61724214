#!/bin/sh
# From a compose file to a first verdict under faults. What docs/your-own-system.md tells, in one go; the tests run it.
# Run it in a copy of this folder: it writes a folder `duress`. Needs `duress` in PATH, and a container engine.
set -eu

duress init compose.yaml --yes

# The edits. In an editor they are as many lines as here; the test counts them.
edit() { sed -i "$@" duress/system.toml; }
edit 's|^path = "/kv/{key}/cas".*|path = "/shelf/{key}"|'
edit 's|^path = "/kv/{key}".*|path = "/shelf/{key}"|'
edit 's|^method = "p.*" .*|method = "put"|'
edit 's|{ status = 200, ok = "/value" },.*|{ status = 200, ok = "text\|json" },|'
edit 's|{ status = 404, ok = "absent" },.*|{ status = 404, ok = "absent" },|'
edit 's|^body = { value = .*|text = "{value}"|'
edit 's|{ status = \[200, 201, 204\], ok = true },.*|{ status = 204, ok = true },|'
edit 's|^body = { old = .*|headers = { if-match = "{old}" }\ntext = "{new}"|'
edit 's|{ status = \[200, 204\], ok = true },.*|{ status = 204, ok = true },|'
edit 's|{ status = \[409, 412\], fail = "mismatch" },.*|{ status = 412, fail = "mismatch" },|'

duress try ./duress --file compose.yaml --services amsterdam,bergen,cadiz
duress run duress/spec.toml --seed 7

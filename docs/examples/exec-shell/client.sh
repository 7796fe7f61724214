#!/bin/sh
# A client of the specimen in shell, by curl and jq: reads, writes and compares-and-sets.
send() { curl -s -w '\n%{http_code}' -H 'content-type: application/json' "$@"; }

while read -r line; do
    eval "$(printf '%s' "$line" | jq -r '@sh "id=\(.id) f=\(.f) url=http://\(.address)/kv/\(.key) read=\(.read) body=\(
        (if .f == "cas" then {old: .value[0], new: .value[1]} else {value} end) + (.token // {}) | tojson)"')"
    case $f in
    hello) printf '{"id":%s,"type":"ok"}\n' "$id" && continue ;;
    read) answer=$(send "$url?read=$read") ;;
    write) answer=$(send -X PUT -d "$body" "$url") ;;
    cas) answer=$(send -d "$body" "$url/cas") ;;
    esac
    # 7: curl could not connect, so nothing was sent.
    if [ $? = 7 ]; then
        printf '{"id":%s,"type":"refused","error":"not sent"}\n' "$id"
        continue
    fi
    # The last line is the status, the rest the answer.
    printf '%s' "$answer" | jq -ces --argjson id "$id" '.[0] as $it | {$id} +
        if .[1] == 200 and $it.swapped == false then {type: "fail", error: "mismatch"}
        elif .[1] == 200 then {type: "ok"} + ($it | if has("value") then {value} else {} end)
        elif $it.executed == "no" then {type: "refused", error: $it.error} + ($it | if .leader then {leader} else {} end)
        else {type: "info", error: "status \(.[1])"} end' 2>/dev/null ||
        printf '{"id":%s,"type":"info","error":"no JSON"}\n' "$id"
done

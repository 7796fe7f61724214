#!/bin/sh
# A client of the specimen in shell, by curl and jq: reads, writes and compares-and-sets.
while read -r line; do
    ask() { printf '%s' "$line" | jq -rc "$1"; }
    send() { curl -s -w '\n%{http_code}' -H 'content-type: application/json' "$@"; }
    id=$(ask .id)
    if [ "$(ask .f)" = hello ]; then
        printf '{"id":%s,"type":"ok"}\n' "$id"
        continue
    fi
    url="http://$(ask .address)/kv/$(ask .key)"
    case $(ask .f) in
    read) answer=$(send "$url?read=$(ask .read)") ;;
    write) answer=$(send -X PUT -d "$(ask '{value} + (.token // {})')" "$url") ;;
    cas) answer=$(send -d "$(ask '{old: .value[0], new: .value[1]} + (.token // {})')" "$url/cas") ;;
    esac
    # 7: curl could not connect, so nothing was sent.
    if [ $? = 7 ]; then
        printf '{"id":%s,"type":"refused","error":"not sent"}\n' "$id"
        continue
    fi
    status=$(printf '%s' "$answer" | tail -n 1)
    printf '%s' "$answer" | sed '$d' | jq -ce --argjson id "$id" --arg status "$status" '
        {$id} + if $status == "200" and .swapped == false then {type: "fail", error: "mismatch"}
        elif $status == "200" then {type: "ok"} + (if has("value") then {value} else {} end)
        elif .executed == "no" then {type: "refused", error} + (if .leader then {leader} else {} end)
        else {type: "info", error: "status \($status)"} end' 2>/dev/null ||
        printf '{"id":%s,"type":"info","error":"no JSON, status %s"}\n' "$id" "$status"
done

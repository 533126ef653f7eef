# evpnctl decode: one JSON line for each line of input, whatever it holds, flushed at once.
. "$(dirname "$0")/lib.sh"
decode() { "$build/evpnctl" decode "$@"; }
grep -hv '^#' "$root"/Tests/Vectors/*.hex | grep . >"$T/lines"
decode --as4 1 --add-path '' <"$T/lines" >"$T/json"
[ "$(wc -l <"$T/lines")" = "$(wc -l <"$T/json")" ] || fail 'not one line out for each line in'
jq -e . "$T/json" >/dev/null || fail 'a line is not JSON'
# Damage: cut, doubled, upper case, not hexadecimal, empty, very long, binary.
{
    while read -r line; do
        echo "${line:0:$((RANDOM % ${#line}))}"
        echo "$line$line"
        echo "${line^^}"
        echo "${line:0:40}ff${line:42}"
    done <"$T/lines"
    echo
    echo 'not hexadecimal'
    head -c 200000 /dev/zero | tr '\0' 'f'
    echo
    head -c 5000 /dev/urandom | tr -d '\n'
    echo
} >"$T/damaged"
decode <"$T/damaged" >"$T/json"
[ "$(wc -l <"$T/damaged")" = "$(wc -l <"$T/json")" ] || fail 'a damaged line was not answered'
jq -e . "$T/json" >/dev/null || fail 'an answer to a damaged line is not JSON'
# Flushed per line: the answer comes while the input stays open.
mkfifo "$T/in"
decode <"$T/in" >"$T/out" &
echo $! >"$T/decode.pid"
exec 7>"$T/in"
echo ffffffffffffffffffffffffffffffff001304 >&7
answered() { grep -q '"message":"KEEPALIVE"' "$T/out"; }
await 5 'an answer before the end of the input' answered
exec 7>&-

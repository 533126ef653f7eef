# evpnctl decode: one JSON line for each line of input, whatever it holds, flushed at once.
. "$(dirname "$0")/lib.sh"
decode() { "$build/evpnctl" decode "$@"; }
grep -hv '^#' "$root"/Tests/Vectors/*.hex | grep . >"$T/lines"
decode --as4 1 --add-path '' <"$T/lines" >"$T/json"
[ "$(wc -l <"$T/lines")" = "$(wc -l <"$T/json")" ] || fail 'not one line out for each line in'
jq -e . "$T/json" >/dev/null || fail 'a line is not JSON'
# The form of everything: in decode.txt each line of hexadecimal digits is followed by what is printed for it; `$` sets options.
options=()
while read -r line; do
    case $line in
    '#'*) what=$line ;;
    '$'*) read -ra options <<<"${line#?}" ;;
    '{'*) [ "$(decode "${options[@]}" <<<"$hex")" = "$line" ] || fail "decode.txt: $what: $hex" ;;
    *) hex=$line ;;
    esac
done <"$root/Tests/Integration/decode.txt"
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
    printf '0xff\n \t\nff\0ff\n\xff\xfe\n'
    head -c 3000000 /dev/zero | tr '\0' 'f'
    echo
    head -c 200000 /dev/zero | tr '\0' 'f'
    echo
    head -c 5000 /dev/urandom | tr -d '\n'
    echo
} >"$T/damaged"
decode <"$T/damaged" >"$T/json"
[ "$(wc -l <"$T/damaged")" = "$(wc -l <"$T/json")" ] || fail 'a damaged line was not answered'
jq -e . "$T/json" >/dev/null || fail 'an answer to a damaged line is not JSON'
# A last line without an end, and carriage returns.
[ "$(printf 'ffffffffffffffffffffffffffffffff001304\r\nFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF 0013 04' | decode | grep -c KEEPALIVE)" = 2 ] ||
    fail 'white space or the last line'
for wrong in '--as4 2' --as4 --add-path '--add-path 1/256' --wrong; do
    status=0
    # shellcheck disable=SC2086
    decode $wrong </dev/null 2>"$T/usage" || status=$?
    [ $status = 2 ] && grep -q usage: "$T/usage" || fail "accepted: $wrong"
done
# Flushed per line: the answer comes while the input stays open.
mkfifo "$T/in"
decode <"$T/in" >"$T/out" &
echo $! >"$T/decode.pid"
exec 7>"$T/in"
echo ffffffffffffffffffffffffffffffff001304 >&7
answered() { grep -q '"message":"KEEPALIVE"' "$T/out"; }
await 15 'an answer before the end of the input' answered
exec 7>&-

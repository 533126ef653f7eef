# Starting where it cannot work: no privileges, a second daemon on the same socket, a configuration that is not there.
. "$(dirname "$0")/lib.sh"
core
node a 10.99.0.2/24
printf 'node: {vtep: 10.99.0.2}\nbgp: {global: {asn: 65000}}\nvnis: [100]\n' >"$T/a.yaml"
set +e
ip netns exec "$P-a" setpriv --reuid 65534 --clear-groups "$build/evpnd" --config "$T/a.yaml" --state-dir "$T/none" 2>"$T/err" && fail 'it started without privileges'
grep -qE 'CAP_NET_ADMIN|Permission denied' "$T/err" || fail "no clear message: $(cat "$T/err")"
ip netns exec "$P-a" setpriv --bounding-set=-net_admin "$build/evpnd" --config "$T/a.yaml" --state-dir "$T/none" 2>"$T/err"
[ $? = 1 ] || fail 'not exit status 1 without CAP_NET_ADMIN'
grep -q 'CAP_NET_ADMIN is missing' "$T/err" || fail "no clear message: $(cat "$T/err")"
"$build/evpnd" --config "$T/absent.yaml" 2>"$T/err"
[ $? = 2 ] || fail 'not exit status 2 without a configuration'
grep -q 'absent.yaml' "$T/err" || fail 'the message does not name the file'
set -e
start_evpnd a
set +e
ip netns exec "$P-a" "$build/evpnd" --config "$T/a.yaml" --socket "$T/a.sock" --state-dir "$T/a2" 2>"$T/err"
[ $? = 1 ] || fail 'a second daemon took the socket'
grep -q 'another evpnd is running' "$T/err" || fail "no clear message: $(cat "$T/err")"
ctl a show status >/dev/null || fail 'the first daemon suffered'

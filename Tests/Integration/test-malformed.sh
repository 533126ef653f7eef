# A peer that sends malformed UPDATEs and unusable routes: RFC 7606's answers, counters, explain; the daemon and its other session live.
. "$(dirname "$0")/lib.sh"
core
node v2 10.99.0.2/24
node v3 10.99.0.3/24
node bad 10.99.0.9/24
for i in 2 3; do
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    strangers=10.99.0.9/32 configure_vtep v$i 10.99.0.$i 10.99.0.$((5 - i)) <<C
vnis: [{vni: 100, managed: true, members: [p$i]}]
C
    start_evpnd v$i
done
await 20 'ping' pings h2 10.0.0.3
targets=c010080002fde800000064
reach() { # NLRI : an UPDATE body with MP_REACH of one EVPN route, next hop 10.99.0.9, after the attributes in $origin
    local nlri=$1 value attributes
    value=001946040a63000900$nlri
    attributes=${origin:-40010100}4002004005040000006490
    attributes=${attributes%90}$targets$(printf '800e%02x' $((${#value} / 2)))$value
    printf '2:0000%04x%s\n' $((${#attributes} / 2)) "$attributes"
}
mac() { # MAC VNI(6 digits)
    printf '02210001%s0064%s%s30%s00%s' 0a630009 00000000000000000000 00000000 "$1" "$2"
}
{
    reach "$(mac 0200000000a1 000064)"
    reach "$(mac 0200000000a2 000000)"
    reach "$(mac 0300000000a3 000064)"
    origin=40010107 reach "$(mac 0200000000a4 000064)"
    reach "$(mac 0200000000a5 000064)"
} >"$T/messages"
mkfifo "$T/pipe"
ip netns exec "$P-bad" python3 "$here/peer.py" 10.99.0.2 10.99.0.9 <"$T/pipe" >"$T/peer.out" &
echo $! >"$T/peer.pid"
exec 7>"$T/pipe"
cat "$T/messages" >&7
has() { on v2 bridge fdb show dev vxlan100 | grep "$1"; }
await 10 'the good route before' has 02:00:00:00:00:a1
await 10 'the good route after' has 02:00:00:00:00:a5
for mac in 02:00:00:00:00:a2 03:00:00:00:00:a3 02:00:00:00:00:a4; do has $mac && fail "$mac was installed"; done
ctl v2 show neighbors --json | jq -e 'map(select(.address == "10.99.0.9")) | .[0].state == "established" and (.[0].faults | length) == 1' >/dev/null ||
    fail 'treat-as-withdraw is not counted, or cost the session'
grep -q 'event=bgp.update.fault.*treat-as-withdraw' "$T/v2.log" || fail 'the fault was not logged with its bytes'
ctl v2 explain mac 02:00:00:00:00:a2 --vni 100 >"$T/explain" 2>&1 && fail 'explain calls an ignored route complete'
grep -q 'ignored: VNI 0' "$T/explain" || fail 'explain does not say why the route is ignored'
echo 'raw:00112233445566778899aabbccddeeff001304' >&7
ended() { grep -q 'notification 1/1' "$T/peer.out"; }
await 15 'a bad marker gets NOTIFICATION 1/1' ended
lost() { ! has 02:00:00:00:00:a1; }
await 15 'routes of the reset session are gone' lost
await 15 'the other session goes on' pings h2 10.0.0.3
[ "$(ctl v2 show neighbors --json | jq 'map(select(.address == "10.99.0.3")) | .[0].sessions')" = 1 ] || fail 'the other session was reset'

# A peer whose type 5 routes name the router MAC of another VTEP, or ours, and unusable prefixes among good ones: nobody else's packets suffer,
# and it is said. Gateways that are announced as hosts; hosts that the configuration declares.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tenant.sh"
core
node bad 10.98.0.9/24
for i in 1 2; do
    vtep $i
    strangers=10.98.0.9/32 configure_vtep v$i 10.98.0.$i 10.98.0.$((3 - i)) <<C
vrfs:
  - {name: ten, vni: 500, managed: true, namespace: $P-t$i, routerMAC: "02:98:00:00:00:0$i", announce: {connected: true}}
vnis:
  - vni: 10$i
    managed: true
    vrf: ten
    gateway: [10.20.$i.1/24, "2001:db8:20:$i::1/64"]
    announceGateway: host
    members: [p$i]
    macs: [{mac: "02:00:00:00:77:0$i", addresses: 10.20.$i.77}]
C
    start_evpnd v$i
    await 10 "the gateway of VTEP $i" on t$i ping -c1 -W1 -q 10.20.$i.1
    routes_of_host $i
done
route() { ip -n "$P-t1" route show "$1" | grep .; } # PREFIX : of VTEP 1
for i in 1 2; do await 20 "host $i to host $((3 - i))" pings h$i 10.20.$((3 - i)).10; done

# A gateway's address has a host route of its own, and answers from afar.
for i in 1 2; do
    gateway=10.20.$((3 - i)).1
    gateway_route() { ip -n "$P-t$i" route show "$gateway" | grep br500; }
    await 10 "the route to gateway $gateway" gateway_route
    await 10 "gateway $gateway from VTEP $i" pings h$i $gateway
done
# A declared host is known to the kernel though it never spoke, and announced.
await 10 'the declared neighbor' on t1 sh -c 'ip neigh show 10.20.1.77 | grep 02:00:00:00:77:01'
declared() { ip -n "$P-t2" route show 10.20.1.77 | grep br500; }
await 10 'the route to the declared host' declared

# One type 5 route, label 500, its next hop below that of VTEP 2.
type5() { # PREFIX(10 digits: length, address) ROUTER-MAC NEXT-HOP
    local nlri value attributes
    nlri=052200010a6200090001$(printf '0%.0s' {1..28})${1}000000000001f4
    value=00194604${3}00$nlri
    attributes=4001010040020040050400000064 # ORIGIN, AS_PATH, LOCAL_PREF
    attributes+=c010180002fde8000001f4030c0000000000080603$2
    attributes+=$(printf '800e%02x' $((${#value} / 2)))$value
    printf '2:0000%04x%s\n' $((${#attributes} / 2)) "$attributes"
}
mkfifo "$T/pipe"
ip netns exec "$P-bad" python3 "$here/peer.py" 10.98.0.1 10.98.0.9 <"$T/pipe" >"$T/peer.out" &
echo $! >"$T/peer.pid"
exec 7>"$T/pipe"
await 10 'the session of the peer' grep -q up "$T/peer.out"
routes_before() { ip -n "$P-t1" route show | grep -E '10\.20\.2|10\.30\.2'; ip -n "$P-t1" -6 route show | grep 'via fe80::ffff'; }
before=$(routes_before)
ip netns exec "$P-h1" ping -i 0.05 -c 100000 10.20.2.10 >"$T/stream" 2>&1 &
stream=$!
echo $stream >"$T/stream.pid"
# Good ones around those that must not do anything: 127/8, 0/8, 224/4, and our router MAC; then the router MAC of VTEP 2.
{
    type5 180a4d0100 020000009901 0a620009
    type5 087f000000 020000009901 0a620009
    type5 0800000000 020000009901 0a620009
    type5 2000000000 020000009901 0a620009
    type5 04e0000000 020000009901 0a620009
    type5 180a4d0200 029800000001 0a610008
    type5 180a4d0300 029800000002 0a610009
    type5 210a4d0500 020000009901 0a620009 # a length of 33: the session goes on (RFC 7606)
    type5 180a4d0400 020000009901 0a620009
} >&7
await 10 'the good route before' route 10.77.1.0/24
await 10 'the good route after' route 10.77.4.0/24
for prefix in 127.0.0.0/8 0.0.0.0/8 0.0.0.0/32 224.0.0.0/4 10.77.2.0/24 10.77.3.0/24; do
    route $prefix && fail "$prefix was installed"
done
[ "$before" = "$(routes_before)" ] || fail "routes of VTEP 2 have changed: $before; $(routes_before)"
ctl v1 show neighbors --json | jq -e 'map(select(.address == "10.98.0.9")) | .[0].state == "established" and (.[0].faults | length) == 1' >/dev/null ||
    fail 'the malformed prefix is not counted, or cost the session'
fault() { ctl v1 show vrfs --json | jq -re '.[] | select(.name == "ten") | .problem'; }
fault >"$T/fault" || fail 'show vrfs says nothing of the conflict'
grep -q 'VTEP 10.97.0.8 .* 02:98:00:00:00:01 of this host .*1 more' "$T/fault" || fail "$(cat "$T/fault")"
ctl v1 show status | grep '02:98:00:00:00:01' >/dev/null || fail 'show status says nothing of the conflict'
ctl v1 explain prefix 10.77.3.0/24 --vrf ten >"$T/explain" 2>&1 && fail 'explain calls a refused route complete'
grep -q '02:98:00:00:00:02 is that of 10.98.0.2' "$T/explain" || fail "explain does not say who has the MAC: $(cat "$T/explain")"
grep -q 'event=evpn.mac.conflict .*winner="remote 10.98.0.2" loser="remote 10.97.0.9"' "$T/v1.log" || fail 'the conflict was not logged'
kill -INT $stream
wait $stream || true
rm "$T/stream.pid"
none_unanswered "$T/stream" 'from host 1 to host 2'
echoes h1 10.20.2.10 || fail 'host 1 does not reach host 2 any more'
# A session that ends with an error takes its routes along, and with them the problem.
echo 'raw:00112233445566778899aabbccddeeff001304' >&7
fine() { ! fault; }
await 10 'the conflict is over' fine
await 10 'routes of the peer are gone' on t1 sh -c '! ip route show 10.77.1.0/24 | grep .'
[ "$before" = "$(routes_before)" ] || fail 'routes of VTEP 2 went with it'

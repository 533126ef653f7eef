# gobgpd as the speaker of every host: a hub with dynamic neighbors, spokes over TCP and over a unix socket, and one embedded
# speaker among them. Then: gobgpd killed and started, evpnd restarted, mobility, poison routes, a policy that rejects ours.
. "$(dirname "$0")/lib.sh"
core
gobgp() { on "$1" gobgp "${@:2}"; }

node hub 10.99.0.1/24
timers=$'    hold-time = 9\n    keepalive-interval = 3'
configure_gobgp_hub hub l2vpn-evpn "  [peer-groups.timers.config]"$'\n'"$timers"
start_gobgpd hub
for i in 2 3 4; do
    node v$i 10.99.0.$i/24
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    gobgp_timers=$timers configure_gobgp v$i 10.99.0.$i 10.99.0.1 l2vpn-evpn
done
vnis() { echo "vnis: [{vni: 100, managed: true, members: [p$1]}]"; }
cat >"$T/v2.yaml" <<C
node: {vtep: 10.99.0.2}
bgp: {speaker: gobgp, gobgp: {address: "127.0.0.1:50051", holdTime: 20}, global: {asn: 65000}}
$(vnis 2)
C
cat >"$T/v3.yaml" <<C
node: {vtep: 10.99.0.3}
bgp: {speaker: gobgp, gobgp: {address: "unix://$T/v3.gobgp"}, global: {asn: 65000}}
$(vnis 3)
C
configure_vtep v4 10.99.0.4 10.99.0.1 <<<"$(vnis 4)"

# evpnd before gobgpd: it waits, says why, and is not ready.
start_evpnd v2
not_ready() { ctl v2 show status --json | jq -e '.ready == false and (.waiting_for | join(" ") | test("Connection refused"))'; }
await 15 'evpnd says that gobgpd is not there' not_ready
start_gobgpd v2
start_gobgpd v3 --api-hosts "unix://$T/v3.gobgp"
start_evpnd v3
start_evpnd v4
await 40 'the session of v2' established v2
await 40 'the session of v3' established v3
await 40 'the session of v4' established v4
await 20 'ping, gobgpd to gobgpd' pings h2 10.0.0.3
await 20 'ping, gobgpd to embedded' pings h2 10.0.0.4
await 20 'ping, embedded to gobgpd' pings h4 10.0.0.3
has_mac() { on "$1" bridge fdb show dev vxlan100 | grep "$2 dst $3"; } # NODE MAC VTEP
for i in 3 4; do await 10 "MAC of h$i on v2" has_mac v2 02:00:00:00:00:0$i 10.99.0.$i; done
ready() { ctl $1 show status --json | jq -e .ready; }
await 30 'v2 is ready' ready v2
await 10 'nothing to do on v2' settled v2

routes_of() { gobgp v2 global rib -a evpn | grep "10.99.0.2:100.*02:00:00:00:00:02"; }
await 15 'our MAC route in our gobgpd' routes_of

# gobgpd is killed: what was learned stays in the kernel. It returns empty: our routes are there within a second, and nothing was lost meanwhile.
kill_gobgpd v2
is_down() { ctl v2 show status --json | jq -e '.ready == false'; }
await 15 'v2 notices' is_down
has_mac v2 02:00:00:00:00:03 10.99.0.3 >/dev/null || fail 'an entry was lost with gobgpd'
start_gobgpd v2
answers() { gobgp v2 global; }
await 10 'gobgpd is back' answers
await 1 'our routes are back within a second' routes_of
has_mac v2 02:00:00:00:00:03 10.99.0.3 >/dev/null || fail 'an entry was lost at the return'
# While it was away a route went: it is swept once the sessions are back.
kill_gobgpd v2
on v4 ip link set p4 down
withdrawn() { ! gobgp hub global rib -a evpn | grep 02:00:00:00:00:04; }
await 20 'the hub forgets the MAC of h4' withdrawn
has_mac v2 02:00:00:00:00:04 10.99.0.4 >/dev/null || fail 'v2 cannot know yet, and must keep the entry'
start_gobgpd v2
swept() { ! has_mac v2 02:00:00:00:00:04 10.99.0.4; }
await 40 'the stale entry is swept' swept
has_mac v2 02:00:00:00:00:03 10.99.0.3 >/dev/null || fail 'a live entry was swept'
on v4 ip link set p4 up

# evpnd restarts with another configuration: nothing is lost, and what is no longer wanted leaves gobgpd.
old_imet() { gobgp hub global rib -a evpn | grep '10.99.0.3:100.*etag:0.*ip:10.99.0.3'; }
await 10 'the hub knows VNI 100 of v3' old_imet
stop_evpnd v3
old_imet >/dev/null || fail 'a stop must not withdraw'
await 15 'forwarding goes on without evpnd' pings h2 10.0.0.3
sed -i 's/^vnis: .*/vnis: [{vni: 100, managed: true, members: [p3], rd: "10.99.0.3:777"}]/' "$T/v3.yaml"
start_evpnd v3
new_imet() { gobgp hub global rib -a evpn | grep '10.99.0.3:777.*ip:10.99.0.3'; }
await 30 'the new route distinguisher' new_imet
left() { ! old_imet; }
await 60 'the routes of the run before have left gobgpd' left
await 10 'ping after the restart' pings h2 10.0.0.3

# A MAC moves between two gobgpds: the sequence number is ours.
on h2 ip link set eth0 address 02:00:00:00:00:77
await 10 'ping from the wandering MAC' pings h2 10.0.0.3
await 10 'the wandering MAC behind v2' has_mac v3 02:00:00:00:00:77 10.99.0.2
on h2 ip link set eth0 address 02:00:00:00:00:02
on h3 ip link set eth0 address 02:00:00:00:00:77
pings h3 10.0.0.2 >/dev/null || true
await 10 'the wandering MAC behind v3' has_mac v2 02:00:00:00:00:77 10.99.0.3
mobile() { ctl v2 show macs --mac 02:00:00:00:00:77 --json | jq -e '.[0].sequence == 1'; }
await 10 'the move carries sequence number 1' mobile

# Poison of every kind, added at the hub: each is skipped by itself, and a good route behind them still arrives.
poison() { gobgp hub global rib add -a evpn "$@"; }
poison prefix 2001:db8:1::/64 etag 0 label 500 rd 10.99.0.9:9 rt 65000:100 encap vxlan router-mac 02:00:00:00:09:09
poison macadv 02:00:00:00:09:01 0.0.0.0 etag 0 label 0 rd 10.99.0.9:9 rt 65000:100 encap vxlan nexthop 10.99.0.9
poison multicast 10.99.0.9 etag 0 rd 10.99.0.9:9 rt 65000:100 encap vxlan nexthop 10.99.0.9
poison a-d esi AS 65000 100 etag 0 label 100 rd 10.99.0.9:9 rt 65000:100 || true
poison macadv 02:00:00:00:00:aa 10.0.0.200 etag 0 label 100 rd 10.99.0.9:100 rt 65000:100 encap vxlan nexthop 10.99.0.9
await 10 'the good route after the poison' has_mac v2 02:00:00:00:00:aa 10.99.0.9
on v2 bridge fdb show dev vxlan100 | grep 02:00:00:00:09:01 && fail 'a route without a label was used'
# And from the wire: an attribute and a route type that nobody knows, a next hop of nothing, then a good route.
node bad 10.99.0.9/24
python3 - >"$T/poison" <<'C'
import socket, struct
def attribute(flags, code, value):
    return struct.pack('>BBB', flags, code, len(value)) + value
def update(route, nexthop='10.99.0.9', more=b''):
    targets = struct.pack('>BBHI', 0, 2, 65000, 100) + b'\x03\x0c\0\0\0\0\0\x08'
    attributes = attribute(0x40, 1, b'\0') + attribute(0x40, 2, b'') + attribute(0x40, 5, struct.pack('>I', 100)) + attribute(0xc0, 16, targets) + more
    attributes += attribute(0x80, 14, struct.pack('>HBB', 25, 70, 4) + socket.inet_aton(nexthop) + b'\0' + route)
    print('2:' + (b'\0\0' + struct.pack('>H', len(attributes)) + attributes).hex(), flush=True)
def mac(last, label=100):
    body = b'\0\1' + socket.inet_aton('10.99.0.9') + b'\0\x64' + bytes(14) + b'\x30' + bytes([2, 0, 0, 0, 9, last]) + b'\0' + struct.pack('>I', label)[1:]
    return bytes([2, len(body)]) + body
update(mac(0xb1), more=attribute(0xc0, 200, b'what?'))
update(mac(0xb2), nexthop='0.0.0.0')
update(mac(0xb3, label=0))
update(mac(0xb4))
update(bytes([99, 12]) + b'\0\1' + socket.inet_aton('10.99.0.9') + b'\0\x64' + b'abcd')
C
ip netns exec "$P-bad" python3 "$here/peer.py" 10.99.0.1 10.99.0.9 <"$T/poison" >"$T/bad.out" 2>"$T/bad.err" &
echo $! >"$T/bad.pid"
await 20 'a good route among poison from the wire' has_mac v2 02:00:00:00:09:b4 10.99.0.9
await 15 'a route with an unknown attribute' has_mac v2 02:00:00:00:09:b1 10.99.0.9
for last in b2 b3; do
    on v2 bridge fdb show dev vxlan100 | grep 02:00:00:00:09:$last && fail "a poisonous route was used: $last"
done
kill -0 "$(cat "$T/v2.pid")" || fail 'evpnd of v2 died'

# An import policy of the operator rejects our routes: told for each route, and not tried for ever.
gobgp v2 policy statement reject-all add action reject
gobgp v2 policy add reject-all reject-all
gobgp v2 global policy import add reject-all
ip -n "$P-v2" link add px type veth peer name py
ip -n "$P-v2" link set px master br100 up
ip -n "$P-v2" link set py up
on v2 bridge fdb add 02:00:00:00:00:55 dev px master static
refused() { ctl v2 show status --json | jq -e '.refused_routes | map(select(.route | test("02:00:00:00:00:55"))) | length == 1 and (.[0].reason | test("import policy"))'; }
await 15 'the rejected route is reported' refused
count() { grep -c 'gobgp.route.refused.*02:00:00:00:00:55' "$T/v2.log" || true; }
logged() { [ "$(count)" -ge 1 ]; }
await 15 'it is logged, too' logged
before=$(count)
end=$((${EPOCHREALTIME/./} + 3000000))
while [ ${EPOCHREALTIME/./} -lt $end ]; do
    [ "$(count)" = "$before" ] || fail 'the rejected route was added again and again'
    pause
done

# The wrong generation forced, and a socket that speaks something else.
forced() { grep 'does not speak API v4 as bgp.gobgp.api says' "$T/v3.log"; }
sed -i 's/gobgp: {address/gobgp: {api: v4, address/' "$T/v3.yaml"
ctl v3 reload >/dev/null
await 10 'the forced generation is refused by name' forced
sed -i 's/api: v4, //' "$T/v3.yaml"
ctl v3 reload >/dev/null
await 10 'v3 is connected again' established v3

# Leaving for good: the routes go, too.
ctl v3 cleanup --yes >/dev/null
nothing_left() { ! gobgp hub global rib -a evpn | grep '10.99.0.3:'; }
await 10 'no route of v3 is left' nothing_left

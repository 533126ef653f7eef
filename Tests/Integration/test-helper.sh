# Neighbors that die: gobgpd with graceful restart is waited for beyond the hold time, FRR without it until the hold time; not one
# packet between evpnds is lost while the reflector is away.
. "$(dirname "$0")/lib.sh"
core
node rr 10.99.0.1/24
node fr 10.99.0.4/24
configure_gobgp_hub rr l2vpn-evpn '  [peer-groups.graceful-restart.config]
    enabled = true
    restart-time = 60' '    [peer-groups.afi-safis.mp-graceful-restart.config]
      enabled = true'
for i in 2 3; do
    node v$i 10.99.0.$i/24
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    cat >"$T/v$i.yaml" <<C
node: {vtep: 10.99.0.$i}
bgp:
  global: {asn: 65000}
  neighbors:
    - config: {neighborAddress: 10.99.0.1, peerAsn: 65000}
      timers: {config: {connectRetry: 1, holdTime: 6}}
    - config: {neighborAddress: 10.99.0.4, peerAsn: 65000}
      timers: {config: {connectRetry: 1, holdTime: 6}}
vnis: [{vni: 100, managed: true, members: [p$i]}]
C
done
vxlan fr 100 10.99.0.4
host hf fr pf 10.0.0.4/24 02:00:00:00:00:04
ip -n "$P-fr" link set pf master br100
cat >"$T/fr.conf" <<C
router bgp 65000
 bgp router-id 10.99.0.4
 no bgp default ipv4-unicast
 neighbor V peer-group
 neighbor V remote-as 65000
 bgp listen range 10.99.0.0/24 peer-group V
 address-family l2vpn evpn
  neighbor V activate
  advertise-all-vni
 exit-address-family
C
start_gobgpd rr
start_frr fr
start_evpnd v2
start_evpnd v3
await 40 'sessions of v2 with both' established v2 2
await 40 'sessions of v3 with both' established v3 2
await 20 'ping across the gobgpd reflector' pings h2 10.0.0.3
await 20 'ping to FRR' pings h2 10.0.0.4
has() { on v2 bridge fdb show dev vxlan100 | grep "02:00:00:00:00:0$1 dst 10.99.0.$1"; }
await 10 'the MAC behind the other VTEP' has 3
await 10 'the MAC behind FRR' has 4
capabilities=$(ctl v2 show neighbors --json | jq -r 'map(select(.address == "10.99.0.1")) | .[0].capabilities | join(" ")')
[[ $capabilities == *graceful-restart-60s* ]] || fail "gobgpd has no graceful restart: $capabilities"

# Both are away for longer than the hold time. (The zebra of FRR removes what bgpd told it, so nothing answers there.)
ip netns exec "$P-h2" ping -i 0.05 -c 240 10.0.0.3 >"$T/ping3.txt" &
first=$!
killed=${EPOCHREALTIME/./}
kill -9 "$(cat "$T/rr.gobgpd.pid")" "$(cat "/var/run/frr/$P-fr/bgpd.pid")"
kept() { ctl v2 show neighbors --json | jq -e "map(select(.address == \"$1\")) | .[0] | .state != \"established\" and .stale_routes"; }
await 5 'routes of the lost reflector are kept as stale' kept 10.99.0.1
await 5 'routes of the lost FRR are kept as stale' kept 10.99.0.4
# The hold time is 6 s; what is looked at late says nothing.
while [ ${EPOCHREALTIME/./} -lt $((killed + 3000000)) ]; do
    has 4 >/dev/null || [ ${EPOCHREALTIME/./} -gt $((killed + 5000000)) ] || fail 'routes of FRR are gone before its hold time'
    pause
done
gone() { ! has 4; }
await 20 'routes of FRR go with its hold time' gone
has 3 >/dev/null || fail 'routes of the restarting reflector are gone before its restart time'
wait $first || true
none_unanswered "$T/ping3.txt" 'while the reflector is away'
start_gobgpd rr -r
back() { ctl v2 show neighbors --json | jq -e 'map(select(.address == "10.99.0.1")) | .[0] | .state == "established" and (.stale_routes | not) and (.families | all(.stale == 0 and .end_of_rib))'; }
await 40 'the reflector is back and has told everything' back
# With dynamic neighbors gobgpd waits for nobody: where v2 is back before v3, End-of-RIB comes without the routes of v3.
await 40 'the MAC is there after the restart' has 3
await 10 'ping after the restart' pings h2 10.0.0.3

# A neighbor with too many routes: a warning at 80 %, then the NOTIFICATION and a session that stays down until an operator clears it or the
# limit is raised; another neighbor only gets warnings. And what health and metrics say meanwhile.
. "$(dirname "$0")/lib.sh"
core
node v2 10.99.0.2/24
node fr 10.99.0.4/24
node v3 10.99.0.3/24
host h3 v3 p3 10.0.0.3/24 02:00:00:00:00:03
cat >"$T/v2.yaml" <<C2
node: {vtep: 10.99.0.2}
bgp:
  global: {asn: 65000}
  peerGroups:
    - config: {peerGroupName: limited, peerAsn: 65000}
      afiSafis: [{family: l2vpn-evpn, prefixLimit: {maxPrefixes: 5}}]
  dynamicNeighbors: [{prefix: 10.99.0.4/32, peerGroup: limited}]
  neighbors:
    - config: {neighborAddress: 10.99.0.3, peerAsn: 65000}
      afiSafis: [{family: l2vpn-evpn, prefixLimit: {maxPrefixes: 1, warnOnly: true}}]
      timers: {config: {connectRetry: 1}}
vnis: [{vni: 100, managed: true}]
telemetry: {listen: ":9474"}
C2
cat >"$T/v3.yaml" <<C3
node: {vtep: 10.99.0.3}
bgp:
  global: {asn: 65000}
  neighbors:
    - config: {neighborAddress: 10.99.0.2, peerAsn: 65000}
      timers: {config: {connectRetry: 1}}
vnis: [{vni: 100, managed: true, members: [p3]}]
C3
cat >"$T/fr.conf" <<C4
router bgp 65000
 bgp router-id 10.99.0.4
 no bgp default ipv4-unicast
 neighbor 10.99.0.2 remote-as 65000
 neighbor 10.99.0.2 timers connect 1
 address-family l2vpn evpn
  neighbor 10.99.0.2 activate
  advertise-all-vni
 exit-address-family
C4
vxlan fr 100 10.99.0.4
ip -n "$P-fr" link add d0 type veth peer name d1
for d in d0 d1; do ip -n "$P-fr" link set $d addrgenmode none; done
ip -n "$P-fr" link set d1 up
ip -n "$P-fr" link set d0 master br100 up
mac() { bridge -n "$P-fr" fdb "$1" "02:00:00:00:04:$2" dev d0 master static; }
start_evpnd v2
http() { # URL : prints the status, the body goes to $T/body
    on v2 python3 -c '
import sys, urllib.error, urllib.request
try: reply = urllib.request.urlopen(sys.argv[1], timeout=5)
except urllib.error.HTTPError as error: reply = error
open(sys.argv[2], "wb").write(reply.read())
print(reply.status)' "$1" "$T/body"
}
[ "$(http http://127.0.0.1:9474/healthz)" = 200 ] || fail '/healthz'
[ "$(http http://127.0.0.1:9474/readyz)" = 503 ] || fail '/readyz before any neighbor is established'
grep -q 'no neighbor is established' "$T/body" || fail '/readyz does not say what is missing'
[ "$(http http://127.0.0.1:9474/elsewhere)" = 404 ] || fail 'a path that is not there'
start_evpnd v3
start_frr fr
ready() { [ "$(http 'http://[::1]:9474/readyz')" = 200 ]; }
await 20 'ready' ready
state() { ctl v2 show neighbors --json | jq -r "map(select(.address == \"$1\")) | .[0].state"; }
up() { [ "$(state 10.99.0.4)" = established ]; }
await 20 'session with FRR' up
# One multicast route and the MACs.
for i in 1 2 3; do mac add 0$i; done
near() { grep 'event=bgp.limit.near neighbor=10.99.0.4 family=l2vpn-evpn routes=4 limit=5' "$T/v2.log"; }
await 10 'a warning at 80 %' near
up || fail 'the session was lost by a warning'
for i in 4 5 6; do mac add 0$i; done
held() { [ "$(state 10.99.0.4)" = idle ]; }
await 10 'the session is held down' held
ctl v2 show neighbors | grep -q '10.99.0.4: held down: more than 5 routes' || fail 'show neighbors does not say why'
told() { frr fr 'show bgp neighbors 10.99.0.2' | grep -i 'Maximum Number of Prefixes Reached\|Cease/Hard Reset\|Cease/Maximum'; }
await 15 'FRR was told the reason' told
none() { [ "$(ctl v2 show macs --json | jq 'map(select(.at == "10.99.0.4")) | length')" = 0 ]; }
await 15 'its routes are gone' none
tries=$(grep -c 'bgp.session.established neighbor=10.99.0.4' "$T/v2.log")
[ "$(http http://127.0.0.1:9474/metrics)" = 200 ] || fail '/metrics'
cp "$T/body" "$T/metrics"
grep -q '^evpnd_bgp_neighbor_up{neighbor="10.99.0.4"} 0' "$T/metrics" || fail 'the metric of the session'
grep -q '^evpnd_bgp_events_total{event="limit.shutdown"} 1' "$T/metrics" || fail 'the metric of the event'
awk '/^#/ {next} !/^[a-z_]+({[^}]*})? -?[0-9.e+-]+$/ {print; bad = 1} END {exit bad}' "$T/metrics" || fail 'lines that Prometheus does not read'
# FRR tries again every second or so: in vain.
for _ in {1..30}; do held || fail 'the neighbor came back by itself'; pause; done
[ "$tries" = "$(grep -c 'bgp.session.established neighbor=10.99.0.4' "$T/v2.log")" ] || fail 'the session came back'
# A reload with a higher limit is another chance; it does not touch the other session.
sed 's/maxPrefixes: 5/maxPrefixes: 50/' "$T/v2.yaml" >"$T/x" && cp "$T/x" "$T/v2.yaml"
ctl v2 reload
await 20 'the session is back with a higher limit' up
all() { [ "$(ctl v2 show macs --json | jq 'map(select(.at == "10.99.0.4")) | length')" = 6 ]; }
await 10 'all routes are there' all
# Warn only: two routes of a limit of one, and nothing is lost.
grep -q 'event=bgp.limit.exceeded neighbor=10.99.0.3' "$T/v2.log" || { pings h3 10.0.0.9 || true; await 10 'the warning about the other neighbor' grep 'event=bgp.limit.exceeded neighbor=10.99.0.3' "$T/v2.log"; }
[ "$(ctl v2 show neighbors --json | jq 'map(select(.address == "10.99.0.3")) | .[0] | .sessions == 1 and .state == "established"')" = true ] || fail 'warnOnly cost the session'

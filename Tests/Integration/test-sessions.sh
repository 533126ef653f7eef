# Ways to reach a neighbor: IPv6 link-local, GTSM and MD5 from the passive side, eBGP over a router only with multihop.
. "$(dirname "$0")/lib.sh"
core
node v2 10.98.0.2/24 fe80::2/64
node v3 10.98.0.3/24 fe80::3/64
node fr 10.98.0.4/24
node router 10.98.0.254/24 10.99.0.254/24
node far 10.99.0.5/24
ip netns exec "$P-router" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
ip -n "$P-v2" route add 10.99.0.0/24 via 10.98.0.254
ip -n "$P-far" route add 10.98.0.0/24 via 10.99.0.254
for i in 2 3; do
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
done
cat >"$T/v2.yaml" <<C2
node: {vtep: 10.98.0.2}
bgp:
  global: {asn: 65002}
  peerGroups:
    - config: {peerGroupName: secured, peerAsn: 65004, authPassword: secret}
      ttlSecurity: {hops: 1}
  dynamicNeighbors: [{prefix: 10.98.0.4/32, peerGroup: secured}]
  neighbors:
    - config: {neighborAddress: "fe80::3", peerAsn: 65003}
      transport: {bindInterface: eth0}
      timers: {config: {connectRetry: 1}}
    - config: {neighborAddress: 10.99.0.5, peerAsn: 65005}
      timers: {config: {connectRetry: 1}}
vnis: [{vni: 100, managed: true, members: [p2]}]
C2
cat >"$T/v3.yaml" <<C3
node: {vtep: 10.98.0.3}
bgp:
  global: {asn: 65003}
  neighbors:
    - config: {neighborAddress: "fe80::2", peerAsn: 65002}
      transport: {bindInterface: eth0}
      timers: {config: {connectRetry: 1}}
vnis: [{vni: 100, managed: true, members: [p3]}]
C3
cat >"$T/far.yaml" <<C5
node: {vtep: 10.99.0.5}
bgp:
  global: {asn: 65005}
  neighbors:
    - config: {neighborAddress: 10.98.0.2, peerAsn: 65002}
      ebgpMultihop: {enabled: true}
      timers: {config: {connectRetry: 1}}
C5
cat >"$T/fr.conf" <<C4
router bgp 65004
 bgp router-id 10.98.0.4
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor 10.98.0.2 remote-as 65002
 neighbor 10.98.0.2 password secret
 neighbor 10.98.0.2 ttl-security hops 1
 neighbor 10.98.0.2 timers connect 1
 address-family l2vpn evpn
  neighbor 10.98.0.2 activate
 exit-address-family
C4
start_frr fr
start_evpnd v2
start_evpnd v3
start_evpnd far
state() { ctl v2 show neighbors --json | jq -re "map(select(.address == \"$1\")) | .[0].state"; }
up() { [ "$(state "$1")" = established ]; }
await 20 'the session between link-local addresses' up fe80::3
await 10 'ping between VTEPs that speak over link-local addresses' pings h2 10.0.0.3
await 20 'FRR connects with MD5 and GTSM' up 10.98.0.4
# The far side may have any TTL, but what we send dies at the router: the session needs multihop on both sides.
tried() { ctl v2 show neighbors --json | jq -e 'map(select(.address == "10.99.0.5")) | .[0] | .messages_out > 0 or .last_error != null'; }
await 20 'an attempt over the router' tried
for _ in {1..20}; do
    up 10.99.0.5 && fail 'an external session over a router without ebgpMultihop'
    pause
done
sed 's/peerAsn: 65005}/peerAsn: 65005}\n      ebgpMultihop: {enabled: true, multihopTtl: 2}/' "$T/v2.yaml" >"$T/x" && cp "$T/x" "$T/v2.yaml"
ctl v2 reload
await 20 'the session over the router with ebgpMultihop' up 10.99.0.5
[ "$(ctl v2 show neighbors --json | jq 'map(select(.address == "fe80::3")) | .[0].sessions')" = 1 ] || fail 'the reload reset another session'

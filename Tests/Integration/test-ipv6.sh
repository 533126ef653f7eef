# An IPv6 underlay: sessions, VTEPs, flood lists and next hops are IPv6; evpnd reflects for an evpnd and an FRR client.
. "$(dirname "$0")/lib.sh"
core
node rr 2001:db8::1/64
for i in 2 3; do
    node v$i 2001:db8::$i/64
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    cat >"$T/v$i.yaml" <<C
node: {vtep: "2001:db8::$i"}
bgp:
  global: {asn: 65000, routerID: 10.99.0.$i}
  neighbors:
    - config: {neighborAddress: "2001:db8::1", peerAsn: 65000}
      timers: {config: {connectRetry: 1}}
vnis: [{vni: 100, managed: true, members: [p$i]}]
C
done
cat >"$T/rr.yaml" <<C
node: {vtep: "2001:db8::1"}
bgp:
  global: {asn: 65000, routerID: 10.99.0.1}
  peerGroups:
    - config: {peerGroupName: vteps, peerAsn: 65000}
      routeReflector: {routeReflectorClient: true}
  dynamicNeighbors: [{prefix: "2001:db8::/64", peerGroup: vteps}]
C
start_evpnd rr
start_evpnd v2
start_evpnd v3
await 20 'ping over an IPv6 underlay' pings h2 10.0.0.3
# The first ping may have been flooded: the MAC route follows it.
forwards() { on v2 bridge fdb show dev vxlan100 | grep "$1 dst 2001:db8::3"; }
await 5 'an IPv6 destination in the FDB' forwards 02:00:00:00:00:03
await 5 'an IPv6 flood entry' forwards 00:00:00:00:00:00

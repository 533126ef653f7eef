# evpnd as the reflector of two FRR VTEPs, which connect to it as dynamic neighbors.
. "$(dirname "$0")/lib.sh"
core
node rr 10.99.0.1/24
for i in 2 3; do
    node f$i 10.99.0.$i/24
    vxlan f$i 100 10.99.0.$i
    host h$i f$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    ip -n "$P-f$i" link set p$i master br100
    cat >"$T/f$i.conf" <<C
router bgp 65000
 bgp router-id 10.99.0.$i
 no bgp default ipv4-unicast
 neighbor 10.99.0.1 remote-as 65000
 neighbor 10.99.0.1 timers connect 1
 address-family l2vpn evpn
  neighbor 10.99.0.1 activate
  advertise-all-vni
 exit-address-family
C
done
cat >"$T/rr.yaml" <<C
node: {vtep: 10.99.0.1}
bgp:
  global: {asn: 65000}
  peerGroups:
    - config: {peerGroupName: vteps, peerAsn: 65000}
      routeReflector: {routeReflectorClient: true}
  dynamicNeighbors: [{prefix: 10.99.0.0/24, peerGroup: vteps}]
C
start_evpnd rr
start_frr f2
start_frr f3
await 20 'both sessions' established rr 2
await 20 'ping across the evpnd reflector' pings h2 10.0.0.3
kept() { frr f2 'show bgp l2vpn evpn' | grep '10.99.0.3'; }
await 5 'the next hop is kept' kept
# A host that goes is withdrawn from the other client.
ip netns delete "$P-h3"
gone() { ! on f2 bridge fdb show dev vxlan100 | grep 02:00:00:00:00:03; }
await 10 'the reflected withdrawal' gone

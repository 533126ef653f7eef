# evpnd as the reflector of two FRR VTEPs, which connect to it as dynamic neighbors.
. "$(dirname "$0")/lib.sh"
core
node rr 10.99.0.1/24
for i in 2 3; do
    node f$i 10.99.0.$i/24
    vxlan f$i 100 10.99.0.$i
    host h$i f$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    ip -n "$P-f$i" link set p$i master br100
    configure_frr_client f$i 10.99.0.$i
done
configure_reflector rr 10.99.0.1
start_evpnd rr
start_frr f2
start_frr f3
await 20 'both sessions' established rr 2
await 20 'ping across the evpnd reflector' pings h2 10.0.0.3
kept() { frr f2 'show bgp l2vpn evpn' | grep '10.99.0.3'; }
await 15 'the next hop is kept' kept
# A host that goes is withdrawn from the other client.
remove_host h3
gone() { ! on f2 bridge fdb show dev vxlan100 | grep 02:00:00:00:00:03; }
await 10 'the reflected withdrawal' gone

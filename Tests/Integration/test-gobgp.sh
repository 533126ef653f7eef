# gobgpd as the reflector, and routes added with its command line.
. "$(dirname "$0")/lib.sh"
core
node rr 10.99.0.1/24
configure_gobgp_hub rr l2vpn-evpn
for i in 2 3; do
    node v$i 10.99.0.$i/24
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    configure_vtep v$i 10.99.0.$i 10.99.0.1 <<<"vnis: [{vni: 100, managed: true, members: [p$i]}]"
done
start_gobgpd rr
start_evpnd v2
start_evpnd v3
await 40 'sessions with gobgpd' established v2
await 40 'ping across the gobgpd reflector' pings h2 10.0.0.3
gobgp() { on rr gobgp "$@"; }
gobgp global rib add -a evpn macadv 02:00:00:00:00:aa 10.0.0.200 etag 0 label 100 rd 10.99.0.9:100 rt 65000:100 encap vxlan nexthop 10.99.0.9
added() { on v2 bridge fdb show dev vxlan100 | grep '02:00:00:00:00:aa dst 10.99.0.9'; }
await 10 'the added route is in the FDB' added
neighbor() { on v2 ip neigh show dev br100 | grep '10.0.0.200 .*02:00:00:00:00:aa'; }
await 15 'its address is a neighbour for suppression' neighbor
gobgp global rib del -a evpn macadv 02:00:00:00:00:aa 10.0.0.200 etag 0 label 100 rd 10.99.0.9:100 rt 65000:100 encap vxlan nexthop 10.99.0.9
gone() { ! added; }
await 10 'the deleted route leaves the FDB' gone

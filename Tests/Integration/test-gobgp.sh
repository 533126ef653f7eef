# gobgpd as the reflector, and routes added with its command line.
. "$(dirname "$0")/lib.sh"
core
node rr 10.99.0.1/24
cat >"$T/rr.toml" <<C
[global.config]
  as = 65000
  router-id = "10.99.0.1"
[[peer-groups]]
  [peer-groups.config]
    peer-group-name = "vteps"
    peer-as = 65000
  [peer-groups.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "10.99.0.1"
  [[peer-groups.afi-safis]]
    [peer-groups.afi-safis.config]
      afi-safi-name = "l2vpn-evpn"
[[dynamic-neighbors]]
  [dynamic-neighbors.config]
    prefix = "10.99.0.0/24"
    peer-group = "vteps"
C
for i in 2 3; do
    node v$i 10.99.0.$i/24
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    cat >"$T/v$i.yaml" <<C
node: {vtep: 10.99.0.$i}
bgp:
  global: {asn: 65000}
  neighbors:
    - config: {neighborAddress: 10.99.0.1, peerAsn: 65000}
      timers: {config: {connectRetry: 1}}
vnis: [{vni: 100, managed: true, members: [p$i]}]
C
done
ip netns exec "$P-rr" gobgpd -f "$T/rr.toml" --pprof-disable >"$T/gobgpd.log" 2>&1 &
echo $! >"$T/gobgpd.pid"
start_evpnd v2
start_evpnd v3
await 40 'sessions with gobgpd' established v2
await 40 'ping across the gobgpd reflector' pings h2 10.0.0.3
gobgp() { on rr gobgp "$@"; }
gobgp global rib add -a evpn macadv 02:00:00:00:00:aa 10.0.0.200 etag 0 label 100 rd 10.99.0.9:100 rt 65000:100 encap vxlan nexthop 10.99.0.9
added() { on v2 bridge fdb show dev vxlan100 | grep '02:00:00:00:00:aa dst 10.99.0.9'; }
await 10 'the added route is in the FDB' added
neighbor() { on v2 ip neigh show dev br100 | grep '10.0.0.200 .*02:00:00:00:00:aa'; }
await 5 'its address is a neighbour for suppression' neighbor
gobgp global rib del -a evpn macadv 02:00:00:00:00:aa 10.0.0.200 etag 0 label 100 rd 10.99.0.9:100 rt 65000:100 encap vxlan nexthop 10.99.0.9
gone() { ! added; }
await 10 'the deleted route leaves the FDB' gone

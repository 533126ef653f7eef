# Routes as the command line of gobgpd makes them in the EVPN lab: a hub in an AS of its own that rewrites next hops, no route targets,
# tunnels on type 2 routes, VTEPs told by prefixes.
. "$(dirname "$0")/lib.sh"
core
node hub 10.99.0.1/24
node v2 10.99.0.2/24
node v3 10.99.0.3/24
cat >"$T/hub.toml" <<C
[global.config]
  as = 64512
  router-id = "10.99.0.1"
[[peer-groups]]
  [peer-groups.config]
    peer-group-name = "hypervisors"
  [[peer-groups.afi-safis]]
    [peer-groups.afi-safis.config]
      afi-safi-name = "l2vpn-evpn"
[[dynamic-neighbors]]
  [dynamic-neighbors.config]
    prefix = "10.99.0.0/24"
    peer-group = "hypervisors"
C
gobgp_asns='65003 64512' configure_gobgp v3 10.99.0.3 10.99.0.1 l2vpn-evpn
cat >"$T/v2.yaml" <<C
node: {vtep: 10.99.0.2}
bgp:
  global: {asn: 65002}
  neighbors:
    - config: {neighborAddress: 10.99.0.1, peerAsn: 64512}
      timers: {config: {connectRetry: 1}}
compatibility: {macTunnels: true, prefixVTEPs: true, importWithoutTarget: true}
vnis: [{vni: 22001, managed: true}, {vni: 22002, managed: true}]
C
start_gobgpd hub
start_gobgpd v3
start_evpnd v2
gobgp() { on v3 gobgp global rib "$1" -a evpn "${@:2}"; }
await 40 'the session of evpnd with the hub' established v2
await 40 'the session of the other hypervisor' bash -c "ip netns exec $P-v3 gobgp neighbor | grep -q Establ"
tunnel=(etag 0 label 22001 rd 10.99.0.3:22001 encap vxlan pmsi ingress-repl 22001 10.99.0.3)
gobgp add multicast 10.99.0.3 etag 2 rd 10.99.0.3:22001 encap vxlan pmsi ingress-repl 22001 10.99.0.3
gobgp add macadv 02:20:20:03:01:01 0.0.0.0 "${tunnel[@]}"
gobgp add prefix 10.99.0.3/32 etag 1 rd 65003:22002
fdb() { bridge -n "$P-v2" fdb show dev "vxlan$1" | grep -E "$2"; }
await 15 'the type 3 route makes a member' fdb 22001 '00:00:00:00:00:00 dst 10.99.0.3'
await 15 'the tunnel of the type 2 route is where the MAC is' fdb 22001 '02:20:20:03:01:01 dst 10.99.0.3 self'
await 15 'the prefix makes a member' fdb 22002 '00:00:00:00:00:00 dst 10.99.0.3'
fdb '2200[12]' 'dst 10.99.0.1 ' && fail 'something is sent to the hub'
ctl v2 explain vni 22002 | grep '10.99.0.3' >/dev/null || fail 'explain does not know the prefix'
gobgp del macadv 02:20:20:03:01:01 0.0.0.0 "${tunnel[@]}"
gobgp del prefix 10.99.0.3/32 etag 1 rd 65003:22002
gone() { ! fdb "$1" "$2"; }
await 15 'the MAC is gone' gone 22001 '02:20:20:03:01:01'
await 15 'the member is gone' gone 22002 '00:00:00:00:00:00 dst 10.99.0.3'
# The hypervisor dies: nothing of it is left.
kill_gobgpd v3
await 60 'everything of the dead hypervisor is gone' gone 22001 'dst 10.99.0.3'

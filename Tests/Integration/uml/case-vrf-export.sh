# `vrfs[].netlinkExport`: routes of a VRF, by their communities, in another table and in another VRF; packets that take them. The other
# VTEP is FRR. `services` is a VRF of v1's operator, which evpnd does not know:
#
#     hs1 10.50.0.10 -- services -- v1 ==== L3 VNI 500 (ten) ==== v2 -- ha2 10.20.2.10, 172.16.2.0/24, fd16:2::/64
. "$(dirname "$0")/irb.sh"
sites evpnd frr
tenant hs1 v1 ps 02:50:00:00:00:01 10.50.0.1 fd50::1 10.50.0.10/24 fd50::10/64
printf 'address add %s dev lo\n' 172.16.2.1/32 fd16:2::1/128 172.16.3.1/32 | ip -n "$P-ha2" -b -
node u 10.99.0.8/24
ip -n "$P-u" route add 172.16.2.0/24 via 10.99.0.1
ip -n "$P-v1" -b - <<'B'
link add services type vrf table 777
link set services up
link set ps master services
address add 10.50.0.1/24 dev ps
address add fd50::1/64 dev ps nodad
B
on v1 sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
rules() { # KEYS : the export of the tenant
    configure_vtep v1 10.99.0.1 10.99.0.2 <<Y
vrfs:
  - name: ten
    vni: 500
    managed: true
    routerMAC: "$(router_mac v1)"
    announce: {connected: true, static: true}
    netlinkExport: {enabled: true, $1}
vnis:
  - {vni: 100, managed: true, vrf: ten, gateway: [10.30.0.1/24, "fd30::1/64"], gatewayMAC: "$gateway_mac", members: [pb]}
  - {vni: 101, managed: true, vrf: ten, gateway: [10.20.1.1/24, "fd20:0:0:1::1/64"], gatewayMAC: "$gateway_mac", members: [pa]}
Y
}
rules 'linuxVrf: services, communityList: ["65000:7"], largeCommunityList: ["65000:1:7"]'
start_evpnd v1
frr_vtep 2
mark() { # COMMUNITIES : of what v2 announces
    frr v2 "configure
bgp route-map delay-timer 1
ip prefix-list marked permit 172.16.2.0/24
ip prefix-list marked permit 10.20.2.0/24
ip prefix-list marked permit 10.99.0.0/28
ipv6 prefix-list marked6 permit fd16:2::/64
route-map over permit 3
match ip address prefix-list marked
set community $1
route-map over permit 4
match ipv6 address prefix-list marked6
set community $1
route-map over permit 5"
}
mark '65000:7 65000:8'
ip -n "$P-v2" route add 172.16.2.0/24 via 10.20.2.10 vrf ten
ip -n "$P-v2" route add 172.16.3.0/24 via 10.20.2.10 vrf ten
ip -n "$P-v2" -6 route add fd16:2::/64 via fd20:0:0:2::10 vrf ten
for i in 1 2; do greet $i; done
# The ways back from the tenant, which v1 announces.
ip -n "$P-v1" route add 10.99.0.8/32 dev eth0 vrf ten
ip -n "$P-v1" route add 10.50.0.0/24 dev services vrf ten
ip -n "$P-v1" -6 route add fd50::/64 dev services vrf ten

has() { ip -n "$P-v1" ${3:-} route show table "$1" proto bgp | grep -E -- "$2"; } # TABLE PATTERN [-6]
lacks() { ! has "$@"; }
await 20 'the prefix in the VRF' has 777 '^172.16.2.0/24 dev ten +metric 20'
await 10 'the subnet' has 777 '^10.20.2.0/24 dev ten +metric 20'
await 10 'IPv6' has 777 '^fd16:2::/64 dev ten .*metric 20' -6
lacks 777 '^172.16.3.0/24' || fail 'a route without the community is exported'
await 10 'the other routes are in their own table' has_route 1 '^172.16.3.0/24 '
await 10 'packets to the prefix' pings hs1 172.16.2.1
await 10 'packets to the subnet' pings hs1 10.20.2.10
await 10 'packets by IPv6' pings hs1 fd16:2::1
! pings hs1 172.16.3.1 || fail 'what is not exported is reached'
await 10 'v1 is settled' settled v1
ctl v1 show netlink >"$T/netlink"
grep -E '^172.16.2.0/24 +777 +20 +vrf ten .*dev ten' "$T/netlink" || fail 'show netlink does not have the route'
ctl v1 explain prefix 172.16.2.0/24 --vrf ten >"$T/explain"
grep 'into table 777 by rule vrf ten' "$T/explain" || fail 'explain does not say where it went'

# A restart: what is there stays, and is known again.
stop_evpnd v1
has 777 '^172.16.2.0/24 dev ten' || fail 'a stop takes the route away'
ip -n "$P-v1" route add 172.16.77.0/24 dev ten table 777 proto bgp metric 20
start_evpnd v1
await 20 'a route that nobody announces any more is gone' lacks 777 '^172.16.77.0/24'
has 777 '^172.16.2.0/24 dev ten +metric 20' || fail 'a restart takes the route away'
await 10 'v1 is settled again' settled v1
await 10 'packets after the restart' pings hs1 172.16.2.1

# The route loses its community; the table changes; the host's own table, but never with a VTEP in it.
mark 65000:8
await 20 'a route that has lost its community' lacks 777 '^172.16.2.0/24'
rules 'linuxTableId: 254, metric: 7'
ctl v1 reload >/dev/null
await 10 'another table' has 254 '^172.16.2.0/24 dev ten +metric 7'
await 10 'packets from the underlay' pings u 172.16.2.1
ip -n "$P-v2" route add 10.99.0.0/28 via 10.20.2.10 vrf ten
await 10 'a route that has VTEPs in it is in the VRF' has_route 1 '^10.99.0.0/28 '
lacks 254 '^10.99.0.0/28' || fail 'the underlay is led into the tenant'
reason() { ctl v1 show netlink | grep -E '^10.99.0.0/28 .*the underlay.s packets to 10.99.0.1 would go into VRF ten'; }
await 10 'the reason is said' reason
# Its own table: only what has the community.
rules 'communityList: ["65000:9"], metric: 50'
ctl v1 reload >/dev/null
await 10 'the host table is clean' lacks 254 '^172.16'
await 10 'routes without the community are not taken' lacks_route 1 '^172.16.3.0/24 '
mark 65000:9
await 20 'routes with it are, with the metric' has_route 1 '^172.16.2.0/24 .* metric 50'
await 15 'IPv6 too' has_route 1 '^fd16:2::/64 .* metric 50'
await 10 'no route has kept its metric' lacks_route 1 'metric (20|1044)'
stream ha1 172.16.2.1 200
rules 'communityList: ["65000:9"], metric: 60'
ctl v1 reload >/dev/null
await 15 'another metric' has_route 1 '^172.16.2.0/24 .* metric 60'
await 15 'and the old one is gone' lacks_route 1 'metric 50'
await 15 'the plan is empty' settled v1
lost 172.16.2.1
[ "$count" = 0 ] || fail "$count packets are lost with the metric"
await 10 'packets' pings ha1 172.16.2.1
await 10 'v1 is settled at last' settled v1

# The same with gobgpd as the speaker.
stop_evpnd v1
configure_gobgp v1 10.99.0.1 10.99.0.2 l2vpn-evpn
start_gobgpd v1
rules 'linuxVrf: services, communityList: ["65000:9"]'
sed -i -e '/^  neighbors:/,/^vrfs:/{/^vrfs:/!d}' \
    -e 's/^  global:.*/  global: {asn: 65000, routerID: 10.99.0.1}\n  speaker: gobgp\n  gobgp: {address: "127.0.0.1:50051"}/' "$T/v1.yaml"
start_evpnd v1
await 40 'with gobgpd, the prefix in the VRF' has 777 '^172.16.2.0/24 dev ten +metric 20'
await 10 'with gobgpd, IPv6' has 777 '^fd16:2::/64 dev ten .*metric 20' -6
await 20 'with gobgpd, packets' pings hs1 172.16.2.1
lacks 777 '^172.16.3.0/24' || fail 'with gobgpd, a route without the community is exported'

# Routes that leave their VRF: by route target between VRFs of two VTEPs, by `leak` between VRFs of one and into the underlay; with FRR as
# the other VTEP.
. "$(dirname "$0")/irb.sh"
sites evpnd frr
# A router of the underlay, with a network behind it.
node u 10.99.0.8/24 10.99.0.9/24 198.51.100.1/32 fd99::9/64 fd98::1/128
ip -n "$P-v1" address add fd99::1/64 dev eth0 nodad
underlay_routes() { # GATEWAY GATEWAY6
    ip -n "$P-v1" route replace 198.51.100.0/24 via "$1"
    ip -n "$P-v1" -6 route replace fd98::/64 via "$2"
}
underlay_routes 10.99.0.9 fd99::9
ip -n "$P-u" route add 10.20.1.0/24 via 10.99.0.1
ip -n "$P-u" -6 route add fd20:0:0:1::/64 via fd99::1
tenant hs1 v1 ps 02:50:00:00:00:01 10.50.0.1 fd50::1 10.50.0.10/24 fd50::10/64
# FRR knows no VNI but its own: what it sends to the services arrives in the L3 VNI of the tenant, for the router MAC of the services.
configure_vtep v1 10.99.0.1 10.99.0.2 <<C
vrfs:
  - name: ten
    vni: 500
    managed: true
    routerMAC: "$(router_mac v1)"
    announce: {connected: true}
    leak:
      - {from: services, prefixes: [10.50.0.0/16 le 32, "fd50::/16 le 128"]}
      - {from: default, prefixes: [198.51.100.0/24, "fd98::/64"]}
  - name: services
    vni: 599
    managed: true
    routerMAC: "$(router_mac v1)"
    announce: {connected: true}
    leak: [{from: ten, prefixes: [10.20.0.0/16 le 32, "fd20::/16 le 128"]}]
  - {name: default, leak: [{from: services, prefixes: [10.50.0.0/24]}, {from: ten, prefixes: [10.20.1.0/24, "fd20:0:0:1::/64"]}]}
vnis:
  - {vni: 100, managed: true, vrf: ten, gateway: [10.30.0.1/24, "fd30::1/64"], gatewayMAC: "$gateway_mac", members: [pb]}
  - {vni: 101, managed: true, vrf: ten, gateway: [10.20.1.1/24, "fd20:0:0:1::1/64"], gatewayMAC: "$gateway_mac", members: [pa]}
  - {vni: 199, managed: true, vrf: services, gateway: [10.50.0.1/24, "fd50::1/64"], members: [ps]}
C
start_evpnd v1
frr_vtep 2
frr v2 "configure
router bgp 65000 vrf ten
address-family l2vpn evpn
route-target import 65000:500
route-target import 65000:599"
for i in 1 2; do greet $i; done
await 20 'the gateway of the services' pings hs1 10.50.0.1
await 20 'a tenant reaches the services of its VTEP' pings ha1 10.50.0.10
await 15 'IPv6 too' pings ha1 fd50::10
await 20 'a tenant behind FRR reaches them' pings ha2 10.50.0.10
await 15 'IPv6 too' pings ha2 fd50::10
! pings hs1 10.30.0.1 || fail 'a subnet that is not leaked is reached'

# The underlay.
underlay() { ip -n "$P-v1" route show proto 211 | grep '^10.50.0.0/24 .*dev services'; }
await 10 "the services in the host's own table" underlay
! ip -n "$P-v1" route show proto 211 | grep '^10.30' >&2 || fail 'a subnet that is not leaked is seen in the underlay'
! ip -n "$P-v2" route show | grep '^10.20' >&2 || fail 'a tenant is seen in the underlay of the other VTEP'

# Its routes in the VRF, with its own next hops, which are followed; packets both ways.
beyond() { ip -n "$P-v1" route show vrf ten proto 211 | grep "^198.51.100.0/24 .*$1"; }
beyond6() { ip -n "$P-v1" -6 route show vrf ten proto 211 | grep "^fd98::/64 .*$1"; }
await 10 'the underlay in the VRF' beyond 'via 10.99.0.9 dev eth0'
await 10 'IPv6 too' beyond6 'via fd99::9 dev eth0'
await 10 'packets of the underlay are forwarded' pings ha1 198.51.100.1
# From an address that the VRF has a route back to.
back() { on u ping -c 1 -W 1 -q -I 198.51.100.1 10.20.1.10; }
await 10 'the host of the tenant is reached' back
await 10 'IPv6 to the underlay' pings ha1 fd98::1
back6() { on u ping -c 1 -W 1 -q -I fd98::1 fd20:0:0:1::10; }
await 10 'IPv6 from the underlay' back6
[ "$(on v1 cat /proc/sys/net/ipv4/conf/eth0/forwarding)" = 1 ] || fail 'eth0 does not forward'
underlay_routes 10.99.0.8 fd99::9
await 15 'another next hop' beyond 'via 10.99.0.8 dev eth0'
ip -n "$P-v1" route replace 198.51.100.0/24 nexthop via 10.99.0.8 nexthop via 10.99.0.9
both() { [ "$(ip -n "$P-v1" route show vrf ten proto 211 198.51.100.0/24 | grep -c 'nexthop via .* dev eth0')" = 2 ]; }
await 15 'two next hops' both
await 15 'packets by both' pings ha1 198.51.100.1
ip -n "$P-v1" route del 198.51.100.0/24
unreached() { ! beyond via; }
await 15 'a route that is gone' unreached
! pings ha1 198.51.100.1 || fail 'what the underlay does not reach is reached'
underlay_routes 10.99.0.9 fd99::9
await 15 'and is back' pings ha1 198.51.100.1
await 15 'v1 is settled' settled v1
ctl v1 explain prefix 198.51.100.0/24 --vrf ten | grep 'leaked from default' || fail 'where the route comes from is not said'

# By route target: what FRR exports with one that the entry of the underlay imports. u is a next hop of the underlay and stays one, although
# the tenant has a route to it, for the answers.
ip -n "$P-u" route add 10.20.2.0/24 via 10.99.0.1
ip -n "$P-v2" route add 10.99.0.9/32 dev eth0 vrf ten
sed -i 's/name: default,/&, routeTargets: {import: "65000:777"},/; s/,, /, /' "$T/v1.yaml"
ctl v1 reload >/dev/null
frr v2 "configure
router bgp 65000 vrf ten
address-family l2vpn evpn
route-target export 65000:777
route-target export 65000:500"
by_target() { ip -n "$P-v1" route show proto 211 | grep '^10.20.2.0/24 .*via 10.99.0.2 dev br500'; }
await 20 'a subnet of FRR in the underlay' by_target
onward() { on u ping -c 1 -W 1 -q -I 10.99.0.9 10.20.2.10; }
await 10 'packets from the underlay to FRR' onward
await 10 'the route for the answers is in the VRF' has_route 1 '^10.99.0.9 '
! ip -n "$P-v1" route show proto 211 | grep '^10.99.0' >&2 || fail 'the underlay is led into the tenant'

# Without the leak the routes are gone.
sed -i '/name: default/d' "$T/v1.yaml"
ctl v1 reload >/dev/null
gone() { ! underlay; }
await 10 'the route in the underlay is gone' gone
# What was switched on for the way into the underlay is off again.
sed -i '/from: default/d' "$T/v1.yaml"
ctl v1 reload >/dev/null
not_forwarding() { [ "$(on v1 cat /proc/sys/net/ipv4/conf/eth0/forwarding)" = 0 ]; }
await 10 'eth0 forwards no more' not_forwarding
await 10 'v1 is settled' settled v1

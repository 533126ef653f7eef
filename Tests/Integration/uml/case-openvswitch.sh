# Open vSwitch (its datapath in user space) on one VTEP, FRR with a VRF device on the other: hosts of different subnets and of one subnet,
# prefixes, both ways, IPv4 and IPv6.
. "$(dirname "$0")/irb.sh"
. "$here/ovs.sh"
modprobe tun
roles=(- evpnd frr) peers='1 2'
core
ovs_node v1 10.99.0.1/24
node v2 10.99.0.2/24
on v2 ethtool -K eth0 tx off >/dev/null
for i in 1 2; do tenants $i; done
frr_vtep 2
configure_switch v1 10.99.0.1 10.99.0.2 <<C
vrfs: [{name: ten, vni: 500, routerMAC: "$(router_mac v1)", announce: {connected: true}}]
vnis:
  - {vni: 100, vrf: ten, gateway: [10.30.0.1/24, "fd30::1/64"], gatewayMAC: "$gateway_mac"}
  - {vni: 101, vrf: ten, gateway: [10.20.1.1/24, "fd20:0:0:1::1/64"], gatewayMAC: "$gateway_mac"}
clients:
  - {vni: 101, port: pa, mac: "02:20:00:00:00:01", addresses: [10.20.1.10, "fd20:0:0:1::10"]}
  - {vni: 100, port: pb, mac: "02:30:00:00:00:01", addresses: [10.30.0.11, "fd30::11"]}
C
start_evpnd v1
ports v1 pa pb
await 30 'the session with FRR' established v1
for i in 1 2; do greet $i; done
await 40 'a ping across subnets' pings ha1 10.20.2.10
await 20 'IPv6 across subnets' pings ha1 fd20:0:0:2::10
await 20 'from behind FRR' pings ha2 10.20.1.10
await 20 'a ping within the shared subnet' pings hb1 10.30.0.12
await 20 'IPv6 within the shared subnet' pings hb2 fd30::11
await 20 'from the shared subnet to another' pings hb2 10.20.1.10
await 20 'from the shared subnet to another' pings hb1 fd20:0:0:2::10

# What FRR has of it, and what is on the wire: the L3 VNI between the routers, one hop less; the L2 VNI between hosts of one subnet.
for prefix in 10.20.1.10 10.30.0.11 fd20:0:0:1::10 fd30::11 10.20.1.0/24 fd20:0:0:1::/64; do
    await 20 "FRR has $prefix" has_route 2 "^$prefix .*br500 .*onlink"
done
frr v2 'show evpn rmac vni 500' | grep "$(router_mac v1) *10.99.0.1" >/dev/null || fail 'FRR does not know the router MAC'
sniff v1 eth0
one=$(router_mac v1) two=$(router_mac v2)
wire ha1 10.20.2.10 "500 $one > $two 10.20.1.10 > 10.20.2.10 ttl 63" "500 $two > $one 10.20.2.10 > 10.20.1.10 ttl 63"
wire ha1 fd20:0:0:2::10 "500 $one > $two fd20:0:0:1::10 > fd20:0:0:2::10 ttl 63" "500 $two > $one fd20:0:0:2::10 > fd20:0:0:1::10 ttl 63"
wire hb1 10.30.0.12 '100 02:30:00:00:00:01 > 02:30:00:00:00:02 10.30.0.11 > 10.30.0.12 ttl 64' '100 02:30:00:00:00:02 > 02:30:00:00:00:01 10.30.0.12 > 10.30.0.11 ttl 64'
rest v1

# Asymmetric IRB: both subnets are on both VTEPs, and there is no L3 VNI. A packet is routed where it enters, and bridged to where its
# destination is. With FRR, and among ourselves.
#
#     h1 10.20.1.11 -- VNI 101 \                      / VNI 101 --
#     g1 10.20.2.11 -- VNI 102 -- v1 ============ v2 -- VNI 102 -- h2 10.20.2.12
if [ $# = 0 ]; then
    for role in frr evpnd; do
        echo "== $role"
        bash "$0" $role || exit 1
    done
    exit 0
fi
. "$(dirname "$0")/irb.sh"
core
for i in 1 2; do node v$i 10.99.0.$i/24; done
attach() { # NAME NODE PORT SUBNET HOST
    tenant $1 $2 $3 02:20:00:00:0$4:0$5 10.20.$4.1 fd20:0:0:$4::1 10.20.$4.1$5/24 fd20:0:0:$4::1$5/64
}
attach h1 v1 pa 1 1
attach g1 v1 pb 2 1
attach h2 v2 pb 2 2
members() { [ $1 = 1 ] && echo pa || echo pb; }
evpnd_side() { # NUMBER
    configure_vtep v$1 10.99.0.$1 10.99.0.$((3 - $1)) <<C
vrfs: [{name: ten, managed: true}]
vnis:
  - {vni: 101, managed: true, vrf: ten, gateway: [10.20.1.1/24, "fd20:0:0:1::1/64"], gatewayMAC: "$gateway_mac", members: [pa]}
  - {vni: 102, managed: true, vrf: ten, gateway: [10.20.2.1/24, "fd20:0:0:2::1/64"], gatewayMAC: "$gateway_mac", members: [pb]}
C
    start_evpnd v$1
}
frr_side() { # its bgpd ignores our anycast gateway where it knows the MACs of its own, for which the VRF has to have an instance
    {
        echo 'link add ten type vrf table 1000'
        echo 'link set ten up'
        for vni in 101 102; do
            echo "link add br$vni address $gateway_mac type bridge forward_delay 0"
            echo "link add vx$vni type vxlan id $vni dstport 4789 local 10.99.0.2 nolearning"
            echo "link set vx$vni master br$vni addrgenmode none"
            echo "link set vx$vni type bridge_slave learning off neigh_suppress on"
            echo "link set br$vni master ten addrgenmode none"
            echo "link set vx$vni up"
            echo "link set br$vni up"
            echo "address add 10.20.${vni#10}.1/24 dev br$vni"
            echo "address add fd20:0:0:${vni#10}::1/64 dev br$vni nodad"
            echo "address add fe80::1/64 dev br$vni nodad"
        done
        echo 'link set pb master br102'
    } | ip -n "$P-v2" -b -
    on v2 sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    cat >"$T/v2.conf" <<C
router bgp 65000
 bgp router-id 10.99.0.2
 no bgp default ipv4-unicast
 neighbor 10.99.0.1 remote-as 65000
 neighbor 10.99.0.1 timers connect 1
 address-family l2vpn evpn
  neighbor 10.99.0.1 activate
  advertise-all-vni
 exit-address-family
router bgp 65000 vrf ten
 bgp router-id 10.99.0.2
C
    start_frr v2
}
evpnd_side 1
if [ $1 = frr ]; then frr_side; else evpnd_side 2; fi
await 20 'the gateway of h1' pings h1 10.20.1.1
await 20 'the gateway of g1' pings g1 10.20.2.1
await 20 'the gateway of h2' pings h2 10.20.2.1
await 20 'the IPv6 gateway of h1' pings h1 fd20:0:0:1::1
await 20 'the IPv6 gateway of h2' pings h2 fd20:0:0:2::1
await 40 'from subnet to subnet' pings h1 10.20.2.12
await 20 'back' pings h2 10.20.1.11
await 20 'from subnet to subnet, IPv6' pings h1 fd20:0:0:2::12
await 20 'within the subnet' pings g1 10.20.2.12

sniff v1 eth0
echoes h1 10.20.2.12 || fail 'no ping'
# Routed at the entry (one hop less, from the gateway's MAC), bridged in the VNI of the destination's subnet; the answer likewise.
await 15 'the request in VNI 102' sniffed v1 "102 $gateway_mac > 02:20:00:00:02:02 10.20.1.11 > 10.20.2.12 ttl 63"
await 15 'the answer in VNI 101' sniffed v1 "101 $gateway_mac > 02:20:00:00:01:01 10.20.2.12 > 10.20.1.11 ttl 63"

# Who asks for a host behind the other VTEP is answered here: nothing of it crosses the underlay.
ip -n "$P-g1" neigh flush dev eth0
echoes g1 10.20.2.12 || fail 'no ping after the question'
ip -n "$P-g1" neigh show 10.20.2.12 | grep -q 02:20:00:00:02:02 || fail 'no answer'
await 15 'the ping itself' sniffed v1 '102 02:20:00:00:02:01 > 02:20:00:00:02:02 10.20.2.11 > 10.20.2.12 ttl 64'
grep 'arp 10.20.2.11 asks for 10.20.2.12' "$T/v1.sniffed" && fail 'the question went to the other VTEP'
[ -n "$(ip -n "$P-v1" route show vrf ten proto 211 type unicast)" ] && fail "$(ip -n "$P-v1" route show vrf ten proto 211): routes without an L3 VNI"
await 10 'the plan is empty' settled v1

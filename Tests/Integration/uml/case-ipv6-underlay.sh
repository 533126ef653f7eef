# Nothing but IPv6 between the VTEPs: sessions, flood lists, bridged and routed hosts, prefixes of both families; VXLAN devices one by one (v1)
# and one for all VNIs (v2).
. "$(dirname "$0")/irb.sh"
peers='1 2' router_id=10.255.0.1
core
for i in 1 2; do
    node v$i "2001:db8:99::$i/64"
    tenants $i
    on v$i sysctl -qw net.ipv6.conf.eth0.accept_dad=0
    router_id=10.255.0.$i
    configure_vtep v$i "2001:db8:99::$i" "2001:db8:99::$((3 - i))" <<C
$([ $i = 1 ] || echo 'vlanBridge: {vniFilter: true}')
vrfs:
  - {name: ten, vni: 500, managed: true, routerMAC: "$(router_mac v$i)", announce: {connected: true, static: true}$([ $i = 1 ] || echo ', vlan: 50')}
vnis:
  - {vni: 100, managed: true, vrf: ten, gateway: [10.30.0.1/24, "fd30::1/64"], gatewayMAC: "$gateway_mac", members: [pb]$([ $i = 1 ] || echo ', vlan: 10')}
  - {vni: 10$i, managed: true, vrf: ten, gateway: [10.20.$i.1/24, "fd20:0:0:$i::1/64"], gatewayMAC: "$gateway_mac", members: [pa]$([ $i = 1 ] || echo ', vlan: 20')}
C
    start_evpnd v$i
done
for i in 1 2; do
    await 30 "v$i has settled" settled v$i
    await 20 "the session of v$i" established v$i
    greet $i
done
ip -n "$P-v2" -d link show vxlan0 | grep -q 'external vnifilter' || fail 'v2 does not have one device for all'
ip -n "$P-v2" -4 address show dev eth0 | grep inet && fail 'there is IPv4 between the VTEPs'
await 20 'flood list of v1' eval 'bridge -n "$P-v1" fdb show dev vxlan100 | grep "00:00:00:00:00:00 dst 2001:db8:99::2"'
await 20 'flood list of v2' eval 'bridge -n "$P-v2" fdb show dev vxlan0 | grep "00:00:00:00:00:00 dst 2001:db8:99::1 .*src_vni 100"'
await 20 'bridged' pings hb1 10.30.0.12
await 20 'bridged, IPv6' pings hb1 fd30::12
for i in 1 2; do
    o=$((3 - i))
    await 20 "routed from $i to $o" pings ha$i 10.20.$o.10
    await 20 "routed from $i to $o, IPv6" pings ha$i fd20:0:0:$o::10
    await 20 "routed from $i to the stretched subnet" pings ha$i 10.30.0.1$o
    await 20 "routed from $i to the stretched subnet, IPv6" pings ha$i fd30::1$o
done
# Prefixes: routes of the VRF through nothing, which only their VTEP has.
ip -n "$P-v1" link add lan up type bridge
ip -n "$P-v1" link set lan master ten
ip -n "$P-v1" address add 172.16.9.1/24 dev lan
ip -n "$P-v1" address add fd16:9::1/64 dev lan nodad
await 20 'a prefix' pings ha2 172.16.9.1
await 20 'a prefix, IPv6' pings ha2 fd16:9::1
ip -n "$P-v2" route show vrf ten | grep '^172.16.9.0/24 .*via inet6 fe80::a1c8:539c:945:539d' >/dev/null || fail "$(ip -n "$P-v2" route show vrf ten)"
for i in 1 2; do await 20 "the plan of v$i is empty" settled v$i; done
# An address goes from one host to the other, and back, while both live: on a bridge of its own and on the VLAN device of one for all.
knows() { # VTEP ADDRESS HOST
    ip -n "$P-v$1" neigh show "$2" dev "$([ "$1" = 1 ] && echo br100 || echo br0.10)" | grep "lladdr 02:30:00:00:00:0$3"
}
for address in 10.30.0.77/24 fd30::77/64; do
    gateway=10.30.0.1
    [ $address = 10.30.0.77/24 ] || gateway=fd30::1
    for step in 0/1 1/2 2/1; do
        from=${step%/*} to=${step#*/}
        [ "$from" = 0 ] || ip -n "$P-hb$from" address del $address dev eth0
        ip -n "$P-hb$to" address add $address dev eth0 $([ $gateway = 10.30.0.1 ] || echo nodad)
        # Who asks for its gateway from there claims it.
        ip -n "$P-hb$to" neigh flush dev eth0
        on hb$to ping -c 1 -W 1 -q -I ${address%/*} $gateway >/dev/null || true
        for i in 1 2; do await 15 "v$i: ${address%/*} is at hb$to" knows $i ${address%/*} $to; done
        for i in 1 2; do await 15 "ha$i to ${address%/*} at hb$to" pings ha$i ${address%/*}; done
    done
done

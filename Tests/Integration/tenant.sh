# Sourced: two VTEPs, each with a tenant in a network namespace, one subnet of VNI 10<I> and one without a VNI; what goes between them.
# VTEP I: underlay v<I>, tenant t<I>, host h<I> 10.20.<I>.10 in VNI 10<I>; a subnet 10.30.<I>.0/24 without a VNI.
# `underlay` is its family.
underlay=4
vtep_address() { if [ $underlay = 4 ]; then echo "10.98.0.$1"; else echo "2001:db8:98::$1"; fi; } # I
vtep() { # I
    node "v$1" "$(vtep_address "$1")/$([ $underlay = 4 ] && echo 24 || echo 64)"
    ip netns add "$P-t$1"
    ip -n "$P-t$1" link set lo up
    host "h$1" "t$1" "p$1" "10.20.$1.10/24" "02:00:00:00:20:0$1"
    ip -n "$P-h$1" address add "2001:db8:20:$1::10/64" dev eth0 nodad
    ip -n "$P-t$1" link add lan type bridge
    ip -n "$P-t$1" address add "10.30.$1.1/24" dev lan
    ip -n "$P-t$1" address add "2001:db8:30:$1::1/64" dev lan nodad
    ip -n "$P-t$1" link set lan up
}
routes_of_host() { # I, once the gateway is there
    ip -n "$P-h$1" route replace default via "10.20.$1.1"
    ip -n "$P-h$1" -6 route replace default via "2001:db8:20:$1::1"
}
evpnd_vtep() { # I PEER
    vtep "$1"
    local router_id=10.98.0.$1
    configure_vtep "v$1" "$(vtep_address "$1")" "$(vtep_address "$2")" <<C
vrfs:
  - {name: ten, vni: 500, managed: true, namespace: $P-t$1, routerMAC: "02:98:00:00:00:0$1", announce: {connected: true}}
vnis:
  - {vni: 10$1, managed: true, vrf: ten, gateway: [10.20.$1.1/24, "2001:db8:20:$1::1/64"], members: [p$1]}
C
    start_evpnd "v$1"
    await 10 "the gateway of VTEP $1" on "t$1" ping -c1 -W1 -q "10.20.$1.1"
    routes_of_host "$1"
}
# FILTER FIELD : one line a packet that left or reached VTEP 1: VNI, inner source and destination MAC, the field.
captured() { tshark -r "$T/wire.pcap" -T fields -E separator=' ' -E occurrence=l -e vxlan.vni -e eth.src -e eth.dst -e "$2" "$1" 2>/dev/null; }
traffic() { # WHAT
    local what=$1 i o
    for i in 1 2; do
        o=$((3 - i))
        await 20 "$what: host $i to host $o" pings "h$i" "10.20.$o.10"
        await 10 "$what: host $i to host $o, IPv6" pings "h$i" "2001:db8:20:$o::10"
        await 10 "$what: host $i to a prefix of VTEP $o" pings "h$i" "10.30.$o.1"
        await 10 "$what: host $i to a prefix of VTEP $o, IPv6" pings "h$i" "2001:db8:30:$o::1"
    done
    ip netns exec "$P-v1" tcpdump -U -i eth0 -w "$T/wire.pcap" udp port 4789 >>"$T/tcpdump.log" 2>&1 &
    local capture=$!
    echo $capture >"$T/tcpdump.pid"
    seen() { pings h1 10.20.2.10; pings h1 2001:db8:20:2::10; [ "$(captured 'icmp.type == 0 or icmpv6.type == 129' ip.ttl | wc -l)" -ge 4 ]; }
    await 10 "$what: packets on the underlay" seen
    kill $capture
    wait $capture || true
    rm "$T/tcpdump.pid"
    # From one router to the other, decremented once on each side: 63 when it leaves the first.
    local request='500 02:98:00:00:00:01 02:98:00:00:00:02 63' reply='500 02:98:00:00:00:02 02:98:00:00:00:01 63'
    local want got filter field
    want=$(printf '%s\n' "$request" "$reply" | sort)
    while read -r field filter; do
        got=$(captured "$filter" "$field" | sort -u)
        [ "$got" = "$want" ] || fail "$what: on the wire, $filter: $got"
    done <<<$'ip.ttl icmp and ip.addr == 10.20.2.10\nipv6.hlim icmpv6.type == 128 or icmpv6.type == 129'
}

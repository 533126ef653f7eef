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
vtep_addresses() { for vtep in "$@"; do vtep_address "$vtep"; done; } # I…
# `vnis`: more lines of `vnis`.
evpnd_vtep() { # I PEER…
    vtep "$1"
    local router_id=10.98.0.$1
    configure_vtep "v$1" "$(vtep_address "$1")" $(vtep_addresses "${@:2}") <<C
vrfs:
  - {name: ten, vni: 500, managed: true, namespace: $P-t$1, routerMAC: "02:98:00:00:00:0$1", announce: {connected: true}}
vnis:
  - {vni: 10$1, managed: true, vrf: ten, gateway: [10.20.$1.1/24, "2001:db8:20:$1::1/64"], members: [p$1]}
${vnis:-}
C
    start_evpnd "v$1"
    await 20 "the gateway of VTEP $1" on "t$1" ping -c1 -W1 -q "10.20.$1.1"
    routes_of_host "$1"
}
frr_vtep() { # I PEER… : the VXLAN devices are made through the underlay; zebra takes every name it sees in /run/netns for a VRF
    vtep "$1"
    local ns=$P-v$1 vni
    on "t$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    for vni in "10$1" 500; do
        ip -n "$ns" link add "vx$vni" netns "$P-t$1" type vxlan id "$vni" dstport 4789 local "10.98.0.$1" nolearning
        ip -n "$P-t$1" link add "br$vni" type bridge
        ip -n "$P-t$1" link set "vx$vni" master "br$vni" addrgenmode none
        bridge -n "$P-t$1" link set dev "vx$vni" learning off
        ip -n "$P-t$1" link set "vx$vni" up
    done
    ip -n "$P-t$1" link set br500 address "02:98:00:00:00:0$1" addrgenmode none
    ip -n "$P-t$1" link set br500 up
    ip -n "$P-t$1" address add "10.20.$1.1/24" dev "br10$1"
    ip -n "$P-t$1" address add "2001:db8:20:$1::1/64" dev "br10$1" nodad
    ip -n "$P-t$1" link set "br10$1" up
    ip -n "$P-t$1" link set "p$1" master "br10$1"
    routes_of_host "$1"
    frr_spaces+=("$ns")
    mkdir -p "/var/run/frr/$ns" "/etc/frr/$ns"
    touch "/etc/frr/$ns/vtysh.conf"
    cat >"/etc/frr/$ns/frr.conf" <<C
vrf ten
 vni 500
exit-vrf
router bgp 65000
 bgp router-id 10.98.0.$1
 no bgp default ipv4-unicast
 neighbor F peer-group
 neighbor F remote-as 65000
 neighbor F timers connect 1
$(for peer in "${@:2}"; do echo " neighbor 10.98.0.$peer peer-group F"; done)
 address-family l2vpn evpn
  neighbor F activate
  advertise-all-vni
 exit-address-family
router bgp 65000 vrf ten
 bgp router-id 10.98.0.$1
 address-family ipv4 unicast
  redistribute connected
 exit-address-family
 address-family ipv6 unicast
  redistribute connected
 exit-address-family
 address-family l2vpn evpn
  advertise ipv4 unicast
  advertise ipv6 unicast
 exit-address-family
C
    chown -R frr:frr "/var/run/frr/$ns" "/etc/frr/$ns"
    ip netns exec "$ns" unshare -m bash -c "
        exec 3</run/netns/$P-t$1
        mount -t tmpfs none /run/netns && touch /run/netns/ten && mount --bind /proc/self/fd/3 /run/netns/ten
        exec 3<&-
        /usr/lib/frr/zebra -d -n -N $ns -A 127.0.0.1 -s 90000000 -f /dev/null
        /usr/lib/frr/bgpd -d -N $ns -A 127.0.0.1 -f /dev/null
        vtysh -N $ns -b" >>"$T/v$1.frr.log" 2>&1
}
# FILTER FIELD : one line a packet that left or reached VTEP 1: VNI, inner source and destination MAC, the field.
captured() { tshark -r "$T/wire.pcap" -T fields -E separator=' ' -E occurrence=l -e vxlan.vni -e eth.src -e eth.dst -e "$2" "$1" 2>/dev/null; }
traffic() { # WHAT [PEER] : between VTEP 1 and another one
    local what=$1 peer=${2:-2} i o
    for i in 1 "$peer"; do
        o=$((1 + peer - i))
        await 20 "$what: host $i to host $o" pings "h$i" "10.20.$o.10"
        await 10 "$what: host $i to host $o, IPv6" pings "h$i" "2001:db8:20:$o::10"
        await 10 "$what: host $i to a prefix of VTEP $o" pings "h$i" "10.30.$o.1"
        await 10 "$what: host $i to a prefix of VTEP $o, IPv6" pings "h$i" "2001:db8:30:$o::1"
    done
    ip netns exec "$P-v1" tcpdump -U -i eth0 -w "$T/wire.pcap" udp port 4789 >>"$T/tcpdump.log" 2>&1 &
    local capture=$!
    echo $capture >"$T/tcpdump.pid"
    seen() { pings h1 "10.20.$peer.10"; pings h1 "2001:db8:20:$peer::10"; [ "$(captured 'icmp.type == 0 or icmpv6.type == 129' ip.ttl | wc -l)" -ge 4 ]; }
    await 40 "$what: packets on the underlay" seen
    kill $capture
    wait $capture || true
    rm "$T/tcpdump.pid"
    # From one router to the other, decremented once on each side: 63 when it leaves the first.
    local request='500 02:98:00:00:00:01 02:98:00:00:00:0'"$peer 63" reply="500 02:98:00:00:00:0$peer"' 02:98:00:00:00:01 63'
    local want got filter field
    want=$(printf '%s\n' "$request" "$reply" | sort)
    while read -r field filter; do
        got=$(captured "$filter" "$field" | sort -u)
        [ "$got" = "$want" ] || fail "$what: on the wire, $filter: $got"
    done <<<"ip.ttl icmp and ip.addr == 10.20.$peer.10"$'\nipv6.hlim icmpv6.type == 128 or icmpv6.type == 129'
}

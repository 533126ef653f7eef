# Tenants in network namespaces, on kernels without VRF devices: symmetric IRB and prefix routes, IPv4 and IPv6, between evpnd and FRR
# (zebra -n), both ways. Packets on the underlay: L3 VNI 500, inner MACs those of the routers, TTL. evpnd on both sides: test-l3-families.sh.
. "$(dirname "$0")/lib.sh"
. "$here/tenant.sh"

frr_vtep() { # I PEER : the VXLAN devices are made through the underlay; zebra takes every name it sees in /run/netns for a VRF
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
 neighbor 10.98.0.$2 remote-as 65000
 neighbor 10.98.0.$2 timers connect 1
 address-family l2vpn evpn
  neighbor 10.98.0.$2 activate
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

core
evpnd_vtep 1 2
frr_vtep 2 1
traffic 'evpnd and FRR'

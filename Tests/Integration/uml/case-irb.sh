# Symmetric IRB: hosts of different subnets and of one subnet over two VTEPs, of FRR or of evpnd.
if [ $# = 0 ]; then
    for roles in 'evpnd frr' 'evpnd evpnd'; do
        echo "== $roles"
        bash "$0" $roles || exit 1
    done
    exit 0
fi
. "$(dirname "$0")/irb.sh"
sites "$@"
for i in 1 2; do ${roles[$i]}_vtep $i; done
for i in 1 2; do greet $i; done
await 40 'a ping across subnets' pings ha1 10.20.2.10
await 20 'IPv6 across subnets' pings ha1 fd20:0:0:2::10
await 20 'a ping within the shared subnet' pings hb1 10.30.0.12
await 20 'IPv6 within the shared subnet' pings hb1 fd30::12
await 20 'from the shared subnet to another' pings hb2 10.20.1.10
await 20 'from the shared subnet to another' pings hb2 fd20:0:0:1::10

# Both VTEPs have the hosts and the subnet of the other one as routes through the L3 VNI.
for i in 1 2; do
    other=$((3 - i))
    for prefix in 10.20.$other.10 10.30.0.1$other fd20:0:0:$other::10 fd30::1$other 10.20.$other.0/24 fd20:0:0:$other::/64; do
        await 20 "v$i has $prefix" has_route $i "^$prefix .*br500 .*onlink"
    done
done

# What is on the wire: the L3 VNI between the routers, one hop less; the L2 VNI between hosts of one subnet.
sniff v1 eth0
one=$(router_mac v1) two=$(router_mac v2)
wire ha1 10.20.2.10 "500 $one > $two 10.20.1.10 > 10.20.2.10 ttl 63" "500 $two > $one 10.20.2.10 > 10.20.1.10 ttl 63"
wire ha1 fd20:0:0:2::10 "500 $one > $two fd20:0:0:1::10 > fd20:0:0:2::10 ttl 63" "500 $two > $one fd20:0:0:2::10 > fd20:0:0:1::10 ttl 63"
wire ha1 10.30.0.12 "500 $one > $two 10.20.1.10 > 10.30.0.12 ttl 63" "500 $two > $one 10.30.0.12 > 10.20.1.10 ttl 63"
wire hb1 10.30.0.12 '100 02:30:00:00:00:01 > 02:30:00:00:00:02 10.30.0.11 > 10.30.0.12 ttl 64' '100 02:30:00:00:00:02 > 02:30:00:00:00:01 10.30.0.12 > 10.30.0.11 ttl 64'
wire hb1 fd30::12 '100 02:30:00:00:00:01 > 02:30:00:00:00:02 fd30::11 > fd30::12 ttl 64'

# What each says of the other.
for i in 1 2; do
    other=$((3 - i))
    if [ ${roles[$i]} = frr ]; then
        frr v$i 'show bgp l2vpn evpn' >"$T/table"
        for route in "[2]:[0]:[48]:[02:20:00:00:00:0$other]:[32]:[10.20.$other.10]" "[2]:[0]:[48]:[02:20:00:00:00:0$other]:[128]:[fd20:0:0:$other::10]"; do
            grep -A2 -F "*>i$route" "$T/table" >"$T/route" || fail "FRR does not have $route"
            grep -q "RT:65000:10$other RT:65000:500 .*Rmac:$(router_mac v$other)" "$T/route" || fail "targets and router MAC of $route: $(cat "$T/route")"
        done
        frr v$i 'show evpn rmac vni 500' | grep "$(router_mac v$other) *10.99.0.$other" >/dev/null || fail 'FRR does not know the router MAC'
        ! grep -F "*>i[2]:[0]:[48]:[$gateway_mac]" "$T/table" >"$T/gateway" || grep -A2 -F "[$gateway_mac]" "$T/table" | grep 'Default Gateway' >/dev/null ||
            fail 'an anycast gateway was announced as a host'
    else
        await 10 "v$i is settled" settled v$i
    fi
done

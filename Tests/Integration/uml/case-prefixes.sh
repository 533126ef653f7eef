# Prefix routes (type 5) of both families between three VTEPs, of FRR or of evpnd: subnets, static routes, over a gateway, over two
# VTEPs at once.
if [ $# = 0 ]; then
    for roles in 'evpnd frr evpnd'; do
        echo "== $roles"
        bash "$0" $roles || exit 1
    done
    exit 0
fi
. "$(dirname "$0")/irb.sh"
sites "$@"
for i in 1 2 3; do
    # Networks behind the hosts: each VTEP's own, two that several have, and one behind the host of the shared subnet.
    printf 'address add %s dev lo\n' 172.16.$i.1/32 fd16:$i::1/128 | ip -n "$P-ha$i" -b -
    printf 'address add %s dev lo\n' 172.16.2$i.1/32 fd16:2$i::1/128 | ip -n "$P-hb$i" -b -
done
printf 'address add %s dev lo\n' 172.16.8.1/32 fd16:8::1/128 | ip -n "$P-ha1" -b -
printf 'address add %s dev lo\n' 172.16.9.1/32 fd16:9::1/128 | ip -n "$P-ha2" -b -
printf 'address add %s dev lo\n' 172.16.8.1/32 fd16:8::1/128 172.16.9.1/32 fd16:9::1/128 | ip -n "$P-ha3" -b -
for i in 1 2 3; do ${roles[$i]}_vtep $i; done
for i in 1 2 3; do greet $i; done
change() { # add|delete NUMBER NETWORK… : static routes of a VTEP to networks behind its host
    for network in "${@:3}"; do
        echo "route $1 172.16.$network.0/24 via 10.20.$2.10 vrf ten"
        echo "route $1 fd16:$network::/64 via fd20:0:0:$2::10 vrf ten"
    done | ip -n "$P-v$2" -b -
}
change add 1 1 8
change add 2 2 9
change add 3 3 8 9
for i in 1 2 3; do
    printf 'route add %s via %s vrf ten\n' 172.16.2$i.0/24 10.30.0.1$i fd16:2$i::/64 fd30::1$i | ip -n "$P-v$i" -b -
done

# Everybody has the networks of the others.
for i in 1 2 3; do
    for other in 1 2 3; do
        [ $i != $other ] || continue
        for prefix in 10.20.$other.0/24 fd20:0:0:$other::/64 172.16.$other.0/24 fd16:$other::/64; do
            await 20 "v$i has $prefix of v$other" has_route $i "^$prefix .*via (inet6? )?[0-9a-f:]*10.99.0.$other dev br500 .*onlink"
        done
        for address in 172.16.$other.1 fd16:$other::1; do await 15 "ping from ha$i to $address" pings ha$i $address; done
    done
done

# Behind a gateway in the shared subnet.
for i in 1 2 3; do
    for other in 1 2 3; do
        [ $i != $other ] || continue
        for prefix in 172.16.2$other.0/24 fd16:2$other::/64; do await 10 "v$i has $prefix, behind hb$other" has_route $i "^$prefix "; done
        for address in 172.16.2$other.1 fd16:2$other::1; do await 15 "ping from ha$i to $address, behind hb$other" pings ha$i $address; done
    done
done

# Over two VTEPs: both next hops in one group; without the one, the other stays.
both() { has_route $1 "^$2 .*10.99.0.$3 dev br500" && has_route $1 "^$2 .*10.99.0.$4 dev br500"; }
for prefix in 172.16.9.0/24 fd16:9::/64; do await 10 "v1 has two ways to $prefix" both 1 $prefix 2 3; done
for prefix in 172.16.8.0/24 fd16:8::/64; do await 10 "v2 has two ways to $prefix" both 2 $prefix 1 3; done
ip -n "$P-v1" nexthop | grep 'group' >/dev/null || fail 'v1 has no group of next hops'
for address in 172.16.9.1 fd16:9::1; do echoes ha1 $address || fail "no ping from ha1 to $address"; done
change delete 3 9
one() { has_route 1 "^$1 .*via (inet6? )?[0-9a-f:]*10.99.0.2 dev br500" && lacks_route 1 "^$1 .*10.99.0.3"; }
for prefix in 172.16.9.0/24 fd16:9::/64; do await 10 "v1 has one way to $prefix" one $prefix; done
for address in 172.16.9.1 fd16:9::1; do echoes ha1 $address || fail "no ping from ha1 to $address over the VTEP that is left"; done

# Withdrawn.
change delete 2 9
for prefix in 172.16.9.0/24 fd16:9::/64; do
    for i in 1 3; do await 10 "$prefix is gone from v$i" lacks_route $i "^$prefix "; done
done
change delete 1 8
for prefix in 172.16.8.0/24 fd16:8::/64; do await 10 "v2 has one way to $prefix" has_route 2 "^$prefix .*via (inet6? )?[0-9a-f:]*10.99.0.3 dev br500"; done
for i in 1 2 3; do [ "${roles[$i]}" = frr ] || await 10 "v$i is settled" settled v$i; done

# Hosts that say, once, an address of somebody else's subnet or the end of their own: behind evpnd, which does not route it, and behind FRR,
# which does and is not believed. Whoever has the address stays reachable for all, and `explain` says who claimed it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tenant.sh"
core
evpnd_vtep 1 2 3
evpnd_vtep 2 1 3
frr_vtep 3 1 2
host x2 t2 px 10.30.2.50/24 02:00:00:00:30:50
ip -n "$P-x2" address add 10.30.2.60/24 dev eth0
ip -n "$P-x2" address add 2001:db8:30:2::50/64 dev eth0 nodad
ip -n "$P-t2" link set px master lan
ip -n "$P-x2" route add default via 10.30.2.1
ip -n "$P-x2" -6 route add default via 2001:db8:30:2::1
all=(10.30.2.50 10.30.2.60 2001:db8:30:2::50)
for i in 1 2 3; do for address in "${all[@]}"; do await 30 "h$i to $address" pings "h$i" "$address"; done; done

claim() { # HOST ADDRESS : once, to its gateway
    ip -n "$P-$1" address add "$2" dev eth0 $([[ $2 == *:* ]] && echo nodad)
    case $2 in
    *:*) ip -n "$P-$1" -6 neigh flush dev eth0; on "$1" ping -c 1 -W 1 -q -I "${2%/*}" "2001:db8:20:${1#h}::1" >/dev/null || true ;;
    *) on "$1" arping -q -c 1 -w 1 -s "${2%/*}" -I eth0 "10.20.${1#h}.1" || true ;;
    esac
    ip -n "$P-$1" address del "$2" dev eth0
}
claim h1 10.30.2.50/32
claim h1 2001:db8:30:2::50/128
claim h1 10.20.1.0/32
claim h3 10.30.2.60/32
# v2 knows them all before anything is looked at.
told() { ctl v2 show routes --json | jq -e --arg ip "$1" 'tostring | contains($ip)' >/dev/null; } # ADDRESS
for address in 10.30.2.50 2001:db8:30:2::50 10.20.1.0 10.30.2.60; do await 10 "v2 hears of $address" told "[$address]"; done
for address in "${all[@]}" 10.20.1.0; do
    [ -z "$(ip -n "$P-t2" route show "$address" proto 211)" ] || fail "v2 has a route to $address: $(ip -n "$P-t2" route show "$address")"
done
for i in 1 2 3; do for address in "${all[@]}"; do echoes "h$i" "$address" || fail "h$i does not reach $address any more"; done; done
# FRR believes no more than it is told: nothing leads to v1 for what only a host there has said.
[ -z "$(ip -n "$P-t3" route show 10.30.2.50)" ] || fail "FRR routes 10.30.2.50: $(ip -n "$P-t3" route show 10.30.2.50)"
ctl v1 explain ip 10.30.2.50 --vrf ten >"$T/explain1" 2>&1 || true
grep -q '02:00:00:00:20:01 in VNI 101 says to have 10.30.2.50' "$T/explain1" || fail "v1 does not say who claims it: $(cat "$T/explain1")"
ctl v2 explain ip 10.30.2.60 --vrf ten >"$T/explain2" 2>&1 || true
grep -q 'its subnet is on lan here, which is not VNI 103' "$T/explain2" || fail "v2 does not say why: $(cat "$T/explain2")"
# Hosts of the subnets are routed as ever.
for i in 1 2; do echoes "h$i" "10.20.$((3 - i)).10" || fail "h$i does not reach the other host"; done
[ -n "$(ip -n "$P-t2" route show 10.20.1.10 proto 211)" ] || fail 'h1 has no route of its own'
echo 'no host takes an address of another subnet'

# An address goes to another host, with another MAC, behind another VTEP, while the host that had it lives on: a service that fails over. In
# a VNI of layer 2 alone (200) and in a routed one (100), IPv4 and IPv6, there and back; then both hosts have it.
. "$(dirname "$0")/lib.sh"

core
for i in 1 2 3; do
    node "v$i" "10.99.0.$((3 + i))/24"
    ip netns add "$P-t$i"
    ip -n "$P-t$i" link set lo up
    # A server (s), a bridged client (c) in each VNI, and a routed client (r).
    host "s$i" "t$i" "s$i" "10.30.0.1$i/24" "02:00:00:00:30:0$i"
    host "c$i" "t$i" "c$i" "10.30.0.2$i/24" "02:00:00:00:31:0$i"
    host "b$i" "v$i" "b$i" "10.40.0.1$i/24" "02:00:00:00:40:0$i"
    host "d$i" "v$i" "d$i" "10.40.0.2$i/24" "02:00:00:00:41:0$i"
    host "r$i" "t$i" "r$i" "10.20.$i.10/24" "02:00:00:00:20:0$i"
    ip -n "$P-s$i" route add default via 10.30.0.1
    ip -n "$P-r$i" route add default via "10.20.$i.1"
    ip -n "$P-s$i" address add "2001:db8:30::1$i/64" dev eth0 nodad
    ip -n "$P-c$i" address add "2001:db8:30::2$i/64" dev eth0 nodad
done
for i in 1 2 3; do
    others=()
    for j in 1 2 3; do [ $i = $j ] || others+=("10.99.0.$((3 + j))"); done
    configure_vtep "v$i" "10.99.0.$((3 + i))" "${others[@]}" <<C
vrfs: [{name: ten, vni: 500, managed: true, namespace: $P-t$i, routerMAC: "02:98:00:00:00:0$i", announce: {connected: true}}]
vnis:
  - {vni: 10$i, managed: true, vrf: ten, gateway: [10.20.$i.1/24], gatewayMAC: "02:00:5e:00:01:01", members: [r$i]}
  - {vni: 100, managed: true, vrf: ten, gateway: [10.30.0.1/24, "2001:db8:30::1/64"], gatewayMAC: "02:00:5e:00:01:01", members: [s$i, c$i]}
  - {vni: 200, managed: true, members: [b$i, d$i]}
C
    start_evpnd "v$i"
done
# A bridge without addresses learns those of its hosts from their announcements only if it is told to.
for i in 1 2 3; do
    await 10 "bridge of v$i" ip -n "$P-v$i" link show br200
    on "v$i" sysctl -qw net.ipv4.conf.br200.arp_accept=1
    await 20 "gateway of s$i" pings "s$i" 10.30.0.1
    await 20 "gateway of r$i" pings "r$i" "10.20.$i.1"
done
for i in 1 2 3; do await 20 "r$i to the others" pings "r$i" "10.20.$((i % 3 + 1)).10"; done


clients() { # ADDRESS
    case $1 in 10.40.*) echo d1 d2 d3 ;; 10.30.*) echo c1 c2 c3 r1 r2 r3 ;; *) echo c1 c2 c3 ;; esac
}
start_clients() { # ADDRESS
    local c
    for c in $(clients "$1"); do
        ip netns exec "$P-$c" ping -i 0.1 -W 1 -c 100000 "$1" >"$T/$c.ping" 2>&1 &
        echo $! >"$T/$c.pid"
    done
    for c in $(clients "$1"); do await 15 "$c has answers" answers "$c" 3; done
}
count() { grep -c 'bytes from' "$T/$1.ping"; } # CLIENT
answers() { [ "$(count "$1")" -gt "$2" ]; } # CLIENT NUMBER : more than so many
# The longest time without an answer; at most LIMIT, and 1.5 s where neither of the two hosts is, in tenths of a second.
stop_clients() { # ADDRESS LIMIT
    local c gap pid
    for c in $(clients "$1"); do
        pid=$(cat "$T/$c.pid")
        kill -INT "$pid"
        wait "$pid" || true
        rm "$T/$c.pid"
        gap=$(sed -n 's/.*icmp_seq=\([0-9]*\).*/\1/p' "$T/$c.ping" | awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { print gap + 0 }')
        [ "$gap" -le $([ "${c#?}" = 3 ] && echo 15 || echo "$2") ] || fail "$c did not reach $1 for $gap/10 s"
        echo " $c $1 $gap" >>"$T/gaps"
    done
}
say() { # HOST ADDRESS : as a service that takes over its address; an IPv6 host asks its gateway from there
    case $2 in
    *:*) ip -n "$P-$1" neigh flush dev eth0; on "$1" ping -c 1 -W 1 -q -I "$2" 2001:db8:30::1 >/dev/null || true ;;
    *) on "$1" arping -q -c 1 -U -I eth0 "$2" ;;
    esac
}
take() { # HOST ADDRESS
    ip -n "$P-$1" address add "$2/$([[ $2 == *:* ]] && echo 64 || echo 24)" dev eth0 $([[ $2 == *:* ]] && echo nodad)
    say "$1" "$2"
}
leave() { ip -n "$P-$1" address del "$2/$([[ $2 == *:* ]] && echo 64 || echo 24)" dev eth0; } # HOST ADDRESS
holds() { # VTEP VNI ADDRESS MAC
    ip -n "$P-$([ "$2" = 100 ] && echo "t${1#v}" || echo "$1")" neighbor show "$3" dev "br$2" | grep -q "lladdr $4"
}
service() { # ADDRESS VNI KIND MAC FROM/TO… : a host of the kind has the address, then it moves
    local address=$1 vni=$2 kind=$3 mac=$4 i c step from to
    take "${kind}1" "$address"
    # In a routed VNI the gateway knows who speaks to it.
    [ "$vni" = 200 ] || await 10 "v1 knows $address" on t1 ping -c 1 -W 1 -q "$address"
    for i in 2 3; do await 10 "v$i knows $address" holds "v$i" "$vni" "$address" "02:00:00:00:$mac:01"; done
    for c in $(clients "$address"); do await 10 "$c to $address" pings "$c" "$address"; done
    start_clients "$address"
    for step in "${@:5}"; do
        from=${step%/*} to=${step#*/}
        leave "$kind$from" "$address"
        take "$kind$to" "$address"
        for i in 1 2 3; do await 15 "v$i: $address is at $kind$to" holds "v$i" "$vni" "$address" "02:00:00:00:$mac:0$to"; done
        for c in $(clients "$address"); do await 15 "$c reaches $address at $kind$to" answers "$c" "$(count "$c")"; done
    done
    stop_clients "$address" 45
}
(
    trap - EXIT
    service 10.40.0.50 200 b 40 1/2 2/1
) &
bridged=$!
service 10.30.0.50 100 s 30 1/2 2/1
service 2001:db8:30::50 100 s 30 1/2
wait $bridged || fail 'a bridged service'

# Now both have it, and both say so again and again: each VTEP keeps its own host, who is elsewhere one of the two, and nothing goes back and forth.
events() { grep -h "event=evpn.$1" "$T"/v?.log | grep -c "$2" || true; } # EVENT TEXT
address=10.30.0.60
take s1 $address
await 10 'v1 knows the duplicate' on t1 ping -c 1 -W 1 -q $address
await 10 'v3 knows the duplicate' holds v3 100 $address 02:00:00:00:30:01
take s2 $address
await 15 'v1 tells of the duplicate' grep -q "event=evpn.address.conflict.*ip=$address" "$T/v1.log"
start_clients $address
for _ in 1 2 3; do
    say s1 $address &
    say s2 $address
    wait $!
done
stop_clients $address 15
[ "$(events address.moved "ip=$address")" -le 1 ] || fail "the duplicate went back and forth: $(grep -h "$address" "$T"/v?.log)"
holds v1 100 $address 02:00:00:00:30:01 || fail 'v1 has taken the address from its host'
holds v2 100 $address 02:00:00:00:30:02 || fail 'v2 has taken the address from its host'
[ "$(events mac.duplicate .)" = 0 ] || fail 'a MAC was frozen'

# Without CAP_NET_RAW only this is lost, and it is said.
node v4 10.99.0.7/24
configure_vtep v4 10.99.0.7 10.99.0.4 <<<"vnis: [{vni: 200, managed: true}]"
ip netns exec "$P-v4" setpriv --bounding-set=-net_raw --inh-caps=-net_raw "$build/evpnd" --config "$T/v4.yaml" --socket "$T/v4.sock" --state-dir "$T/v4.state" >>"$T/v4.log" 2>&1 &
echo $! >"$T/v4.pid"
await 10 'the missing capability is told' grep -q 'event=dataplane.addresses.unheard .*CAP_NET_RAW' "$T/v4.log"
await 15 'the VNI all the same' grep -q 'event=domain.up vni=200' "$T/v4.log"
echo "longest times without an answer, in tenths of a second: $(tr '\n' ' ' <"$T/gaps")"

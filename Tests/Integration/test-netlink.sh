# Unicast routes between BGP and the kernel, by netlinkImport and netlinkExport: FRR announces routes with communities, addresses of
# `kube-lb*` go out; with the embedded speaker and with gobgpd; IPv4 and IPv6; a restart without a flap; foreign routes untouched.
. "$(dirname "$0")/lib.sh"
core
node frr 10.99.0.1/24 2001:db8:99::1/64
cat >"$T/frr.conf" <<C
router bgp 65001
 bgp router-id 10.99.0.1
 no bgp ebgp-requires-policy
 bgp graceful-restart
 neighbor 10.99.0.2 remote-as 65002
 neighbor 2001:db8:99::2 remote-as 65002
 address-family ipv4 unicast
  network 198.51.100.0/24 route-map both
  network 203.0.113.0/24 route-map one
  network 198.18.0.0/15 route-map one
  network 192.0.2.0/24 route-map far
  no neighbor 2001:db8:99::2 activate
  neighbor 10.99.0.2 route-map out out
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:51::/48 route-map both
  neighbor 2001:db8:99::2 activate
 exit-address-family
route-map one permit 10
 set community 65001:1
 set large-community 65001:0:7
route-map both permit 10
 set community 65001:1 65001:2
route-map far permit 10
 set community 65001:3
ip prefix-list far permit 192.0.2.0/24
route-map out permit 10
 match ip address prefix-list far
 set ip next-hop 10.77.0.1
route-map out permit 20
C
start_frr frr
# Routes that FRR announces exist there.
for route in 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 192.0.2.0/24 2001:db8:51::/48; do ip -n "$P-frr" route add blackhole $route; done

# Another router of the same AS, which has one of the prefixes too.
node twin 10.99.0.3/24
cat >"$T/twin.conf" <<C
router bgp 65001
 bgp router-id 10.99.0.3
 no bgp ebgp-requires-policy
 neighbor 10.99.0.2 remote-as 65002
 address-family ipv4 unicast
  network 198.18.0.0/15 route-map one
 exit-address-family
route-map one permit 10
 set community 65001:1
C
start_frr twin
ip -n "$P-twin" route add blackhole 198.18.0.0/15

node n 10.99.0.2/24 2001:db8:99::2/64
ip -n "$P-n" link add kube-lb0 type veth peer name kube-peer
ip -n "$P-n" link set kube-peer up
ip -n "$P-n" link set kube-lb0 up
ip -n "$P-n" link add other type veth peer name other-peer
ip -n "$P-n" link set other up
ip -n "$P-n" address add 172.20.5.9/24 dev other
ip -n "$P-n" address add 172.16.5.9/24 dev kube-lb0
ip -n "$P-n" address add 2001:db8:16::5/64 dev kube-lb0 nodad
# Others' routes, in the same tables: another protocol, and the same prefix with the same metric; ours in a table that is none of ours.
foreign() {
    ip -n "$P-n" route replace 203.0.113.0/24 via 10.99.0.1 table 200 metric 5 proto static
    ip -n "$P-n" route replace 10.200.0.0/16 via 10.99.0.1 table 200 proto static
    ip -n "$P-n" route replace 10.202.0.0/16 via 10.99.0.1 table 300 metric 20 proto 186
}
foreign
# What an earlier run left behind, by its record: in a table of ours, and in one that no rule names any more. Without a record a route is
# somebody else's.
ip -n "$P-n" route add 10.201.0.0/16 via 10.99.0.1 table 100 metric 20 proto 186
ip -n "$P-n" route add 10.204.0.0/16 via 10.99.0.1 table 400 metric 20 proto 186
ip -n "$P-n" -6 route add 2001:db8:204::/48 dev eth0 table 400 metric 20 proto 186
ip -n "$P-n" route add 10.205.0.0/16 dev other table 200 metric 5 proto 186
mkdir -p "$T/n.state"
printf 'table 100 proto 186\ntable 400 proto 186\n' >"$T/n.state/exported"

configure() { # [DAMPENING]
    cat >"$T/n.yaml" <<C
bgp:
  global: {asn: 65002, routerID: 10.99.0.2, families: [ipv4-unicast], useMultiplePaths: true}
  neighbors:
    - {config: {neighborAddress: 10.99.0.1, peerAsn: 65001}, timers: {config: {connectRetry: 1}}}
    - {config: {neighborAddress: 10.99.0.3, peerAsn: 65001}, timers: {config: {connectRetry: 1}}}
    - config: {neighborAddress: "2001:db8:99::1", peerAsn: 65001}
      timers: {config: {connectRetry: 1}}
      afiSafis: [{family: ipv6-unicast, enabled: true}]
$(exchange "${1:-100}")
telemetry: {listen: "127.0.0.1:9474"}
C
}
exchange() { # DAMPENING
    cat <<C
  netlinkImport: {enabled: true, interfaceList: ["kube-lb*"]}
  netlinkExport:
    enabled: true
    dampeningInterval: $1
    rules:
      - {name: first, communityList: ["65001:1"], tableId: 100}
      - {name: second, communityList: ["65001:2"], largeCommunityList: ["65001:0:7"], tableId: 200, metric: 5}
      - {name: main, communityList: ["65001:2"]}
      - {name: far, communityList: ["65001:3"], tableId: 100, metric: 30}
      - {name: assumed, communityList: ["65001:3"], tableId: 101, validateNexthop: false}
C
}
route() { # NODE TABLE PREFIX WORDS : a route is there, with these words
    ip -n "$P-$1" $([[ $3 == *:* ]] && echo -6) route show table "$2" "$3" | grep -- "$4" >/dev/null
}
no_route() { [ -z "$(ip -n "$P-$1" $([[ $3 == *:* ]] && echo -6) route show table "$2" "$3" proto 186 2>/dev/null)" ]; }
in_frr() { frr frr "show bgp $1 $2 json" | jq -e '.paths | length > 0'; }
not_in_frr() { ! in_frr "$@"; }
metric() { # NAME : its value
    on n bash -c 'exec 3<>/dev/tcp/127.0.0.1/9474; printf "GET /metrics HTTP/1.0\r\n\r\n" >&3; cat <&3' | awk -v n="$1" '$1 == n { print $2 }'
}

reports() { grep -c event=routes.healed "$T/n.log" || true; }
check_exchange() { # with which speaker
    # Import: the networks of kube-lb0 and no others, and what changes there.
    await 20 "$1: import of IPv4" in_frr 'ipv4 unicast' 172.16.5.0/24
    frr frr 'show bgp ipv4 unicast 172.16.5.0/24 json' | jq -e '.paths[0] | .origin == "IGP" and .nexthops[0].ip == "10.99.0.2"' >/dev/null ||
        fail "$1: origin or next hop of the imported network"
    not_in_frr 'ipv4 unicast' 172.20.5.0/24 || fail "$1: a network of another interface was announced"
    ip -n "$P-n" address add 172.16.6.1/24 dev kube-lb0
    await 15 "$1: an address more" in_frr 'ipv4 unicast' 172.16.6.0/24
    ip -n "$P-n" address del 172.16.6.1/24 dev kube-lb0
    await 15 "$1: an address less" not_in_frr 'ipv4 unicast' 172.16.6.0/24
    ip -n "$P-n" link set kube-lb0 down
    await 15 "$1: an interface that is down" not_in_frr 'ipv4 unicast' 172.16.5.0/24
    ip -n "$P-n" link set kube-lb0 up
    # Which takes IPv6 addresses for good.
    ip -n "$P-n" address replace 2001:db8:16::5/64 dev kube-lb0 nodad

    # Export: by communities into tables, with metric and protocol.
    await 10 "$1: the first rule" route n 100 198.51.100.0/24 'via 10.99.0.1 dev eth0 proto bgp metric 20'
    await 15 "$1: the second rule" route n 200 198.51.100.0/24 'via 10.99.0.1 dev eth0 proto bgp metric 5'
    await 15 "$1: the main table" route n main 198.51.100.0/24 'via 10.99.0.1 dev eth0 proto bgp metric 20'
    await 15 "$1: only the first rule" route n 100 203.0.113.0/24 'via 10.99.0.1 dev eth0 proto bgp metric 20'
    no_route n main 203.0.113.0/24 || fail "$1: a rule that does not match"
    # By large community, where somebody else has the same route already.
    route n 200 203.0.113.0/24 'proto static metric 5' || fail "$1: the route of somebody else is gone"
    no_route n 200 203.0.113.0/24 || fail "$1: two routes with one key"
    says() { ctl n show "$1" | grep "$2"; }
    await 10 "$1: the refusal" says netlink '203.0.113.0/24 *200 .*refused: somebody else'
    # A next hop that cannot be reached, and one that is assumed to be on the link.
    no_route n 100 192.0.2.0/24 || fail "$1: an unreachable next hop"
    await 10 "$1: the reason" says netlink '192.0.2.0/24 *100 .*10.77.0.1 is not reachable'
    await 10 "$1: show status tells of the refusal" says status 'problem .*203.0.113.0/24 in table 200: refused: somebody else'
    planned() { ctl n plan | grep '203.0.113.0/24 in table 200: refused'; }
    await 15 "$1: plan tells of the refusal" planned
    ctl n explain ip 198.51.100.7 | grep -q 'ok  export .*put there by rule ' || fail "$1: explain does not know the exported route"
    if ctl n explain prefix 203.0.113.0/24 >"$T/explained" 2>&1; then fail "$1: explain says that all is well"; fi
    grep -q 'refused: somebody else' "$T/explained" || fail "$1: explain does not tell of the refusal"
    await 15 "$1: onlink" route n 101 192.0.2.0/24 'via 10.77.0.1 dev eth0 proto bgp metric 20 onlink'
    ip -n "$P-n" address add 10.77.0.2/24 dev eth0
    await 15 "$1: reachable now" route n 100 192.0.2.0/24 'via 10.77.0.1 dev eth0 proto bgp metric 30'
    ip -n "$P-n" address del 10.77.0.2/24 dev eth0
    await 15 "$1: not any more" no_route n 100 192.0.2.0/24
    # Behind another router.
    ip -n "$P-n" route add 10.77.0.0/24 via 10.99.0.1
    await 15 "$1: through a gateway" route n 100 192.0.2.0/24 'via 10.99.0.1 dev eth0 proto bgp metric 30'
    ip -n "$P-n" route del 10.77.0.0/24 via 10.99.0.1
    await 15 "$1: without the gateway" no_route n 100 192.0.2.0/24
    # Withdrawn, and back.
    frr frr 'configure
router bgp 65001
address-family ipv4 unicast
no network 203.0.113.0/24' >/dev/null
    await 10 "$1: withdrawn" no_route n 100 203.0.113.0/24
    frr frr 'configure
router bgp 65001
address-family ipv4 unicast
network 203.0.113.0/24 route-map one' >/dev/null
    await 10 "$1: announced again" route n 100 203.0.113.0/24 'proto bgp'
    # Damage heals. What is removed within a second is told in one line.
    local before=$(reports)
    for _ in 1 2 3 4 5; do
        ip -n "$P-n" route del 198.51.100.0/24 table 100
        await 15 "$1: a deleted route is put back" route n 100 198.51.100.0/24 'proto bgp'
    done
    told() { [ "$(reports)" -gt "$before" ]; }
    await 15 "$1: told that routes were put back" told
    [ $(($(reports) - before)) -lt 5 ] || fail "$1: a line for every route that was put back"
    ip -n "$P-n" link set eth0 down
    ip -n "$P-n" link set eth0 up
    # The kernel has flushed what went through it.
    ip -n "$P-n" address replace 2001:db8:99::2/64 dev eth0 nodad
    foreign
    await 20 "$1: back after the interface was down" route n 100 198.51.100.0/24 'proto bgp'
    await 20 "$1: session is back" established n
    await 20 "$1: the networks are back" in_frr 'ipv4 unicast' 172.16.5.0/24
    # Others' routes are untouched, in tables of ours and in others.
    route n 200 10.200.0.0/16 'proto static' || fail "$1: a foreign route is gone"
    route n 300 10.202.0.0/16 'proto bgp' || fail "$1: a route of a table that no rule names is gone"
    await 15 "$1: nothing left to do" settled n
}

configure
start_evpnd n
await 30 'all sessions' established n 3
check_exchange embedded
# Both routers, and one when the other is gone.
both() { ip -n "$P-n" route show table 100 198.18.0.0/15 | tr '\n' ' ' | grep -q 'nexthop via 10.99.0.1 .*nexthop via 10.99.0.3'; }
await 10 'two next hops' both
ctl n neighbor shutdown 10.99.0.3 >/dev/null
await 10 'one next hop' route n 100 198.18.0.0/15 'via 10.99.0.1 dev eth0 proto bgp metric 20'
ctl n neighbor enable 10.99.0.3 >/dev/null
await 20 'two again' both
await 10 'a route that nobody announces is swept' no_route n 100 10.201.0.0/16
await 10 'what is in a table that no rule names any more is swept too' no_route n 400 10.204.0.0/16
await 15 'and IPv6' no_route n 400 2001:db8:204::/48
if grep 'table 400' "$T/n.state/exported"; then fail 'what has been swept is still on record'; fi
route n 200 10.205.0.0/16 'proto bgp' || fail 'a route with our protocol number that is not on record is gone'
grep -q 'event=routes.foreign of="table 200 proto 186"' "$T/n.log" || fail 'nothing tells of a route that is not ours'
ip -n "$P-n" route del 10.205.0.0/16 table 200
await 10 'IPv6 import' in_frr 'ipv6 unicast' 2001:db8:16::/64
await 10 'IPv6 export' route n 100 2001:db8:51::/48 'via .* dev eth0 proto bgp metric 20'
await 15 'IPv6 in the main table' route n main 2001:db8:51::/48 'via .* dev eth0 proto bgp metric 20'
ip -n "$P-n" -6 route del 2001:db8:51::/48 table 100
await 15 'a deleted IPv6 route is put back' route n 100 2001:db8:51::/48 'proto bgp'
await 10 'settled' settled n
[ "$(metric bgp_netlink_export_enabled)" = 1 ] && [ "$(metric bgp_netlink_import_enabled)" = 1 ] || fail 'metrics: not enabled'
[ "$(metric bgp_netlink_exported_total)" -ge 8 ] || fail 'metrics: routes exported'
[ "$(metric bgp_netlink_cleanup_routes_deleted_total)" = 3 ] || fail 'metrics: routes swept'
[ "$(metric bgp_netlink_nexthop_failed_total)" -ge 1 ] || fail 'metrics: next hops'
ticks=$(metric bgp_netlink_import_loop_ticks_total)
more_ticks() { [ "$(metric bgp_netlink_import_loop_ticks_total)" -gt "$ticks" ]; }
await 30 'metrics: the importer lives' more_ticks
ctl n show netlink --json | jq -e '[.[] | select(.kind == "network" and .best)] | length == 2' >/dev/null || fail 'show netlink: networks'
ctl n show netlink --json | jq -e '[.[] | select(.kind == "route" and .installed)] | length >= 6' >/dev/null || fail 'show netlink: routes'

# A restart does not touch a route: neither killed nor ended in order, and the sweep comes after.
for signal in TERM KILL; do
    monitor n ip route
    stop_evpnd n $signal
    route n 100 198.51.100.0/24 'proto bgp' || fail 'routes are gone after the exit'
    ip -n "$P-n" route add 10.203.0.0/16 via 10.99.0.1 table 100 metric 20 proto 186
    start_evpnd n
    await 40 'back after the restart' established n 3
    await 80 'what nobody announces is swept' no_route n 100 10.203.0.0/16
    await 10 'settled after the restart' settled n
    grep -E '^Deleted (198|203|192|2001:db8:51)' "$T/monitor.out" && fail "a route flapped over the restart by $signal"
    end_monitor
done

# Dampening: changes within the interval reach the kernel as one.
configure 5000
ctl n reload >/dev/null
monitor n ip route
before=$(metric bgp_netlink_dampened_updates_total)
for i in 1 2 3; do
    frr frr 'configure
router bgp 65001
address-family ipv4 unicast
no network 203.0.113.0/24' >/dev/null
    frr frr 'clear bgp ipv4 unicast * soft out' >/dev/null
    frr frr 'configure
router bgp 65001
address-family ipv4 unicast
network 203.0.113.0/24 route-map one' >/dev/null
done
await 30 'back after a flap' route n 100 203.0.113.0/24 'proto bgp'
await 20 'settled after a flap' settled n
[ "$(grep -c '^Deleted 203.0.113.0/24' "$T/monitor.out")" -le 1 ] || fail 'the kernel saw every flap'
end_monitor

# A rule less, and nothing at all: routes go, others' stay.
sed -i '/name: second/d' "$T/n.yaml"
ctl n reload >/dev/null
await 15 'the table of a rule that is gone is emptied' no_route n 200 198.51.100.0/24
route n 200 10.200.0.0/16 'proto static' || fail 'a foreign route went with the rule'
sed -i 's/enabled: true, interfaceList/enabled: false, interfaceList/; /netlinkExport:/,/enabled: true/s/enabled: true/enabled: false/' "$T/n.yaml"
ctl n reload >/dev/null
await 15 'export disabled' no_route n 100 198.51.100.0/24
await 15 'export disabled: main table' no_route n main 198.51.100.0/24
await 15 'import disabled' not_in_frr 'ipv4 unicast' 172.16.5.0/24
# Enabled again: routes that were announced long ago are there.
configure
ctl n reload >/dev/null
await 15 'export enabled again' route n 100 198.51.100.0/24 'proto bgp'
await 15 'import enabled again' in_frr 'ipv4 unicast' 172.16.5.0/24
# The end: nothing of ours is left.
ctl n cleanup --yes | grep -q 'ip route del 198.51.100.0/24' || fail 'cleanup does not tell'
await 15 'cleaned up' no_route n 100 198.51.100.0/24
route n 200 10.200.0.0/16 'proto static' || fail 'cleanup took a foreign route'
gone() { ! kill -0 "$(cat "$T/n.pid")" 2>/dev/null; }
await 15 'evpnd ends after the cleanup' gone

# Without a daemon: what it recorded as its own goes, in tables that a later configuration does not name too.
[ ! -e "$T/n.state/exported" ] || fail 'the record outlives the cleanup'
rm -f "$T/n.sock"
start_evpnd n
await 40 'back once more' established n 3
await 20 'exported once more' route n 100 198.51.100.0/24 'proto bgp'
await 20 'exported once more to the main table' route n main 2001:db8:51::/48 'proto bgp'
stop_evpnd n KILL
on n "$build/evpnd" --cleanup --config <(echo 'bgp: {global: {asn: 65002, routerID: 10.99.0.2}}') --socket "$T/n.sock" \
    --state-dir "$T/n.state" >"$T/cleanup.out" || fail 'cleanup without a daemon'
grep -q '^ip route del 198.51.100.0/24 table 100 proto 186 metric 20$' "$T/cleanup.out" || fail 'it does not tell'
for table in 100 101 200 main; do
    for family in -4 -6; do
        ip -n "$P-n" $family route show table $table proto 186 2>/dev/null | grep . && fail "left in table $table"
    done
done
route n 200 10.200.0.0/16 'proto static' || fail 'cleanup without a daemon took a foreign route'
route n 300 10.202.0.0/16 'proto bgp' || fail 'cleanup without a daemon took a route of a table that no rule named'
[ ! -e "$T/n.state/exported" ] || fail 'the record outlives the cleanup without a daemon'

# Without any export, what an earlier run put there goes as well.
start_evpnd n
await 40 'back for the last time' established n 3
await 20 'exported for the last time' route n 100 198.51.100.0/24 'proto bgp'
stop_evpnd n
sed -i 's/enabled: true, interfaceList/enabled: false, interfaceList/; /netlinkExport:/,/enabled: true/s/enabled: true/enabled: false/' "$T/n.yaml"
start_evpnd n
await 60 'swept without an export' no_route n 100 198.51.100.0/24
await 15 'no record' test ! -e "$T/n.state/exported"
stop_evpnd n

# The same with gobgpd as the speaker.
gobgp_asns='65002 65001' configure_gobgp n 10.99.0.2 10.99.0.1 ipv4-unicast 2001:db8:99::1 ipv6-unicast
start_gobgpd n
cat >"$T/n.yaml" <<C
bgp:
  speaker: gobgp
  gobgp: {address: "127.0.0.1:50051", holdTime: 20}
  global: {asn: 65002, routerID: 10.99.0.2}
$(exchange 100)
telemetry: {listen: "127.0.0.1:9474"}
C
start_evpnd n
await 40 'sessions of gobgpd' established n 2
check_exchange gobgpd
await 10 'gobgpd: IPv6 import' in_frr 'ipv6 unicast' 2001:db8:16::/64
await 10 'gobgpd: IPv6 export' route n 100 2001:db8:51::/48 'via .* dev eth0 proto bgp metric 20'
# gobgpd restarts: routes stay, networks come back.
monitor n ip route
kill_gobgpd n
start_gobgpd n
await 40 'networks are announced by the new gobgpd' in_frr 'ipv4 unicast' 172.16.5.0/24
await 40 'sessions of the new gobgpd' established n 2
await 40 'settled with the new gobgpd' settled n
grep -E '^Deleted (198|203|192)' "$T/monitor.out" && fail 'a route flapped when gobgpd restarted'
true

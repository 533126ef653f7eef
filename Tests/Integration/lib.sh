# Sourced by every test: namespaces with a name of their own, daemons by pid file, polling with a deadline, cleanup in a trap.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$(realpath -m "${EVPND_BUILD:-$root/.build/release}")
[ -x "$build/evpnd" ] || build=$root/.build/debug
P=i$$
T=$(mktemp -d /tmp/evpnd-$P-XXXXXX)
frr_spaces=()
at_end() { :; } # what a test has to clean up besides

cleanup() {
    local status=$?
    set +e
    at_end
    if [ $status != 0 ] && [ $status != 77 ]; then for f in "$T"/*.log; do [ -s "$f" ] && { echo "-- $f"; tail -15 "$f"; }; done; fi
    for f in "$T"/*.pid; do [ -e "$f" ] && kill -9 "$(cat "$f")" 2>/dev/null; done
    for ns in "${frr_spaces[@]}"; do
        for f in /var/run/frr/"$ns"/*.pid; do [ -e "$f" ] && kill -9 "$(cat "$f")" 2>/dev/null; done
        rm -rf "/var/run/frr/$ns" "/etc/frr/$ns"
    done
    for ns in $(ip netns list 2>/dev/null | awk '{print $1}' | grep "^$P-"); do ip netns delete "$ns"; done
    rm -rf "$T"
    exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Only for what this machine cannot give; `run` says so loudly.
skip() { echo "$*" >&2; exit 77; }
fail() { echo "FAILED: $*" >&2; exit 1; }
on() { ip netns exec "$P-$1" "${@:2}"; }
ctl() { "$build/evpnctl" --socket "$T/$1.sock" "${@:2}"; }
pause() { read -rt 0.1 <> <(:) || true; }
await() { # SECONDS WHAT COMMAND… : until the command succeeds
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ ${EPOCHREALTIME/./} -lt $end ] || fail "not within the time: $what"
        pause
    done
}
core() {
    ip netns add "$P-core"
    ip -n "$P-core" link add br0 type bridge
    ip -n "$P-core" link set br0 up mtu 9000
}
node() { # NAME ADDRESS/LENGTH…
    ip netns add "$P-$1"
    ip -n "$P-$1" link set lo up
    ip link add eth0 netns "$P-$1" mtu 9000 type veth peer name "to-$1" netns "$P-core"
    ip -n "$P-core" link set "to-$1" master br0 up mtu 9000
    for address in "${@:2}"; do ip -n "$P-$1" address add "$address" dev eth0 $([[ $address == *:* ]] && echo nodad); done
    # Who is given a link-local address has no second one, which might be the source of its connections.
    [[ " ${*:2}" != *' fe80:'* ]] || ip -n "$P-$1" link set eth0 addrgenmode none
    ip -n "$P-$1" link set eth0 up
}
host() { # NAME NODE PORT ADDRESS/LENGTH MAC
    ip netns add "$P-$1"
    ip link add eth0 netns "$P-$1" type veth peer name "$3" netns "$P-$2"
    ip -n "$P-$1" link set eth0 address "$5" mtu 1400
    ip -n "$P-$1" address add "$4" dev eth0
    ip -n "$P-$1" link set eth0 up
    ip -n "$P-$2" link set "$3" up
}
start_evpnd() { # NODE, configuration in $T/NODE.yaml
    # Not through `on`: the pid must be that of evpnd, not of a subshell.
    ip netns exec "$P-$1" "$build/evpnd" --config "$T/$1.yaml" --socket "$T/$1.sock" --state-dir "$T/$1.state" >>"$T/$1.log" 2>&1 &
    echo $! >"$T/$1.pid"
    await 20 "evpnd of $1 answers" ctl "$1" show status
}
# With an IPv6 address, `router_id` is to be set. `strangers`: a prefix that anybody may connect from.
configure_vtep() { # NODE ADDRESS NEIGHBOR…, the rest of the file on standard input : a VTEP of AS 65000 with these internal neighbors
    {
        printf 'node: {vtep: %s}\nbgp:\n  global: {asn: 65000%s}\n' "$2" "${router_id:+, routerID: $router_id}"
        [ -z "${strangers:-}" ] || printf '  peerGroups: [{config: {peerGroupName: strangers, peerAsn: 65000}}]\n  dynamicNeighbors: [{prefix: %s, peerGroup: strangers}]\n' "$strangers"
        [ $# -lt 3 ] || echo '  neighbors:'
        for neighbor in "${@:3}"; do
            printf '    - config: {neighborAddress: %s, peerAsn: 65000}\n      timers: {config: {connectRetry: 1}}\n' "$neighbor"
        done
        cat
    } >"$T/$1.yaml"
}
configure_reflector() { # NODE ADDRESS : everybody in 10.99.0.0/24 is its client
    cat >"$T/$1.yaml" <<C
node: {vtep: $2}
bgp:
  global: {asn: 65000}
  peerGroups:
    - config: {peerGroupName: vteps, peerAsn: 65000}
      routeReflector: {routeReflectorClient: true}
  dynamicNeighbors: [{prefix: 10.99.0.0/24, peerGroup: vteps}]
C
}
stop() { # PIDFILE [SIGNAL] : SIGKILL, and the process is gone and its ports are free
    local pid
    pid=$(cat "$1")
    kill "-${2:-KILL}" "$pid"
    # Gone, or a zombie without threads, where nobody waits for orphans: its files are closed.
    stopped() { ! kill -0 "$pid" 2>/dev/null || awk '/^State:/ {state = $2} /^Threads:/ {threads = $2} END {exit state != "Z" || threads != 1}' "/proc/$pid/status"; }
    await 20 "process $pid ends" stopped
    rm -f "$1"
}
stop_evpnd() { # NODE [SIGNAL] : SIGTERM
    stop "$T/$1.pid" "${2:-TERM}"
    rm -f "$T/$1.sock"
}
established() { ctl "$1" show neighbors --json | jq -e "map(select(.state == \"established\")) | length >= ${2:-1}"; }
settled() { ctl "$1" plan | grep '^nothing'; }
pings() { on "$1" ping -c 1 -W 1 -q "$2"; }
echoes() { on "$1" ping -c 1 -W 10 -q "$2"; } # the same for what must not be lost: one packet, however slow the machine is
# How many packets of a ping that has ended (without -q) got no answer. It hardly waits for answers to its last packets: up to ten do not count.
unanswered() { # FILE
    awk '
        /bytes from .*icmp_seq=/ {match($0, /icmp_seq=[0-9]+/); at = substr($0, RSTART + 9, RLENGTH - 9) + 0; if (!seen[at]++) answered++; if (at > last) last = at}
        /packets transmitted/ {sent = $1}
        END {if (!sent) exit 1; print (sent - last > 10 ? sent : last) - answered}' "$1"
}
none_unanswered() { # FILE WHAT
    local count
    count=$(unanswered "$1") || fail "$2: no ping"
    [ "$count" = 0 ] || fail "$2: $count packets are lost: $(tail -2 "$1")"
}
remove_host() { # NAME : now, not when the kernel gets round to clearing its namespace away
    ip -n "$P-$1" link delete eth0
    ip netns delete "$P-$1"
}
monitor() { # NODE ip|bridge OBJECT : from now on, into $T/monitor.out
    "$2" -n "$P-$1" monitor "$3" >"$T/monitor.out" 2>&1 &
    echo $! >"$T/monitor.pid"
    await 10 'the monitor listens' monitors $!
}
monitors() { # PID : one of its sockets is in a multicast group of netlink
    local sockets
    sockets=$(readlink "/proc/$1"/fd/* | sed -n 's/^socket:.\([0-9]*\).$/\1/p' | tr '\n' ' ')
    awk -v sockets=" $sockets" '$4 !~ /^0+$/ && index(sockets, " " $NF " ") {found = 1} END {exit !found}' "/proc/$1/net/netlink"
}
end_monitor() {
    kill "$(cat "$T/monitor.pid")"
    rm "$T/monitor.pid"
}
sniff() { # NODE [INTERFACE] : from now on; without an interface what comes in on all that are named to-…
    ip netns exec "$P-$1" python3 "$here/sniff.py" "${@:2}" >"$T/$1.sniffed" 2>"$T/$1.sniff.log" &
    echo $! >"$T/$1.sniff.pid"
    await 20 'the sniffer listens' grep -q ready "$T/$1.sniffed"
}
# Exactly this packet was on the wire.
sniffed() { grep -qxF -- "$2" "$T/$1.sniffed"; } # NODE LINE
vxlan() { # NODE VNI LOCAL : what an operator makes: bridge and VXLAN device
    ip -n "$P-$1" link add "br$2" type bridge
    ip -n "$P-$1" link set "br$2" addrgenmode none up
    ip -n "$P-$1" link add "vxlan$2" type vxlan id "$2" dstport 4789 local "$3" nolearning
    ip -n "$P-$1" link set "vxlan$2" master "br$2" addrgenmode none
    bridge -n "$P-$1" link set dev "vxlan$2" learning off neigh_suppress on
    ip -n "$P-$1" link set "vxlan$2" up
}
start_frr() { # NODE, configuration in $T/NODE.conf
    local ns=$P-$1
    frr_spaces+=("$ns")
    mkdir -p "/var/run/frr/$ns" "/etc/frr/$ns"
    cp "$T/$1.conf" "/etc/frr/$ns/frr.conf"
    touch "/etc/frr/$ns/vtysh.conf"
    chown -R frr:frr "/var/run/frr/$ns" "/etc/frr/$ns"
    on "$1" /usr/lib/frr/zebra -d -N "$ns" -A 127.0.0.1 -s 90000000 -f /dev/null
    on "$1" /usr/lib/frr/bgpd -d -N "$ns" -A 127.0.0.1 -f /dev/null
    on "$1" vtysh -N "$ns" -b >/dev/null 2>&1
}
configure_frr_client() { # NODE ADDRESS : an FRR VTEP of AS 65000, client of 10.99.0.1
    cat >"$T/$1.conf" <<C
router bgp 65000
 bgp router-id $2
 no bgp default ipv4-unicast
 neighbor 10.99.0.1 remote-as 65000
 neighbor 10.99.0.1 timers connect 1
 address-family l2vpn evpn
  neighbor 10.99.0.1 activate
  advertise-all-vni
 exit-address-family
C
}
frr() { on "$1" vtysh -N "$P-$1" -c "$2"; }
gobgpd=${EVPND_GOBGPD:-gobgpd}
start_gobgpd() { # NODE [OPTION…], configuration in $T/NODE.toml, if there is one
    local file=()
    [ -e "$T/$1.toml" ] && file=(-f "$T/$1.toml")
    ip netns exec "$P-$1" "$gobgpd" "${file[@]}" --pprof-disable "${@:2}" >>"$T/$1.gobgpd.log" 2>&1 &
    echo $! >"$T/$1.gobgpd.pid"
}
kill_gobgpd() { stop "$T/$1.gobgpd.pid"; }
configure_gobgp_hub() { # NODE FAMILY [LINES-OF-THE-GROUP [LINES-OF-THE-FAMILY]] : 10.99.0.1, everybody in 10.99.0.0/24 is its client
    cat >"$T/$1.toml" <<C
[global.config]
  as = 65000
  router-id = "10.99.0.1"
[[peer-groups]]
  [peer-groups.config]
    peer-group-name = "clients"
    peer-as = 65000
  [peer-groups.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "10.99.0.1"
${3:-}
  [[peer-groups.afi-safis]]
    [peer-groups.afi-safis.config]
      afi-safi-name = "$2"
${4:-}
[[dynamic-neighbors]]
  [dynamic-neighbors.config]
    prefix = "10.99.0.0/24"
    peer-group = "clients"
C
}
# `gobgp_asns`: its AS and that of its neighbors; `gobgp_global`, `gobgp_timers`, `gobgp_neighbor`: more lines of these.
configure_gobgp() { # NODE ROUTER-ID NEIGHBOR FAMILY [NEIGHBOR FAMILY]…
    local asns=(${gobgp_asns:-65000 65000}) file=$T/$1.toml
    printf '[global.config]\nas = %s\nrouter-id = "%s"\n%s\n' "${asns[0]}" "$2" "${gobgp_global:-}" >"$file"
    shift 2
    while [ $# -gt 0 ]; do
        cat >>"$file" <<C
[[neighbors]]
${gobgp_neighbor:-}
[neighbors.config]
neighbor-address = "$1"
peer-as = ${asns[1]}
[neighbors.timers.config]
connect-retry = 1
${gobgp_timers:-}
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "$2"
C
        shift 2
    done
}

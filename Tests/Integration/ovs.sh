# Sourced: nodes that forward in Open vSwitch. Each has an ovsdb-server and an ovs-vswitchd of its own, with the userspace datapath; in that
# the VTEP's address is on a bridge (br-phy) that holds the underlay's port.
command -v ovs-vswitchd >/dev/null || skip 'no ovs-vswitchd (package openvswitch-switch)'

ovs() { # NODE COMMAND… : in the namespace of the node and with the directories of its Open vSwitch
    local directory=$T/$1.ovs
    env OVS_RUNDIR="$directory" OVS_LOGDIR="$directory" OVS_DBDIR="$directory" ip netns exec "$P-$1" "${@:2}"
}
vsctl() { ovs "$1" ovs-vsctl --timeout=30 --db="unix:$T/$1.ovs/db.sock" "${@:2}"; }
ofctl() { ovs "$1" ovs-ofctl -O OpenFlow15 "$2" "unix:$T/$1.ovs/br-int.mgmt" "${@:3}"; } # NODE COMMAND …
appctl() { ovs "$1" ovs-appctl -t "$T/$1.ovs/vswitchd.ctl" "${@:2}"; }
start_ovsdb() { # NODE : with certificates (ovs_tls) also at ssl:127.0.0.1:6640
    local tls=()
    [ -e "$T/$1.ovs/server.pem" ] && tls=(
        --remote=pssl:6640:127.0.0.1 --ca-cert="$T/ca.pem" --certificate="$T/$1.ovs/server.pem" --private-key="$T/$1.ovs/server.key")
    ovs "$1" ovsdb-server "$T/$1.ovs/conf.db" --remote="punix:$T/$1.ovs/db.sock" "${tls[@]}" --pidfile="$T/$1.ovsdb.pid" \
        --unixctl="$T/$1.ovs/ovsdb.ctl" --log-file="$T/$1.ovsdb.log" --detach --no-chdir >/dev/null 2>&1
}
start_vswitchd() { # NODE
    ovs "$1" ovs-vswitchd "unix:$T/$1.ovs/db.sock" --pidfile="$T/$1.vswitchd.pid" --unixctl="$T/$1.ovs/vswitchd.ctl" \
        --log-file="$T/$1.vswitchd.log" --detach --no-chdir --disable-system >/dev/null 2>&1
}
ovs_tls() { # NODE : certificates as ovs-pki makes them, whose names are no addresses; before ovs_node
    mkdir -p "$T/$1.ovs"
    [ -e "$T/ca.pem" ] || openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=OVS switchca' -keyout "$T/ca.key" -out "$T/ca.pem" 2>/dev/null
    local name
    for name in server client; do
        openssl req -newkey rsa:2048 -nodes -subj "/CN=$1 $name" -keyout "$T/$1.ovs/$name.key" -out "$T/$1.ovs/$name.csr" 2>/dev/null
        openssl x509 -req -days 2 -in "$T/$1.ovs/$name.csr" -CA "$T/ca.pem" -CAkey "$T/ca.key" -CAcreateserial -out "$T/$1.ovs/$name.pem" 2>/dev/null
    done
}
ovs_node() { # NODE ADDRESS/LENGTH
    ovs_nodes+=("$1")
    ip netns add "$P-$1"
    ip -n "$P-$1" link set lo up
    ip link add eth0 netns "$P-$1" mtu 1600 type veth peer name "to-$1" netns "$P-core"
    ip -n "$P-core" link set "to-$1" master br0 up mtu 1600
    ip -n "$P-$1" link set eth0 up
    on "$1" ethtool -K eth0 tx off >/dev/null
    # The kernel would answer ARP for the address of br-phy there as well, with another MAC.
    on "$1" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv6.conf.eth0.disable_ipv6=1
    mkdir -p "$T/$1.ovs"
    ovsdb-tool create "$T/$1.ovs/conf.db" /usr/share/openvswitch/vswitch.ovsschema
    start_ovsdb "$1"
    vsctl "$1" --no-wait init
    start_vswitchd "$1"
    vsctl "$1" add-br br-phy -- set Bridge br-phy datapath_type=netdev -- add-port br-phy eth0
    underlay "$1" "$2"
}
underlay() { # NODE ADDRESS/LENGTH : on the bridge, whose interface ovs-vswitchd makes anew when it starts
    ip -n "$P-$1" address replace "$2" dev br-phy $([[ $2 == *:* ]] && echo nodad)
    ip -n "$P-$1" link set br-phy mtu 1600 up
}
ovs_host() { # NAME NODE PORT ADDRESS/LENGTH MAC : not in a bridge yet
    host "$@"
    on "$1" ethtool -K eth0 tx off >/dev/null
    on "$2" ethtool -K "$3" tx off >/dev/null
}
answers_to_all() { for host in "$@"; do on "$host" sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0; done; } # HOST…
answers() { # HOST ADDRESS : who answers to the first of two echo requests to all, each as often as it does
    on "$1" ping -b -c 2 -i 0.3 -W 1 "$2" 2>&1 | sed -n 's/.* from \([0-9.]*\): icmp_seq=1 .*/\1/p' | sort | tr '\n' ' '
}
# `switch_keys`: more of `openvswitch`.
configure_switch() { # NODE ADDRESS NEIGHBOR…, the rest of the file on standard input
    local directory=$T/$1.ovs database
    database="database: \"unix:$directory/db.sock\""
    [ -e "$directory/client.pem" ] &&
        database="database: \"ssl:127.0.0.1:6640\", runDirectory: $directory, tls: {ca: $T/ca.pem, certificate: $directory/client.pem, key: $directory/client.key}"
    {
        printf 'dataplane: openvswitch\nopenvswitch: {bridge: br-int, %s, datapathType: netdev%s}\n' "$database" "${switch_keys:+, $switch_keys}"
        cat
    } | configure_vtep "$@"
}
flows() { ofctl "$1" dump-flows --no-stats | sed 's/^ *//' | grep -v '^NXST\|^OFPST' | sort; } # NODE
# Every flow of evpnd's has been there since then.
older() { # NODE MICROSECONDS-OF-EPOCH
    local since=$((${EPOCHREALTIME/./} - $2))
    ofctl "$1" dump-flows | sed -n 's/.*cookie=0x6576706e.*duration=\([0-9.]*\)s.*/\1/p' | awk -v least=$since 'BEGIN {bad = 1} {bad = 0} $1 * 1000000 < least {exit 1} END {exit bad}'
}
# The bridge that evpnd makes is there, and these are ports of it.
ports() { # NODE PORT…
    bridged() { vsctl "$1" br-exists br-int; }
    await 10 "the bridge of $1 is made" bridged "$1"
    local port command=()
    for port in "${@:2}"; do command+=(-- --may-exist add-port br-int "$port"); done
    [ ${#command[@]} = 0 ] || vsctl "$1" "${command[@]}"
}
routed_host() { # NAME NODE PORT MAC PREFIX… : it has every address of them, and whatever it asks for is at the router
    local prefix
    ovs_host "$1" "$2" "$3" "${5%/*}/32" "$4"
    ip -n "$P-$1" link set lo up
    ip -n "$P-$1" route add default dev eth0
    ip -n "$P-$1" -6 route add default via fe80::1 dev eth0
    for prefix in "${@:5}"; do ip -n "$P-$1" route replace local "$prefix" dev lo; done
}
rest() { for node in "$@"; do await 15 "the plan of $node is empty" settled "$node"; done; } # NODE… : nothing is left to do
state() { # NODE : what explains why a test has failed
    echo "-- $1"
    flows "$1"
    ofctl "$1" dump-groups
    local what
    for what in tnl/neigh/show tnl/ports/show dpif/show dpctl/dump-flows dpctl/dump-conntrack; do appctl "$1" $what; done
    vsctl "$1" --columns=name,ofport,error list Interface
    for what in 'show status' 'show clients' 'show macs' 'show prefixes' 'show vteps' 'show anycast' plan; do ctl "$1" $what; done
}
ovs_nodes=()
at_failure() { :; }
at_end() {
    [ "$status" = 0 ] && return
    for node in "${ovs_nodes[@]}"; do state "$node"; done
    at_failure
}
# With tenant.sh: a VTEP that forwards in Open vSwitch. The subnet without a VNI is behind a routed client, r<I>. On standard input more of
# the file: under `clients`, and whatever else. `vrf_keys`: more of the VRF; `vrfs`: more VRFs.
ovs_vtep() { # I PEER…
    local i=$1 router_id=10.98.0.$1
    ovs_node "v$i" "$(vtep_address "$i")/$([ $underlay = 4 ] && echo 24 || echo 64)"
    ovs_host "h$i" "v$i" "p$i" "10.20.$i.10/24" "02:00:00:00:20:0$i"
    ip -n "$P-h$i" address add "2001:db8:20:$i::10/64" dev eth0 nodad
    routes_of_host "$i"
    routed_host "r$i" "v$i" "q$i" "02:00:00:00:30:0$i" "10.30.$i.0/24" "2001:db8:30:$i::/64"
    {
        cat <<C
vrfs: [{name: ten, vni: 500, routerMAC: "02:98:00:00:00:0$i", announce: {connected: true}${vrf_keys:+, $vrf_keys}}${vrfs:+, $vrfs}]
vnis:
  - {vni: 10$i, vrf: ten, gateway: [10.20.$i.1/24, "2001:db8:20:$i::1/64"]}
  - {vni: 100, vrf: ten, gateway: [10.50.0.1/24, "2001:db8:50::1/64"], gatewayMAC: "02:00:5e:00:01:01"}
clients:
  - {vni: 10$i, port: p$i, mac: "02:00:00:00:20:0$i", addresses: [10.20.$i.10, "2001:db8:20:$i::10"]}
  - {cfg_type: l3, vni: 500, port: q$i, mac: "02:00:00:00:30:0$i", routes: [10.30.$i.0/24, "2001:db8:30:$i::/64"]}
C
        cat
    } | configure_switch "v$i" "$(vtep_address "$i")" $(vtep_addresses "${@:2}")
    start_evpnd "v$i"
    ports "v$i" "p$i" "q$i"
}

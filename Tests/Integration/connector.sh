# Sourced after ovs.sh: hosts that evpn-connector has served, and evpnd with its files.

connector_node() { # NODE ADDRESS : with the bridge and the tunnel port that it makes
    ovs_node "$1" "$2/24"
    vsctl "$1" add-br br-int -- set Bridge br-int datapath_type=netdev protocols=OpenFlow13 fail-mode=secure \
        -- add-port br-int vxlan_out -- set Interface vxlan_out type=vxlan options:in_key=flow options:out_key=flow options:remote_ip=flow \
        "options:local_ip=\"$2\"" options:dst_port=4789 ofport_request=65278
}
connector_port() { vsctl "$1" add-port br-int "$2" -- set Interface "$2" ofport_request="$3"; } # NODE PORT NUMBER
client() { # NODE FILE JSON
    mkdir -p "$T/$1.clients"
    printf '%s' "$3" >"$T/$1.clients/.$2"
    mv "$T/$1.clients/.$2" "$T/$1.clients/$2"
}
bridged_client() { # NODE FILE VNI MAC NUMBER [TAG]
    local type=flat tag=
    [ $# -lt 6 ] || { type=vlan tag="\"tag\": $6, "; }
    client "$1" "$2" "{\"vni\": $3, \"mac\": \"$4\", \"ofport\": $5, \"type\": \"$type\", $tag\"imp_rt\": [\"0:$3\"], \"exp_rt\": [\"0:$3\"]}"
}
routed_client() { # NODE FILE VNI MAC NUMBER ROUTES [MORE] : in JSON's words
    client "$1" "$2" "{\"cfg_type\": \"l3\", \"vni\": $3, \"mac\": \"$4\", \"ofport\": $5, \"type\": \"flat\", \"routes\": [$6], \"imp_rt\": [\"0:$3\"], \"exp_rt\": [\"0:$3\"]${7:+, $7}}"
}
start_connector() { # NODE ADDRESS : evpnd with its file, Open vSwitch where that expects the one of a host
    cat >"$T/$1.conf" <<C
[daemon]
configs_dir = $T/$1.clients
sync_period = 1
[gobgp]
gobgp_channel = 127.0.0.1:50051
source_ip = $2
as_number = 65000
[ovs]
switch_name = br-int
[anycast]
anycast_status_file = $T/$1.anycast
[victoria_metrics]
enabled = true
host = 127.0.0.1
port = 8125
prefix = cloud
obsender_host = $1
C
    ip netns exec "$P-$1" bash -c 'mount -t tmpfs none /run && mkdir /run/openvswitch && mount --bind "$0" /run/openvswitch && exec "$@"' \
        "$T/$1.ovs" "$build/evpnd" --from evpn-connector "$T/$1.conf" --socket "$T/$1.sock" --state-dir "$T/$1.state" >>"$T/$1.log" 2>&1 &
    echo $! >"$T/$1.pid"
    await 20 "evpnd of $1 answers" ctl "$1" show status
}

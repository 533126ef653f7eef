# evpnd in place of evpn-connector on two hosts, with that project's own files and a gobgpd on each, in bridges that it has left: packets pass
# between its flat, VLAN and routed clients, its status file switches an anycast address, and the flows are where it has them.
. "$(dirname "$0")/lib.sh"
. "$here/ovs.sh"
at_end() {
    [ "$status" = 0 ] || for i in 1 2; do
        state v$i
        ctl v$i show clients
        ctl v$i show anycast
        ctl v$i show status
        on v$i gobgp global rib -a evpn
    done
}
core
client() { # I FILE JSON
    printf '%s' "$3" >"$T/clients$1/.$2"
    mv "$T/clients$1/.$2" "$T/clients$1/$2"
}
start_connector() { # I : where that project finds Open vSwitch
    ip netns exec "$P-v$1" unshare -m bash -c '
        mount -t tmpfs none /run && mkdir /run/openvswitch && mount --bind "$0" /run/openvswitch && exec "$@"' \
        "$T/v$1.ovs" "$build/evpnd" --from evpn-connector "$T/v$1.conf" --socket "$T/v$1.sock" --state-dir "$T/v$1.state" >>"$T/v$1.log" 2>&1 &
    echo $! >"$T/v$1.pid"
    await 10 "control socket of v$1" test -S "$T/v$1.sock"
}
for i in 1 2; do
    o=$((3 - i))
    ovs_node v$i 10.98.0.$i/24
    # As it has made them.
    vsctl v$i add-br br-int -- set Bridge br-int datapath_type=netdev protocols=OpenFlow13 fail-mode=secure \
        -- add-port br-int vxlan_out -- set Interface vxlan_out type=vxlan options:in_key=flow options:out_key=flow options:remote_ip=flow \
        "options:local_ip=\"10.98.0.$i\"" options:dst_port=4789 ofport_request=65278
    ovs_host f$i v$i pf 10.20.0.$i/24 02:00:00:00:20:0$i
    vsctl v$i add-port br-int pf -- set Interface pf ofport_request=101
    # VLAN 7 of a trunk.
    ovs_host t$i v$i pt 10.20.0.1$i/24 02:00:00:00:20:1$i
    vsctl v$i add-br br-tag -- set Bridge br-tag datapath_type=netdev -- add-port br-tag pt tag=7 \
        -- add-port br-tag up -- set Interface up type=patch options:peer=trunk \
        -- add-port br-int trunk -- set Interface trunk type=patch options:peer=up ofport_request=102
    routed_host r$i v$i pr 02:00:00:00:30:0$i 10.30.$i.0/24 10.31.0.0/24
    vsctl v$i add-port br-int pr -- set Interface pr ofport_request=103
    mkdir "$T/clients$i"
    client $i flat "{\"vni\": 10, \"mac\": \"02:00:00:00:20:0$i\", \"ofport\": 101, \"type\": \"flat\", \"imp_rt\": [\"0:10\"], \"exp_rt\": [\"0:10\"]}"
    client $i vlan "{\"vni\": 10, \"mac\": \"02:00:00:00:20:1$i\", \"ofport\": 102, \"type\": \"vlan\", \"tag\": 7, \"imp_rt\": [\"0:10\"], \"exp_rt\": [\"0:10\"]}"
    client $i routed "{\"cfg_type\": \"l3\", \"vni\": 20, \"mac\": \"02:00:00:00:30:0$i\", \"ofport\": 103, \"type\": \"flat\",
        \"routes\": [\"10.30.$i.0/24\", \"10.31.0.$i/32\"], \"imp_rt\": [\"0:20\"], \"exp_rt\": [\"0:20\"],
        \"anycast\": [{\"anycast_ip\": \"198.51.100.1\", \"dst_ip\": \"10.31.0.$i\", \"check_ip\": \"10.255.0.1\",
            \"internal_dst_ip\": \"10.254.0.1\", \"internal_checker_ip\": \"10.254.0.254\", \"conntrack_zone\": 7}]}"
    cat >"$T/v$i.conf" <<C
[daemon]
configs_dir = $T/clients$i
sync_period = 1
[gobgp]
gobgp_channel = 127.0.0.1:50051
source_ip = 10.98.0.$i
as_number = 65000
[ovs]
switch_name = br-int
[anycast]
anycast_status_file = $T/status$i
C
    cat >"$T/v$i.toml" <<C
[global.config]
  as = 65000
  router-id = "10.98.0.$i"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "10.98.0.$o"
    peer-as = 65000
  [neighbors.timers.config]
    connect-retry = 1
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "l2vpn-evpn"
C
    start_gobgpd v$i
done
routed_host q v1 pq 02:00:00:00:30:09 10.30.9.0/24
vsctl v1 add-port br-int pq -- set Interface pq ofport_request=104
client 1 asking '{"cfg_type": "l3", "vni": 20, "mac": "02:00:00:00:30:09", "ofport": 104, "type": "flat", "routes": ["10.30.9.0/24"], "imp_rt": ["0:20"], "exp_rt": ["0:20"]}'
for i in 1 2; do start_connector $i; done
await 40 'flat clients' pings f1 10.20.0.2
await 10 'flat to VLAN' pings f1 10.20.0.12
await 10 'VLAN to VLAN' pings t2 10.20.0.11
await 20 'routed clients' pings r1 10.30.2.1
await 10 'and back' pings r2 10.30.1.1
# Flows that have the tables, registers and priorities of evpn-connector, and no others.
flows v1 | awk '/table=[3-9]/ {exit 1}' || fail 'tables that evpn-connector does not have'
has() { flows v1 | sed 's/^cookie=[^ ]*, //' | grep -xF -- "$1" >/dev/null || fail "no flow $1"; }
has 'priority=10,in_port=101 actions=set_field:0xa->reg0,set_field:0x1->reg1,resubmit(,1)'
has 'priority=10,in_port=102,dl_vlan=7 actions=pop_vlan,set_field:0xa->reg0,set_field:0x1->reg1,resubmit(,1)'
has 'priority=10,tun_id=0xa,in_port=65278 actions=set_field:0xa->reg0,set_field:0->reg1,resubmit(,1)'
has 'table=1, priority=10,reg0=0xa,reg1=0x1,dl_dst=02:00:00:00:20:02 actions=set_field:0xa->tun_id,set_field:10.98.0.2->tun_dst,output:65278'
has 'table=1, priority=34,ip,reg2=0x14,nw_dst=10.30.2.0/24 actions=dec_ttl,set_field:12:34:56:78:90:ab->eth_dst,set_field:0x14->tun_id,set_field:10.98.0.2->tun_dst,output:65278'

# The status file: the address is served nowhere, there, at both, here.
served() { # NAMES : of the VTEPs where it is enabled
    local i names=
    for i in 1 2; do
        if ctl v$i show anycast --json | jq -e '.[0].enabled' >/dev/null; then names+=$i; fi
    done
    [ "$names" = "$1" ]
}
served '' || fail 'an address that nobody lists is enabled'
! pings q 198.51.100.1 >&2 || fail 'an address that nobody lists'
for step in 2:2 1:12 2:1; do
    list=$T/status${step%:*}
    if [ -e "$list" ]; then echo "[]" >"$list"; else echo '["198.51.100.1_10.254.0.1"]' >"$list"; fi
    await 5 "listed at ${step#*:}" served "${step#*:}"
    await 10 "reached at ${step#*:}" pings q 198.51.100.1
done
rm "$T/clients1/flat"
gone() { ! flows v2 | grep 'dl_dst=02:00:00:00:20:01'; }
await 10 'a client whose file is gone' gone
rest v1 v2

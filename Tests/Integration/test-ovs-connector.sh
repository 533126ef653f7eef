# evpnd in place of evpn-connector on two hosts, with that project's own files and a gobgpd on each, in bridges that it has left: packets pass
# between its flat, VLAN and routed clients, its status file switches an anycast address, and the flows are where it has them.
. "$(dirname "$0")/lib.sh"
. "$here/ovs.sh"
. "$here/connector.sh"
at_failure() { for i in 1 2; do on v$i gobgp global rib -a evpn; done; }
core
for i in 1 2; do
    connector_node v$i 10.98.0.$i
    ovs_host f$i v$i pf 10.20.0.$i/24 02:00:00:00:20:0$i
    connector_port v$i pf 101
    # VLAN 7 of a trunk.
    ovs_host t$i v$i pt 10.20.0.1$i/24 02:00:00:00:20:1$i
    vsctl v$i add-br br-tag -- set Bridge br-tag datapath_type=netdev -- add-port br-tag pt tag=7 \
        -- add-port br-tag up -- set Interface up type=patch options:peer=trunk \
        -- add-port br-int trunk -- set Interface trunk type=patch options:peer=up ofport_request=102
    routed_host r$i v$i pr 02:00:00:00:30:0$i 10.30.$i.0/24 10.31.0.0/24 169.254.$i.0/24
    connector_port v$i pr 103
    bridged_client v$i flat 10 02:00:00:00:20:0$i 101
    bridged_client v$i vlan 10 02:00:00:00:20:1$i 102 7
    routed_client v$i routed 20 02:00:00:00:30:0$i 103 "\"10.30.$i.0/24\", \"10.31.0.$i/32\", \"169.254.$i.9/32\"" "\"anycast\": [{\"anycast_ip\": \"198.51.100.1\",
        \"dst_ip\": \"10.31.0.$i\", \"check_ip\": \"10.255.0.1\", \"internal_dst_ip\": \"10.254.0.1\",
        \"internal_checker_ip\": \"10.254.0.254\", \"conntrack_zone\": 7}]"
    configure_gobgp v$i 10.98.0.$i 10.98.0.$((3 - i)) l2vpn-evpn
    start_gobgpd v$i
done
routed_host q v1 pq 02:00:00:00:30:09 10.30.9.0/24
connector_port v1 pq 104
# One more with targets of its own.
client v1 asking '{"cfg_type": "l3", "vni": 20, "mac": "02:00:00:00:30:09", "ofport": 104, "type": "flat", "routes": ["10.30.9.0/24"], "imp_rt": ["0:20"], "exp_rt": ["0:20", "0:77"]}'
sed -i 's/"exp_rt": \["0:10"\]/"exp_rt": ["0:10", "0:78"]/' "$T/v1.clients/vlan"
ip netns exec "$P-v1" python3 -uc 'import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 8125))
while True: print(s.recv(65536).decode())' >"$T/numbers" &
echo $! >"$T/numbers.pid"
bound() { on v1 ss -Hlun 'sport = 8125' | grep .; }
await 20 'somebody listens to the numbers' bound
for i in 1 2; do start_connector v$i 10.98.0.$i; done
await 40 'flat clients' pings f1 10.20.0.2
await 10 'flat to VLAN' pings f1 10.20.0.12
await 10 'VLAN to VLAN' pings t2 10.20.0.11
await 20 'routed clients' pings r1 10.30.2.1
# Each client's routes have its own targets, type 3 those of all clients of the VNI.
targets() { [ "$(on v2 gobgp global rib -a evpn | grep -F "$1" | grep -F 10.98.0.1 | grep -o '\[65000:[0-9]*\]' | sort | tr -d '\n')" = "$2" ]; }
while read -r key targets; do await 10 "$key has $targets" targets "$key" "$targets"; done <<C
[prefix:10.30.9.0/24] [65000:20][65000:77]
[prefix:10.30.1.0/24] [65000:20]
[mac:02:00:00:00:20:11] [65000:10][65000:78]
[mac:02:00:00:00:20:01] [65000:10]
[type:multicast] [65000:10][65000:78]
C
await 10 'and back' pings r2 10.30.1.1
# A part of 169.254.0.0/16 that a file declares, as for a metadata service, from there and from the same host.
await 10 'a link-local address' pings r1 169.254.2.9
await 10 'the same, from behind its own VTEP' pings q 169.254.1.9
# Flows that have the tables, registers and priorities of evpn-connector, and no others.
flows v1 | awk '/table=[3-9]/ {exit 1}' || fail 'tables that evpn-connector does not have'
flow() { flows v1 | sed 's/^cookie=[^ ]*, //' | grep -xF -- "$1"; }
has() { await 10 "the flow $1" flow "$1"; }
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
    list=$T/v${step%:*}.anycast
    if [ -e "$list" ]; then echo "[]" >"$list"; else echo '["198.51.100.1_10.254.0.1"]' >"$list"; fi
    await 15 "listed at ${step#*:}" served "${step#*:}"
    await 10 "reached at ${step#*:}" pings q 198.51.100.1
done
rm "$T/v1.clients/flat"
gone() { ! flows v2 | grep 'dl_dst=02:00:00:00:20:01'; }
await 10 'a client whose file is gone' gone
rest v1 v2

# The numbers of that project, under its names: clients, VNIs, remote MACs and prefixes, flows.
ours() { ofctl v1 dump-flows cookie=0x6576706e00000000/0xffffffff00000000 | grep -c cookie; }
number() { [ "$(sed -n "s/^cloud.evpn.$1;host=v1:\(.*\)|g$/\1/p" "$T/numbers" | tail -1)" = "$2" ]; }
while read -r name value; do await 20 "$name is $value" number "$name" "$value"; done <<C
local_ce_cnt 1
local_vni_cnt 1
remote_ce_cnt 2
enabled_anycast_prefixes 1
disabled_anycast_prefixes 0
ovs_flow_cnt $(ours)
C
total() { [ "$(sed -n "s/^cloud.evpn.$1;host=v1:\(.*\)|g$/\1/p" "$T/numbers" | awk '{sum += $1} END {print sum}')" = "$2" ]; }
while read -r name value; do await 15 "$name is $value in all" total "$name" "$value"; done <<C
add_unicast_cnt 2
del_unicast_cnt 1
add_multicast_cnt 1
C
# Somebody deletes flows: that there are fewer is seen before they are all read again (10 s).
before=$(ours)
ofctl v1 del-flows table=1
back() { [ "$(ours)" = "$before" ]; }
await 5 'deleted flows are back' back

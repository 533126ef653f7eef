# In the place of evpn-connector, with its own files: its flows become ours, and what it made for clients and routes that are gone goes;
# flows of others stay, whatever their cookie.
. "$(dirname "$0")/lib.sh"
. "$here/ovs.sh"
at_end() { [ "$status" = 0 ] || flows a; }
core
ovs_node a 10.98.0.2/24
vsctl a add-br br-int -- set Bridge br-int datapath_type=netdev fail_mode=secure protocols=OpenFlow13,OpenFlow14,OpenFlow15
ip -n "$P-a" link add p1 type veth peer name p1x
vsctl a add-port br-int p1 -- set Interface p1 ofport_request=1
tunnel='set_field:10->tun_id,set_field:10.98.0.9->tun_dst,output:65278'
cat >"$T/old" <<C
table=0,priority=0,actions=drop
table=0,priority=10,in_port=1,actions=set_field:10->reg0,set_field:1->reg1,resubmit(,1)
table=0,priority=10,in_port=2,dl_vlan=7,actions=pop_vlan,set_field:10->reg0,set_field:1->reg1,resubmit(,1)
table=0,priority=10,in_port=65278,tun_id=10,actions=set_field:10->reg0,set_field:0->reg1,resubmit(,1)
table=1,priority=0,actions=drop
table=1,priority=10,reg0=10,dl_dst=02:00:00:00:00:01,actions=output:1
table=1,priority=10,reg0=10,dl_dst=02:00:00:00:00:02,actions=push_vlan:0x8100,set_field:4103->vlan_vid,output:2
table=1,priority=10,reg0=10,reg1=1,dl_dst=02:00:00:00:00:03,actions=$tunnel
table=1,priority=9,reg0=10,reg1=0,actions=output:1
table=1,priority=9,reg0=10,reg1=1,actions=output:1,$tunnel
table=1,priority=42,ip,reg2=20,nw_dst=10.1.0.5,actions=dec_ttl,set_field:02:00:00:00:02:02->eth_dst,$tunnel
table=2,priority=0,actions=drop
C
cat >"$T/foreign" <<C
priority=100,in_port=1,dl_type=0x88cc actions=CONTROLLER:65535
table=1, priority=300,arp,reg0=0xa actions=drop
table=9, priority=10,reg0=0xa,dl_dst=02:00:00:00:00:03 actions=output:1
cookie=0x77, table=1, priority=10,reg0=0xa,dl_dst=02:00:00:00:00:77 actions=output:1
C
ofctl a add-flows "$T/old"
ofctl a add-flows "$T/foreign"
mkdir "$T/clients"
printf '{"vni": 10, "mac": "02:00:00:00:00:01", "ofport": 1, "type": "flat", "imp_rt": ["0:10"], "exp_rt": ["0:10"]}' >"$T/clients/a"
cat >"$T/evpn.conf" <<C
[daemon]
configs_dir = $T/clients
[gobgp]
source_ip = 10.98.0.2
as_number = 65000
[ovs]
switch_name = br-int
[anycast]
anycast_status_file = $T/status
C
# Another gobgpd, whose routes are waited for.
node b 10.98.0.3/24
on b ethtool -K eth0 tx off >/dev/null
speaker() { # NODE ADDRESS NEIGHBOR
    printf '[global.config]\n  as = 65000\n  router-id = "%s"\n[[neighbors]]\n  [neighbors.config]\n    neighbor-address = "%s"\n    peer-as = 65000
  [neighbors.timers.config]\n    connect-retry = 1\n  [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = "l2vpn-evpn"\n' "$2" "$3" >"$T/$1.toml"
    start_gobgpd "$1"
}
speaker a 10.98.0.2 10.98.0.3
speaker b 10.98.0.3 10.98.0.2
up() { on a gobgp neighbor | grep -i establ; }
await 20 'a session of gobgpd' up
# Its files do not say where the database is: where it always is, in a mount namespace of its own.
ip netns exec "$P-a" bash -c 'mount -t tmpfs none /run && mkdir /run/openvswitch && mount --bind "$1" /run/openvswitch && exec "${@:2}"' - "$T/a.ovs" \
    "$build/evpnd" --from evpn-connector "$T/evpn.conf" --socket "$T/a.sock" --state-dir "$T/a.state" >>"$T/a.log" 2>&1 &
echo $! >"$T/a.pid"
await 10 'the control socket' ctl a show status
left() { flows a | grep -v cookie=0x6576706e | diff - <(sort "$T/foreign"); }
await 20 'only flows of others are without our cookie' left
flows a | grep -q 'cookie=0x6576706e00000004, table=1, priority=10,reg0=0xa,dl_dst=02:00:00:00:00:01 actions=output:1' || fail "our client: $(flows a)"
await 10 'the plan is empty' settled a
grep -q 'event=ovs.taken-over removed=5 refused=0' "$T/a.log" || fail "removed: $(grep taken-over "$T/a.log")"

# Two hosts that evpn-connector has left behind as they were: its bridge, flows without a cookie, routes in gobgpd under AS:VNI. evpnd takes
# over with the same files, under packets of layer 2 and layer 3: none is lost, its routes and flows take the place of those, also of those for
# clients and routes that are gone; flows of others stay, whatever their cookie.
. "$(dirname "$0")/lib.sh"
. "$here/ovs.sh"
. "$here/connector.sh"
old_ofctl() { ovs "$1" ovs-ofctl -O OpenFlow13 "${@:2:$#-2}" "unix:$T/$1.ovs/br-int.mgmt" "${@: -1}"; } # NODE [OPTION…] COMMAND ARGUMENT
gobgp() { on "$1" gobgp "${@:2}"; }
at_failure() { for i in 1 2; do on v$i gobgp global rib -a evpn; done; }
core
router=12:34:56:78:90:ab
for i in 1 2; do
    connector_node v$i 10.98.0.$i
    # Port 1 is bridged, port 2 routed: its host asks for anybody, and the bridge answers.
    ovs_host h$i v$i p$i 10.20.0.$i/24 02:00:00:00:20:0$i
    routed_host r$i v$i q$i 02:00:00:00:30:0$i 10.30.$i.1/32
    connector_port v$i p$i 1
    connector_port v$i q$i 2
    bridged_client v$i bridged 100 02:00:00:00:20:0$i 1
    routed_client v$i routed 200 02:00:00:00:30:0$i 2 "\"10.30.$i.1/32\""
    configure_gobgp v$i 10.98.0.$i 10.98.0.$((3 - i)) l2vpn-evpn
    start_gobgpd v$i
done
# Not in the way of evpn-connector, which would not have made them.
cat >"$T/foreign" <<C
priority=100,in_port=1,dl_type=0x88cc actions=CONTROLLER:65535
table=1, priority=300,arp,reg0=0xa actions=drop
table=9, priority=10,reg0=0xa,dl_dst=02:00:00:00:00:03 actions=output:1
cookie=0x77, table=1, priority=10,reg0=0xa,dl_dst=02:00:00:00:00:77 actions=output:1
C
for i in 1 2; do
    j=$((3 - i))
    answer="move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],mod_dl_src:$router,load:0x2->NXM_OF_ARP_OP[],move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]"
    answer+=",load:0x1234567890ab->NXM_NX_ARP_SHA[],move:NXM_OF_ARP_TPA[]->NXM_NX_REG0[],move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]"
    answer+=",move:NXM_NX_REG0[]->NXM_OF_ARP_SPA[],IN_PORT"
    cat >"$T/flows$i" <<C
table=0,priority=0,actions=drop
table=0,priority=10,in_port=1,actions=load:100->NXM_NX_REG0[],load:1->NXM_NX_REG1[],resubmit(,1)
table=0,priority=10,in_port=65278,tun_id=100,actions=load:100->NXM_NX_REG0[],load:0->NXM_NX_REG1[],resubmit(,1)
table=0,priority=10,in_port=2,actions=load:200->NXM_NX_REG2[],resubmit(,1)
table=0,priority=11,in_port=2,arp,actions=$answer
table=0,priority=10,in_port=65278,tun_id=200,actions=load:200->NXM_NX_REG2[],resubmit(,1)
table=1,priority=0,actions=drop
table=1,priority=10,reg0=100,dl_dst=02:00:00:00:20:0$i,actions=output:1
table=1,priority=10,reg0=100,reg1=1,dl_dst=02:00:00:00:20:0$j,actions=set_field:0x64->tun_id,set_field:10.98.0.$j->tun_dst,output:65278
table=1,priority=9,reg0=100,reg1=0,actions=output:1
table=1,priority=9,reg0=100,reg1=1,actions=output:1,set_field:0x64->tun_id,set_field:10.98.0.$j->tun_dst,output:65278
table=1,priority=42,ip,reg2=200,nw_dst=10.30.$i.1/32,actions=dec_ttl,set_field:02:00:00:00:30:0$i->eth_dst,output:2
table=1,priority=42,ip,reg2=200,nw_dst=10.30.$j.1/32,actions=dec_ttl,set_field:$router->eth_dst,set_field:0xc8->tun_id,set_field:10.98.0.$j->tun_dst,output:65278
table=2,priority=0,actions=drop
table=0,priority=10,in_port=3,dl_vlan=7,actions=pop_vlan,load:100->NXM_NX_REG0[],load:1->NXM_NX_REG1[],resubmit(,1)
table=1,priority=10,reg0=100,dl_dst=02:00:00:00:20:33,actions=push_vlan:0x8100,set_field:4103->vlan_vid,output:3
table=1,priority=10,reg0=100,reg1=1,dl_dst=02:00:00:00:20:44,actions=set_field:0x64->tun_id,set_field:10.98.0.$j->tun_dst,output:65278
table=1,priority=42,ip,reg2=200,nw_dst=10.30.9.1/32,actions=dec_ttl,set_field:$router->eth_dst,set_field:0xc8->tun_id,set_field:10.98.0.$j->tun_dst,output:65278
C
    old_ofctl v$i --bundle replace-flows "$T/flows$i"
    old_ofctl v$i add-flows "$T/foreign"
    await 10 "gobgpd of v$i" gobgp v$i global
    gobgp v$i global rib add -a evpn macadv 02:00:00:00:20:0$i 0.0.0.0 etag 0 label 100 rd 65000:100 rt 65000:100 encap vxlan nexthop 10.98.0.$i
    gobgp v$i global rib add -a evpn multicast 10.98.0.$i etag 0 rd 65000:100 rt 65000:100 encap vxlan pmsi ingress-repl 100 10.98.0.$i nexthop 10.98.0.$i
    gobgp v$i global rib add -a evpn prefix 10.30.$i.1/32 gw 0.0.0.0 etag 0 label 200 rd 65000:200 rt 65000:200 encap vxlan router-mac $router nexthop 10.98.0.$i
done
for i in 1 2; do
    heard() { gobgp v$i global rib -a evpn | grep 'rd:65000:200.*10\.30\.'$((3 - i))'\.1'; }
    await 20 'the routes of evpn-connector' heard
done
await 10 'layer 2 as evpn-connector left it' pings h1 10.20.0.2
await 10 'layer 3 as evpn-connector left it' pings r1 10.30.2.1

ip netns exec "$P-h1" ping -i 0.02 -c 900 10.20.0.2 >"$T/bridged.txt" &
bridged=$!
ip netns exec "$P-r1" ping -i 0.02 -c 900 10.30.2.1 >"$T/routed.txt" &
routed=$!
for i in 1 2; do start_connector v$i 10.98.0.$i; done
replaced() { # NODE : only routes of evpnd are left of this VTEP, and no flow of evpn-connector
    gobgp "$1" global rib -a evpn >"$T/rib.txt"
    ! grep 'rd:65000:' "$T/rib.txt" && [ "$(grep -c "rd:10\.98\.0\.${1#v}:" "$T/rib.txt")" = 3 ] &&
        flows "$1" | grep -v cookie=0x6576706e | diff - <(sort "$T/foreign")
}
for i in 1 2; do await 30 'evpnd has taken the place of evpn-connector' replaced v$i; done
for i in 1 2; do
    await 10 'the plan is empty' settled v$i
    grep -q 'event=ovs.taken-over removed=4 refused=0' "$T/v$i.log" || fail "removed: $(grep taken-over "$T/v$i.log")"
    ctl v$i show status --json | jq -e '.refused_routes == [] and .dataplane.failed == 0' >/dev/null || fail "status: $(ctl v$i show status --json)"
    # What evpn-connector made is there again, in the same tables and with the same priorities.
    flows v$i | grep "table=1, priority=10,reg0=0x64,reg1=0x1,dl_dst=02:00:00:00:20:0$((3 - i)) actions=.*10.98.0.$((3 - i)).*output:65278" >/dev/null || fail 'layer 2'
    flows v$i | grep "table=1, priority=42,ip,reg2=0xc8,nw_dst=10.30.$((3 - i)).1 actions=dec_ttl.*$router.*output:65278" >/dev/null || fail 'layer 3'
done
wait $bridged $routed || true
for stream in bridged routed; do none_unanswered "$T/$stream.txt" $stream; done
# A client that goes takes its routes with it everywhere.
rm "$T/v2.clients/bridged"
withdrawn() { ! gobgp v1 global rib -a evpn | grep 02:00:00:00:20:02 && ! flows v1 | grep 02:00:00:00:20:02; }
await 15 'a client that is gone' withdrawn

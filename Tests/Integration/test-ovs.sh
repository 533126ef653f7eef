# Two hosts in a VNI behind Open vSwitch on both sides: bridge and tunnel port are made, packets pass, and everything comes back that
# somebody else removes or restarts. evpnd dies under a stream of packets, and not one is lost.
. "$(dirname "$0")/lib.sh"
. "$here/ovs.sh"
# A fault of Open vSwitch 3.1 (datapath in user space), which shows without evpnd too: one flow each way between two bridges, a stream of pings,
# then `ovs-vsctl del-port vxlan_out`, a TCP connection from the other VTEP's address to this one's, `add-port` again. `dpctl/dump-flows` then
# goes on to hand tunnelled packets to the host, while `ofproto/trace` says tnl_pop; no change of flows heals it. While there is no tunnel port,
# that other packet makes a datapath flow for all IPv4 of that VTEP, and what was to correct the flow of the tunnelled ones corrects that one.
# BGP alone is such a packet, so that evpnd cannot avoid it.
pings_again() { pings h1 10.20.0.2 || { appctl v1 revalidator/purge; false; }; }
core
# One of them talks TLS with its database.
ovs_tls v2
for i in 1 2; do
    ovs_node v$i 10.98.0.$i/24
    ovs_host h$i v$i p$i 10.20.0.$i/24 02:00:00:00:20:0$i
    configure_switch v$i 10.98.0.$i 10.98.0.$((3 - i)) <<C
vnis: [{vni: 100}]
clients: [{vni: 100, port: p$i, mac: "02:00:00:00:20:0$i", addresses: [10.20.0.$i]}]
C
    start_evpnd v$i
done
bridged() { vsctl "$1" get Bridge br-int fail_mode | grep -x secure; }
for i in 1 2; do
    await 10 'the bridge is made' bridged v$i
    vsctl v$i get Bridge br-int protocols | grep -q 'OpenFlow13.*OpenFlow14.*OpenFlow15' || fail 'protocols'
    # A port that is there only now.
    vsctl v$i add-port br-int p$i
done
tunnel() { [ "$(vsctl "$1" get Interface vxlan_out ofport)" = 65278 ]; }
for i in 1 2; do await 10 'the tunnel port has its number' tunnel v$i; done
vsctl v1 get Interface vxlan_out options | grep -q 'local_ip="10.98.0.1", remote_ip=flow' || fail 'options of the tunnel port'
await 30 'first ping' pings h1 10.20.0.2
await 10 'the plan is empty' settled v1
ctl v1 show vnis --json | jq -e '.[0].state == "up" and .[0].bridge == "br-int"' >/dev/null || fail 'show vnis'
explained() { ctl v1 explain mac 02:00:00:00:20:02 | grep 'dl_dst=02:00:00:00:20:02'; }
await 10 'explain shows the flow' explained

# Somebody removes the tunnel port, then the whole bridge; a foreign flow, port and bridge stay throughout.
vsctl v1 del-port br-int vxlan_out
await 15 'the tunnel port is made again' tunnel v1
await 20 'ping over the new tunnel port' pings_again
ofctl v1 add-flow 'table=9,priority=5,cookie=0x1234,actions=drop'
vsctl v1 del-br br-int
await 15 'the bridge is made again' bridged v1
vsctl v1 add-port br-int p1
await 20 'ping over the new bridge' pings_again
vsctl v1 br-exists br-phy || fail 'a bridge of somebody else is gone'

# ovs-vswitchd dies and starts: the flows are back within a second.
flows v1 >"$T/before.txt"
ofctl v1 add-flow 'table=9,priority=5,cookie=0x1234,actions=drop'
stop "$T/v1.vswitchd.pid"
start_vswitchd v1
appeared() { [ "$(ofctl v1 dump-flows cookie=0x6576706e00000000/0xffffffff00000000 | grep -c cookie)" -ge "$(grep -c cookie "$T/before.txt")" ]; }
listens() { [ -S "$T/v1.ovs/br-int.mgmt" ] && ofctl v1 dump-tables; }
await 10 'ovs-vswitchd is back' listens
await 15 'the flows are back' appeared
# From the moment when the bridge could be spoken to until its youngest flow was made, as Open vSwitch itself says.
age=$(ofctl v1 dump-flows cookie=0x6576706e00000000/0xffffffff00000000 | sed -n 's/.*duration=\([0-9.]*\)s.*/\1/p' | sort -g | head -1)
took=$(awk -v now="$EPOCHREALTIME" -v age="$age" -v made="$(stat -c %.6Y "$T/v1.ovs/br-int.mgmt")" 'BEGIN {printf "%d", (now - age - made) * 1000}')
echo "flows were back $took ms after the bridge was"
[ $took -lt 1000 ] || fail "flows were back only after $took ms"
underlay v1 10.98.0.1/24
await 30 'the session is back' established v1
await 20 'ping after ovs-vswitchd has been restarted' pings h1 10.20.0.2
same() { flows v1 | diff "$T/before.txt" -; }
await 20 'the flows are those of before' same

# ovsdb-server dies and starts: no flow is taken away or made anew, and what is changed afterwards is seen. Open vSwitch's datapath in
# user space stands still until ovs-vswitchd has found its database again.
start=${EPOCHREALTIME/./}
stop "$T/v1.ovsdb.pid"
start_ovsdb v1
await 10 'ping without a new flow' pings h1 10.20.0.2
older v1 $start || fail 'flows were made anew'
vsctl v1 del-port br-int vxlan_out
await 10 'the tunnel port is made again after ovsdb-server has been restarted' tunnel v1
await 20 'ping after ovsdb-server has been restarted' pings_again

# evpnd dies under a stream of packets.
flood() { # SIGNAL
    ip netns exec "$P-h1" ping -i 0.01 -c 500 10.20.0.2 >"$T/ping.txt" &
    local stream=$!
    stop_evpnd v1 "$1"
    start_evpnd v1
    await 30 'the session is back' established v1
    wait $stream || true
    none_unanswered "$T/ping.txt" "after $1"
}
ofctl v1 add-flow 'table=9,priority=5,cookie=0x1234,actions=drop'
flood KILL
flood TERM
await 10 'the plan after a restart is empty' settled v1
flows v1 | grep 'cookie=0x1234' >/dev/null || fail 'a flow of somebody else is gone'

# Clients that go and come: one flow each, and the other side follows.
sed -i 's/02:00:00:00:20:02/02:00:00:00:20:22/; s/10.20.0.2/10.20.0.22/' "$T/v2.yaml"
ctl v2 reload >/dev/null
renamed() { flows v1 | grep 'dl_dst=02:00:00:00:20:22' && ! flows v1 | grep 'dl_dst=02:00:00:00:20:02'; }
await 15 'a MAC address that is gone takes its flow with it' renamed
await 15 'the plan is empty' settled v1

# A table that is full: only the flow that does not fit fails, with the words of Open vSwitch; and it is tried again.
limit=$(ofctl v1 dump-flows table=1 | grep -c table=1)
vsctl v1 -- --id=@t create Flow_Table flow_limit="$limit" -- set Bridge br-int flow_tables:1=@t >/dev/null
sed -i 's/02:00:00:00:20:22", addresses: .10.20.0.22.}/&, {vni: 100, port: p3, mac: "02:00:00:00:20:33"}/' "$T/v2.yaml"
ip -n "$P-v2" link add p3 up type veth peer name p3x
ip -n "$P-v2" link set p3x up
vsctl v2 add-port br-int p3
ctl v2 reload >/dev/null
full() {
    ctl v1 explain mac 02:00:00:00:20:33 >"$T/explain.txt" || true # it says with its status that no packets pass
    grep 'OFPFMFC_TABLE_FULL' "$T/explain.txt"
}
await 10 'the status of a flow that does not fit' full
ctl v1 show status --json | jq -e '.dataplane.failed == 1' >/dev/null || fail "failed: $(ctl v1 show status --json | jq -c .dataplane)"
ctl v1 show status | grep -q "Open vSwitch refuses 1 flow.*OFPFMFC_TABLE_FULL" || fail "status: $(ctl v1 show status)"
vsctl v1 clear Bridge br-int flow_tables
fits() { flows v1 | grep 'dl_dst=02:00:00:00:20:33'; }
await 15 'it is tried again' fits
await 15 'the plan is empty' settled v1

# Cleanup: what is ours goes, what is not stays.
ctl v1 cleanup --yes >"$T/cleanup.txt"
grep -q 'ovs-vsctl del-port br-int vxlan_out' "$T/cleanup.txt" || fail "cleanup: $(cat "$T/cleanup.txt")"
grep -q '# bridge br-int stays' "$T/cleanup.txt" || fail "cleanup: $(cat "$T/cleanup.txt")"
[ "$(flows v1)" = 'cookie=0x1234, table=9, priority=5 actions=drop' ] || fail "flows after cleanup: $(flows v1)"
vsctl v1 list-ports br-int | grep -qx p1 || fail 'a port of somebody else is gone'

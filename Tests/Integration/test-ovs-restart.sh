# Who dies behind routed packets in Open vSwitch: while only evpnd does, not one is lost, in a subnet or between subnets, to declared hosts or
# to learned ones; after ovs-vswitchd or ovsdb-server everything is there again, in whatever order they come back.
. "$(dirname "$0")/lib.sh"
. "$here/tenant.sh"
. "$here/ovs.sh"
core
switch_keys='learningSeconds: 60s'
ovs_vtep 1 2 <<<'  - {vni: 110, port: gp, mac: "02:00:00:00:40:01", addresses: [10.40.0.1]}'
ovs_vtep 2 1 <<<'  - {vni: 110, port: gp}'
for i in 1 2; do
    ovs_host g$i v$i gp 10.40.0.$i/24 02:00:00:00:40:0$i
    ports v$i gp
done
for i in 1 2; do await 20 "sessions of v$i" established v$i; done
# From HOST to ADDRESS: hosts of two subnets, a routed client, a learned host.
ways='h1=10.20.2.10 h1=2001:db8:20:2::10 r1=10.30.2.1 g1=10.40.0.2'
reached() { for way in $ways; do pings "${way%%=*}" "${way#*=}" || return 1; done; } # all of them at once
await 20 'everything is reached' reached

stream() { # COUNT : a packet each 10 ms on every way
    streams=()
    for way in $ways; do
        ip netns exec "$P-${way%%=*}" ping -i 0.01 -c "$1" "${way#*=}" >"$T/stream.$way" 2>&1 &
        streams+=($!)
    done
}
none_lost() { # WHAT
    local way pid
    for pid in "${streams[@]}"; do wait "$pid" || true; done
    for way in $ways; do none_unanswered "$T/stream.$way" "$1, $way"; done
}
ready() { established v1 && established v2 && settled v1 && settled v2; }

# evpnd dies, on either side.
for death in 'v1 TERM' 'v2 KILL'; do
    stream 300
    stop_evpnd $death
    start_evpnd ${death% *}
    await 30 "everything is settled after $death" ready
    none_lost "evpnd, $death"
done

# ovsdb-server dies. Open vSwitch's datapath in user space stands still until it is back; no flow is taken away or made anew.
start=${EPOCHREALTIME/./}
stop "$T/v1.ovsdb.pid"
start_ovsdb v1
await 20 'everything is reached without a new flow' reached
await 30 'everything is settled after ovsdb-server' ready
older v1 $start || fail 'flows were made anew'

# ovs-vswitchd dies: its flows come back, also when all three die and evpnd is the first to come back.
back() { # NODE
    underlay "$1" "10.98.0.${1#v}/24"
    await 20 'everything is reached again' reached
    await 30 'everything is settled again' ready
}
stop "$T/v2.vswitchd.pid"
start_vswitchd v2
back v2
stop "$T/v2.vswitchd.pid"
stop "$T/v2.ovsdb.pid"
stop_evpnd v2 KILL
start_evpnd v2
without() { ctl v2 show status | grep -F "$1"; }
await 15 'it says that there is no database' without 'db.sock'
start_ovsdb v2
start_vswitchd v2
back v2

# A neighbor that does not come keeps what was found. What the files of clients say counts all the same, at once: a client at another port,
# one that is gone, and another tenant's at a port that was theirs.
ovs_node v3 10.98.0.3/24
mkdir "$T/clients"
configure_switch v3 10.98.0.3 10.98.0.9 <<C
clientDirectory: {path: $T/clients}
C
client() { cat >"$T/clients/.new" && mv "$T/clients/.new" "$T/clients/$1.json"; } # NAME
client moves <<<'{"vni": 10, "ofport": 1, "mac": "02:00:00:00:10:01"}'
client routed <<<'{"cfg_type": "l3", "vni": 20, "ofport": 3, "mac": "02:00:00:00:20:03", "routes": ["10.5.0.0/24"]}'
client gone <<<'{"vni": 10, "ofport": 5, "mac": "02:00:00:00:10:05"}'
start_evpnd v3
ports v3
for port in 1 2 3 4 5; do
    vsctl v3 add-port br-int "l$port" -- set Interface "l$port" type=internal "ofport_request=$port"
    await 5 "l$port is up" ip -n "$P-v3" link set "l$port" up
done
has() { for pattern in "$@"; do grep -q -- "$pattern" <<<"$now" || return 1; done; }
lacks() { for pattern in "$@"; do ! grep -q -- "$pattern" <<<"$now" || return 1; done; }
before() { now=$(flows v3) && has 'in_port=1 actions=.*0xa->reg0' '10:01 actions=output:1$' 'nw_dst=10.5.0.0/24 .*output:3$' 'in_port=5 ' '10:05 actions=output:5$'; }
await 15 'three clients' before
stop_evpnd v3 KILL
ofctl v3 add-flow 'cookie=0x6576706e00000004,table=1,priority=10,reg0=10,reg1=1,dl_dst=02:00:00:00:10:09 actions=set_field:10->tun_id,set_field:10.98.0.9->tun_dst,output:65278'
rm "$T/clients/gone.json"
client moves <<<'{"vni": 10, "ofport": 2, "mac": "02:00:00:00:10:01"}'
client routed <<<'{"cfg_type": "l3", "vni": 20, "ofport": 4, "mac": "02:00:00:00:20:03", "routes": ["10.5.0.0/24"]}'
client other <<<'{"vni": 99, "ofport": 1, "mac": "02:00:00:00:99:01"}'
start_evpnd v3
after() {
    now=$(flows v3) && has 'in_port=1 actions=.*0x63->reg0' '10:01 actions=output:2$' 'nw_dst=10.5.0.0/24 .*output:4$' &&
        lacks 'in_port=[35] ' 'output:[35]$' && ctl v3 plan | grep '^# 1 flow that was found at start is kept'
}
await 10 'what files say counts at once' after
has '10:09 ' || fail 'what may still be announced is gone'
client own <<<'{"vni": 99, "port": "br-int"}'
waits() { ctl v3 show clients --json | jq -e '.[] | select(.source == "own.json") | .state == "waiting" and (.problems[0] | test("the bridge.s own"))'; }
await 10 'no client is at a port of the bridge' waits

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

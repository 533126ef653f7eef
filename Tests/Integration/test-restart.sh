# kill -9 and SIGTERM of evpnd, each followed by a start, under a ping flood: not one packet is lost.
. "$(dirname "$0")/lib.sh"
core
node rr 10.99.0.1/24
configure_reflector rr 10.99.0.1
start_evpnd rr
for i in 2 3; do
    node v$i 10.99.0.$i/24
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    configure_vtep v$i 10.99.0.$i 10.99.0.1 <<<"vnis: [{vni: 100, managed: true, members: [p$i]}]"
    start_evpnd v$i
done
await 20 'first ping' pings h2 10.0.0.3
flood() { # SIGNAL
    ip netns exec "$P-h2" ping -i 0.01 -c 400 10.0.0.3 >"$T/ping.txt" &
    local flood=$!
    stop_evpnd v2 "$1"
    start_evpnd v2
    await 30 'the session is back' established v2
    wait $flood || true
    none_unanswered "$T/ping.txt" "after $1"
}
flood KILL
flood TERM
await 15 'the plan after a restart is empty' settled v2
grep -q 'restart=true' "$T/v2.log" || fail 'the restart was not recognised'
# Cleanup is no restart: the others forget this VTEP at once, and the next start begins anew.
ctl v3 cleanup --yes
forgotten() { ! on v2 bridge fdb show dev vxlan100 | grep 10.99.0.3; }
await 15 'the routes of a VTEP that was cleaned up are gone' forgotten
ended() { ! kill -0 "$(cat "$T/v3.pid")"; }
await 15 'the daemon ends after cleanup' ended
start_evpnd v3
grep 'event=daemon.start' "$T/v3.log" | tail -1 | grep -q 'restart=false' || fail 'the start after cleanup thinks it is a restart'
await 20 'ping after cleanup and start' pings h2 10.0.0.3

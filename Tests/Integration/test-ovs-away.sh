# Who is behind a port that is down or gone, or behind an ovs-vswitchd that does not come back, is withdrawn, and announced again when packets
# pass; learned addresses outlive evpnd.
. "$(dirname "$0")/lib.sh"
. "$here/ovs.sh"
core
for i in 1 2; do ovs_node v$i 10.98.0.$i/24; done
ovs_host h1 v1 p1 10.20.0.1/24 02:00:00:00:20:01
ovs_host m1 v1 q1 10.20.0.9/24 02:00:00:00:20:09
ovs_host l1 v1 r1 10.21.0.7/24 02:00:00:00:20:07
ovs_host h2 v2 p2 10.20.0.2/24 02:00:00:00:20:02
# It speaks only when it is asked to.
on m1 sysctl -qw net.ipv6.conf.all.disable_ipv6=1
mkdir "$T/clients"
switch_keys='learningSeconds: 5m, holdSeconds: 6s' configure_switch v1 10.98.0.1 10.98.0.2 <<C
vnis: [100]
clients:
  - {vni: 100, port: p1, mac: "02:00:00:00:20:01", addresses: [10.20.0.1]}
  - {vni: 100, port: q1}
clientDirectory: {path: $T/clients}
C
configure_switch v2 10.98.0.2 10.98.0.1 <<C
vnis: [100]
clients: [{vni: 100, port: p2, mac: "02:00:00:00:20:02", addresses: [10.20.0.2]}]
C
for i in 1 2; do start_evpnd v$i; done
ports v1 p1 q1 r1
ports v2 p2
knows() { ctl v2 show macs --mac "02:00:00:00:20:$1" --json | jq -e '.[0].place == "remote" and .[0].at == "10.98.0.1"'; }
forgets() { ctl v2 show macs --mac "02:00:00:00:20:$1" --json | jq -e 'length == 0'; }
await 20 'the declared host is announced' knows 01
await 20 'ping' pings h1 10.20.0.2
await 10 'ping of a host that is learned' pings h2 10.20.0.9
await 10 'the learned host is announced' knows 09

ip -n "$P-h1" link set eth0 down
await 15 'a port without carrier takes its client with it' forgets 01
ip -n "$P-h1" link set eth0 up
await 15 'and brings it back' knows 01
vsctl v1 del-port br-int p1
await 15 'so does a port that is gone' forgets 01
vsctl v1 add-port br-int p1
await 15 'and one that comes' knows 01
knows 09 >/dev/null || fail 'what others do is nothing to the learned host'

# evpnd dies. What it had learned is still in the bridge: nobody has to speak, and nothing is withdrawn.
ctl v2 watch >"$T/watch.txt" &
echo $! >"$T/watch.pid"
stop "$T/v1.pid"
rm -f "$T/v1.sock"
start_evpnd v1
await 20 'the session is back' established v1
own() { ctl v1 show macs --mac "02:00:00:00:20:$1" --json | jq -e '.[0].place == "local"'; }
await 10 'the learned address is known' own 09
await 20 'the plan after a restart is empty' settled v1
knows 09 >/dev/null || fail 'the learned address has been withdrawn'
! grep -F 02:00:00:00:20:09 "$T/watch.txt" || fail 'it has been announced anew'

# ovs-vswitchd does not come back at once.
stop "$T/v1.vswitchd.pid"
# In user space the underlay is gone with it, so that only v1 can be asked.
own 01 >/dev/null && own 09 >/dev/null || fail 'withdrawn before the hold time'
# Nobody reaches one who comes now.
echo '{"vni": 101, "port": "r1", "mac": "02:00:00:00:20:07"}' >"$T/clients/late.json"
late() { ctl v1 show clients --json | jq -e '.[] | select(.source == "late.json") | .state == "waiting"'; }
await 5 'a client that comes waits' late
! own 07 || fail 'it is announced nevertheless'
disowned() { ! own 01 && ! own 09; }
await 15 'after the hold time nothing is announced' disowned
grep -q event=ovs.away "$T/v1.log" || fail 'the log does not say so'
start_vswitchd v1
underlay v1 10.98.0.1/24
await 15 'the declared host is announced again' own 01
await 15 'the learned host too' own 09
await 15 'and one who came meanwhile' own 07
await 20 'and others know it' knows 09
await 20 'ping' pings h1 10.20.0.2

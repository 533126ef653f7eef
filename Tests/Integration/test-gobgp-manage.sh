# `manage: true`: evpnd starts BGP in an empty gobgpd and configures it, changes only what differs, and leaves alone what others made.
# LIMIT 240
. "$(dirname "$0")/lib.sh"
core
gobgpd=${EVPND_GOBGPD:-gobgpd}
gobgp() { on "$1" gobgp "${@:2}"; }
# An empty gobgpd: its API and nothing else.
for n in 1 2 3; do
    node v$n 10.99.0.$n/24
    ip netns exec "$P-v$n" "$gobgpd" --pprof-disable >"$T/v$n.gobgpd.log" 2>&1 &
    echo $! >"$T/v$n.gobgpd.pid"
done
cat >"$T/v1.yaml" <<C
bgp:
  speaker: gobgp
  gobgp: {manage: true}
  global: {asn: 65000, routerID: 10.99.0.1}
  peerGroups:
    - config: {peerGroupName: spokes, peerAsn: 65000}
      routeReflector: {routeReflectorClient: true}
      timers: {config: {holdTime: 9, keepaliveInterval: 3}}
  dynamicNeighbors: [{prefix: 10.99.0.0/24, peerGroup: spokes}]
C
for i in 2 3; do
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    cat >"$T/v$i.yaml" <<C
node: {vtep: 10.99.0.$i}
bgp:
  speaker: gobgp
  gobgp: {manage: true}
  global: {asn: 65000}
  neighbors:
    - config: {neighborAddress: 10.99.0.1, peerAsn: 65000, description: hub}
      timers: {config: {connectRetry: 1, holdTime: 9, keepaliveInterval: 3}}
vnis: [{vni: 100, managed: true, members: [p$i]}]
C
done
for n in 1 2 3; do start_evpnd v$n; done
await 40 'the session of v2' established v2
await 40 'the session of v3' established v3
await 20 'ping' pings h2 10.0.0.3
problems() { ctl "$1" show status --json | jq -e '.speaker_problems == []'; }
for n in 1 2 3; do await 10 "v$n has nothing to say" problems v$n; done
uptime_of() { gobgp v2 neighbor 10.99.0.1 -j | jq '.timers.state.uptime.seconds // .timers.state.uptime'; }
up=$(uptime_of)
# The same again, and a description, for which gobgpd would take the session down: nothing is touched.
gobgp v2 neighbor add 10.99.0.77 as 65077
sed -i 's/description: hub/description: reflector/' "$T/v2.yaml"
ctl v2 reload >/dev/null
# A neighbor more, and gone again; that of somebody else stays.
sed -i 's/^  neighbors:/  neighbors:\n    - config: {neighborAddress: 10.99.0.88, peerAsn: 65088}/' "$T/v2.yaml"
ctl v2 reload >/dev/null
has() { gobgp v2 neighbor "$1" | grep "BGP neighbor is $1"; }
hasnt() { ! has "$1"; }
await 10 'the new neighbor' has 10.99.0.88
sed -i '/10.99.0.88/d' "$T/v2.yaml"
ctl v2 reload >/dev/null
await 10 'the neighbor is gone again' hasnt 10.99.0.88
has 10.99.0.77 >/dev/null || fail 'a neighbor of somebody else was deleted'
[ "$(uptime_of)" = "$up" ] || fail 'the session was reset without need'
# A timer is worth an update.
sed -i '/neighborAddress: 10.99.0.1,/,/timers/s/connectRetry: 1/connectRetry: 2/' "$T/v2.yaml"
ctl v2 reload >/dev/null
updated() { gobgp v2 neighbor 10.99.0.1 -j | jq -e '.timers.config.connect_retry == 2 and .conf.description == "reflector"'; }
await 10 'the timer is changed' updated
# gobgpd restarts empty: everything is made again.
kill -9 "$(cat "$T/v2.gobgpd.pid")"
ip netns exec "$P-v2" "$gobgpd" --pprof-disable >"$T/v2.gobgpd.log" 2>&1 &
echo $! >"$T/v2.gobgpd.pid"
await 40 'the session of v2 again' established v2
await 20 'ping again' pings h2 10.0.0.3
# A router ID that only a restart of gobgpd could change is told, not forced.
sed -i 's/routerID: 10.99.0.1/routerID: 10.99.0.111/' "$T/v1.yaml"
ctl v1 reload >/dev/null
told() { ctl v1 show status --json | jq -e '.speaker_problems | join(" ") | test("router ID 10.99.0.1 instead of 10.99.0.111")'; }
await 10 'the difference is told' told

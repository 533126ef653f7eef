# `manage: true`: evpnd starts BGP in an empty gobgpd and configures it, changes only what differs, and leaves alone what others made.
# BESIDE
. "$(dirname "$0")/lib.sh"
core
gobgp() { on "$1" gobgp "${@:2}"; }
# An empty gobgpd: its API and nothing else.
for n in 1 2 3; do
    node v$n 10.99.0.$n/24
    start_gobgpd v$n
done
cat >"$T/v1.yaml" <<C
bgp:
  speaker: gobgp
  gobgp: {manage: true}
  global: {asn: 65000, routerID: 10.99.0.1, families: [l2vpn-evpn, ipv4-unicast]}
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
  global: {asn: 65000, families: [l2vpn-evpn, ipv4-unicast]}
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

# Policies and a VRF, beside those of an operator.
gobgp v2 policy prefix add theirs 203.0.113.0/24
gobgp v2 policy statement theirs add condition prefix theirs
gobgp v2 policy statement theirs add action reject
gobgp v2 policy add theirs theirs
gobgp v2 global policy import add theirs
for n in 0 1; do gobgp v3 global rib add -a ipv4 198.51.10$n.0/24; done
gobgp v3 global rib add -a ipv4 203.0.113.0/24
routes() { gobgp v2 global rib -a ipv4 -j | jq -e "has(\"198.51.100.0/24\") == $1 and has(\"198.51.101.0/24\") and has(\"203.0.113.0/24\") == $2"; }
await 10 'the routes of v3, but for that which the operator refuses' routes true false
up=$(uptime_of)
cp "$T/v2.yaml" "$T/v2.plain"
sed -i '/timers: {config: {connectRetry: 2/a\      applyPolicy: {importPolicy: {policies: [mark]}}' "$T/v2.yaml"
sed -i '/^vnis:/d' "$T/v2.yaml"
cat >>"$T/v2.yaml" <<'C'
  definedSets:
    - {type: prefix, name: unwanted, prefixes: [{ipPrefix: 198.51.100.0/22, maskLengthMin: 24, maskLengthMax: 24}]}
    - {type: prefix, name: wanted, prefixes: [{ipPrefix: 198.51.101.0/24}]}
    - {type: community, name: marked, list: ["65000:77"]}
    - {type: as-path, name: paths, list: [^65001_, "65002_6500[34]"]}
  policyDefinitions:
    - name: mark
      statements:
        - name: wanted
          conditions: {prefixSet: {name: wanted}}
          actions: {community: {type: add, communities: ["65000:77"]}, med: {type: mod, value: 5}, routeAction: accept}
        - name: paths
          conditions: {prefixSet: {name: unwanted}, asPathSet: {name: paths, match: all}}
          actions: {asPrepend: {asn: 65000, repeat: 2}, localPref: 50}
        - {name: unwanted, conditions: {prefixSet: {name: unwanted}}, actions: {routeAction: reject}}
    - name: unmark
      statements:
        - name: all
          conditions: {communitySet: {name: marked}}
          actions: {community: {type: remove, communities: ["65000:77"]}, med: {type: replace, value: 1}}
  vrfs: [{name: red, rd: "65000:5", importRt: ["65000:5"], exportRt: ["65000:5", "10.99.0.2:5"]}]
C
tail -1 "$T/v2.plain" >>"$T/v2.yaml"
sed -i 's/^  global: {asn: 65000,/& applyPolicy: {exportPolicy: {policies: [unmark]}},/' "$T/v2.yaml"
ctl v2 reload >/dev/null
marked() { gobgp v2 global rib -a ipv4 -j | jq -e '."198.51.101.0/24" | tostring | test("4259840077")'; }
await 10 'a route is rejected' routes false false
await 10 'a route is marked' marked
told_of() { gobgp v2 vrf | grep "$1"; }
await 10 'a VRF' told_of 65000:5
await 10 'v2 has nothing to say' problems v2
# Once more: there is nothing to do. What is done next shows that it was not.
steps() { grep -c 'gobgp.manage' "$T/v2.log"; }
before=$(steps)
ctl v2 reload >/dev/null
sed -i 's/65001_, /65001_, "_65009$", /' "$T/v2.yaml"
ctl v2 reload >/dev/null
extended() { gobgp v2 policy as-path paths | grep 65009; }
await 10 'an element more' extended
[ "$(($(steps) - before))" -le 2 ] || fail 'the second time something was changed without need'
# What everybody is refused we are, too. A policy that gobgpd would not survive is not put in place.
sed -i 's/applyPolicy: {exportPolicy/applyPolicy: {importPolicy: {policies: [unmark], defaultAction: reject}, exportPolicy/' "$T/v2.yaml"
ctl v2 reload >/dev/null
refused() { ctl v2 show status --json | grep 'import policy rejects'; }
await 10 'our own routes are refused' refused
deadly() { ctl v2 show status --json | jq -e '.speaker_problems | join(" ") | test("policy unmark changes")'; }
if grep 'event=gobgp.up.*api=v3' "$T/v2.log" >/dev/null; then await 10 'a deadly policy is told' deadly; fi
# Without policies everything is as before; that of the operator stays.
cp "$T/v2.yaml" "$T/v2.policies"
cp "$T/v2.plain" "$T/v2.yaml"
ctl v2 reload >/dev/null
await 10 'the route is back' routes true false
unmarked() { ! marked; }
await 10 'no mark is left' unmarked
gone() { ! gobgp v2 policy | grep -E 'mark|evpnd' && ! gobgp v2 policy prefix | grep wanted && ! told_of 65000:5; }
await 10 'no policy is left' gone
gobgp v2 global policy import | grep theirs >/dev/null || fail 'the policy of somebody else is gone'
await 20 'ping without policies' pings h2 10.0.0.3
[ "$(uptime_of)" = "$up" ] || fail 'a policy has reset the session'
# One of somebody else that has the name of ours.
gobgp v2 policy prefix add wanted 192.0.2.0/24
sed 's/importPolicy: {policies: [[]unmark], defaultAction: reject}, //' "$T/v2.policies" >"$T/v2.yaml"
ctl v2 reload >/dev/null
foreign() { ctl v2 show status --json | jq -e '.speaker_problems | join(" ") | test("defined-set prefix wanted of somebody else")'; }
await 10 'a set of somebody else is told' foreign

# gobgpd restarts empty: everything is made again.
kill_gobgpd v2
start_gobgpd v2
await 40 'the session of v2 again' established v2
await 20 'ping again' pings h2 10.0.0.3
await 10 'the policy again' marked
await 10 'v2 has nothing to say again' problems v2
# A router ID that only a restart of gobgpd could change is told, not forced.
sed -i 's/routerID: 10.99.0.1/routerID: 10.99.0.111/' "$T/v1.yaml"
ctl v1 reload >/dev/null
told() { ctl v1 show status --json | jq -e '.speaker_problems | join(" ") | test("router ID 10.99.0.1 instead of 10.99.0.111")'; }
await 10 'the difference is told' told

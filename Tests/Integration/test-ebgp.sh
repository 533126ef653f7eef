# An eBGP fabric with FRR: other AS, automatic targets on both sides, next hop kept across the FRR spine; MD5 and GTSM.
. "$(dirname "$0")/lib.sh"
core
node spine 10.99.0.1/24
for i in 2 3; do
    node v$i 10.99.0.$i/24
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
done
cat >"$T/spine.conf" <<C
router bgp 65001
 bgp router-id 10.99.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor 10.99.0.2 remote-as 65102
 neighbor 10.99.0.2 password secret
 neighbor 10.99.0.2 ttl-security hops 1
 neighbor 10.99.0.3 remote-as 65103
 address-family l2vpn evpn
  neighbor 10.99.0.2 activate
  neighbor 10.99.0.2 attribute-unchanged next-hop
  neighbor 10.99.0.3 activate
  neighbor 10.99.0.3 attribute-unchanged next-hop
 exit-address-family
C
cat >"$T/v2.yaml" <<C
node: {vtep: 10.99.0.2}
bgp:
  global: {asn: 65102}
  neighbors:
    - config: {neighborAddress: 10.99.0.1, peerAsn: 65001, authPassword: secret}
      ttlSecurity: {hops: 1}
      timers: {config: {connectRetry: 1}}
vnis: [{vni: 100, managed: true, members: [p2]}]
C
cat >"$T/v3.yaml" <<C
node: {vtep: 10.99.0.3}
bgp:
  global: {asn: 65103}
  neighbors:
    - config: {neighborAddress: 10.99.0.1, peerAsn: 65001}
      timers: {config: {connectRetry: 1}}
vnis: [{vni: 100, managed: true, members: [p3]}]
C
start_frr spine
start_evpnd v2
start_evpnd v3
await 20 'session with MD5 and GTSM' established v2
await 20 'ping across the eBGP spine' pings h2 10.0.0.3
path() { ctl v2 show routes --json | jq -e 'map(select(.next_hop == "10.99.0.3" and .as_path == "65001 65103")) | length > 0'; }
await 15 'next hop unchanged, AS path of both' path
# A wrong password keeps the session down.
sed 's/authPassword: secret/authPassword: wrong/' "$T/v2.yaml" >"$T/x" && cp "$T/x" "$T/v2.yaml"
ctl v2 reload
down() { ! established v2; }
await 10 'the session ends with another password' down
sed 's/authPassword: wrong/authPassword: secret/' "$T/v2.yaml" >"$T/x" && cp "$T/x" "$T/v2.yaml"
ctl v2 reload
await 30 'the session is back' established v2

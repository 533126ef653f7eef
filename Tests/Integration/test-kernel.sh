# Devices that the operator made: deleted, made again, set down; damage to our entries; entries of others.
. "$(dirname "$0")/lib.sh"
core
node v2 10.99.0.2/24
node v3 10.99.0.3/24
for i in 2 3; do
    vxlan v$i 100 10.99.0.$i
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    ip -n "$P-v$i" link set p$i master br100
    configure_vtep v$i 10.99.0.$i 10.99.0.$((5 - i)) <<<"vnis: [100]"
done
bridge -n "$P-v2" fdb append 00:00:00:00:00:00 dev vxlan100 dst 203.0.113.9
bridge -n "$P-v2" fdb add 02:00:00:00:00:99 dev vxlan100 dst 203.0.113.8 static
start_evpnd v2
start_evpnd v3
await 20 'ping between adopted devices' pings h2 10.0.0.3
fdb() { on v2 bridge fdb show dev vxlan100; }
foreign() { fdb | grep '00:00:00:00:00:00 dst 203.0.113.9' && fdb | grep '02:00:00:00:00:99 dst 203.0.113.8'; }
foreign || fail 'foreign entries were touched'

# Damage heals within two seconds.
has() { fdb | grep "02:00:00:00:00:03 dst 10.99.0.3"; }
await 15 'the entry of the remote MAC' has
bridge -n "$P-v2" fdb del 02:00:00:00:00:03 dev vxlan100
await 2 'a deleted entry comes back' has
bridge -n "$P-v2" fdb replace 02:00:00:00:00:03 dev vxlan100 dst 203.0.113.7 self
await 2 'a changed entry is put right' has
bridge -n "$P-v2" fdb del 00:00:00:00:00:00 dev vxlan100 dst 10.99.0.3
flooded() { fdb | grep '00:00:00:00:00:00 dst 10.99.0.3'; }
await 2 'a deleted flood entry comes back' flooded
counted() { ctl v2 show status --json | jq -e '.dataplane.healed >= 2'; }
await 15 'the damage is counted' counted

# Set down: withdrawn at the peer; up again: back.
remote() { ctl v3 show macs --json | jq -e 'map(select(.place == "remote")) | length == 0'; }
ip -n "$P-v2" link set vxlan100 down
await 15 'routes of a device set down are withdrawn' remote
ip -n "$P-v2" link set vxlan100 up
await 10 'ping after the device is up' pings h2 10.0.0.3
# Deleted and made again.
ip -n "$P-v2" link delete vxlan100
await 15 'routes of a deleted device are withdrawn' remote
ctl v2 explain vni 100 >"$T/explain" 2>&1 && fail 'explain says all is well without a device'
grep -q '!!' "$T/explain" || fail 'explain names no missing link'
ip -n "$P-v2" link add vxlan100 type vxlan id 100 dstport 4789 local 10.99.0.2 nolearning
ip -n "$P-v2" link set vxlan100 master br100
ip -n "$P-v2" link set vxlan100 up
await 10 'ping over the new device' pings h2 10.0.0.3
# Renamed.
ip -n "$P-v2" link set vxlan100 down
ip -n "$P-v2" link set vxlan100 name vx-new
ip -n "$P-v2" link set vx-new up
await 10 'ping over the renamed device' pings h2 10.0.0.3

# A kernel without VRF devices: the missing feature is named, and layer 2 goes on.
. "$(dirname "$0")/lib.sh"
core
node probe
if ip -n "$P-probe" link add ten type vrf table 1000 2>/dev/null; then
    # Told apart from a success: such a kernel has the other tests of VRFs.
    skip 'this kernel has VRF devices: what evpnd says without them cannot be seen here'
fi
for i in 2 3; do
    node v$i 10.99.0.$i/24
    host h$i v$i p$i 10.0.0.$i/24 02:00:00:00:00:0$i
    configure_vtep v$i 10.99.0.$i 10.99.0.$((5 - i)) <<C
vrfs: [{name: ten, vni: 500, managed: true, announce: {connected: true}}]
vnis:
  - {vni: 100, managed: true, members: [p$i]}
  - {vni: 101, managed: true, vrf: ten, gateway: 10.20.$i.1/24}
C
    start_evpnd v$i
done
await 20 'layer 2 works' pings h2 10.0.0.3
refused() { grep 'event=dataplane.device.refused .*the kernel has no VRF devices (CONFIG_NET_VRF)' "$T/v2.log"; }
await 15 'the missing feature is named' refused
# A subnet without its VRF would be one of the host itself.
! ip -n "$P-v2" address show dev br101 | grep 10.20.2.1 >&2 || fail "the tenant's gateway is in the host's own table"
ip -n "$P-v3" link delete vxlan100
healed() { pings h2 10.0.0.3; }
await 20 'layer 2 heals' healed

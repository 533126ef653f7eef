# The reachability matrix on one VXLAN device for each hypervisor: VNIs are VLANs of its bridge, numbered differently on hv2.
. "$(dirname "$0")/../lib.sh"
. "$here/matrix.sh"
sed -e 's/managed: true,/managed: true, vlan: auto,/' -e '/name: hv2/,/name: hv3/s/22001, managed: true, vlan: auto/22001, managed: true, vlan: 100/' \
    "$root/Labs/evpn-lab.yaml" >"$T/lab.yaml"
matrix "$T/lab.yaml"
tunnel() { # NODE VLAN VNI : ranges are printed by their ends
    bridge -n "$P-$1" -j vlan tunnelshow dev vxlan0 | jq -e --argjson vlan "$2" --argjson vni "$3" \
        'any(.[].tunnels[]; .vlan <= $vlan and (.vlanEnd // .vlan) >= $vlan and .tunid + $vlan - .vlan == $vni)'
}
tunnel hv1 2 22001 && tunnel hv1 5 22004 && tunnel hv2 100 22001 && tunnel hv2 102 22003 || fail 'other VLANs than expected'
bridge -n "$P-hv1" fdb show dev vxlan0 | grep 'dst 10.0.0.102 src_vni 22001 self' >/dev/null || fail 'no entry with src_vni'
# Damage to what evpnd made heals: a mapping, a member's VLAN, the device.
bridge -n "$P-hv1" vlan del dev vxlan0 vid 2
await 15 'the mapping comes back' tunnel hv1 2 22001
ip -n "$P-hv1" link delete vxlan0
await 15 'the device comes back' tunnel hv1 4 22003
await 20 'ping over it' reaches e11 10.100.2.101
# A VNI leaves the configuration: its mapping goes, the others stay.
sed -i '/22003/d' "/run/evpnd-lab/$P/hv1.yaml"
"$build/evpnctl" --socket "/run/evpnd-lab/$P/hv1.sock" reload
gone() { ! tunnel hv1 4 22003; }
await 15 'the mapping of a VNI that left is gone' gone
reaches e11 10.100.2.101 >/dev/null || fail 'another VNI was disturbed'

# Tenants in network namespaces, on kernels without VRF devices: symmetric IRB and prefix routes, IPv4 and IPv6, between evpnd and FRR
# (zebra -n), both ways. Packets on the underlay: L3 VNI 500, inner MACs those of the routers, TTL. evpnd on both sides: test-l3-families.sh.
. "$(dirname "$0")/lib.sh"
. "$here/tenant.sh"

core
evpnd_vtep 1 2
frr_vtep 2 1
traffic 'evpnd and FRR'

# The reachability matrix of three hypervisors with overlapping networks, a VXLAN device for each VNI.
. "$(dirname "$0")/lib.sh"
. "$here/matrix.sh"
matrix "$root/Labs/evpn-lab.yaml"

# Sourced: `matrix FILE` builds the lab of a topology file like Labs/evpn-lab.yaml, looks who reaches whom, and takes a hypervisor away.
lab() { "$build/evpnctl" lab "$1" "$topology" --prefix "$P" "${@:2}"; }
reaches() { # FROM ADDRESS…
    on "$1" sh -c 'for to in "$@"; do ping -c 1 -W 1 -q "$to" || exit 1; done' - "${@:2}"
}
matrix() {
    topology=$1
    trap 'status=$?; [ $status = 0 ] || tail -20 /run/evpnd-lab/$P/hv1.log; lab down >/dev/null 2>&1; (exit $status); cleanup' EXIT
    EVPND=$build/evpnd lab up
    echo "built after $SECONDS s"
    local h s from to
    for h in 1 2 3; do
        for s in 1 2 3; do
            await 20 "e$h$s reaches its whole network" reaches "e$h$s" 10.100.{1,2,3}.10{1,2,3}
        done
    done
    echo "full mesh after $SECONDS s"
    while read -r from to; do await 20 "$from reaches $to" reaches "$from" "$to"; done <<L
e14 10.200.1.102
e14 10.200.1.103
e14 10.200.1.104
e16 10.200.2.102
e16 10.200.2.103
e24 10.200.1.101
L
    # The same address twice: each network has its own.
    [ "$(on e14 ip -j neigh show 10.200.1.104 | jq -r '.[0].lladdr')" = 02:20:20:03:04:01 ] ||
        fail 'e14 found 10.200.1.104 in the wrong network'
    while read -r from to; do ! reaches "$from" "$to" || fail "$from reaches $to"; done <<L
e14 10.100.3.104
e11 10.100.3.104
e33 10.100.3.104
e37 10.200.2.103
e16 10.200.2.104
e17 10.200.3.102
L
    # A remote host is reached by unicast: its MAC is known, and only at its VTEP.
    on hv1 bridge fdb show | grep '02:20:20:03:04:01.* dst 10.0.0.103 ' >/dev/null ||
        fail 'hv1 has no unicast entry for e34'
    lab kill hv3
    gone() { ! on "$1" bridge fdb show | grep 10.0.0.103 && ! { on "$1" bridge fdb show | grep 02:20:20:03:; }; }
    for h in hv1 hv2; do await 30 "$h has forgotten the dead hypervisor" gone "$h"; done
    await 15 'the others go on' reaches e11 10.100.2.101
}

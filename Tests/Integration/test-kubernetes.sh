# The Kubernetes manifests: sound, and the configurations in them work together: a hub without privileges, two spokes, one
# for whom a gobgpd speaks, and two with membership by communities. The Service is stood in for by its address and port on the hub.
. "$(dirname "$0")/lib.sh"
version=$("$build/evpnd" --version | cut -d' ' -f2)
python3 "$here/manifests.py" "$root/Packaging/kubernetes" "$T" "$version" || fail 'manifests'
chmod 755 "$T"
core
for i in 254:hub 1:s1 2:s2 3:s3 4:s4 5:s5; do node "${i#*:}" "192.168.7.${i%:*}/16"; done
ip -n "$P-hub" address add 10.96.0.179/32 dev eth0
for n in s1 s2 s3 s4 s5; do
    ip -n "$P-$n" route add 10.96.0.179 dev eth0
    ip -n "$P-$n" link set lo up
    host h$n $n port$n 10.0.0.${n#s}/24 02:00:00:00:00:0${n#s}
done
sed -i 's/listenPort: 1790/listenPort: 179/' "$T/evpnd-hub/evpnd.yaml"
sed 's/listenPort: 179/listenPort: 1790/' "$T/evpnd-hub/evpnd.yaml" >"$T/hub-as-it-is.yaml"
check() { # NODE FILE
    ip netns exec "$P-$1" "$build/evpnd" --check --config "$2" >"$T/check" || fail "$(cat "$T/check")"
    ! grep -E 'warning|error' "$T/check" || fail "problems in the configuration of $1"
}
check hub "$T/hub-as-it-is.yaml"
check s1 "$T/evpnd-spokes/evpnd.yaml"
check s4 "$T/membership/evpnd-spokes/evpnd.yaml"
check s3 "$T/sidecar/evpnd-sidecar/evpnd.yaml"
start() { # NODE FILE SETPRIV-OPTION… : with the privileges of the manifest
    mkdir "$T/$1.state"
    [[ $3 != --reuid* ]] || chown 65532 "$T/$1.state"
    ip netns exec "$P-$1" setpriv "${@:3}" "$build/evpnd" --config "$2" --socket "$T/$1.state/sock" --state-dir "$T/$1.state" >"$T/$1.log" 2>&1 &
    echo $! >"$T/$1.pid"
    await 20 "control socket of $1" test -S "$T/$1.state/sock"
    ln -s "$T/$1.state/sock" "$T/$1.sock"
}
# The port below 1024, which stands for the Service here, is the only reason for a capability of the hub.
ip netns exec "$P-hub" sysctl -qw net.ipv4.ip_unprivileged_port_start=179
start hub "$T/evpnd-hub/evpnd.yaml" --reuid 65532 --regid 65532 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs
for n in s1 s2; do start $n "$T/evpnd-spokes/evpnd.yaml" --inh-caps=-all --bounding-set=-all,+net_admin --no-new-privs; done
# The paths in the pod, below this run's folder.
sed -i "s|unix:///run/gobgp/|unix://$T/|" "$T/sidecar/evpnd-sidecar/evpnd.yaml"
sed "s|/config/|$T/sidecar/evpnd-sidecar/|; s|/run/gobgp/|$T/|" "$T/router-id.command" >"$T/router-id.sh"
NODE_ADDRESS=192.168.7.3 sh "$T/router-id.sh"
grep -q '"192.168.7.3"' "$T/gobgpd.toml" || fail 'the init container did not put in the router ID'
# gobgpd 3.10 crashes with graceful restart, as the manifest says.
[[ $(gobgpd --version) != *" 3."[0-9].* && $(gobgpd --version) != *" 3.10."* ]] ||
    sed -i '/graceful-restart.config\]/d; /^ *enabled = true/d; /restart-time/d' "$T/gobgpd.toml"
ip netns exec "$P-s3" setpriv --inh-caps=-all --bounding-set=-all gobgpd -f "$T/gobgpd.toml" "--api-hosts=unix://$T/gobgp.sock" --pprof-disable >"$T/gobgpd.log" 2>&1 &
echo $! >"$T/gobgpd.pid"
start s3 "$T/sidecar/evpnd-sidecar/evpnd.yaml" --inh-caps=-all --bounding-set=-all,+net_admin --no-new-privs
for n in s1 s2 s3; do
    await 40 "session of $n" established $n
    ip -n "$P-$n" link set port$n master br10010
done
await 30 'three spokes at the hub' established hub 3
# Two more know each other by communities: their devices are made by an operator, after the start and without being named.
for n in s4 s5; do
    start $n "$T/membership/evpnd-spokes/evpnd.yaml" --inh-caps=-all --bounding-set=-all,+net_admin --no-new-privs
    vxlan $n 10012 192.168.7.${n#s}
    bridge -n "$P-$n" link set dev vxlan10012 learning on neigh_suppress off
    ip -n "$P-$n" link set port$n master br10012
done
await 30 'ping between spokes with membership by communities' pings hs4 10.0.0.5
await 20 'ping between spokes' pings hs1 10.0.0.2
await 20 'ping to the spoke with gobgpd' pings hs1 10.0.0.3
await 20 'ping from the spoke with gobgpd' pings hs3 10.0.0.2
# The adopted VNI comes when the node's device comes.
floods() { on $1 bridge fdb show dev vxlan10011 | grep "00:00:00:00:00:00 dst 192.168.7.$2"; }
vxlan s1 10011 192.168.7.1
vxlan s3 10011 192.168.7.3
await 15 'the adopted VNI floods to the spoke with gobgpd' floods s1 3
await 15 'and back' floods s3 1
get() { # NODE PATH
    on "$1" bash -c 'exec 3<>/dev/tcp/127.0.0.1/9474; printf "GET %s HTTP/1.0\r\n\r\n" "$1" >&3; cat <&3' _ "$2"
}
probe() { get "$1" "$2" | grep '^HTTP/1.. 200' >/dev/null; }
for n in s1 s2 s3; do await 20 "readiness of $n" probe $n /readyz; done
probe hub /healthz || fail 'the hub is not healthy'
# The hub goes: forwarding stays; it comes back: everything is as before.
stop_evpnd hub
echoes hs1 10.0.0.2 || fail 'forwarding went with the hub'
rm -r "$T/hub.state"
start hub "$T/evpnd-hub/evpnd.yaml" --reuid 65532 --regid 65532 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs
await 40 'three spokes at the new hub' established hub 5
await 20 'ping after the exchange of the hub' pings hs1 10.0.0.3

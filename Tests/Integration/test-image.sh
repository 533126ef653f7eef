# The container image: small, nothing in it that need not be, and evpnd works in it with a read-only root and two capabilities.
. "$(dirname "$0")/lib.sh"
"$root/Scripts/install-packages" image test || skip 'the packages of the groups image and test cannot be installed'
ldd "$build/evpnd" | grep -q libswift && fail 'this test needs the static release binaries: make build'
EVPND_BUILD=$build "$root/Scripts/image" "$T/image"
tag=$("$build/evpnd" --version | cut -d' ' -f2)
size=$(stat -c %s "$T/image/evpnd-image.tar")
[ "$size" -lt 25000000 ] || fail "the image is $size bytes; what came in?"
tar -xOf "$T/image/evpnd-image.tar" index.json | grep -q "localhost/evpnd:$tag" || fail 'the archive does not carry its name'
core
for i in 2:a:3 3:b:2; do
    IFS=: read -r own name other <<<"$i"
    node $name 10.99.0.$own/24
    host h$name $name port$name 10.0.0.$own/24 02:00:00:00:00:0$own
    mkdir "$T/$name" "$T/$name/etc" "$T/$name/run"
    cat >"$T/$name/etc/evpnd.yaml" <<C
node: {interface: eth0}
bgp:
  global: {asn: 65000, routerID: 10.99.0.$own}
  neighbors:
    - config: {neighborAddress: 10.99.0.$other, peerAsn: 65000}
      timers: {config: {connectRetry: 1}}
vnis: [{vni: 100, managed: true, members: [port$name]}]
C
    umoci --log error unpack --image "$T/image/layout:$tag" "$T/$name/bundle"
    find "$T/$name/bundle/rootfs" -perm /6000 | grep . && fail 'a setuid file in the image'
    [ ! -e "$T/$name/bundle/rootfs/usr/bin/sh" ] || fail 'a shell in the image'
    jq --arg ns "/run/netns/$P-$name" --arg etc "$T/$name/etc" --arg run "$T/$name/run" '
        ["CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE"] as $caps
        | .process.terminal = false | .process.noNewPrivileges = true | .root.readonly = true
        | .process.capabilities = {bounding: $caps, effective: $caps, permitted: $caps}
        | (.linux.namespaces[] | select(.type == "network")).path = $ns
        | .mounts += [{destination: "/etc/evpnd", type: "none", source: $etc, options: ["bind", "ro"]},
                      {destination: "/run/evpnd", type: "none", source: $run, options: ["bind", "rw"]}]' \
        "$T/$name/bundle/config.json" >"$T/config.json"
    mv "$T/config.json" "$T/$name/bundle/config.json"
done
container() { runc --root "$T/runc" "$@"; }
at_end() { for name in a b; do container delete --force "$P-$name" 2>/dev/null; done; }
inside() { container exec "$P-$1" evpnctl "${@:2}"; }
for name in a b; do
    container run --detach --pid-file "$T/$name.pid" --bundle "$T/$name/bundle" "$P-$name" >"$T/$name.log" 2>&1 </dev/null
done
session() { inside a show neighbors --json | jq -e '.[0].state == "established"'; }
await 30 'a session between the two containers' session
await 20 'ping between hosts behind the two containers' pings ha 10.0.0.3
learned() { on a bridge fdb show dev vxlan100 | grep '02:00:00:00:00:03 dst 10.99.0.3'; }
await 10 'the FDB entry' learned
inside a explain mac 02:00:00:00:00:03 || fail 'the chain is not complete'
state() { awk -v name="$1:" '$1 == name {print $2}' "/proc/$(cat "$T/a.pid")/status"; }
[ "$(state CapEff)" = 0000000000001400 ] || fail "capabilities $(state CapEff)"
[ "$(state CapBnd)" = 0000000000001400 ] && [ "$(state NoNewPrivs)" = 1 ] || fail 'privileges can be gained'
awk '$5 == "/" {print $6}' "/proc/$(cat "$T/a.pid")/mountinfo" | tail -1 | grep -qE '^ro\b' || fail 'the root is not read-only'
# Stopped and started anew, as an upgrade does: forwarding stays, and the record of what is ours is found again.
container kill "$P-a" TERM
stopped() { [ "$(container state "$P-a" | jq -r .status)" = stopped ]; }
await 10 'an orderly end' stopped
learned || fail 'forwarding went away with the container'
container delete "$P-a"
container run --detach --pid-file "$T/a.pid" --bundle "$T/a/bundle" "$P-a" >>"$T/a.log" 2>&1 </dev/null
await 30 'the session after a restart' session
echoes ha 10.0.0.3 || fail 'no ping after the restart'
# A wrong configuration is said and ends it with status 2.
echo 'bgp: {global: {asn: no}}' >"$T/b/etc/evpnd.yaml"
container kill "$P-b" KILL
gone() { container delete --force "$P-b"; ! container state "$P-b"; }
await 10 'the end of the other container' gone
set +e
container run --bundle "$T/b/bundle" "$P-b" >"$T/wrong" 2>&1 </dev/null
[ $? = 2 ] || fail "exit status with a wrong configuration"
set -e
grep -q 'evpnd.yaml:1:' "$T/wrong" || fail 'no position of the mistake'

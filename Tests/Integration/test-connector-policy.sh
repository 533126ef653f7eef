# The import policy of evpn-connector in a gobgpd that it has left behind: taken over with our targets, our own routes come in whatever their
# targets are, policies of others stay, and without clients it is gone.
. "$(dirname "$0")/lib.sh"
core
node a 10.99.0.2/24
printf '[global.config]\n  as = 65000\n  router-id = "10.99.0.2"\n' >"$T/a.toml"
start_gobgpd a
gobgp() { on a gobgp "$@"; }
await 10 'gobgpd' gobgp global
# What evpn-connector makes, and a policy of somebody else before it.
gobgp policy ext-community add local-vni-defined-set 'rt:^65000:10$'
gobgp policy statement add local-vni-statement
gobgp policy statement local-vni-statement add condition ext-community local-vni-defined-set
gobgp policy statement local-vni-statement add action accept
gobgp policy add local-vni-policy local-vni-statement
gobgp policy community add marked 65000:666
gobgp policy statement add foreign-statement
gobgp policy statement foreign-statement add condition community marked
gobgp policy statement foreign-statement add action reject
gobgp policy add foreign foreign-statement
gobgp global policy import add foreign local-vni-policy default reject

mkdir "$T/clients"
client() { # TARGET
    printf '{"vni": %s, "mac": "02:00:00:00:00:01", "ofport": 1, "type": "flat", "imp_rt": ["0:%s"], "exp_rt": ["0:99"]}' "$1" "$1" >"$T/clients/.new"
    mv "$T/clients/.new" "$T/clients/a"
}
client 11
cat >"$T/evpn.conf" <<C
[daemon]
configs_dir = $T/clients
[gobgp]
source_ip = 10.99.0.2
as_number = 65000
[ovs]
switch_name = br-none
[anycast]
anycast_status_file = $T/status
C
ip netns exec "$P-a" "$build/evpnd" --from evpn-connector "$T/evpn.conf" --socket "$T/a.sock" --state-dir "$T/a.state" >>"$T/a.log" 2>&1 &
echo $! >"$T/a.pid"
await 10 'the control socket' ctl a show status
sets() { gobgp policy ext-community -j | jq -r ".[] | select(.name == \"local-vni-defined-set\") | .list[]"; }
lets() { sets | grep -F "rt:^65000:$1\$"; }
await 20 'the targets of our clients' lets 11
letsnot() { ! lets "$1"; }
await 10 'the targets of before are gone' letsnot 10
assigned() { gobgp global policy | tr '\n' ' ' | grep -E "$1"; }
await 10 'the policies and the default' assigned 'Import policy: +Default: +ACCEPT.*foreign.*local-vni-policy'
# A route of ours with a target that nobody here imports.
ctl a advertise mac 02:00:00:00:00:77 --vni 11 --rt 65000:99
used() { gobgp global rib -a evpn | grep 02:00:00:00:00:77; }
await 10 'our own route' used
sleepless() { ctl a show status --json | jq -e '.refused_routes == [] and .speaker_problems == []'; }
await 10 'nothing is refused' sleepless
# Other clients, other targets.
client 12
await 10 'other targets' lets 12
await 10 'no old targets' letsnot 11
# Without clients nothing is left of it, and the policy of somebody else is where it was.
rm "$T/clients/a"
await 10 'an empty directory' eval 'ctl a show clients | grep missing'
ctl a confirm-empty
gone() { ! gobgp policy | grep local-vni; }
await 10 'the policy is gone' gone
await 10 'only the policy of somebody else' assigned 'Import policy: +Default: +ACCEPT +Name foreign'
gobgp policy community | grep marked >/dev/null || fail 'a set of somebody else is gone'

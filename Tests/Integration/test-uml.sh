# What this machine's kernel may lack (bridges that filter VLANs), in a kernel of its own: one boot for all cases.
# LIMIT 1800
# BESIDE
. "$(dirname "$0")/lib.sh"
if ! command -v linux.uml >/dev/null; then
    "$root/Scripts/install-packages" test || true
    command -v linux.uml >/dev/null || { echo 'SKIPPED: the package user-mode-linux cannot be installed'; exit 77; }
fi
mkdir "$T/results"
status=0
UML_SECONDS=1770 EVPND_BUILD=$build "$here/uml/boot" "$here/uml/job" "$T/results" >"$T/boot.log" 2>&1 || status=$?
cat "$T/results/log" 2>/dev/null
[ $status = 0 ] || fail "status $status"

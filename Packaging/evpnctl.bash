# bash completion of evpnctl: commands, options, and the VNIs, MAC addresses, VTEPs and neighbors that the daemon knows.

_evpnctl_ask() { # VIEW KEY : the values of KEY in what `show VIEW` tells
    local socket=()
    [ -n "$_evpnctl_socket" ] && socket=(--socket "$_evpnctl_socket")
    timeout 2 evpnctl "${socket[@]}" --json show "$1" 2>/dev/null | grep -oE "\"$2\":(\"[^\"]*\"|[0-9]+)" | cut -d: -f2- | tr -d '"' | sort -u
}

_evpnctl() {
    local line current previous words=() index word answers= _evpnctl_socket=
    COMPREPLY=()
    # Split at blanks: readline also breaks words at the colons of MAC and IPv6 addresses.
    read -ra line <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && line+=('')
    current=${line[-1]} previous=${line[-2]}
    # The words that are neither options nor values of options, up to here.
    for ((index = 1; index < ${#line[@]} - 1; index++)); do
        word=${line[index]}
        case $word in
        --socket) _evpnctl_socket=${line[++index]} ;;
        --vni | --vrf | --mac | --type | --rd | --family | --neighbor | --prefix | --as4 | --add-path) ((index++)) ;;
        --l3vni | --rt | --vtep | --etag | --encap | --router-mac | --gateway | --sequence | --local-pref) ((index++)) ;;
        -*) ;;
        *) words+=("$word") ;;
        esac
    done
    case $previous in
    --socket) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); return ;;
    --vni) answers=$(_evpnctl_ask vnis vni) ;;
    --vrf) answers=$(_evpnctl_ask vrfs name) ;;
    --mac) answers=$(_evpnctl_ask macs mac) ;;
    --neighbor) answers=$(_evpnctl_ask neighbors address) ;;
    --type) answers='1 2 3 4 5' ;;
    --family) answers='l2vpn-evpn ipv4-unicast ipv6-unicast' ;;
    --as4) answers='0 1' ;;
    --vtep) answers=$(_evpnctl_ask vteps vtep) ;;
    --encap) answers='vxlan geneve nvgre vxlan-gpe mpls mpls-in-gre none' ;;
    --rd | --prefix | --add-path | --l3vni | --rt | --etag | --router-mac | --gateway | --sequence | --local-pref) return ;;
    *)
        case "${words[*]}" in
        '')
            answers='show explain plan watch reload recover confirm-empty neighbor advertise withdraw cleanup decode import lab version help'
            [[ $current == -* ]] && answers='--socket --json --help'
            ;;
        show) answers='status neighbors vnis vrfs prefixes macs vteps routes netlink clients anycast' ;;
        'show macs') answers='--vni --mac --json' ;;
        'show routes') answers='--type --rd --vni --mac --family --best --neighbor --advertised --json' ;;
        'show prefixes') answers="--json $(_evpnctl_ask vrfs name)" ;;
        'show '*) answers=--json ;;
        explain) answers='mac vni vtep prefix ip' ;;
        'explain mac' | 'recover mac') answers=$(_evpnctl_ask macs mac) ;;
        'explain vni') answers=$(_evpnctl_ask vnis vni) ;;
        'explain vtep') answers=$(_evpnctl_ask vteps vtep) ;;
        'explain prefix') answers=$(_evpnctl_ask prefixes prefix) ;;
        'explain ip') ;;
        'explain prefix '* | 'explain ip '*) answers='--vrf --json' ;;
        'explain mac '*) answers='--vni --json' ;;
        'recover mac '*) answers=--vni ;;
        'explain '* | plan | watch) answers=--json ;;
        recover) answers=mac ;;
        neighbor) answers='clear shutdown enable refresh' ;;
        'neighbor '*' '*) ;;
        'neighbor '*) answers=$(_evpnctl_ask neighbors address) ;;
        advertise | withdraw) answers='mac multicast prefix' && [ "${words[0]}" = withdraw ] && answers+=' all' ;;
        'advertise '* | 'withdraw '*)
            answers='--vni --l3vni --rd --rt --vtep --etag --encap --router-mac --gateway --sequence --local-pref --sticky --default-gateway --persist'
            ;;
        cleanup) answers=--yes ;;
        decode) answers='--as4 --add-path' ;;
        import) answers='gobgp-evpn-agent gobgpd evpn-connector' ;;
        'import '*) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); return ;;
        lab) answers='up down status exec kill start' ;;
        'lab '*)
            case ${#words[@]} in
            2) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); return ;;
            3)
                answers=--prefix
                # Names of nodes and workloads, from the topology file.
                [[ ${words[1]} =~ exec|kill|start ]] && [ -r "${words[2]}" ] &&
                    answers+=" $(sed -nE 's/^ *- *\{?name: *([^, }]+).*/\1/p' "${words[2]}")"
                ;;
            *) [ "${words[1]}" = exec ] && COMPREPLY=($(compgen -c -- "$current")); return ;;
            esac
            ;;
        esac
        ;;
    esac
    COMPREPLY=($(compgen -W "$answers" -- "$current"))
    # Only what follows the last colon is replaced.
    [[ $COMP_WORDBREAKS == *:* ]] || return 0
    local before=${current%"${current##*:}"}
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -F _evpnctl evpnctl

#!/usr/bin/env python3
"""make.py: writes v3.hex and v4.hex beside it, messages of GoBGP's API as protoc encodes them; one "name type octets" a line.
The messages say what Tests/GoBGPAPITests/Samples.swift says. v3 is encoded with the .proto files of Debian's package
golang-github-osrg-gobgp-dev, v4 with the v4.proto beside this file. Needs that package and protobuf-compiler."""
import os, subprocess, sys
here = os.path.dirname(os.path.abspath(__file__))
V3 = "/usr/share/gocode/src/github.com/osrg/gobgp/api"


class Generation:
    """Text format for one generation: what differs is how a field says which message it holds."""
    def __init__(self, v4): self.v4 = v4
    def typed(self, field, name3, name4, body, plain=None):
        """`plain` is the body in v4.proto where that uses other field names."""
        if self.v4: return f"{field} {{ {name4} {{ {body if plain is None else plain} }} }}"
        return f"{field} {{ [type.googleapis.com/apipb.{name3}] {{ {body} }} }}"
    def enum(self, v3, v4): return v4 if self.v4 else v3
    def text(self, octets): return '"' + "".join(f"\\x{o:02x}" for o in octets) + '"'

    # Identifiers
    def rd(self, text):
        admin, assigned = text.split(":")
        if "." in admin: return self.typed("rd", "RouteDistinguisherIPAddress", "ip_address", f'admin: "{admin}" assigned: {assigned}')
        names = ("RouteDistinguisherTwoOctetASN", "two_octet_asn") if int(admin) < 65536 else ("RouteDistinguisherFourOctetASN", "four_octet_asn")
        return self.typed("rd", *names, f"admin: {admin} assigned: {assigned}")
    def esi(self, hexa):
        octets = bytes.fromhex(hexa)
        return f"esi {{ type: {octets[0]} value: {self.text(octets[1:])} }}"
    def family(self, afi, safi, field="family"):
        if self.v4: return f"{field} {{ afi: {afi} safi: {safi} }}"
        return f"{field} {{ afi: {({1: 'AFI_IP', 2: 'AFI_IP6', 25: 'AFI_L2VPN'})[afi]} safi: {({1: 'SAFI_UNICAST', 70: 'SAFI_EVPN'})[safi]} }}"

    # NLRI
    def nlri(self, field, name):
        zero, esi, lacp = "00" * 10, "00112233445566778899", "0102030405060708090a"
        rd, seg = self.rd, self.esi
        mac = ("EVPNMACIPAdvertisementRoute", "evpn_macadv")
        imet = ("EVPNInclusiveMulticastEthernetTagRoute", "evpn_multicast")
        prefix = ("EVPNIPPrefixRoute", "evpn_ip_prefix")
        return {
            "a-d": lambda: self.typed(field, "EVPNEthernetAutoDiscoveryRoute", "evpn_ethernet_ad",
                f'{rd("65000:100")} {seg(lacp)} ethernet_tag: 4294967295'),
            "mac-ipv4": lambda: self.typed(field, *mac,
                f'{rd("192.0.2.1:100")} {seg(esi)} ethernet_tag: 7 mac_address: "02:00:00:00:00:0a" ip_address: "10.0.0.1" labels: 100 labels: 500'),
            "mac-ipv6": lambda: self.typed(field, *mac,
                f'{rd("4200000000:7")} {seg(zero)} mac_address: "02:00:00:00:00:0b" ip_address: "2001:db8::1" labels: 16777215'),
            "mac-only": lambda: self.typed(field, *mac, f'{rd("65000:1")} {seg(zero)} mac_address: "02:ab:cd:ef:00:01" labels: 100'),
            "imet": lambda: self.typed(field, *imet, f'{rd("192.0.2.1:1")} ip_address: "192.0.2.1"'),
            "imet-v6": lambda: self.typed(field, *imet, f'{rd("192.0.2.1:1")} ethernet_tag: 9 ip_address: "2001:db8::2"'),
            "es": lambda: self.typed(field, "EVPNEthernetSegmentRoute", "evpn_ethernet_segment",
                f'{rd("192.0.2.1:0")} {seg(esi)} ip_address: "192.0.2.1"'),
            "prefix": lambda: self.typed(field, *prefix,
                f'{rd("65000:3")} {seg(zero)} ip_prefix: "10.1.2.0" ip_prefix_len: 24 gw_address: "0.0.0.0" label: 500'),
            "prefix-gateway": lambda: self.typed(field, *prefix,
                f'{rd("65000:3")} {seg(esi)} ethernet_tag: 5 ip_prefix: "0.0.0.0" gw_address: "10.9.9.9"'),
            "prefix-v6": lambda: self.typed(field, *prefix,
                f'{rd("65000:3")} {seg(zero)} ip_prefix: "2001:db8:5::" ip_prefix_len: 64 gw_address: "::" label: 500'),
            "ipv4": lambda: self.typed(field, "IPAddressPrefix", "prefix", 'prefix_len: 32 prefix: "192.0.2.1"'),
            "ipv4-default": lambda: self.typed(field, "IPAddressPrefix", "prefix", 'prefix: "0.0.0.0"'),
            "ipv6": lambda: self.typed(field, "IPAddressPrefix", "prefix", 'prefix_len: 128 prefix: "2001:db8::1"'),
        }[name]()
    def family_of(self, name):
        return (1, 1) if name.startswith("ipv4") else (2, 1) if name.startswith("ipv6") else (25, 70)

    # Attributes
    def communities(self):
        c = lambda name3, name4, body="", plain=None: self.typed("communities", name3, name4, body, plain)
        two = lambda t, sub, asn, n: c("TwoOctetAsSpecificExtended", "two_octet_as_specific", f"is_transitive: {t} sub_type: {sub} asn: {asn} local_admin: {n}")
        address = lambda t, sub, a, n: c("IPv4AddressSpecificExtended", "ipv4_address_specific", f'is_transitive: {t} sub_type: {sub} address: "{a}" local_admin: {n}')
        four = lambda t, sub, asn, n: c("FourOctetAsSpecificExtended", "four_octet_as_specific", f"is_transitive: {t} sub_type: {sub} asn: {asn} local_admin: {n}")
        one = lambda name3, name4, field, n: c(name3, name4, f"{field}: {n}", f"first: {n}")
        pair = lambda name3, name4, f1, a, f2, b, flag=False: c(name3, name4,
            f"{f1}: {('true' if a else 'false') if flag else a} {f2}: {b}", f"first: {a} second: {b}")
        mobility = lambda sticky, n: pair("MacMobilityExtended", "mac_mobility", "is_sticky", sticky, "sequence_num", n, True)
        label = lambda single, n: pair("ESILabelExtended", "esi_label", "is_single_active", single, "label", n, True)
        unknown = lambda hexa: c("UnknownExtended", "unknown", f"type: {int(hexa[:2], 16)} value: {self.text(bytes.fromhex(hexa[2:]))}")
        opaque = lambda t, hexa: c("OpaqueExtended", "opaque", f"is_transitive: {t} value: {self.text(bytes.fromhex(hexa))}")
        encap = lambda n: one("EncapExtended", "encap", "tunnel_type", n)
        return [
            two("true", 2, 65000, 100), address("true", 2, "192.0.2.1", 7), four("true", 2, 4200000000, 9),
            mobility(0, 0), mobility(1, 4000000000), label(1, 7), label(0, 0xffffff),
            c("ESImportRouteTarget", "es_import", 'es_import: "02:00:00:00:00:99"', 'mac: "02:00:00:00:00:99"'),
            c("RouterMacExtended", "router_mac", 'mac: "02:00:00:00:01:00"'),
            unknown("0604000223280000"), unknown("0606028000000064"), unknown("0608010000000000"), unknown("0609000300000000"),
            encap(8), encap(65535), c("DefaultGatewayExtended", "default_gateway"), one("ColorExtended", "color", "color", 77),
            opaque("true", "0b40000000004d"),
            c("LinkBandwidthExtended", "link_bandwidth", "asn: 65000 bandwidth: 1.25e9"), two("true", 4, 65000, 0x40400000),
            two("false", 2, 65000, 100), address("false", 3, "192.0.2.1", 7), four("false", 2, 4200000000, 9), two("true", 3, 65000, 1),
            opaque("true", "11010203040506"), one("ValidationExtended", "validation", "state", 2), opaque("false", "11010203040506"),
            unknown("8006fde846400000"), unknown("0c00000100000002"), unknown("f" * 16),
        ]
    def attributes(self, name, communities=None):
        a = lambda name3, name4, body="": self.typed("pattrs", name3, name4, body)
        family = self.family_of(name)
        hop = "2001:db8::9" if name == "ipv6" else "192.0.2.1"
        binary = self.v4 and name == "mac-only"
        classic = name.startswith("ipv4") or binary
        kind = lambda n: n if self.v4 else ("UNKNOWN", "AS_SET", "AS_SEQUENCE", "AS_CONFED_SEQUENCE")[n]
        link_local = ' next_hops: "fe80::9"' if name == "ipv6" else ""
        return " ".join([
            a("OriginAttribute", "origin", "origin: 1"),
            a("AsPathAttribute", "as_path", f"segments {{ type: {kind(3)} numbers: 65001 }} segments {{ type: {kind(2)} numbers: [65000, 4200000000] }} "
                f"segments {{ type: {kind(1)} numbers: [1, 2, 3] }}"),
            a("NextHopAttribute", "next_hop", f'next_hop: "{hop}"') if classic else "",
            a("MultiExitDiscAttribute", "multi_exit_disc"), a("LocalPrefAttribute", "local_pref", "local_pref: 100"),
            a("AtomicAggregateAttribute", "atomic_aggregate"),
            a("AggregatorAttribute", "aggregator", 'asn: 4200000000 address: "192.0.2.200"'),
            a("CommunitiesAttribute", "communities", f"communities: [{65000 << 16 | 100}, {0xffffff01}]"),
            a("OriginatorIdAttribute", "originator_id", 'id: "192.0.2.9"'),
            a("ClusterListAttribute", "cluster_list", 'ids: "192.0.2.10" ids: "192.0.2.11"'),
            "" if classic else a("MpReachNLRIAttribute", "mp_reach",
                f'{self.family(*family)} next_hops: "{hop}"{link_local} {self.nlri("nlris", name)}'),
            a("ExtendedCommunitiesAttribute", "extended_communities", " ".join(self.communities())),
            a("PmsiTunnelAttribute", "pmsi_tunnel", f"type: 6 label: 100 id: {self.text([192, 0, 2, 1])}"),
            a("LargeCommunitiesAttribute", "large_communities",
                "communities { global_admin: 4200000000 local_data2: 70000 } communities { }"),
            a("UnknownAttribute", "unknown", f"flags: 192 type: 35 value: {self.text([0, 0, 0xfd, 0xe8])}"),
            a("UnknownAttribute", "unknown", f"flags: 192 type: 40 value: {self.text([1, 2, 3])}"),
            a("UnknownAttribute", "unknown", f"flags: 224 type: 250 value: {self.text([9] * 300)}"),
        ])
    def rare(self):
        """Attributes that Samples.swift keeps as octets, in the form gobgpd sends them."""
        a = lambda name3, name4, body="": self.typed("pattrs", name3, name4, body)
        t = self.typed
        sub = lambda name3, name4, body="", plain=None: t("tlvs", "TunnelEncapSubTLV" + name3, name4, body, plain)
        c = lambda name3, name4, body, plain=None: t("communities", name3, name4, body, plain)
        return " ".join([
            a("OriginAttribute", "origin"), a("NextHopAttribute", "next_hop", 'next_hop: "192.0.2.1"'),
            a("ExtendedCommunitiesAttribute", "extended_communities", " ".join([
                c("TrafficRateExtended", "traffic_rate", "asn: 65000 rate: 1000", "asn: 65000 bandwidth: 1000"),
                c("TrafficActionExtended", "traffic_action", "terminal: true sample: true", "first: 1 second: 1"),
                c("RedirectTwoOctetAsSpecificExtended", "redirect_two_octet_as_specific", "asn: 65000 local_admin: 7", "first: 65000 second: 7"),
                c("RedirectIPv4AddressSpecificExtended", "redirect_ipv4_address_specific", 'address: "192.0.2.1" local_admin: 7'),
                c("RedirectFourOctetAsSpecificExtended", "redirect_four_octet_as_specific", "asn: 4200000000 local_admin: 7", "first: 4200000000 second: 7"),
                c("TrafficRemarkExtended", "traffic_remark", "dscp: 46", "first: 46"),
                c("MUPExtended", "mup", "segment_id2: 1 segment_id4: 2")])),
            a("TunnelEncapAttribute", "tunnel_encap", "tlvs { type: 8 " + " ".join([
                sub("Encapsulation", "encapsulation", f"key: 5 cookie: {self.text([1, 2])}"), sub("Protocol", "protocol", "protocol: 2048", "first: 2048"),
                sub("Color", "color", "color: 77", "first: 77"), sub("EgressEndpoint", "egress_endpoint", 'address: "192.0.2.7"'),
                sub("UDPDestPort", "udp_dest_port", "port: 4789", "first: 4789"), sub("Unknown", "unknown", f"type: 200 value: {self.text([1])}")]) + " }"),
            a("IP6ExtendedCommunitiesAttribute", "ip6_extended_communities", " ".join([
                c("IPv6AddressSpecificExtended", "ipv6_address_specific", 'is_transitive: true sub_type: 2 address: "2001:db8::1" local_admin: 7'),
                c("RedirectIPv6AddressSpecificExtended", "redirect_ipv6_address_specific", 'address: "2001:db8::1" local_admin: 7')])),
            a("AigpAttribute", "aigp", t("tlvs", "AigpTLVIGPMetric", "igp_metric", "metric: 1000") + " " +
                t("tlvs", "AigpTLVUnknown", "unknown", f"type: 9 value: {self.text([1, 2])}")),
        ])
    def origin_of_path(self):
        return 'source_asn: 65000 source_id: "192.0.2.254" neighbor_ip: "192.0.2.254" identifier: 3'
    def path(self, name):
        binary = ""
        if self.v4 and name == "mac-only":
            nlri = bytes([2, 33]) + bytes.fromhex("0000fde800000001" + "00" * 10 + "00" * 4 + "30" + "02abcdef0001" + "00" + "000064")
            binary = f"nlri_binary: {self.text(nlri)}"
        return (f'{self.nlri("nlri", name)} {self.attributes(name)} age {{ seconds: 1700000000 nanos: 5 }} {self.family(*self.family_of(name))} '
            f'{self.origin_of_path()} {binary}')

    # Management
    def apply_policy(self, field="apply_policy"):
        accept, imp, exp = (1, 1, 2) if self.v4 else ("ACCEPT", "IMPORT", "EXPORT")
        return (f'{field} {{ export_policy {{ name: "x" direction: {exp} policies {{ name: "p" }} default_action: {accept} }} '
            f'import_policy {{ direction: {imp} }} }}')
    def families(self):
        return (f'afi_safis {{ mp_graceful_restart {{ config {{ enabled: true }} state {{ end_of_rib_received: true end_of_rib_sent: true }} }} '
            f'config {{ {self.family(25, 70)} enabled: true }} '
            f'state {{ {self.family(25, 70)} enabled: true received: 10 accepted: 9 advertised: 8 }} {self.apply_policy()} '
            f'prefix_limits {{ {self.family(25, 70)} max_prefixes: 1000 shutdown_threshold_pct: 80 }} add_paths {{ config {{ receive: true send_max: 4 }} }} }} '
            f'afi_safis {{ config {{ {self.family(2, 1)} enabled: true }} }}')
    def session_parts(self):
        return ('timers { config { connect_retry: 1 hold_time: 90 keepalive_interval: 30 minimum_advertisement_interval: 2 idle_hold_time_after_reset: 3 } '
            'state { keepalive_interval: 30 negotiated_hold_time: 90 uptime { seconds: 1700000000 } downtime { seconds: 1600000000 nanos: 7 } } } '
            'transport { local_address: "192.0.2.1" local_port: 1 passive_mode: true remote_port: 1179 tcp_mss: 1400 bind_interface: "eth0" } '
            'route_server { route_server_client: true secondary_route: true } graceful_restart { enabled: true restart_time: 120 helper_only: true '
            f'deferral_time: 60 notification_enabled: true longlived_enabled: true stale_routes_time: 99 }} {self.families()} ttl_security {{ enabled: true ttl_min: 254 }}')
    def peer(self):
        remove = 2 if self.v4 else "REPLACE"
        established, down = (6, 2) if self.v4 else ("ESTABLISHED", "DOWN")
        extra = 'disconnect_reason: 4 disconnect_message: "ceased"' if self.v4 else ""
        counters = "notification: 1 update: 2 open: 3 keepalive: 4 refresh: 5 discarded: 6 total: 21"
        return (f'{self.apply_policy()} conf {{ auth_password: "secret" description: "spine" local_asn: 65001 neighbor_address: "192.0.2.254" peer_asn: 65000 '
            f'peer_group: "spines" remove_private: {remove} neighbor_interface: "eth1" vrf: "red" allow_own_asn: 2 replace_peer_asn: true admin_down: true }} '
            f'ebgp_multihop {{ enabled: true multihop_ttl: 5 }} route_reflector {{ route_reflector_client: true route_reflector_cluster_id: "192.0.2.3" }} '
            f'state {{ description: "spine" local_asn: 65001 messages {{ received {{ {counters} }} sent {{ total: 9 }} }} neighbor_address: "192.0.2.254" peer_asn: 65000 '
            f'peer_group: "spines" session_state: {established} admin_state: {down} flops: 3 router_id: "192.0.2.254" {extra} }} {self.session_parts()}')
    def group(self):
        return (f'{self.apply_policy()} conf {{ auth_password: "secret" description: "all" local_asn: 65001 peer_asn: 65000 peer_group_name: "spines" '
            f'remove_private: {1 if self.v4 else "REMOVE_ALL"} }} ebgp_multihop {{ enabled: true multihop_ttl: 5 }} '
            f'route_reflector {{ route_reflector_client: true }} {self.session_parts()}')
    def global_(self):
        return ('asn: 4200000000 router_id: "192.0.2.1" listen_port: -1 listen_addresses: "192.0.2.1" listen_addresses: "::" use_multiple_paths: true '
            'route_selection_options { always_compare_med: true ignore_as_path_length: true external_compare_router_id: true } '
            'confederation { enabled: true identifier: 65000 member_as_list: [65001, 65002] } graceful_restart { enabled: true restart_time: 120 } '
            f'{"" if self.v4 else self.apply_policy()} bind_to_device: "eth0"')
    def policy(self):
        e = self.enum
        match = lambda field, kind, name: f'{field} {{ type: {e(*kind)} name: "{name}" }}'
        anyone, all_, invert = ("ANY", 1), ("ALL", 2), ("INVERT", 3)
        return (f'name: "p" statements {{ name: "s" conditions {{ {match("prefix_set", anyone, "a")} {match("neighbor_set", invert, "b")} '
            f'as_path_length {{ type: {e("LE", 3)} length: 5 }} {match("as_path_set", all_, "c")} {match("community_set", anyone, "d")} '
            f'{match("ext_community_set", all_, "e")} rpki_result: -1 route_type: {e("ROUTE_TYPE_LOCAL", 3)} {match("large_community_set", anyone, "f")} '
            f'next_hop_in_list: "192.0.2.1" }} actions {{ route_action: {e("REJECT", 2)} community {{ type: {e("REMOVE", 2)} communities: "65000:1" }} '
            f'med {{ type: {e("REPLACE", 2)} value: -5 }} as_prepend {{ asn: 65000 repeat: 2 use_left_most: true }} '
            f'ext_community {{ type: {e("REPLACE", 3)} communities: "rt:65000:100" }} nexthop {{ address: "192.0.2.1" self: true unchanged: true }} '
            f'local_pref {{ }} large_community {{ type: {e("ADD", 1)} }} }} }} statements {{ name: "t" }}')
    def vrf(self):
        rt = lambda field, name3, name4, body: self.typed(field, name3, name4, body)
        return (f'name: "red" {self.rd("65000:9")} '
            + rt("import_rt", "TwoOctetAsSpecificExtended", "two_octet_as_specific", "is_transitive: true sub_type: 2 asn: 65000 local_admin: 100") + " "
            + rt("import_rt", "IPv4AddressSpecificExtended", "ipv4_address_specific", 'is_transitive: true sub_type: 2 address: "192.0.2.1" local_admin: 7') + " "
            + rt("export_rt", "FourOctetAsSpecificExtended", "four_octet_as_specific", "is_transitive: true sub_type: 2 asn: 4200000000 local_admin: 9") + " id: 5")

    def messages(self):
        e = self.enum
        for name in ("a-d", "mac-ipv4", "mac-ipv6", "mac-only", "imet", "imet-v6", "es", "prefix", "prefix-gateway", "prefix-v6", "ipv4", "ipv4-default", "ipv6"):
            table = "table_type: GLOBAL"
            yield f"path-{name}", "AddPathRequest", f'{table} path {{ {self.path(name)} }}'
            binary = "" if not (self.v4 and name == "mac-only") else self.path(name).split("identifier: 3")[1]
            yield f"delete-{name}", "DeletePathRequest", (f'{table} {self.family(*self.family_of(name))} path {{ {self.nlri("nlri", name)} is_withdraw: true '
                f'{self.family(*self.family_of(name))} {binary} }}')
        yield "rare", "ListPathResponse", f'destination {{ prefix: "192.0.2.1/32" paths {{ {self.nlri("nlri", "ipv4")} {self.rare()} {self.family(1, 1)} }} }}'
        yield "list-path", "ListPathRequest", (f'table_type: {e("ADJ_IN", "ADJ_IN")} name: "192.0.2.254" {self.family(25, 70)} prefixes {{ prefix: "macadv" '
            f'type: {e("EXACT", 1)} }} enable_filtered: true enable_only_binary: true')
        yield "watch-best", "WatchEventRequest", f'table {{ filters {{ type: {e("BEST", 1)} init: true }} }}'
        yield "watch-both", "WatchEventRequest", f'peer {{ }} table {{ filters {{ type: {e("POST_POLICY", 3)} }} }}'
        yield "event-table", "WatchEventResponse", f'table {{ paths {{ {self.path("mac-ipv4")} }} paths {{ {self.path("ipv6")} }} }}'
        yield "event-empty", "WatchEventResponse", "table { }"
        yield "event-peer", "WatchEventResponse", f'peer {{ type: {e("STATE", 3)} peer {{ {self.peer()} }} }}'
        yield "global", "GetBgpResponse", f"global {{ {self.global_()} }}"
        yield "peer", "ListPeerResponse", f"peer {{ {self.peer()} }}"
        yield "update-peer", "UpdatePeerRequest", 'peer { conf { neighbor_address: "192.0.2.254" } } do_soft_reset_in: true'
        yield "reset-peer", "ResetPeerRequest", f'address: "192.0.2.254" communication: "bye" soft: true direction: {e("BOTH", 3)}'
        yield "group", "AddPeerGroupRequest", f"peer_group {{ {self.group()} }}"
        yield "dynamic", "AddDynamicNeighborRequest", 'dynamic_neighbor { prefix: "192.0.2.0/24" peer_group: "spines" }'
        yield "vrf", "AddVrfRequest", f"vrf {{ {self.vrf()} }}"
        yield "set-prefix", "AddDefinedSetRequest", (f'defined_set {{ defined_type: {e("PREFIX", 1)} name: "a" '
            'prefixes { ip_prefix: "10.0.0.0/8" mask_length_min: 8 mask_length_max: 24 } }')
        yield "set-large", "AddDefinedSetRequest", f'defined_set {{ defined_type: {e("LARGE_COMMUNITY", 7)} name: "f" list: "65000:1:2" list: "" }}'
        yield "list-set", "ListDefinedSetRequest", f'defined_type: {e("NEXT_HOP", 8)} name: "n"'
        yield "policy", "AddPolicyRequest", f"policy {{ {self.policy()} }} refer_existing_statements: true"
        yield "assignment", "AddPolicyAssignmentRequest", (f'assignment {{ name: "global" direction: {e("EXPORT", 2)} policies {{ name: "p" }} '
            f'default_action: {e("REJECT", 2)} }}')


def encode(v4, kind, text):
    files = [os.path.join(here, "v4.proto")] if v4 else [os.path.join(V3, name) for name in ("gobgp.proto", "attribute.proto", "capability.proto")]
    done = subprocess.run(["protoc", f"--proto_path={here if v4 else V3}", f"--encode={'api' if v4 else 'apipb'}.{kind}"] + files,
        input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode: sys.exit(f"{kind}: {done.stderr.decode()}\n{text}")
    return done.stdout

for v4 in (False, True):
    with open(os.path.join(here, "v4.hex" if v4 else "v3.hex"), "w") as out:
        out.write("# Made by make.py with protoc: name, message, octets.\n")
        for name, kind, text in Generation(v4).messages(): out.write(f"{name} {kind} {encode(v4, kind, text).hex()}\n")

// Why the switch did not do something, by the names that ovs-ofctl prints.

public import NetTypes

/// An error message (OpenFlow 1.3 §7.4.4, with the names of Open vSwitch: include/openvswitch/ofp-errors.h).
public struct SwitchError: Error, Hashable, Sendable, CustomStringConvertible {
    public var type: UInt16
    public var code: UInt16
    /// Of an error of the type "experimenter", 0xffff; 0 otherwise.
    public var experimenter: UInt32
    public init(type: UInt16, code: UInt16, experimenter: UInt32 = 0) {
        self.type = type
        self.code = code
        self.experimenter = experimenter
    }

    /// Type (2), code (2), then with type 0xffff the experimenter (4), then the message that failed or the beginning of it.
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        type = try reader.u16()
        code = try reader.u16()
        experimenter = type == 0xffff ? try reader.u32() : 0
    }

    /// `OFPBAC_MATCH_INCONSISTENT`; an unknown one by its numbers.
    public var description: String {
        name ?? (experimenter == 0 ? "error \(type).\(code)" : "error \(code) of 0x\(hexadecimal(experimenter, 8))")
    }

    private var name: String? {
        switch (type, experimenter) {
        case (0xffff, niciraExperimenter): return SwitchError.nicira[code]
        case (0xffff, onfExperimenter):
            // Errors that later versions have under a type and code of their own.
            switch code {
            case 2300..<2400: return SwitchError(type: 17, code: code - 2300).name
            case 2600: return SwitchError(type: 3, code: 9).name
            case 4250: return SwitchError(type: 2, code: 16).name
            case 4443...4448: return SwitchError(type: 14, code: code - 4440).name
            default: return nil
            }
        default:
            guard let (prefix, names) = SwitchError.standard[type], Int(code) < names.count else { return nil }
            return prefix + names[Int(code)]
        }
    }

    /// The bundle was refused because of one of its messages, which has an error of its own.
    public var isAboutAnotherMessage: Bool { name == "OFPBFC_MSG_FAILED" }

    private static let standard: [UInt16: (prefix: String, names: [String])] = [
        0: ("OFPHFC_", ["INCOMPATIBLE", "EPERM"]),
        1: (
            "OFPBRC_",
            [
                "BAD_VERSION", "BAD_TYPE", "BAD_STAT", "BAD_VENDOR", "BAD_SUBTYPE", "EPERM", "BAD_LEN", "BUFFER_EMPTY",
                "BUFFER_UNKNOWN", "BAD_TABLE_ID", "IS_SECONDARY", "BAD_PORT", "BAD_PACKET",
                "MULTIPART_BUFFER_OVERFLOW", "MULTIPART_REQUEST_TIMEOUT", "MULTIPART_REPLY_TIMEOUT",
                "MULTIPART_BAD_SCHED", "PIPELINE_FIELDS_ONLY", "UNKNOWN",
            ]
        ),
        2: (
            "OFPBAC_",
            [
                "BAD_TYPE", "BAD_LEN", "BAD_VENDOR", "BAD_VENDOR_TYPE", "BAD_OUT_PORT", "BAD_ARGUMENT", "EPERM",
                "TOO_MANY", "BAD_QUEUE", "BAD_OUT_GROUP", "MATCH_INCONSISTENT", "UNSUPPORTED_ORDER", "BAD_TAG",
                "BAD_SET_TYPE", "BAD_SET_LEN", "BAD_SET_ARGUMENT", "BAD_SET_MASK", "BAD_METER",
            ]
        ),
        3: (
            "OFPBIC_",
            [
                "UNKNOWN_INST", "UNSUP_INST", "BAD_TABLE_ID", "UNSUP_METADATA", "UNSUP_METADATA_MASK",
                "BAD_EXPERIMENTER", "BAD_EXP_TYPE", "BAD_LEN", "EPERM", "DUP_INST",
            ]
        ),
        4: (
            "OFPBMC_",
            [
                "BAD_TYPE", "BAD_LEN", "BAD_TAG", "BAD_DL_ADDR_MASK", "BAD_NW_ADDR_MASK", "BAD_WILDCARDS", "BAD_FIELD",
                "BAD_VALUE", "BAD_MASK", "BAD_PREREQ", "DUP_FIELD", "EPERM",
            ]
        ),
        5: (
            "OFPFMFC_",
            [
                "UNKNOWN", "TABLE_FULL", "BAD_TABLE_ID", "OVERLAP", "EPERM", "BAD_TIMEOUT", "BAD_COMMAND", "BAD_FLAGS",
                "CANT_SYNC", "BAD_PRIORITY", "IS_SYNC",
            ]
        ),
        6: (
            "OFPGMFC_",
            [
                "GROUP_EXISTS", "INVALID_GROUP", "WEIGHT_UNSUPPORTED", "OUT_OF_GROUPS", "OUT_OF_BUCKETS",
                "CHAINING_UNSUPPORTED", "WATCH_UNSUPPORTED", "LOOP", "UNKNOWN_GROUP", "CHAINED_GROUP", "BAD_TYPE",
                "BAD_COMMAND", "BAD_BUCKET", "BAD_WATCH", "EPERM", "UNKNOWN_BUCKET", "BUCKET_EXISTS",
            ]
        ),
        10: ("OFPSCFC_", ["BAD_FLAGS", "BAD_LEN", "EPERM"]),
        14: (
            "OFPBPC_",
            [
                "BAD_TYPE", "BAD_LEN", "BAD_VALUE", "TOO_MANY", "DUP_TYPE", "BAD_EXPERIMENTER", "BAD_EXP_TYPE",
                "BAD_EXP_VALUE", "EPERM",
            ]
        ),
        15: ("OFPACFC_", ["INVALID", "UNSUPPORTED", "EPERM"]),
        17: (
            "OFPBFC_",
            [
                "UNKNOWN", "EPERM", "BAD_ID", "BUNDLE_EXIST", "BUNDLE_CLOSED", "OUT_OF_BUNDLES", "BAD_TYPE",
                "BAD_FLAGS", "MSG_BAD_LEN", "MSG_BAD_XID", "MSG_UNSUP", "MSG_CONFLICT", "MSG_TOO_MANY", "MSG_FAILED",
                "TIMEOUT", "BUNDLE_IN_PROGRESS", "SCHED_NOT_SUPPORTED", "SCHED_FUTURE", "SCHED_PAST",
            ]
        ),
    ]

    private static let nicira: [UInt16: String] = [
        2: "NXBRC_NXM_INVALID", 3: "NXBRC_NXM_BAD_TYPE", 4: "NXBRC_MUST_BE_ZERO", 5: "NXBRC_BAD_REASON",
        10: "NXBRC_UNENCODABLE_ERROR", 11: "NXBAC_MUST_BE_ZERO", 12: "NXFMFC_HARDWARE", 13: "NXFMFC_BAD_TABLE_ID",
        15: "NXBAC_BAD_CONJUNCTION", 22: "OFPBFC_BAD_VERSION", 37: "NXFMFC_INVALID_TLV_FIELD",
        39: "NXBAC_BAD_HEADER_TYPE", 40: "NXBAC_UNKNOWN_ED_PROP", 41: "NXBAC_BAD_ED_PROP",
        42: "NXBAC_CT_DATAPATH_SUPPORT", 43: "NXBMC_CT_DATAPATH_SUPPORT",
    ]
}

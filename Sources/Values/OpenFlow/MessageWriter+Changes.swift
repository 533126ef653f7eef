// Changes of flows and groups on the wire, alone or in a bundle.

import NetTypes

/// A change of a bridge.
public enum BridgeChange: Hashable, Sendable, CustomStringConvertible {
    case flow(FlowChange)
    case group(GroupChange)

    public var description: String {
        switch self {
        case .flow(let change): "\(change)"
        case .group(let change): "\(change)"
        }
    }
}

/// Number of a flow_mod (OpenFlow 1.3 §7.3.4.1).
private enum FlowCommand {
    static let add: UInt8 = 0
    static let deleteStrict: UInt8 = 4
}

/// Number of a group_mod. The one that replaces is an extension of Open vSwitch, of all versions.
private enum GroupCommand {
    static let delete: UInt16 = 2
    static let addOrModify: UInt16 = 0x8000
}

extension MessageWriter {
    /// One change, in the bundle of this number or at once. Only flows whose cookies pass `cookies` are deleted.
    /// False when the change does not fit into a message; then nothing is written.
    public mutating func change(
        _ change: BridgeChange, _ transaction: UInt32, bundle: UInt32? = nil, cookies: FlowFilter = FlowFilter()
    ) -> Bool {
        let outer = bundle.map { beginBundleAdd(transaction, bundle: $0) }
        let inner: Int
        switch change {
        case .flow(let change):
            inner = begin(.flowMod, transaction)
            writer.flowMod(change, version, cookies)
        case .group(let change):
            inner = begin(.groupMod, transaction)
            writer.groupMod(change, version)
        }
        // Both lengths, or nothing of either.
        guard writer.count - (outer ?? inner) <= MessageWriter.maximumLength else {
            writer.truncate(to: outer ?? inner)
            return false
        }
        if !finish(inner) { return false }
        return outer.map { finish($0) } ?? true
    }
}

extension ByteWriter {
    ///     +---------------------------------------------------------+
    ///     |  Cookie (8), cookie mask (8)                            |
    ///     |  Table (1), command (1)                                 |
    ///     |  Idle timeout (2), hard timeout (2), priority (2)       |
    ///     |  Buffer (4), out port (4), out group (4)                |
    ///     |  Flags (2), importance (2), only from OpenFlow 1.4 on   |
    ///     |  Match, padded                                          |
    ///     |  Instructions                                           |
    ///     +---------------------------------------------------------+
    fileprivate mutating func flowMod(_ change: FlowChange, _ version: ProtocolVersion, _ cookies: FlowFilter) {
        let key = change.key
        var flow: Flow?
        if case .set(let set) = change { flow = set }
        u64(flow?.cookie ?? cookies.cookie)
        u64(flow == nil ? cookies.cookieMask : 0)
        u8(key.table)
        u8(flow == nil ? FlowCommand.deleteStrict : FlowCommand.add)
        u16(flow?.idleTimeout ?? 0)
        u16(flow?.hardTimeout ?? 0)
        u16(key.priority)
        u32(noBuffer)
        u32(PortNumber.any.rawValue)
        u32(Group.any)
        u16(flow?.flags.rawValue ?? 0)
        u16(0)
        match(key.match)
        if let flow { instructions(flow.actions, version) }
    }

    fileprivate mutating func groupMod(_ change: GroupChange, _ version: ProtocolVersion) {
        switch change {
        case .set(let group):
            u16(GroupCommand.addOrModify)
            u8(group.kind.rawValue)
            u8(0)
            u32(group.id)
            self.group(group, version)
        case .delete(let id):
            u16(GroupCommand.delete)
            u16(0)
            u32(id)
            if version >= .v15 {
                u32(0)
                u32(Group.noBucket)
            }
        }
    }

    /// What follows the number of a group.
    private mutating func group(_ group: Group, _ version: ProtocolVersion) {
        guard version >= .v15 else {
            for bucket in group.buckets { self.bucket(bucket, group.kind) }
            return
        }
        let length = count
        u32(0)
        u32(Group.noBucket)
        let start = count
        for bucket in group.buckets { numberedBucket(bucket, group.kind) }
        patch16(at: length, count - start)
        if group.kind == .select, let method = group.selectionMethod { selectionMethod(method) }
    }

    /// OpenFlow 1.3 and 1.4:
    ///
    ///     +--------------------------------------------------+
    ///     |  Length (2), weight (2)                          |
    ///     |  Watched port (4), watched group (4), zero (4)   |
    ///     |  Actions                                         |
    ///     +--------------------------------------------------+
    private mutating func bucket(_ bucket: Group.Bucket, _ kind: Group.Kind) {
        let start = count
        u16(0)
        u16(kind == .select ? bucket.weight : 0)
        u32((bucket.watchPort ?? .any).rawValue)
        u32(Group.any)
        u32(0)
        actions(bucket.actions, .v14)
        patch16(at: start, count - start)
    }

    /// OpenFlow 1.5: length (2), length of the actions (2), number (4), actions, properties.
    private mutating func numberedBucket(_ bucket: Group.Bucket, _ kind: Group.Kind) {
        let start = count
        u32(0)
        u32(bucket.id)
        actions(bucket.actions, .v15)
        patch16(at: start + 2, count - start - 8)
        if kind == .select {
            u16(BucketProperty.weight)
            u16(8)
            u16(bucket.weight)
            u16(0)
        }
        if let port = bucket.watchPort {
            u16(BucketProperty.watchPort)
            u16(8)
            u32(port.rawValue)
        }
        patch16(at: start, count - start)
    }

    ///     +--------------------------------------------------------+
    ///     |  Type (2), 0xffff; length (2), without the padding     |
    ///     |  Experimenter (4), 0x154d; its type (4), 1; zero (4)   |
    ///     |  Name (16), parameter (8)                              |
    ///     |  Fields to hash, as OXM entries, padded                |
    ///     +--------------------------------------------------------+
    private mutating func selectionMethod(_ method: Group.SelectionMethod) {
        let start = count
        u16(SelectionMethodProperty.type)
        u16(0)
        u32(SelectionMethodProperty.experimenter)
        u32(1)
        u32(0)
        var name: [UInt8]
        var fields: Set<Field> = []
        switch method {
        case .datapathHash: name = Array(SelectionMethodProperty.datapathHash.utf8)
        case .hash(let given):
            name = Array(SelectionMethodProperty.hash.utf8)
            fields = given
        }
        name += Array(repeating: 0, count: 16 - name.count)
        raw(name)
        u64(0)
        // The value of a field tells the bits that count.
        for field in fields.sorted(by: { $0.rawValue < $1.rawValue }) { MatchField(field, .max).encode(to: &self) }
        patch16(at: start + 2, count - start)
        pad(from: start)
    }
}

enum BucketProperty {
    static let weight: UInt16 = 0
    static let watchPort: UInt16 = 1
}

/// Netronome's extension for groups (Documentation/group-selection-method-property.txt of Open vSwitch).
enum SelectionMethodProperty {
    static let type: UInt16 = 0xffff
    static let experimenter: UInt32 = 0x154d
    static let datapathHash = "dp_hash"
    static let hash = "hash"
}

extension Group {
    /// In requests: every group.
    static let all: UInt32 = 0xffff_fffc
    /// In flow_mods: no condition.
    static let any: UInt32 = 0xffff_ffff
    /// In group_mods of OpenFlow 1.5: the change is of the whole group.
    static let noBucket: UInt32 = 0xffff_ffff
}

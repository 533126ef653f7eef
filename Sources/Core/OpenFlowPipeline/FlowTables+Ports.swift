// Ports as the database tells of them, who is attached to them, and addresses that are learned there.

public import EVPN
import NetTypes
public import OpenFlow

extension FlowTables {
    // MARK: Ports

    mutating func setPorts(_ known: [String: UInt32?]) {
        var numbers: Set<UInt32> = []
        for (name, number) in known where ports[name] != number {
            if let old = ports[name] { numbers.insert(old) }
            if let number { numbers.insert(number) }
        }
        for number in numbers.sorted() { touchNumber(number) }
        for (name, number) in known.sorted(by: { $0.key < $1.key }) where ports[name] != number {
            // By name it may be found, or lost, whatever its number's other names are.
            for client in model.clientsOfPort[.name(name)] ?? [] { touch(client: client, of: model) }
        }
        for (name, number) in known where ports[name] != number {
            if let old = ports[name] {
                names[old]?.remove(name)
                if names[old]?.isEmpty == true { names[old] = nil }
            }
            ports[name] = number
            if let number { names[number, default: []].insert(name) }
        }
        for number in numbers.sorted() {
            attach(number)
            guard names[number] == nil else { continue }
            for key in (learnedOfPort[number] ?? []).sorted() { drop(key) }
        }
    }

    mutating func setTunnel(_ port: TunnelPort?) {
        guard port != tunnel else { return }
        if let port, port.number != outputNumber { touchAll() }
        for vni in model.domains.keys { touch(fact: .domain(vni)) }
        tunnel = port
        if let port, port.number != tunnelNumber {
            tunnelNumber = port.number
            for number in Set(attached.keys).union(names.keys) { attach(number) }
        }
    }

    /// The number that packets to other VTEPs leave by.
    var outputNumber: UInt32 { tunnelNumber ?? model.bridge.tunnelNumber }

    /// The number of a port that is there and can have clients.
    func number(of port: Attachment.Port) -> UInt32? {
        switch port {
        case .number(let number): names[number] == nil || isReserved(number) ? nil : number
        case .name(let name): ports[name].flatMap { isReserved($0) ? nil : $0 }
        }
    }
    private func isReserved(_ number: UInt32) -> Bool {
        number == outputNumber || number == model.bridge.anycastCheck?.number || number == 0 || number > 0xfeff
    }

    /// Finds out who is behind a number.
    mutating func attach(_ number: UInt32) {
        for client in attached[number] ?? [] {
            sharers[Place(number: number, tag: model.attachment(of: client).tag ?? 0)] = nil
        }
        attached[number] = nil
        guard let names = names[number], !isReserved(number) else { return }
        // Who names a port means it; a number may have been that of another one.
        let clients =
            names.flatMap { model.clientsOfPort[.name($0)] ?? [] }.sorted()
            + (model.clientsOfPort[.number(number)] ?? [])
        guard !clients.isEmpty else { return }
        attached[number] = clients
        for client in clients {
            let tag = model.attachment(of: client).tag ?? 0
            let place = Place(number: number, tag: tag)
            if tag <= 4094 { sharers[place, default: []].append(client) }
        }
    }

    /// Whose a place is, where configurations by name and by number meet.
    func owner(of place: Place) -> ClientReference? { sharers[place]?.first }

    /// Where a client is; nil: its port is not there, or the place is another's.
    func place(of client: ClientReference) -> Place? {
        let attachment = model.attachment(of: client)
        guard let number = number(of: attachment.port) else { return nil }
        let place = Place(number: number, tag: attachment.tag ?? 0)
        guard let owner = owner(of: place) else { return nil }
        if owner == client { return place }
        // Several hosts of one domain may share a place.
        guard case .bridged(let first) = owner, case .bridged(let index) = client,
            model.bridged[first].vni == model.bridged[index].vni
        else { return nil }
        return place
    }

    /// Why a client is left out although its port is there; nil: it is not.
    public func obstacle(at attachment: Attachment) -> String? {
        let number: UInt32? =
            switch attachment.port {
            case .number(let number): names[number] == nil ? nil : number
            case .name(let name): ports[name]
            }
        guard let number else { return nil }
        if isReserved(number) { return "port \(name(of: number)) is the bridge's own or evpnd's, not one of clients" }
        let clients = (model.clientsOfPort[attachment.port] ?? []).filter { model.attachment(of: $0) == attachment }
        guard clients.contains(where: { place(of: $0) == nil }) else { return nil }
        return "\(name(of: number)) is that of another client"
    }
    /// Clients whose port is there, and is not theirs.
    public var displaced: [String] {
        Set(model.bridged.map(\.attachment) + model.routed.map(\.attachment)).sorted().compactMap { attachment in
            obstacle(at: attachment).map { "the client of port \(attachment) is left out: \($0)" }
        }
    }

    // MARK: What changes with a client

    private mutating func touchNumber(_ number: UInt32) {
        touch(.port(number))
        for client in attached[number] ?? [] { touchSubjects(of: client, model) }
        for key in (learnedOfPort[number] ?? []).sorted() { touchLearned(key) }
        for client in model.clientsOfPort[.number(number)] ?? [] { touchSubjects(of: client, model) }
    }
    /// Everything of those that are found at a place now.
    private mutating func touchPlace(_ place: Place) {
        guard changes.places.insert(place).inserted else { return }
        for client in sharers[place] ?? [] { touchSubjects(of: client, model) }
        guard let keys = learnedOfPort[place.number] else { return }
        for key in keys.sorted() where learned[key] == place { touchLearned(key) }
    }
    mutating func touchLearned(_ key: MACKey) {
        touch(.mac(key))
        touch(.source(key))
        touch(fact: .mac(key))
    }
    /// `model`: the one of which it is a client, the one in force or the next.
    mutating func touch(client: ClientReference, of model: Model) {
        touchSubjects(of: client, model)
        let attachment = model.attachment(of: client)
        let number: UInt32? =
            switch attachment.port {
            case .number(let number): number
            case .name(let name): ports[name]
            }
        guard let number else { return }
        touch(.port(number))
        // What is at another VLAN of the port stays as it is.
        touchPlace(Place(number: number, tag: attachment.tag ?? 0))
    }
    private mutating func touchSubjects(of client: ClientReference, _ model: Model) {
        switch client {
        case .bridged(let index):
            let client = model.bridged[index]
            touch(.domain(client.vni))
            guard let mac = client.mac else { return }
            let key = MACKey(vni: client.vni, mac: mac)
            touch(.mac(key))
            touch(fact: .mac(key))
            for ip in client.addresses {
                let key = NeighborKey(vni: client.vni, ip: ip)
                touchAddress(key, model)
                touch(fact: .neighbor(key))
            }
        case .routed(let index):
            let client = model.routed[index]
            touch(.vrf(client.vrf))
            if !client.anycast.isEmpty { touch(.check) }
            for prefix in client.prefixes + client.anycast.compactMap(\.prefix) {
                let key = PrefixKey(vrf: client.vrf, prefix: prefix)
                touch(.route(key))
                touch(fact: .prefix(key))
            }
        }
    }
    /// An address of a domain, and the routes that lead to it.
    mutating func touchAddress(_ key: NeighborKey, _ model: Model) {
        for subject in subjects(of: key, model) { touch(subject) }
        touchPrefixes(of: key)
    }
    mutating func touchPrefixes(of key: NeighborKey) {
        guard let all = prefixesOfNeighbor[key] else { return }
        changes.isUnordered = true
        for prefix in all { touch(.route(prefix)) }
    }

    /// These are of the model in force.
    func subjects(of client: BridgedClient) -> Set<Subject> {
        var all: Set<Subject> = [.domain(client.vni)]
        guard let mac = client.mac else { return all }
        all.insert(.mac(MACKey(vni: client.vni, mac: mac)))
        for ip in client.addresses { all.formUnion(subjects(of: NeighborKey(vni: client.vni, ip: ip), model)) }
        return all
    }
    func subjects(of client: RoutedClient) -> Set<Subject> {
        var all: Set<Subject> = [.vrf(client.vrf)]
        for prefix in client.prefixes + client.anycast.compactMap(\.prefix) {
            all.insert(.route(PrefixKey(vrf: client.vrf, prefix: prefix)))
        }
        return all
    }
    func subjects(of key: NeighborKey, _ model: Model) -> [Subject] {
        subjects(of: key, model.domains[key.vni]?.gateway)
    }
    private func subjects(of key: NeighborKey, _ gateway: GatewayModel?) -> [Subject] {
        guard let gateway, let prefix = IPPrefix(key.ip, length: key.ip.bitWidth) else { return [.neighbor(key)] }
        return [.neighbor(key), .route(PrefixKey(vrf: gateway.vrf, prefix: prefix))]
    }
    func subjects(of domain: DomainModel) -> Set<Subject> {
        var all: Set<Subject> = [.domain(domain.vni)]
        guard let gateway = domain.gateway else { return all }
        all.insert(.mac(MACKey(vni: domain.vni, mac: gateway.mac)))
        for address in gateway.addresses {
            all.formUnion(subjects(of: NeighborKey(vni: domain.vni, ip: address.ip), gateway))
        }
        for subnet in gateway.subnets { all.insert(.route(PrefixKey(vrf: gateway.vrf, prefix: subnet))) }
        return all
    }

    // MARK: Learning

    /// The domain of a place whose addresses are learned.
    func learningDomain(_ place: Place) -> VNI? {
        guard model.bridge.learningSeconds != nil, !model.isCompatible, names[place.number] != nil,
            case .bridged(let index) = owner(of: place), model.bridged[index].mac == nil,
            let domain = model.domains[model.bridged[index].vni], domain.transit == nil
        else { return nil }
        return domain.vni
    }

    mutating func learn(_ address: HeardAddress) {
        let place = Place(number: address.port, tag: address.tag)
        guard let vni = learningDomain(place), vni.rawValue == address.vni, address.mac.isUsableByHost else { return }
        let key = MACKey(vni: vni, mac: address.mac)
        guard learned[key] != place, model.clientsOfMAC[key] == nil, model.domains[vni]?.gateway?.mac != address.mac
        else { return }
        let isMove = learned[key] != nil
        guard (learnedOfPort[place.number]?.count ?? 0) < Self.maximumLearnedOfPort else {
            return refuse(place, Self.maximumLearnedOfPort)
        }
        guard isMove || learned.count < Self.maximumLearned else { return refuse(place, Self.maximumLearned) }
        touchLearned(key)
        if let old = learned[key] { removeLearned(key, old) }
        learned[key] = place
        learnedOfPort[place.number, default: []].insert(key)
    }
    private mutating func refuse(_ place: Place, _ limit: Int) {
        if crowded.insert(place.number).inserted { changes.crowded[name(of: place.number)] = limit }
    }
    mutating func forget(_ flow: FlowKey) {
        guard let key = sourceKey(flow), learned[key] != nil else { return }
        guard renderSource(key).contains(where: { $0.key == flow }) else { return }
        drop(key)
    }
    mutating func drop(_ key: MACKey) {
        guard let place = learned[key] else { return }
        touchLearned(key)
        removeLearned(key, place)
    }
    private mutating func removeLearned(_ key: MACKey, _ place: Place) {
        learned[key] = nil
        learnedOfPort[place.number]?.remove(key)
        if learnedOfPort[place.number]?.isEmpty == true { learnedOfPort[place.number] = nil }
        if (learnedOfPort[place.number]?.count ?? 0) < Self.maximumLearnedOfPort / 2 { crowded.remove(place.number) }
    }
    /// The address that a flow of table 6 is about.
    private func sourceKey(_ flow: FlowKey) -> MACKey? {
        guard let address = HeardAddress(flow), let vni = VNI(address.vni) else { return nil }
        return MACKey(vni: vni, mac: address.mac)
    }
}

extension FlowTables.HeardAddress {
    /// What a flow of table 6 stands for, also one of an earlier evpnd; nil: it is not about one address.
    public init?(_ flow: FlowKey) {
        guard flow.table == Layout.Table.sources, flow.priority == Layout.Priority.normal else { return nil }
        var values: [Field: UInt64] = [:]
        for field in flow.match.fields where field.isExact {
            values[field.field] = UInt64(truncatingIfNeeded: field.value)
        }
        guard let vni = values[.register0], let tag = values[.register5], let port = values[.inPort],
            let mac = values[.ethernetSource]
        else { return nil }
        self.init(
            port: UInt32(truncatingIfNeeded: port), tag: UInt16(truncatingIfNeeded: tag),
            vni: UInt32(truncatingIfNeeded: vni), mac: MACAddress(rawValue: mac))
    }
}
